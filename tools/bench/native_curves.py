"""Curves of the native coder and of its peers: points by rising QP, and BD-rates between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coding import read, timed, write
from curves import Point, bd_rate, frontier
from features import Source
from peers import PEERS, Coder
from record import Record

__all__ = ["QPS", "bd_rates", "native_curve", "peer_curves", "point", "uncorrected"]

QPS: dict[str, dict[str, tuple[int, ...]]] = {
    "small": {
        "conv1": (11, 15, 19, 23, 27, 31, 35),
        "layer1": (22, 26, 30, 34, 38, 42, 46),
        "layer2": (22, 26, 30, 34, 38, 42, 46),
        "layer3": (28, 32, 36, 40, 44, 48, 51),
    },
    "large": {
        "conv1": (2, 5, 8, 11, 15, 19, 24),
        "layer1": (25, 30, 35, 40, 45),
        "layer2": (28, 33, 38, 43, 48),
        "layer3": (36, 40, 43, 46, 49, 51),
    },
}
"""QPs of the native coder, whose samples have 16 bits."""

Step = Callable[[], object]
"""Called after each point."""


def native_curve(
    source: Source, qps: Iterable[int], step: Step = lambda: None, **choices: Any
) -> list[Point]:
    """Points of the native coder; ``choices`` are fields of `refcodec.EncoderConfig`."""
    choices["coder"] = "native"
    read(write(source.maps[:1], qp=30, **choices))  # loads, or compiles, the kernels
    found = []
    for qp in qps:
        data, forth = timed(write, source.maps, qp=qp, **choices)
        decoded, back = timed(read, data)
        found.append(point(source, qp, decoded, len(data), forth, back))
        step()
    return found


def peer_curves(
    source: Source, qps: Mapping[str, Iterable[int]], step: Step
) -> dict[str, list[Point]]:
    """Points of each peer, by its name; ``A1`` is the better one of its quantisers."""
    found: dict[str, list[Point]] = {}
    for name, own in qps.items():
        coder = Coder(source.maps, PEERS[name])
        found[name] = []
        for qp in own:
            stream, forth = coder.encode(qp)
            decoded, back = coder.decode(stream)
            found[name].append(point(source, qp, decoded, coder.size(stream), forth, back))
            step()
    uniform, log = (found[f"A1-{kind}"] for kind in ("uniform", "log"))
    change = bd_rate(uniform, log)
    return found | {"A1": log if change is not None and change.value < 0 else uniform}


def point(source: Source, qp: int, decoded: Any, size: int, forth: float, back: float) -> Point:
    """A point of a curve: its QP, rate and quality, and the seconds that it took both ways."""
    seconds = {"encode_s": round(forth, 3), "decode_s": round(back, 3)}
    return {"qp": qp} | source.judge(decoded, size) | seconds


def bd_rates(record: Record) -> list[Record]:
    """BD-rates of the native coder against A1 and A2, with the ranges they are taken over."""
    rows = []
    for place, points in record["native"].items():
        for peer in ("A1", "A2"):
            anchor = record["peers"].get(f"{place}/{peer}")
            if anchor is None:
                continue
            found = bd_rate(anchor, points)
            rows.append(
                {
                    "place": place,
                    "peer": peer,
                    "bd_rate": None if found is None else round(found.value, 2),
                    "range": None if found is None else [round(end, 2) for end in found[1:]],
                    "points": [len(frontier(curve)[0]) for curve in (anchor, points)],
                }
            )
    return rows


def uncorrected(record: Record, layer: str, size: str, count: int | None) -> Record:
    """A curve without corrected means, and its BD-rates against the peers."""
    points = native_curve(Source(layer, size, count), QPS[size][layer], restoration="off")
    row: Record = {"place": f"{layer}/{size}", "curve": points}
    for peer in ("A2", "A1"):
        found = bd_rate(record["peers"][f"{layer}/{size}/{peer}"], points)
        row[peer] = None if found is None else [round(number, 2) for number in found]
    return row
