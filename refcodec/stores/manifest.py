"""The manifest of a store: size and SHA-256 of each chunk, kept as they are built.

A file of lines in JSON in the folder of the array. The first line says what the store is
built from; each further one is a chunk. Lines are added as chunks are done, so that a build that was killed
loses none; a last line that was cut is ignored. Object stores have no appending: there, the file is written
anew from time to time, and chunks that a killed build has not noted are built again, to the same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from refcodec.errors import CallerError
from refcodec.stores.place import Location, Place

__all__ = ["Entry", "Manifest"]

_NAME = "manifest.jsonl"

_KEPT_EVERY = 30.0
"""Seconds between two writings of a manifest on an object store."""


class Entry(NamedTuple):
    """A chunk: its number, its key in the store, its size in bytes, and the SHA-256 of its bytes."""

    number: int
    key: str
    size: int
    sha256: str


@dataclass
class Manifest:
    """The chunks of a store.

    place   : of the store.
    facts   : what the store is built from, and how: ``source``, ``array``, ``shape``, ``dtype``, ``chunk``,
              ``options``.
    entries : chunks that are done, by number.
    """

    place: Place
    facts: dict[str, Any]
    entries: dict[int, Entry] = field(default_factory=dict)
    _kept: float = field(default_factory=monotonic, repr=False, compare=False)

    @classmethod
    def load(cls, store: Location, options: dict[str, Any] | None = None) -> Manifest | None:
        """That of a store; None where it has none.

        options : of the file system, as `Place` takes them.

        Raises CallerError for a file that is no manifest, EnvironmentFault where an object store fails.
        """
        return cls.at(Place(store, options))

    @classmethod
    def at(cls, place: Place) -> Manifest | None:
        """That of a store at a place, as `load` reads it."""
        try:
            data = place.read(_NAME)
        except (FileNotFoundError, NotADirectoryError):
            return None
        lines = data.split(b"\n")[:-1]  # after the last newline there is nothing, or a cut line
        try:
            facts, *chunks = [json.loads(line) for line in lines]
            entries = [Entry(**one) for one in chunks]
            found = cls(place, dict(facts), {one.number: one for one in entries})
            if not {"shape", "chunk"} <= facts.keys():
                raise ValueError("its first line does not say what it is of")
        except (AttributeError, TypeError, ValueError) as error:
            raise CallerError(f"{place}/{_NAME} is no manifest: {error}") from None
        return found

    @classmethod
    def begin(cls, place: Place, facts: dict[str, Any]) -> Manifest:
        """A new one, with no chunks."""
        found = cls(place, facts)
        if place.remote:
            found.keep()
        else:
            found._append(facts, mode="wb")
        return found

    def add(self, entry: Entry) -> None:
        """Add a chunk; it is kept at once in a folder, and soon on an object store."""
        self.entries[entry.number] = entry
        if not self.place.remote:
            self._append(entry._asdict())
        elif monotonic() >= self._kept + _KEPT_EVERY:
            self.keep()

    def keep(self) -> None:
        """Write all of it, where it is on an object store."""
        if self.place.remote:
            lines = [self.facts, *(one._asdict() for one in self.entries.values())]
            self.place.write(_NAME, b"".join(map(_line, lines)))
            self._kept = monotonic()

    def continues(self, facts: dict[str, Any]) -> None:
        """Raise CallerError unless the store is built from the same things; cut off a line that was cut."""
        changed = [name for name in facts if self.facts.get(name) != facts[name]]
        if changed:
            raise CallerError(
                f"{self.place} was begun with another {', '.join(changed)}",
                hint="build into another folder, or delete that one",
            )
        if isinstance(self.place.where, Path):
            path = self.place.where / _NAME
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def _append(self, line: dict[str, Any], mode: str = "ab") -> None:
        with open(Path(self.place.where) / _NAME, mode) as file:
            file.write(_line(line))


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"
