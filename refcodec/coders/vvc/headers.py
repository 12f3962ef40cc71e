"""Headers of NAL units, for the inspector."""

from __future__ import annotations

from itertools import islice
from typing import Any

from refcodec.syntax.bits import Trace
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.syntax.vvc import NAL, nal_type, parse_nal, parse_parameter_sets, split_nals

__all__ = ["show_headers"]


def show_headers(
    stream: bytes, trace: Trace, fps: FeatureParameterSet | None = None, most: int | None = None
) -> None:
    """Add the headers of the NAL units in ``stream``, the last element of ``trace``, to the trace.

    fps  : parameter set that slices refer to; if None, only parameter sets are shown.
    most : units to look at; None for all.
    """
    start = trace[-1].offset
    headers: dict[str, Any] = {}
    if fps is not None:
        headers["sps"], _ = parse_parameter_sets(fps.parameter_sets or b"")
    for at, nal in islice(split_nals(stream), most):
        kind = nal_type(nal)
        sliced = headers and kind in (NAL.IDR_W_RADL, NAL.IDR_N_LP)
        if kind in (NAL.SPS, NAL.PPS, NAL.PREFIX_APS) or sliced:
            parse_nal(nal, start + 8 * at, trace, **headers)
