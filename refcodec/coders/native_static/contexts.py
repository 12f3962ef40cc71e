"""Contexts of symbols, and the tables that they begin with (clause 8.3.11.2)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from refcodec.entropy.arrays import Int32
from refcodec.entropy.static import PRECISION, Tables
from refcodec.entropy.symbols import make_tables
from refcodec.tables import static_model

__all__ = [
    "CHANGE",
    "CHANGEABLE",
    "COEFFICIENT",
    "CONTEXTS",
    "DC",
    "EQUIPROBABLE",
    "ESCAPE",
    "FINAL",
    "GAIN",
    "GROUPS",
    "LAST",
    "LEVEL_SYMBOLS",
    "OFFSET",
    "RUN",
    "SPLIT",
    "Group",
    "first_tables",
    "table_limits",
    "tables",
]

LEVEL_SYMBOLS = 25
"""Symbols of a level: 0, and twelve classes of magnitudes with two signs."""


class Group(NamedTuple):
    """Contexts whose symbols are of one kind, and which share tables.

    contexts : number of them.
    symbols  : number of different symbols.
    """

    contexts: int
    symbols: int


GROUPS = {
    "split": Group(18 * 3, 2),
    "dc": Group(18 * 4 * 3, LEVEL_SYMBOLS),
    "last": Group(18 * 4, 20),
    "final": Group(4, LEVEL_SYMBOLS),
    "coefficient": Group(13 * 4 * 5, LEVEL_SYMBOLS),
    "offset": Group(8, LEVEL_SYMBOLS),
    "gain": Group(8, LEVEL_SYMBOLS),
    "escape": Group(1, 34),
    "run": Group(1, 20),
    "change": Group(1, LEVEL_SYMBOLS),
}
"""All groups, in the order of their contexts and tables."""

_FIRST = dict(
    zip(GROUPS, np.cumsum([0, *(one.contexts for one in GROUPS.values())]).tolist(), strict=False)
)

SPLIT = _FIRST["split"]
DC = _FIRST["dc"]
LAST = _FIRST["last"]
FINAL = _FIRST["final"]
COEFFICIENT = _FIRST["coefficient"]
OFFSET = _FIRST["offset"]
GAIN = _FIRST["gain"]
ESCAPE = _FIRST["escape"]
RUN = _FIRST["run"]
CHANGE = _FIRST["change"]

CHANGEABLE = ESCAPE
"""Number of contexts whose table a payload may change: all before this one."""

CONTEXTS = CHANGE + 1

EQUIPROBABLE = CONTEXTS - 1
"""Context of ``n`` equiprobable bits, 1 to 8 of them, less n; their tables are the last ones."""


# --- normative -------------------------------------------------------------------------------------


@cache
def tables() -> Tables:
    """(8.3.11.2) All tables: those of the groups, in order, then those of 1 to 8 equiprobable bits."""
    frequencies = [row for members, _ in static_model().values() for row in members]
    frequencies += [np.full(1 << n, 1 << PRECISION - n) for n in range(1, 9)]
    return make_tables(frequencies, [len(one) for one in frequencies])


@cache
def first_tables() -> Int32:
    """(8.3.11.2) The table that each context begins with, those of equiprobable bits included."""
    first, found = 0, []
    for members, start in static_model().values():
        found += [first + number for number in start]
        first += len(members)
    return np.array([*found, *range(first, first + 8)], np.int32)


@cache
def table_limits() -> Int32:
    """(8.3.11.2) The first and the last table that each context can have, contexts x 2."""
    first, found = 0, []
    for members, start in static_model().values():
        found += [(first, first + len(members) - 1)] * len(start)
        first += len(members)
    return np.array(found, np.int32)
