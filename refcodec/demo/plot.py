"""The plot of ``refcodec demo``: fidelity over rate.  Needs matplotlib, but no display."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from refcodec import plotting
from refcodec.config import EncoderConfig
from refcodec.demo.network import FEATURE_SHAPES
from refcodec.demo.row import Row
from refcodec.plotting import BLUE, GREEN, INK, PURPLE, VERMILION, save_both, styled

__all__ = ["draw"]


class Curve(NamedTuple):
    """One family of settings.

    has   : tells if a configuration belongs to it.
    style : arguments of ``Axes.plot``, the name for the legend among them.
    """

    has: Callable[[EncoderConfig], bool]
    style: Mapping[str, Any]


CURVES: Final = (
    Curve(
        lambda config: config.coder == "native",
        {"label": "native, by QP", "color": PURPLE, "marker": "D", "linewidth": 1.5, "zorder": 4},
    ),
    Curve(
        lambda config: config.coder == "hevc",
        {"label": "hevc, by QP", "color": BLUE, "marker": "o", "linewidth": 1.5, "zorder": 4},
    ),
    Curve(
        lambda config: config.lossy_quantiser == "log" and config.coder == "raw",
        {"label": "raw, log", "color": GREEN, "marker": "^", "linewidth": 1},
    ),
    Curve(
        lambda config: config.lossy_quantiser == "uniform" and config.coder == "raw",
        {"label": "raw, uniform", "color": VERMILION, "marker": "s", "linewidth": 1},
    ),
    Curve(
        lambda config: config.lossy_quantiser is None,
        {
            "label": "lossless: raw, zlib, gzip, bzip2, lzma, native",
            "color": INK,
            "marker": "|",
            "markersize": 10,
            "linestyle": "",
        },
    ),
)

RATES: Final = (0.5, 1, 2, 4, 8, 16, 32)
"""Labelled values of the axis, bits per element."""


def draw(rows: Sequence[Row]) -> dict[str, bytes]:
    """Plot fidelity over bits per element, one panel per cut.

    Returns the files by their suffix, ``png`` (1600 pixels wide) and ``svg``.  The same rows give the
    same bytes under one version of matplotlib.
    """
    sections = [list(section) for _, section in groupby(rows, key=lambda row: row.layer)]
    with styled():
        figure = Figure(figsize=(8, 3.7), layout="constrained")
        panels = figure.subplots(1, len(sections), sharex=True, sharey=True, squeeze=False)[0]
        for panel, section in zip(panels, sections, strict=True):
            _draw_panel(panel, section)
        rates = [row.bits_per_element for row in rows]
        # The panels share their axes, so the limits follow from the rows of all.
        panels[0].set_xlim(0.8 * min(0.5, *rates), 1.4 * max(32, *rates))
        plotting.fidelity_axis(panels[0], min(0.7, *(row.fidelity for row in rows)))
        panels[0].set_ylabel("fidelity (share of decisions kept)")
        figure.supxlabel(plotting.RATE, fontsize="medium")
        plotting.legend(figure, [panels[0]], len(CURVES), handlelength=1.6, columnspacing=1.6)
        return save_both(figure)


def _draw_panel(panel: Any, rows: Sequence[Row]) -> None:
    layer = rows[0].layer
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, FEATURE_SHAPES[layer]))
    plotting.title(panel, f"{layer}  ({shape})")
    plotting.rate_axis(panel, FixedLocator(RATES))
    for curve in CURVES:
        points = sorted(
            (row.bits_per_element, row.fidelity) for row in rows if curve.has(row.config)
        )
        if points:
            # A point at a fidelity of 1 lies on the frame and must not be clipped there.
            style = {"markersize": 4, "clip_on": False, "zorder": 3, **curve.style}
            panel.plot([rate for rate, _ in points], [height for _, height in points], **style)
    for row in rows:
        if row.config.coder in ("native", "hevc"):
            native = row.config.coder == "native"
            plotting.label(
                panel,
                f"{row.config.qp:g}",
                (row.bits_per_element, row.fidelity),
                (-9, 4) if native else (4, -8),
                color=PURPLE if native else BLUE,
            )
