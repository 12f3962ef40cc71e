"""Growth of time and memory with the number of units: measured points, and what is fitted to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import linear_regression
from typing import Any

__all__ = ["Growth", "Point", "exponent", "upper"]

_FEWEST = 3
"""Points that the upper part of a range has at least, where there are so many."""

_NOISE = 1 << 20
"""Bytes by which peaks of the same work differ from process to process."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement.

    units   : units of the stream; of batches, features.
    seconds : processor time, median of ``runs``.
    memory  : peak of the first run beyond what the process held before, in bytes.
    """

    units: int
    seconds: float
    memory: int
    runs: int = 1


@dataclass(frozen=True)
class Growth:
    """Measurements of one path, and their fit.

    points  : by rising number of units.
    stopped : why larger sizes were left out; '' where none was.
    """

    name: str
    title: str
    points: tuple[Point, ...]
    stopped: str = ""

    @property
    def time_exponent(self) -> float | None:
        """Exponent of processor time over the upper part of the range; None for a single size."""
        points = upper(self.points)
        return exponent([one.units for one in points], [one.seconds for one in points])

    @property
    def memory_exponent(self) -> float | None:
        """Exponent of the memory beyond that of the smallest size; None where it hardly grows."""
        grown = [one for one in self.points if self._beyond(one) > _NOISE]
        points = [one for one in upper(self.points) if one in grown]
        return exponent([one.units for one in points], [self._beyond(one) for one in points])

    @property
    def bytes_per_unit(self) -> float | None:
        """Bytes that each unit adds from the smallest size to the largest; None for a single size."""
        if len(self.points) < 2:
            return None
        first, last = self.points[0], self.points[-1]
        return self._beyond(last) / (last.units - first.units)

    def _beyond(self, point: Point) -> int:
        return point.memory - self.points[0].memory

    def as_json(self) -> dict[str, Any]:
        """Points and fits as JSON types."""
        fits = ("time_exponent", "bytes_per_unit", "memory_exponent")
        rounded = {name: _rounded(getattr(self, name)) for name in fits}
        return {**asdict(self), "points": [asdict(one) for one in self.points], **rounded}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Growth:
        """The path of a record that :meth:`as_json` made; the fits are made again."""
        points = tuple(Point(**one) for one in record["points"])
        return cls(record["name"], record["title"], points, record["stopped"])


def upper(points: Sequence[Point]) -> Sequence[Point]:
    """The upper half of the range on a logarithmic scale: three points at least, where there are."""
    if not points:
        return points
    middle = math.sqrt(points[0].units * points[-1].units)
    beyond = [one for one in points if one.units >= middle]
    return beyond if len(beyond) >= _FEWEST else points[-_FEWEST:]


def exponent(units: Sequence[float], amounts: Sequence[float]) -> float | None:
    """The b of ``amount = a * units**b``, by least squares on logarithms; None for fewer than two."""
    if len(units) < 2:
        return None
    return linear_regression(list(map(math.log, units)), list(map(math.log, amounts))).slope


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
