#!/usr/bin/env python3
"""Measures what a small feature costs, written and read in a row, and how much of it is the coder's own.

    python tools/bench/bench_small.py [--before FOLDER] [--rounds 5] [--record OUT.json] [--render]

What is timed is what a user calls: a writer, and a reader in order and by a slice, each on one thread; of
each call, the part in the payload coder is told apart. ``--before`` names the tree of an earlier commit
(``git archive COMMIT | tar x -C FOLDER``): both trees take turns, a process each, and have to write the same
bytes. A time is the least processor time of the rounds, so that a loaded machine disturbs it little.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from page import fill, table
from record import DOCS, Record, command, machine, save

PAGE = DOCS / "results" / "small-features.rst"

TIMES = ("write", "batch", "read", "slice", "encode", "decode")
"""What is measured: calls of a user, and the parts in the payload coder of writing and reading."""

MORE = 10
"""Times as many features show whether the cost of one grows."""


# --- one tree, in a process of its own -------------------------------------------------------------


def features(kind: str, count: int) -> Any:
    """Maps of 16 x 8 x 8 of the demo network, repeated; or vectors of 1,024, rectified noise; float32."""
    if kind == "vectors":
        noise = np.random.default_rng(5).standard_normal((count, 1024))
        return np.maximum(noise, 0).astype(np.float32)
    from refcodec.demo.network import Network, load_held_out

    maps = Network.load().head(load_held_out()[0], "conv")
    return np.ascontiguousarray(np.resize(maps, (count, *maps.shape[1:])))


def cases(kind: str, sample: Any) -> dict[str, dict[str, Any]]:
    """Options of the coders, by their names here."""
    from refcodec import EntropyModel

    latents = np.rint(sample / np.float32(0.1)).astype(np.int64)
    model = EntropyModel.fit(latents.reshape(len(sample), -1, *(sample.shape[2:] or (1, 1))))
    other = {"raw, batched": True} if kind == "maps" else {"raw, alone": False}
    return {
        "raw": {"coder": "raw"},
        **{name: {"coder": "raw", "batch": batch} for name, batch in other.items()},
        "zlib": {"coder": "zlib"},
        "native-lossless, fast": {"coder": "native-lossless", "speed": "fast", "workers": 1},
        "native": {"coder": "native", "workers": 1},
        "learned": {"coder": "learned", "step": 0.1, "model": model},
    }


class Timed:
    """The payload coder of a stream, which adds up the processor time of its calls."""

    def __init__(self, name: str) -> None:
        from refcodec.coders import payload_coder
        from refcodec.registry import coder_named

        self.seconds = 0.0
        self._coder = payload_coder(coder_named(name).coder_id)

    def __enter__(self) -> Timed:
        for name in ("encode", "decode", "decode_unit"):
            setattr(self._coder, name, self._timed(getattr(self._coder, name), name))
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("encode", "decode", "decode_unit"):
            delattr(self._coder, name)

    def _timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            start = time.process_time()
            found = call(*arguments)
            if name == "decode":
                found = iter(list(found))
            self.seconds += time.process_time() - start
            return found

        return run


def write(given: Any, options: dict[str, Any], at_once: bool = False) -> bytes:
    """A stream with all features."""
    import refcodec

    target = io.BytesIO()
    with refcodec.create(target, **options) as writer:
        if at_once:
            writer.write_batch(given)
        else:
            for one in given:
                writer.write(one)
    return target.getvalue()


def read(data: bytes, by_slice: bool = False) -> list[Any]:
    """All features of a stream."""
    import refcodec

    with refcodec.open(data) as reader:
        return list(reader[:] if by_slice else reader)


def spent(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Seconds of processor time that a call takes, and its result."""
    start = time.process_time()
    found = call(*arguments)
    return time.process_time() - start, found


def measure(kind: str, count: int) -> Iterator[Record]:
    """Milliseconds a feature of every call, coder by coder."""
    import refcodec

    given = features(kind, count)
    for name, options in cases(kind, given).items():
        read(write(given[:80], options))  # compiles
        seconds: dict[str, float | None] = dict.fromkeys(TIMES)
        seconds["write"], data = spent(write, given, options)
        seconds["read"], _ = spent(read, data)
        seconds["slice"], _ = spent(read, data, True)
        if hasattr(refcodec.Writer, "write_batch"):
            seconds["batch"], same = spent(write, given, options, True)
            assert same == data
        with Timed(options["coder"]) as inside:
            write(given, options)
        seconds["encode"] = inside.seconds
        with Timed(options["coder"]) as inside:
            read(data)
        seconds["decode"] = inside.seconds
        times = {key: None if one is None else 1000 * one / count for key, one in seconds.items()}
        about = {"bytes": len(data) / count, "sha256": hashlib.sha256(data).hexdigest()}
        yield {"features": kind, "coder": name, **times, **about}


# --- both trees, in turns --------------------------------------------------------------------------


def child(tree: Path, kind: str, count: int) -> list[Record]:
    """What a process with the package of a tree measures."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", kind, str(count)],
        env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: list[Record] = json.loads(done.stdout)
    return found


def least(rounds: list[list[Record]]) -> list[Record]:
    """The least times of several rounds, row by row."""
    joined = []
    for same in zip(*rounds, strict=True):
        assert len({one["sha256"] for one in same}) == 1
        times = {key: [one[key] for one in same] for key in TIMES}
        joined.append(
            same[0] | {key: None if None in found else min(found) for key, found in times.items()}
        )
    return joined


def compare(trees: dict[str, Path], counts: dict[str, int], rounds: int) -> dict[str, list[Record]]:
    """Rows of each tree, whose processes take turns; ``more`` has rows of more features, of the last tree."""
    jobs = [(name, tree, 1) for name, tree in trees.items()]
    jobs.append(("more", list(trees.values())[-1], MORE))
    found: dict[str, list[list[Record]]] = {name: [] for name, _, _ in jobs}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name, tree, times in jobs:
            found[name].append(
                [row for kind, count in counts.items() for row in child(tree, kind, times * count)]
            )
    rows = {name: least(own) for name, own in found.items()}
    for before, now in zip(rows.get("before", []), rows["now"], strict=False):
        assert before["sha256"] == now["sha256"], f"other bytes: {now['coder']}"
    return rows


# --- the page --------------------------------------------------------------------------------------


def render(record: Record) -> None:
    """Fill the page."""
    before = {(one["features"], one["coder"]): one for one in record["rows"].get("before", [])}
    more = {(one["features"], one["coder"]): one for one in record["rows"]["more"]}
    parts = {}
    for kind in record["counts"]:
        rows = []
        for now in (one for one in record["rows"]["now"] if one["features"] == kind):
            key = kind, now["coder"]
            was, large = before.get(key), more[key]
            total = now["write"] + now["read"]
            rows.append(
                [
                    now["coder"],
                    f"{now['bytes']:.0f}",
                    *(_pair(was, now, one) for one in ("write", "batch", "read", "slice")),
                    _pair(was, now, "write", "read"),
                    f"{now['encode'] + now['decode']:.3f}",
                    f"{(large['write'] + large['read']) / total:.2f}",
                ]
            )
        heads = [
            *("coder", "bytes", "write", "write_batch", "read in order", "read by slice"),
            *("written and read", "of which the coder", f"{MORE} times as many"),
        ]
        parts[kind] = table(heads, rows)
    about = record["machine"]
    packages = ", ".join(" ".join(one) for one in about["packages"].items() if "torch" not in one)
    counts = record["counts"]
    parts["origin"] = (
        f"Measured by ``{record['command']}`` on {about['processor']}, {about['cores']} cores, Python "
        f"{about['python']}, {packages}: {counts['maps']} maps and {counts['vectors']:,} vectors in a row.\n"
    )
    fill(PAGE, parts)


def _pair(was: Record | None, now: Record, *keys: str) -> str:
    """A time before and now, as ``0.140 → 0.069``."""

    def total(one: Record | None) -> str:
        times = [one[key] for key in keys if one and one[key] is not None]
        return f"{sum(times):.3f}" if len(times) == len(keys) else ""

    return " → ".join(filter(None, (total(was), total(now))))


def main() -> int:
    """Measure, record and render; or, as a child, measure one tree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--before", type=Path, help="tree of an earlier commit, to be measured in turn")
    add("--rounds", type=int, default=5)
    add("--maps", type=int, default=360)
    add("--vectors", type=int, default=1024)
    add("--record", type=Path, default=DOCS / "results" / "small-features.json")
    add("--render", action="store_true", help="measure nothing: make the page from the record")
    add("--child", nargs=2, metavar=("KIND", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(list(measure(options.child[0], int(options.child[1])))))
        return 0
    if not options.render:
        counts = {"maps": options.maps, "vectors": options.vectors}
        trees = {} if options.before is None else {"before": options.before.resolve()}
        trees["now"] = DOCS.parent
        about = {"command": command(), "machine": machine(), "counts": counts}
        save(about | {"rows": compare(trees, counts, options.rounds)}, options.record)
    record = json.loads(options.record.read_text())
    if options.record.parent == PAGE.parent:
        render(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
