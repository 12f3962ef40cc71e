"""Runs of a decoder over a suite, and verdicts on its results.

A vector passes only if everything agrees: the number of bytes and the hash of every feature, or the class of
the rejection. A vector that was not run does not pass.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refcodec.errors import CallerError
from refcodec.suite.contract import Decoder, Outcome
from refcodec.suite.manifest import Manifest, Vector

__all__ = ["Result", "Run", "judge", "read_known_failing", "run_suite"]

Status = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one vector.

    reason  : of a failure or a skip; '' for a pass.
    seconds : time of the decoder.
    known   : listed among those known to fail.
    """

    vector: Vector
    status: Status
    reason: str
    seconds: float
    known: bool = False


@dataclass(frozen=True)
class Run:
    """A decoder's results over a suite, or over a part of it.

    stale : entries of the list of known failures that passed, or are not the name of a vector.
    """

    decoder: str
    suite: Manifest
    results: tuple[Result, ...]
    stale: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """Number of results by status."""
        return Counter(result.status for result in self.results)

    @property
    def passed(self) -> bool:
        """True if every vector passed, known failures excepted; False if none ran."""
        fine = all(
            result.status == "pass" or (result.status == "fail" and result.known)
            for result in self.results
        )
        return bool(self.results) and fine and not self.stale


def run_suite(
    suite: Manifest,
    decoder: Decoder,
    *,
    pattern: str | None = None,
    timeout: float = 60.0,
    workers: int | None = None,
    known_failing: Sequence[str] = (),
    progress: Callable[[Result], None] | None = None,
) -> Run:
    """Run a decoder over the vectors of a suite.

    pattern       : shell pattern on ids, names and tags; None for all vectors.
    timeout       : seconds per vector.
    workers       : vectors at a time; None for one per processor.
    known_failing : ids or names of vectors that are expected to fail.
    progress      : called with each result, in the order of the suite.

    Raises CallerError if the decoder cannot be run at all, or no vector matches.
    """
    chosen = suite.select(pattern)
    if not chosen:
        raise CallerError(f"no vector matches {pattern!r}", hint="refcodec conformance list")

    def one(vector: Vector) -> Result:
        start = time.monotonic()
        status, reason = judge(vector, suite.path(vector), decoder, timeout)
        known = not {vector.id, vector.name}.isdisjoint(known_failing)
        return Result(vector, status, reason, time.monotonic() - start, known)

    results = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for result in pool.map(one, chosen):
            results.append(result)
            if progress:
                progress(result)
    return Run(decoder.name, suite, tuple(results), _stale(suite, results, known_failing))


def _stale(
    suite: Manifest, results: Sequence[Result], known_failing: Sequence[str]
) -> tuple[str, ...]:
    """Known failures that passed or do not exist; those of vectors that were not run are not stale."""
    names = {name for vector in suite.vectors for name in (vector.id, vector.name)}
    mended = {
        name
        for result in results
        if result.status != "fail"
        for name in (result.vector.id, result.vector.name)
    }
    return tuple(name for name in known_failing if name not in names or name in mended)


def judge(vector: Vector, stream: Path, decoder: Decoder, timeout: float) -> tuple[Status, str]:
    """The status of one vector, and the reason if it is not ``pass``."""
    try:
        data = stream.read_bytes()
    except OSError as error:
        return "fail", f"the suite is damaged: {error}"
    if hashlib.sha256(data).hexdigest() != vector.sha256:
        return "fail", "the suite is damaged: the stream is not the one of the manifest"
    outcome = decoder.run(stream, vector.output_size, timeout)
    if outcome.problem is not None:
        return "fail", outcome.problem
    if outcome.skip is not None:
        return "skip", outcome.skip
    reason = _reason(vector, outcome)
    return ("fail", reason) if reason else ("pass", "")


def _reason(vector: Vector, outcome: Outcome) -> str:
    """Reason why an outcome is not the expected one; '' if it is."""
    if outcome.reject is not None:
        expected = vector.violation.reject if vector.violation else ""
        also = vector.violation.also if vector.violation else ()
        if vector.decoder == "accept":
            return f"rejected as {outcome.reject}; a decoder must accept it"
        if outcome.reject not in (expected, *also):
            return f"rejected as {outcome.reject}; the class is {expected}"
        return ""
    if vector.decoder == "reject":
        assert vector.violation is not None
        return f"accepted; it must be rejected as {vector.violation.reject}"
    return _difference(vector, outcome.output)


def _difference(vector: Vector, output: bytes) -> str:
    """The first difference of an output from the expected features; '' if there is none."""
    if len(output) > vector.output_size:
        return f"more than the {vector.output_size} bytes of {len(vector.features)} features"
    if len(output) < vector.output_size:
        return f"{len(output)} bytes; {len(vector.features)} features have {vector.output_size}"
    start = 0
    for number, feature in enumerate(vector.features):
        own = output[start : start + feature.size]
        start += feature.size
        if hashlib.sha256(own).hexdigest() != feature.reconstruction:
            shape = " x ".join(map(str, feature.shape))
            return f"feature {number} ({shape}, {feature.dtype}) is not the expected one"
    return ""


def read_known_failing(path: str | os.PathLike[str]) -> list[str]:
    """Entries of a list of known failures: one id or name per line; ``#`` begins a comment.

    Raises CallerError for a file that cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CallerError(f"cannot read {path}: {error}") from None
    entries = (line.partition("#")[0].strip() for line in lines)
    return [entry for entry in entries if entry]
