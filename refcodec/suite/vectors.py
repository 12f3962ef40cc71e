"""What a vector is before it is made: its definition, and the features that streams are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from refcodec.suite.assemble import Edit

__all__ = ["END", "Definition", "Edits", "Encode", "Features", "Place", "load_features"]

Edits = Callable[[bytes], Sequence[Edit]]
"""The edits of a vector, given the stream of its origin."""

Place = tuple[int, str] | tuple[int, str, int] | int
"""Where a violation is: a unit and an element, '' for the unit itself, and perhaps some bits into it;
or a byte, counted from END backwards where it is negative."""

END = -1
"""Behind the last byte."""


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

    They lie there as a file because a network's sums differ from machine to machine.
    """
    with np.load(root / "features.npz", allow_pickle=False) as arrays:
        return Features(**arrays)


@dataclass(frozen=True, slots=True)
class Definition:
    """One vector as its author states it; all else is derived from the stream.

    number    : of the stable id; never given twice.
    clauses   : what the vector is about, beyond the clauses that the stream shows.
    encode    : makes the stream; None for one that is edited.
    origin    : name of the vector that is edited.
    change    : the edit in words.
    decoder   : what a decoder must do.
    violation : class and clause of Annex D and clause 9, and where; None for a conforming stream.
    """

    number: int
    name: str
    purpose: str
    clauses: tuple[str, ...] = ()
    encode: Encode | None = None
    origin: str = ""
    change: str = ""
    edits: Edits | None = None
    decoder: Literal["accept", "reject", "either"] = "accept"
    violation: tuple[str, str, Place] | None = None

    @property
    def folder(self) -> str:
        """``valid`` or ``invalid``: whether every decoder must accept the stream."""
        return "valid" if self.decoder == "accept" else "invalid"

    @property
    def id(self) -> str:
        """The stable id."""
        return f"DFC-{self.folder[0].upper()}-{self.number:04d}"

    @property
    def file(self) -> str:
        """Place of the stream in the suite."""
        return f"{self.folder}/{self.name}/stream.dfc"


def words(dtype: Any, *patterns: int) -> npt.NDArray[Any]:
    """An fc feature with these bit patterns."""
    kind = np.dtype(dtype)
    return np.array(patterns, dtype=f"u{kind.itemsize}").view(kind)
