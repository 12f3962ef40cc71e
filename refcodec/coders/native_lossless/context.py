"""Context mode: exponents and leading mantissa bits by mixed contexts (clause 8.3.8.2).

A value is a word of sign, exponent and mantissa. In raster order of each channel, these decisions are coded
for every word: is it zero, its sign, does it repeat a neighbour, its exponent by steps up or down from the
expected one, and some leading bits of its mantissa. The remaining bits of the mantissa are noise and are
stored without a model. The *expected* value is computed from the neighbours west, north-west, north and
north-east, as linear *levels*: |value| in units of 2^-15 of the power of two that the header calls
``reference``.

One function, :func:`code_floats`, decodes and encodes: it uses the same contexts in the same order in both
directions.
"""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.header import HAS_NEGATIVES, HAS_REPEATS, HAS_ZEROS, refusal
from refcodec.coders.native_lossless.models import (
    BIT_CHANNEL,
    BIT_PLACE,
    BIT_WEIGHTS,
    RATE,
    REPEAT_PLACE,
    REPEAT_RUN,
    REPEAT_WEIGHTS,
    SIGN_PATTERN,
    SIGN_PLACE,
    SIGN_WEIGHTS,
    STEP_DEPTH,
    STEP_PLACE,
    STEP_WEIGHTS,
    ZERO_PATTERN,
    ZERO_PLACE,
    ZERO_WEIGHTS,
    adapt,
    begin_channel,
    initial_model,
    predict,
)
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, carry_raw, raw_size
from refcodec.entropy.arithmetic import CODE, POSITION, RANGE, carry, put_byte, start_decoding
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import announce_compilation, kernel

__all__ = ["code_floats", "decode_context"]

MOST_BITS = 6
"""Most leading bits of a mantissa that are modelled."""

MOST_STEPS = 16
"""Steps after which an exponent is stored in raw bits, which bounds the cost of one word."""

MOST_DECISIONS = 3 + MOST_STEPS + MOST_BITS
"""Most decisions of one word: zero, sign, repeat, the steps of its exponent, bits of its mantissa."""

BUFFER = 4096
"""Decisions that an encoder buffers before they are coded."""

LOGARITHMS = np.array(
    [0] + [8 * x.bit_length() - 7 + (16 * x >> x.bit_length()) % 8 for x in range(1, 256)]
)
"""Logarithms of 0..255, in eighths of an octave, linear within each: 0 for 0, 1 for 1, 9 for 2."""


# --- normative -------------------------------------------------------------------------------------


def decode_context(data: Uint8, words: Int32, shape: Int64, kind: Int64, header: Int64) -> None:
    """(8.3.8.2) Decode decisions from the front and raw bits from the end; no bytes may remain between."""
    announce_compilation("context.code_floats")
    work = np.zeros(WORK_SIZE, np.int64)
    words.fill(0)
    start_decoding(work, data)
    code_floats(work, data, data[::-1].copy(), True, words, shape, kind, header, *initial_model())
    # four bytes are read ahead, of which the encoder wrote one or two
    rest = data.size - raw_size(work) - (int(work[POSITION]) - 4)
    if not 1 <= rest <= 2:
        raise refusal("the payload does not end where its decisions meet its raw bits")


@kernel
def logarithm(x: int) -> int:
    """(8.3.8.2) Logarithm of a level, in eighths of an octave: 0 for 0, 1 for 1, 9 for 2; at most 127."""
    if x < 256:
        return int(LOGARITHMS[x])
    return min(int(LOGARITHMS[min(x >> 8, 255)]) + 64, 127)


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
def encode_decisions(work: Int64, data: Uint8, decided: Int32, count: int) -> None:
    """Code buffered decisions, each ``2 * probability + bit``. Informative: only an encoder has any."""
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
def code_floats(
    work: Int64, data: Uint8, raw: Uint8, decoding: bool, words: Int32, shape: Int64, kind: Int64,
    header: Int64, states: Int32, weights: Int64,
) -> None:  # fmt: skip
    """(8.3.8.2) Decode or encode the words of a feature.

    words  : int32, C * H * W; output of decoding, input of encoding.
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
    above = np.zeros(width + 2, np.int64)  # levels of the row above, from column -1 on
    # mean |level - expected| at each position over the channels so far, in eighths; one row and column more
    activity = np.zeros((height + 1) * (width + 1) + 1, np.int64)
    usual = 48  # running mean of reference - exponent, in sixteenths
    run = 0  # the last three outcomes of repeated
    decided = np.empty(BUFFER, np.int32)  # the encoder's decisions, with their probabilities
    made = 0
    for channel in range(channels):
        if height * width >= 16:
            begin_channel(states)
        for x in range(width + 2):
            above[x] = 0
        for y in range(height):
            if decoding and position > data.shape[0] + 4:
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
                mean = (160 * west + 160 * north - 90 * north_west + 30 * north_east + 128) >> 8
                gradient = west + north - north_west
                gradient = min(max(gradient, min(west, north)), max(west, north))
                expected = (mean + gradient) >> 1
                place = logarithm(abs(expected))
                spot = y * (width + 1) + x
                local = abs(west - north_west) + abs(north - north_west) + abs(north - north_east)
                busy = 2 * int(activity[spot]) + int(activity[spot + 1])
                busy += int(activity[spot + width + 1])
                spread = logarithm((local * 16 + busy) >> 5)
                foreseen = expected
                word = int(words[at])
                magnitude = word & magnitudes

                nonzero = 1
                if flags & HAS_ZEROS:
                    pattern = 0
                    if west != 0:
                        pattern += 1
                    if north != 0:
                        pattern += 2
                    if north_west != 0:
                        pattern += 4
                    if north_east != 0:
                        pattern += 8
                    if far_west != 0:
                        pattern += 16
                    first = ZERO_PATTERN + pattern
                    second = ZERO_PLACE + (place >> 2) * 16 + (spread >> 3)
                    chance = predict(states, weights, ZERO_WEIGHTS, first, second)
                    if decoding:
                        nonzero, interval, code, position = decode_decision(
                            interval, code, position, data, chance
                        )
                    else:
                        nonzero = min(magnitude, 1)
                        decided[made] = chance << 1 | nonzero
                        made += 1
                    error = ((nonzero << 16) - chance) * RATE
                    adapt(states, weights, ZERO_WEIGHTS, first, error, nonzero)
                    adapt(states, weights, ZERO_WEIGHTS + 1, second, error, nonzero)

                negative = 0
                if flags & HAS_NEGATIVES:
                    first = SIGN_PATTERN + nonzero * 9
                    first += (min(max(west, -1), 1) + 1) * 3 + min(max(north, -1), 1) + 1
                    second = SIGN_PLACE + (place >> 4) * 16 + (spread >> 4)
                    if expected < 0:
                        second += 8
                    chance = predict(states, weights, SIGN_WEIGHTS, first, second)
                    if decoding:
                        negative, interval, code, position = decode_decision(
                            interval, code, position, data, chance
                        )
                    else:
                        negative = (word >> sign_bit) & 1
                        decided[made] = chance << 1 | negative
                        made += 1
                    error = ((negative << 16) - chance) * RATE
                    adapt(states, weights, SIGN_WEIGHTS, first, error, negative)
                    adapt(states, weights, SIGN_WEIGHTS + 1, second, error, negative)
                    if negative == 1:
                        expected = -expected
                    place = logarithm(max(expected, 0))

                repeated = 0
                candidate = 0
                if flags & HAS_REPEATS and nonzero == 1:
                    if x > 0 and west != 0:
                        candidate = int(words[at - 1])
                    elif y > 0 and north != 0:
                        candidate = int(words[at - width])
                    if candidate != 0 and ((candidate >> sign_bit) & 1) == negative:
                        first = REPEAT_RUN + (run & 7)
                        second = REPEAT_PLACE + (run & 1)
                        if y > 0 and int(words[at - width]) == candidate:
                            second += 2
                        if y > 0 and x > 0 and int(words[at - width - 1]) == candidate:
                            second += 4
                        chance = predict(states, weights, REPEAT_WEIGHTS, first, second)
                        if decoding:
                            repeated, interval, code, position = decode_decision(
                                interval, code, position, data, chance
                            )
                        else:
                            repeated = 0
                            if word == candidate:
                                repeated = 1
                            decided[made] = chance << 1 | repeated
                            made += 1
                        error = ((repeated << 16) - chance) * RATE
                        adapt(states, weights, REPEAT_WEIGHTS, first, error, repeated)
                        adapt(states, weights, REPEAT_WEIGHTS + 1, second, error, repeated)
                        run = (run << 1 | repeated) & 7

                if repeated == 1:
                    magnitude = candidate & magnitudes
                elif nonzero == 1:
                    # the exponent: is it at least ``bound``? move up or down until the answer changes
                    exponent = magnitude >> mantissa_bits
                    bound = reference - (usual >> 4)
                    if place > 0:
                        bound = reference - 15 + ((place - 1) >> 3)
                    bound = min(max(bound, 1), high)
                    direction = 0
                    steps = 0
                    while bound >= 1 and bound <= high and steps < MOST_STEPS:
                        step = min(steps, 3)
                        if direction < 0:
                            step += 3
                        depth = min(max(reference - bound, 0), 31)
                        threshold = 121 - ((reference - bound) << 3)
                        distance = min(max(place - threshold + 32, 0), 63)
                        first = STEP_PLACE + (step * 64 + distance) * 8
                        first += min(max((spread - threshold + 32) >> 3, 0), 7)
                        second = STEP_DEPTH + depth * 64 + distance
                        at_weight = STEP_WEIGHTS + step * 2
                        chance = predict(states, weights, at_weight, first, second)
                        if decoding:
                            least, interval, code, position = decode_decision(
                                interval, code, position, data, chance
                            )
                        else:
                            least = 0
                            if exponent >= bound:
                                least = 1
                            decided[made] = chance << 1 | least
                            made += 1
                        error = ((least << 16) - chance) * RATE
                        adapt(states, weights, at_weight, first, error, least)
                        adapt(states, weights, at_weight + 1, second, error, least)
                        if direction == 0:
                            direction = 2 * least - 1
                        elif direction != 2 * least - 1:
                            break
                        bound += direction
                        steps += 1
                    if steps == MOST_STEPS:
                        exponent = carry_raw(
                            work, raw, decoding, exponent, sign_bit - mantissa_bits
                        )
                    elif direction > 0:
                        exponent = bound - 1
                    else:
                        exponent = bound
                    shift = reference - exponent
                    usual += ((shift << 4) - usual) >> 3

                    # the mantissa: the better the neighbours agree, the more bits are modelled
                    depth = min(max(shift, 0), 15)
                    threshold = 121 - (shift << 3)
                    modelled = 1
                    if expected != 0:
                        modelled = min(max(((threshold - spread) >> 3) + 2, 1), MOST_BITS)
                    modelled = min(modelled, mantissa_bits - trailing)
                    prefix = 1
                    for i in range(modelled):
                        half = 14 - i - shift  # log2 of half the interval that is left, in levels
                        distance = 16
                        if half >= 0 and shift >= 0:
                            distance += ((expected - ((2 * prefix + 1) << half)) << 2) >> half
                            distance = min(max(distance, 0), 31)
                        first = BIT_PLACE + (i * 32 + distance) * 8
                        first += min(max((spread - threshold + (i << 3) + 32) >> 3, 0), 7)
                        second = BIT_CHANNEL + depth * 8 + min(prefix, 7)
                        at_weight = BIT_WEIGHTS + i * 2
                        chance = predict(states, weights, at_weight, first, second)
                        if decoding:
                            bit, interval, code, position = decode_decision(
                                interval, code, position, data, chance
                            )
                        else:
                            bit = (magnitude >> (mantissa_bits - 1 - i)) & 1
                            decided[made] = chance << 1 | bit
                            made += 1
                        error = ((bit << 16) - chance) * RATE
                        adapt(states, weights, at_weight, first, error, bit)
                        adapt(states, weights, at_weight + 1, second, error, bit)
                        prefix = 2 * prefix + bit
                    count = mantissa_bits - modelled - trailing
                    rest = (magnitude >> trailing) & ((1 << count) - 1)
                    rest = carry_raw(work, raw, decoding, rest, count)
                    magnitude = (((prefix - (1 << modelled)) << count) | rest) << trailing
                    magnitude |= exponent << mantissa_bits

                level = 0
                if nonzero == 1:
                    shift = reference - (magnitude >> mantissa_bits)
                    level = 65535
                    if shift >= 0:
                        level = (magnitude & ((1 << mantissa_bits) - 1)) | (1 << mantissa_bits)
                        level = max(((level << 16) >> (mantissa_bits + 1)) >> min(shift, 16), 1)
                    if negative == 1:
                        level = -level
                if decoding:
                    if nonzero == 0:
                        magnitude = 0
                    if negative == 1:
                        magnitude |= -1 << sign_bit
                    if sign_bit < 31:
                        magnitude &= (2 << sign_bit) - 1
                    words[at] = magnitude
                elif made > BUFFER - MOST_DECISIONS:
                    encode_decisions(work, data, decided, made)
                    made = 0
                error = (abs(level - foreseen) << 3) - int(activity[spot])
                activity[spot] = int(activity[spot]) + (error >> 2)
                above[x + 1] = level
                north_west = north
                far_west = west
                west = level
    if decoding:
        work[POSITION] = position
    encode_decisions(work, data, decided, made)
