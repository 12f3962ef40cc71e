"""Speed of the native coder beside its strongest peer, and what its speed settings cost in rate."""

from __future__ import annotations

import features
import numpy as np
from coding import read, timed, write
from curves import Point, bd_rate
from native_curves import QPS, Step, native_curve
from peers import PEERS, Coder
from record import Record

__all__ = ["SETTINGS", "beside_a2", "settings"]

SPEED_SNR = 18.0
"""Coders are timed at the point of their curves that is nearest to this logit SNR, dB."""

SETTINGS = ("fast", "default", "best")

FEWER = {"small": 50, "large": 2}
"""Features that the speed settings are compared on."""

_ROUNDS = {"small": 3, "large": 1}


def beside_a2(record: Record, layer: str, size: str, count: int | None) -> Record:
    """Elements per second of the native coder and of A2, in alternation: the median of several rounds."""
    maps = features.part(layer, size, count)
    ours = _nearest(record["native"][f"{layer}/{size}"])
    theirs = _nearest(record["peers"][f"{layer}/{size}/A2"])
    coder = Coder(maps, PEERS["A2"])
    runs: list[list[float]] = []
    for _ in range(_ROUNDS[size]):
        stream, peer_forth = coder.encode(theirs)
        _, peer_back = coder.decode(stream)
        data, forth = timed(write, maps, coder="native", qp=ours)
        _, back = timed(read, data)
        runs.append([forth, back, peer_forth, peer_back])
    forth, back, peer_forth, peer_back = np.median(runs, axis=0)
    return {
        "place": f"{layer}/{size}",
        "qps": [ours, theirs],
        "encode": round(maps.size / forth),
        "decode": round(maps.size / back),
        "a2_encode": round(maps.size / peer_forth),
        "a2_decode": round(maps.size / peer_back),
        "encode_ratio": round(peer_forth / forth, 2),
        "decode_ratio": round(peer_back / back, 3),
    }


def _nearest(points: list[Point]) -> int:
    return int(min(points, key=lambda one: abs(one["snr"] - SPEED_SNR))["qp"])


def settings(layer: str, size: str, count: int | None, step: Step) -> list[Record]:
    """BD-rates against ``default`` and elements per second of the speed settings, on `FEWER` features."""
    count = min(FEWER[size], count or FEWER[size])
    source, qps = features.Source(layer, size, count), QPS[size][layer]
    elements = len(qps) * source.maps.size
    curves = {}
    for speed in SETTINGS:
        curves[speed] = native_curve(source, qps, speed=speed)
        step()
    rows = []
    for speed, points in curves.items():
        change = bd_rate(curves["default"], points)
        rows.append(
            {
                "place": f"{layer}/{size}",
                "speed": speed,
                "features": count,
                "bd_rate": None if change is None else round(change.value, 2),
                "range": None if change is None else [round(end, 2) for end in change[1:]],
                "encode": round(elements / sum(p["encode_s"] for p in points)),
                "decode": round(elements / sum(p["decode_s"] for p in points)),
                "curve": points,
            }
        )
    return rows
