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

__all__ = ["RECIPROCAL", "SQUASH", "STRETCH", "adapt", "mix", "stretch"]

STRETCH, SQUASH, RECIPROCAL = logistic()


@inlined
def stretch(states: Int32, at: int) -> int:
    """(8.9.2) The prediction of a state in the logistic domain."""
    return int(STRETCH[(int(states[at]) >> 18) & 0xFFF])


@inlined
def mix(total: int) -> int:
    """(8.9.2) The probability of a 1, in units of 2^-16, from the weighted sum of predictions."""
    total = (total + 32768) >> 16
    return int(SQUASH[min(max(total, -2816), 2816) + 2816])


@inlined
def adapt(
    states: Int32, at: int, weights: Int64, weight: int, prediction: int, error: int, bit: int,
    limit: int,
) -> None:  # fmt: skip
    """(8.9.2) Adapt one state, and the weight of its prediction, to the outcome of a decision.

    error : outcome minus the mixed probability, in units of 2^-16, times the learning rate of weights.
    """
    weights[weight] = int(weights[weight]) + ((prediction * error + 32768) >> 16)
    state = int(states[at])
    seen = state & 0xFF
    now = state >> 8
    now += (((bit << 22) - now) * int(RECIPROCAL[seen])) >> 16
    states[at] = (now << 8) | min(seen + 1, limit)
