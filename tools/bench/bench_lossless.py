#!/usr/bin/env python3
"""Measures the native lossless coder against its peers and writes the results page.

    python tools/bench/bench_lossless.py [--output docs/results/native-lossless.rst]

Every feature is compressed alone and decompressed again; all coders take turns on each feature, on one
thread, so that ratios of speeds hold on a noisy machine. Needs pcodec, and the networks and images of
``../shared/data`` (or ``$REFCODEC_DATA``).
"""

from __future__ import annotations

import argparse
import bz2
import lzma
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from features import LAYERS, inputs, network
from page import table
from record import DOCS

from refcodec.coders.native_lossless.encoder.payload import encode_payload
from refcodec.coders.native_lossless.payload import decode_payload
from refcodec.coders.protocol import Payload
from refcodec.evaluate.machine import describe_machine
from refcodec.files import atomic_file
from refcodec.models.trained import ABSENT, data_folder
from refcodec.syntax.codes import SourceType

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, Any], bytes]


def coders() -> dict[str, tuple[Encode, Decode]]:
    """Every coder as float32 C x H x W to bytes, and bytes (with the original's shape) back."""
    from pcodec import ChunkConfig, standalone

    def native(effort: str) -> tuple[Encode, Decode]:
        def encode(one: Any) -> bytes:
            return encode_payload(one.view(np.int32), parameters(one), effort)

        def decode(data: bytes, one: Any) -> bytes:
            unused: Any = None
            payload = Payload(parameters(one), unused, b"", True, data)
            return decode_payload(payload).tobytes()

        return encode, decode

    def parameters(one: Any) -> Any:
        channels, height, width = one.shape
        return SimpleNamespace(
            channels=channels, height=height, width=width, source_type=SourceType.FLOAT32
        )

    return {
        "native": native("default"),
        "native, fast": native("fast"),
        "pcodec": (
            lambda one: standalone.simple_compress(one.ravel(), ChunkConfig()),
            lambda data, _: standalone.simple_decompress(data).tobytes(),
        ),
        "lzma": (lambda one: lzma.compress(one.tobytes()), lambda data, _: lzma.decompress(data)),
        "zlib": (lambda one: zlib.compress(one.tobytes()), lambda data, _: zlib.decompress(data)),
        "bzip2": (lambda one: bz2.compress(one.tobytes()), lambda data, _: bz2.decompress(data)),
    }


def feature_sets(maps: int, photographs: int) -> Iterator[tuple[str, Any]]:
    """The sets that are measured, one layer after another, N x C x H x W."""
    for name, count in (("small", maps), ("large", photographs)):
        x = inputs(name, count)
        for stage, layer in enumerate(LAYERS):
            x = network().run(x, stage, stage + 1)
            yield f"{layer}, {name}", x
        if name == "small":
            yield "fc", x.mean(axis=(2, 3), dtype=np.float32)[:, :, None, None]


def measure(features: Any, rounds: int) -> dict[str, tuple[float, float, float]]:
    """For each coder: coded size over float32 size, and MB/s of encoding and of decoding."""
    tried = coders()
    sizes = dict.fromkeys(tried, 0)
    seconds = {name: [0.0, 0.0] for name in tried}
    for one in features:
        one = np.ascontiguousarray(one)
        for name, (encode, decode) in tried.items():
            times: list[tuple[float, float]] = []
            for _ in range(rounds if name.startswith(("native", "pcodec")) else 1):
                start = time.process_time()
                data = encode(one)
                middle = time.process_time()
                back = decode(data, one)
                times.append((middle - start, time.process_time() - middle))
            assert back == one.tobytes(), name
            sizes[name] += len(data)
            for i in (0, 1):
                seconds[name][i] += min(pair[i] for pair in times)
    megabytes = features.nbytes / 1e6
    return {
        name: (
            sizes[name] / features.nbytes,
            megabytes / seconds[name][0],
            megabytes / seconds[name][1],
        )
        for name in tried
    }


# --- the page --------------------------------------------------------------------------------------

_HEAD = """\
The native lossless coder
=========================

Measured by ``python tools/bench/bench_lossless.py`` on {processor}, {cores} cores, Python {python}, numpy
{numpy}, numba {numba}, pcodec {pcodec}. Features are those of ResNet-56 (CIFAR): *small* on the first
{maps:d} test images, *large* on the first {photographs:d} photographs, *fc* after pooling. Its tables were
trained on ResNet-20, CIFAR training images and other photographs. Each feature is compressed independently;
sizes are sums over the set, of payloads without units. The peers have their default
settings. One thread; the coders take turns on every feature; processor time, not wall-clock time, since
the machine did other work at the same time; the fastest of {rounds} rounds for the native coder and pcodec.
Other processes shared caches and clock: speeds are lower bounds.

Sizes
-----

Coded size over float32 size; next to it the saving of the native coder.

{sizes}
Speeds
------

MB/s of float32, encoding / decoding. Each call has an overhead of some ten microseconds, which is most of
the time for fc features of 256 bytes.

{speeds}
"""


def render(results: dict[str, dict[str, tuple[float, float, float]]], facts: dict[str, Any]) -> str:
    """The page: tables of sizes and speeds, then the notes."""
    heads = ["features", "native", "against pcodec", "against lzma", "native, fast", "against lzma"]
    others = ("pcodec", "lzma", "zlib", "bzip2")
    sizes, speeds = [], []
    for name, row in results.items():
        rate = {coder: values[0] for coder, values in row.items()}
        saved = (
            f"{100 * (rate[ours] / rate[other] - 1):+.1f} %"
            for ours, other in (("native", "pcodec"), ("native", "lzma"), ("native, fast", "lzma"))
        )
        pcodec, other, fast = saved
        line = [name, f"{rate['native']:.4f}", pcodec, other, f"{rate['native, fast']:.4f}", fast]
        sizes.append(line + [f"{rate[coder]:.4f}" for coder in others])
        speeds.append([name, *(f"{values[1]:.0f} / {values[2]:.0f}" for values in row.values())])
    tables = {
        "sizes": table([*heads, *others], sizes),
        "speeds": table(["features", *coders()], speeds),
    }
    return _HEAD.format(**tables, **facts) + "\n" + _NOTES.read_text(encoding="utf-8")


_NOTES = Path(__file__).with_name("lossless_notes.rst")


def main() -> int:
    """Measure, print as it goes, write the page; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=DOCS / "results" / "native-lossless.rst")
    parser.add_argument("--maps", type=int, default=200, help="CIFAR test images")
    parser.add_argument("--photographs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if data_folder() is None:
        print(ABSENT, file=sys.stderr)
        return 2
    measure(np.ones((2, 1, 32, 32), np.float32), 1)  # compiles
    results = {}
    for name, features in feature_sets(chosen.maps, chosen.photographs):
        results[name] = measure(features, chosen.rounds)
        print(
            name, {c: tuple(round(x, 4) for x in v) for c, v in results[name].items()}, flush=True
        )
    machine = describe_machine(("numpy", "numba", "pcodec"))
    facts = machine | machine["packages"]
    facts |= {name: getattr(chosen, name) for name in ("maps", "photographs", "rounds")}
    with atomic_file(chosen.output) as file:
        file.write(render(results, facts).encode())
    print(f"wrote {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
