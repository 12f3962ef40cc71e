"""Context models of chosen integers, so that every machine makes the same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.contexts import Changes, ContextModel, encode_changes
from refcodec.suite.make.native import pattern
from refcodec.tables.families import FAMILIES, INPUTS, STATES, WEIGHT_SETS

__all__ = ["changes_of", "context_model"]


def changes_of(*families: str, sparse: int = 40, most: int = 6) -> Changes:
    """Pseudo-random changes of all weights of some families, and of one in ``sparse`` of their states."""
    weights, states = np.zeros(INPUTS * WEIGHT_SETS, np.int32), np.zeros(STATES, np.int32)
    for name in families:
        one = FAMILIES[name]
        _put(weights, INPUTS * one.first_set, INPUTS * one.flags * one.sets, 1, most)
        _put(states, one.first_state, INPUTS * one.flags * one.contexts, sparse, most)
    return Changes(weights, states)


def _put(table: npt.NDArray[np.int32], first: int, count: int, sparse: int, most: int) -> None:
    table[first : first + count] = pattern((count,), sparse, most)


def context_model(
    changes: Changes, *, state_shift: int = 6, weight_shift: int = 12, state_count: int = 40
) -> ContextModel:
    """A context model of changes."""
    return ContextModel(
        encode_changes(
            changes, state_shift=state_shift, weight_shift=weight_shift, state_count=state_count
        )
    )
