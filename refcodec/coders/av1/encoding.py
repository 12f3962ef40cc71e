"""Encoding through libaom: frames to OBUs. Nothing here is normative.

Of the encoders of AV1 in ffmpeg, libaom alone codes monochrome frames of 8, 10 and 12 bits; SVT-AV1 takes
4:2:0, and codes its chroma.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refcodec.coders.av1.steps import quantiser_of
from refcodec.coders.ffmpeg import AV1_PROGRAM, VARIABLE, encode_video
from refcodec.coders.protocol import Machine
from refcodec.coders.video.frames import PIXEL_FORMATS
from refcodec.coders.video.portions import VideoFrames, encode_portions
from refcodec.coders.video.runs import Run
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.pack import Frames
from refcodec.syntax.av1 import TYPE, split_units

__all__ = ["RUN", "encode_with"]

RUN = Run(frames=1024, bytes=1 << 20)
"""Most work of one run of libaom."""

_SLOWNESS = 16
"""Factor on the time-out of a run: libaom is slower than other encoders."""

_SPEEDS = {"slower": 0, "slow": 2, "medium": 4, "fast": 6, "faster": 8}
"""Values of cpu-used, by preset."""

_DETERMINISTIC: Mapping[str, Any] = {
    "usage": "allintra",
    "still-picture": 1,
    "threads": 1,
    "row-mt": 0,
    "b:v": 0,
    "aq-mode": 0,
    "tune": "psnr",
}
"""Options of ffmpeg for libaom: still pictures, one thread, one quantiser for all blocks of a frame."""

_ONE_QUANTISER = "deltaq-mode=0"
"""Option of libaom itself: one quantiser for all blocks."""


def encode_with(
    frames: Frames,
    qps: Sequence[int],
    depth: int,
    preset: str,
    machine: Machine,
    tools: str = "",
) -> VideoFrames:
    """The frame OBU of each frame, and the sequence header that all share.

    qps   : of each frame.
    depth : bit depth of the frames, 8, 10 or 12.
    tools : further options of libaom, as in ``-aom-params``.

    Raises EnvironmentFault.
    """
    own = ":".join(filter(None, [_ONE_QUANTISER, tools]))
    options = {**_DETERMINISTIC, "cpu-used": _SPEEDS[preset], "aom-params": own}

    def encode_alike(alike: Frames, qp: int) -> VideoFrames:
        return _encode_alike(alike, quantiser_of(qp, depth), depth, options, machine)

    return encode_portions(frames, qps, RUN.frames, encode_alike, "libaom")


def _encode_alike(
    frames: Frames, quantiser: int, depth: int, options: Mapping[str, Any], machine: Machine
) -> VideoFrames:
    """Frames of one quantiser, in one run of libaom."""
    count, height, width = frames.shape
    stream = encode_video(
        frames.astype(np.uint8 if depth == 8 else "<u2").tobytes(),
        AV1_PROGRAM,
        pixel_format=PIXEL_FORMATS[depth],
        size=(width, height),
        options={**options, "crf": quantiser, "qmin": quantiser, "qmax": quantiser},
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(_SLOWNESS * frames.size),
    )
    try:
        obus = list(split_units(stream))
    except StreamError as error:
        raise EnvironmentFault(
            f"ffmpeg wrote no AV1 stream: {error.what}", hint=f"check {VARIABLE}"
        ) from None
    payloads = [one.data for one in obus if one.kind == TYPE.FRAME]
    headers = {one.data for one in obus if one.kind == TYPE.SEQUENCE_HEADER}  # one with each frame
    if len(payloads) != count or len(headers) != 1:
        raise EnvironmentFault(
            f"libaom wrote {len(payloads)} frames and {len(headers)} sequence headers for {count} frames"
        )
    return VideoFrames(payloads, headers.pop())
