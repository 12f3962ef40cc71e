"""Encoding through vvenc: frames to slices. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refcodec.coders.ffmpeg import VARIABLE, VVC_PROGRAM, encode_video
from refcodec.coders.protocol import Machine
from refcodec.coders.video.portions import VideoFrames, encode_portions
from refcodec.coders.video.runs import Run
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.pack import Frames
from refcodec.syntax.vvc import NAL, nal_type, split_nals

__all__ = ["RUN", "encode_with"]

RUN = Run(frames=96, bytes=1 << 18)
"""Most work that is decoded at once."""

_PORTION = 6
"""Frames of one run of vvenc: in ffmpeg 9.0.2 it mostly returns nothing for 7 to 10 of them."""

_SLOWNESS = 16
"""Times that vvenc is slower than other encoders, for its bound of time."""

_DEPTH = 10
"""Bit depth of the frames that ffmpeg hands to vvenc, which codes those of 8 bits as such."""

_DETERMINISTIC = (
    "ChromaFormatIDC=400:GOPSize=1:IntraPeriod=1:DecodingRefreshType=idr:AccessUnitDelimiter=0:"
    "IntraQPOffset=0:MCTF=0:BIM=0:ALFSpeed=0"
)
"""Options of vvenc: IDR pictures alone, unfiltered before they are coded, fixed QPs, nothing else."""


def encode_with(
    frames: Frames,
    qps: Sequence[int],
    depth: int,
    preset: str,
    machine: Machine,
    tools: str = "",
) -> VideoFrames:
    """The NAL units of each frame, and the parameter sets that all share.

    qps   : of each frame.
    depth : bit depth of the frames, 8 or 10.
    tools : further options of vvenc, as in ``-vvenc-params``.

    Raises EnvironmentFault.
    """
    options = ":".join(filter(None, [_DETERMINISTIC, f"InternalBitDepth={depth}", tools]))

    def encode_alike(alike: Frames, qp: int) -> VideoFrames:
        luma = alike.astype(np.uint16) << np.uint16(_DEPTH - depth)
        return _encode_alike(luma, {"preset": preset, "qp": qp}, options, machine)

    return encode_portions(frames, qps, _PORTION, encode_alike, "vvenc")


def _encode_alike(
    frames: Frames, choices: Mapping[str, Any], options: str, machine: Machine
) -> VideoFrames:
    """Frames of 10 bits and one QP, in one run of vvenc."""
    count, height, width = frames.shape
    chroma = np.full((count, 2 * (-(-height // 2)) * (-(-width // 2))), 1 << _DEPTH - 1, "<u2")
    luma = frames.reshape(count, -1).astype("<u2")
    planes = np.concatenate([luma, chroma], axis=1)  # ffmpeg hands over nothing but 4:2:0
    stream = encode_video(
        planes.tobytes(),
        VVC_PROGRAM,
        pixel_format="yuv420p10le",
        size=(width, height),
        options={**choices, "qpa": 0, "threads": 1, "vvenc-params": options},
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(_SLOWNESS * frames.size),
    )
    try:
        nals = [nal for _, nal in split_nals(stream.replace(b"\0\0\0\1", b"\0\0\1"))]
    except StreamError as error:
        raise EnvironmentFault(
            f"ffmpeg wrote no VVC stream: {error.what}", hint=f"check {VARIABLE}"
        ) from None
    payloads, sets, own = [], [], b""
    for nal in nals:
        if nal_type(nal) in (NAL.SPS, NAL.PPS):
            sets.append(b"\0\0\1" + nal)
            continue
        own += b"\0\0\1" + nal
        if nal_type(nal) in (NAL.IDR_W_RADL, NAL.IDR_N_LP):
            payloads.append(own)
            own = b""
    distinct = list(dict.fromkeys(sets))  # vvenc repeats them with every picture
    if len(payloads) != count or len(distinct) != 2:
        raise EnvironmentFault(
            f"vvenc wrote {len(payloads)} slices and {len(distinct)} parameter sets for {count} frames"
        )
    return VideoFrames(payloads, b"".join(distinct))
