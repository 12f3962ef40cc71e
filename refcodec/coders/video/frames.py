"""From the payloads of a video standard to frames and channels (clauses 8.3.6 and 8.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refcodec.coders.ffmpeg import Program, decode_video
from refcodec.coders.protocol import Machine, Samples
from refcodec.pack import Frames, Layout, unpack
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PIXEL_FORMATS", "decode_frames", "frame_depth", "take_channels"]

PIXEL_FORMATS = {8: "gray", 10: "gray10le", 12: "gray12le"}
"""ffmpeg's names of monochrome frames, by bit depth."""


def frame_depth(bits: int) -> int:
    """Bit depth of the frames that carry samples of ``bits`` bits: the least of 8, 10 and 12."""
    return next(depth for depth in PIXEL_FORMATS if depth >= bits)


def take_channels(
    frames: Frames, layouts: Sequence[Layout], fps: FeatureParameterSet
) -> Iterator[Samples]:
    """Unpack the frames of consecutive features; "samples above the range of the quantiser are clipped"."""
    top = (1 << fps.bits) - 1
    first = 0
    for layout in layouts:
        own = frames[first : first + len(layout.qps)]
        first += len(layout.qps)
        samples = unpack(own, layout)
        yield np.minimum(samples, top, out=samples)


def decode_frames(
    payloads: bytes,
    program: Program,
    count: int,
    layout: Layout,
    fps: FeatureParameterSet,
    machine: Machine,
) -> Frames:
    """Decode payloads that follow the parameter set's own; exactly ``count`` frames must come back."""
    depth = frame_depth(fps.bits)
    height, width = layout.frame_height, layout.frame_width
    sample: np.dtype[Any] = np.dtype(np.uint8 if depth == 8 else "<u2")
    raw = decode_video(
        program.standard.assemble(fps.parameter_sets or b"", payloads),
        program,
        pixel_format=PIXEL_FORMATS[depth],
        size=count * height * width * sample.itemsize,
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(count * height * width),
    )
    return np.frombuffer(raw, sample).reshape(count, height, width)
