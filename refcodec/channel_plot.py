"""Plots of one feature before and after coding: pictures of channels, errors, bits. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refcodec.plotting import BLUE, FAINT, PURPLE, VERMILION, save, styled, title

__all__ = ["draw_feature", "liveliest"]

Values = npt.NDArray[np.float64]


def liveliest(feature: Values, count: int) -> list[int]:
    """Numbers of the channels that vary most, ascending; ``feature`` is C x H x W."""
    return sorted(np.argsort(-_deviations(feature), kind="stable")[:count].tolist())


def draw_feature(
    after: Values,
    before: Values | None,
    bits: Values | None,
    channels: Sequence[int],
    heading: str,
    suffix: str = "png",
) -> bytes:
    """Plot channels as pictures, before and after coding and their difference, above bars by channel.

    after    : decoded, C x H x W or D; a vector is drawn as curves.
    before   : the original, of the same shape; None where there is none.
    bits     : of each channel, C; None where they are not known.
    channels : numbers of the channels that are shown as pictures.
    suffix   : ``png`` or ``svg``.
    """
    with styled(), np.errstate(invalid="ignore"):  # the error of an infinity is none
        if after.ndim == 1:
            figure = _curves(after, before, heading)
        else:
            figure = _pictures(after, before, bits, channels, heading)
        return save(figure, suffix)


def _pictures(
    after: Values, before: Values | None, bits: Values | None, channels: Sequence[int], heading: str
) -> Figure:
    """Rows of pictures with a column for each channel, and panels of bars over all channels."""
    rows = [("decoded", after)] if before is None else [("before", before), ("after", after)]
    bars = _bars(after, before, bits)
    images = len(rows) + (before is not None)
    figure = Figure(
        figsize=(max(5, 1.1 * len(channels)), 1.15 * images + 1.4 * len(bars) + 0.5),
        layout="constrained",
    )
    figure.suptitle(heading, fontsize="medium", x=0.01, ha="left")
    heights = [1.15] * images + [1.4] * len(bars)
    grid = figure.add_gridspec(images + len(bars), len(channels), height_ratios=heights)
    scale = rows[0][1]
    for column, channel in enumerate(channels):
        low, high = _limits(scale[channel])
        for row, (name, values) in enumerate(rows):
            panel = _picture(figure, grid[row, column], values[channel], "gray", low, high)
            if column == 0:
                panel.set_ylabel(name)
            if row == 0:
                title(panel, str(channel))
    if before is not None:
        _errors(figure, grid, len(rows), after - before, channels)
    for row, (name, colour, values) in enumerate(bars, images):
        panel = figure.add_subplot(grid[row, :])
        panel.grid(visible=True, axis="y")
        panel.set_axisbelow(True)
        panel.bar(np.arange(len(values)), values, 0.8, color=colour)
        panel.set_ylabel(name)
        panel.set_xlim(-0.6, len(values) - 0.4)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if row == images + len(bars) - 1:
            panel.set_xlabel("channel")
    return figure


def _bars(
    after: Values, before: Values | None, bits: Values | None
) -> list[tuple[str, str, Values]]:
    """Panels of bars: their labels, colours and values, one for each channel."""
    found = []
    if bits is not None:
        found.append(("bits", BLUE, bits))
    if before is not None:
        squares = _finite(after - before).reshape(len(after), -1) ** 2
        found.append(("RMS error", VERMILION, np.sqrt(squares.mean(1))))
    found.append(("deviation", PURPLE, _deviations(after if before is None else before)))
    return found


def _deviations(feature: Values) -> Values:
    """The standard deviation of each channel."""
    found: Values = _finite(feature).reshape(len(feature), -1).std(1)
    return found


def _finite(values: Values) -> Values:
    """Values with 0 in the place of those that are not finite."""
    return np.where(np.isfinite(values), values, 0)


def _errors(figure: Figure, grid: Any, row: int, error: Values, channels: Sequence[int]) -> None:
    """A row of maps of errors, on one scale, which is written beside them."""
    shown = error[list(channels)]
    largest = float(np.abs(_finite(shown)).max()) or 1.0
    for column, channel in enumerate(channels):
        panel = _picture(figure, grid[row, column], error[channel], "RdBu_r", -largest, largest)
        if column == 0:
            panel.set_ylabel(f"error,\nup to {largest:.2g}")


def _picture(figure: Figure, place: Any, values: Values, map_: str, low: float, high: float) -> Any:
    panel = figure.add_subplot(place)
    panel.imshow(values, cmap=map_, vmin=low, vmax=high, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    return panel


def _limits(values: Values) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _curves(after: Values, before: Values | None, heading: str) -> Figure:
    """The values of a vector, and their errors below."""
    figure = Figure(figsize=(7, 2.6 if before is None else 4), layout="constrained")
    panels = figure.subplots(1 if before is None else 2, 1, sharex=True, squeeze=False)[:, 0]
    title(panels[0], heading)
    if before is not None:
        panels[0].plot(before, color=FAINT, linewidth=1.6, label="before")
        panels[1].plot(after - before, color=VERMILION, linewidth=0.8)
        panels[1].set_ylabel("error")
    panels[0].plot(after, color=BLUE, linewidth=0.8, label="after")
    panels[0].legend(frameon=False, fontsize="small")
    panels[-1].set_xlabel("element")
    return figure
