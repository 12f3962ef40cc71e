"""The vectors of a suite against this decoder: ``python -m independent.check SUITE_FOLDER [NAME ...]``.

The folder holds a ``manifest.json`` as described in ``bitstreams/README.md``. Exit status: 0 where every
vector comes out as the manifest says, 1 where one does not, 77 where some could not be decoded.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .decode import Feature, decode_stream
from .refusal import Missing, Refusal

Vector = dict[str, Any]

PROFILES = ("lossless", "hevc", "native", "learned", "realtime")
"""Profiles that this decoder has; vectors of others are not applicable."""

PASSED, FAILED, MISSING = "pass", "FAIL", "skip"


class Outcome(NamedTuple):
    """The outcome of one vector, with its deviation, and the processor time in seconds."""

    vector: Vector
    verdict: str
    found: str
    seconds: float


def vectors_of(suite: Path) -> list[Vector]:
    """The applicable vectors of a suite, in the order of its manifest."""
    manifest = json.loads((suite / "manifest.json").read_text(encoding="utf-8"))
    return [vector for vector in manifest["vectors"] if vector["profile"] in PROFILES]


def difference(features: list[Feature], expected: list[Vector]) -> str:
    """The first difference between features and those of a manifest; empty where there is none."""
    if len(features) != len(expected):
        return f"{len(features)} features, not {len(expected)}"
    for i, (feature, wanted) in enumerate(zip(features, expected, strict=True)):
        found = {
            "dtype": feature.dtype,
            "shape": list(feature.shape),
            "samples": hashlib.sha256(feature.sample_bytes()).hexdigest(),
            "reconstruction": hashlib.sha256(feature.value_bytes()).hexdigest(),
        }
        for key, value in found.items():
            if value != wanted[key]:
                return f"{key} of feature {i}: {value}, not {wanted[key]}"
    return ""


def judge(stream: bytes, vector: Vector) -> tuple[str, str]:
    """The verdict on one vector, and the deviation where it is wrong."""
    try:
        features = decode_stream(stream)
    except Missing as missing:
        return MISSING, str(missing)
    except Refusal as refusal:
        if vector["decoder"] == "accept":
            return FAILED, f"refused: {refusal.kind}: {refusal}"
        wanted = [vector["violation"]["class"], *vector["violation"].get("also", [])]
        if refusal.kind not in wanted:
            return FAILED, f"refused as {refusal.kind}, not {' or '.join(wanted)}: {refusal}"
        return PASSED, ""
    if vector["decoder"] == "reject":
        return FAILED, f"accepted, not refused as {vector['violation']['class']}"
    found = difference(features, vector["features"])
    return (FAILED, found) if found else (PASSED, "")


def check(suite: Path, vectors: list[Vector]) -> Iterator[Outcome]:
    """Decode vectors, one after the other."""
    for vector in vectors:
        stream = (suite / vector["file"]).read_bytes()
        before = time.process_time()
        if hashlib.sha256(stream).hexdigest() != vector["sha256"]:
            verdict, found = FAILED, "the file is not that of the manifest"
        else:
            verdict, found = judge(stream, vector)
        yield Outcome(vector, verdict, found, time.process_time() - before)


def main(arguments: list[str]) -> int:
    """Check a suite, or the vectors of it whose names are given; returns the exit status."""
    if not arguments:
        print("usage: python -m independent.check SUITE_FOLDER [NAME ...]", file=sys.stderr)
        return 2
    suite, names = Path(arguments[0]), arguments[1:]
    vectors = [each for each in vectors_of(suite) if not names or each["name"] in names]
    outcomes = []
    for outcome in check(suite, vectors):
        outcomes.append(outcome)
        if outcome.verdict != PASSED:
            print(outcome.verdict, outcome.vector["id"], outcome.vector["name"], outcome.found)
    counts = {
        verdict: sum(outcome.verdict == verdict for outcome in outcomes)
        for verdict in (PASSED, FAILED, MISSING)
    }
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(
        *(f"{count} {verdict}" for verdict, count in counts.items()), f"{seconds:.1f} s", sep=", "
    )
    if counts[FAILED] or not outcomes:
        return 1
    return 77 if counts[MISSING] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
