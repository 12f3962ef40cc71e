"""The first difference of a decoder's output from the expected one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Difference", "Stage"]

Stage = Literal["", "syntax", "samples", "reconstruction"]
"""The first stage of decoding that differs; '' where the decoder does not say enough to tell."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of a feature, or of its samples.

    feature     : number of the feature in the stream.
    shape       : C x H x W, or D.
    dtype       : type of the values compared; ``int32`` where they are samples.
    index       : (c, y, x), or (d,), of the first value that differs.
    got, wanted : the values there, in decimal, and as bits in hexadecimal.
    differing   : number of values that differ, of ``elements``.
    largest     : greatest absolute difference, in decimal; '' if a value is not finite.
    guess       : likely cause; '' where none fits.
    stage       : first stage that differs.
    clauses     : clauses of the specification to look at.
    """

    feature: int
    shape: tuple[int, ...]
    dtype: str
    index: tuple[int, ...]
    got: str
    wanted: str
    got_bits: str
    wanted_bits: str
    differing: int
    elements: int
    largest: str
    guess: str = ""
    stage: Stage = ""
    clauses: tuple[str, ...] = ()
