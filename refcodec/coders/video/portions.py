"""Frames of one QP that an encoder of video codes together. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from refcodec.errors import EnvironmentFault
from refcodec.pack import Frames

__all__ = ["VideoFrames", "encode_portions"]


class VideoFrames(NamedTuple):
    """Frames as an encoder of video leaves them.

    payloads       : the units of each frame, in the byte stream of the standard.
    parameter_sets : those that all frames share, likewise.
    """

    payloads: list[bytes]
    parameter_sets: bytes


def encode_portions(
    frames: Frames,
    qps: Sequence[int],
    most: int,
    encode_alike: Callable[[Frames, int], VideoFrames],
    encoder: str,
) -> VideoFrames:
    """Code frames at the QP of each; those of one QP run together.

    most         : most frames of one run.
    encode_alike : codes frames at one QP.
    encoder      : its name, for messages.

    Raises EnvironmentFault.
    """
    payloads = [b""] * len(frames)
    sets: dict[bytes, None] = {}
    for qp in dict.fromkeys(qps):
        alike = [number for number, own in enumerate(qps) if own == qp]
        for start in range(0, len(alike), most):
            portion = alike[start : start + most]
            found = encode_alike(frames[portion], qp)
            for number, payload in zip(portion, found.payloads, strict=True):
                payloads[number] = payload
            sets[found.parameter_sets] = None
    if len(sets) != 1:
        raise EnvironmentFault(f"{encoder} wrote {len(sets)} different parameter sets for one size")
    return VideoFrames(payloads, next(iter(sets)))
