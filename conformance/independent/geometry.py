"""The geometry of blocks, and the data kept along their edges: clauses 8.3.7 to 8.3.7.6."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from .decisions import size_class


class Block(NamedTuple):
    """A block of a channel: position and size."""

    y: int
    x: int
    height: int
    width: int

    @property
    def area(self) -> int:
        """Number of samples."""
        return self.height * self.width

    @property
    def shape(self) -> int:
        """Class of size (8.3.7.3)."""
        return size_class(self.height, self.width)


class Surroundings(NamedTuple):
    """Buckets of the activities next to a block, co-located in other channels, and of the channel."""

    beside: int
    behind: int
    around: int


class Edge:
    """Data on the blocks along one side, an entry for each row or column (8.3.7)."""

    def __init__(self, length: int) -> None:
        self.activity = [0] * length
        self.mean = [0] * length
        self.size = [0] * length
        self.temporal = [0] * length

    def set(self, first: int, length: int, activity: int, size: int, temporal: int) -> None:
        """Keep the data of a block that later ones need, but for its mean."""
        piece = slice(first, first + length)
        self.activity[piece] = [activity] * length
        self.size[piece] = [size] * length
        self.temporal[piece] = [temporal] * length


def average(values: list[int], first: int, length: int) -> int:
    """The mean of a part of an edge, rounded down (8.3.7.4)."""
    return sum(values[first : first + length]) // length


def cuts(length: int, most: int) -> list[int]:
    """The boundaries of the fewest parts of nearly equal length (8.3.7.2)."""
    count = -(-length // most)
    return [i * length // count for i in range(count + 1)]


@cache
def root(area: int) -> int:
    """16 times the square root of an area, rounded to the nearest integer: ROOTS of 8.3.7.2."""
    return (math.isqrt(4 * 256 * area) + 1) // 2


@cache
def scan(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Coefficients by increasing frequency: u, v, place and ring (8.3.7.6)."""
    places = [(u, v) for u in range(height) for v in range(width)]
    places.sort(key=lambda place: (place[0] * width + place[1] * height, place[0]))
    entries = []
    for u, v in places:
        down = u if height <= 8 else 8 * u // height
        right = v if width <= 8 else 8 * v // width
        entries.append((u, v, 8 * down + right, min(down + right, 9)))
    return entries
