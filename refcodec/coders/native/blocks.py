"""Blocks: the temporal decision, the first level, and the contexts of the next blocks (clause 8.3.7.5)."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native.coefficients import code_coefficients
from refcodec.coders.native.decisions import (
    FAMILIES,
    LONGEST_UNARY,
    bucket,
    code_decision,
    code_magnitude,
    size_class,
)
from refcodec.coders.native.reconstruction import reconstruct_block
from refcodec.coders.native.transform import LARGEST_BLOCK
from refcodec.coders.native.workspace import (
    ABOVE_ACTIVITY,
    ABOVE_MEAN,
    ABOVE_SIZE,
    ABOVE_TEMPORAL,
    ACTIVITY,
    LEFT_ACTIVITY,
    LEFT_MEAN,
    LEFT_SIZE,
    LEFT_TEMPORAL,
    MEAN,
    STEP,
    Workspace,
    edge_mean,
)
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import inlined

__all__ = ["ROOTS", "code_block"]

DC = FAMILIES["dc"]
DC_SIGN = FAMILIES["dc_sign"]
TEMPORAL = FAMILIES["temporal"]

ROOTS = np.array([round(16 * n**0.5) for n in range(LARGEST_BLOCK**2 + 1)])
"""Square roots of 0 to 1024, in units of 2^-4."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_block(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, samples: Int32, displaced: Int32,
    y: int, x: int, height: int, width: int, temporal: int,
) -> int:  # fmt: skip
    """(8.3.7.5) Code one block and reconstruct it; returns 1 if it is predicted from the reference feature.

    displaced : displaced samples of the reference feature, H x W, or an empty array.
    """
    area = height * width
    shape = size_class(height, width)
    beside = 0
    if y > 0 and x > 0:
        beside = (
            edge_mean(w, ABOVE_ACTIVITY, y, x, width)
            + edge_mean(w, LEFT_ACTIVITY, x, y, height)
            + 1
        ) >> 1
    elif y > 0:
        beside = edge_mean(w, ABOVE_ACTIVITY, y, x, width)
    elif x > 0:
        beside = edge_mean(w, LEFT_ACTIVITY, x, y, height)
    else:
        beside = int(w.channel[ACTIVITY]) >> 4
    beside = bucket(beside)
    bottom = (y + height + 3) >> 2
    right = (x + width + 3) >> 2
    behind = 0
    for i in range(y >> 2, bottom):
        for j in range(x >> 2, right):
            behind += int(w.field[i, j])
    behind = bucket(behind // ((bottom - (y >> 2)) * (right - (x >> 2))))
    around = bucket(int(w.channel[ACTIVITY]) >> 4)

    if displaced.shape[0] == 0:
        temporal = 0
    else:
        temporal = code_temporal(coder, data, w, y, x, shape, beside, behind, around, temporal)
    displaced_mean = 0
    if temporal == 1:
        for i in range(y, y + height):
            for j in range(x, x + width):
                displaced_mean += int(displaced[i, j])
        displaced_mean = (displaced_mean << 24) // (area * int(w.channel[STEP]))

    dc, residual = code_dc(
        coder, data, w, levels, y, x, height, width,
        shape, beside, behind, around, temporal, displaced_mean,
    )  # fmt: skip
    total = abs(residual)
    if area > 1:
        total += code_coefficients(
            coder, data, w, levels, y, x, height, width,
            shape, beside, behind, around, abs(dc), abs(residual),
        )  # fmt: skip
    reconstruct_block(w, levels, samples, displaced, y, x, height, width, temporal)

    activity = min((total << 6) // area, 255)
    for i in range(x, x + width):
        w.edges[ABOVE_ACTIVITY, i] = activity
        w.edges[ABOVE_SIZE, i] = min(shape, 2)
        w.edges[ABOVE_TEMPORAL, i] = temporal
    for i in range(y, y + height):
        w.edges[LEFT_ACTIVITY, i] = activity
        w.edges[LEFT_SIZE, i] = min(shape, 2)
        w.edges[LEFT_TEMPORAL, i] = temporal
    for i in range(y >> 2, bottom):
        for j in range(x >> 2, right):
            before = int(w.field[i, j])
            w.field[i, j] = before + ((4 * activity - before) >> 2)
    w.channel[ACTIVITY] = int(w.channel[ACTIVITY]) + (
        (16 * activity - int(w.channel[ACTIVITY])) >> 3
    )
    return temporal


@inlined
def code_temporal(
    coder: Int64, data: Uint8, w: Workspace, y: int, x: int, shape: int, beside: int, behind: int,
    around: int, temporal: int,
) -> int:  # fmt: skip
    """(8.3.7.5) Code the temporal decision, 1 if a block is predicted from the reference; returns it."""
    above = 2 if y == 0 else int(w.edges[ABOVE_TEMPORAL, x])
    left = 2 if x == 0 else int(w.edges[LEFT_TEMPORAL, y])
    contexts = (
        shape * 9 + above * 3 + left,
        beside * 4 + shape,
        behind * 4 + shape,
        around * 4 + shape,
        above * 3 + left,
        shape,
    )
    return code_decision(coder, data, w, TEMPORAL, contexts, shape, 0, temporal)


@inlined
def code_dc(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, y: int, x: int, height: int, width: int,
    shape: int, beside: int, behind: int, around: int, temporal: int, displaced_mean: int,
) -> tuple[int, int]:  # fmt: skip
    """(8.3.7.5) Code the first level of a block, minus its prediction from the means of its neighbours.

    Means are in units of 2^-8 steps. ``displaced_mean`` is that of the displaced samples if the block is
    predicted from them, else 0; the first level is then coded without prediction. Returns the level and its
    residual.
    """
    root = int(ROOTS[height * width])  # of the area, in units of 2^-4
    above = 0
    left = 0
    contrast = 0
    if y > 0:
        above = edge_mean(w, ABOVE_MEAN, y, x, width)
    if x > 0:
        left = edge_mean(w, LEFT_MEAN, x, y, height)
    if y > 0 and x > 0:
        mean = (above + left) >> 1
        contrast = bucket((abs(above - left) * root) >> 12)
    elif y > 0:
        mean = above
    elif x > 0:
        mean = left
    else:
        mean = int(w.channel[MEAN])
    if temporal == 1:
        mean = 0
    prediction = (mean * root + 2048) >> 12
    expected = bucket(abs(prediction))
    border = int(y == 0 and x == 0)
    contexts = (
        (shape * 12 + expected) * 2 + border,
        beside * 12 + expected,
        behind * 12 + expected,
        around * 12 + expected,
        contrast * 12 + expected,
        min(abs(prediction), 47) * 4 + shape,
    )
    residual = int(levels[y, x]) - prediction
    magnitude = code_magnitude(
        coder, data, w, DC, contexts, shape, abs(residual), 0, LONGEST_UNARY, 1
    )
    if magnitude > 0:
        negative = code_decision(coder, data, w, DC_SIGN, contexts, shape, 0, int(residual < 0))
        residual = -magnitude if negative == 1 else magnitude
    else:
        residual = 0
    level = min(max(prediction + residual, -(1 << 25)), 1 << 25)
    levels[y, x] = level
    mean = displaced_mean + level * 4096 // root
    for i in range(x, x + width):
        w.edges[ABOVE_MEAN, i] = mean
    for i in range(y, y + height):
        w.edges[LEFT_MEAN, i] = mean
    if y == 0 and x == 0:
        w.channel[MEAN] = int(w.channel[MEAN]) + ((mean - int(w.channel[MEAN])) >> 2)
    return level, residual
