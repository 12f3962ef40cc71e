#!/usr/bin/env python3
"""Measures the native lossless coder against its peers and writes the results page.

    python tools/bench/bench_lossless.py [--output docs/results/native-lossless.rst]

What is timed is what a user calls: ``refcodec.encode`` and ``decode`` of one feature, and a writer and a
reader of many in a row. All coders take turns on each feature, on one thread, so that ratios of speeds hold
on a noisy machine. Needs pcodec, and the networks and images of ``../shared/data`` (or ``$REFCODEC_DATA``).
"""

from __future__ import annotations

import argparse
import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from features import LAYERS, inputs, network
from lossless_calls import ALONE, IN_A_ROW, call_table, decode_row, encode_row, seconds
from page import table
from record import DOCS, command

import refcodec
from refcodec.evaluate.coders import payloads
from refcodec.evaluate.machine import describe_machine, load_average
from refcodec.files import atomic_file
from refcodec.models.trained import ABSENT, data_folder

SMALL = "layer3, small"
"""The set of which single calls are measured."""

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes, Any], bytes]


NATIVE = {"native": "default", "native, fast": "fast"}
"""The native coder's efforts, by the names that they have here."""


def coders() -> dict[str, tuple[Encode, Decode]]:
    """Every coder as float32 C x H x W to bytes, and bytes (with the original's shape) back."""
    from pcodec import ChunkConfig, standalone

    def native(effort: str) -> tuple[Encode, Decode]:
        return (
            lambda one: refcodec.encode(one, coder="native-lossless", speed=effort, workers=1),
            lambda data, _: refcodec.decode(data).tobytes(),
        )

    return {
        **{name: native(effort) for name, effort in NATIVE.items()},
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
    """For each coder: coded size over float32 size, and MB/s of encoding and of decoding.

    The native coder's size is that of its payloads. ``NAME in a row`` is one stream with all features.
    """
    tried = coders()
    sizes = dict.fromkeys(tried, 0)
    spent = {name: [0.0, 0.0] for name in tried}
    for one in features:
        one = np.ascontiguousarray(one)
        for name, (encode, decode) in tried.items():
            times: list[tuple[float, float]] = []
            for _ in range(rounds if name.startswith(("native", "pcodec")) else 1):
                forth, data = seconds(encode, one)
                back, found = seconds(decode, data, one)
                times.append((forth, back))
            assert found == one.tobytes(), name
            sizes[name] += _payload_bytes(data) if name in NATIVE else len(data)
            for i in (0, 1):
                spent[name][i] += min(pair[i] for pair in times)
    for name, effort in NATIVE.items():
        times = [_in_a_row(features, effort) for _ in range(rounds)]
        spent[f"{name} in a row"] = [min(pair[i] for pair in times) for i in (0, 1)]
        sizes[f"{name} in a row"] = sizes[name]
    megabytes = features.nbytes / 1e6
    return {
        name: (sizes[name] / features.nbytes, megabytes / forth, megabytes / back)
        for name, (forth, back) in spent.items()
    }


def _payload_bytes(data: bytes) -> int:
    return sum(len(one.data) for one in payloads(io.BytesIO(data)))


def _in_a_row(features: Any, effort: str) -> tuple[float, float]:
    """Seconds of writing, and of reading, one stream with all features."""
    forth, data = seconds(lambda: encode_row(features, coder="native-lossless", speed=effort))
    back, found = seconds(lambda: decode_row(data))
    assert np.stack(found).tobytes() == features.tobytes()
    return forth, back


def calls(features: Any) -> str:
    """Costs of a call for small features: vectors of 64 and of 1,280 values, and the first of the maps."""
    first = features[0]
    values = np.ascontiguousarray(features.ravel()[:1280])
    return call_table(
        {
            "vector of 64": values[:64].copy(),
            "vector of 1,280": values,
            f"map of {' x '.join(map(str, first.shape))}": np.ascontiguousarray(first),
        }
    )


# --- the page --------------------------------------------------------------------------------------

_HEAD = """\
The native lossless coder
=========================

Measured by ``{command}`` on {processor}, {cores} cores, Python {python}, numpy
{numpy}, numba {numba}, pcodec {pcodec}. Features are those of ResNet-56 (CIFAR): *small* on the first
{maps:d} test images, *large* on the first {photographs:d} photographs, *fc* after pooling. Its tables were
trained on ResNet-20, CIFAR training images and other photographs. Every feature is compressed alone;
sizes are sums over the set, of payloads without the units around them. The peers have their default
settings. One thread; the coders take turns on every feature; processor time, not time on the clock, since
the machine did other work besides (a load of {load} at the end); the fastest of {rounds} rounds for the
native coder and pcodec. What ran beside shared caches and clock: speeds are lower bounds.

Sizes
-----

Coded size over float32 size; next to it the saving of the native coder.

{sizes}
Speeds
------

MB/s of float32, encoding / decoding. Of the native coder they are those of the public functions, framing,
checksums and checks included: ``refcodec.encode`` and ``refcodec.decode``, a call for each feature, and
*in a row* one ``refcodec.create`` and one ``refcodec.open`` for the set. Of the peers they are those of the
bare compressors.

{speeds}
Calls
-----

Processor time of the public functions for small features, in microseconds for each. *Encode* and *decode*
are ``refcodec.encode`` and ``refcodec.decode`` of one feature, the median of {alone} calls: each call makes,
or opens, a stream with all that belongs to one. *In a row* are ``Writer.write`` and the iteration of a
``Reader`` over {in_a_row} features in one stream, which share its opening and its end. Whoever codes small
features writes them in a row.

{calls}
"""


def render(results: dict[str, dict[str, tuple[float, float, float]]], facts: dict[str, Any]) -> str:
    """The page: tables of sizes and speeds, then the notes."""
    heads = ["features", "native", "against pcodec", "against lzma", "native, fast", "against lzma"]
    others = ("pcodec", "lzma", "zlib", "bzip2")
    columns = [
        *(f"{one}{how}" for one in NATIVE for how in ("", " in a row")),
        "pcodec",
        *others[1:],
    ]
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
        speeds.append(
            [name, *(f"{_speed(row[one][1])} / {_speed(row[one][2])}" for one in columns)]
        )
    tables = {
        "sizes": table([*heads, *others], sizes),
        "speeds": table(["features", *columns], speeds),
    }
    return _HEAD.format(**tables, **facts) + "\n" + _NOTES.read_text(encoding="utf-8")


def _speed(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


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
    results: dict[str, dict[str, tuple[float, float, float]]] = {}
    small: Any = None
    for name, features in feature_sets(chosen.maps, chosen.photographs):
        results[name] = measure(features, chosen.rounds)
        small = features if name == SMALL else small
        print(
            name, {c: tuple(round(x, 4) for x in v) for c, v in results[name].items()}, flush=True
        )
    machine = describe_machine(("numpy", "numba", "pcodec"))
    facts = machine | machine["packages"]
    facts |= {"command": command(), "load": load_average(), "alone": ALONE, "in_a_row": IN_A_ROW}
    facts |= {"calls": calls(small)}
    facts |= {name: getattr(chosen, name) for name in ("maps", "photographs", "rounds")}
    with atomic_file(chosen.output) as file:
        file.write(render(results, facts).encode())
    print(f"wrote {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
