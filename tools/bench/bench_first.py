"""Measures the first call of a process: kernels not compiled yet, compiled for this machine, or for any.

    python tools/bench/bench_first.py [--fill]

Processor time of a process that encodes and decodes one feature, the import included, and milliseconds of a
later round trip in the same process. The table goes into ``docs/guides/install.rst`` with ``--fill``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_zarr import measured_on
from page import fill, table
from record import DOCS

ROUNDS = 20

CODERS: dict[str, dict[str, Any]] = {
    "native": {"coder": "native", "qp": 30},
    "native-static": {"coder": "native-static", "qp": 30},
    "native-lossless": {"coder": "native-lossless"},
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
}

_CALL = """
import json, sys, time
import numpy as np
import refcodec
options, rounds = json.loads(sys.argv[1]), int(sys.argv[2])
feature = np.maximum(np.random.default_rng(0).normal(size=(64, 14, 14)), 0).astype(np.float32)
def round_trip():
    return refcodec.decode(refcodec.encode(feature, workers=1, **options))
round_trip()
first, best = time.process_time(), float("inf")
for _ in range(rounds):
    begin = time.process_time()
    round_trip()
    best = min(best, time.process_time() - begin)
print(json.dumps([first, best]))
"""


def run(folder: Path, words: list[str], **variables: str) -> tuple[str, float]:
    """The output of a process, and its processor time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "REFCODEC_CACHE": str(folder), **variables}
    done = subprocess.run(
        [sys.executable, *words], env=environment, check=True, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, sum(after[:2]) - sum(before[:2])


def call(folder: Path, options: dict[str, Any], **variables: str) -> tuple[float, float]:
    """Processor time until the first round trip is done, and of the fastest later one, in seconds."""
    words = ["-c", _CALL, json.dumps(options), str(ROUNDS)]
    first, best = json.loads(run(folder, words, **variables)[0])
    return first, best


def rows(place: Path) -> Iterator[list[str]]:
    """The lines of the table, and a last one of the warm-up itself."""
    generic = {"NUMBA_CPU_NAME": "generic"}
    warm = [place / "warm", place / "generic"]
    seconds = [
        run(folder, ["-m", "refcodec", "warm-up"], **variables)[1]
        for folder, variables in zip(warm, ({}, generic), strict=True)
    ]
    for number, (name, options) in enumerate(CODERS.items()):
        found = [
            call(place / f"empty-{number}", options),
            call(warm[0], options),
            call(warm[1], options, **generic),
        ]
        row = [name, *(f"{first:.1f}" for first, _ in found)]
        row += [f"{1e3 * best:.1f}" for _, best in found[1:]]
        print(", ".join(row), flush=True)
        yield row
    yield ["``refcodec warm-up`` itself", "", *(f"{one:.0f}" for one in seconds), "", ""]


def main() -> None:
    """Measure, and print the table or put it into the guide."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fill", action="store_true", help="put the table into the guide")
    options = parser.parse_args()
    heads = [
        "Coder",
        "First, empty cache, s",
        "First, warmed up, s",
        "The same, for any processor, s",
    ]
    heads += ["Later, ms", "Later, for any processor, ms"]
    with tempfile.TemporaryDirectory() as folder:
        made = table(heads, rows(Path(folder)))
    text = f"{made}\n{measured_on(['numpy', 'numba'])}"
    print(text)
    if options.fill:
        fill(DOCS / "guides" / "install.rst", {"table": text})


if __name__ == "__main__":
    main()
