"""Families of decisions of the native coder: where their states and weights are (clause 8.3.7.3)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAMILIES", "INPUTS", "STATES", "WEIGHT_SETS", "Family"]

INPUTS = 6
"""Number of states that predict one decision."""


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
    dependent=(4, 960, 24),
)
"""The families of decisions, in the order of their states."""

_LAST = FAMILIES["dependent"]

STATES = _LAST.first_state + INPUTS * _LAST.flags * _LAST.contexts
WEIGHT_SETS = _LAST.first_set + _LAST.flags * _LAST.sets
