"""Decisions, families and classes of contexts (clause 8.3.7.3).

A *decision* is predicted by six states, each selected by a context of its own. Decisions of one *family* (of
coefficients, of first levels, ...) share states and weights.
"""

from __future__ import annotations

from refcodec.coders.native.workspace import Workspace
from refcodec.entropy.arithmetic import code_bit, code_golomb
from refcodec.entropy.arrays import Int64, Uint8
from refcodec.entropy.mixing import adapt, mix, stretch
from refcodec.kernel import inlined, kernel
from refcodec.tables.families import FAMILIES, INPUTS, STATES, WEIGHT_SETS, Family

__all__ = [
    "FAMILIES",
    "INPUTS",
    "LONGEST_UNARY",
    "STATES",
    "WEIGHT_SETS",
    "Contexts",
    "Family",
    "bit_length",
    "bucket",
    "code_decision",
    "code_magnitude",
    "sign_class",
    "size_class",
]

RATE = 4
"""Learning rate of the weights, in units of 2^-16."""

COUNT_LIMIT = 127
"""Greatest count of a state."""

LONGEST_UNARY = 14
"""Most decisions of a magnitude; the remainder is coded in Exp-Golomb code."""


Contexts = tuple[int, int, int, int, int, int]


COEFFICIENT = FAMILIES["coefficient"]
DC = FAMILIES["dc"]
DC_SIGN = FAMILIES["dc_sign"]
LAST = FAMILIES["last"]
LAST_REST = FAMILIES["last_rest"]
SPLIT = FAMILIES["split"]
TEMPORAL = FAMILIES["temporal"]
SAMPLE = FAMILIES["sample"]
SAMPLE_SIGN = FAMILIES["sample_sign"]
CORRECTION = FAMILIES["correction"]
DEPENDENT = FAMILIES["dependent"]


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_decision(
    coder: Int64, data: Uint8, w: Workspace, family: Family, contexts: Contexts, weight_set: int,
    flag: int, bit: int,
) -> int:  # fmt: skip
    """(8.3.7.3) Code one decision of a family with six contexts; returns it."""
    stride = family.flags * family.contexts
    first = family.first_state + flag * family.contexts
    state_0 = first + int(contexts[0])
    state_1 = first + int(contexts[1]) + stride
    state_2 = first + int(contexts[2]) + 2 * stride
    state_3 = first + int(contexts[3]) + 3 * stride
    state_4 = first + int(contexts[4]) + 4 * stride
    state_5 = first + int(contexts[5]) + 5 * stride
    input_0 = stretch(w.states, state_0)
    input_1 = stretch(w.states, state_1)
    input_2 = stretch(w.states, state_2)
    input_3 = stretch(w.states, state_3)
    input_4 = stretch(w.states, state_4)
    input_5 = stretch(w.states, state_5)
    at = INPUTS * (family.first_set + weight_set * family.flags + flag)
    total = int(w.weights[at]) * input_0
    total += int(w.weights[at + 1]) * input_1
    total += int(w.weights[at + 2]) * input_2
    total += int(w.weights[at + 3]) * input_3
    total += int(w.weights[at + 4]) * input_4
    total += int(w.weights[at + 5]) * input_5
    probability = mix(total)
    bit = code_bit(coder, data, probability, bit)
    error = ((bit << 16) - probability) * RATE
    adapt(w.states, state_0, w.weights, at, input_0, error, bit, COUNT_LIMIT)
    adapt(w.states, state_1, w.weights, at + 1, input_1, error, bit, COUNT_LIMIT)
    adapt(w.states, state_2, w.weights, at + 2, input_2, error, bit, COUNT_LIMIT)
    adapt(w.states, state_3, w.weights, at + 3, input_3, error, bit, COUNT_LIMIT)
    adapt(w.states, state_4, w.weights, at + 4, input_4, error, bit, COUNT_LIMIT)
    adapt(w.states, state_5, w.weights, at + 5, input_5, error, bit, COUNT_LIMIT)
    return bit


@inlined
def code_magnitude(
    coder: Int64, data: Uint8, w: Workspace, family: Family, contexts: Contexts, weight_set: int,
    magnitude: int, least: int, most: int, order: int,
) -> int:  # fmt: skip
    """(8.3.7.3) Code a magnitude of at least ``least``; returns it.

    Decisions: is it greater than ``least``, than ``least + 1``, ...? From ``most`` on, the remainder follows
    in Exp-Golomb code of an order.
    """
    value = least
    while value < most:
        flag = min(value, family.flags - 1)
        greater = int(magnitude > value)
        if code_decision(coder, data, w, family, contexts, weight_set, flag, greater) == 0:
            return value
        value += 1
    return most + code_golomb(coder, data, magnitude - most, order)


@inlined
def bucket(value: int) -> int:
    """(8.3.7.3) Coarse logarithm of a non-negative number, at most 11: 0, 1, 2, 3-4, 5-6, 7-10, ..."""
    if value < 3:
        return value
    if value < 7:
        return (value + 3) >> 1
    if value < 17:
        return 5 if value < 11 else 6
    if value < 51:
        return 7 if value < 29 else 8
    if value < 181:
        return 9 if value < 101 else 10
    return 11


@inlined
def size_class(height: int, width: int) -> int:
    """(8.3.7.3) Class of the size of a block: up to 16, 64 or 256 samples, or more."""
    area = height * width
    if area <= 16:
        return 0
    if area <= 64:
        return 1
    return 2 if area <= 256 else 3


@inlined
def bit_length(value: int) -> int:
    """(8.3.7.3) Number of bits of a non-negative number."""
    length = 0
    while value > 0:
        value >>= 1
        length += 1
    return length


@kernel
def sign_class(value: int) -> int:
    """(8.3.7.3) Class of a sign: 0, 1 or 2 for zero, positive or negative."""
    if value == 0:
        return 0
    return 1 if value > 0 else 2
