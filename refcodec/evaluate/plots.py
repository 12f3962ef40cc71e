"""Plots of an evaluation. Needs matplotlib, but no display."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from refcodec import plotting
from refcodec.evaluate.results import Line, Row, lossless_lines
from refcodec.evaluate.summary import QUALITIES, Equal
from refcodec.plotting import COLOURS, FAINT, INK, look, save_both, styled

__all__ = ["draw_channels", "draw_curves", "draw_equal", "draw_nonzero"]

Lines = Mapping[str, Sequence[Line]]


def draw_curves(lines: Lines, quality: str) -> dict[str, bytes]:
    """Plot quality over bits per element, one panel per place; points are labelled with their parameter.

    quality : a key of `QUALITIES`. Lossless points have no finite SNR and are left out of that plot.

    Returns the plot by suffix, ``png`` and ``svg``, as do all functions here; nothing if there are no points.
    """
    names = _curve_names(lines)
    lines = {
        place: own
        for place, own in lines.items()
        if any(_finite(line.rows, QUALITIES[quality].figure) for line in own)
    }
    if not lines:
        return {}
    with styled():
        columns = min(len(lines), 2 if len(lines) in (2, 4) else 3)
        rows = -(-len(lines) // columns)
        figure = Figure(
            figsize=(4 * columns if columns > 1 else 5, 3.1 * rows + 0.5), layout="constrained"
        )
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels[len(lines) :]:
            panel.remove()
        for panel, (place, own) in zip(panels, lines.items(), strict=False):
            plotting.title(panel, place, pad=20)
            for line in own:
                _draw_line(panel, line, quality, names.index(line.name))
            _finish_panel(panel, quality)
        figure.supxlabel(plotting.RATE, fontsize="medium")
        figure.supylabel(QUALITIES[quality].label, fontsize="medium")
        plotting.legend(figure, list(panels[: len(lines)]))
        return save_both(figure)


def _draw_line(panel: Any, line: Line, quality: str, number: int) -> None:
    key = QUALITIES[quality].figure
    rows = sorted(_finite(line.rows, key), key=lambda row: row.figures["bits_per_element"])
    if not rows:
        return
    rates = [row.figures["bits_per_element"] for row in rows]
    heights = np.array([row.figures[key] for row in rows])
    style: dict[str, Any] = {"markersize": 4, "linewidth": 1.2, "clip_on": False, **look(number)}
    colour = style["color"]
    panel.plot(rates, heights, label=line.name, zorder=3, **style)
    ends = np.array([row.intervals[key] for row in rows])
    panel.vlines(rates, ends[:, 0], ends[:, 1], color=colour, alpha=0.35, linewidth=2, zorder=2)
    # Labels of close curves go to different sides, those of the next two curves farther out.
    above, farther = number % 2 == 0, 8 * (number // 2 % 2)
    for place, row in enumerate(rows):
        plotting.label(
            panel,
            ", ".join(part.rpartition(" ")[2] for part in row.job.setting.label.split(", ")),
            (rates[place], heights[place]),
            (-3, 5 + farther) if above else (3, -9 - farther),
            ha="right" if above else "left",
            color=colour,
        )


def _finite(rows: Sequence[Row], figure: str) -> list[Row]:
    return [row for row in rows if np.isfinite(row.figures.get(figure, np.nan))]


def _finish_panel(panel: Any, quality: str) -> None:
    plotting.rate_axis(panel)
    panel.margins(x=0.08)
    if quality == "fidelity":
        plotting.fidelity_axis(panel, panel.dataLim.y0)


def draw_nonzero(lines: Lines) -> dict[str, bytes]:
    """Plot compression rates and the share of nonzero values by layer (Chen et al. 2020, Fig. 4)."""
    lines = lossless_lines(lines)
    names = _curve_names(lines)
    with styled():
        networks = {
            name: [own for _, own in places]
            for name, places in groupby(lines.items(), key=lambda item: item[0].partition("/")[0])
        }
        width = sum(map(len, networks.values()))
        figure = Figure(figsize=(max(5, 1.1 * width + 1), 3.6), layout="constrained")
        panels = figure.subplots(
            1,
            len(networks),
            squeeze=False,
            sharey=True,
            width_ratios=[len(x) for x in networks.values()],
        )[0]
        for panel, (network, places) in zip(panels, networks.items(), strict=True):
            plotting.title(panel, network)
            layers = [own[0].rows[0].job.place.layer for own in places]
            nonzero = [own[0].rows[0].facts["nonzero_rate"] for own in places]
            panel.bar(range(len(layers)), nonzero, 0.8, color="#ececec", label="non-zero values")
            for number, name in enumerate(names):
                points = [
                    (place, line.rows[0].figures["compression_rate"])
                    for place, own in enumerate(places)
                    for line in own
                    if line.name == name
                ]
                # Side by side, so that equal rates do not hide one another.
                shift = 0.6 * ((number + 0.5) / len(names) - 0.5)
                panel.plot(
                    [place + shift for place, _ in points],
                    [rate for _, rate in points],
                    linestyle="",
                    markersize=5,
                    label=name,
                    **look(number),
                )
            panel.set_xticks(range(len(layers)), layers)
            panel.grid(visible=True, axis="y")
            panel.set_axisbelow(True)
        panels[0].yaxis.set_major_formatter(PercentFormatter(1, 0))
        panels[0].set_ylabel("coded size over float32 size")
        plotting.legend(figure, panels[:1])
        return save_both(figure)


def draw_equal(found: Sequence[Equal]) -> dict[str, bytes]:
    """Plot bytes at equal quality: one bar per place and coder that reach it, one panel per quality."""
    reached = [one for one in found if one.size is not None]
    groups = [
        (key, list(own)) for key, own in groupby(reached, key=lambda one: (one.quality, one.level))
    ]
    if not groups:
        return {}
    names = list(dict.fromkeys(one.curve for one in found))
    with styled():
        columns = min(2, len(groups))
        rows = -(-len(groups) // columns)
        tallest = max(len(own) for _, own in groups)
        size = 4.8 * columns, rows * (0.21 * tallest + 0.7) + 0.4
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels[len(groups) :]:
            panel.remove()
        for panel, ((quality, level), own) in zip(panels, groups, strict=False):
            _draw_bars(panel, own, names)
            plotting.title(panel, QUALITIES[quality].at(level))
        caption = "bytes per image; in brackets, multiply-accumulates before the cut"
        figure.supxlabel(caption, fontsize="medium")
        return save_both(figure)


def _draw_bars(panel: Any, own: Sequence[Equal], names: Sequence[str]) -> None:
    colours = [COLOURS[names.index(one.curve) % len(COLOURS)] for one in own]
    rows = range(len(own))
    panel.barh(rows, [one.size or 0 for one in own], 0.7, color=colours)
    for row, one in enumerate(own):
        low, high = one.interval or (one.size, one.size)
        panel.hlines(row, low, high, color=INK, linewidth=1)
        panel.annotate(
            f"{'at most ' if one.bound else ''}{one.size:,.0f}",
            (max(high or 0, one.size or 0), row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
        )
    panel.set_yticks(rows, [_bar_label(one) for one in own], fontsize="small")
    panel.invert_yaxis()
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.margins(x=0.15)
    panel.grid(visible=True, axis="x")
    panel.set_axisbelow(True)


def _bar_label(one: Equal) -> str:
    share = one.head_macs / max(1, one.head_macs + one.tail_macs)
    return f"{one.place} ({share:.0%}), {one.curve}"


def draw_channels(lines: Lines) -> Iterator[tuple[Row, dict[str, bytes]]]:
    """Plot QP and bits per element of each channel, for the middle point of each curve that has them."""
    for own in lines.values():
        for line in own:
            row = line.rows[len(line.rows) // 2]
            if "channels" in row.result:
                with styled():
                    yield row, save_both(_channels(row))


def _channels(row: Row) -> Figure:
    found, shape = row.result["channels"], row.facts["shape"]
    bits = 8 * np.array(found["bytes"]) / max(1, int(np.prod(shape[1:])))
    channels = np.arange(len(bits))
    figure, (above, below) = plotting.bars_by_channel(len(bits), 3.4, 2)
    plotting.title(above, row.job.name)
    above.step(channels, found["qp"], where="mid", color=INK, linewidth=1.2)
    above.set_ylabel("QP")
    above.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=2))
    below.bar(channels, bits, 0.8, color=COLOURS[1])
    below.set_ylabel("bits per element")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for panel in (above, below):
        panel.tick_params(color=FAINT)
    return figure


def _curve_names(lines: Lines) -> list[str]:
    return list(dict.fromkeys(line.name for own in lines.values() for line in own))
