"""Encoding in the fast mode."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.fast import (
    CLASSES,
    OTHER,
    RANKS,
    ZERO,
    class_of,
    spread_frequencies,
)
from refcodec.coders.native_lossless.header import HAS_NEGATIVES
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, finish_raw, put_raw
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["encode_fast", "scale_frequencies", "write_frequencies"]


def encode_fast(words: Int32, shape: Int64, kind: Int64, header: Int64, size: int) -> bytes:
    """Encode frequencies, ranks and raw bits; returns b'' if they take more than ``size`` bytes."""
    work, raw = np.zeros(WORK_SIZE, np.int64), np.empty(size + 8, np.uint8)
    ranks, entries, data = (np.empty(words.size + 8, np.uint8) for _ in range(3))
    counts, frequencies, starts = (np.zeros(CLASSES * RANKS, np.int64) for _ in range(3))
    count_ranks(work, raw, words, ranks, entries, shape, kind, header, counts)
    rest = finish_raw(work, raw)
    scale_frequencies(counts, frequencies)
    spread_frequencies(frequencies, np.empty(CLASSES * 256, np.uint8), starts)
    begin = code_ranks(data, entries[: words.size], frequencies, starts)
    tables = np.empty(CLASSES * (RANKS + 2), np.uint8)
    head = tables[: write_frequencies(tables, frequencies)]
    return head.tobytes() + data[begin:].tobytes() + raw[:rest][::-1].tobytes()


@kernel
def count_ranks(
    work: Int64, raw: Uint8, words: Int32, ranks: Uint8, entries: Uint8, shape: Int64, kind: Int64,
    header: Int64, counts: Int64,
) -> None:  # fmt: skip
    """Find all ranks, write the raw bits, and count the ranks of each class.

    entries : receives 16 times the class of each value, plus its rank.
    """
    channels, height, width = int(shape[0]), int(shape[1]), int(shape[2])
    mantissa_bits, sign_bit = int(kind[0]), int(kind[1])
    flags, reference, trailing = int(header[0]), int(header[2]), int(header[3])
    exponent_bits = sign_bit - mantissa_bits
    magnitudes = (1 << sign_bit) - 1
    mantissas = (1 << mantissa_bits) - 1
    at = 0
    for _ in range(channels):
        for y in range(height):
            for x in range(width):
                word = int(words[at])
                magnitude = word & magnitudes
                rank = ZERO
                if magnitude != 0:
                    exponent = magnitude >> mantissa_bits
                    rank = reference - exponent
                    if rank < 0 or rank >= OTHER:
                        rank = OTHER
                        put_raw(work, raw, exponent, exponent_bits)
                    put_raw(
                        work, raw, (magnitude & mantissas) >> trailing, mantissa_bits - trailing
                    )
                if flags & HAS_NEGATIVES:
                    put_raw(work, raw, (word >> sign_bit) & 1, 1)
                ranks[at] = rank
                entry = class_of(ranks, y, x, at, width) * RANKS + rank
                entries[at] = entry
                counts[entry] = int(counts[entry]) + 1
                at += 1


@kernel
def scale_frequencies(counts: Int64, frequencies: Int64) -> None:
    """Scale counts to frequencies that add up to 256 in each class; ranks that occur get at least 1."""
    for one in range(CLASSES):
        total = 0
        for rank in range(RANKS):
            total += int(counts[one * RANKS + rank])
        left = 256
        most = one * RANKS
        for entry in range(one * RANKS, one * RANKS + RANKS):
            count = int(counts[entry])
            frequency = 0
            if count > 0:
                frequency = max((count * 256 + total // 2) // total, 1)
            frequencies[entry] = frequency
            left -= frequency
            if frequency > int(frequencies[most]):
                most = entry
        if total > 0:  # the most frequent rank has at least 16 of 256, so it absorbs the rounding
            frequencies[most] = int(frequencies[most]) + left


@kernel
def write_frequencies(data: Uint8, frequencies: Int64) -> int:
    """Write frequencies as a payload carries them; returns their size in bytes."""
    position = 0
    for one in range(CLASSES):
        mask = 0
        begin = position
        position += 2
        for rank in range(RANKS):
            frequency = int(frequencies[one * RANKS + rank])
            if frequency > 0:
                mask |= 0x8000 >> rank
                data[position] = frequency & 0xFF
                position += 1
        if mask > 0:
            position -= 1  # the last one is 256 minus the others
        data[begin] = mask >> 8
        data[begin + 1] = mask & 0xFF
    return position


@kernel
def code_ranks(data: Uint8, entries: Uint8, frequencies: Int64, starts: Int64) -> int:
    """Code all ranks, from the last to the first; returns the position of the first byte in ``data``."""
    position = int(data.shape[0])
    state = 0x10000
    for at in range(entries.shape[0] - 1, -1, -1):
        entry = int(entries[at]) & 0xFF
        frequency = int(frequencies[entry])
        if state >= frequency << 24:
            position -= 2
            data[position] = (state >> 8) & 0xFF
            data[position + 1] = state & 0xFF
            state >>= 16
        quotient = state // frequency
        state = (quotient << 8) + state - quotient * frequency + int(starts[entry])
    for i in range(4):
        position -= 1
        data[position] = (state >> (8 * i)) & 0xFF
    return position
