"""The native lossless coder: payload, raw bits and fast mode (8.3.8, but for 8.3.8.2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .bits import Integers
from .codes import SourceType
from .context import ContextDecoder
from .floats import FloatFormat, RawBits
from .refusal import Refusal, require
from .syntax import FeatureParameterSet

RAW, FAST, CONTEXT = 0, 1, 2
CLASSES, RANKS = 8, 16
OTHER, ZERO = 14, 15
SLOTS = 256
FINAL_STATE = 1 << 16

# mantissa and exponent bits (8.3.8)
BITS = {
    SourceType.FLOAT32: (23, 8),
    SourceType.FLOAT16: (10, 5),
    SourceType.BFLOAT16: (7, 8),
    SourceType.FLOAT8_E4M3FN: (3, 4),
    SourceType.FLOAT8_E5M2: (2, 5),
}


class RankTable(NamedTuple):
    """The ranks of one class: that of each slot, and frequency and first slot of each rank (8.3.8.3)."""

    ranks: list[int]
    frequencies: list[int]
    starts: list[int]


def refuse(clause: str, found: str) -> Refusal:
    """The refusal of a payload."""
    return Refusal("payload", clause, found)


def decode_lossless(payload: bytes, fps: FeatureParameterSet) -> Integers:
    """Decode a payload to words, C x H x W (8.3.8.1)."""
    mantissa, exponent = BITS[fps.source_type]
    if not payload:
        raise refuse("R8.3.8.1-5", "the payload is empty")
    mode, flags = payload[0] >> 6, payload[0] & 0x3F
    if mode == RAW:
        require(flags == 0, "payload", "R8.3.8.1-3", "the raw mode has flags")
        size = (mantissa + exponent + 1) // 8
        right = len(payload) - 1 == size * fps.elements
        require(right, "payload", "R8.3.8.1-4", f"{len(payload) - 1} bytes of words")
        return np.frombuffer(payload, f"<u{size}", offset=1).astype(np.int64).reshape(fps.shape)
    require(mode != 3, "payload", "R8.3.8.1-1", "the mode is 3")
    require(flags & 8 == 0, "payload", "R8.3.8.1-2", "the reserved bit is set")
    size = 2 + (flags >> 5 & 1) + (flags >> 4 & 1)
    if len(payload) < size:
        raise refuse("R8.3.8.1-5", "the payload ends within its header")
    high = payload[1]
    reference = payload[2] if flags & 0x10 else high
    trailing = payload[size - 1] if flags & 0x20 else 0
    if max(high, reference) >> exponent or trailing > mantissa:
        raise refuse("R8.3.8.1-6", "an exponent or trailing_bits are too large")
    form = FloatFormat(mantissa, exponent, high, reference, trailing, flags & 7)
    if mode == FAST:
        words = decode_fast(payload[size:], fps.shape, form)
    else:
        words = ContextDecoder(payload[size:], fps.shape, form).decode()
    return np.array(words, np.int64).reshape(fps.shape)


def read_table(data: bytes, at: int) -> tuple[RankTable, int]:
    """Read the frequencies of one class (8.3.8.3); returns the position after them, too."""
    mask = int.from_bytes(data[at : at + 2], "big")
    present = [rank for rank in range(RANKS) if mask << rank & 0x8000]
    end = at + 2 + max(len(present) - 1, 0)
    if end > len(data):
        raise refuse("R8.3.8.1-5", "the frequencies are cut")
    coded = list(data[at + 2 : end])
    frequencies = [0] * RANKS
    for rank, frequency in zip(present, [*coded, SLOTS - sum(coded)], strict=False):
        if frequency < 1:
            raise refuse("R8.3.8.3-1", f"rank {rank} has frequency {frequency}")
        frequencies[rank] = frequency
    ranks = [rank for rank in range(RANKS) for _ in range(frequencies[rank])]
    starts = [sum(frequencies[:rank]) for rank in range(RANKS)]
    return RankTable(ranks or [0] * SLOTS, frequencies, starts), end


def class_of(ranks: list[int], y: int, x: int, width: int) -> int:
    """The class of the next word by the ranks to the west and to the north (8.3.8.3)."""
    west = ranks[-1] if x > 0 else 0
    north = ranks[-width] if y > 0 else 0
    if x > 0 and y > 0:
        return (west + north + 1) >> 2
    return (2 * (west + north) + 1) >> 2


def decode_fast(data: bytes, shape: tuple[int, int, int], form: FloatFormat) -> list[int]:
    """Decode the words of the fast mode (8.3.8.3): ranks from the front, raw bits from the end."""
    tables: list[RankTable] = []
    at = 0
    for _ in range(CLASSES):
        table, at = read_table(data, at)
        tables.append(table)
    data = data[at:]
    if len(data) < 4:
        raise refuse("R8.3.8.3-2", "fewer than four bytes follow the frequencies")
    raw = RawBits(data)
    state, position = int.from_bytes(data[:4], "big"), 4
    words: list[int] = []
    ranks: list[int] = []
    channels, height, width = shape
    for i in range(channels * height * width):
        y, x = i // width % height, i % width
        table = tables[class_of(ranks, y, x, width)]
        slot = state & (SLOTS - 1)
        rank = table.ranks[slot]
        state = table.frequencies[rank] * (state >> 8) + slot - table.starts[rank]
        if state < FINAL_STATE:
            pair = data[position : position + 2]  # a single last byte counts as none
            state = state << 16 | (int.from_bytes(pair, "big") if len(pair) == 2 else 0)
            position += 2
        ranks.append(rank)
        words.append(fast_word(rank, raw, form))
    used = position + raw.size()
    if state != FINAL_STATE or used != len(data):
        raise refuse("R8.3.8.3-2", "ranks and raw bits do not meet")
    return words


def fast_word(rank: int, raw: RawBits, form: FloatFormat) -> int:
    """The word of a rank, with its raw bits (8.3.8.3)."""
    word = 0
    if rank != ZERO:
        exponent = max(form.reference - rank, 0)
        if rank == OTHER:
            exponent = raw.take(form.exponent)
        word = raw.take(form.mantissa - form.trailing) << form.trailing
        word |= exponent << form.mantissa
    if form.has_negatives and raw.take(1):
        word |= form.sign
    return word
