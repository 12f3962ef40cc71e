"""The generator of the suite, and the check of a committed one against its definitions.

A stream that depends on the machine is kept if it exists and decodes to the committed hashes: streams of
video coders differ between versions of programs, and the native encoder decides by floating-point sums.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from refcodec.errors import StreamError
from refcodec.inspector import inspect
from refcodec.registry import CODERS
from refcodec.suite.assemble import disassemble, edit_from_json, edit_to_json
from refcodec.suite.derive import expectation, labels, released_features
from refcodec.suite.invalid import INVALID
from refcodec.suite.manifest import (
    MANIFEST_NAME,
    Feature,
    Manifest,
    Origin,
    Vector,
    Violation,
)
from refcodec.suite.valid import VALID
from refcodec.suite.vectors import Definition, Features, Place, load_features

__all__ = ["DEFINITIONS", "SUITE_VERSION", "check", "describe", "write"]

SUITE_VERSION = "1.0"

DEFINITIONS: tuple[Definition, ...] = (*VALID, *INVALID)

_CHOOSING = {"coder:native", "coder:native-static"}
"""Coders whose encoder may decide otherwise from version to version."""

_OUTSIDE = {"coder:zlib", "coder:gzip", "coder:bzip2", "coder:lzma"}
"""Coders whose payloads may differ between versions of a library."""


def write(root: Path, *, again: bool = False) -> list[Vector]:
    """Write every stream and the manifest into a folder that holds ``features.npz``.

    again : encode video and native streams anew, too, instead of keeping those that exist.

    Raises OSError.
    """
    features = load_features(root)
    streams: dict[str, bytes] = {}
    vectors = []
    promised = _promised(root)
    for definition in DEFINITIONS:
        place = root / definition.file
        stream = place.read_bytes() if place.is_file() else b""
        if again or not (definition.encode and stream and _is_kept(stream, promised.get(stream))):
            stream = _make(definition, features, streams)
        streams[definition.name] = stream
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(stream)
        vectors.append(describe(definition, stream, streams))
    content = {"version": SUITE_VERSION, "vectors": [vector.as_json() for vector in vectors]}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (root / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")
    return vectors


def check(suite: Manifest) -> Iterator[str]:
    """Compare a suite with its definitions; yields the differences.

    Streams are made again and compared bit for bit, with three exceptions: one of a video coder is only
    decoded; if a version of a compression library writes other payloads, the features must be the same; if
    the native encoder decides otherwise, the labels must be.
    """
    features = load_features(suite.root)
    if [vector.id for vector in suite.vectors] != [one.id for one in DEFINITIONS]:
        yield "the manifest lists other vectors than are defined"
        return
    streams: dict[str, bytes] = {}
    for vector, definition in zip(suite.vectors, DEFINITIONS, strict=True):
        stream = suite.path(vector).read_bytes()
        streams[vector.name] = stream
        if hashlib.sha256(stream).hexdigest() != vector.sha256:
            yield f"{vector.name}: the stream is not the one of the manifest"
            return
        if describe(definition, stream, streams) != vector:
            yield f"{vector.name}: the manifest does not say what the stream shows"
        if definition.encode and _is_video(labels(stream).tags):
            continue
        made = _make(definition, features, streams)
        if made != stream and not (definition.encode and _is_equivalent(made, stream)):
            yield f"{vector.name}: the stream is not the one that its definition makes"


def describe(definition: Definition, stream: bytes, streams: dict[str, bytes]) -> Vector:
    """The manifest's entry for a stream.

    streams : those made before, by name. An edited stream has the labels of its origin, unless it conforms
              itself: it may not be readable.
    """
    violation, origin = None, _origin(definition, streams)
    if definition.violation:
        reject, clause, place = definition.violation
        if place is None:
            assert origin is not None
            place = origin.edits[0]["unit"], origin.edits[0]["element"]
        offset = _resolve(place, stream, streams[definition.origin])
        violation = Violation(reject, clause, offset, definition.also)
    accepted = definition.decoder == "accept"
    found = labels(stream if accepted else streams[definition.origin])
    clauses = set(definition.clauses) | (found.clauses if accepted else set())
    if violation:
        clauses.add(violation.clause)
    stop = violation.bit_offset if violation else None
    edited = streams.get(definition.origin, b"")
    syntax, promised = expectation(stream, definition.decoder, stop, edited)
    return Vector(
        id=definition.id,
        name=definition.name,
        purpose=definition.purpose,
        clauses=tuple(sorted(clauses, key=_in_order)),
        profile=found.profile,
        level=found.level,
        tags=found.tags,
        file=definition.file,
        size=len(stream),
        sha256=hashlib.sha256(stream).hexdigest(),
        syntax=syntax,
        decoder=definition.decoder,
        features=promised,
        violation=violation,
        origin=origin,
    )


def _origin(definition: Definition, streams: dict[str, bytes]) -> Origin | None:
    if definition.edits is None:
        return None
    edits = definition.edits(streams[definition.origin])
    listed: list[dict[str, Any]] = json.loads(json.dumps([edit_to_json(edit) for edit in edits]))
    return Origin(definition.origin, definition.change, tuple(listed))


def _make(definition: Definition, features: Features, streams: dict[str, bytes]) -> bytes:
    """Make a stream: encode it, or apply the edits that the manifest will list to its origin."""
    if definition.encode:
        return definition.encode(features)
    origin = _origin(definition, streams)
    assert origin is not None
    stream = streams[origin.vector]
    for edit in map(edit_from_json, origin.edits):
        stream = edit(stream)
    return stream


def _resolve(place: Place, stream: bytes, origin: bytes) -> int:
    """Position of a violation in bits.

    An element is searched in the stream itself, and in its origin if the edit hides it; it may be one of
    those that the inspector shows inside a payload.
    """
    if isinstance(place, int):
        return 8 * (place if place >= 0 else len(stream) + 1 + place)
    number, path, further = place if len(place) == 3 else (*place, 0)
    for one in (stream, origin):
        try:
            pieces = disassemble(one)
            start = 8 * sum(len(bytes(piece)) for piece in pieces[:number])
            for field in pieces[number].fields:
                if path in ("", field.path):
                    return start + further
                start += len(field.bits)
            for inner in inspect(one)[number].elements:
                if inner.path == path:
                    return inner.offset + further
        except (StreamError, IndexError):
            continue
    raise LookupError(f"no element {path} in unit {number}")


def _is_video(tags: Collection[str]) -> bool:
    return any(f"coder:{one.name}" in tags for one in CODERS.values() if one.video)


def _promised(root: Path) -> dict[bytes, tuple[Feature, ...]]:
    """The features of each stream that is listed in a suite, if there is one."""
    try:
        entries = json.loads((root / MANIFEST_NAME).read_text(encoding="utf-8"))["vectors"]
        vectors = [Vector.from_json(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    files = {root / one.file: one.features for one in vectors}
    return {file.read_bytes(): features for file, features in files.items() if file.is_file()}


def _is_kept(stream: bytes, promised: tuple[Feature, ...] | None) -> bool:
    """True for a stream that other machines may encode differently, if it still decodes as expected."""
    try:
        tags = labels(stream).tags
        if _CHOOSING.isdisjoint(tags):
            return _is_video(tags)
        return promised is not None and tuple(released_features(stream)) == promised
    except StreamError:
        return False


def _is_equivalent(made: bytes, stream: bytes) -> bool:
    """True if two streams differ only in the bytes of a library or the choices of an encoder."""
    ours, theirs = labels(made), labels(stream)
    if not _CHOOSING.isdisjoint(theirs.tags):
        return ours == theirs
    outside = not _OUTSIDE.isdisjoint(theirs.tags)
    return outside and ours == theirs and released_features(made) == released_features(stream)


def _in_order(clause: str) -> list[tuple[bool, int, str]]:
    """Sort key for clauses in the order of the specification: 7.10 after 7.9, annexes last."""
    parts = clause.split(".")
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
