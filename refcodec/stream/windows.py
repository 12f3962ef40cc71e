"""Consecutive coded units in windows of bounded size, to be decoded together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refcodec.grouping import in_windows
from refcodec.stream.parsing import CodedUnit

__all__ = ["windows_of"]

_UNITS = 64
"""Most coded units per window: so many are read before the first feature is decoded."""

_SAMPLES = 1 << 24
"""Most samples per window, unless a single unit has more."""

_FEATURE_COST = 256
"""Memory of a feature beside its samples, expressed as a number of samples."""


def windows_of(units: Iterable[CodedUnit]) -> Iterator[list[CodedUnit]]:
    """Split coded units into windows; if ``units`` raises, the units before the error are yielded first."""
    costs = ((unit, unit.samples + _FEATURE_COST * len(unit.payloads)) for unit in units)
    return in_windows(costs, _SAMPLES, _UNITS)
