"""The manifest of a conformance suite: one JSON file that describes every vector and its expected results.

``manifest.schema.json`` beside this module is its form; ``bitstreams/README.md`` explains it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, Literal

from refcodec.errors import CallerError

__all__ = [
    "Decision",
    "Feature",
    "Manifest",
    "Origin",
    "Vector",
    "Violation",
    "find_suite",
    "load_manifest",
    "schema",
]

MANIFEST_NAME = "manifest.json"

PUBLISHED_PREFIX = "DFC-"
"""Beginning of the ids of the published suite; suites of others have another (see the schema)."""

_WORD_SIZES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int16": 2,
    **dict.fromkeys(("int8", "uint8", "float8_e4m3fn", "float8_e5m2"), 1),
}


Decision = Literal["accept", "reject", "either"]
"""Required decision of a decoder; ``either`` leaves it free."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature as decoded by a correct decoder.

    dtype          : name of the source type, as numpy and ml_dtypes write it: ``float32``.
    samples        : SHA-256 of the integer samples, little-endian int32 in C order.
    reconstruction : SHA-256 of the feature, little-endian in C order.
    """

    shape: tuple[int, ...]
    dtype: str
    samples: str
    reconstruction: str

    @property
    def size(self) -> int:
        """Number of bytes."""
        return prod(self.shape) * _WORD_SIZES[self.dtype]


@dataclass(frozen=True, slots=True)
class Violation:
    """The violation of the specification by a stream.

    reject     : class of Annex D, the word on the ``REJECT`` line.
    bit_offset : position of the offending element, as the validator reports it.
    also       : classes that a decoder may give instead, which meets the defect later, in another process.
    """

    reject: str
    clause: str
    bit_offset: int
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The edits by which a vector was made from another one.

    vector : name of the other vector.
    change : the edits in words.
    edits  : for ``refcodec.suite.assemble``.
    """

    vector: str
    change: str
    edits: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Vector:
    """One stream and its expected results.

    decoder   : ``accept``: a decoder outputs the features; ``reject``: it rejects the stream, and may have
                released the features first; ``either``: it need not detect the violation.
    violation : violation that the strict validator finds; None for a conforming stream.
    syntax    : hash of all syntax elements; '' if they cannot all be read.
    """

    id: str
    name: str
    purpose: str
    clauses: tuple[str, ...]
    profile: str
    level: int
    tags: tuple[str, ...]
    file: str
    size: int
    sha256: str
    syntax: str
    decoder: Decision
    features: tuple[Feature, ...]
    violation: Violation | None = None
    origin: Origin | None = None

    @property
    def output_size(self) -> int:
        """Bytes of all features."""
        return sum(feature.size for feature in self.features)

    def as_json(self) -> dict[str, Any]:
        """The entry of the manifest."""
        entry: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        entry["feature_count"] = len(self.features)
        entry["features"] = [
            {name: getattr(one, name) for name in Feature.__slots__} for one in self.features
        ]
        if self.violation:
            names = {"class": "reject", "clause": "clause", "bit_offset": "bit_offset"}
            entry["violation"] = {key: getattr(self.violation, names[key]) for key in names}
            if self.violation.also:
                entry["violation"]["also"] = self.violation.also
        if self.origin:
            entry["origin"] = {name: getattr(self.origin, name) for name in Origin.__slots__}
        return entry

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Vector:
        """The inverse of :meth:`as_json`."""
        plain: dict[str, Any] = {name: _frozen(entry[name]) for name in _PLAIN}
        features = tuple(
            Feature(**{name: _frozen(one[name]) for name in one}) for one in entry["features"]
        )
        found, origin = entry.get("violation"), entry.get("origin")
        return cls(
            **plain,
            features=features,
            violation=Violation(
                found["class"], found["clause"], found["bit_offset"], tuple(found.get("also", ()))
            )
            if found
            else None,
            origin=Origin(origin["vector"], origin["change"], tuple(origin["edits"]))
            if origin
            else None,
        )


_PLAIN = (
    "id",
    "name",
    "purpose",
    "clauses",
    "profile",
    "level",
    "tags",
    "file",
    "size",
    "sha256",
    "syntax",
    "decoder",
)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Manifest:
    """A suite: its folder, its version, its vectors in the order of the file."""

    root: Path
    version: str
    vectors: tuple[Vector, ...]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the manifest file, which names the suite in a report."""
        return hashlib.sha256((self.root / MANIFEST_NAME).read_bytes()).hexdigest()

    @property
    def published(self) -> bool:
        """True if every vector has an id of the published suite."""
        return all(vector.id.startswith(PUBLISHED_PREFIX) for vector in self.vectors)

    def path(self, vector: Vector) -> Path:
        """Path of a vector's stream."""
        return self.root / vector.file

    def select(self, pattern: str | None) -> tuple[Vector, ...]:
        """The vectors whose id, name, profile or one of whose tags matches a shell pattern; all for None.

        A profile is written ``profile:lossless``.
        """
        if pattern is None:
            return self.vectors
        return tuple(
            vector
            for vector in self.vectors
            for texts in [(vector.id, vector.name, f"profile:{vector.profile}", *vector.tags)]
            if any(fnmatchcase(text, pattern) for text in texts)
        )

    def named(self, name: str) -> Vector:
        """The vector of that name. Raises KeyError."""
        return {vector.name: vector for vector in self.vectors}[name]


def schema() -> dict[str, Any]:
    """The JSON schema of a manifest."""
    text = (files(__package__) / "manifest.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def find_suite(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the suite: the chosen one, else that of the checkout, else that of the package.

    Raises CallerError if there is none.
    """
    package = Path(__file__).resolve().parents[1]
    places = [Path(chosen)] if chosen else [package.parent / "bitstreams", package / "bitstreams"]
    for place in places:
        if (place / MANIFEST_NAME).is_file():
            return place
    raise CallerError(
        f"there is no {MANIFEST_NAME} in {' or '.join(map(str, places))}",
        hint="name the folder of the suite",
    )


def load_manifest(chosen: str | os.PathLike[str] | None = None) -> Manifest:
    """Load a suite and check its manifest against the schema.

    chosen : its folder; None for the one that comes with refcodec.

    Raises CallerError for a folder without a manifest, one that the schema refuses, or one in which ids,
    names or files are not unique.
    """
    import jsonschema

    root = find_suite(chosen)
    try:
        content = json.loads((root / MANIFEST_NAME).read_text(encoding="utf-8"))
        jsonschema.validate(content, schema())
    except (json.JSONDecodeError, jsonschema.ValidationError) as error:
        what = str(error).partition("\n")[0]
        raise CallerError(f"{root / MANIFEST_NAME} is no manifest: {what}") from None
    vectors = tuple(Vector.from_json(entry) for entry in content["vectors"])
    for what in ("id", "name", "file"):
        for own, count in Counter(getattr(vector, what) for vector in vectors).items():
            if count > 1:
                raise CallerError(f"{root / MANIFEST_NAME} has {count} vectors of the {what} {own}")
    return Manifest(root, content["version"], vectors)
