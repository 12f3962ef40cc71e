"""Plots of trainings and their results. Needs matplotlib, but no display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, StrMethodFormatter

from refcodec import plotting
from refcodec.learn.trainer import Row
from refcodec.plotting import BLUE, VERMILION, look, save, styled

__all__ = ["draw_curves", "draw_log"]

_PERCENT: Final = FuncFormatter(lambda share, _: f"{100 * share:.10g} %")

_HIGHEST: Final = 3
"""Highest error that is drawn, over that of the uncompressed features."""


def draw_log(rows: Sequence[Row], measures: str) -> bytes:
    """Plot loss, bits and error over the steps of a training; a PNG.

    measures : name of the error.
    """
    steps = [row.step for row in rows]
    with styled():
        figure = Figure(figsize=(6, 5), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
        for panel, label, values in (
            (panels[0], "loss of the task", [row.loss for row in rows]),
            (panels[1], "bits of a feature", [row.bits for row in rows]),
            (panels[2], measures, [row.error for row in rows]),
        ):
            panel.plot(steps, values, color=BLUE, linewidth=1.2)
            panel.set_ylabel(label)
            panel.grid(visible=True)
        if any(row.bits > 0 for row in rows):
            panels[1].set_yscale("log")
            panels[1].yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
            panels[1].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panels[1].yaxis.set_minor_locator(NullLocator())
            own = panels[1].twinx()
            own.plot(steps, [row.trade for row in rows], color=VERMILION, linewidth=0.8)
            own.set_ylabel("lambda", color=VERMILION)
        panels[2].set_xlabel("steps")
        return save(figure, "png")


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], measures: str, floor: float | None
) -> dict[str, bytes]:
    """Plot error over size, as Fig. 1 of Singh et al. (2020); returns the plot by suffix.

    curves : by name, points of size, as a share of that of zlib, and error.
    floor  : error of the uncompressed features; None for none. Three times that is the highest shown.
    """
    with styled():
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        panel = figure.subplots()
        for number, (name, points) in enumerate(curves.items()):
            ordered = sorted(points)
            style: dict[str, Any] = {"markersize": 4, "linewidth": 1.2, **look(number)}
            panel.plot(*zip(*ordered, strict=True), label=name, **style)
        if floor is not None:
            panel.axhline(floor, color=plotting.FAINT, linewidth=0.8, linestyle="--", zorder=0)
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(_PERCENT)
        panel.set_xlabel("size, as a share of zlib's")
        panel.set_ylabel(measures)
        if "error" in measures and measures != "squared error":
            panel.yaxis.set_major_formatter(_PERCENT)
        if floor:
            highest = max(error for points in curves.values() for _, error in points)
            panel.set_ylim(0, min(1.1 * highest, _HIGHEST * floor))
        panel.grid(visible=True)
        plotting.legend(figure, [panel], columns=4)
        return plotting.save_both(figure)
