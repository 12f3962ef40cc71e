"""Tables of symbols: clauses 8.10.1, 8.10.4 and the frequencies of 8.10.5."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate

from .tables import scales

PRECISION = 14
TOTAL = 1 << PRECISION  # of the frequencies of a table
LONGEST_EXCESS = 18  # bits of an excess that follow its length

# weights of the levels 0 to 15, in units of 2^-15
MANTISSAS = (
    *(32768, 34219, 35734, 37316, 38968, 40693, 42495, 44376),
    *(46341, 48393, 50535, 52773, 55109, 57549, 60097, 62757),
)


class Table:
    """A distribution of symbols (8.10.1): ``values`` of them stand for values, an escape may follow.

    ``main`` is the main symbol, by default the most frequent one, the first of several.
    """

    def __init__(self, frequencies: Sequence[int], values: int, main: int | None = None) -> None:
        self.values = values
        self.bounds = [0, *accumulate(frequencies)]
        self.main = frequencies.index(max(frequencies)) if main is None else main

    def symbol_of(self, slot: int) -> int:
        """The symbol to which a slot belongs."""
        return bisect_right(self.bounds, slot) - 1

    def excess(self, bit: Callable[[], int]) -> int:
        """Decode an excess in Exp-Golomb code, whose order follows from ``values``, by its bits."""
        order = length = max(self.values.bit_length() - 4, 0)
        while length < LONGEST_EXCESS and bit():
            length += 1
        number = 1
        for _ in range(length):
            number = number << 1 | bit()
        return number - (1 << order)

    def offset_of(self, symbol: int) -> int:
        """The distance of a symbol's value from that of symbol 0; an excess is added to the escape."""
        if symbol < self.values:
            return symbol
        excess = symbol - self.values
        return -(excess + 1) // 2 if excess % 2 else self.values + excess // 2


@cache
def family() -> list[Table]:
    """The tables of normal distributions, by scale (8.10.4)."""
    members = []
    for frequencies in scales():
        values = len(frequencies) - 1
        members.append(Table(frequencies, values, values // 2))
    return members


def frequencies_of(levels: Sequence[int]) -> list[int]:
    """The frequencies of symbols whose weights have these levels (8.10.5).

    The most frequent symbol takes what rounding leaves; its frequency is below 1 where the others take too
    much.
    """
    weights = [MANTISSAS[level & 15] << (level >> 4) for level in levels]
    total = sum(weights)
    frequencies = [max((weight << PRECISION) // total, 1) for weight in weights]
    largest = frequencies.index(max(frequencies))
    frequencies[largest] += TOTAL - sum(frequencies)
    return frequencies
