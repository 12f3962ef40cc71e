"""Symbols: each has the static table of its context; numbers and levels are made of them (clause 8.3.11.1).

A number is a *class* and *low bits*: classes 0 to 3 are the numbers themselves, each further class is half an
octave. Low bits are equiprobable. The functions ``code_...`` work in both directions: they decode, or, if
``cursor[DIRECTION]`` is 1, note the symbol that they are given.
"""

from __future__ import annotations

from typing import NamedTuple

from refcodec.coders.native.decisions import bit_length
from refcodec.coders.native_static.contexts import EQUIPROBABLE, ESCAPE
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.rans import refill
from refcodec.entropy.static import PRECISION, Tables, find_symbol
from refcodec.kernel import inlined, kernel

__all__ = [
    "CURSOR_SIZE",
    "DIRECTION",
    "LANE",
    "NOTED",
    "POSITION",
    "Symbols",
    "code_bits",
    "code_level",
    "code_number",
    "code_symbol",
    "half_octave",
]

# entries of Symbols.cursor
DIRECTION = 0
"""0 to decode, 1 to note the symbols of an encoder."""
LANE = 1
"""Lane of the next symbol."""
POSITION = 2
"""Words taken."""
NOTED = 3
"""Symbols noted."""
CURSOR_SIZE = 4

ESCAPED = 12
"""Class of the levels that have no class of their own: magnitudes from 64 on."""

LARGEST_LEVEL = 64 + (1 << 17) - 1
"""Greatest magnitude of a level."""


class Symbols(NamedTuple):
    """The symbols of a payload: where they are decoded from, or noted.

    cursor   : CURSOR_SIZE entries, see DIRECTION and so on.
    states   : of the lanes.
    words    : words of 16 bits, and one more, which has no meaning.
    tables   : all tables.
    table_of : the table of each context.
    contexts : of the symbols noted.
    symbols  : those noted.
    """

    cursor: Int64
    states: Int64
    words: Int32
    tables: Tables
    table_of: Int32
    contexts: Int32
    symbols: Int32


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_symbol(s: Symbols, context: int, symbol: int) -> int:
    """(8.3.11.1) Code a symbol by the table of its context; returns it."""
    if int(s.cursor[DIRECTION]) == 1:
        note(s, context, symbol)
        return symbol
    tables = s.tables
    lane = int(s.cursor[LANE])
    state = int(s.states[lane])
    table = int(s.table_of[context])
    slot = state & ((1 << PRECISION) - 1)
    place = find_symbol(tables, table, slot)
    low = int(tables.bounds[place])
    state = (int(tables.bounds[place + 1]) - low) * (state >> PRECISION) + slot - low
    take(s, lane, state)
    return place - int(tables.begin[table])


@inlined
def take(s: Symbols, lane: int, state: int) -> None:
    """(8.3.11.1) Keep the state of a lane, with a word more where it is low; the next lane is next."""
    states = s.states
    words = s.words
    state, position = refill(state, words, int(s.cursor[POSITION]), words.shape[0] - 1)
    states[lane] = state
    s.cursor[POSITION] = position
    s.cursor[LANE] = lane + 1 if lane + 1 < states.shape[0] else 0


@inlined
def note(s: Symbols, context: int, symbol: int) -> None:
    """(8.3.11.1) Note a symbol, when encoding."""
    noted = int(s.cursor[NOTED])
    s.contexts[noted] = context
    s.symbols[noted] = symbol
    s.cursor[NOTED] = noted + 1


@inlined
def code_bits(s: Symbols, bits: int, count: int) -> int:
    """(8.3.11.1) Code equiprobable bits, eight at a time, the most significant first; returns them."""
    found = 0
    while count > 0:
        width = min(count, 8)
        count -= width
        part = (bits >> count) & ((1 << width) - 1)
        if int(s.cursor[DIRECTION]) == 1:
            note(s, EQUIPROBABLE + width, part)
        else:
            lane = int(s.cursor[LANE])
            state = int(s.states[lane])
            slot = state & ((1 << PRECISION) - 1)
            part = slot >> (PRECISION - width)
            below = slot & ((1 << (PRECISION - width)) - 1)
            take(s, lane, ((state >> PRECISION) << (PRECISION - width)) + below)
        found = (found << width) + part
    return found


@kernel
def half_octave(number: int) -> int:
    """(8.3.11.1) The class of a number: 0 to 3, 4 for 4 and 5, 5 for 6 and 7, 6 for 8 to 11, and so on."""
    if number < 2:
        return number
    length = bit_length(number)
    return 2 * length - 2 + ((number >> (length - 2)) & 1)


@inlined
def code_low_bits(s: Symbols, octaves: int, number: int) -> int:
    """(8.3.11.1) Code what the class of a number leaves open, for classes from 4 on; returns the number."""
    count = (octaves >> 1) - 1
    low = code_bits(s, number & ((1 << count) - 1), count)
    return ((2 + (octaves & 1)) << count) + low


@inlined
def code_number(s: Symbols, context: int, number: int) -> int:
    """(8.3.11.1) Code a number that is not negative; returns it."""
    octaves = code_symbol(s, context, half_octave(number))
    return octaves if octaves < 4 else code_low_bits(s, octaves, number)


@inlined
def code_level(s: Symbols, context: int, level: int) -> int:
    """(8.3.11.1) Code a level, the class of its magnitude and its sign as one symbol; returns it.

    Symbols are 0, then the classes from 1 on, each above and then below 0.
    """
    magnitude = min(abs(level), LARGEST_LEVEL)
    symbol = 0
    if int(s.cursor[DIRECTION]) == 1 and level != 0:
        symbol = 2 * min(half_octave(magnitude), ESCAPED) - int(level > 0)
    symbol = code_symbol(s, context, symbol)
    octaves = (symbol + 1) >> 1
    if octaves >= 4:
        octaves = code_large(s, octaves, magnitude)
    return octaves if symbol & 1 == 1 else -octaves


@inlined
def code_large(s: Symbols, octaves: int, magnitude: int) -> int:
    """(8.3.11.1) Code what the class of a magnitude leaves open, from class 4 on; returns the magnitude."""
    if octaves < ESCAPED:
        return code_low_bits(s, octaves, magnitude)
    return 64 + code_number(s, ESCAPE, magnitude - 64)
