"""How plots look: colours, type and lines, the same in every plot. Needs matplotlib, but no display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "COLOURS",
    "FAINT",
    "GREEN",
    "INK",
    "MARKERS",
    "PURPLE",
    "STYLE",
    "VERMILION",
    "look",
    "save",
]

INK: Final = "#333333"
FAINT: Final = "#808080"

# Of Okabe and Ito (2008): readers of any colour vision can tell them apart.
BLUE: Final = "#0072B2"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"

COLOURS: Final = (PURPLE, BLUE, VERMILION, GREEN, INK, "#E69F00", "#56B4E9", FAINT)
"""In the order in which a plot's curves take them."""

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
    """Colour and marker of a curve; the colours come again behind the last one, with other markers."""
    row, column = divmod(number, len(COLOURS))
    return {"color": COLOURS[column], "marker": MARKERS[(column + row) % len(MARKERS)]}


def save(figure: Figure, suffix: str) -> bytes:
    """A figure as the bytes of a ``png`` or an ``svg``; the same figure gives the same bytes."""
    target = io.BytesIO()
    # A date would make every run's file another one.
    metadata = {"Date": None} if suffix == "svg" else {}
    figure.savefig(target, format=suffix, dpi=200, metadata=metadata)
    return target.getvalue()
