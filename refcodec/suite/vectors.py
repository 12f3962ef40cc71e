"""Definitions of vectors, and the source features of their streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from refcodec.suite.assemble import Edit
from refcodec.suite.manifest import Decision

__all__ = [
    "END",
    "Definition",
    "Edits",
    "Encode",
    "Features",
    "Place",
    "load_features",
]

Edits = Callable[[bytes], Sequence[Edit]]
"""The edits of a vector, given the stream of its origin."""

Place = tuple[int, str] | tuple[int, str, int] | int
"""Position of a violation: a unit and an element, '' for the unit itself, and optionally bits into it; or a
byte offset, which counts backwards from END if it is negative."""

END = -1
"""The end of the stream, after its last byte."""


@dataclass(frozen=True)
class Features:
    """Source features: those of the first held-out digits in the demonstration network.

    conv : float32, 8 x 16 x 8 x 8.
    pool : float32, 16 x 16 x 4 x 4.
    fc   : float32, 20 x 64.
    """

    conv: npt.NDArray[np.float32]
    pool: npt.NDArray[np.float32]
    fc: npt.NDArray[np.float32]


Encode = Callable[[Features], bytes]


def load_features(root: Path) -> Features:
    """Read ``features.npz`` of a suite.

    They are stored in a file because the sums of a network differ between machines.
    """
    with np.load(root / "features.npz", allow_pickle=False) as arrays:
        return Features(**arrays)


@dataclass(frozen=True, slots=True)
class Definition:
    """Definition of one vector; everything else is derived from the stream.

    number    : number of the stable id; never used twice.
    clauses   : clauses that the vector tests, beyond those derived from the stream.
    encode    : makes the stream; None for one that is edited.
    origin    : name of the vector that is edited.
    change    : the edit in words.
    decoder   : required decision of a decoder.
    violation : class of Annex D, clause and position, which is None for the element that the first edit
                changes; None for a conforming stream.
    also      : classes that a decoder may give instead.
    """

    number: int
    name: str
    purpose: str
    clauses: tuple[str, ...] = ()
    encode: Encode | None = None
    origin: str = ""
    change: str = ""
    edits: Edits | None = None
    decoder: Decision = "accept"
    violation: tuple[str, str, Place | None] | None = None
    also: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """``valid`` for a stream that every decoder must accept, else ``invalid``."""
        return "valid" if self.decoder == "accept" else "invalid"

    @property
    def id(self) -> str:
        """The stable id."""
        return f"DFC-{self.folder[0].upper()}-{self.number:04d}"

    @property
    def file(self) -> str:
        """Path of the stream in the suite."""
        return f"{self.folder}/{self.name}/stream.dfc"
