"""Fills the page of the native coder's results, and draws its plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curves import SNR_RANGE, Point, frontier
from matplotlib.figure import Figure
from page import fill, measured, percent, table
from record import Record

from refcodec import plotting
from refcodec.files import atomic_file
from refcodec.plotting import BLUE, INK, VERMILION

_SIZES = {"small": "small maps", "large": "large maps"}
_CURVES = (
    ("native", {"label": "native", "color": BLUE, "marker": "o", "linewidth": 1.6, "zorder": 4}),
    ("A2", {"label": "A2: x265 slower, tiled", "color": VERMILION, "marker": "s"}),
    ("A1", {"label": "A1: x265 medium, one frame per channel", "color": INK, "marker": "^"}),
)


def write(record: Record, page: Path, plots: Path) -> None:
    """Fill the page and draw the plots."""
    fill(
        page,
        {
            "machine": _machine(record),
            "bd-rates": _bd_rates(record),
            "uncorrected": _uncorrected(record),
            "points": _points(record),
            "speeds": _speeds(record),
            "settings": _settings(record),
            "memory": _memory(record),
            "compilation": _compilation(record),
        },
    )
    plots.mkdir(exist_ok=True)
    for size in _SIZES:
        draw(record, size, plots / f"native-{size}.png")


# --- tables ----------------------------------------------------------------------------------------


def _place(place: str) -> tuple[str, str]:
    layer, _, size = place.partition("/")
    return _SIZES[size], layer


def _range(ends: Sequence[float] | None) -> str:
    return "\N{EM DASH}" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def _mega(speed: float) -> str:
    return f"{speed / 1e6:.2f}"


def _machine(record: Record) -> str:
    ours, theirs = record["machine"], record["peers_by"]
    text = f"{measured(ours)}.\n"
    if theirs["command"] != ours["command"]:
        same = all(theirs[key] == ours[key] for key in ("processor", "cores", "packages"))
        text += (
            f"The curves of A1 and A2 come from ``{theirs['command']}``,\nrun on "
            f"{'the same machine' if same else theirs['processor']} {_when(ours, theirs)}.\n"
        )
    return text


def _when(ours: Record, theirs: Record) -> str:
    return "on the same day" if ours["date"] == theirs["date"] else f"on {theirs['date']}"


def _bd_rates(record: Record) -> str:
    rows: dict[str, dict[str, tuple[str, str]]] = {}
    for one in record["bd_rate"]:
        cells = percent(one["bd_rate"]), _range(one["range"])
        rows.setdefault(one["place"], {})[one["peer"]] = cells
    heads = ("maps", "layer", "against A2", "range, dB", "against A1", "range, dB")
    return table(heads, ((*_place(p), *found["A2"], *found["A1"]) for p, found in rows.items()))


def _uncorrected(record: Record) -> str:
    rows = []
    for one in record["uncorrected"]:
        cells = []
        for peer in ("A2", "A1"):
            found = one[peer]
            cells += [percent(found and found[0]), _range(found and found[1:])]
        rows.append((*_place(one["place"]), *cells))
    return table(("maps", "layer", "against A2", "range, dB", "against A1", "range, dB"), rows)


def _points(record: Record) -> str:
    rows = [
        (
            *_place(place),
            f"{one['qp']}",
            f"{one['bytes']}",
            f"{one['bits']:.3f}",
            f"{one['snr']:.1f}",
            f"{one['fidelity']:.3f}",
        )
        for place, points in record["native"].items()
        for one in points
    ]
    heads = ("maps", "layer", "QP", "bytes", "bits per element", "logit SNR, dB", "fidelity")
    return table(heads, rows)


def _speeds(record: Record) -> str:
    rows = [
        (
            *_place(one["place"]),
            " / ".join(map(str, one["qps"])),
            f"{_mega(one['encode'])} / {_mega(one['a2_encode'])}",
            f"{one['encode_ratio']:.1f}",
            f"{_mega(one['decode'])} / {_mega(one['a2_decode'])}",
            f"{one['decode_ratio']:.2f}",
        )
        for one in record["speed"]
    ]
    heads = (
        "maps",
        "layer",
        "QP, native / A2",
        "encode, M/s, native / A2",
        "ratio",
        "decode, M/s, native / A2",
        "ratio",
    )
    return table(heads, rows)


def _settings(record: Record) -> str:
    rows = [
        (
            *_place(one["place"]),
            one["speed"],
            "0" if one["speed"] == "default" else percent(one["bd_rate"]),
            "" if one["speed"] == "default" else _range(one["range"]),
            _mega(one["encode"]),
            _mega(one["decode"]),
        )
        for one in record["settings"]
    ]
    heads = ("maps", "layer", "speed", "BD-rate", "range, dB", "encode, M/s", "decode, M/s")
    return table(heads, rows)


def _memory(record: Record) -> str:
    rows = [
        (
            *_place(one["place"]),
            f"{one['float32']}",
            *(f"{one[f'{way}_{what}']:.1f}" for way in ("encode", "decode") for what in _MEASURES),
        )
        for one in record["memory"]
    ]
    heads = ["maps", "layer", "one feature, bytes"]
    heads += [f"{way}: {said}" for way in ("encode", "decode") for said in _MEASURES.values()]
    return table(heads, rows)


_MEASURES = {"arrays": "arrays", "resident": "process"}


def _compilation(record: Record) -> str:
    first, later = record["compilation"]["compiling"], record["compilation"]["compiled"]
    return (
        "Where nothing is compiled yet, the first encoding and decoding on a machine take "
        f"{first['encode_s'] + first['decode_s']:.0f} s\nof processor time; what is compiled is kept, and "
        f"later processes load it in {later['encode_s'] + later['decode_s']:.1f} s.\n"
    )


# --- plots -----------------------------------------------------------------------------------------


def draw(record: Record, size: str, path: Path) -> None:
    """Logit SNR over bits per element, a panel for each layer."""
    layers = [place.partition("/")[0] for place in record["native"] if place.endswith(size)]
    if not layers:
        return
    with plotting.styled():
        figure = Figure(figsize=(8, 5.6), layout="constrained")
        panels = figure.subplots(2, -(-len(layers) // 2), squeeze=False).ravel()
        for panel, layer in zip(panels, layers, strict=False):
            _panel(panel, record, layer, size)
        figure.supxlabel("bits per element", fontsize="medium")
        figure.supylabel("logit SNR, dB", fontsize="medium")
        plotting.legend(figure, [panels[0]], len(_CURVES))
        image = plotting.save(figure, "png", dpi=130)
    with atomic_file(path) as file:
        file.write(image)


def _panel(panel: Any, record: Record, layer: str, size: str) -> None:
    plotting.title(panel, f"{layer}, {_SIZES[size]}")
    plotting.rate_axis(panel)
    panel.axhspan(*SNR_RANGE, color="#f4f4f4", zorder=0)
    for name, style in _CURVES:
        points = _curve(record, name, f"{layer}/{size}")
        if points:
            rates, snrs = frontier(points)
            panel.plot(rates, snrs, **{"markersize": 3.5, "linewidth": 1, "zorder": 3} | style)


def _curve(record: Record, name: str, place: str) -> list[Point]:
    if name == "native":
        found: list[Point] = record["native"].get(place, [])
    else:
        found = record["peers"].get(f"{place}/{name}", [])
    return found
