#!/usr/bin/env python3
"""Measures the decoding kernels of the native coders against a plain C translation of their listings.

    python tools/bench/bench_kernels.py [--rounds 7] [--cases NAME ...] [--json OUT.json]

Both decode the same payloads of real features, from the same arguments, in turns in one process on one
thread, and have to give the same arrays. Only the kernel itself is timed: neither parsing nor hashes. A time
is the least processor time of several, so that ratios hold on a loaded machine. Needs a C compiler (``cc``),
and the networks and images of ``../shared/data`` (or ``$REFCODEC_DATA``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import features
import kernel_calls
import numpy as np
from coding import read, write
from kernel_calls import Call, recorded
from record import command, machine

FLAGS = {"cc -O2": ["-O2"], "cc -O3": ["-O3", "-march=native"]}
SOURCE = Path(__file__).with_name("listings.c")

SMALL, LARGE = 20, 1
"""Features of a case."""

CASES: list[tuple[str, str, dict[str, Any]]] = [
    *((f"native, QP {qp}, {layer}", layer, {"coder": "native", "qp": qp})
      for layer in ("layer1, large", "conv1, large", "layer1, small", "layer3, small")
      for qp in (30, 40)),
    ("native, QP 30, samples", "fc", {"coder": "native", "qp": 30}),
    ("lossless, layer1, large", "layer1, large", {"coder": "native-lossless"}),
    ("lossless, conv1, large", "conv1, large", {"coder": "native-lossless"}),
    ("lossless, layer1, small", "layer1, small", {"coder": "native-lossless"}),
    ("lossless, float16", "layer1, half", {"coder": "native-lossless"}),
    ("lossless fast, layer1, large", "layer1, large", {"coder": "native-lossless", "speed": "fast"}),
    ("lossless fast, conv1, large", "conv1, large", {"coder": "native-lossless", "speed": "fast"}),
]  # fmt: skip
"""Name of a case, the features, and how they are coded."""


def feature_sets() -> dict[str, Any]:
    """Maps of CIFAR test images and of a photograph, N x C x H x W."""
    sets: dict[str, Any] = {}
    for size, count in (("small", SMALL), ("large", LARGE)):
        x = features.inputs(size, count)
        for stage, layer in enumerate(features.LAYERS):
            if size == "small" or stage < 2:
                x = features.network().run(x, stage, stage + 1)
                sets[f"{layer}, {size}"] = x
        if size == "small":
            sets["fc"] = x.mean(axis=(2, 3), dtype=np.float32)[:, :, None, None]
    sets["layer1, half"] = sets["layer1, large"].astype(np.float16)
    return sets


def build(folder: Path) -> Iterator[tuple[str, Any]]:
    """The translation as a library, for each set of flags."""
    for number, (name, flags) in enumerate(FLAGS.items()):
        library = folder / f"listings{number}.so"
        subprocess.run(
            ["cc", "-std=c11", *flags, "-shared", "-fPIC", "-o", library, SOURCE], check=True
        )
        yield name, kernel_calls.load(library)


def measure(calls: list[Call], libraries: dict[str, Any], rounds: int) -> dict[str, float]:
    """Seconds of all calls, by who makes them: the least of several, which take turns."""
    ways = {"numba": None, **libraries}
    wanted = [call.run()[1] for call in calls]
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, library in ways.items():
            spent = 0.0
            for call, own in zip(calls, wanted, strict=True):
                one, found = call.run(library)
                assert all(map(np.array_equal, own, found)), f"{name} gives something else"
                spent += one
            least[name] = min(least[name], spent)
    return least


def rows(names: list[str], rounds: int) -> Iterator[dict[str, Any]]:
    """Million elements a second of each case, and times relative to that of C."""
    sets = feature_sets()
    with tempfile.TemporaryDirectory() as folder:
        libraries = dict(build(Path(folder)))
        for name, source, choices in CASES:
            if names and not any(part in name for part in names):
                continue
            data = write(sets[source], **choices)
            with recorded() as calls:
                read(data)
            spent = measure(calls, libraries, rounds)
            elements = sets[source].size
            yield {
                "case": name,
                **{way: round(elements / seconds / 1e6, 1) for way, seconds in spent.items()},
                **{f"time over {way}": round(spent["numba"] / spent[way], 2) for way in libraries},
            }


def main() -> int:
    """Measure, and print each row as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="*", default=[], help="parts of names of cases; else all")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    options = parser.parse_args()
    found = []
    for row in rows(options.cases, options.rounds):
        found.append(row)
        print(json.dumps(row), flush=True)
    if options.json is not None:
        record = {"machine": machine() | {"command": command()}, "rows": found}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
