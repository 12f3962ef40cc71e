"""Words of floating-point numbers and their raw bits: clause 8.3.8.1."""

from __future__ import annotations

from typing import NamedTuple


class FloatFormat(NamedTuple):
    """The source type, as bits of mantissa and exponent, and the header of a payload (8.3.8.1)."""

    mantissa: int
    exponent: int
    high: int
    reference: int
    trailing: int
    flags: int

    @property
    def has_zeros(self) -> bool:
        """True where there are words of magnitude 0."""
        return self.flags & 1 > 0

    @property
    def has_negatives(self) -> bool:
        """True where there are words with a sign of 1."""
        return self.flags & 2 > 0

    @property
    def has_repeats(self) -> bool:
        """True where there are decisions about repeated words."""
        return self.flags & 4 > 0

    @property
    def sign(self) -> int:
        """The sign of a word."""
        return 1 << (self.mantissa + self.exponent)


class RawBits:
    """Raw bits, taken from the last byte backwards; beyond the first byte they are 0 (8.3.8.1)."""

    def __init__(self, data: bytes) -> None:
        self.backwards = data[::-1]
        self.taken = 0

    def take(self, count: int) -> int:
        """The number of the next bits, most significant first."""
        first, end = self.taken >> 3, (self.taken + count + 7) >> 3
        self.taken += count
        piece = self.backwards[first:end].ljust(end - first, b"\0")
        value = int.from_bytes(piece, "big") >> (8 * end - self.taken)
        return value & ((1 << count) - 1)

    def size(self) -> int:
        """Number of bytes that the raw bits so far take up."""
        return (self.taken + 7) >> 3
