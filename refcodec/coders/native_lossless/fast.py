"""Fast mode: exponents by static frequencies, signs and mantissas raw (clause 8.3.8.3).

The *rank* of a value is the distance of its exponent below the header's ``reference``, 0 to 13; 14 for any
other exponent, which then follows in raw bits; 15 for zero. Ranks are coded by range asymmetric numeral
systems (Duda 2013), with frequencies from the payload, in units of 1/256, for each of eight classes: half the
mean rank of the neighbours west and north.
"""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.header import HAS_NEGATIVES, refusal
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, raw_size, take_raw
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = [
    "CLASSES",
    "OTHER",
    "RANKS",
    "ZERO",
    "class_of",
    "decode_fast",
    "decode_ranks",
    "spread_frequencies",
]

CLASSES = 8
RANKS = 16
OTHER = 14
ZERO = 15


# --- normative -------------------------------------------------------------------------------------


def decode_fast(data: Uint8, words: Int32, shape: Int64, kind: Int64, header: Int64) -> None:
    """(8.3.8.3) Decode frequencies and ranks from the front, raw bits from the end; no bytes may remain."""
    frequencies, begin = read_frequencies(data[: CLASSES * (RANKS + 2)].tobytes())
    data = data[begin:]
    if data.size < 4:
        raise refusal("fewer than four bytes follow the frequencies")
    slots, starts = np.zeros(CLASSES * 256, np.uint8), np.zeros(CLASSES * RANKS, np.int64)
    spread_frequencies(frequencies, slots, starts)
    work, ranks = np.zeros(WORK_SIZE, np.int64), np.empty(words.size, np.uint8)
    read = decode_ranks(
        work, data, data[::-1].copy(), words, ranks, shape, kind, header, frequencies, slots, starts
    )
    if read < 0 or read + raw_size(work) != data.size:
        raise refusal("the payload does not end where its ranks meet its raw bits")


def read_frequencies(data: bytes) -> tuple[Int64, int]:
    """(8.3.8.3) Read, per class, 16 bits for the ranks that occur, and their frequencies but the last."""
    frequencies = np.zeros(CLASSES * RANKS, np.int64)
    at = 0
    for one in range(CLASSES):
        if at + 2 > len(data):
            raise refusal(f"the payload ends before the frequencies of class {one}")
        present = data[at] << 8 | data[at + 1]
        at += 2
        left = 256
        for rank in range(RANKS):
            bit = 0x8000 >> rank & present
            if bit == 0:
                continue
            frequency = left  # of the last rank of a class
            if present & (bit - 1):
                if at == len(data):
                    raise refusal(f"the payload ends within the frequencies of class {one}")
                frequency = data[at]
                at += 1
                left -= frequency
            if frequency < 1:
                raise refusal(f"the frequencies of class {one} do not add up to 256, or one is 0")
            frequencies[one * RANKS + rank] = frequency
    return frequencies, at


@kernel
def spread_frequencies(frequencies: Int64, slots: Uint8, starts: Int64) -> None:
    """(8.3.8.3) The rank of each of the 256 slots of each class, and each rank's first slot.

    frequencies : int64, 8 x 16; each class adds up to 256, or to 0 where it is not used.
    """
    for one in range(CLASSES):
        slot = 0
        for rank in range(RANKS):
            starts[one * RANKS + rank] = slot
            for _ in range(int(frequencies[one * RANKS + rank])):
                slots[one * 256 + slot] = rank
                slot += 1


@kernel
def class_of(ranks: Uint8, y: int, x: int, at: int, width: int) -> int:
    """(8.3.8.3) The class of a value by the ranks of its neighbours west and north, if there are any."""
    if x > 0:
        west = int(ranks[at - 1]) & 0xFF
        if y > 0:
            return (west + (int(ranks[at - width]) & 0xFF) + 1) >> 2
        return (2 * west + 1) >> 2
    if y > 0:
        return (2 * (int(ranks[at - width]) & 0xFF) + 1) >> 2
    return 0


@kernel
def decode_ranks(
    work: Int64, data: Uint8, raw: Uint8, words: Int32, ranks: Uint8, shape: Int64, kind: Int64,
    header: Int64, frequencies: Int64, slots: Uint8, starts: Int64,
) -> int:  # fmt: skip
    """(8.3.8.3) Decode the words of a feature; returns the bytes of ``data`` read, or -1.

    The first four bytes are the state, most significant first. "It shall be 2^16 at the end."
    """
    channels, height, width = int(shape[0]), int(shape[1]), int(shape[2])
    mantissa_bits, sign_bit = int(kind[0]), int(kind[1])
    flags, reference, trailing = int(header[0]), int(header[2]), int(header[3])
    exponent_bits = sign_bit - mantissa_bits
    state = 0
    position = 4
    for i in range(4):
        state = state << 8 | (int(data[i]) & 0xFF)
    at = 0
    for _ in range(channels):
        for y in range(height):
            for x in range(width):
                one = class_of(ranks, y, x, at, width)
                slot = state & 0xFF
                rank = int(slots[one * 256 + slot]) & 0xFF
                entry = one * RANKS + rank
                state = int(frequencies[entry]) * (state >> 8) + slot - int(starts[entry])
                if state < 0x10000:
                    state <<= 16
                    if position + 1 < data.shape[0]:
                        state |= (int(data[position]) & 0xFF) << 8 | (
                            int(data[position + 1]) & 0xFF
                        )
                    position += 2
                ranks[at] = rank
                word = 0
                if rank != ZERO:
                    exponent = max(reference - rank, 0)
                    if rank == OTHER:
                        exponent = take_raw(work, raw, exponent_bits)
                    word = take_raw(work, raw, mantissa_bits - trailing) << trailing
                    word |= exponent << mantissa_bits
                if flags & HAS_NEGATIVES:
                    word |= take_raw(work, raw, 1) << sign_bit
                    word -= word >> 31 << 32  # as a signed integer of 32 bits
                words[at] = word
                at += 1
    if state != 0x10000:
        return -1
    return position
