"""Context models of chosen integers, so that every machine makes the same bytes."""

from __future__ import annotations

import numpy as np

from refcodec.contexts import Changes, ContextModel, encode_changes, states_of, weights_of
from refcodec.suite.make.native import pattern
from refcodec.tables.families import FAMILIES, INPUTS, STATES, WEIGHT_SETS

__all__ = ["changes_of", "context_model"]


def changes_of(*families: str, sparse: int = 40, most: int = 6) -> Changes:
    """Pseudo-random changes of all weights of some families, and of one in ``sparse`` of their states."""
    weights, states = np.zeros(INPUTS * WEIGHT_SETS, np.int32), np.zeros(STATES, np.int32)
    for name in families:
        for table, place, one in (
            (weights, weights_of(FAMILIES[name]), 1),
            (states, states_of(FAMILIES[name]), sparse),
        ):
            table[place] = pattern((place.stop - place.start,), one, most)
    return Changes(weights, states)


def context_model(
    changes: Changes, *, state_shift: int = 6, weight_shift: int = 12, state_count: int = 40
) -> ContextModel:
    """A context model of changes."""
    return ContextModel(
        encode_changes(
            changes, state_shift=state_shift, weight_shift=weight_shift, state_count=state_count
        )
    )
