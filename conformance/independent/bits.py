"""Reading of bits: the descriptors of clause 4.4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .refusal import Refusal, require

Integers = npt.NDArray[np.int64]

LONGEST_LEB128 = 8
PIECE = 4096  # entries of an array that are unpacked at once


class BitReader:
    """A structure's bytes, read from the most significant bit of the first one on (4.4)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0  # in bits

    def require_bits(self, count: int) -> None:
        """Refuse an element that reaches beyond its structure (R4.4-4, R4.4-5)."""
        left = 8 * len(self.data) - self.position
        require(count <= left, "truncated", "4.4", f"{count} bits are needed and {left} are left")

    def u(self, count: int) -> int:
        """Read u(n)."""
        self.require_bits(count)
        first, end = self.position >> 3, (self.position + count + 7) >> 3
        self.position += count
        value = int.from_bytes(self.data[first:end], "big") >> (8 * end - self.position)
        return value & ((1 << count) - 1)

    def flag(self) -> bool:
        """Read u(1)."""
        return self.u(1) == 1

    def ue(self, most: int) -> int:
        """Read ue(v) in the range 0..most (R4.4-1)."""
        zeros = 0
        while self.u(1) == 0:
            zeros += 1
            require(zeros < 32, "syntax", "4.4", "a code of ue(v) begins with 32 zero bits")
        value = (1 << zeros) - 1 + self.u(zeros)
        require(value <= most, "syntax", "4.4", f"{value} exceeds {most}")
        return value

    def se(self, least: int, most: int) -> int:
        """Read se(v) in the range least..most (R4.4-1)."""
        code = self.ue((1 << 32) - 2)
        value = (code + 1) // 2 if code % 2 else -(code // 2)
        require(least <= value <= most, "syntax", "4.4", f"{value} is not in {least}..{most}")
        return value

    def leb128(self) -> int:
        """Read leb128, which is the shortest code of its value (R4.4-2)."""
        value = 0
        for place in range(LONGEST_LEB128):
            byte = self.u(8)
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                require(byte > 0 or place == 0, "syntax", "4.4", "a leb128 code ends in a byte 0")
                return value
        raise Refusal("syntax", "4.4", "a leb128 code has more than 8 bytes")

    def raw(self, count: int) -> bytes:
        """Read b(8 * count), at a byte boundary."""
        self.require_bits(8 * count)
        first = self.position >> 3
        self.position += 8 * count
        return self.data[first : first + count]

    def rest(self) -> bytes:
        """Read b(v): all bytes that are left."""
        return self.raw(len(self.data) - (self.position >> 3))

    def align(self) -> None:
        """Read z(v), whose bits are 0 (R4.4-3)."""
        require(self.u(-self.position % 8) == 0, "syntax", "4.4", "alignment bits are not zero")

    def array(self, count: int, width: int) -> Integers:
        """Read an array u(width)[count]: no bits for at most one element (R4.4-6)."""
        require(width > 0 or count <= 1, "syntax", "4.4", f"{count} elements have no bits")
        self.require_bits(count * width)
        values = np.zeros(count, np.int64)
        places = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
        for begin in range(0, count if width else 0, PIECE):
            end = min(begin + PIECE, count)
            first, skip = divmod(self.position, 8)
            self.position += (end - begin) * width
            raw = np.frombuffer(self.data[first : (self.position + 7) >> 3], np.uint8)
            bits = np.unpackbits(raw)[skip : skip + (end - begin) * width]
            values[begin:end] = bits.reshape(-1, width).astype(np.int64) @ places
        return values

    def floats(self, count: int) -> npt.NDArray[np.float32]:
        """Read an array f(32)[count]."""
        return self.array(count, 32).astype(np.uint32).view(np.float32)

    def finish(self) -> None:
        """Refuse bits that follow the last element of a structure (R6-1)."""
        left = 8 * len(self.data) - self.position
        require(left == 0, "syntax", "6", f"{left} bits follow the last element")
