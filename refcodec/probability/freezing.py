"""Frozen tables from counts: which contexts share a table, and the levels of its symbols. Not normative.

Contexts are compared around their most frequent values. One joins the table under which its values cost
least, unless a table of its own would cost less, the bits of the table included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.entropy.arrays import Int64
from refcodec.entropy.static import (
    LARGEST_LEVEL,
    LEVELS_PER_OCTAVE,
    PRECISION,
    excess_order,
    frequencies_of,
)
from refcodec.errors import CallerError
from refcodec.probability.coding import TableChoice, encode_tables
from refcodec.syntax.structures import EntropyTables
from refcodec.tables import scale_frequencies

__all__ = ["freeze", "freeze_frequencies", "freeze_models"]

Floats = npt.NDArray[np.float64]

_LEAST = 0.5
"""Count from which on a value has a symbol; others are escapes. Also the count of the escape itself."""

_TABLE_BITS = 10.0
_SYMBOL_BITS = 5.0
_ESCAPE_BITS = 18.0
_STEPS = (4, 3, 2, 1, 0)
_LARGEST_WINDOW = 1 << 26
_MOST_VALUES = 4095
"""Values of a table at most."""


class _Window(NamedTuple):
    """Counts of contexts around their most frequent values.

    counts : contexts x values.
    zero   : column of the most frequent value.
    modes  : that value, per context.
    """

    counts: Floats
    zero: int
    modes: Int64


def freeze(counts: npt.ArrayLike, *, escape: bool = True) -> Int64:
    """Integer frequencies that add up to 2^14, each at least 1, for counts or probabilities of symbols.

    escape : append an escape, with a count of one half.

    Each frequency is its share rounded to nearest; where they do not add up, the largest gives or takes.
    Raises CallerError for counts that are negative or not finite, or too many.
    """
    weights = np.asarray(counts, np.float64)
    if weights.ndim != 1 or not weights.size or weights.size > _MOST_VALUES:
        raise CallerError(
            f"counts of shape {weights.shape}; a table has 1 to {_MOST_VALUES} values"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise CallerError("counts are finite numbers, and not negative")
    if escape:
        weights = np.append(weights, _LEAST if weights.sum() > 1.5 else 0.0)
    return freeze_frequencies(weights)


def freeze_frequencies(weights: Floats) -> Int64:
    """Frequencies of these weights: rounded shares of 2^14, at least 1; the largest gives or takes."""
    total = weights.sum() or 1.0
    shares = weights / total * (1 << PRECISION)
    found: Int64 = np.maximum(np.rint(shares), 1).astype(np.int64)
    while (left := (1 << PRECISION) - int(found.sum())) != 0:
        largest = int(found.argmax())
        found[largest] += max(left, 1 - int(found[largest]), -int(found[largest]) // 2)
    return found


def freeze_models(counts: Floats, first: Int64, *, escape: bool = True) -> EntropyTables:
    """The coded tables of an entropy model for these counts.

    counts : contexts x values; how often each value is expected in all, so that the bits of tables and those
             of values are worth the same.
    first  : the value of the first column, per context.
    escape : true if values beyond the tables can be coded.
    """
    window = _aligned(counts, first)
    table_of, merged = _clusters(window)
    tried = []
    for step in _STEPS:
        chosen = [_table_of(one, window.zero, step, escape) for one in merged]
        tables, shifts = [one for one, _ in chosen], [shift for _, shift in chosen]
        coded = encode_tables(
            table_of.tolist(), (window.modes + np.array(shifts)[table_of]).tolist(), tables, step
        )
        bits = sum(
            _cost(one, window.zero + shift, table)
            for one, table, shift in zip(merged, tables, shifts, strict=True)
        )
        tried.append((bits + 8 * len(coded.coded_tables), coded))
    best: tuple[float, EntropyTables] = min(tried, key=lambda one: one[0])
    return best[1]


def _aligned(counts: Floats, first: Int64) -> _Window:
    """The counts around the most frequent value of each context. Raises CallerError for too wide ones."""
    modes = counts.argmax(axis=1)
    rows, columns = np.nonzero(counts >= _LEAST)
    places = columns - modes[rows]
    low, high = int(min(places.min(initial=0), 0)), int(max(places.max(initial=0), 0))
    if high - low >= _MOST_VALUES or (high - low + 1) * len(counts) > _LARGEST_WINDOW:
        raise CallerError(
            f"{len(counts)} contexts of {high - low + 1} values; a table has at most {_MOST_VALUES}",
            hint="take a coarser step",
        )
    found = np.zeros((len(counts), high - low + 1))
    found[rows, places - low] = counts[rows, columns]
    unseen = found.sum(axis=1) == 0
    found[unseen, -low] = _LEAST
    return _Window(found, -low, modes + first)


def _clusters(window: _Window) -> tuple[npt.NDArray[np.int64], list[Floats]]:
    """The table of each context, and the counts of each table."""
    counts = window.counts
    own = np.array([_bits_under(one, one) + _table_bits(one) for one in counts])
    members: list[Floats] = []
    rates = np.zeros((0, counts.shape[1]))
    for context in np.argsort((counts > 0).sum(axis=1), kind="stable"):
        costs = rates @ counts[context]
        if len(members) and costs.min() <= own[context]:
            best = int(costs.argmin())
            members[best] = members[best] + counts[context]
            rates[best] = _rates(members[best])
        else:
            members.append(counts[context].copy())
            rates = np.vstack([rates, _rates(counts[context])])
    table_of = np.zeros(len(counts), np.int64)
    for _ in range(3):
        table_of = (counts @ rates.T).argmin(axis=1)
        kept = np.unique(table_of)
        members = [counts[table_of == one].sum(axis=0) for one in kept]
        rates = np.array([_rates(one) for one in members])
        table_of = np.searchsorted(kept, table_of)
    return table_of, members


def _rates(counts: Floats) -> Floats:
    """Bits of each value under the distribution of these counts, the rare ones as escapes."""
    total = counts.sum() + _LEAST
    beyond = np.log2(total / _LEAST) + _ESCAPE_BITS
    rates: Floats = np.where(counts > 0, np.log2(total / np.maximum(counts, 1e-300)), beyond)
    return rates


def _bits_under(counts: Floats, model: Floats) -> float:
    return float(counts @ _rates(model))


def _table_bits(counts: Floats) -> float:
    return _TABLE_BITS + _SYMBOL_BITS * float(np.ptp(np.flatnonzero(counts)))


def _table_of(counts: Floats, zero: int, step: int, escape: bool) -> tuple[TableChoice, int]:
    """The table of these counts, levels in steps of 2^step, and its main symbol, less ``zero``."""
    seen = np.flatnonzero(counts)
    inside = counts[seen[0] : seen[-1] + 1]
    weights = np.append(inside, _LEAST) if escape else inside
    weights = np.maximum(weights, max(weights.max() / (1 << PRECISION), _LEAST / 2))
    levels = np.rint(LEVELS_PER_OCTAVE * np.log2(weights / weights.min()) / (1 << step))
    levels = np.minimum(levels.astype(np.int64) << step, LARGEST_LEVEL >> step << step)
    own = TableChoice(-1, levels, escape)
    mode = _mode(own)
    choice, best = own, _cost(counts, seen[0] + mode, own) + _table_bits(counts)
    if escape:
        scale = np.sqrt(inside @ (np.arange(len(inside)) + seen[0] - zero) ** 2.0 / inside.sum())
        near = int(
            np.clip(np.rint(63 * np.log(max(scale, 0.11) / 0.11) / np.log(256 / 0.11)), 0, 63)
        )
        for member in range(max(near - 2, 0), min(near + 3, 64)):
            other = TableChoice(member, levels[:0], True)
            cost = _cost(counts, zero, other) + 7
            if cost < best:
                choice, best = other, cost
    return choice, seen[0] + mode - zero if choice is own else 0


def _frequencies(table: TableChoice) -> Int64:
    """The frequencies of a table, as a decoder derives them."""
    if table.member >= 0:
        return scale_frequencies()[table.member]
    found = np.zeros(len(table.levels), np.int64)
    frequencies_of(table.levels, found)
    return found


def _mode(table: TableChoice) -> int:
    """The main symbol of a table."""
    found = _frequencies(table)
    return (len(found) - 1) // 2 if table.member >= 0 else int(found.argmax())


def _cost(counts: Floats, place: int, table: TableChoice) -> float:
    """Bits of these counts under a table whose main symbol is at column ``place``."""
    found = _frequencies(table)
    values = len(found) - int(table.escape)
    offsets = np.arange(len(counts)) - place + _mode(table)
    inside = (offsets >= 0) & (offsets < values)
    rates = PRECISION - np.log2(found)
    bits = float(counts[inside] @ rates[offsets[inside]])
    if not inside.all() and table.escape:
        far = np.maximum(-offsets, offsets - values + 1)[~inside]
        lengths = 2 * np.log2(1 + far / (1 << excess_order(values)) * 2) + excess_order(values) + 1
        bits += float(counts[~inside] @ (rates[-1] + lengths))
    return bits
