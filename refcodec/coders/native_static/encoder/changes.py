"""Changes: the tables that suit the symbols of a feature better than those that contexts begin with."""

from __future__ import annotations

from functools import cache

import numpy as np

from refcodec.coders.native_static.contexts import (
    CHANGEABLE,
    LEVEL_SYMBOLS,
    first_tables,
    table_limits,
    tables,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.static import PRECISION
from refcodec.kernel import compiled

__all__ = ["find_changes"]

PRICE = 10 << 8
"""What a change takes, about, in units of 2^-8 bits."""


def find_changes(contexts: Int32, symbols: Int32) -> Int32:
    """By how much to raise the number of the table of each context, int32."""
    changes = np.zeros(CHANGEABLE, np.int32)
    choose_tables(contexts, symbols, first_tables(), table_limits(), _costs(), changes)
    return changes


@compiled
def choose_tables(
    contexts: Int32, symbols: Int32, first: Int32, limits: Int32, costs: Int64, changes: Int32
) -> None:
    """Choose the table of each context that takes the fewest bits, if it saves more than a change takes."""
    counts = np.zeros((CHANGEABLE, LEVEL_SYMBOLS), np.int64)
    for i in range(contexts.shape[0]):
        if contexts[i] < CHANGEABLE:
            counts[contexts[i], symbols[i]] += 1
    bits = np.zeros(costs.shape[1], np.int64)
    for context in range(CHANGEABLE):
        low = limits[context, 0]
        high = limits[context, 1] + 1
        bits[low:high] = 0
        for symbol in range(LEVEL_SYMBOLS):
            count = counts[context, symbol]
            if count > 0:
                for table in range(low, high):
                    bits[table] += count * costs[symbol, table]
        best = low
        for table in range(low + 1, high):
            if bits[table] < bits[best]:
                best = table
        if bits[first[context]] - bits[best] > PRICE:
            changes[context] = best - first[context]


@cache
def _costs() -> Int64:
    """Cost of each symbol in each table, symbols x tables, in units of 2^-8 bits.

    So coarse that it does not depend on the last bit of a logarithm.
    """
    costs = np.zeros((LEVEL_SYMBOLS, int(table_limits().max()) + 1), np.int64)
    all_tables = tables()
    for number, row in enumerate(costs.T):
        begin, end = all_tables.begin[number : number + 2]
        frequencies = np.diff(all_tables.bounds[begin:end])[:LEVEL_SYMBOLS]
        row[: len(frequencies)] = np.rint(256 * (PRECISION - np.log2(frequencies)))
    return costs
