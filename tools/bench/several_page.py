"""Draws what several tails have of a feature at equal rate, and fills the table of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from page import fill, table
from record import Record
from tails_page import draw_curves

from refcodec import plotting
from refcodec.files import atomic_file

KEPT = 0.99
"""Share of the decisions that every known tail is to keep; of few images, all but one."""

_DENSE = ("segmenter",)
"""Tails that decide for each pixel."""

_CURVES = {
    "plain": "plain",
    "tail-aware": "tail-aware for the known",
    "outputs": "the known outputs",
    "later layer": "a later layer, plain",
}
_OTHERS = ("classifier", "attributes", "picture", "pooled")
_FAR = "\N{EM DASH}"


def write(record: Record, page: Path, plot: Path) -> None:
    """Fill the table, and draw the plot."""
    heads = (
        "feature",
        "what is sent",
        "bytes",
        "decisions kept, known",
        "SNR of the known, dB",
        "SNR of the others, dB",
        "against plain coding at that rate, dB",
    )
    rows = [row for name, place in record["places"].items() for row in _rows(name, place)]
    fill(page, {"several": table(heads, rows)})
    _draw(record, plot)


def _rows(name: str, place: Record) -> Iterator[Sequence[str]]:
    """Of each curve the point of least rate where all known tails keep enough, and all of tail-aware."""
    for curve, label in _CURVES.items():
        points = place["curves"].get(curve, {})
        least = cheapest(points.values(), place)
        chosen = points.items() if curve == "tail-aware" else [("", least)] if least else []
        for setting, one in chosen:
            yield _row(name, f"{label} {setting}".rstrip(), one, place)
        if not chosen:
            yield [name, label, "keeps too little", *[_FAR] * 4]


def _row(name: str, what: str, one: Record, place: Record) -> Sequence[str]:
    known, others = place["known"], _others(place, one)
    plain = list(place["curves"]["plain"].values())
    served = [tail for tail in known if f"{tail}_snr" in one]
    lost = [
        f"{one[f'{tail}_snr'] - at_rate(plain, f'{tail}_snr', one['bits']):+.1f}" for tail in others
    ]
    return [
        name,
        what,
        f"{one['bytes']:.0f}",
        ", ".join(f"{tail} {100 * one[f'{tail}_kept']:.1f} %" for tail in served),
        ", ".join(f"{one[f'{tail}_snr']:.1f}" for tail in served),
        ", ".join(f"{tail} {one[f'{tail}_snr']:.1f}" for tail in others) or _FAR,
        ", ".join(lost).replace("-", "\N{MINUS SIGN}") or _FAR,
    ]


def _others(place: Record, one: Record) -> list[str]:
    return [tail for tail in _OTHERS if tail not in place["known"] and f"{tail}_snr" in one]


def cheapest(points: Iterable[Record], place: Record) -> Record | None:
    """The point of least rate from which on all known tails keep enough; None if none does."""
    of_images = 1 - max(1 - KEPT, 1 / place["features"]) - 1e-9

    def enough(one: Record) -> bool:
        served = [tail for tail in place["known"] if f"{tail}_kept" in one]
        return all(
            one[f"{tail}_kept"] >= (KEPT if tail in _DENSE else of_images) for tail in served
        )

    best = None
    for one in sorted(points, key=lambda point: -point["bits"]):
        if not enough(one):
            break
        best = one
    return best


def at_rate(points: Sequence[Mapping[str, float]], measure: str, bits: float) -> float:
    """A figure of a curve at a rate, between its points by the logarithm of the rate."""
    along = np.array(sorted((np.log(one["bits"]), one[measure]) for one in points))
    return float(np.interp(np.log(bits), along[:, 0], along[:, 1]))


def _draw(record: Record, path: Path) -> None:
    """SNR of every tail over the rate: a row for each feature."""
    places = record["places"]
    tails = {
        name: [*place["known"], *_others(place, next(iter(place["curves"]["plain"].values())))]
        for name, place in places.items()
    }
    columns = max(map(len, tails.values()))
    with plotting.styled():
        size = (2.4 * columns, 0.5 + 2.5 * len(places))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(places), columns, squeeze=False)
        for row, (name, place) in zip(panels, places.items(), strict=True):
            for panel, tail in zip(row, tails[name], strict=False):
                known = "known" if tail in place["known"] else "not known"
                plotting.title(panel, f"{tail}, {known}: SNR in dB")
                draw_curves(panel, place["curves"], _CURVES, f"{tail}_snr")
            for panel in row[len(tails[name]) :]:
                panel.set_axis_off()
            row[0].set_ylabel(name)
        figure.supxlabel("bits per element", fontsize="medium")
        plotting.legend(figure, [panels[0, 0]], len(_CURVES))
        image = plotting.save(figure, "png")
    with atomic_file(path) as file:
        file.write(image)
