"""Verdicts of earlier runs, kept in a file: a mutant is judged again where its verdict may have changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from judging import Trial
from mutants import Mutant
from targets import Module

LIMIT = "limit"
"""Stands for a vector where a mutant did not end."""


class Verdicts:
    """What is known of mutants: the trial that killed each, LIMIT, or '' where none did.

    A verdict holds as long as the mutant's module and the trial are the same. Where they are not, the trial
    that killed is tried first; a survivor is shown the trials that are new.

    kept : the file; None to keep nothing.
    """

    def __init__(self, kept: Path | None, trials: list[Trial], chosen: dict[str, Module]) -> None:
        self._kept = kept
        self.names = [f"{one.path} {one.name}" for one in trials]
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._trials = {
            name: _digest(one.stream + json.dumps(one.entry).encode())
            for name, one in zip(self.names, trials, strict=True)
        }
        self._modules = {file: _digest(one.text.encode()) for file, one in chosen.items()}
        earlier: dict[str, Any] = {"trials": {}, "modules": {}, "known": {}, "hints": {}}
        if kept is not None and kept.is_file():
            earlier = json.loads(kept.read_text(encoding="utf-8"))
        old = earlier["trials"]
        same = {file for file, one in self._modules.items() if earlier["modules"].get(file) == one}
        fresh = {n for n, name in enumerate(self.names) if old.get(name) != self._trials[name]}
        self._hints: dict[str, str] = earlier["hints"] | earlier["known"]
        self._known: dict[str, str] = {}
        self._survivors: set[str] = set()
        for key, name in earlier["known"].items():
            if key.partition(" ")[0] not in same:
                continue
            if name == LIMIT or (name and self._numbers.get(name, -1) not in {-1, *fresh}):
                self._known[key] = name
            elif not name:
                self._survivors.add(key)
                if not fresh:
                    self._known[key] = ""
        self._fresh = fresh

    def of(self, mutant: Mutant) -> str | None:
        """The verdict on a mutant, if it is known."""
        return self._known.get(mutant.key)

    def order(self, mutant: Mutant, numbers: list[int]) -> list[int]:
        """The trials that a mutant has to be shown, of those that may kill it."""
        if mutant.key in self._survivors:
            return [n for n in numbers if n in self._fresh]
        first = self._numbers.get(self._hints.get(mutant.key, ""))
        return sorted(numbers, key=lambda n: n != first)

    def add(self, mutant: Mutant, name: str) -> None:
        """Note a verdict."""
        self._known[mutant.key] = name

    def write(self) -> None:
        """Keep what is known."""
        if self._kept is None:
            return
        content = {
            "trials": self._trials,
            "modules": self._modules,
            "known": self._known,
            "hints": self._hints,
        }
        fresh = self._kept.with_suffix(".new")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        fresh.replace(self._kept)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
