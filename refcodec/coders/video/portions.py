"""Frames that a video encoder codes, those of one QP together. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from refcodec.coders.protocol import Machine
from refcodec.coders.video.frames import frame_depth
from refcodec.errors import EnvironmentFault
from refcodec.pack import Frames
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["EncodeFrames", "VideoFrames", "at_depth", "encode_portions"]


class VideoFrames(NamedTuple):
    """Frames as a video encoder leaves them.

    payloads       : the units of each frame, in the byte stream of the standard.
    parameter_sets : those that all frames share, likewise.
    """

    payloads: list[bytes]
    parameter_sets: bytes


EncodeFrames = Callable[[Frames, Sequence[int], FeatureParameterSet, str, Machine], VideoFrames]
"""Codes frames at the QP of each, for a parameter set, with a preset. Raises EnvironmentFault."""


def at_depth(
    encode: Callable[[Frames, Sequence[int], int, str, Machine], VideoFrames],
) -> EncodeFrames:
    """Adapt an encoder that asks a parameter set for nothing but the bit depth of frames."""

    def encode_frames(
        frames: Frames,
        qps: Sequence[int],
        fps: FeatureParameterSet,
        preset: str,
        machine: Machine,
    ) -> VideoFrames:
        return encode(frames, qps, frame_depth(fps.bits), preset, machine)

    return encode_frames


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
