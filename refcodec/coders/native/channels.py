"""Channels: largest blocks, the displaced reference, and all levels of a feature (clause 8.3.7.2)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native.coefficients import scan
from refcodec.coders.native.head import (
    BLOCK,
    DEPENDENT_QUANTISATION,
    FREQUENCY_SLOPE,
    ORIGIN,
    POINTS,
    SHIFT_DOWN,
    SHIFT_RIGHT,
    Bounds,
)
from refcodec.coders.native.samples import code_samples
from refcodec.coders.native.transform import LARGEST_BLOCK
from refcodec.coders.native.tree import SPLIT_FROM, code_tree
from refcodec.coders.native.workspace import COUPLED, LARGEST, LEAST, POINT, SLOPE, STEP, Workspace
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["Geometry", "Planes", "Setting", "code_levels", "cuts", "displace", "geometry"]


class Planes(NamedTuple):
    """Levels, block sizes and samples of a feature, all int32.

    levels    : C x H x W.
    sizes     : of blocks, at their first samples, C x H x W; for a decoder 1 x H x W suffices.
    samples   : C x H x W, receives the reconstruction.
    displaced : displaced samples of the reference feature, C x H x W; C x 0 x 0 if there is none.
    """

    levels: Int32
    sizes: Int32
    samples: Int32
    displaced: Int32


class Setting(NamedTuple):
    """Parameters of a feature that are known before its first level.

    head    : head of its payload.
    steps   : step of each channel, in units of 2^-16 samples.
    least   : least sample value.
    largest : largest sample value.
    ys, xs  : boundaries of the largest blocks.
    """

    head: Int64
    steps: Int64
    least: int
    largest: int
    ys: Int64
    xs: Int64


class Geometry(NamedTuple):
    """Boundaries of the largest blocks, and the scans of all blocks that can occur in them.

    ys, xs  : boundaries of rows and columns, from 0 to H and W.
    scans   : concatenated scans, see ``coefficients.scan``.
    scan_at : position of the scan of a block height x width in them, 33 x 33.
    """

    ys: Int64
    xs: Int64
    scans: Int64
    scan_at: Int64


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.7.2")
def cuts(length: int, block: int) -> Int64:
    """(8.3.7.2) Boundaries of the fewest parts of nearly equal length not above ``block``."""
    count = -(-length // block)
    return np.array([i * length // count for i in range(count + 1)])


@lru_cache(64)
def geometry(height: int, width: int, block: int) -> Geometry:
    """(8.3.7.2) Divide rows and columns into largest blocks, and list the scans of all blocks in them."""
    ys, xs = cuts(height, block), cuts(width, block)
    return Geometry(ys, xs, *_scans(_lengths(ys), _lengths(xs)))


@lru_cache(16)
def _scans(heights: frozenset[int], widths: frozenset[int]) -> tuple[Int64, Int64]:
    at = np.zeros((LARGEST_BLOCK + 1, LARGEST_BLOCK + 1), np.int64)
    parts, position = [], 0
    for height in sorted(heights):
        for width in sorted(widths):
            at[height, width] = position
            parts.append(scan(height, width))
            position += height * width
    return np.concatenate(parts), at


def _lengths(boundaries: Int64) -> frozenset[int]:
    """All lengths of blocks between these boundaries, whole or split."""
    found: set[int] = set()
    new = {int(n) for n in np.diff(boundaries)}
    while new:
        found |= new
        new = {part for n in new if n >= SPLIT_FROM for part in ((n + 1) // 2, n // 2)} - found
    return frozenset(found)


@kernel
def displace(reference_feature: Int32, head: Int64, bounds: Bounds, displaced: Int32) -> None:
    """(8.3.7.2) Displace and clip the samples of the reference feature; borders are repeated."""
    height = reference_feature.shape[1]
    width = reference_feature.shape[2]
    for c in range(reference_feature.shape[0]):
        for y in range(height):
            row = min(max(y + int(head[SHIFT_DOWN]), 0), height - 1)
            for x in range(width):
                column = min(max(x + int(head[SHIFT_RIGHT]), 0), width - 1)
                sample = int(reference_feature[c, row, column])
                sample = min(max(sample, bounds.least), bounds.largest)
                displaced[c, y, x] = sample


@kernel
def code_levels(coder: Int64, data: Uint8, w: Workspace, setting: Setting, planes: Planes) -> None:
    """(8.3.7.2) Code all channels of a feature, one after the other."""
    head = setting.head
    steps = setting.steps
    ys = setting.ys
    xs = setting.xs
    levels = planes.levels
    sizes = planes.sizes
    w.channel[LEAST] = setting.least
    w.channel[LARGEST] = setting.largest
    w.channel[SLOPE] = int(head[FREQUENCY_SLOPE])
    w.channel[COUPLED] = int(head[DEPENDENT_QUANTISATION])
    for i in range(3):
        w.channel[POINT + 1 + i] = int(head[POINTS + i])
    for c in range(levels.shape[0]):
        w.channel[STEP] = int(steps[c])
        if int(head[BLOCK]) == 0:
            code_samples(coder, data, w, levels, planes.samples, c, int(head[ORIGIN]))
            continue
        plane = min(c, sizes.shape[0] - 1)
        for i in range(ys.shape[0] - 1):
            for j in range(xs.shape[0] - 1):
                y = int(ys[i])
                x = int(xs[j])
                code_tree(
                    coder, data, w, levels[c], sizes[plane], planes.samples[c], planes.displaced[c],
                    y, x, int(ys[i + 1]) - y, int(xs[j + 1]) - x,
                )  # fmt: skip
