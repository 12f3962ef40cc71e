"""Plots of trainings of image codecs and classifiers. Needs matplotlib, but no display."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from refcodec import plotting
from refcodec.images.measure import kind_of
from refcodec.images.training import PhaseRow
from refcodec.plotting import BLUE, FAINT, look, save, styled

__all__ = ["draw_accuracy", "draw_phase"]


def draw_phase(rows: Sequence[PhaseRow]) -> bytes:
    """Plot bits, quality and error over the steps of a phase; a PNG."""
    steps = [row.step for row in rows]
    measures = {"bits": "bits a pixel", "psnr": "PSNR, dB", "error": "errors"}
    with styled():
        figure = Figure(figsize=(6, 5), layout="constrained")
        panels = figure.subplots(len(measures), 1, sharex=True)
        for panel, (name, label) in zip(panels, measures.items(), strict=True):
            panel.plot(steps, [getattr(row, name) for row in rows], color=BLUE, linewidth=1.2)
            panel.set_ylabel(label)
            panel.grid(visible=True)
        panels[-1].set_xlabel("steps")
        return save(figure, "png")


def draw_accuracy(results: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Plot accuracy over bits a pixel; returns the plot by suffix.

    results : as `refcodec.images.run.ImageSession.run` returns them.
    """
    curves = defaultdict[str, list[tuple[float, float]]](list)
    for one in results:
        kind = kind_of(one)
        curves[f"latents, {kind}"].append((one["bits"], one["accuracy"]["latents"]))
        if kind == "frozen" and "decoded images" in one["accuracy"]:
            curves["decoded images, frozen"].append(
                (one["bits"], one["accuracy"]["decoded images"])
            )
    with styled():
        figure = Figure(figsize=(6, 3.8), layout="constrained")
        panel = figure.subplots()
        for number, (name, points) in enumerate(curves.items()):
            style: dict[str, Any] = {"markersize": 4, "linewidth": 1.2, **look(number)}
            panel.plot(*zip(*sorted(points), strict=True), label=name, **style)
        if results and "images" in results[0]["accuracy"]:
            panel.axhline(
                results[0]["accuracy"]["images"], color=FAINT, linewidth=0.8, linestyle="--"
            )
        panel.set_xlabel("bits a pixel")
        panel.set_ylabel("top-1 accuracy")
        panel.grid(visible=True)
        plotting.legend(figure, [panel], columns=3)
        return plotting.save_both(figure)
