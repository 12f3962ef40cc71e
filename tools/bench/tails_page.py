"""Draws the plot of what tail-aware encoding costs other tails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
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
                _panel(panel, record["curves"][layer], measure)
                if measure in record["originals"][layer]:
                    panel.axhline(record["originals"][layer][measure], color=FAINT, linewidth=0.6)
            row[0].set_ylabel(layer)
        figure.supxlabel("bits per element", fontsize="medium")
        plotting.legend(figure, [panels[0, 0]], len(_CURVES))
        image = plotting.save(figure, "png")
    with atomic_file(path) as file:
        file.write(image)


def _panel(panel: Any, curves: Record, measure: str) -> None:
    plotting.rate_axis(panel)
    for number, (name, label) in enumerate(_CURVES.items()):
        points = sorted(curves.get(name, {}).values(), key=lambda one: one["bits"])
        panel.plot(
            [one["bits"] for one in points],
            [one[measure] for one in points],
            label=label,
            color=COLOURS[number - 1] if number else FAINT,
            marker=MARKERS[number],
            markersize=3.5,
            linewidth=1,
        )
