"""Encoding through x265: frames to slices. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from refcodec.coders.ffmpeg import HEVC_PROGRAM, VARIABLE, encode_video
from refcodec.coders.protocol import Machine
from refcodec.coders.video.frames import PIXEL_FORMATS, frame_depth
from refcodec.coders.video.portions import VideoFrames
from refcodec.coders.video.runs import Run
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.pack import Frames
from refcodec.syntax.hevc import NAL, nal_type, split_nals
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["RUN", "encode_frames", "x265_options"]

RUN = Run(frames=1984, bytes=8 << 20)
"""Most work of one run of x265: few enough frames for their QPs to fit in one argument of a command line
(131,071 bytes), and a multiple of 31, the period of a bit in its slice headers."""

_DETERMINISTIC = (
    "bframes=0:b-adapt=0:scenecut=0:open-gop=0:rc-lookahead=0:lookahead-slices=0:ipratio=1:pbratio=1:"
    "aq-mode=0:cutree=0:psy-rd=0:psy-rdoq=0:weightp=0:weightb=0:info=0:hash=0:aud=0:hrd=0:"
    "wpp=0:pmode=0:pme=0:frame-threads=1:pools=none:repeat-headers=1:log-level=error"
)
"""Options of x265: one thread, no look-ahead, fixed QPs, nothing in the stream but slices."""


def encode_frames(
    frames: Frames,
    qps: Sequence[int],
    fps: FeatureParameterSet,
    preset: str,
    machine: Machine,
) -> VideoFrames:
    """The slice of each frame, and the parameter sets that all share."""
    portion = len(frames) if fps.temporal_prediction_flag else RUN.frames
    slices: list[bytes] = []
    sets: list[bytes] = []
    for start in range(0, len(frames), portion):
        stop = start + portion
        stream = _run_x265(frames[start:stop], qps[start:stop], fps, preset, machine)
        try:
            nals = [nal for _, nal in split_nals(stream)]
        except StreamError as error:
            raise EnvironmentFault(
                f"ffmpeg wrote no HEVC stream: {error.what}", hint=f"check {VARIABLE}"
            ) from None
        slices += [b"\0\0\1" + nal for nal in nals if nal_type(nal) < NAL.VPS]
        sets += [b"\0\0\1" + nal for nal in nals if nal_type(nal) >= NAL.VPS]
    distinct = list(dict.fromkeys(sets))  # x265 repeats them with every access point
    if len(slices) != len(frames) or len(distinct) != 3:
        raise EnvironmentFault(
            f"x265 wrote {len(slices)} slices and {len(distinct)} parameter sets "
            f"for {len(frames)} frames"
        )
    return VideoFrames(slices, b"".join(distinct))


def _run_x265(
    frames: Frames,
    qps: Sequence[int],
    fps: FeatureParameterSet,
    preset: str,
    machine: Machine,
) -> bytes:
    depth = frame_depth(fps.bits)
    height, width = frames.shape[1:]
    options = x265_options(
        qps,
        lossless=bool(fps.hevc_lossless_flag),
        temporal=bool(fps.temporal_prediction_flag),
    )
    return encode_video(
        frames.astype(np.uint8 if depth == 8 else "<u2").tobytes(),
        HEVC_PROGRAM,
        pixel_format=PIXEL_FORMATS[depth],
        size=(width, height),
        options={"preset": preset, "x265-params": options},
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(frames.size),
    )


def x265_options(qps: Sequence[int], *, lossless: bool, temporal: bool) -> str:
    """The value of ``-x265-params`` for one run; ``qps`` has the QP of each frame, or of all."""
    # with up to four QPs, four references include the frame of the same QP in the preceding feature
    options = ["keyint=-1:ref=4" if temporal else "keyint=1:ref=1", _DETERMINISTIC]
    if lossless:
        options.append("lossless=1")
    else:
        options.append(f"qp={qps[0]}")
        if len(set(qps)) > 1:
            options.append(f"zones={'/'.join(_zones(qps))}")
    return ":".join(options)


def _zones(qps: Iterable[int]) -> Iterator[str]:
    """x265 zones that set the QP of each frame; zones count frames from 1."""
    start = 1
    for qp, run in groupby(qps):
        stop = start + len(list(run))
        yield f"{start},{stop - 1},q={qp}"
        start = stop
