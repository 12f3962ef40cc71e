"""Consecutive coded units in windows of bounded size, to be decoded together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refcodec.grouping import in_windows
from refcodec.stream.parsing import CodedUnit

__all__ = ["windows_of"]

_UNITS = 64
"""Coded units of a window at most: the first feature of a stream comes after so many."""

_SAMPLES = 1 << 24
"""Samples of a window at most, unless one unit has more."""

_FEATURE_COST = 256
"""Samples that cost as much as what a feature takes beside them."""


def windows_of(units: Iterable[CodedUnit]) -> Iterator[list[CodedUnit]]:
    """Split the coded units of a stream; where ``units`` raises, what precedes the error is yielded first."""
    costs = ((unit, unit.samples + _FEATURE_COST * len(unit.payloads)) for unit in units)
    return in_windows(costs, _SAMPLES, _UNITS)
