"""Packing: C x H x W samples on monochrome frames, and back (clause 8.4).

All frames of a feature have one size: a grid of tiles, each tile a channel. Channels fill the tiles row
by row in the signalled order; a new frame begins where the QP changes or the grid is full, so that every
frame has one QP. One channel per frame is a grid of one tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.syntax.codes import ChannelOrder
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = [
    "LONG_SIDE",
    "SMALLEST_SIDE",
    "Frames",
    "Layout",
    "channel_qps",
    "frame_count",
    "frame_size",
    "grid_of",
    "layout_of",
    "near_square",
    "order_of",
    "pack",
    "unpack",
]

Samples = npt.NDArray[np.int32]
Frames = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]

SMALLEST_SIDE = 16
"""Smallest side of a coded frame, in samples: HEVC's smallest coding tree block."""

LONG_SIDE = 4096
"""If one side is longer than this, the other is at least 2 * SMALLEST_SIDE: HEVC levels for such frames
forbid the smallest coding tree block."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The frame and the tile of each channel of a feature.

    frame        : int64, C: number of the frame of each channel.
    tile         : int64, C: number of its tile in that frame, in row order.
    qps          : the QP of each frame.
    columns, rows: size of the grid, in tiles.
    height, width: size of a tile, in samples.
    """

    frame: npt.NDArray[np.int64]
    tile: npt.NDArray[np.int64]
    qps: tuple[int, ...]
    columns: int
    rows: int
    height: int
    width: int

    @property
    def frame_height(self) -> int:
        """Height of the coded frames, padding included."""
        return _frame_side(self.rows * self.height, self.columns * self.width)

    @property
    def frame_width(self) -> int:
        """Width of the coded frames, padding included."""
        return _frame_side(self.columns * self.width, self.rows * self.height)


# --- normative -------------------------------------------------------------------------------------


@clause("7.5.2")
def channel_qps(fps: FeatureParameterSet, parameters: FeatureParameters) -> npt.NDArray[np.int64]:
    """(7.5.2) The QP of each channel: ``qp - qp_delta[c]``; 0 for lossless coding."""
    if parameters.qp is None:
        return np.zeros(fps.channels, dtype=np.int64)
    qps = np.full(fps.channels, parameters.qp, dtype=np.int64)
    return qps if parameters.qp_delta is None else qps - parameters.qp_delta


@clause("8.4.1")
def order_of(qps: npt.NDArray[np.int64], parameters: FeatureParameters) -> npt.NDArray[np.int64]:
    """(8.4.1) Channels in the order in which they fill the frames, given the QP of each."""
    if parameters.channel_order == ChannelOrder.EXPLICIT and parameters.channel_at is not None:
        return parameters.channel_at
    if parameters.channel_order == ChannelOrder.BY_QP:
        return np.argsort(-qps, kind="stable")  # "by decreasing QP, equal ones by channel number"
    return np.arange(len(qps))


@clause("8.4.1")
def layout_of(fps: FeatureParameterSet, parameters: FeatureParameters) -> Layout:
    """(8.4.1) Derive the frame and the tile of each channel."""
    qps = channel_qps(fps, parameters)
    order = order_of(qps, parameters)
    columns, rows = grid_of(fps)
    ordered = qps[order]
    changes = np.diff(ordered, prepend=ordered[0] + 1) != 0  # here a run of one QP begins
    starts = np.flatnonzero(changes)
    place = np.arange(fps.channels) - starts[np.cumsum(changes) - 1]  # of a channel in its run
    tiles = place % (columns * rows)
    frame = np.empty(fps.channels, dtype=np.int64)
    tile = np.empty(fps.channels, dtype=np.int64)
    frame[order] = np.cumsum(tiles == 0) - 1
    tile[order] = tiles
    frames = tuple(ordered[tiles == 0].tolist())
    return Layout(frame, tile, frames, columns, rows, fps.height, fps.width)


@clause("8.4.2")
def unpack(frames: Frames, layout: Layout) -> Samples:
    """(8.4.2) Take the channels out of the decoded frames.

    frames : F x frame_height x frame_width.

    Returns int32, C x H x W. Samples outside the occupied tiles are discarded.
    """
    tiles = frames[:, : layout.rows * layout.height, : layout.columns * layout.width]
    tiles = tiles.reshape(len(frames), layout.rows, layout.height, layout.columns, layout.width)
    row, column = np.divmod(layout.tile, layout.columns)
    return tiles[layout.frame, row, :, column, :].astype(np.int32)


def _frame_side(tiles: int, other: int) -> int:
    """A side of the coded frames, given that of the grid of tiles and the grid's other side."""
    return max(tiles, SMALLEST_SIDE if other <= LONG_SIDE else 2 * SMALLEST_SIDE)


def grid_of(fps: FeatureParameterSet) -> tuple[int, int]:
    """Columns and rows of tiles."""
    return (fps.tile_columns_minus1 or 0) + 1, (fps.tile_rows_minus1 or 0) + 1


def frame_size(fps: FeatureParameterSet) -> tuple[int, int]:
    """Height and width of the coded frames, padding included."""
    columns, rows = grid_of(fps)
    height, width = rows * fps.height, columns * fps.width
    return _frame_side(height, width), _frame_side(width, height)


def frame_count(fps: FeatureParameterSet, parameters: FeatureParameters) -> int:
    """Number of frames of a feature: that of `layout_of`, without the layout."""
    qps = channel_qps(fps, parameters)
    ordered = qps[order_of(qps, parameters)]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] + 1))
    columns, rows = grid_of(fps)
    return int((-(-np.diff(starts, append=len(qps)) // (columns * rows))).sum())


# --- informative -----------------------------------------------------------------------------------


def near_square(tiles: int, height: int, width: int) -> tuple[int, int]:
    """The grid (columns, rows) for a number of equal tiles whose frame is nearest to a square.

    Among the grids without an empty row, the one with the shortest longer side, then the least area.
    """

    def near(ideal: float) -> range:
        return range(max(1, int(ideal) - 1), int(ideal) + 3)

    columns = {min(tiles, count) for count in near((tiles * height / width) ** 0.5)}
    columns |= {-(-tiles // rows) for rows in near((tiles * width / height) ** 0.5)}
    grids = [(count, -(-tiles // count)) for count in columns]
    return min(grids, key=lambda g: (max(g[0] * width, g[1] * height), g[0] * g[1], g))


def pack(samples: Samples, layout: Layout) -> Frames:
    """Lay the channels out on frames; free space replicates its neighbours.

    samples : int32, C x H x W, each at most 65,535.

    Returns uint16, F x frame_height x frame_width. An empty tile repeats the last column of the
    tile on its left, empty rows repeat the row above: both cost almost no bits.
    """
    height, width = layout.height, layout.width
    frames = np.zeros((len(layout.qps), layout.frame_height, layout.frame_width), dtype=np.uint16)
    tiles = frames[:, : layout.rows * height, : layout.columns * width]
    tiles = tiles.reshape(len(frames), layout.rows, height, layout.columns, width)
    row, column = np.divmod(layout.tile, layout.columns)
    tiles[layout.frame, row, :, column, :] = samples  # a view: splitting axes copies nothing
    for number, frame in enumerate(frames):
        last_row, last_column = divmod(
            int(layout.tile[layout.frame == number].max()), layout.columns
        )
        top, bottom = last_row * height, (last_row + 1) * height
        right = (last_column + 1) * width
        frame[top:bottom, right:] = frame[top:bottom, right - 1 : right]
        if last_row > 0:
            edge = layout.columns * width
            frame[:top, edge:] = frame[:top, edge - 1 : edge]
        frame[bottom:] = frame[bottom - 1]
    return frames
