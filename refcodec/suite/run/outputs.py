"""The outputs that a correct decoder writes: those of the reference decoder, checked against the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import md5, sha256

from refcodec.errors import CallerError, EnvironmentFault
from refcodec.suite.manifest import Manifest, Vector
from refcodec.suite.run.contract import BuiltIn

__all__ = ["Digests", "rejection_lines", "written_outputs"]

_TIMEOUT = 60.0
"""Seconds for one run of ffmpeg."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Hashes, in hexadecimal, of the file that a decoder writes: all features, one after the other."""

    md5: str
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Digests:
        """Hashes of bytes."""
        return cls(md5(data, usedforsecurity=False).hexdigest(), sha256(data).hexdigest())


def rejection_lines(vector: Vector) -> tuple[str, ...]:
    """The lines ``REJECT <class>`` that a decoder may print, without line feeds, the expected one first."""
    if vector.decoder == "accept":
        return ()
    violation = vector.as_json()["violation"]
    return tuple(f"REJECT {name}" for name in (violation["class"], *violation.get("also", ())))


def written_outputs(
    suite: Manifest,
    vectors: Iterable[Vector],
    *,
    ffmpeg: str | None = None,
    workers: int = 1,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Digests]:
    """Hashes of the outputs of vectors that a decoder may accept, by id.

    Raises CallerError if the suite is damaged, EnvironmentFault if this machine cannot decode a vector.
    """
    accepted = [vector for vector in vectors if vector.decoder != "reject"]
    decoder = BuiltIn(ffmpeg)
    found: dict[str, Digests] = {}

    def decode(vector: Vector) -> bytes:
        outcome = decoder.run(suite.path(vector), vector.output_size, _TIMEOUT)
        if outcome.reject is not None and vector.decoder == "either" and vector.origin:
            sound = suite.path(suite.named(vector.origin.vector))  # has the same features
            outcome = decoder.run(sound, vector.output_size, _TIMEOUT)
        if outcome.skip is not None:
            raise EnvironmentFault(f"{vector.name} cannot be decoded here: {outcome.skip}")
        _check(vector, outcome.output)
        return outcome.output

    with ThreadPoolExecutor(workers) as pool:
        for vector, output in zip(accepted, pool.map(decode, accepted), strict=True):
            found[vector.id] = Digests.of(output)
            progress(len(found))
    return found


def _check(vector: Vector, output: bytes) -> None:
    """Raise CallerError unless the output is what the manifest says."""
    start = 0
    for feature in vector.features:
        own = output[start : start + feature.size]
        start += feature.size
        if sha256(own).hexdigest() != feature.reconstruction:
            break
    else:
        if len(output) == start:
            return
    raise CallerError(
        f"the reference decoder does not give the features of {vector.name}",
        hint="the suite is damaged, or not of this version: refcodec conformance run",
    )
