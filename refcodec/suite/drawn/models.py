"""Entropy models: tables, contexts and shifts drawn at all their limits (8.10.4, 8.10.5, A.3)."""

from __future__ import annotations

import numpy as np

from refcodec.coders.learned.payload import limits_of_latents
from refcodec.entropy.arrays import Int64
from refcodec.entropy.model_bits import FAMILY
from refcodec.entropy.static import LARGEST_EXCESS, LARGEST_LEVEL, frequencies_of
from refcodec.probability.coding import (
    LEVELS_PER_TABLE,
    TableChoice,
    check_model_limits,
    encode_tables,
)
from refcodec.probability.model import EntropyModel
from refcodec.suite.drawn.chance import Chance
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.tables import Level, levels

__all__ = ["Reach", "draw_model", "level_of", "reach_of"]

Reach = tuple[Int64, Int64, Int64, Int64]
"""Latents of each context of a model: the least and the greatest value of its table, and of all that it can
code."""

_MOST_TABLES = 48
"""Tables of a model, as a rule."""

_MOST_VALUES = 4000
"""Values of the longest tables; most have a few."""

_LARGEST_SHIFT = 1 << 17
"""Largest shift of a context that the format has: it moves any table beyond any value of 16 bits."""


def draw_model(chance: Chance, fps: FeatureParameterSet, level: int) -> EntropyModel:
    """Draw a model for features of a parameter set: for each context, some latent can be coded.

    level : the highest that may be needed for it.
    """
    limits = levels()[level]
    most = limits.max_model_contexts
    contexts = chance.choose([1, fps.channels, fps.channels]) if fps.channels <= most else 1
    count = chance.number(1, min(contexts, limits.max_model_tables, _MOST_TABLES))
    step = chance.below(8)
    tables = _tables(chance, count, step, limits)
    low, high = limits_of_latents(fps)
    near = chance.numbers(contexts, low, high) * chance.below(2)
    far = chance.numbers(contexts, -_LARGEST_SHIFT, _LARGEST_SHIFT)
    table_of = _table_of(chance, contexts, count)
    escapes = np.array([one.escape for one in tables])[table_of]
    rare = chance.words(contexts) % np.uint64(chance.choose([4, 64])) == 0
    shifts = np.where(rare & escapes, far, near)
    model = EntropyModel(encode_tables(table_of.tolist(), shifts.tolist(), tables, step))
    if reach_of(model, fps) is None:  # some table is too far away
        model = EntropyModel(encode_tables(table_of.tolist(), near.tolist(), tables, step))
    return model


def level_of(model: EntropyModel) -> int:
    """The least level that allows a model."""
    return next(n for n, one in levels().items() if not any(check_model_limits(model.coded, one)))


def reach_of(model: EntropyModel, fps: FeatureParameterSet) -> Reach | None:
    """The latents of features that a model can code; None where it has other contexts, or one codes none."""
    if model.contexts not in (1, fps.channels):
        return None
    tables, table_of, first = model.distributions
    last = first + tables.values[table_of] - 1
    escapes = np.diff(tables.begin)[table_of] - 2 == tables.values[table_of]
    beyond = (LARGEST_EXCESS >> 1) * escapes
    low, high = limits_of_latents(fps)
    least, most = np.maximum(first - beyond, low), np.minimum(last + beyond, high)
    return None if (least > most).any() else (first, last, least, most)


def _tables(chance: Chance, count: int, step: int, limits: Level) -> list[TableChoice]:
    """Members of the family, and tables of levels that are multiples of 2^step."""
    left = LEVELS_PER_TABLE * limits.max_model_tables - 2 * count
    found = []
    for _ in range(count):
        if chance.one_in(3):
            found.append(TableChoice(chance.number(0, FAMILY - 1), np.zeros(0, np.int64)))
            continue
        most = max(1, min(chance.choose([1, 3, 9, 9, 40, 300, _MOST_VALUES]), left))
        symbols, escape = chance.number(1, most), chance.below(3) > 0
        chosen = _levels(chance, symbols + escape, step)
        if not frequencies_of(chosen, np.zeros(len(chosen), np.int64)):
            chosen[:] = chosen[0]  # alike, so that each has a share
        found.append(TableChoice(-1, chosen, escape))
        left -= symbols
    return found


def _levels(chance: Chance, count: int, step: int) -> Int64:
    """Levels of so many symbols: any, all alike, a peak, or an escape that is rare."""
    top = LARGEST_LEVEL >> step
    match chance.below(4):
        case 0:
            chosen = chance.numbers(count, 0, top)
        case 1:
            chosen = np.full(count, chance.number(0, top), np.int64)
        case 2:
            slope = chance.between(1, 1 + top)
            place = chance.below(count)
            chosen = np.maximum(0, top - slope * abs(np.arange(count) - place))
        case _:
            chosen = chance.numbers(count, top >> 1, top)
            chosen[-1] = 0
    return chosen << step


def _table_of(chance: Chance, contexts: int, count: int) -> Int64:
    """The table of each context: each table has one; runs of the same, or none."""
    found = chance.numbers(contexts, 0, count - 1)
    if chance.below(2):
        found = found[np.arange(contexts) // chance.between(2, 9)]
    found[chance.order(contexts)[:count]] = np.arange(count)
    return found
