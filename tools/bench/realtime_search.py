"""Searches for blocks and levels that were tried for static tables: rates at equal quality, and speeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from coding import processor, read, write
from curves import Point, bd_rate
from features import Source
from native_curves import QPS
from record import Record

from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native_static.encoder import feature, search

__all__ = ["FEATURES", "means", "trials"]

FEATURES = {"small": 60, "large": 3}
"""Features of a set that the searches are tried on."""

CHOSEN = "one division, by promise"
FIRST = "two divisions, as native"

STRENGTHS = (0.02, 0.04, 0.06)
"""Lagrange multipliers beside the one in use."""


def trials(layer: str, size: str) -> Record:
    """BD-rate in % of each search against that of native, and millions of elements coded a second."""
    source = Source(layer, size, FEATURES[size])
    curves, speeds = {}, {}
    for name, context in _searches().items():
        with context():
            curves[name], speeds[name] = _curve(source, QPS[size][layer])
    changes = {name: bd_rate(curves[FIRST], own) for name, own in curves.items()}
    return {
        name: [None if change is None else round(change.value, 2), round(speeds[name], 2)]
        for name, change in changes.items()
    }


def _curve(source: Source, qps: tuple[int, ...]) -> tuple[list[Point], float]:
    points, seconds = [], 0.0
    for qp in qps:
        data = write(source.maps, coder="native-static", qp=qp)
        seconds += min(
            processor(lambda at=qp: write(source.maps, coder="native-static", qp=at))  # type: ignore[misc]
            for _ in range(2)
        )
        points.append({"qp": qp} | source.judge(read(data), len(data)))
    return points, len(qps) * source.maps.size / seconds / 1e6


def _searches() -> dict[str, Callable[[], Any]]:
    """Each search, as a context in which the encoder uses it."""

    def native(depths: int) -> Callable[..., Any]:
        tuning = Tuning(blocks=(16,), depths=depths)
        return lambda exact, steps, _, advice: choose(exact, steps, tuning, advice, 16, 0)

    return {
        FIRST: lambda: _replaced(feature, "_choose", native(1)),
        "whole blocks, as native": lambda: _replaced(feature, "_choose", native(0)),
        f"{CHOSEN} ({search.STRENGTH})": lambda: _replaced(search, "STRENGTH", search.STRENGTH),
        **{
            f"{CHOSEN} ({one})": lambda one=one: _replaced(search, "STRENGTH", one)  # type: ignore[misc]
            for one in STRENGTHS
        },
    }


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Give a name of a module another value for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def means(record: Record) -> list[tuple[str, float, float]]:
    """Each search with its mean BD-rate and its mean speed, over all places."""
    names = list(next(iter(record.values())))
    return [
        (name, *(float(np.mean([one[name][i] for one in record.values()])) for i in (0, 1)))
        for name in names
    ]
