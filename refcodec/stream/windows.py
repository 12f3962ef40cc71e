"""Consecutive coded units in windows of bounded size, to be decoded together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refcodec.stream.parsing import CodedUnit

__all__ = ["windows_of"]

_UNITS = 64
"""Coded units of a window at most."""

_SAMPLES = 1 << 22
"""Samples of a window at most, unless one unit has more."""

_FEATURE_COST = 256
"""Samples that cost as much memory as what a feature takes beside them."""


def windows_of(units: Iterable[CodedUnit]) -> Iterator[list[CodedUnit]]:
    """Split the coded units of a stream; where ``units`` raises, what precedes the error is yielded first.

    The first window is the first unit, as soon as it is there; each further one may have twice as many.
    """
    window: list[CodedUnit] = []
    cost, most = 0, 1
    try:
        for unit in units:
            own = unit.samples + _FEATURE_COST * len(unit.payloads)
            if window and cost + own > _SAMPLES:
                yield window
                window, cost = [], 0
            window.append(unit)
            cost += own
            if len(window) == most or cost >= _SAMPLES:
                yield window
                window, cost, most = [], 0, min(2 * most, _UNITS)
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window
