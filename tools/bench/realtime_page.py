"""Fills the page of results of the native coder with static tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from page import fill, measured, percent, table
from realtime_search import means
from realtime_speed import SPEED_SNR
from record import Record

_SIZES = {"small": "small maps", "large": "large maps"}


def write(record: Record, page: Path) -> None:
    """Fill the page with the sections that the record has."""
    parts = {
        "rates": ("curves", _rates),
        "speeds": ("speed", _speeds),
        "search": ("search", _search),
        "lossless": ("lossless", _lossless),
        "floats": ("floats", _floats),
        "single": ("single", _single),
        "threads": ("threads", _threads),
    }
    made = {part: show(record) for part, (section, show) in parts.items() if section in record}
    fill(page, {"machine": _machine(record)} | made)


def _machine(record: Record) -> str:
    return f"{measured(record['machine'], load=True)}.\n{_durations(record)}"


def _durations(record: Record) -> str:
    """A sentence on how long each section takes."""
    found = [f"{-(-s // 60)} min ({name})" for name, s in record.get("seconds", {}).items()]
    return f"Its sections take {', '.join(found)}.\n" if found else ""


def _place(place: str) -> tuple[str, str]:
    layer, _, size = place.partition("/")
    return _SIZES[size], layer


def _rates(record: Record) -> str:
    rows = [
        [
            *_place(place),
            percent(one["A2"] and one["A2"][0]),
            percent(one["native"] and one["native"][0]),
        ]
        for place, one in record["curves"].items()
    ]
    means = [
        percent(float(np.mean([one[name][0] for one in record["curves"].values()])))
        for name in ("A2", "native")
    ]
    return table(["maps", "layer", "against A2", "against native"], [*rows, ["mean", "", *means]])


def _speeds(record: Record) -> str:
    rows = []
    for place, one in record["speed"].items():
        names = ("encode", "decode", "x265_medium", "ffmpeg", "payloads")
        encode, decode, x265, ffmpeg, alone = (one[name] / 1e6 for name in names)
        rows.append(
            [
                *_place(place),
                f"{one['qps'][0]} / {one['qps'][1]}",
                f"{encode:.1f} / {x265:.2f}",
                f"{encode / x265:.1f}",
                f"{decode:.1f} / {ffmpeg:.1f}",
                f"{decode / ffmpeg:.2f}",
                f"{alone:.1f}",
                f"{alone / ffmpeg:.2f}",
            ]
        )
    heads = ["maps", "layer", "QP", "encode, M/s, ours / x265 medium", "ratio"]
    heads += ["decode, M/s, ours / ffmpeg", "ratio", "payloads alone, M/s", "ratio"]
    return table(heads, rows)


def _search(record: Record) -> str:
    """Searches that were tried."""
    rows = [[name, percent(rate), f"{speed:.1f}"] for name, rate, speed in means(record["search"])]
    return table(["search (Lagrange multiplier)", "BD-rate, mean", "encode, M/s, mean"], rows)


def _lossless(record: Record) -> str:
    """Size and speeds of the lossless coder over those of pcodec."""
    rows = []
    for place, one in record["lossless"].items():
        size, forth, back = one["pcodec"]
        for mode, name in (("fast", "native, fast in a row"), ("default", "native in a row")):
            own_size, own_forth, own_back = one[name]
            rows.append(
                [
                    *_place(place),
                    mode,
                    percent(100 * (own_size / size - 1)),
                    f"{own_forth:.0f} / {forth:.0f}",
                    f"{own_forth / forth:.2f}",
                    f"{own_back:.0f} / {back:.0f}",
                    f"{own_back / back:.2f}",
                ]
            )
    heads = [
        "maps",
        "layer",
        "speed",
        "size against pcodec",
        "encode, MB/s, ours / pcodec",
        "ratio",
    ]
    return table([*heads, "decode, MB/s, ours / pcodec", "ratio"], rows)


def _floats(record: Record) -> str:
    """Rate of zfp at equal quality, and its speeds."""
    rows = []
    for place, one in record["floats"].items():
        near = min(one["points"], key=lambda point: abs(point["snr"] - SPEED_SNR))
        rows.append(
            [
                *_place(place),
                percent(one["A2"] and one["A2"][0]),
                f"{near['bits']:.2f}",
                f"{near['snr']:.1f}",
                f"{near['encode'] / 1e6:.0f}",
                f"{near['decode'] / 1e6:.0f}",
            ]
        )
    heads = ["maps", "layer", "BD-rate against A2", "bits an element", "logit SNR, dB"]
    return table([*heads, "encode, M/s", "decode, M/s"], rows)


def _single(record: Record) -> str:
    rows = [
        [
            one["shape"],
            one["coder"],
            str(one["bytes"]),
            f"{one['encode_ms']:.2f}",
            f"{one['decode_ms']:.2f}",
            f"{one['encode_ms'] + one['decode_ms']:.2f}",
        ]
        for one in record["single"]
    ]
    return table(["feature", "coder", "bytes", "write, ms", "read, ms", "together, ms"], rows)


def _threads(record: Record) -> str:
    own = record["threads"]
    ratio = own["one_ms"] / own["two_ms"]
    more = 100 * (own["bytes"] / own["bytes_of_one_substream"] - 1)
    return (
        f"One thread takes {own['one_ms']} ms, two take {own['two_ms']} ms: {ratio:.2f} times the speed "
        f"(load {own['load']}).\nTwo substreams take {more:.1f} % more bytes than one.\n"
    )
