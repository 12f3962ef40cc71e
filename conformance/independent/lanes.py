"""Symbols of interleaved lanes: clause 8.10.2."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO

import numpy as np

from .distributions import TOTAL, Table
from .refusal import require

LANES = 4
LANES_SIZE = 4096  # bytes from which on a payload has several lanes
STATE_SIZE = 4  # bytes
LOWEST = 1 << 16  # a lane whose state is below takes a word
LAST_STATE = 1 << 16  # of each of several lanes
LAST_STATE_ALONE = 1 << 12
LARGEST_EXCESS = (1 << 18) - 2


class LaneDecoder:
    """The states of the lanes of a payload, and its words."""

    def __init__(self, payload: bytes) -> None:
        size = len(payload)
        several = size >= LANES_SIZE
        self.last_state = LAST_STATE if several else LAST_STATE_ALONE
        if several:
            require(size % 2 == 0, "payload", "R8.10.2-1", f"{size} bytes in four lanes")
            sizes = [STATE_SIZE] * LANES
        elif size > STATE_SIZE:
            sizes = [STATE_SIZE - size % 2]
        else:
            sizes = [size]
        read = BytesIO(payload)
        self.states = [int.from_bytes(read.read(size), "little") for size in sizes]
        self.words: list[int] = np.frombuffer(read.read(), "<u2").tolist()
        self.position = 0
        if several or self.words:
            high = min(self.states) >= LOWEST
            require(high, "payload", "R8.10.2-2", "a first state is less than 65536")
        else:
            shortest = payload[-1:] != b"\0"
            require(shortest, "payload", "R8.10.2-3", "the last byte of the state is 0")

    def set_state(self, lane: int, state: int) -> None:
        """Set the state of a lane, which takes a word where it is low and words are left."""
        if state < LOWEST and self.position < len(self.words):
            state = state << 16 | self.words[self.position]
            self.position += 1
        self.states[lane] = state

    def symbol(self, lane: int, table: Table) -> int:
        """Decode a symbol."""
        high, slot = divmod(self.states[lane], TOTAL)
        symbol = table.symbol_of(slot)
        bound, end = table.bounds[symbol : symbol + 2]
        self.set_state(lane, (end - bound) * high + slot - bound)
        return symbol

    def bit(self, lane: int) -> int:
        """Take the least significant bit of a state."""
        state = self.states[lane]
        self.set_state(lane, state >> 1)
        return state & 1

    def finish(self) -> None:
        """Refuse a payload that does not end with its symbols (R8.10.2-4, R8.10.2-5)."""
        ended = set(self.states) == {self.last_state}
        require(ended, "payload", "R8.10.2-4", f"the last states are {self.states}")
        left = len(self.words) - self.position
        require(left == 0, "payload", "R8.10.2-5", f"{left} words are left")


def decode_lanes(payload: bytes, tables: Sequence[Table]) -> list[int]:
    """Decode symbols, each by its table; an escape has its excess added."""
    decoder = LaneDecoder(payload)
    lanes = len(decoder.states)
    symbols: list[int] = []
    for start in range(0, len(tables), lanes):
        turn = tables[start : start + lanes]
        decoded = [decoder.symbol(lane, table) for lane, table in enumerate(turn)]
        for lane, table in enumerate(turn):
            if decoded[lane] == table.values:
                excess = table.excess(partial(decoder.bit, lane))
                decoded[lane] += min(excess, LARGEST_EXCESS)
        symbols += decoded
    decoder.finish()
    return symbols
