"""Changes: the tables that suit the symbols of a feature better than those that contexts begin with."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from refcodec.coders.native_static.contexts import (
    CHANGEABLE,
    GROUPS,
    LEVEL_SYMBOLS,
    first_tables,
    table_limits,
    tables,
)
from refcodec.entropy.arrays import Int32
from refcodec.entropy.static import PRECISION

__all__ = ["find_changes"]

Doubles = npt.NDArray[np.float64]

PRICE = 10.0
"""Bits that a change takes, about."""


def find_changes(contexts: Int32, symbols: Int32) -> Int32:
    """By how much to raise the number of the table of each context, int32."""
    chosen = contexts < CHANGEABLE
    keys = contexts[chosen] * LEVEL_SYMBOLS + symbols[chosen]
    counts = np.bincount(keys, minlength=CHANGEABLE * LEVEL_SYMBOLS)
    counts = counts.reshape(CHANGEABLE, LEVEL_SYMBOLS).astype(np.float64)
    first, limits = first_tables(), table_limits()
    changes = np.zeros(CHANGEABLE, np.int32)
    start = 0
    for group in GROUPS.values():
        stop = start + group.contexts
        if stop > CHANGEABLE:
            break
        low, high = limits[start]
        bits = counts[start:stop] @ _costs()[low : high + 1].T  # contexts x tables
        own = first[start:stop] - low
        each = np.arange(stop - start)
        best = bits.argmin(axis=1)
        gain = bits[each, own] - bits[each, best]
        changes[start:stop] = np.where(gain > PRICE, best - own, 0)
        start = stop
    return changes


@cache
def _costs() -> Doubles:
    """Bits of each symbol in each table, tables x symbols.

    Rounded to units of 2^-8, so that results do not depend on the last bit of a logarithm.
    """
    costs = np.zeros((int(table_limits().max()) + 1, LEVEL_SYMBOLS))
    all_tables = tables()
    for number, row in enumerate(costs):
        begin, end = all_tables.begin[number : number + 2]
        frequencies = np.diff(all_tables.bounds[begin:end])[:LEVEL_SYMBOLS]
        row[: len(frequencies)] = np.rint(256 * (PRECISION - np.log2(frequencies))) / 256
    return costs
