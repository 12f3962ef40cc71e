"""The look of plots: colours, type, axes and legends. Needs matplotlib, but no display."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import Locator, LogLocator, NullLocator, StrMethodFormatter

__all__ = [
    "BLUE",
    "COLOURS",
    "FAINT",
    "GREEN",
    "INK",
    "MARKERS",
    "PURPLE",
    "RATE",
    "STYLE",
    "VERMILION",
    "bars_by_channel",
    "fidelity_axis",
    "label",
    "legend",
    "look",
    "rate_axis",
    "save",
    "save_both",
    "styled",
    "title",
]

Values = npt.NDArray[np.float64]

INK: Final = "#333333"
FAINT: Final = "#808080"

# Of Okabe and Ito (2008), distinguishable with any colour vision.
BLUE: Final = "#0072B2"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

COLOURS: Final = (PURPLE, BLUE, VERMILION, GREEN, INK, "#E69F00", "#56B4E9", FAINT)
"""Colours in the order of a plot's curves."""

MARKERS: Final = "Dos^vPX*"

STYLE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "font.size": 8.5,
        "text.color": INK,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.6,
        "xtick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.color": FAINT,
        "ytick.labelcolor": INK,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "svg.hashsalt": "refcodec",  # else the identifiers in the file change from run to run
    }
)


def look(number: int) -> dict[str, str]:
    """Colour and marker of a curve; after the last colour they repeat, with other markers."""
    row, column = divmod(number, len(COLOURS))
    return {"color": COLOURS[column], "marker": MARKERS[(column + row) % len(MARKERS)]}


def styled() -> Any:
    """Context in which figures are drawn in `STYLE`."""
    return rc_context(dict(STYLE))


# --- axes ------------------------------------------------------------------------------------------

RATE: Final = "bits per element, of the whole file"
"""The label of an axis of rates."""

_FIDELITIES: Final = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 1)

_KNEE: Final = 0.02
"""Distance from a fidelity of 1 within which the axis is nearly linear, and beyond it logarithmic."""


def rate_axis(panel: Any, ticks: Locator | None = None) -> None:
    """Set up x for bits per element, logarithmic to base 2, with a grid.

    ticks : positions of numbers; None for powers of 2, at most seven.
    """
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_locator(ticks or LogLocator(2, numticks=7))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.grid(visible=True)


def fidelity_axis(panel: Any, lowest: float) -> None:
    """Set up y for fidelity, from the lowest value up to 1, spread out towards 1."""
    panel.set_yscale("function", functions=(_stretch, _shrink))
    ticks = [tick for tick in _FIDELITIES if tick >= lowest - 0.02]
    panel.set_yticks(ticks, [f"{tick:.10g}" for tick in ticks])
    panel.set_ylim(min(lowest - 0.01, ticks[0]), 1)


def _stretch(fidelity: Values) -> Values:
    """Map fidelity to the axis, spread out towards 1, where the points of interest lie."""
    return -np.log(np.maximum(1 - fidelity, 0) + _KNEE)


def _shrink(position: Values) -> Values:
    """Undo `_stretch`."""
    return 1 + _KNEE - np.exp(-position)


# --- text ------------------------------------------------------------------------------------------


def title(panel: Any, text: str, **options: Any) -> None:
    """Write a title above the left end of a panel."""
    panel.set_title(text, fontsize="medium", loc="left", **options)


def label(
    panel: Any, text: str, point: tuple[float, float], shift: tuple[float, float], **options: Any
) -> None:
    """Write a label beside a point, with a halo that keeps it readable across lines.

    shift : from the point to the text, in 1/72 inch.
    """
    panel.annotate(
        text,
        point,
        xytext=shift,
        textcoords="offset points",
        fontsize="x-small",
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=5,
        **options,
    )


def legend(
    figure: Figure, panels: Sequence[Any], columns: int | None = None, **options: Any
) -> None:
    """Draw one legend above all panels, with each curve once.

    columns : number of columns; None chooses by the panels.
    """
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, text in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(text, handle)
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside upper center",
        ncols=columns or min(len(found), 5 if len(panels) > 1 else 3),
        frameon=False,
        **options,
    )


# --- figures ---------------------------------------------------------------------------------------


def bars_by_channel(channels: int, height: float, rows: int) -> tuple[Figure, Sequence[Any]]:
    """Make a figure of panels one above another, with one bar per channel along x.

    height : of the figure, inches.
    """
    figure = Figure(figsize=(max(5, min(10, channels / 6)), height), layout="constrained")
    panels = figure.subplots(rows, 1, sharex=True)
    for panel in panels:
        panel.grid(visible=True, axis="y")
        panel.set_axisbelow(True)
    panels[-1].set_xlabel("channel")
    return figure, panels


def save(figure: Figure, suffix: str, dpi: int = 200) -> bytes:
    """Render a figure as ``png`` or ``svg``; the same figure gives the same bytes."""
    target = io.BytesIO()
    # A date, or the version of matplotlib, would change the file.
    metadata = {"Date": None} if suffix == "svg" else {"Software": None}
    figure.savefig(target, format=suffix, dpi=dpi, metadata=metadata)
    return target.getvalue()


def save_both(figure: Figure) -> dict[str, bytes]:
    """Render a figure as ``png`` and as ``svg``; returns both by suffix."""
    return {suffix: save(figure, suffix) for suffix in ("png", "svg")}
