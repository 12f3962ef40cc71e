"""Interleaved range asymmetric numeral systems over static tables (clause 8.10.2).

Symbols are decoded in *rounds*: each lane decodes one symbol, lane after lane; then those lanes whose symbol
is an escape decode its excess, in the same order. All lanes take their words from one sequence.

A lane is a number below 2^32, its *state*, which takes a word where it has fallen below 2^16. A single lane
starts from less when it is encoded, so that a small payload is short: decoding it, no words are left when
its state falls below 2^16 for the last time.
"""

from __future__ import annotations

from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.static import LARGEST_EXCESS, PRECISION, Tables, excess_order, find_symbol
from refcodec.kernel import inlined, kernel

__all__ = [
    "LAST_STATE",
    "LAST_STATE_ALONE",
    "LOWEST",
    "decode_each",
    "decode_same",
    "encode_symbols",
]

LOWEST = 1 << 16
"""Lowest state of a lane while there are words."""

LAST_STATE = 1 << 16
"""State of each of several lanes after their last symbol."""

LAST_STATE_ALONE = 1 << 12
"""State of a single lane after its last symbol."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def refill(state: int, words: Int32, position: int, count: int) -> tuple[int, int]:
    """(8.10.2) A state that takes a word where it is low and there is one; and the next position.

    words : ``count`` words of 16 bits, and one more, which has no meaning.
    """
    low = int(state < LOWEST) & int(position < count)
    return (state << (16 * low)) | (int(words[position]) & -low), position + low


@kernel
def decode_excess(
    state: int, words: Int32, position: int, count: int, order: int
) -> tuple[int, int, int]:
    """(8.10.2) An excess in Exp-Golomb code, a bit after the other; with the state and the position."""
    length = order
    more = 1
    while more == 1 and length < 18:
        more = state & 1
        state, position = refill(state >> 1, words, position, count)
        length += more
    number = 1
    for _ in range(length):
        number = 2 * number + (state & 1)
        state, position = refill(state >> 1, words, position, count)
    excess = min(number - (1 << order), LARGEST_EXCESS)
    return excess, state, position


@kernel
def decode_same(states: Int64, words: Int32, slots: Int64, tables: Tables, symbols: Int32) -> int:
    """(8.10.2) Decode symbols that have one table, the first; returns the number of words taken.

    slots : of that table, as `fill_slots` packs them.
    """
    lanes = states.shape[0]
    count = words.shape[0] - 1
    mask = (1 << PRECISION) - 1
    values = int(tables.values[0])
    order = excess_order(values)
    position = 0
    for start in range(0, symbols.shape[0], lanes):
        stop = min(start + lanes, symbols.shape[0])
        highest = 0
        for i in range(start, stop):
            state = int(states[i - start])
            slot = int(slots[state & mask])
            state = ((slot >> 16) & 0x1FFFF) * (state >> PRECISION) + (slot & 0xFFFF)
            state, position = refill(state, words, position, count)
            states[i - start] = state
            symbols[i] = slot >> 33
            highest = max(highest, slot >> 33)
        if highest >= values:
            for i in range(start, stop):
                if int(symbols[i]) >= values:
                    excess, state, position = decode_excess(
                        int(states[i - start]), words, position, count, order
                    )
                    states[i - start] = state
                    symbols[i] = values + excess
    return position


@kernel
def decode_each(states: Int64, words: Int32, index: Int32, tables: Tables, symbols: Int32) -> int:
    """(8.10.2) Decode symbols that have a table each; returns the number of words taken.

    index : the table of each symbol.
    """
    lanes = states.shape[0]
    count = words.shape[0] - 1
    mask = (1 << PRECISION) - 1
    position = 0
    for start in range(0, symbols.shape[0], lanes):
        stop = min(start + lanes, symbols.shape[0])
        escapes = 0
        for i in range(start, stop):
            state = int(states[i - start])
            table = int(index[i])
            slot = state & mask
            place = find_symbol(tables, table, slot)
            low = int(tables.bounds[place])
            state = (int(tables.bounds[place + 1]) - low) * (state >> PRECISION) + slot - low
            state, position = refill(state, words, position, count)
            states[i - start] = state
            symbol = place - int(tables.begin[table])
            symbols[i] = symbol
            escapes |= int(symbol >= int(tables.values[table]))
        if escapes == 1:
            for i in range(start, stop):
                values = int(tables.values[int(index[i])])
                if int(symbols[i]) >= values:
                    excess, state, position = decode_excess(
                        int(states[i - start]), words, position, count, excess_order(values)
                    )
                    states[i - start] = state
                    symbols[i] = values + excess
    return position


# --- informative: the encoder's half ---------------------------------------------------------------


@kernel
def encode_symbols(
    states: Int64, words: Int32, index: Int32, tables: Tables, symbols: Int32
) -> int:
    """Code symbols, the last one first; returns the position of the first word, -1 where room ends.

    states : the last states, which become the first.
    words  : is filled from its end.
    index  : the table of each symbol; a single entry is that of all.
    """
    lanes = states.shape[0]
    position = words.shape[0]
    each = int(index.shape[0] > 1)
    count = symbols.shape[0]
    for after in range((count + lanes - 1) // lanes, 0, -1):
        start = (after - 1) * lanes
        stop = min(start + lanes, count)
        if position < 4 * lanes:  # a symbol takes a word at most, an excess of 37 bits three
            return -1
        for i in range(stop - 1, start - 1, -1):
            values = int(tables.values[int(index[i * each])])
            if int(symbols[i]) >= values:
                position = _encode_excess(
                    states, words, position, i - start, int(symbols[i]) - values, values
                )
        for i in range(stop - 1, start - 1, -1):
            table = int(index[i * each])
            place = int(tables.begin[table]) + min(int(symbols[i]), int(tables.values[table]))
            low = int(tables.bounds[place])
            frequency = int(tables.bounds[place + 1]) - low
            state = int(states[i - start])
            if state >= frequency << (32 - PRECISION):
                position -= 1
                words[position] = state & 0xFFFF
                state >>= 16
            quotient = state // frequency
            states[i - start] = (quotient << PRECISION) + low + state - quotient * frequency
    return int(position)


@kernel
def _encode_excess(
    states: Int64, words: Int32, position: int, lane: int, excess: int, values: int
) -> int:
    """Code an excess in a lane, its last bit first; returns the position of the first word."""
    order = excess_order(values)
    length = order
    while excess + (1 << order) >= 2 << length:
        length += 1
    suffix = excess + (1 << order) - (1 << length)
    prefix = (1 << (length - order)) - 1  # its ones come before its zero
    bits = length + length - order + int(length < 18)
    for i in range(bits):
        bit = (suffix >> i) & 1
        if i >= length:
            bit = (prefix << 1 >> (i - length)) & 1 if length < 18 else 1
        state = int(states[lane])
        if state >= 1 << 31:
            position -= 1
            words[position] = state & 0xFFFF
            state >>= 16
        states[lane] = 2 * state + bit
    return position
