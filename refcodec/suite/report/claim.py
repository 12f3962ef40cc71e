"""Claims of conformance (B.5): a file that states what a decoder was run on, and that can be checked again.

``suite/report/claim.schema.json`` beside this module is its form.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from refcodec.errors import CallerError
from refcodec.suite.manifest import Manifest
from refcodec.suite.report.documents import as_json
from refcodec.suite.run.results import Result, Run
from refcodec.suite.run.selection import Scope, Selection
from refcodec.syntax.units import VERSION_MAJOR, VERSION_MINOR

__all__ = ["Claim", "claim_schema", "read_claim", "this_machine", "verify"]

FORMAT = "dfc-conformance-claim"

_OF_RUN = (
    "suite",
    "claimed",
    "selection",
    "verdict",
    "sentence",
    "conforming",
    "vectors_claimed",
    "vectors_run",
    "counts",
    "stale_known_failing",
)


@dataclass(frozen=True)
class Claim:
    """A run, with what its report does not know.

    decoder, version : name and version of the decoder.
    machine          : facts about the machine it ran on.
    date             : of the run, ISO 8601.
    """

    run: Run
    decoder: str
    version: str
    machine: Mapping[str, str]
    date: str

    @classmethod
    def of(cls, run: Run, decoder: str, version: str) -> Claim:
        """The claim of a run that has just ended on this machine.

        Raises CallerError for a known failure without a reason.
        """
        for result in run.results:
            if result.known and not result.excuse:
                raise CallerError(
                    f"the known failure {result.vector.name} has no reason",
                    hint=f"write '{result.vector.name}  # reason' in the list of known failures",
                )
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(run, decoder, version, this_machine(), date)

    def as_json(self) -> dict[str, Any]:
        """The claim as JSON types."""
        report = as_json(self.run)
        return {
            "format": FORMAT,
            "specification": f"{VERSION_MAJOR}.{VERSION_MINOR}",
            "decoder": {"name": self.decoder, "version": self.version},
            "machine": dict(self.machine),
            "date": self.date,
            **{name: report[name] for name in _OF_RUN},
            "not_applicable": [
                one.vector.id for one in self.run.results if one.status == "not-applicable"
            ],
            "known_failures": [
                {"id": one.vector.id, "reason": one.excuse} for one in self.run.results if one.known
            ],
            "results": [
                {
                    "id": one.vector.id,
                    "name": one.vector.name,
                    "status": one.status,
                    "reason": one.reason,
                }
                for one in self.run.results
            ],
        }


def this_machine() -> dict[str, str]:
    """Facts about this machine: its system and processor."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "processors": str(os.cpu_count() or 1),
    }


def claim_schema() -> dict[str, Any]:
    """The JSON schema of a claim."""
    text = (files(__package__) / "claim.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def read_claim(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a claim file. Raises CallerError if it cannot be read or is no claim."""
    import jsonschema

    try:
        document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        jsonschema.validate(document, claim_schema())
    except OSError as error:
        raise CallerError(f"cannot read {os.fspath(path)}: {error.strerror}") from None
    except (ValueError, RecursionError, jsonschema.ValidationError) as error:
        what = str(error).partition("\n")[0]
        raise CallerError(f"{os.fspath(path)} is no claim of conformance: {what}") from None
    return document


def verify(document: dict[str, Any], suite: Manifest) -> Iterator[str]:
    """Compare a claim with the suite, and with itself; yields the contradictions.

    Every count, list and verdict is derived again from the status of each vector.

    Raises CallerError for profiles, levels or patterns that do not exist.
    """
    named = document["suite"]
    if named["manifest_sha256"] != suite.sha256:
        yield (
            f"the claim is about suite {named['version']} with manifest "
            f"{named['manifest_sha256'][:16]}..., this is {suite.version} with {suite.sha256[:16]}..."
        )
        return
    scope, selection = claimed_scope(document), claimed_selection(document)
    chosen = selection.choose(suite)
    listed = [(one["id"], one["name"]) for one in document["results"]]
    wanted = [(vector.id, vector.name) for vector in chosen]
    if listed != wanted:
        yield from _unlisted(listed, wanted)
        return
    excuses = {one["id"]: one["reason"] for one in document["known_failures"]}
    results = []
    for vector, one in zip(chosen, document["results"], strict=True):
        outside = bool(scope.objection(suite, vector))
        if outside != (one["status"] == "not-applicable"):
            where = "outside" if outside else "within"
            yield f"{vector.name} is {one['status']}, and {where} the claimed profiles and levels"
        if (one["status"] == "pass") != (not one["reason"]):
            yield f"{vector.name} is {one['status']}, with the reason {one['reason']!r}"
        known = vector.id in excuses and one["status"] == "fail"
        excuse = excuses.get(vector.id, "") if known else ""
        results.append(Result(vector, one["status"], one["reason"], 0.0, known, excuse))
    stale = tuple(document["stale_known_failing"])
    run = Run(document["decoder"]["name"], suite, tuple(results), stale, scope, selection)
    again = Claim(run, run.decoder, "", {}, "").as_json()
    for name in ("specification", *_OF_RUN, "not_applicable", "known_failures"):
        if document[name] != again[name]:
            yield f"{name} is {_short(document[name])}; the results make it {_short(again[name])}"


def claimed_scope(document: dict[str, Any]) -> Scope:
    """The scope of a claim. Raises CallerError for profiles or levels that do not exist."""
    levels = document["claimed"]
    return Scope.parse(levels, (f"{profile}:{level}" for profile, level in levels.items()))


def claimed_selection(document: dict[str, Any]) -> Selection:
    """The selection of a claim."""
    return Selection(**{name: tuple(own) for name, own in document["selection"].items()})


def _unlisted(listed: list[tuple[str, str]], wanted: list[tuple[str, str]]) -> Iterator[str]:
    """Differences between the vectors that a claim lists and those that it should."""
    for what, names in (
        ("has no result", set(wanted) - set(listed)),
        ("is not among the selected vectors, or is listed twice", _surplus(listed, wanted)),
    ):
        for number, name in sorted(names):
            yield f"{number} {name} {what}"
    if sorted(listed) == sorted(wanted):
        yield "the results are not in the order of the suite"


def _surplus(listed: list[tuple[str, str]], wanted: list[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in listed if one not in wanted or listed.count(one) > 1}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
