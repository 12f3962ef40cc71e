"""The layout of channels on frames, and back: clause 8.4."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .bits import Integers
from .codes import ChannelOrder
from .syntax import FeatureParameterSet, Parameters


class Place(NamedTuple):
    """The frame and the tile of a channel."""

    frame: int
    tile: int


class Layout(NamedTuple):
    """Places by channel number, and the QP of each frame; there are F of them."""

    places: list[Place]
    frame_qps: list[int]


def least_side(other: int) -> int:
    """*s* of 8.4.1: the least side of a frame whose other side is known."""
    return 16 if other <= 4096 else 32


def frame_size(fps: FeatureParameterSet) -> tuple[int, int]:
    """*frameWidth* and *frameHeight* (8.4.1)."""
    width, height = fps.tile_columns * fps.width, fps.tile_rows * fps.height
    return max(width, least_side(height)), max(height, least_side(width))


def channel_sequence(parameters: Parameters) -> list[int]:
    """Channels in the order in which they are placed (8.4.1)."""
    qps = [int(qp) for qp in parameters.qps]
    if parameters.channel_order == ChannelOrder.BY_QP:
        return sorted(range(len(qps)), key=lambda channel: (-qps[channel], channel))
    return [int(channel) for channel in parameters.channel_at]  # by number, unless it is EXPLICIT


def layout(fps: FeatureParameterSet, parameters: Parameters) -> Layout:
    """Place channels on tiles: a new frame begins where the QP changes or the frame is full (8.4.1)."""
    places = [Place(0, 0)] * fps.channels
    frame_qps: list[int] = []
    tile = 0
    for channel in channel_sequence(parameters):
        qp = int(parameters.qps[channel])
        if not frame_qps or qp != frame_qps[-1] or tile == fps.tile_columns * fps.tile_rows:
            frame_qps.append(qp)
            tile = 0
        places[channel] = Place(len(frame_qps) - 1, tile)
        tile += 1
    return Layout(places, frame_qps)


def unpack(frames: Integers, fps: FeatureParameterSet, parameters: Parameters) -> Integers:
    """Take the channels out of the frames of a feature (8.4.2): C x H x W of F x rows x columns."""
    samples = np.zeros(fps.shape, np.int64)
    for channel, (frame, tile) in enumerate(layout(fps, parameters).places):
        row, column = divmod(tile, fps.tile_columns)
        y, x = row * fps.height, column * fps.width
        samples[channel] = frames[frame, y : y + fps.height, x : x + fps.width]
    return samples
