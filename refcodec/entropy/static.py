"""Static tables: distributions of integers as cumulative frequencies (clause 8.10.1).

A table has *symbols* 0, 1, 2 and so on with integer frequencies that add up to 2^14. Its first
symbols stand for consecutive values; one more, the *escape*, may follow, for values beyond these. In arrays
of symbols a value beyond the table is ``values + excess``: the escape and what is coded after it.

Tables follow one another in a :class:`Tables`; a table is named by its number.
"""

from __future__ import annotations

from typing import NamedTuple

from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined, kernel

__all__ = [
    "BUCKET_BITS",
    "LARGEST_EXCESS",
    "LARGEST_LEVEL",
    "LEVELS_PER_OCTAVE",
    "MANTISSAS",
    "PRECISION",
    "Tables",
    "excess_of",
    "excess_order",
    "fill_buckets",
    "fill_slots",
    "find_symbol",
    "frequencies_of",
    "offset_of",
]

PRECISION = 14
"""The frequencies of a table add up to 2^14. A payload of one lane is then at most 3 bytes longer than its
symbols need."""

BUCKET_BITS = 8
"""Slots are found through 2^8 buckets a table."""

LEVELS_PER_OCTAVE = 16
"""Levels that double a weight."""

LARGEST_LEVEL = 255

MANTISSAS = (
    *(32768, 34219, 35734, 37316, 38968, 40693, 42495, 44376),
    *(46341, 48393, 50535, 52773, 55109, 57549, 60097, 62757),
)
"""2^(15 + i / 16), rounded to nearest."""

LARGEST_EXCESS = (1 << 18) - 2
"""Excess of an escape at most: any value of 16 bits is within reach from any table."""


class Tables(NamedTuple):
    """Some tables, as kernels take them; ``begin``, ``values`` and ``mode`` have an entry a table.

    bounds  : cumulative frequencies of all tables: 0 first, 2^14 last in each.
    begin   : position of a table's 0 in ``bounds``; one entry more, the length of ``bounds``.
    values  : number of values; the symbol after them is the escape, where there is one.
    mode    : the main symbol: the most frequent one, the first of several; of a member of the family, that of
              the value 0.
    buckets : 2^8 for each table: the symbol of the first slot of each bucket.
    """

    bounds: Int32
    begin: Int64
    values: Int64
    mode: Int64
    buckets: Int32


# --- normative -------------------------------------------------------------------------------------


@kernel
def frequencies_of(levels: Int64, frequencies: Int64) -> bool:
    """(8.10.5) The frequencies of symbols whose weights have these levels; false where none add up.

    A weight is 2^(level / 16), in integers. Each frequency is the symbol's share of 2^14, rounded down,
    but at least 1; the most frequent symbol, the first of several, takes what is left, or gives it.
    """
    count = levels.shape[0]
    total = 0
    for symbol in range(count):
        level = int(levels[symbol])
        total += int(MANTISSAS[level & 15]) << (level >> 4)  # 4096 weights below 2^32
    left = 1 << PRECISION
    largest = 0
    for symbol in range(count):
        level = int(levels[symbol])
        weight = int(MANTISSAS[level & 15]) << (level >> 4)
        frequency = max((weight << PRECISION) // total, 1)
        frequencies[symbol] = frequency
        left -= frequency
        if frequency > int(frequencies[largest]):
            largest = symbol
    frequencies[largest] = int(frequencies[largest]) + left
    return int(frequencies[largest]) >= 1


@inlined
def find_symbol(tables: Tables, table: int, slot: int) -> int:
    """(8.10.1) The position in ``bounds`` of the symbol to which a slot of a table belongs."""
    bucket = (table << BUCKET_BITS) + (slot >> (PRECISION - BUCKET_BITS))
    place = int(tables.begin[table]) + int(tables.buckets[bucket])
    while int(tables.bounds[place + 1]) <= slot:
        place += 1
    return place


@kernel
def excess_order(values: int) -> int:
    """(8.10.1) The order of the Exp-Golomb code of an excess, from the number of values of the table."""
    order = 0
    while values >> (order + 4) > 0:
        order += 1
    return order


@inlined
def offset_of(symbol: int, values: int) -> int:
    """(8.10.1) Distance from a table's first value: excesses lie above and below the values, in turn."""
    if symbol < values:
        return symbol
    excess = symbol - values
    return -((excess + 1) >> 1) if excess & 1 == 1 else values + (excess >> 1)


@kernel
def fill_buckets(tables: Tables) -> None:
    """Find the first symbol of each bucket of each table."""
    width = PRECISION - BUCKET_BITS
    values = tables.values
    for table in range(values.shape[0]):
        begin = int(tables.begin[table])
        symbol = 0
        for bucket in range(1 << BUCKET_BITS):
            while int(tables.bounds[begin + symbol + 1]) <= bucket << width:
                symbol += 1
            tables.buckets[(table << BUCKET_BITS) + bucket] = symbol


@kernel
def fill_slots(tables: Tables, table: int, slots: Int64) -> None:
    """Pack, for each slot of a table: its symbol, the symbol's frequency, and the slot's place in it.

    slots : 2^14 entries: the symbol from bit 33 on, the frequency in 17 bits, the place in 16.
    """
    begin = int(tables.begin[table])
    slot = 0
    for symbol in range(int(tables.begin[table + 1]) - begin - 1):
        frequency = int(tables.bounds[begin + symbol + 1]) - slot
        for place in range(frequency):
            slots[slot + place] = (symbol << 33) | (frequency << 16) | place
        slot += frequency


# --- informative -----------------------------------------------------------------------------------


@inlined
def excess_of(offset: int, values: int) -> int:
    """The excess of a value beyond a table, from its distance to the first value; negative for others."""
    if offset < 0:
        return -2 * offset - 1
    return 2 * (offset - values) if offset >= values else -1
