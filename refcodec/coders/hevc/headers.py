"""Headers of NAL units, for the inspector."""

from __future__ import annotations

from itertools import islice
from typing import Any

from refcodec.syntax.bits import Trace
from refcodec.syntax.hevc import NAL, nal_type, parse_nal, parse_parameter_sets, split_nals
from refcodec.syntax.structures import FeatureParameterSet

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
        _, headers["sps"], headers["pps"] = parse_parameter_sets(fps.parameter_sets or b"")
    for at, nal in islice(split_nals(stream), most):
        kind = nal_type(nal)
        if kind in (NAL.VPS, NAL.SPS, NAL.PPS) or (headers and kind < NAL.VPS):
            parse_nal(nal, start + 8 * at, trace, **headers)
