"""Measures data sets of torch: features a second, by workers and coders, and the growth of memory.

    python tools/bench/bench_datasets.py [--features 2000] [--fill]

Maps of 32 x 16 x 16 (ResNet-56 on CIFAR images, stage 2), repeated to that number in four files, read through
a loader in batches of 64: the best of three epochs, after a first one. Growth is that of the peak of memory,
without workers, from the second epoch to the fifth. ``--fill`` puts the table into the guide.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from bench_zarr import best, measured_on
from features import inputs, network
from memory import peak, reset_peak
from page import fill, table
from record import DOCS
from torch.utils.data import DataLoader

import refcodec
from refcodec.torch import FeatureDataset, FeatureStream

_DISTINCT, _FILES, _BATCH = 400, 4, 64

CODERS: dict[str, dict[str, Any]] = {
    "raw": {"coder": "raw"},
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
    "native, qp 30": {"coder": "native", "qp": 30},
}

ORDERS: dict[str, Any] = {
    "by number, shuffled": lambda paths: (FeatureDataset(paths), True),
    "in ranges, shuffled": lambda paths: (FeatureStream(paths, shuffle=True), False),
}
"""Data sets, and whether the loader shuffles their numbers."""


def write(folder: Path, count: int, options: dict[str, Any]) -> list[Path]:
    """Files of features, together so many."""
    maps = network().run(inputs("small", _DISTINCT), 0, 3)
    paths = [folder / f"{number}.dfc" for number in range(_FILES)]
    for number, path in enumerate(paths):
        with refcodec.create(path, exist_ok=True, **options) as writer:
            for one in range(number, count, _FILES):
                writer.write(maps[one % _DISTINCT])
    return paths


def epoch(loader: Any) -> int:
    """Read all features; returns their number."""
    return sum(len(batch) for batch in loader)


def speed(dataset: Any, shuffle: bool, workers: int) -> float:
    """Features a second, once workers have started."""
    loader = DataLoader(
        dataset,
        batch_size=_BATCH,
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )
    count = epoch(loader)
    return count / best(lambda: epoch(loader), 3, perf_counter)


def cost(dataset: Any, shuffle: bool) -> float:
    """Milliseconds of the processor for a feature, without workers."""
    loader = DataLoader(dataset, batch_size=_BATCH, shuffle=shuffle)
    return 1e3 * best(lambda: epoch(loader), 3) / epoch(loader)


def growth(dataset: Any, shuffle: bool) -> float:
    """MiB by which the peak of memory grows from the second epoch to the fifth."""
    loader = DataLoader(dataset, batch_size=_BATCH, shuffle=shuffle)
    epoch(loader)
    reset_peak()
    epoch(loader)
    before = peak()
    for _ in range(3):
        epoch(loader)
    return (peak() - before) / 2**20


def rows(count: int) -> Iterator[list[str]]:
    """The lines of the table."""
    for name, options in CODERS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = write(Path(folder), count, options)
            size = sum(path.stat().st_size for path in paths) / (count * np.prod((32, 16, 16)) * 4)
            for order, make in ORDERS.items():
                dataset, shuffle = make(paths)
                speeds = [f"{speed(dataset, shuffle, workers):,.0f}" for workers in (0, 1, 2)]
                spent, grown = f"{cost(dataset, shuffle):.2f}", f"{growth(dataset, shuffle):.1f}"
                yield [name, f"{100 * size:.1f} %", order, spent, *speeds, grown]


def main() -> None:
    """Measure, and print the table or put it into the guide."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=int, default=2000)
    parser.add_argument("--fill", action="store_true", help="put the table into the guide")
    options = parser.parse_args()
    heads = ["Coder", "Size", "Order", "Processor, ms", "No worker", "1 worker", "2 workers"]
    made = (
        table([*heads, "Growth, MiB"], rows(options.features))
        + "\n"
        + measured_on(["torch", "numpy"])
    )
    print(made)
    if options.fill:
        fill(DOCS / "guides" / "data-sets.rst", {"table": made})


if __name__ == "__main__":
    main()
