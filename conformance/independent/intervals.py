"""Symbols of payloads that stay decodable alone: clause 8.10.3."""

from __future__ import annotations

from collections.abc import Sequence

from .distributions import PRECISION, TOTAL, Table
from .refusal import require

CODER_BYTES = 6
NARROW = 1 << 40


class IntervalDecoder:
    """The interval of numbers that the symbols so far leave; bytes beyond the payload are 0 (R8.10.3-1)."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.width = 1 << 8 * CODER_BYTES
        self.code = int.from_bytes(payload[:CODER_BYTES].ljust(CODER_BYTES, b"\0"), "big")
        self.position = CODER_BYTES  # of the next byte

    def narrow(self, low: int, high: int) -> None:
        """Take a part of the interval, and read bytes until it is wide enough again."""
        self.width = high - low
        self.code -= low
        while self.width < NARROW:
            byte = self.payload[self.position] if self.position < len(self.payload) else 0
            self.width <<= 8
            self.code = self.code << 8 | byte
            self.position += 1

    def symbol(self, table: Table) -> int:
        """Decode a symbol; the last one of its table has what is left of the interval."""
        part = self.width >> PRECISION
        symbol = table.symbol_of(min(self.code // part, TOTAL - 1))
        bound, end = table.bounds[symbol : symbol + 2]
        self.narrow(part * bound, self.width if end == TOTAL else part * end)
        return symbol

    def bit(self) -> int:
        """Decode a bit, which halves the interval; the upper half is 1."""
        half = self.width >> 1
        bit = int(self.code >= half)
        self.narrow(half * bit, half * (bit + 1))
        return bit

    def finish(self) -> None:
        """Refuse bytes that no symbol needs (R8.10.3-2), and a last byte of 0 (R8.10.3-3)."""
        needed = len(self.payload) <= self.position - (CODER_BYTES - 1)
        require(needed, "payload", "R8.10.3-2", "a byte is left that no symbol needs")
        shortest = self.payload[-1:] != b"\0"
        require(shortest, "payload", "R8.10.3-3", "the last byte of the payload is 0")


def decode_interval(payload: bytes, tables: Sequence[Table]) -> list[int]:
    """Decode symbols, each by its table; an escape has its excess added."""
    decoder = IntervalDecoder(payload)
    symbols: list[int] = []
    for table in tables:
        symbol = decoder.symbol(table)
        if symbol == table.values:
            symbol += table.excess(decoder.bit)
        symbols.append(symbol)
    decoder.finish()
    return symbols
