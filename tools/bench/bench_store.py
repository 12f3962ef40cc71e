"""Measures stores of features: building, verifying and reading by ranges, with one worker of dask and two.

    python tools/bench/bench_store.py --features 1000000 --coders "native-lossless, fast" --folder FOLDER
    python tools/bench/bench_store.py --features 20000 --resume --folder FOLDER
    python tools/bench/bench_store.py --render

The features are vectors of 1,024 values, the shape of YouTube-8M's. The folder takes 4 KiB a feature, and the
stores up to as much again. What was measured goes into ``docs/results/stores.json``, phase by phase; with
``--resume`` a run that was interrupted goes on, also within a build, and other coders or numbers of features
are added. ``--render`` puts the tables into the guide.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import DOCS, Record, command, load, machine, save
from store_page import render

from refcodec import stores
from refcodec.evaluate.machine import load_average

_VALUES = 1024
_BLOCK = 10_000
_CHUNK = 4096
_RANGE = 256
_EMPTY_TASKS = 2000

CODERS: dict[str, dict[str, Any]] = {
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
    "zlib": {"coder": "zlib"},
    "native, qp 30": {"coder": "native", "qp": 30},
}

WORKERS = (1, 2)


def make_source(path: Path, count: int) -> None:
    """Write the features, block by block: 8-bit levels of a rectified normal distribution."""
    if path.exists():
        return
    part = path.with_suffix(".part")
    array = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(count, _VALUES))
    for start in range(0, count, _BLOCK):
        values = np.random.default_rng(start).normal(size=(min(_BLOCK, count - start), _VALUES))
        array[start : start + _BLOCK] = np.minimum(np.round(64 * np.maximum(values, 0)), 255) / 64
    array.flush()
    part.rename(path)


class Run:
    """The measurement of one store, of which a record keeps each phase that is done.

    row  : of the record: coder, workers, features, and the phases.
    keep : writes the record.
    """

    def __init__(self, row: Record, keep: Callable[[], None], folder: Path) -> None:
        self.row, self._keep = row, keep
        self._options = CODERS[row["coder"]]
        self._source = folder / f"features-{row['features']}.npy"
        name = f"{self._options['coder']}-{row['features']}-{row['workers']}.zarr"
        self._target = folder / name

    def measure(self, ranges: int) -> None:
        """Measure what is missing."""
        phases = self.row["phases"]
        if {"build", "verify", "decode", "read", "schedule"} <= phases.keys():
            return
        make_source(self._source, self.row["features"])
        with stores.cluster(workers=self.row["workers"]) as client:
            client.gather(client.map(partial(_warm, self._options), range(8), pure=False))
            if "build" not in phases:
                self._done("build", self._build(client))
            for phase, decode in (("verify", False), ("decode", True)):
                if phase not in phases:
                    begin = time.perf_counter()
                    faults = stores.verify(self._target, client, decode=decode)
                    self._done(phase, [self.row["features"], time.perf_counter() - begin])
                    if faults:
                        raise SystemExit(f"{self._target}: {faults[:3]}")
            if "read" not in phases:
                self._done("read", self._read(client, ranges))
            if "schedule" not in phases:
                self._done("schedule", _schedule(client))
        shutil.rmtree(self._target)

    def _done(self, phase: str, numbers: Any) -> None:
        self.row["phases"][phase] = numbers
        print(self.row["coder"], self.row["workers"], phase, str(numbers)[:200], flush=True)
        self._keep()

    def _build(self, client: Any) -> list[float]:
        """Features that were built, and seconds; the seconds of each task go into the row."""
        from distributed import get_task_stream

        plan = stores.StorePlan(self._source, self._target, chunk=_CHUNK, options=self._options)
        begun = stores.Manifest.load(self._target) if self._target.exists() else None
        before = 0 if begun is None else len(begun.entries)
        chunks = -(-self.row["features"] // _CHUNK)
        if before == chunks:  # killed between the last chunk and the record
            shutil.rmtree(self._target)
            before = 0
        begin = time.perf_counter()
        with get_task_stream(client) as stream:
            manifest = stores.build(plan, client)
        seconds = time.perf_counter() - begin
        self.row["load"] = load_average()
        self.row["size"] = sum(one.size for one in manifest.entries.values())
        self.row["tasks"] = [
            round(part["stop"] - part["start"], 4)
            for task in stream.data
            for part in task["startstops"]
            if part["action"] == "compute"
        ]
        return [self.row["features"] * (chunks - before) / chunks, seconds]

    def _read(self, client: Any, ranges: int) -> list[float]:
        """Features that were read by ranges, and seconds."""
        last = max(self.row["features"] - _RANGE, 1)
        starts = np.random.default_rng(0).integers(0, last, ranges).tolist()
        begin = time.perf_counter()
        found = client.gather(client.map(partial(_read_range, self._target), starts, pure=False))
        return [sum(found), time.perf_counter() - begin]


def _read_range(store: Path, start: int) -> int:
    """Read a range of features; returns how many there were."""
    import zarr

    return len(zarr.open_array(store, mode="r")[start : start + _RANGE])


def _warm(options: dict[str, Any], _: int) -> None:
    """Load the kernels of a coder in a worker."""
    import refcodec

    refcodec.decode(refcodec.encode(np.zeros((2, 8), np.float32), **options))


def _schedule(client: Any) -> list[float]:
    """Tasks that do nothing, and the seconds that they take: what the scheduler costs."""
    begin = time.perf_counter()
    client.gather(client.map(abs, range(_EMPTY_TASKS), pure=False))
    return [_EMPTY_TASKS, time.perf_counter() - begin]


def main() -> None:
    """Measure, and keep it; or put the tables into the guide."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--features", type=int, default=1_000_000)
    add("--ranges", type=int, default=400)
    add("--folder", type=Path, help="where source and stores are kept until they are measured")
    add("--coders", nargs="+", choices=CODERS, default=[*CODERS])
    add("--workers", nargs="+", type=int, default=[*WORKERS])
    add("--record", type=Path, default=DOCS / "results" / "stores.json")
    add("--resume", action="store_true", help="keep what the record has already")
    add("--render", action="store_true", help="measure nothing: put the tables into the guide")
    options = parser.parse_args()
    record = load(options, {"rows": []})
    if options.render:
        render(record)
        return
    if options.folder is None:
        parser.error("--folder says where the features and the stores go")
    record["machine"] = machine() | {"command": command()}
    for name in options.coders:
        for workers in options.workers:
            key = {"coder": name, "workers": workers, "features": options.features}
            row = next((one for one in record["rows"] if key.items() <= one.items()), None)
            if row is None:
                row = key | {"phases": {}}
                record["rows"].append(row)
            Run(row, partial(save, record, options.record), options.folder).measure(options.ranges)


if __name__ == "__main__":
    main()
