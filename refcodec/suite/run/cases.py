"""Vectors as tests of a third party see them: a stream, and checks that say the difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refcodec.suite.manifest import Vector
from refcodec.suite.run.contract import Outcome
from refcodec.suite.run.runner import judge

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """A vector and its stream.

    vector : purpose, clauses, profile, level, tags, and the expected result.
    path   : the stream.
    """

    vector: Vector
    path: Path

    @property
    def id(self) -> str:
        """Stable id and name, as in ``DFC-V-0001-raw-float32``."""
        return f"{self.vector.id}-{self.vector.name}"

    @property
    def data(self) -> bytes:
        """The bytes of the stream."""
        return self.path.read_bytes()

    def check(self, features: bytes | Iterable[Any]) -> None:
        """Raise AssertionError unless a decoder may give these features.

        features : arrays in the order of the stream, or the bytes of all of them: each in C order, every
                   value least significant byte first, in its source type.
        """
        if isinstance(features, (bytes, bytearray, memoryview)):
            self._judge(bytes(features))
            return
        import numpy as np

        from refcodec.hashes import little_endian_bytes

        arrays = list(map(np.asarray, features))
        if self.vector.decoder != "reject":
            found = [(array.shape, str(array.dtype)) for array in arrays]
            expected = [(one.shape, one.dtype) for one in self.vector.features]
            if found != expected:
                raise AssertionError(f"{self.id}: shapes and types {found}; expected {expected}")
        self._judge(b"".join(map(little_endian_bytes, arrays)))

    def check_rejected(self, reject: str) -> None:
        """Raise AssertionError unless a decoder may reject the stream for that class of Annex D."""
        self._pass(Outcome(reject=reject))

    def _judge(self, output: bytes) -> None:
        self._pass(Outcome(output=output))

    def _pass(self, outcome: Outcome) -> None:
        result = judge(self.vector, self.path, _Done(outcome), 0.0)
        if result.status != "pass":
            clauses = ", ".join(self.vector.clauses)
            raise AssertionError(f"{self.id} (clauses {clauses}): {result.reason}")


@dataclass(frozen=True)
class _Done:
    """A decoder that has run already."""

    outcome: Outcome
    name: str = "under test"

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """The outcome."""
        return self.outcome
