"""Measures the native coder beside HEVC on this machine, and writes the results page.

    python tools/bench/bench_native.py [--peers docs/results/native.json]

Needs what ``tools/bench`` needs, and the packages torch, bjontegaard, scipy and matplotlib. One process, one
thread. The record of a run, ``docs/results/native.json``, holds every point; the tables of
``docs/results/native.rst`` and its plots are made from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import alone
import native_page
import native_speed
import peers
from features import LAYERS, SIZES, Source
from native_curves import QPS, bd_rates, native_curve, peer_curves, uncorrected
from record import DOCS, Record, command, load, machine, parser, save
from rich import progress


def main() -> int:
    """Measure, then write the record and the page."""
    options = _options()
    record = load(options, {"native": {}})
    if options.render:
        native_page.write(record, options.page, options.plots)
        return 0
    columns = (
        progress.TextColumn("{task.description:24}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns) as bar:
        beside = _peers(options, bar)
        if options.only_peers:
            return 0
        record |= {"machine": machine() | {"command": command()}, "peers_by": beside["machine"]}
        record |= {"quick": options.features is not None, "peers": beside["peers"]}
        _measure(record, options, bar)
    if not record["quick"]:
        native_page.write(record, options.page, options.plots)
    return 0


def _options() -> argparse.Namespace:
    found = parser(__doc__, "native", LAYERS)
    add = found.add_argument
    page, plots = DOCS / "results" / "native.rst", DOCS / "images"
    add("--page", type=Path, default=page, help="the page with tables to fill")
    add("--plots", type=Path, default=plots, help="folder of the plots")
    add("--peers", type=Path, help="take the peers' curves from the record of an earlier run")
    add("--only-peers", type=Path, metavar="FILE", help="measure the peers alone, into FILE")
    add("--sizes", nargs="+", choices=SIZES, default=[*SIZES])
    return found.parse_args()


def _places(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [(layer, size) for size in options.sizes for layer in options.layers]


def _peers(options: argparse.Namespace, bar: progress.Progress) -> Record:
    """Curves of the peers, and the machine they were measured on."""
    if options.peers:
        known: Record = json.loads(options.peers.read_text())
        return {"peers": known["peers"], "machine": known.get("peers_by", known["machine"])}
    found: Record = {}
    for layer, size in _places(options):
        qps = peers.QPS[size][layer]
        task = bar.add_task(f"HEVC {layer} {size}", total=sum(map(len, qps.values())))
        source = Source(layer, size, options.features)
        curves = peer_curves(source, qps, partial(bar.advance, task))
        found |= {f"{layer}/{size}/{name}": points for name, points in curves.items()}
    record = {"peers": found, "machine": machine() | {"command": command()}}
    if options.only_peers:
        save(record, options.only_peers)
    return record


def _measure(record: Record, options: argparse.Namespace, bar: progress.Progress) -> None:
    """Fill the record: the native coder's curves first, then all that is missing."""
    places, count = _places(options), options.features
    for layer, size in places:
        if f"{layer}/{size}" not in record["native"]:
            qps = QPS[size][layer]
            task = bar.add_task(f"native {layer} {size}", total=len(qps))
            curve = native_curve(Source(layer, size, count), qps, partial(bar.advance, task))
            record["native"][f"{layer}/{size}"] = curve
            save(record, options.record)
    record["bd_rate"] = bd_rates(record)

    def speed() -> list[Record]:
        known = [place for place in places if f"{'/'.join(place)}/A2" in record["peers"]]
        return [
            native_speed.beside_a2(record, *place, count)
            for place in bar.track(known, description="speed")
        ]

    def settings() -> list[Record]:
        task = bar.add_task("settings", total=len(places) * len(native_speed.SETTINGS))
        step = partial(bar.advance, task)
        return [row for place in places for row in native_speed.settings(*place, count, step)]

    def without_correction() -> list[Record]:
        """layer3's tail averages each channel, and hence sees little else than means."""
        return [uncorrected(record, *place, count) for place in places if place[0] == "layer3"]

    for name, measure in (
        ("speed", speed),
        ("uncorrected", without_correction),
        ("memory", lambda: [alone.peak_memory(*place) for place in alone.PLACES]),
        ("settings", settings),
        ("compilation", alone.compilation),
    ):
        if name not in record:
            record[name] = measure()
            save(record, options.record)


if __name__ == "__main__":
    sys.exit(main())
