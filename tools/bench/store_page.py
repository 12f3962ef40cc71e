"""The page of stores: what was measured, and a simulation of more workers than were there."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

from page import fill, measured, table
from record import DOCS, Record

_BILLION = 10**9
_CHUNK = 4096
_SIMULATED = (1, 2, 16, 128, 1024)

_CORE_HOUR = 0.04
"""US dollars for an hour of one core: an assumption, of the order of what clouds ask."""

_TERABYTE_MONTH = 23.0
"""US dollars for a terabyte on an object store for a month: an assumption, likewise."""


def render(record: Record) -> None:
    """Put the tables into the guide."""
    rows = [one for one in record["rows"] if "build" in one["phases"]]
    whole = [one for one in rows if one["workers"] == 1 and "schedule" in one["phases"]]
    how = measured(record["machine"])
    parts = {
        "measured": f"{table(_HEADS, map(_row, rows))}\n{how}.\n",
        "simulated": table(_SIMULATED_HEADS, map(_simulated_row, whole)),
        "cost": table(_COST_HEADS, map(_cost_row, whole)),
    }
    fill(DOCS / "guides" / "stores.rst", parts)


_HEADS = [
    "Coder",
    "Workers",
    "Features",
    "Bytes a feature",
    "Built a second",
    "Verified",
    "Decoded",
]
_HEADS += ["Read by ranges", "Load"]


def _row(one: dict[str, Any]) -> list[str]:
    key = [one["coder"], str(one["workers"]), f"{one['features']:,}"]
    rates = [_rate(one["phases"].get(phase)) for phase in ("build", "verify", "decode", "read")]
    size = one["size"] / one["features"]
    return [*key, f"{size:,.0f}", *rates, str(one.get("load", "not noted"))]


def _rate(phase: list[float] | None) -> str:
    """Features a second, of their number and the seconds."""
    return "not reached" if phase is None else f"{phase[0] / phase[1]:,.0f}"


# --- simulation ------------------------------------------------------------------------------------


def simulate(seconds: list[float], tasks: int, workers: int, each: float) -> float:
    """The seconds until all tasks are done.

    The scheduler gives one task after the other to the worker that is free first, and needs ``each`` seconds
    for it; the tasks last as long as the given ones, in turn.
    """
    free = [0.0] * min(workers, tasks)
    scheduler = 0.0
    for _, lasts in zip(range(tasks), itertools.cycle(seconds), strict=False):
        scheduler = max(scheduler, free[0]) + each
        heapq.heapreplace(free, scheduler + lasts)
    return max(free)


_SIMULATED_HEADS = ["Coder", *(f"{count:,}" for count in _SIMULATED)]


def _simulated_row(one: dict[str, Any]) -> list[str]:
    """Hours for a billion features, by the number of workers."""
    tasks, (count, seconds) = -(-_BILLION // _CHUNK), one["phases"]["schedule"]
    hours = [
        simulate(one["tasks"], tasks, workers, seconds / count) / 3600 for workers in _SIMULATED
    ]
    return [one["coder"], *(f"{hour:,.1f}" for hour in hours)]


# --- a billion features ----------------------------------------------------------------------------

_COST_HEADS = [
    "Coder",
    "TB",
    "Core hours to build",
    "US$ to build",
    "US$ a month",
    "As float32, US$ a month",
]


def _cost_row(one: dict[str, Any]) -> list[str]:
    """Bytes and cost of a billion features."""
    count, seconds = one["phases"]["build"]
    hours = _BILLION * seconds / count / 3600
    terabytes = one["size"] / one["features"] * _BILLION / 1e12
    plain = 4.096
    return [
        one["coder"],
        f"{terabytes:.2f}",
        f"{hours:,.0f}",
        f"{hours * _CORE_HOUR:,.0f}",
        f"{terabytes * _TERABYTE_MONTH:,.0f}",
        f"{plain * _TERABYTE_MONTH:,.0f}",
    ]
