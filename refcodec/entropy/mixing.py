"""Adaptive binary models, and their mixture in the logistic domain (clause 8.9.2).

A *state* is one integer, ``probability << 8 | count``: the probability of a 1 in units of 2^-22, and the
number of decisions it has seen, which slows its adaptation. Several states, each selected by its own context,
predict one decision; their predictions are *stretched*, weighted, summed and *squashed*, and the weights
are adapted to the outcome.
"""

from __future__ import annotations

from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined
from refcodec.tables import logistic

__all__ = ["RECIPROCAL", "SQUASH", "STRETCH", "learn", "mix"]

STRETCH, SQUASH, RECIPROCAL = logistic()


@inlined
def mix(states: Int32, chosen: Int64, inputs: Int64, weights: Int64, first: int, count: int) -> int:
    """(8.9.2) The mixed probability of a 1, in units of 2^-16.

    chosen : indices of the ``count`` states that predict.
    inputs : receives their stretched probabilities.
    first  : index of the first of the ``count`` weights, in units of 2^-16.
    """
    total = 0
    for i in range(count):
        stretched = int(STRETCH[int(states[int(chosen[i])]) >> 18])
        inputs[i] = stretched
        total += int(weights[first + i]) * stretched
    total = (total + 32768) >> 16
    total = min(max(total, -2816), 2816)
    return int(SQUASH[total + 2816])


@inlined
def learn(
    states: Int32, chosen: Int64, inputs: Int64, weights: Int64, first: int, count: int,
    probability: int, bit: int, rate: int, limit: int,
) -> None:  # fmt: skip
    """(8.9.2) Adapt weights and states to the outcome of a decision."""
    error = ((bit << 16) - probability) * rate
    for i in range(count):
        weights[first + i] = int(weights[first + i]) + ((int(inputs[i]) * error + 32768) >> 16)
        at = int(chosen[i])
        state = int(states[at])
        seen = state & 0xFF
        now = state >> 8
        now += (((bit << 22) - now) * int(RECIPROCAL[seen])) >> 16
        states[at] = (now << 8) | min(seen + 1, limit)
