"""Verdicts of earlier runs, kept in a file: a mutant that was killed is shown the same vector first."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from judging import Trial
from mutants import Mutant
from targets import Module


class Verdicts:
    """What is known of mutants: the trial that killed each, or '' where none did.

    A trial that killed is only tried first, however old it is. A survivor is spared the trials that it
    passed, unless they or the sources have changed.

    kept : the file; None to keep nothing.
    """

    def __init__(self, kept: Path | None, trials: list[Trial], chosen: dict[str, Module]) -> None:
        self.kept = kept
        self.names = [f"{one.path} {one.name}" for one in trials]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        texts = [one.text.encode() for one in chosen.values()]
        self.now: dict[str, Any] = {
            "sources": _digest(b"\0".join(texts)),
            "trials": {
                name: _digest(one.stream + json.dumps(one.entry).encode())
                for name, one in zip(self.names, trials, strict=True)
            },
        }
        earlier: dict[str, Any] = {}
        if kept is not None and kept.is_file():
            earlier = json.loads(kept.read_text(encoding="utf-8"))
        self.earlier: dict[str, str] = earlier.get("killers", {})
        same = earlier.get("sources") == self.now["sources"]
        old = earlier.get("trials", {}) if same else {}
        now = self.now["trials"]
        self.seen = {n for n, name in enumerate(self.names) if old.get(name) == now[name]}
        self.known = {  # a survivor that is not judged this time may fall to a new vector
            key: name for key, name in self.earlier.items() if name or old == now
        }

    def order(self, mutant: Mutant, numbers: list[int]) -> list[int]:
        """The trials that a mutant has to be shown, of those that may kill it."""
        killer = self.earlier.get(mutant.key)
        if killer == "":
            return [n for n in numbers if n not in self.seen]
        first = self.numbers.get(killer or "", -1)
        return sorted(numbers, key=lambda n: n != first)

    def add(self, mutant: Mutant, killer: int | None) -> None:
        """Note a verdict: the trial that killed, or None for a survivor."""
        self.known[mutant.key] = "" if killer is None else self.names[killer]

    def write(self) -> None:
        """Keep what is known."""
        if self.kept is None:
            return
        fresh = self.kept.with_suffix(".new")
        fresh.write_text(json.dumps({**self.now, "killers": self.known}), encoding="utf-8")
        fresh.replace(self.kept)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
