"""The page of growth with the number of units: table, plot, and what they depend on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from growth_fit import Growth
from growth_paths import PATHS

__all__ = ["HEADS", "cells", "machine", "write"]

HEADS = (
    "path",
    "units",
    "seconds",
    "µs per unit",
    "time exponent",
    "memory, MiB",
    "bytes per unit",
    "memory exponent",
    "stopped early",
)
"""Heads of the table. Units, seconds and memory are those of the largest size reached."""

_NONE = "\N{EN DASH}"

_PAGE = """\
Growth with the number of units
===============================

Time and memory of each path through ``refcodec``, over the number of units of the stream. Measured by

.. code-block:: console

   $ {command}

on {processor}, {cores} cores, Python {python}, {packages}, {date}. The machine may have done other work
at the same time; every size ran in a process of its own.

*Time* is processor time of the path alone, after a warm-up; of short runs, the median of up to five.
Its exponent *b* in time = *a* units\\ :sup:`b` is fitted by least squares on logarithms, over the upper half
of the sizes. The goal is at most {most}.

*Memory* is the growth of peak resident memory from the beginning of the path. *Bytes per unit*
is its growth from the smallest size to the largest; the *memory exponent* is that of the excess over the
smallest size, and {none} where that is never more than 1 MiB. Numbers of units, seconds and memory in the
table are those of the largest size that a path reached within {budget:g} s.

Plain features have {elements} elements, without compression (``raw``). *Batches* hold vectors of 16 elements;
there, features are counted instead of units. *Sequences* are of 2 x 8 x 8 elements, predicted over time by
the coder ``native`` with ``gop={gop}``.

.. image:: /images/{plot}
   :alt: Processor time and peak memory over the number of units, a line for each path

{table}
Paths
-----

{titles}
"""


def write(record: dict[str, Any], page: Path, plot: Path) -> None:
    """Write the page and the plot from a record of ``bench_growth.py``."""
    from page import table

    from refcodec.files import atomic_file

    found = [Growth.from_json(one) for one in record["paths"]]
    facts = record["machine"]
    text = _PAGE.format(
        **{**record, **facts},
        packages=", ".join(f"{name} {number}" for name, number in facts["versions"].items()),
        plot=plot.name,
        none=_NONE,
        table=table(HEADS, map(cells, found)),
        titles="\n".join(f"``{one.name}``\n   {one.title}" for one in found),
    )
    for path, data in ((page, text.encode()), (plot, draw(found))):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(data)


def cells(one: Growth) -> Sequence[str]:
    """A row of the table; see ``HEADS``."""
    if not one.points:
        return (one.name, *[_NONE] * (len(HEADS) - 2), one.stopped)
    last = one.points[-1]
    return (
        one.name,
        f"{last.units:,}",
        f"{last.seconds:.3g}",
        f"{1e6 * last.seconds / last.units:,.1f}",
        _number(one.time_exponent, ".2f"),
        f"{last.memory / 2**20:.1f}",
        _number(one.bytes_per_unit, ",.0f"),
        _number(one.memory_exponent, ".2f"),
        one.stopped,
    )


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def machine() -> dict[str, Any]:
    """Facts that the figures depend on."""
    import cpuinfo  # type: ignore[import-untyped, unused-ignore]

    return {
        "processor": cpuinfo.get_cpu_info().get("brand_raw", platform.processor()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "numba", "construct")},
        "date": time.strftime("%Y-%m-%d"),
    }


# --- plot ------------------------------------------------------------------------------------------


def draw(found: Sequence[Growth]) -> bytes:
    """A PNG: time and memory over units, a panel for each kind of stream and amount."""
    import matplotlib
    from matplotlib.figure import Figure

    from refcodec.plotting import STYLE, save

    groups = _groups(found)
    with matplotlib.rc_context(dict(STYLE)):
        size = 3.3 * len(groups) + 0.4, 6.2
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(2, len(groups), squeeze=False, sharex="col", sharey="row")
        for column, (title, own) in enumerate(groups.items()):
            _draw_lines(panels[:, column], own)
            panels[0, column].set_title(title, fontsize="medium", loc="left")
        panels[0, 0].set_ylabel("processor time, s")
        panels[1, 0].set_ylabel("peak memory beyond the start, MiB")
        figure.supxlabel("units (of batches, features)", fontsize="medium")
        return save(figure, "png")


def _verb(name: str) -> str:
    return name.removeprefix("batch-").removeprefix("sequence-")


def _groups(found: Sequence[Growth]) -> dict[str, list[Growth]]:
    groups: dict[str, list[Growth]] = {}
    for one in found:
        if one.points:
            kind = one.name.partition("-")[0]
            title = {"batch": "batches", "sequence": "sequences"}.get(kind, "plain features")
            groups.setdefault(title, []).append(one)
    return groups


def _draw_lines(panels: Any, found: Sequence[Growth]) -> None:
    """Time above, memory below, with a dotted line of slope 1 for the eye."""
    from refcodec.plotting import FAINT, look

    above, below = panels
    verbs = list(dict.fromkeys(map(_verb, PATHS)))  # the same has the same colour everywhere
    for one in found:
        verb = _verb(one.name)
        units = [point.units for point in one.points]
        style: dict[str, Any] = {"markersize": 3.5, "linewidth": 1.1, **look(verbs.index(verb))}
        above.plot(units, [point.seconds for point in one.points], label=verb, **style)
        below.plot(units, [max(point.memory, 1 << 14) / 2**20 for point in one.points], **style)
    start = max((one.points[0] for one in found), key=lambda point: point.seconds)
    end = max(one.points[-1].units for one in found)
    ends = [start.units, end]
    above.plot(
        ends,
        [2 * start.seconds * units / start.units for units in ends],
        color=FAINT,
        linestyle=":",
        label="slope 1",
    )
    above.legend(fontsize="x-small", frameon=False)
    for panel in panels:
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.grid(visible=True)
