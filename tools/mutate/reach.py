"""The map of coverage: what every vector reaches of the normative code, and how long it takes."""

from __future__ import annotations

import builtins
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forks import run
from judging import Trial, install, limit
from probes import Map
from targets import Module


@dataclass
class Reach:
    """What the trials reach.

    seconds : of processor time, by number of the trial.
    pieces  : the trials that reach a piece.
    records : the trials that read a structure, by the name of its class.
    decided : outcomes of each condition by path: 0, 1.
    """

    seconds: list[float]
    pieces: dict[int, list[int]] = field(default_factory=dict)
    records: dict[str, list[int]] = field(default_factory=dict)
    decided: dict[str, set[tuple[int, bool]]] = field(default_factory=dict)

    def paths(self, trials: list[Trial], piece: int) -> set[str]:
        """The paths on which a piece is reached."""
        return {trials[number].path for number in self.pieces.get(piece, [])}


def measure(
    trials: list[Trial],
    chosen: dict[str, Module],
    probed: Map,
    workers: int,
    kept: Path | None = None,
) -> Reach:
    """Run every trial once with probes. Raises SystemExit for a vector that the original fails.

    kept : file with the map of an earlier run, which is used if sources and vectors are the same.
    """
    digest = hashlib.sha256(b"".join(one.stream for one in trials))
    for module in chosen.values():
        digest.update(module.text.encode())
    key = digest.hexdigest()
    if kept is not None and kept.is_file():
        earlier, rows = json.loads(kept.read_text(encoding="utf-8"))
        if earlier == key:
            return _joined(trials, rows)
    rows = list(_rows(trials, chosen, probed, workers))
    if kept is not None:
        kept.write_text(json.dumps([key, rows]), encoding="utf-8")
    return _joined(trials, rows)


def _joined(trials: list[Trial], rows: list[list[Any]]) -> Reach:
    found = Reach([0.0] * len(trials), decided={"decode": set(), "validate": set()})
    for number, spent, reached, records, decided in rows:
        found.seconds[number] = spent
        for piece in reached:
            found.pieces.setdefault(piece, []).append(number)
        for record in records:
            found.records.setdefault(record, []).append(number)
        found.decided[trials[number].path] |= {(n, bool(v)) for n, v in decided}
    return found


def _rows(
    trials: list[Trial], chosen: dict[str, Module], probed: Map, workers: int
) -> Iterator[list[Any]]:
    """Of each trial: its number, seconds, the pieces and structures that it reaches, outcomes."""
    files = {one.name: str(one.path) for one in chosen.values()}

    def work(share: list[int]) -> str:
        install(probed.codes, files)
        records = _note_records()
        reached: set[int] = set()
        decided: set[tuple[int, bool]] = set()

        def decide(number: int, value: object) -> object:
            decided.add((number, bool(value)))
            return value

        vars(builtins)["__reached__"] = reached.add
        vars(builtins)["__decided__"] = decide
        rows = []
        for number in share:
            for noted in (reached, records, decided):
                noted.clear()
            limit(600)
            start = time.process_time()
            passed = trials[number].passes()
            spent = time.process_time() - start
            row = [sorted(noted) for noted in (reached, records, decided)]
            rows.append([number, passed, spent, *row])
        return json.dumps(rows)

    shares = iter([list(range(n, len(trials), workers)) for n in range(workers)])
    for _, text in run(shares, work, workers):
        if text is None or text.startswith("!"):
            raise SystemExit(f"the map of coverage failed: {text}")
        for number, passed, *row in json.loads(text):
            if not passed:
                raise SystemExit(f"{trials[number].name} fails without a mutation")
            yield [number, *row]


def _note_records() -> set[str]:
    """A set that receives the name of the class of each structure that is read from now on."""
    from refcodec.syntax.records import Structure

    noted: set[str] = set()
    parse = Structure._parse

    def parse_noted(self: Structure[Any], *arguments: Any) -> Any:
        noted.add(self.record.__name__)
        return parse(self, *arguments)

    setattr(Structure, "_parse", parse_noted)  # noqa: B010  # mypy would refuse an assignment
    return noted
