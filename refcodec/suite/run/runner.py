"""Runs of a decoder over a suite.

A vector passes only if everything agrees: the number of bytes and the hash of every feature, or the class of
the rejection. A vector that was not run does not pass.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from refcodec.errors import CallerError, reject_classes
from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.requirements import requirements_of
from refcodec.suite.run.contract import Decoder, Outcome
from refcodec.suite.run.difference import Difference, explain
from refcodec.suite.run.results import Result, Run
from refcodec.suite.run.selection import Scope, Selection

__all__ = ["Result", "Run", "judge", "read_known_failing", "run_suite"]


def run_suite(
    suite: Manifest,
    decoder: Decoder,
    *,
    scope: Scope | None = None,
    selection: Selection | None = None,
    timeout: float = 60.0,
    workers: int | None = None,
    known_failing: Mapping[str, str] | Sequence[str] = (),
    progress: Callable[[Result], None] | None = None,
) -> Run:
    """Run a decoder over the vectors of a suite.

    scope         : profiles and levels that the decoder is claimed for; None for all.
    selection     : choice of vectors; None for all. Those outside the scope are not run.
    timeout       : seconds per vector.
    workers       : vectors at a time; None for one per processor.
    known_failing : ids or names of vectors that are expected to fail, with the reasons if it is a mapping.
    progress      : called with each result, in the order of the suite.

    Raises CallerError if the decoder cannot be run at all, a pattern matches nothing, or no selected vector
    is applicable.
    """
    scope, selection = scope or Scope(), selection or Selection()
    known = (
        known_failing if isinstance(known_failing, Mapping) else dict.fromkeys(known_failing, "")
    )

    def one(vector: Vector) -> Result:
        if objection := scope.objection(suite, vector):
            return Result(vector, "not-applicable", objection)
        result = judge(vector, suite.path(vector), decoder, timeout)
        listed = [name for name in (vector.id, vector.name) if name in known]
        if result.status == "fail" and listed:
            return replace(result, known=True, excuse=known[listed[0]])
        return result

    chosen = selection.choose(suite)
    if all(scope.objection(suite, vector) for vector in chosen):
        raise CallerError(f"no selected vector is one of {scope}", hint="refcodec conformance list")
    results = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for result in pool.map(one, chosen):
            results.append(result)
            if progress:
                progress(result)
    stale = _stale(suite, results, known)
    return Run(decoder.name, suite, tuple(results), stale, scope, selection)


def _stale(
    suite: Manifest, results: Sequence[Result], known_failing: Mapping[str, str]
) -> tuple[str, ...]:
    """Known failures that do not fail or do not exist; those of vectors that were not run are not stale."""
    names = {name for vector in suite.vectors for name in (vector.id, vector.name)}
    mended = {
        name
        for result in results
        if result.status in ("pass", "skip")
        for name in (result.vector.id, result.vector.name)
    }
    return tuple(name for name in known_failing if name not in names or name in mended)


def judge(vector: Vector, stream: Path, decoder: Decoder, timeout: float) -> Result:
    """The result of one vector.

    timeout : seconds.
    """
    try:
        data = stream.read_bytes()
    except OSError as error:
        return Result(vector, "fail", f"the suite is damaged: {error}")
    if hashlib.sha256(data).hexdigest() != vector.sha256:
        what = "the suite is damaged: the stream is not the one of the manifest"
        return Result(vector, "fail", what)
    start = time.monotonic()
    outcome = decoder.run(stream, vector.output_size, timeout)
    seconds = time.monotonic() - start
    if outcome.problem is not None:
        return Result(vector, "fail", outcome.problem, seconds)
    if outcome.skip is not None:
        return Result(vector, "skip", outcome.skip, seconds)
    reason, difference = _reason(vector, data, outcome)
    return Result(vector, "fail" if reason else "pass", reason, seconds, difference=difference)


def _reason(vector: Vector, stream: bytes, outcome: Outcome) -> tuple[str, Difference | None]:
    """Reason why an outcome is not the expected one, and the first difference; '' and None if it is."""
    expected = vector.violation.reject if vector.violation else ""
    also = vector.violation.also if vector.violation else ()
    if outcome.reject is not None:
        if vector.decoder == "accept":
            return f"rejected as {outcome.reject}; a decoder must accept it", None
        if outcome.reject not in (expected, *also):
            unknown = "" if outcome.reject in reject_classes() else ", which is no class of Annex D"
            return f"rejected as {outcome.reject}{unknown}; the class is {_cited(vector)}", None
        return "", None
    if vector.decoder == "reject":
        return f"accepted; it must be rejected as {_cited(vector)}", None
    return explain(vector, stream, outcome)


def _cited(vector: Vector) -> str:
    """The class of a vector's defect, with its clause and the requirements that it breaks."""
    assert vector.violation is not None
    numbers = [f"R{number}" for number in requirements_of(vector, own=True)]
    cited = ", ".join([f"clause {vector.violation.clause}", *numbers])
    return f"{vector.violation.reject} ({cited})"


def read_known_failing(path: str | os.PathLike[str]) -> dict[str, str]:
    """Known failures and their reasons, from lines ``ID-OR-NAME  # reason``; other comments have own lines.

    Raises CallerError for a file that cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CallerError(f"cannot read {path}: {error}") from None
    entries = (line.partition("#")[::2] for line in lines)
    return {name.strip(): reason.strip() for name, reason in entries if name.strip()}
