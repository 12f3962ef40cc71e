"""Context mode: exponents and leading mantissa bits by mixed contexts (clause 8.3.8.2).

A value is a word of sign, exponent and mantissa. In raster order of each channel, these decisions are coded
for every word: is it zero, its sign, does it repeat a neighbour, its exponent by steps up or down from the
expected one, and some leading bits of its mantissa. The remaining bits of the mantissa are noise and are
stored without a model. The *expected* value is computed from the neighbours west, north-west, north and
north-east, as *linear values*: in units of 2^-15 of the power of two that the header calls ``reference``.

This is the decoder. The encoder (`encoder.context`) takes the same decisions in the same order, with the same
contexts (`contexts`) and models (`models`).
"""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.contexts import (
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
from refcodec.coders.native_lossless.header import HAS_NEGATIVES, HAS_REPEATS, HAS_ZEROS, refusal
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
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, raw_size, take_raw
from refcodec.entropy.arithmetic import CODE, POSITION, RANGE, start_decoding
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["decode_context", "decode_floats"]


# --- normative -------------------------------------------------------------------------------------


def decode_context(data: Uint8, words: Int32, shape: Int64, kind: Int64, header: Int64) -> None:
    """(8.3.8.2) Decode decisions from the front and raw bits from the end; no bytes may remain between."""
    work = np.zeros(WORK_SIZE, np.int64)
    words.fill(0)
    start_decoding(work, data)
    decode_floats(work, data, data[::-1].copy(), words, shape, kind, header, *initial_model())
    # four bytes are read ahead, of which the encoder wrote one or two
    rest = data.size - raw_size(work) - (int(work[POSITION]) - 4)
    if not 1 <= rest <= 2:
        raise refusal("the payload does not end where its decisions meet its raw bits")


@kernel
def decode_decision(
    interval: int, code: int, position: int, data: Uint8, chance: int
) -> tuple[int, int, int, int]:
    """(8.3.8.2) ``decode_bit`` of 8.9.1 with its state in variables; returns the bit and the new state."""
    split = (interval * chance) >> 16
    bit = 0
    if code < split:
        bit = 1
        interval = split
    else:
        code -= split
        interval -= split
    while interval < 0x1000000:
        interval <<= 8
        code <<= 8
        if position < data.shape[0]:
            code |= int(data[position]) & 0xFF
        position += 1
    return bit, interval, code & 0xFFFFFFFFFF, position


@kernel
def decode_floats(
    work: Int64, data: Uint8, raw: Uint8, words: Int32, shape: Int64, kind: Int64, header: Int64,
    states: Int32, weights: Int64,
) -> None:  # fmt: skip
    """(8.3.8.2) Decode the words of a feature.

    words  : int32, C * H * W; receives them, 0 at first.
    shape  : C, H, W.
    kind   : bits of the mantissa, and the position of the sign bit.
    header : flags, highest exponent, reference exponent, trailing zero bits of all mantissas.
    states, weights : initial ones, which are adapted.
    """
    channels, height, width = int(shape[0]), int(shape[1]), int(shape[2])
    mantissa_bits, sign_bit = int(kind[0]), int(kind[1])
    flags, high = int(header[0]), int(header[1])
    reference, trailing = int(header[2]), int(header[3])
    interval, code, position = int(work[RANGE]), int(work[CODE]), int(work[POSITION])
    magnitudes = (1 << sign_bit) - 1
    above = np.zeros(width + 2, np.int64)  # linear values of the row above, from column -1 on
    # mean |value - expected| at each position over the channels so far, in eighths; one row and column more
    activity = np.zeros((height + 1) * (width + 1) + 1, np.int64)
    usual = 48  # running mean of reference - exponent, in sixteenths
    run = 0  # the last three outcomes of repeated
    for channel in range(channels):
        if height * width >= 16:
            begin_channel(states)
        for x in range(width + 2):
            above[x] = 0
        for y in range(height):
            if position > data.shape[0] + 4:
                break  # the payload has ended and will be refused
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

                nonzero = 1
                if flags & HAS_ZEROS:
                    first, second = zero_states(
                        west, north, north_west, north_east, far_west, place, spread
                    )
                    chance = predict(states, weights, ZERO_WEIGHTS, first, second)
                    nonzero, interval, code, position = decode_decision(
                        interval, code, position, data, chance
                    )
                    learn(states, weights, ZERO_WEIGHTS, first, second, chance, nonzero)

                negative = 0
                expected = foreseen
                if flags & HAS_NEGATIVES:
                    first, second = sign_states(nonzero, west, north, foreseen, place, spread)
                    chance = predict(states, weights, SIGN_WEIGHTS, first, second)
                    negative, interval, code, position = decode_decision(
                        interval, code, position, data, chance
                    )
                    learn(states, weights, SIGN_WEIGHTS, first, second, chance, negative)
                    if negative == 1:
                        expected = -foreseen
                    place = logarithm(max(expected, 0))

                repeated = 0
                candidate = 0
                if flags & HAS_REPEATS and nonzero == 1:
                    candidate = repeat_candidate(words, at, y, x, width, west, north)
                    if candidate != 0 and ((candidate >> sign_bit) & 1) == negative:
                        first, second = repeat_states(words, at, y, x, width, candidate, run)
                        chance = predict(states, weights, REPEAT_WEIGHTS, first, second)
                        repeated, interval, code, position = decode_decision(
                            interval, code, position, data, chance
                        )
                        learn(states, weights, REPEAT_WEIGHTS, first, second, chance, repeated)
                        run = (run << 1 | repeated) & 7

                magnitude = 0
                if repeated == 1:
                    magnitude = candidate & magnitudes
                elif nonzero == 1:
                    # the exponent: is it at least ``bound``? move up or down until the answer changes
                    bound = first_bound(reference, high, usual, place)
                    direction = 0
                    steps = 0
                    while bound >= 1 and bound <= high and steps < MOST_STEPS:
                        step = min(steps, 3) + 3 * int(direction < 0)
                        first, second = step_states(step, reference - bound, place, spread)
                        weight = STEP_WEIGHTS + step * 2
                        chance = predict(states, weights, weight, first, second)
                        least, interval, code, position = decode_decision(
                            interval, code, position, data, chance
                        )
                        learn(states, weights, weight, first, second, chance, least)
                        if direction == 0:
                            direction = 2 * least - 1
                        elif direction != 2 * least - 1:
                            break
                        bound += direction
                        steps += 1
                    exponent = bound - int(direction > 0)
                    if steps == MOST_STEPS:
                        exponent = take_raw(work, raw, sign_bit - mantissa_bits)
                    shift = reference - exponent
                    usual += (16 * shift - usual) >> 3

                    # the mantissa: some bits by decisions, then raw bits, then zeros
                    modelled = modelled_bits(expected, spread, shift, mantissa_bits - trailing)
                    prefix = 1
                    for i in range(modelled):
                        first, second = bit_states(i, prefix, shift, expected, spread)
                        weight = BIT_WEIGHTS + i * 2
                        chance = predict(states, weights, weight, first, second)
                        bit, interval, code, position = decode_decision(
                            interval, code, position, data, chance
                        )
                        learn(states, weights, weight, first, second, chance, bit)
                        prefix = 2 * prefix + bit
                    count = mantissa_bits - modelled - trailing
                    rest = take_raw(work, raw, count)
                    magnitude = (((prefix - (1 << modelled)) << count) | rest) << trailing
                    magnitude |= exponent << mantissa_bits

                value = 0
                if nonzero == 1:
                    value = linear_value(magnitude, negative, reference, mantissa_bits)
                word = magnitude | negative << sign_bit
                words[at] = word - (word >> 31 << 32)  # as a signed integer of 32 bits
                error = 8 * abs(value - foreseen) - int(activity[spot])
                activity[spot] = int(activity[spot]) + (error >> 2)
                above[x + 1] = value
                north_west = north
                far_west = west
                west = value
    work[POSITION] = position
