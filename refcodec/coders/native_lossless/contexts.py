"""Contexts of the decisions of a word, and what its neighbours let expect (clause 8.3.8.2).

The functions take integers and return integers: decoder and encoder call the same ones, in the same order.
"""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.models import (
    BIT_CHANNEL,
    BIT_PLACE,
    REPEAT_PLACE,
    REPEAT_RUN,
    SIGN_PATTERN,
    SIGN_PLACE,
    STEP_DEPTH,
    STEP_PLACE,
    ZERO_PATTERN,
    ZERO_PLACE,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined, kernel

__all__ = [
    "MOST_BITS",
    "MOST_DECISIONS",
    "MOST_STEPS",
    "bit_states",
    "expected_spread",
    "expected_value",
    "first_bound",
    "linear_value",
    "logarithm",
    "modelled_bits",
    "repeat_candidate",
    "repeat_states",
    "sign_states",
    "step_states",
    "zero_states",
]

MOST_BITS = 6
"""Most leading bits of a mantissa that are modelled."""

MOST_STEPS = 16
"""Steps after which an exponent is stored in raw bits, which bounds the cost of one word."""

MOST_DECISIONS = 3 + MOST_STEPS + MOST_BITS
"""Most decisions of one word: zero, sign, repeat, the steps of its exponent, bits of its mantissa."""

LOGARITHMS = np.array(
    [0] + [8 * x.bit_length() - 7 + (16 * x >> x.bit_length()) % 8 for x in range(1, 256)]
)
"""Logarithms of 0..255, in eighths of an octave, linear within each: 0 for 0, 1 for 1, 9 for 2."""


# --- normative -------------------------------------------------------------------------------------


@kernel
def logarithm(x: int) -> int:
    """(8.3.8.2) Logarithm in eighths of an octave: 0 for 0, 1 for 1, 9 for 2; at most 127."""
    if x < 256:
        return int(LOGARITHMS[x])
    return min(int(LOGARITHMS[min(x >> 8, 255)]) + 64, 127)


@kernel
def expected_value(west: int, north: int, north_west: int, north_east: int) -> int:
    """(8.3.8.2) The value to be expected: the mean of a linear prediction and of a limited gradient."""
    mean = (160 * west + 160 * north - 90 * north_west + 30 * north_east + 128) >> 8
    gradient = west + north - north_west
    gradient = min(max(gradient, min(west, north)), max(west, north))
    return (mean + gradient) >> 1


@inlined
def expected_spread(
    activity: Int64, spot: int, width: int, west: int, north: int, north_west: int, north_east: int
) -> int:
    """(8.3.8.2) Logarithm of the error to be expected.

    activity : mean error at each position over the channels so far, in eighths, rows of ``width`` + 1.
    """
    local = abs(west - north_west) + abs(north - north_west) + abs(north - north_east)
    busy = 2 * int(activity[spot]) + int(activity[spot + 1]) + int(activity[spot + width + 1])
    return logarithm((local * 16 + busy) >> 5)


@kernel
def zero_states(
    west: int, north: int, north_west: int, north_east: int, far_west: int, place: int, spread: int
) -> tuple[int, int]:
    """(8.3.8.2) The states that predict whether a magnitude is other than 0."""
    pattern = int(west != 0) + 2 * int(north != 0) + 4 * int(north_west != 0)
    pattern += 8 * int(north_east != 0) + 16 * int(far_west != 0)
    return ZERO_PATTERN + pattern, ZERO_PLACE + (place >> 2) * 16 + (spread >> 3)


@kernel
def sign_states(
    nonzero: int, west: int, north: int, expected: int, place: int, spread: int
) -> tuple[int, int]:
    """(8.3.8.2) The states that predict whether the sign is 1."""
    first = SIGN_PATTERN + nonzero * 9
    first += (min(max(west, -1), 1) + 1) * 3 + min(max(north, -1), 1) + 1
    second = SIGN_PLACE + (place >> 4) * 16 + (spread >> 4) + 8 * int(expected < 0)
    return first, second


@inlined
def repeat_candidate(
    words: Int32, at: int, y: int, x: int, width: int, west: int, north: int
) -> int:
    """(8.3.8.2) The word that may be repeated: to the west, or else to the north; 0 if there is none."""
    if x > 0 and west != 0:
        return int(words[at - 1])
    if y > 0 and north != 0:
        return int(words[at - width])
    return 0


@inlined
def repeat_states(
    words: Int32, at: int, y: int, x: int, width: int, candidate: int, run: int
) -> tuple[int, int]:
    """(8.3.8.2) The states that predict whether a word repeats the candidate.

    run : the last three decisions of this kind, the latest one in bit 0.
    """
    second = REPEAT_PLACE + (run & 1)
    if y > 0 and int(words[at - width]) == candidate:
        second += 2
    if y > 0 and x > 0 and int(words[at - width - 1]) == candidate:
        second += 4
    return REPEAT_RUN + run, second


@kernel
def first_bound(reference: int, high: int, usual: int, place: int) -> int:
    """(8.3.8.2) The exponent with which the steps begin.

    usual : running mean of reference - exponent, in sixteenths.
    """
    bound = reference - (usual >> 4)
    if place > 0:
        bound = reference - 15 + ((place - 1) >> 3)
    return min(max(bound, 1), high)


@kernel
def step_states(step: int, shift: int, place: int, spread: int) -> tuple[int, int]:
    """(8.3.8.2) The states that predict a step of the exponent.

    step  : 0 for the first one, 1 to 3 for those upwards, 4 to 6 for those downwards.
    shift : reference - bound.
    """
    threshold = 121 - 8 * shift
    distance = min(max(place - threshold + 32, 0), 63)
    first = STEP_PLACE + (step * 64 + distance) * 8
    first += min(max((spread - threshold + 32) >> 3, 0), 7)
    return first, STEP_DEPTH + min(max(shift, 0), 31) * 64 + distance


@kernel
def modelled_bits(expected: int, spread: int, shift: int, most: int) -> int:
    """(8.3.8.2) The number of leading bits of a mantissa that are decisions, at most ``most``.

    The better the neighbours agree, the more. ``shift`` is reference - exponent.
    """
    modelled = 1
    if expected != 0:
        modelled = min(max(((121 - 8 * shift - spread) >> 3) + 2, 1), MOST_BITS)
    return min(modelled, most)


@kernel
def bit_states(i: int, prefix: int, shift: int, expected: int, spread: int) -> tuple[int, int]:
    """(8.3.8.2) The states that predict bit ``i`` of a mantissa, counted from the most significant.

    prefix : a 1, then the bits of the mantissa that precede it.
    shift  : reference - exponent.
    """
    half = 14 - i - shift  # log2 of half the interval of values that is left
    distance = 16
    if half >= 0 and shift >= 0:
        distance += (4 * (expected - ((2 * prefix + 1) << half))) >> half
        distance = min(max(distance, 0), 31)
    first = BIT_PLACE + (i * 32 + distance) * 8
    first += min(max((spread - (121 - 8 * shift) + 8 * i + 32) >> 3, 0), 7)
    return first, BIT_CHANNEL + min(max(shift, 0), 15) * 8 + min(prefix, 7)


@kernel
def linear_value(magnitude: int, negative: int, reference: int, mantissa_bits: int) -> int:
    """(8.3.8.2) The linear value of a word that is not 0."""
    shift = reference - (magnitude >> mantissa_bits)
    value = 65535
    if shift >= 0:
        value = (magnitude & ((1 << mantissa_bits) - 1)) | (1 << mantissa_bits)
        value = max(((value << 16) >> (mantissa_bits + 1)) >> min(shift, 16), 1)
    return -value if negative == 1 else value
