"""Fills the page of results on VVC and AV1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from curves import BANDS, SNR_RANGE, Point, bd_rate
from page import fill, measured, percent, table
from record import Record

_SECTIONS = {"curves": "The curves", "search": "The search", "many": "More features"}

Curves = Mapping[str, Mapping[str, Point]]


def write(record: Record, page: Path) -> None:
    """Fill the page."""
    bands = [f"{low:g} to {high:g} dB" for low, high in (*BANDS, SNR_RANGE)]
    heads = ["layer", "coder", "against", *bands]
    times = ["layer", "coder", "encoding, s", "decoding, s"]
    curves, many = record.get("curves", {}), record.get("many", {})
    rows = [*_tried(record.get("search", {}))]
    fill(
        page,
        {
            "machine": _measured(record),
            "bands": table(heads, _rates(curves)),
            "search": table(["layer", "settings", *bands, "encoding, s"], rows)
            if rows
            else "Not measured.\n",
            "seconds": table(times, _seconds(curves)),
            "many": table(heads, _rates(many)) if many else "Not measured.\n",
            "many_seconds": table(times, _seconds(many)) if many else "Not measured.\n",
        },
    )


def _measured(record: Record) -> str:
    """Sentences on the runs, oldest first, and on what they measured."""
    runs = [f"{measured(one, load=True)}." for one in record["runs"]]
    curves = dict.fromkeys(name for own in record.get("curves", {}).values() for name in own)
    named = (name.split(" ", 1) for name in curves if " " in name)
    settings = [f"{coder} has the settings ``{own}``." for coder, own in named]
    return "\n\n".join([*runs, "\n".join([_counted(record["counts"]), *settings])]) + "\n"


def _counted(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Sentences on how many features each section has."""
    return "\n".join(
        f"{_SECTIONS[section]}: {own['features']} features a layer of ResNet-56, "
        f"{own['photographs']} photographs."
        for section, own in counts.items()
    )


def coder_of(curve: str) -> str:
    """The name of a curve's coder, without its settings."""
    return curve.split(" ")[0].removesuffix("-uniform")


def _against(anchor: Mapping[str, Point], other: Mapping[str, Point]) -> list[str]:
    """BD-rates in the bands, and over all of them."""
    found = [bd_rate(anchor.values(), other.values(), within) for within in (*BANDS, SNR_RANGE)]
    return [percent(None if one is None else one.value) for one in found]


def _rates(curves: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in curves.items():
        by_name = {coder_of(name): points for name, points in own.items()}
        for coder, anchor in (
            ("A2", "A1"),
            ("A3", "A1"),
            ("A3", "A2"),
            ("A4", "A2"),
            ("A4", "A3"),
            ("native", "A2"),
            ("native", "A3"),
            ("native", "A4"),
        ):
            if coder in by_name and anchor in by_name:
                yield [layer, coder, anchor, *_against(by_name[anchor], by_name[coder])]


def _tried(search: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in search.items():
        for name, points in own.items():
            if name != "A2" and "A2" in own:
                yield [layer, name, *_against(own["A2"], points), _mean(points, "encode_s")]


def _seconds(curves: Mapping[str, Curves]) -> Iterator[list[str]]:
    for layer, own in curves.items():
        for name, points in own.items():
            yield [layer, coder_of(name), _mean(points, "encode_s"), _mean(points, "decode_s")]


def _mean(points: Mapping[str, Point], name: str) -> str:
    """Seconds a feature, over the points of a curve."""
    return f"{sum(one[name] for one in points.values()) / len(points):.4f}"
