"""The lossless float coder, fast mode: exponents by static frequencies, signs and mantissas raw (8.3.8.3).

The *rank* of a value says how far its exponent lies below the header's ``reference``: 0 to 13; 14 where
the exponent is another, which then follows as raw bits; 15 for zero. Ranks are coded by range asymmetric
numeral systems (Duda 2013), with frequencies that the payload carries, in units of 1/256, for each of
eight classes: the mean rank of the neighbours west and north, halved.
"""

from __future__ import annotations

from refcodec.entropy.floats import HAS_NEGATIVES, carry_raw
from refcodec.kernel import kernel

__all__ = [
    "CLASSES",
    "OTHER",
    "RANKS",
    "ZERO",
    "code_ranks",
    "count_ranks",
    "decode_fast",
    "scale_frequencies",
    "spread_frequencies",
    "write_frequencies",
]

CLASSES = 8
RANKS = 16
OTHER = 14
ZERO = 15


# --- normative -------------------------------------------------------------------------------------


@kernel
def spread_frequencies(frequencies, slots, starts):
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
def class_of(ranks, y, x, at, width):
    """(8.3.8.3) The class of a value by the ranks of its neighbours west and north; at first, one or none."""
    if x > 0:
        west = int(ranks[at - 1]) & 0xFF
        if y > 0:
            return (west + (int(ranks[at - width]) & 0xFF) + 1) >> 2
        return (2 * west + 1) >> 2
    if y > 0:
        return (2 * (int(ranks[at - width]) & 0xFF) + 1) >> 2
    return 0


@kernel
def decode_fast(work, data, raw, words, ranks, shape, kind, header, frequencies, slots, starts):
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
                        exponent = carry_raw(work, raw, True, 0, exponent_bits)
                    word = carry_raw(work, raw, True, 0, mantissa_bits - trailing) << trailing
                    word |= exponent << mantissa_bits
                if flags & HAS_NEGATIVES and carry_raw(work, raw, True, 0, 1) == 1:
                    word |= -1 << sign_bit
                    if sign_bit == 15:
                        word &= 0xFFFF
                words[at] = word
                at += 1
    if state != 0x10000:
        return -1
    return position


# --- informative: the encoder's half ---------------------------------------------------------------


@kernel
def count_ranks(work, raw, words, ranks, entries, shape, kind, header, counts):
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
                        carry_raw(work, raw, False, exponent, exponent_bits)
                    carry_raw(
                        work,
                        raw,
                        False,
                        (magnitude & mantissas) >> trailing,
                        mantissa_bits - trailing,
                    )
                if flags & HAS_NEGATIVES:
                    carry_raw(work, raw, False, (word >> sign_bit) & 1, 1)
                ranks[at] = rank
                entry = class_of(ranks, y, x, at, width) * RANKS + rank
                entries[at] = entry
                counts[entry] = int(counts[entry]) + 1
                at += 1


@kernel
def scale_frequencies(counts, frequencies):
    """Counts to frequencies that add up to 256 in each class; no rank that occurs gets 0."""
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
        if total > 0:  # the most frequent rank has at least 16 of 256: it can give what is missing
            frequencies[most] = int(frequencies[most]) + left


@kernel
def write_frequencies(data, frequencies):
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
            position -= 1  # the last one is what the others leave
        data[begin] = mask >> 8
        data[begin + 1] = mask & 0xFF
    return position


@kernel
def code_ranks(data, entries, frequencies, starts):
    """Code all ranks, from the last to the first; returns where in ``data`` the result begins."""
    position = data.shape[0]
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
