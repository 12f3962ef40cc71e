"""One reader in many threads and processes: what they read, compared with what it reads alone.

    python tools/fuzz/sharing.py                     of a stream of 512 features, by each coder
    python tools/fuzz/sharing.py --reads 20000       more reads

Every thread or process reads features by random numbers from the same `refcodec.Reader`. Processes inherit
it (fork) or receive it pickled (spawn, forkserver).

Exit status: 0 all reads gave the right feature; 1 some did not.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

import numpy as np  # noqa: E402

import refcodec  # noqa: E402

FEATURES = 512

CODERS: dict[str, dict[str, Any]] = {
    "raw, batches of vectors": {"coder": "raw"},
    "native-lossless": {"coder": "native-lossless"},
    "native, predicted over time": {"coder": "native", "qp": 20, "gop": 8},
}

WAYS: dict[str, Callable[[int], Executor]] = {
    "threads": ThreadPoolExecutor,
    **{
        method: partial(ProcessPoolExecutor, mp_context=multiprocessing.get_context(method))
        for method in ("fork", "forkserver", "spawn")
        if method in multiprocessing.get_all_start_methods()
    },
}


def write(path: Path, options: dict[str, Any]) -> None:
    """A stream of features that differ, vectors for the raw coder and maps for the others."""
    shape = (256,) if options["coder"] == "raw" else (4, 16, 16)
    drawn = np.random.default_rng(0)
    with refcodec.create(path, **options) as writer:
        for _ in range(FEATURES):
            writer.write(np.maximum(drawn.normal(size=shape), 0).astype(np.float32))


_inherited: refcodec.Reader | None = None
"""Reader of the parent process, for forked ones."""


def digests(reader: refcodec.Reader | None, numbers: list[int]) -> list[str]:
    """The SHA-256 of features by number, of the inherited reader where no other is given."""
    reader = reader or _inherited
    assert reader is not None
    return [hashlib.sha256(reader[number].tobytes()).hexdigest() for number in numbers]


def tried(path: Path, way: str, workers: int, reads: int) -> tuple[int, float]:
    """Number of wrong features read by so many threads or processes, and the seconds taken."""
    global _inherited
    numbers = random.Random(0).choices(range(FEATURES), k=reads)
    with refcodec.open(path) as reader:
        _inherited = reader
        given = None if way == "fork" else reader
        alone = digests(reader, list(range(FEATURES)))
        parts = [numbers[i::workers] for i in range(workers)]
        start = time.perf_counter()
        with WAYS[way](workers) as pool:
            found = list(pool.map(digests, [given] * workers, parts))
    seconds = time.perf_counter() - start
    pairs = zip(parts, found, strict=True)
    wrong = sum(
        one != alone[number] for part, own in pairs for number, one in zip(part, own, strict=True)
    )
    return wrong, seconds


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--reads", type=int, default=1000, help="reads of each way; 1000 unless given"
    )
    parser.add_argument(
        "--workers", type=int, default=8, help="threads or processes; 8 unless given"
    )
    chosen = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, options in CODERS.items():
            path = Path(folder) / f"{options['coder']}.dfc"
            write(path, options)
            for way in WAYS:
                wrong, seconds = tried(path, way, chosen.workers, chosen.reads)
                failed += wrong
                print(
                    f"{name}: {chosen.workers} x {way}, {chosen.reads} reads, {wrong} wrong, "
                    f"{seconds:.1f} s",
                    flush=True,
                )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
