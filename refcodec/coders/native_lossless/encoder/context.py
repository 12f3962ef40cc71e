"""Encoding in the context mode: the decisions of the decoder, taken from the words."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.contexts import (
    MOST_DECISIONS,
    MOST_STEPS,
    bit_states,
    expected_spread,
    expected_value,
    first_bound,
    linear_value,
    logarithm,
    modelled_bits,
    repeat_candidate,
    repeat_states,
    sign_states,
    step_states,
    zero_states,
)
from refcodec.coders.native_lossless.header import HAS_NEGATIVES, HAS_REPEATS, HAS_ZEROS
from refcodec.coders.native_lossless.models import (
    BIT_WEIGHTS,
    REPEAT_WEIGHTS,
    SIGN_WEIGHTS,
    STEP_WEIGHTS,
    ZERO_WEIGHTS,
    begin_channel,
    initial_model,
    learn,
    predict,
)
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, finish_raw, put_raw
from refcodec.entropy.arithmetic import CODE, POSITION, RANGE, carry, put_byte, start_encoding
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["encode_context", "encode_floats"]

BUFFER = 4096
"""Decisions that are buffered before they are coded."""


def encode_context(words: Int32, shape: Int64, kind: Int64, header: Int64, size: int) -> bytes:
    """Encode decisions and raw bits; returns b'' if they take more than ``size`` bytes."""
    work = np.zeros(WORK_SIZE, np.int64)
    data, raw = np.empty(size + 8, np.uint8), np.empty(size + 8, np.uint8)
    start_encoding(work)
    encode_floats(work, data, raw, words, shape, kind, header, *initial_model())
    coded, rest = finish_floats(work, data), finish_raw(work, raw)
    return data[:coded].tobytes() + raw[:rest][::-1].tobytes() if coded + rest <= size else b""


@kernel
def encode_floats(
    work: Int64, data: Uint8, raw: Uint8, words: Int32, shape: Int64, kind: Int64, header: Int64,
    states: Int32, weights: Int64,
) -> None:  # fmt: skip
    """Encode the words of a feature; the inverse of ``context.decode_floats``, whose arguments it takes."""
    channels, height, width = int(shape[0]), int(shape[1]), int(shape[2])
    mantissa_bits, sign_bit = int(kind[0]), int(kind[1])
    flags, high = int(header[0]), int(header[1])
    reference, trailing = int(header[2]), int(header[3])
    magnitudes = (1 << sign_bit) - 1
    above = np.zeros(width + 2, np.int64)
    activity = np.zeros((height + 1) * (width + 1) + 1, np.int64)
    usual = 48
    run = 0
    decided = np.empty(BUFFER, np.int32)  # decisions, with their probabilities
    made = 0
    for channel in range(channels):
        if height * width >= 16:
            begin_channel(states)
        for x in range(width + 2):
            above[x] = 0
        for y in range(height):
            west = int(above[1])
            north_west = west
            far_west = west
            above[width + 1] = int(above[width])
            for x in range(width):
                at = (channel * height + y) * width + x
                north = int(above[x + 1])
                north_east = int(above[x + 2])
                if y == 0:
                    north = west
                    north_west = west
                    north_east = west
                foreseen = expected_value(west, north, north_west, north_east)
                place = logarithm(abs(foreseen))
                spot = y * (width + 1) + x
                spread = expected_spread(activity, spot, width, west, north, north_west, north_east)
                word = int(words[at])
                magnitude = word & magnitudes
                nonzero = min(magnitude, 1)
                negative = (word >> sign_bit) & 1

                if flags & HAS_ZEROS:
                    first, second = zero_states(
                        west, north, north_west, north_east, far_west, place, spread
                    )
                    chance = predict(states, weights, ZERO_WEIGHTS, first, second)
                    decided[made] = chance << 1 | nonzero
                    made += 1
                    learn(states, weights, ZERO_WEIGHTS, first, second, chance, nonzero)

                expected = foreseen
                if flags & HAS_NEGATIVES:
                    first, second = sign_states(nonzero, west, north, foreseen, place, spread)
                    chance = predict(states, weights, SIGN_WEIGHTS, first, second)
                    decided[made] = chance << 1 | negative
                    made += 1
                    learn(states, weights, SIGN_WEIGHTS, first, second, chance, negative)
                    if negative == 1:
                        expected = -foreseen
                    place = logarithm(max(expected, 0))

                repeated = 0
                if flags & HAS_REPEATS and nonzero == 1:
                    candidate = repeat_candidate(words, at, y, x, width, west, north)
                    if candidate != 0 and ((candidate >> sign_bit) & 1) == negative:
                        first, second = repeat_states(words, at, y, x, width, candidate, run)
                        chance = predict(states, weights, REPEAT_WEIGHTS, first, second)
                        repeated = int(word == candidate)
                        decided[made] = chance << 1 | repeated
                        made += 1
                        learn(states, weights, REPEAT_WEIGHTS, first, second, chance, repeated)
                        run = (run << 1 | repeated) & 7

                if nonzero == 1 and repeated == 0:
                    exponent = magnitude >> mantissa_bits
                    bound = first_bound(reference, high, usual, place)
                    direction = 0
                    steps = 0
                    while bound >= 1 and bound <= high and steps < MOST_STEPS:
                        step = min(steps, 3) + 3 * int(direction < 0)
                        first, second = step_states(step, reference - bound, place, spread)
                        weight = STEP_WEIGHTS + step * 2
                        chance = predict(states, weights, weight, first, second)
                        least = int(exponent >= bound)
                        decided[made] = chance << 1 | least
                        made += 1
                        learn(states, weights, weight, first, second, chance, least)
                        if direction == 0:
                            direction = 2 * least - 1
                        elif direction != 2 * least - 1:
                            break
                        bound += direction
                        steps += 1
                    if steps == MOST_STEPS:
                        put_raw(work, raw, exponent, sign_bit - mantissa_bits)
                    shift = reference - exponent
                    usual += (16 * shift - usual) >> 3

                    modelled = modelled_bits(expected, spread, shift, mantissa_bits - trailing)
                    prefix = 1
                    for i in range(modelled):
                        first, second = bit_states(i, prefix, shift, expected, spread)
                        weight = BIT_WEIGHTS + i * 2
                        chance = predict(states, weights, weight, first, second)
                        bit = (magnitude >> (mantissa_bits - 1 - i)) & 1
                        decided[made] = chance << 1 | bit
                        made += 1
                        learn(states, weights, weight, first, second, chance, bit)
                        prefix = 2 * prefix + bit
                    count = mantissa_bits - modelled - trailing
                    put_raw(work, raw, (magnitude >> trailing) & ((1 << count) - 1), count)

                if made > BUFFER - MOST_DECISIONS:
                    encode_decisions(work, data, decided, made)
                    made = 0
                value = 0
                if nonzero == 1:
                    value = linear_value(magnitude, negative, reference, mantissa_bits)
                error = 8 * abs(value - foreseen) - int(activity[spot])
                activity[spot] = int(activity[spot]) + (error >> 2)
                above[x + 1] = value
                north_west = north
                far_west = west
                west = value
    encode_decisions(work, data, decided, made)


@kernel
def encode_decisions(work: Int64, data: Uint8, decided: Int32, count: int) -> None:
    """Code buffered decisions, each ``2 * probability + bit``."""
    width = int(work[RANGE])  # a variable instead of an array element: half the time
    low = int(work[CODE])
    for i in range(count):
        one = int(decided[i])
        split = (width * (one >> 1)) >> 16
        if one & 1:
            width = split
        else:
            low += split
            width -= split
        while width < 0x1000000:
            if low >= 0x100000000:
                low -= 0x100000000
                carry(work, data)
            put_byte(work, data, low >> 24)
            low = (low << 8) & 0xFFFFFFFF
            width <<= 8
    if low >= 0x100000000:
        low -= 0x100000000
        carry(work, data)
    work[RANGE] = width
    work[CODE] = low


@kernel
def finish_floats(work: Int64, data: Uint8) -> int:
    """Write the fewest bytes, at most two, that give a number in the interval whatever bytes follow.

    Returns the size of what was coded, in bytes; raw bits may follow at once.
    """
    low = int(work[CODE])
    high = low + int(work[RANGE]) - 1
    free = 24
    number = ((low + (1 << free) - 1) >> free) << free
    if number + (1 << free) - 1 > high:
        free = 16
        number = ((low + (1 << free) - 1) >> free) << free
    if number >= 0x100000000:
        carry(work, data)
    for shift in range(24, free - 1, -8):
        put_byte(work, data, (number >> shift) & 0xFF)
    return int(work[POSITION])
