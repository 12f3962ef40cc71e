"""Results of a run, and the verdict on all of them, which says what it covers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.run.difference import Difference
from refcodec.suite.run.selection import Scope, Selection

__all__ = ["STATUSES", "Result", "Run", "Status", "Verdict"]

Status = Literal["pass", "fail", "skip", "not-applicable"]

STATUSES: tuple[Status, ...] = ("pass", "fail", "skip", "not-applicable")

Verdict = Literal["conforming", "passed-selected", "known-failures", "failed"]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one vector.

    reason     : of any status but a pass, in one sentence; '' for a pass.
    seconds    : time of the decoder.
    known      : true for a failure that is listed among those known.
    excuse     : the reason that the list gives.
    difference : first difference of the output, where it could be found.
    """

    vector: Vector
    status: Status
    reason: str = ""
    seconds: float = 0.0
    known: bool = False
    excuse: str = ""
    difference: Difference | None = None


@dataclass(frozen=True)
class Run:
    """A decoder's results over a suite, or over a part of it.

    results   : of the selected vectors, in the order of the suite.
    stale     : entries of the list of known failures that passed, or are not the name of a vector.
    scope     : profiles and levels that the decoder is claimed for.
    selection : patterns by which vectors were selected.
    """

    decoder: str
    suite: Manifest
    results: tuple[Result, ...]
    stale: tuple[str, ...] = ()
    scope: Scope = field(default_factory=Scope)
    selection: Selection = field(default_factory=Selection)

    @property
    def counts(self) -> Counter[str]:
        """Number of results by status."""
        return Counter(result.status for result in self.results)

    @property
    def ran(self) -> int:
        """Number of selected vectors that are applicable."""
        return len(self.results) - self.counts["not-applicable"]

    @cached_property
    def claimed(self) -> int:
        """Number of vectors of the suite that are applicable."""
        return sum(not self.scope.objection(self.suite, vector) for vector in self.suite.vectors)

    @property
    def complete(self) -> bool:
        """True if every vector of the claimed profiles and levels is among the results.

        A suite that has no vector of a claimed profile cannot show anything about it, and a suite of others
        or a drawn one nothing about conformity.
        """
        return not self._left_open

    @cached_property
    def _left_open(self) -> str:
        """What the run leaves open of the claim; '' where it is nothing."""
        if self.ran < self.claimed:
            scope = f"{self.scope}, suite {self.suite.version}"
            return (
                f"{self.claimed - self.ran} of the {self.claimed} vectors of {scope}, were not run"
            )
        if not self.suite.published:
            return "this is not the published suite"
        tested = {one.vector.profile for one in self.results if one.status != "not-applicable"}
        untested = [name for name in self.scope.levels if name not in tested]
        return f"the suite has no vectors of {', '.join(untested)}" if untested else ""

    @property
    def passed(self) -> bool:
        """True if everything that was selected passed, known failures excepted; False if nothing ran.

        This is no statement of conformity: see :attr:`verdict`.
        """
        fine = all(
            result.status in ("pass", "not-applicable")
            or (result.status == "fail" and result.known)
            for result in self.results
        )
        return self.ran > 0 and fine and not self.stale

    @property
    def verdict(self) -> Verdict:
        """The verdict in one word.

        ``conforming`` if every vector of the claimed profiles and levels passed; ``passed-selected`` if those
        that were selected did; ``known-failures`` if nothing failed but what is listed; else ``failed``.
        """
        if not self.passed:
            return "failed"
        if self.counts["fail"]:
            return "known-failures"
        return "conforming" if self.complete else "passed-selected"

    @property
    def conforming(self) -> bool:
        """True if the verdict is ``conforming``."""
        return self.verdict == "conforming"

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with what it covers."""
        counts, scope = self.counts, f"{self.scope}, suite {self.suite.version}"
        if self.verdict == "conforming":
            return f"conforming: all {self.ran} vectors of {scope}, passed"
        selected = f"{self.ran} selected"
        if self.verdict == "passed-selected":
            return (
                f"passed {counts['pass']} of {selected}; {self._left_open}: conformity is not shown"
            )
        parts = [
            f"{counts[status]} of {selected} {word}" for status, word in _BAD if counts[status]
        ]
        if self.verdict == "known-failures":
            parts[0] += ", as listed"
        if self.stale:
            parts.append(f"{len(self.stale)} entries of the list of known failures are stale")
        parts.append(self._left_open or f"these are all vectors of {scope}")
        return f"NOT conforming: {'; '.join(parts)}"


_BAD: tuple[tuple[Status, str], ...] = (("fail", "failed"), ("skip", "were skipped"))
