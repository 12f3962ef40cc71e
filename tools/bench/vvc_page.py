"""Fills the page of results on VVC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curves import BANDS, SNR_RANGE, Point, bd_rate
from page import fill, measured, percent, table
from record import Record

Curves = Mapping[str, Mapping[str, Point]]


def write(record: Record, page: Path) -> None:
    """Fill the page."""
    bands = [f"{low:g} to {high:g} dB" for low, high in (*BANDS, SNR_RANGE)]
    heads = ["layer", "coder", "against", *bands]
    curves, rows = record.get("curves", {}), [*_tried(record.get("search", {}))]
    fill(
        page,
        {
            "machine": f"{measured(record['machine'], load=True)}.\n{_counted(record['counts'])}\n"
            f"A3 is vvenc with {record['tools']}.\n",
            "bands": table(heads, _rates(curves)),
            "search": table(["layer", "vvenc", *bands, "encoding, s"], rows)
            if rows
            else "Not measured.\n",
            "seconds": table(["layer", "coder", "encoding, s", "decoding, s"], _seconds(curves)),
        },
    )


def _counted(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Sentences on how many features each section has."""
    return "\n".join(
        f"The {section}: {own['features']} features a layer of ResNet-56, {own['photographs']} photographs."
        for section, own in counts.items()
    )


def _short(curve: str) -> str:
    """The coder's name without its settings."""
    return curve.split(" ")[0].removesuffix("-uniform")


def _against(anchor: Mapping[str, Point], other: Mapping[str, Point]) -> list[str]:
    """BD-rates in the bands, and over all of them."""
    found = [bd_rate(anchor.values(), other.values(), within) for within in (*BANDS, SNR_RANGE)]
    return [percent(None if one is None else one.value) for one in found]


def _rates(curves: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in curves.items():
        by_name = {_short(name): points for name, points in own.items()}
        for coder, anchor in (
            ("A2", "A1"),
            ("A3", "A1"),
            ("A3", "A2"),
            ("native", "A2"),
            ("native", "A3"),
        ):
            if coder in by_name and anchor in by_name:
                yield [layer, coder, anchor, *_against(by_name[anchor], by_name[coder])]


def _tried(search: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in search.items():
        for name, points in own.items():
            if name != "A2" and "A2" in own:
                tried = name.removeprefix("A3 ")
                yield [layer, tried, *_against(own["A2"], points), _mean(points, "encode_s")]


def _seconds(curves: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in curves.items():
        for name, points in own.items():
            yield [layer, _short(name), _mean(points, "encode_s"), _mean(points, "decode_s")]


def _mean(points: Mapping[str, Point], name: str) -> str:
    """Seconds a feature, over the points of a curve."""
    return f"{sum(one[name] for one in points.values()) / len(points):.4f}"
