"""Two runs compared, by their JSON reports or claims: vectors that changed, and what got worse.

A vector that passed and now fails or is skipped is a regression, unless it is listed as known to fail. So is
one that passed and was not run again: a run that says nothing of it cannot show that it still passes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from refcodec.errors import CallerError
from refcodec.suite.run.results import STATUSES

__all__ = ["Change", "Comparison", "Kind", "Report", "read_report"]

Kind = Literal["regression", "lost", "known", "fixed", "new", "other"]
"""Kind of a change: ``lost`` vectors passed and were not run again, ``new`` ones were not run before."""

_LONGEST = 256 << 20
"""Bytes of a report that are read at most."""

_SLOWER = 2.0
_LEAST_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of one vector in a report."""

    id: str
    name: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    known: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was read.

    suite : version and hash of the manifest.
    """

    decoder: str
    suite: tuple[str, str]
    sentence: str
    entries: Mapping[str, Entry]

    @property
    def counts(self) -> Counter[str]:
        """Number of results by status."""
        return Counter(entry.status for entry in self.entries.values())

    @property
    def seconds(self) -> float:
        """Time of the decoder over all vectors."""
        return sum(entry.seconds for entry in self.entries.values())


@dataclass(frozen=True, slots=True)
class Change:
    """A vector whose status or reason is another one; None where it was not run."""

    kind: Kind
    before: Entry | None
    after: Entry | None

    @property
    def entry(self) -> Entry:
        """The later entry that there is."""
        found = self.after or self.before
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside an earlier one."""

    before: Report
    after: Report

    @property
    def changes(self) -> list[Change]:
        """Changed vectors, regressions first, then in the order of the reports."""
        found = list(self._changes())
        order = {"regression": 0, "lost": 1, "known": 2, "fixed": 3, "other": 4, "new": 5}
        return sorted(found, key=lambda change: order[change.kind])

    def _changes(self) -> Iterator[Change]:
        for name in dict.fromkeys((*self.before.entries, *self.after.entries)):
            before, after = self.before.entries.get(name), self.after.entries.get(name)
            if before and after and (before.status, before.reason) == (after.status, after.reason):
                continue
            yield Change(_kind(before, after), before, after)

    @property
    def slower(self) -> list[tuple[Entry, Entry]]:
        """Vectors that took more than twice as long, and noticeably, the worst first."""
        pairs = [
            (before, after)
            for name, after in self.after.entries.items()
            if (before := self.before.entries.get(name))
            and before.seconds > 0
            and after.seconds >= _LEAST_SECONDS
            and after.seconds > _SLOWER * before.seconds
        ]
        return sorted(pairs, key=lambda pair: pair[0].seconds / pair[1].seconds)

    def regressed(self, *, partial: bool = False) -> bool:
        """True if something got worse.

        partial : true if vectors may be missing from the later run.
        """
        worse = {"regression"} if partial else {"regression", "lost"}
        return any(change.kind in worse for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        return {
            "before": _summary(self.before),
            "after": _summary(self.after),
            "same_suite": self.before.suite == self.after.suite,
            "regressed": self.regressed(),
            "changes": [
                {
                    "kind": change.kind,
                    "id": change.entry.id,
                    "name": change.entry.name,
                    "before": _state(change.before),
                    "after": _state(change.after),
                }
                for change in self.changes
            ],
            "slower": [
                {"id": after.id, "before": before.seconds, "after": after.seconds}
                for before, after in self.slower
            ],
        }


def _kind(before: Entry | None, after: Entry | None) -> Kind:
    if before is None:
        return "new"
    passed = before.status == "pass"
    if after is None or after.status == "not-applicable":
        return "lost" if passed else "other"
    if after.status == "pass":
        return "fixed"
    if not passed:
        return "other"
    return "known" if after.known else "regression"


def _summary(report: Report) -> dict[str, Any]:
    version, sha256 = report.suite
    return {
        "decoder": report.decoder,
        "suite": {"version": version, "manifest_sha256": sha256},
        "sentence": report.sentence,
        "counts": {status: report.counts[status] for status in STATUSES},
        "seconds": round(report.seconds, 3),
    }


def _state(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else {"status": entry.status, "reason": entry.reason}


# --- reading ---------------------------------------------------------------------------------------


def read_report(path: str | os.PathLike[str]) -> Report:
    """Read a report of ``conformance run --json``, or a claim.

    Raises CallerError for a file that cannot be read or is neither.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST + 1)
        document = json.loads(data if len(data) <= _LONGEST else b"")
    except (OSError, ValueError, RecursionError) as error:
        raise CallerError(f"cannot read {name} as JSON: {error}") from None
    try:
        return _report(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CallerError(
            f"{name} is no report of a run",
            hint="refcodec conformance run --json FILE writes one",
        ) from None


def _report(document: dict[str, Any]) -> Report:
    decoder = document["decoder"]
    if isinstance(decoder, dict):  # of a claim
        decoder = f"{decoder['name']} {decoder['version']}"
    known = {one["id"] for one in document.get("known_failures", ())}
    entries = [
        Entry(
            str(one["id"]),
            str(one["name"]),
            _status(one["status"]),
            str(one["reason"]),
            float(one.get("seconds", 0.0)),
            bool(one.get("known_failing", one["id"] in known)),
        )
        for one in document["results"]
    ]
    suite = document["suite"]
    return Report(
        str(decoder),
        (str(suite["version"]), str(suite["manifest_sha256"])),
        str(document["sentence"]),
        {entry.id: entry for entry in entries},
    )


def _status(text: Any) -> str:
    if text not in STATUSES:
        raise ValueError(text)
    return str(text)
