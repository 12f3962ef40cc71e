"""Headers of OBUs, for the inspector."""

from __future__ import annotations

from itertools import islice

from refcodec.syntax.av1 import TYPE, parse_obu, split_units
from refcodec.syntax.bits import Trace
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["show_headers"]


def show_headers(
    stream: bytes, trace: Trace, fps: FeatureParameterSet | None = None, most: int | None = None
) -> None:
    """Add the headers of the OBUs in ``stream``, the last element of ``trace``, to the trace.

    fps  : of no consequence, as frame headers do not depend on the sequence header.
    most : units to look at; None for all.
    """
    start = trace[-1].offset
    for one in islice(split_units(stream), most):
        if one.kind in (TYPE.SEQUENCE_HEADER, TYPE.FRAME):
            parse_obu(one, start, trace)
