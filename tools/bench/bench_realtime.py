"""Measures the native coder with static tables beside HEVC on this machine, and writes the results page.

    python tools/bench/bench_realtime.py [--resume] [--sections curves speed ...] [--render]

Needs what ``tools/bench/bench_native.py`` needs, and its record, ``docs/results/native.json``, which has the
curves of A2 and of the native coder; and the packages pcodec and zfpy (``pip install 'refcodec[bench]'``) for
the sections ``lossless`` and ``floats``. One process, one thread; speeds are of processor time, so that other
work on the machine counts for neither side. The record of a run is ``docs/results/realtime.json``: it is
kept section by section: the sections named are measured anew, or with ``--resume`` what the record lacks of
them; it has the seconds that each section took.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import realtime_page
import realtime_speed
from bench_lossless import measure as measure_lossless
from coding import read, timed, write
from curves import bd_rate
from features import LAYERS, SIZES, Source
from float_coders import float_curve, package
from native_curves import QPS, point
from realtime_search import trials
from record import DOCS, Record, command, machine, parser, save

from refcodec.errors import EnvironmentFault

CODER = "native-static"

LOSSLESS = {"small": 60, "large": 4}
"""Features of a set that are coded without loss."""

Measure = Callable[[str, str, argparse.Namespace, Record, Record], Any]
"""Measures a section for a layer and a size, given the record so far and that of the native coder."""


def main() -> int:
    """Measure, then write the record and the page."""
    options = _options()
    record: Record = json.loads(options.record.read_text()) if options.record.exists() else {}
    if not options.render:
        if not options.resume:
            record = {name: own for name, own in record.items() if name not in options.sections}
        known: Record = json.loads(options.known.read_text())
        record |= {"machine": machine() | {"command": command()}}
        try:
            for section in options.sections:
                _run(section, options, record, known)
        except EnvironmentFault as fault:
            print(fault, file=sys.stderr)
            return 2
    realtime_page.write(record, options.page)
    return 0


def _options() -> argparse.Namespace:
    found = parser(__doc__ or "", "realtime", LAYERS[:3])
    add = found.add_argument
    add("--page", type=Path, default=DOCS / "results" / "realtime.rst", help="the page to fill")
    known = DOCS / "results" / "native.json"
    add("--known", type=Path, default=known, help="record with the curves of A2 and of native")
    sections = [*_PLACES, *_ALONE]
    add("--sections", nargs="+", choices=sections, default=sections, help="what to measure")
    return found.parse_args()


def _run(section: str, options: argparse.Namespace, record: Record, known: Record) -> None:
    """Measure what the record lacks of a section."""
    begin = time.perf_counter()
    seconds: Record = record.setdefault("seconds", {})
    if section not in record:
        seconds[section] = 0
    if section in _ALONE:
        if section not in record:
            record[section] = _ALONE[section]()
            seconds[section] = round(time.perf_counter() - begin)
            save(record, options.record)
        return
    kept: Record = record.setdefault(section, {})
    for size in SIZES:
        for layer in options.layers:
            place = f"{layer}/{size}"
            if place not in kept:
                kept[place] = _PLACES[section](layer, size, options, record, known)
                seconds[section] = round(seconds.get(section, 0) + time.perf_counter() - begin)
                begin = time.perf_counter()
                save(record, options.record)
                print(section, place, kept[place], flush=True)


# --- sections --------------------------------------------------------------------------------------


def _curves(
    layer: str, size: str, options: argparse.Namespace, record: Record, known: Record
) -> Record:
    """The curve of the coder, and its BD-rates against A2 and the native coder."""
    source, place = Source(layer, size, options.features), f"{layer}/{size}"
    points = [_point(source, qp) for qp in QPS[size][layer]]
    anchors = {"A2": known["peers"][f"{place}/A2"], "native": known["native"][place]}
    changes = {name: bd_rate(curve, points) for name, curve in anchors.items()}
    return {
        "points": points,
        **{name: None if one is None else list(one) for name, one in changes.items()},
    }


def _speed(
    layer: str, size: str, options: argparse.Namespace, record: Record, known: Record
) -> Record:
    """Speeds of the coder, of ffmpeg and of x265 ``medium``, at equal quality."""
    maps, place = Source(layer, size, options.features).maps, f"{layer}/{size}"
    points = record["curves"][place]["points"]
    found = realtime_speed.beside_hevc(maps, size, points, known["peers"][f"{place}/A2"])
    return found | {"payloads": realtime_speed.payloads_alone(maps, points)}


def _lossless(
    layer: str, size: str, options: argparse.Namespace, record: Record, known: Record
) -> Record:
    """Coded size over float32 size, and MB/s both ways, of coders without loss."""
    package("pcodec")
    count = min(LOSSLESS[size], options.features or LOSSLESS[size])
    return {
        name: list(one)
        for name, one in measure_lossless(Source(layer, size, count).maps, rounds=3).items()
    }


def _floats(
    layer: str, size: str, options: argparse.Namespace, record: Record, known: Record
) -> Record:
    """The curve of zfp, and its BD-rate against A2."""
    points = float_curve(Source(layer, size, options.features), "zfp")
    found = bd_rate(known["peers"][f"{layer}/{size}/A2"], points)
    return {"points": points, "A2": None if found is None else list(found)}


def _search(
    layer: str, size: str, options: argparse.Namespace, record: Record, known: Record
) -> Record:
    """Searches of the encoder that were tried."""
    return trials(layer, size)


_PLACES: dict[str, Measure] = {
    "curves": _curves,
    "speed": _speed,
    "search": _search,
    "lossless": _lossless,
    "floats": _floats,
}
"""Sections that are measured for each layer and size."""

_ALONE: dict[str, Callable[[], Any]] = {
    "single": realtime_speed.single_features,
    "threads": realtime_speed.two_threads,
}
"""Sections that are measured once."""


def _point(source: Source, qp: int) -> dict[str, Any]:
    data, forth = timed(write, source.maps, coder=CODER, qp=qp)
    decoded, back = timed(read, data)
    return point(source, qp, decoded, len(data), forth, back)


if __name__ == "__main__":
    sys.exit(main())
