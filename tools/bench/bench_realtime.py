"""Measures the native coder with static tables beside HEVC on this machine, and writes the results page.

    python tools/bench/bench_realtime.py [--render]

Needs what ``tools/bench/bench_native.py`` needs, and its record, ``docs/results/native.json``, which has the
curves of A2 and of the native coder. One process, one thread; speeds are of processor time, so that other
work on the machine counts for neither side. The record of a run is ``docs/results/realtime.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import realtime_page
import realtime_speed
from coding import read, timed, write
from curves import bd_rate
from features import LAYERS, SIZES, Source
from native_curves import QPS, point
from record import DOCS, Record, command, load, machine, parser, save

CODER = "native-static"


def main() -> int:
    """Measure, then write the record and the page."""
    options = _options()
    record = load(options, {"curves": {}, "speed": {}})
    if not options.render:
        known: Record = json.loads(options.known.read_text())
        record |= {"machine": machine() | {"command": command()}}
        for size in SIZES:
            for layer in options.layers:
                _measure(record, options, known, layer, size)
        record["single"] = realtime_speed.single_features()
        record["threads"] = realtime_speed.two_threads()
        save(record, options.record)
    realtime_page.write(record, options.page)
    return 0


def _options() -> argparse.Namespace:
    found = parser(__doc__ or "", "realtime", LAYERS[:3])
    add = found.add_argument
    add("--page", type=Path, default=DOCS / "results" / "realtime.rst", help="the page to fill")
    known = DOCS / "results" / "native.json"
    add("--known", type=Path, default=known, help="record with the curves of A2 and of native")
    return found.parse_args()


def _measure(
    record: Record, options: argparse.Namespace, known: Record, layer: str, size: str
) -> None:
    """Fill the record for one set of features."""
    place = f"{layer}/{size}"
    source = Source(layer, size, options.features)
    if place not in record["curves"]:
        points = [_point(source, qp) for qp in QPS[size][layer]]
        anchors = {"A2": known["peers"][f"{place}/A2"], "native": known["native"][place]}
        changes = {name: bd_rate(curve, points) for name, curve in anchors.items()}
        record["curves"][place] = {
            "points": points,
            **{name: None if one is None else list(one) for name, one in changes.items()},
        }
        save(record, options.record)
    if place not in record["speed"]:
        beside = partial(realtime_speed.beside_hevc, source.maps, size)
        points = record["curves"][place]["points"]
        record["speed"][place] = beside(points, known["peers"][f"{place}/A2"])
        save(record, options.record)
    points = record["curves"][place]["points"]
    record["speed"][place]["payloads"] = realtime_speed.payloads_alone(source.maps, points)
    print(place, record["curves"][place]["A2"], record["speed"][place], flush=True)


def _point(source: Source, qp: int) -> dict[str, Any]:
    data, forth = timed(write, source.maps, coder=CODER, qp=qp)
    decoded, back = timed(read, data)
    return point(source, qp, decoded, len(data), forth, back)


if __name__ == "__main__":
    sys.exit(main())
