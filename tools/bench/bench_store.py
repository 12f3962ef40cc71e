"""Measures stores of features: building, verifying and reading by ranges, with one worker of dask and two.

    python tools/bench/bench_store.py [--features 1000000] [--folder FOLDER] [--fill]

The features are vectors of 1,024 values, the shape of YouTube-8M's. The table goes into
``docs/guides/stores.rst`` with ``--fill``. The folder takes 4 KiB a feature, and the stores as much again.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_zarr import measured_on
from page import fill, table
from record import DOCS

from refcodec import stores

_VALUES = 1024
_BLOCK = 10_000
_CHUNK = 4096
_RANGE = 256

CODERS: dict[str, dict[str, Any]] = {
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
    "zlib": {"coder": "zlib"},
    "native, qp 30": {"coder": "native", "qp": 30},
}

WORKERS = (1, 2)


def make_source(path: Path, count: int) -> None:
    """Write the features, block by block: 8-bit levels of a rectified normal distribution."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, _VALUES))
    for start in range(0, count, _BLOCK):
        values = np.random.default_rng(start).normal(size=(min(_BLOCK, count - start), _VALUES))
        array[start : start + _BLOCK] = np.minimum(np.round(64 * np.maximum(values, 0)), 255) / 64
    array.flush()


def read_range(store: Path, start: int) -> int:
    """Read a range of features; returns how many there were."""
    import zarr

    return len(zarr.open_array(store, mode="r")[start : start + _RANGE])


def rows(source: Path, count: int, ranges: int, coders: list[str]) -> Iterator[list[str]]:
    """The lines of the table."""
    for name, options in ((one, CODERS[one]) for one in coders):
        for workers in WORKERS:
            target = source.with_name(f"{options['coder']}-{workers}.zarr")
            plan = stores.StorePlan(source, target, chunk=_CHUNK, options=options)
            with stores.cluster(workers=workers) as client:
                client.submit(_warm, options).result()
                build, manifest = _timed(partial(stores.build, plan, client))
                verify, faults = _timed(partial(stores.verify, target, client))
                decode, more = _timed(partial(stores.verify, target, client, decode=True))
                assert not faults
                assert not more
                starts = np.random.default_rng(0).integers(0, max(count - _RANGE, 1), ranges)
                read, found = _timed(partial(_read, client, target, starts.tolist()))
            size = sum(one.size for one in manifest.entries.values()) / count
            shutil.rmtree(target)
            row = [
                name,
                str(workers),
                f"{size:,.0f}",
                *(f"{count / seconds:,.0f}" for seconds in (build, verify, decode)),
                f"{found / read:,.0f}",
                f"{1e9 * build * workers / count / 3600:,.0f}",
                f"{size / 1e3:.2f}",
            ]
            print(", ".join(row), flush=True)
            yield row


def _warm(options: dict[str, Any]) -> None:
    """Load the kernels of a coder in a worker."""
    import refcodec

    refcodec.decode(refcodec.encode(np.zeros((2, 8), np.float32), **options))


def _read(client: Any, store: Path, starts: list[int]) -> int:
    return sum(client.gather(client.map(partial(read_range, store), starts, pure=False)))


def _timed(action: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = action()
    return time.perf_counter() - begin, found


def main() -> None:
    """Measure, and print the table or put it into the guide."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=int, default=1_000_000)
    parser.add_argument("--ranges", type=int, default=400)
    parser.add_argument(
        "--folder", type=Path, help="where source and stores are; else a temporary one"
    )
    parser.add_argument("--coders", nargs="+", choices=CODERS, default=[*CODERS])
    parser.add_argument("--fill", action="store_true", help="put the table into the guide")
    options = parser.parse_args()
    heads = ["Coder", "Workers", "Bytes a feature", "Built a second", "Verified", "Decoded"]
    heads += ["Read by ranges", "Worker hours for 10⁹", "TB for 10⁹"]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder) / "features.npy"
        make_source(source, options.features)
        made = table(heads, rows(source, options.features, options.ranges, options.coders))
    text = (
        f"{made}\n{options.features:,} features. The last two columns are computed from the others. "
        + measured_on(["numpy", "zarr", "distributed"])
    )
    print(text)
    if options.fill:
        fill(DOCS / "guides" / "stores.rst", {"table": text})


if __name__ == "__main__":
    main()
