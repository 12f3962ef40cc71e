"""Draws the plot of what tail-aware encoding costs other tails, and fills the table of outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from page import fill, table
from record import Record

from refcodec import plotting
from refcodec.files import atomic_file
from refcodec.plotting import COLOURS, FAINT, MARKERS

_PANELS = {
    "given_snr": "given tail, SNR in dB",
    "classifier_snr": "other classifier, SNR in dB",
    "attributes_snr": "attributes, SNR in dB",
    "picture_psnr": "picture, PSNR in dB",
    "neighbours_same": "nearest neighbour, same",
}
_CURVES = {
    "plain": "without tail-awareness",
    "mu 0": "tail-aware, mu = 0",
    "mu 10": "tail-aware, mu = 10",
    "mu 40": "tail-aware, mu = 40",
    "picture given": "the picture's tail given, too",
}


def write(record: Record, page: Path) -> None:
    """Put tail-aware encoding, with mu = 0, beside the output itself: bytes, and what tails make of them."""
    heads = (
        "what is sent",
        "",
        "bytes",
        "output SNR, dB",
        "fidelity",
        "other classifier, SNR in dB",
    )
    rows = [
        _row(f"{layer}, tail-aware", f"strength {name}", one, record["features"])
        for layer, curves in record["curves"].items()
        for name, one in curves.get("mu 0", {}).items()
    ]
    rows += [
        _row(f"the {curve}", name, one, record["features"])
        for curve, points in record["output"].items()
        for name, one in points.items()
    ]
    fill(page, {"outputs": table(heads, rows)})


def _row(what: str, name: str, one: Record, count: int) -> list[str]:
    other = f"{one['classifier_snr']:.1f}" if "classifier_snr" in one else "\N{EM DASH}"
    figures = f"{one['given_snr']:.1f}", f"{one['given_fidelity']:.3f}", other
    return [what, name, f"{one['bytes'] / count:.1f}", *figures]


def draw(record: Record, path: Path) -> None:
    """Quality of the output of each tail over bits per element: a row for each layer."""
    layers = list(record["curves"])
    with plotting.styled():
        size = (2.3 * len(_PANELS), 0.5 + 2.5 * len(layers))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(layers), len(_PANELS), squeeze=False, sharex=True)
        for row, layer in zip(panels, layers, strict=True):
            for panel, (measure, title) in zip(row, _PANELS.items(), strict=True):
                plotting.title(panel, title)
                draw_curves(panel, record["curves"][layer], _CURVES, measure)
                if measure in record["originals"][layer]:
                    panel.axhline(record["originals"][layer][measure], color=FAINT, linewidth=0.6)
            row[0].set_ylabel(layer)
        figure.supxlabel("bits per element", fontsize="medium")
        plotting.legend(figure, [panels[0, 0]], len(_CURVES))
        image = plotting.save(figure, "png")
    with atomic_file(path) as file:
        file.write(image)


def draw_curves(panel: Any, curves: Record, labels: Mapping[str, str], measure: str) -> None:
    """A measure over the rate, a line for each curve by its label; the first one is the reference."""
    plotting.rate_axis(panel)
    for number, (name, label) in enumerate(labels.items()):
        points = [one for one in curves.get(name, {}).values() if measure in one]
        points = sorted(points, key=lambda one: one["bits"])
        panel.plot(
            [one["bits"] for one in points],
            [one[measure] for one in points],
            label=label,
            color=COLOURS[number - 1] if number else FAINT,
            marker=MARKERS[number],
            markersize=3.5,
            linewidth=1,
        )
