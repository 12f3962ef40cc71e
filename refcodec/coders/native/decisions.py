"""Decisions, families and classes of contexts (clause 8.3.7.3).

A *decision* is predicted by six states, each selected by a context of its own. Decisions of one *family* (of
coefficients, of first levels, ...) share states and weights.
"""

from __future__ import annotations

from typing import NamedTuple

from refcodec.coders.native.workspace import Workspace
from refcodec.entropy.arithmetic import code_bit, code_golomb
from refcodec.entropy.arrays import Int64, Uint8
from refcodec.entropy.mixing import learn, mix
from refcodec.kernel import inlined, kernel

__all__ = [
    "FAMILIES",
    "INPUTS",
    "LONGEST_UNARY",
    "STATES",
    "WEIGHT_SETS",
    "Family",
    "bit_length",
    "bucket",
    "code_decision",
    "code_magnitude",
    "sign_class",
    "size_class",
]

INPUTS = 6
"""Number of states that predict one decision."""

RATE = 4
"""Learning rate of the weights, in units of 2^-16."""

COUNT_LIMIT = 127
"""Greatest count of a state."""

LONGEST_UNARY = 14
"""Most decisions of a magnitude; the remainder is coded in Exp-Golomb code."""


class Family(NamedTuple):
    """The states and weights of one family of decisions.

    first_state  : index of its first state; then ``inputs x flags x contexts`` of them.
    flags        : number of different decisions: "greater than 0", "greater than 1", ...
    contexts     : number of contexts of one input.
    first_set    : index of its first set of weights; then ``sets x flags`` of them.
    sets         : number of sets of weights.
    """

    first_state: int
    flags: int
    contexts: int
    first_set: int
    sets: int


def _families(**shapes: tuple[int, int, int]) -> dict[str, Family]:
    families, state, weights = {}, 0, 0
    for name, (flags, contexts, sets) in shapes.items():
        families[name] = Family(state, flags, contexts, weights, sets)
        state += INPUTS * flags * contexts
        weights += flags * sets
    return families


FAMILIES = _families(
    # name         flags contexts sets
    coefficient=(4, 480, 12),
    dc=(6, 192, 4),
    dc_sign=(1, 192, 4),
    last=(11, 144, 4),
    last_rest=(2, 144, 11),
    split=(1, 64, 4),
    temporal=(1, 48, 4),
    sample=(6, 256, 2),
    sample_sign=(1, 144, 2),
    correction=(6, 64, 2),
)
"""The families of decisions, in the order of their states."""

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

STATES = CORRECTION.first_state + INPUTS * CORRECTION.flags * CORRECTION.contexts
WEIGHT_SETS = CORRECTION.first_set + CORRECTION.flags * CORRECTION.sets


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_decision(
    coder: Int64, data: Uint8, w: Workspace, family: Family, weight_set: int, flag: int, bit: int
) -> int:
    """(8.3.7.3) Code one decision of a family with the contexts ``w.contexts``; returns it."""
    stride = family.flags * family.contexts
    at = family.first_state + flag * family.contexts
    for i in range(INPUTS):
        w.chosen[i] = at + int(w.contexts[i])
        at += stride
    first = INPUTS * (family.first_set + weight_set * family.flags + flag)
    probability = mix(w.states, w.chosen, w.inputs, w.weights, first, INPUTS)
    bit = code_bit(coder, data, probability, bit)
    learn(
        w.states, w.chosen, w.inputs, w.weights, first, INPUTS, probability, bit, RATE, COUNT_LIMIT
    )
    return bit


@inlined
def code_magnitude(
    coder: Int64, data: Uint8, w: Workspace, family: Family, weight_set: int, magnitude: int,
    least: int, most: int, order: int,
) -> int:  # fmt: skip
    """(8.3.7.3) Code a magnitude of at least ``least``; returns it.

    Decisions: is it greater than ``least``, than ``least + 1``, ...? From ``most`` on, the remainder follows
    in Exp-Golomb code of an order.
    """
    value = least
    while value < most:
        flag = min(value, family.flags - 1)
        if code_decision(coder, data, w, family, weight_set, flag, int(magnitude > value)) == 0:
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
