"""Decoding of HEVC payloads (clause 8.3.6): slices to frames to channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.ffmpeg import decode_hevc
from refcodec.coders.hevc.checks import (
    IDR,
    check_parameter_sets,
    frame_depth,
    wrong_count,
    wrong_picture,
)
from refcodec.coders.protocol import Machine, Payload, Samples
from refcodec.errors import PayloadError
from refcodec.pack import Frames, Layout, layout_of, unpack
from refcodec.syntax.hevc import NAL, nal_type, split_nals
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PIXEL_FORMATS", "decode", "decode_frames", "take_channels"]

PIXEL_FORMATS = {8: "gray", 10: "gray10le", 12: "gray12le"}
"""ffmpeg's names of monochrome frames, by bit depth."""


@clause("8.3.6")
def decode(run: Sequence[Payload], machine: Machine) -> Iterator[Samples]:
    """(8.3.6) Decode consecutive features of one parameter set; the first must be an access point.

    Yields int32 samples, C x H x W, clipped to the bits of the quantiser.
    """
    fps = run[0].fps
    for error in check_parameter_sets(fps):
        raise error
    layouts = [layout_of(fps, one.parameters) for one in run]
    for one, layout in zip(run, layouts, strict=True):
        nals = split_nals(one.data, one.bit_offset)
        kinds = [nal_type(nal) for _, nal in nals]
        if len(kinds) != len(layout.qps) or max(kinds) >= NAL.VPS:
            raise wrong_count(len(kinds), len(layout.qps), one.bit_offset)
        if one is run[0] and kinds[0] not in IDR:  # ffmpeg would miss its reference
            raise wrong_picture(0, nals[0][1], one.bit_offset, idr=True)
    count = sum(len(layout.qps) for layout in layouts)
    slices = b"".join(one.data for one in run)
    try:
        frames = decode_frames(slices, count, layouts[0], fps, machine)
    except PayloadError as error:
        error.bit_offset = run[0].bit_offset
        raise
    yield from take_channels(frames, layouts, fps)


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
    slices: bytes, count: int, layout: Layout, fps: FeatureParameterSet, machine: Machine
) -> Frames:
    """Decode slices that follow the parameter set's own; exactly ``count`` frames must come back."""
    depth = frame_depth(fps.bits)
    height, width = layout.frame_height, layout.frame_width
    sample: np.dtype[Any] = np.dtype(np.uint8 if depth == 8 else "<u2")
    raw = decode_hevc(
        (fps.parameter_sets or b"") + slices,
        pixel_format=PIXEL_FORMATS[depth],
        size=count * height * width * sample.itemsize,
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(count * height * width),
    )
    return np.frombuffer(raw, sample).reshape(count, height, width)
