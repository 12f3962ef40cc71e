"""The manifest of a store: size and SHA-256 of each chunk, kept as they are built.

A file of lines in JSON in the folder of the array. The first line says what the store is
built from; each further one is a chunk. Lines are added as chunks are done, so that a build that was killed
loses none; a last line that was cut is ignored.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from refcodec.errors import CallerError

__all__ = ["Entry", "Manifest"]

_NAME = "manifest.jsonl"


class Entry(NamedTuple):
    """A chunk: its number, its key in the store, its size in bytes, and the SHA-256 of its bytes."""

    number: int
    key: str
    size: int
    sha256: str


@dataclass
class Manifest:
    """The chunks of a store.

    path    : of the file.
    facts   : what the store is built from, and how: ``source``, ``array``, ``shape``, ``dtype``, ``chunk``,
              ``options``.
    entries : chunks that are done, by number.
    """

    path: Path
    facts: dict[str, Any]
    entries: dict[int, Entry] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Path) -> Manifest | None:
        """That of a store; None where it has none. Raises CallerError for a file that is no manifest."""
        path = store / _NAME
        if not path.exists():
            return None
        lines = path.read_bytes().split(b"\n")[
            :-1
        ]  # after the last newline there is nothing, or a cut line
        try:
            facts, *chunks = [json.loads(line) for line in lines]
            entries = [Entry(**one) for one in chunks]
            found = cls(path, dict(facts), {one.number: one for one in entries})
            if not {"shape", "chunk"} <= facts.keys():
                raise ValueError("its first line does not say what it is of")
        except (AttributeError, TypeError, ValueError) as error:
            raise CallerError(f"{path} is no manifest: {error}") from None
        return found

    @classmethod
    def begin(cls, store: Path, facts: dict[str, Any]) -> Manifest:
        """A new one, with no chunks."""
        found = cls(store / _NAME, facts)
        found._append(facts, mode="wb")
        return found

    def add(self, entry: Entry) -> None:
        """Add a chunk, and keep it."""
        self.entries[entry.number] = entry
        self._append(entry._asdict())

    def continues(self, facts: dict[str, Any]) -> None:
        """Raise CallerError unless the store is built from the same things; cut off a line that was cut."""
        changed = [name for name in facts if self.facts.get(name) != facts[name]]
        if changed:
            raise CallerError(
                f"{self.path.parent} was begun with another {', '.join(changed)}",
                hint="build into another folder, or delete that one",
            )
        data = self.path.read_bytes()
        os.truncate(self.path, data.rfind(b"\n") + 1)

    def _append(self, line: dict[str, Any], mode: str = "ab") -> None:
        with open(self.path, mode) as file:
            file.write(json.dumps(line).encode() + b"\n")
