"""Fills the page of results on real networks, and draws its plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curves import BANDS, SNR_RANGE, Point, bd_rate, rate_at
from matplotlib.figure import Figure
from page import fill, measured, percent, table
from record import Record

from refcodec import plotting
from refcodec.files import atomic_file
from refcodec.plotting import COLOURS, MARKERS

_SNRS = (17, 20, 23, 26)
"""Output SNRs at which rates of tokens are compared, dB."""

_ZSTD = "uniform, zstd"


def write(record: Record, page: Path, plot: Path) -> None:
    """Fill the page and draw the plot; what was not measured is left out."""
    fill(
        page,
        {
            "machine": _machine(record),
            "bands": _bands(record),
            "points": _points(record.get("maps", {}), ("fidelity", "top1", "top5")),
            "transforms": _transforms(record.get("transforms", {})),
            "lossless": _lossless(record),
            "tail-aware": _tail_aware(record),
            "tokens": _tokens(record),
            "token-points": _points(record.get("tokens", {}), ("cosine", "neighbours", "order")),
        },
    )
    draw(record, plot)


def _machine(record: Record) -> str:
    some = record["some"]
    return (
        f"{measured(record['machine'])}: {record['photographs']} photographs, of which "
        f"{some['lossless']} for lossless\ncoders and {some['tail-aware']} for one tail, "
        f"and {record['sentences']} sentences.\n"
    )


# --- tables ----------------------------------------------------------------------------------------


def _curve(curves: Mapping[str, Mapping[str, Point]], name: str) -> list[Point]:
    return list(curves.get(name, {}).values())


def _bands(record: Record) -> str:
    """BD-rates against the peers, by band of output SNR."""
    heads = ["layer", "coder", "against", *(f"{low:g} to {high:g} dB" for low, high in BANDS)]
    heads.append(f"{SNR_RANGE[0]:g} to {SNR_RANGE[1]:g} dB")
    rows = []
    for layer, curves in record.get("maps", {}).items():
        peers = [name for name in ("A2", "A1-uniform") if name in curves] or ["native"]
        for peer in peers:
            for name in (one for one in curves if not one.startswith("A") and one != peer):
                cells = [_change(curves, peer, name, band) for band in (*BANDS, SNR_RANGE)]
                rows.append([layer, name, peer, *cells])
    return table(heads, rows)


def _change(
    curves: Mapping[str, Mapping[str, Point]], peer: str, name: str, band: tuple[float, float]
) -> str:
    found = bd_rate(_curve(curves, peer), _curve(curves, name), band)
    if found is None or (found.low >= band[1] or found.high <= band[0]):
        return "\N{EM DASH}"
    return percent(found.value)


def _points(places: Mapping[str, Any], more: Sequence[str]) -> str:
    heads = ["layer", "coder", "", "bytes", "bits per element", "output SNR, dB", *more]
    heads += ["encode, s", "decode, s"]
    rows = [
        [
            layer,
            curve,
            name,
            f"{one['bytes']:.0f}",
            f"{one['bits']:.3f}",
            f"{one['snr']:.1f}",
            *(f"{one[key]:.3f}" for key in more),
            *(f"{one[key]:.3f}" if key in one else "" for key in ("encode_s", "decode_s")),
        ]
        for layer, curves in places.items()
        for curve, points in curves.items()
        for name, one in points.items()
    ]
    return table(heads, rows)


def _transforms(places: Mapping[str, Any]) -> str:
    """Sizes of the transforms."""
    heads = ["layer", "channels", "plain, bytes", "weighted, bytes"]
    rows = [
        [
            layer,
            own["plain"]["size"]["channels"],
            *(f"{one['size']['bytes']:,}" for one in own.values()),
        ]
        for layer, own in places.items()
    ]
    return table(heads, rows)


_LOSSLESS = ("native", "native, fast", "pcodec", "lzma", "zlib")


def _lossless(record: Record) -> str:
    heads = [
        "layer",
        *_LOSSLESS,
        "native against pcodec",
        *(f"{one}, MB/s" for one in _LOSSLESS[:3]),
    ]
    rows = []
    for layer, curves in record.get("lossless", {}).items():
        found = curves["lossless"]["all"]
        change = 100 * (found["native"][0] / found["pcodec"][0] - 1)
        speeds = (f"{found[one][1]:.0f} / {found[one][2]:.0f}" for one in _LOSSLESS[:3])
        rows.append(
            [layer, *(f"{found[one][0]:.4f}" for one in _LOSSLESS), percent(change), *speeds]
        )
    return table(heads, rows)


def _tail_aware(record: Record) -> str:
    """Points of tail-aware encoding, and of the output sent in place of a feature."""
    heads = ["layer", "coder", "", "bytes", "output SNR, dB", "fidelity", "top-1", "processor, s"]
    rows = []
    for layer, curve, name, one in _by_rate(record):
        figures = (f"{one['snr']:.1f}", f"{one['fidelity']:.3f}", f"{one['top1']:.3f}")
        rows.append([layer, curve, name, f"{one['bytes']:.0f}", *figures, f"{one['encode_s']:.3f}"])
    return table(heads, rows)


def _by_rate(record: Record) -> Iterator[tuple[str, str, str, Point]]:
    sections: dict[str, Any] = {**record.get("tail-aware", {})}
    for own in record.get("outputs", {}).values():
        if own:
            sections["the output"] = own
    for layer, curves in sections.items():
        for curve, points in curves.items():
            for name, one in sorted(points.items(), key=lambda item: item[1]["bytes"]):
                yield layer, curve, name, one


def _tokens(record: Record) -> str:
    """Bits an element at equal SNR of the embedding, and the change against uniform samples with zstd."""
    heads = ["layer", "coder", *(f"{snr} dB" for snr in _SNRS), f"against {_ZSTD}", "range, dB"]
    rows = []
    for layer, curves in record.get("tokens", {}).items():
        for name, points in curves.items():
            rates = [rate_at(points.values(), snr) for snr in _SNRS]
            cells = ["\N{EM DASH}" if one is None else f"{one:.2f}" for one in rates]
            found = None
            if name != _ZSTD:
                found = bd_rate(_curve(curves, _ZSTD), points.values(), (8, 35))
            span = f"{found.low:.1f} to {found.high:.1f}" if found else ""
            rows.append([layer, name, *cells, percent(found.value) if found else "", span])
    return table(heads, rows)


# --- plot ------------------------------------------------------------------------------------------


def draw(record: Record, path: Path) -> None:
    """Output SNR over bits per element: a panel for each layer of each network."""
    rows = [record.get(section, {}) for section in ("maps", "tokens")]
    rows = [{layer: own for layer, own in row.items() if own} for row in rows]
    names = list(dict.fromkeys(name for row in rows for own in row.values() for name in own))
    columns = max(1, *map(len, rows))
    with plotting.styled():
        figure = Figure(figsize=(3.0 * columns, 6.2), layout="constrained")
        panels = figure.subplots(2, columns, squeeze=False)
        for own, row in zip(panels, rows, strict=True):
            for panel, place in zip(own, [*row, *[None] * (columns - len(row))], strict=True):
                if place is None:
                    panel.remove()
                else:
                    plotting.title(panel, place)
                    _panel(panel, row[place], names)
        figure.supxlabel(plotting.RATE, fontsize="medium")
        figure.supylabel("output SNR, dB", fontsize="medium")
        used = [panel for own, row in zip(panels, rows, strict=True) for panel in own[: len(row)]]
        plotting.legend(figure, used)
        image = plotting.save(figure, "png")
    with atomic_file(path) as file:
        file.write(image)


def _panel(panel: Any, curves: Mapping[str, Mapping[str, Point]], names: Sequence[str]) -> None:
    plotting.rate_axis(panel)
    for name, points in curves.items():
        own = sorted(_shown(points.values()), key=lambda one: one["bits"])
        panel.plot(
            [one["bits"] for one in own],
            [one["snr"] for one in own],
            label=name,
            color=COLOURS[names.index(name) % len(COLOURS)],
            marker=MARKERS[names.index(name) % len(MARKERS)],
            markersize=3.5,
            linewidth=1,
        )


def _shown(points: Iterable[Point]) -> Iterator[Point]:
    return (one for one in points if one["snr"] > 0)
