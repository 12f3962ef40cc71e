"""Symbols, numbers and levels of the native coder with static tables: clauses 8.3.11.1 and 8.3.11.2."""

from __future__ import annotations

from functools import cache

from .distributions import PRECISION, Table
from .lanes import LaneDecoder
from .tables import static_model

# The first context of each group (8.3.11.2).
SPLIT = 0
DC = 54
LAST = 270
FINAL = 342
COEFFICIENT = 346
OFFSET = 606
GAIN = 614
ESCAPE = 622
RUN = 623
CHANGE = 624

CHANGEABLE = ESCAPE  # contexts before this one can have another table
WIDEST = 8  # bits of a symbol of equal chances
ESCAPED = 12  # class of magnitudes from LEAST_ESCAPED on
LEAST_ESCAPED = 64


def half_octave(number: int) -> int:
    """The class of a number: 0 to 3, and from 4 on two for each power of 2."""
    if number < 4:
        return number
    length = number.bit_length()
    return 2 * length - 2 + (number >> (length - 2) & 1)


@cache
def equiprobable(width: int) -> Table:
    """The table of some equiprobable bits."""
    return Table([1 << (PRECISION - width)] * (1 << width), 1 << width)


@cache
def first_tables() -> list[tuple[list[Table], int]]:
    """The tables of the group of each context, and the number of the one that it begins with."""
    contexts = []
    for frequencies, start in static_model():
        tables = [Table(each, len(each)) for each in frequencies]
        contexts += [(tables, number) for number in start]
    return contexts


class Symbols:
    """The symbols of a payload, which its lanes have in turn."""

    def __init__(self, payload: bytes) -> None:
        self.lanes = LaneDecoder(payload)
        self.lane = 0  # of the next symbol
        self.contexts = list(first_tables())

    def of_table(self, table: Table) -> int:
        """Decode a symbol by a table."""
        symbol = self.lanes.symbol(self.lane, table)
        self.lane = (self.lane + 1) % len(self.lanes.states)
        return symbol

    def symbol(self, context: int) -> int:
        """Decode a symbol by the table of its context."""
        tables, number = self.contexts[context]
        return self.of_table(tables[number])

    def bits(self, count: int) -> int:
        """Decode equiprobable bits, the most significant first; eight of them are a symbol."""
        found = 0
        while count > 0:
            width = min(count, WIDEST)
            count -= width
            found = found << width | self.of_table(equiprobable(width))
        return found

    def number_of(self, octave: int) -> int:
        """Decode the place of a number in its class."""
        if octave < 4:
            return octave
        count = (octave >> 1) - 1
        return (2 + (octave & 1) << count) + self.bits(count)

    def number(self, context: int) -> int:
        """Decode a number that is not negative."""
        return self.number_of(self.symbol(context))

    def level(self, context: int) -> int:
        """Decode a level: one symbol has its sign and the class of its magnitude."""
        symbol = self.symbol(context)
        octave = (symbol + 1) >> 1
        escaped = octave == ESCAPED
        magnitude = LEAST_ESCAPED + self.number(ESCAPE) if escaped else self.number_of(octave)
        return magnitude if symbol & 1 else -magnitude

    def change_tables(self) -> None:
        """Decode the contexts that have other tables than those that they begin with (8.3.11.6)."""
        context = self.number(RUN)
        while context < CHANGEABLE:
            tables, number = self.contexts[context]
            number += self.level(CHANGE)
            self.contexts[context] = tables, min(max(number, 0), len(tables) - 1)
            context += 1
            if context < CHANGEABLE:
                context += self.number(RUN)
