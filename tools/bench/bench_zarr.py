"""Measures arrays of zarr: bytes and time by the codec ``dfc``, by zarr's default (zstd), and by blosc.

    python tools/bench/bench_zarr.py [--features 400] [--rounds 3] [--fill]

Features of ResNet-56 (CIFAR): maps after stage 2, and vectors, the means of the last stage's maps. Arrays are
in memory, in chunks of 100 features; times are those of the processor, of all threads together, the best of
some rounds. ``--fill`` puts the table into ``docs/guides/zarr.rst``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import numpy as np
import zarr
from features import Floats, inputs, network
from page import fill, table
from record import DOCS
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.storage import MemoryStore

from refcodec.evaluate.machine import describe_machine, load_average
from refcodec.metrics import signal_to_noise
from refcodec.zarr import encoding

_CHUNK = 100

WAYS: dict[str, dict[str, Any]] = {
    "zstd, as zarr does by itself": {},
    "blosc (zstd), bits shuffled": {
        "compressors": BloscCodec(cname="zstd", shuffle=BloscShuffle.bitshuffle)
    },
    "dfc": encoding(),
    "dfc, speed fast": encoding(speed="fast"),
    "dfc, zlib, shuffled": encoding(coder="zlib", shuffle=True),
    "dfc, native, qp 30": encoding(coder="native", qp=30),
    "dfc, native, qp 30, speed fast": encoding(coder="native", qp=30, speed="fast"),
}
"""Keywords of ``zarr.create_array``, by name."""


def features(count: int) -> dict[str, Floats]:
    """Maps N x 32 x 16 x 16, and vectors N x 64."""
    middle = network().run(inputs("small", count), 0, 3)
    return {"maps": middle, "vectors": network().run(middle, 3, 4).mean((2, 3))}


def best(
    action: Callable[[], Any], rounds: int, clock: Callable[[], float] = process_time
) -> float:
    """Seconds of an action, the fewest of some rounds: of the processor, unless another clock is given."""
    found = []
    for _ in range(rounds):
        start = clock()
        action()
        found.append(clock() - start)
    return min(found)


def measure(data: Floats, options: dict[str, Any], rounds: int) -> list[str]:
    """One line of the table: size, MB of values a second of the processor, ms for one feature, loss."""

    def write() -> Any:
        return zarr.create_array(
            MemoryStore(), data=data, chunks=(_CHUNK, *data.shape[1:]), **options
        )

    array = write()  # compiles kernels
    megabytes = data.nbytes / 1e6
    snr = signal_to_noise(array[:], data)
    return [
        f"{array.nbytes_stored() / data.nbytes:.1%}".replace("%", " %"),
        f"{megabytes / best(write, rounds):.1f}",
        f"{megabytes / best(lambda: array[:], rounds):.1f}",
        f"{1e3 * best(lambda: array[_CHUNK // 2], 5 * rounds):.2f}",
        "none" if np.isinf(snr) else f"{snr:.1f} dB",
    ]


def rows(count: int, rounds: int) -> Iterator[list[str]]:
    """The lines of the table."""
    for kind, data in features(count).items():
        shape = " x ".join(map(str, data.shape))
        for name, options in WAYS.items():
            yield [f"{kind}, {shape}", name, *measure(data, options, rounds)]


def measured_on(names: list[str]) -> str:
    """The machine, in a line, with the versions of packages."""
    found = describe_machine(names)
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    return (
        f"Measured {found['date']} on {found['processor']}, {found['cores']} cores, load {load_average()}, "
        f"with Python {found['python']}, {packages}.\n"
    )


def main() -> None:
    """Measure, and print the table or put it into the guide."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--features", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fill", action="store_true", help="put the table into the guide")
    options = parser.parse_args()
    heads = ["Array", "Codec", "Size", "Written, MB/s", "Read, MB/s", "One feature, ms", "SNR"]
    made = (
        table(heads, rows(options.features, options.rounds))
        + "\n"
        + measured_on(["zarr", "numcodecs"])
    )
    print(made)
    if options.fill:
        fill(DOCS / "guides" / "zarr.rst", {"table": made})


if __name__ == "__main__":
    main()
