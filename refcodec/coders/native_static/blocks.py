"""Blocks: the tree of a largest block, first levels and activities (clause 8.3.11.3)."""

from __future__ import annotations

from refcodec.coders.native.blocks import ROOTS
from refcodec.coders.native.decisions import size_class
from refcodec.coders.native.reconstruction import add_level
from refcodec.coders.native.transform import inverse_block
from refcodec.coders.native.tree import SPLIT_FROM, push
from refcodec.coders.native.workspace import (
    ABOVE_ACTIVITY,
    ABOVE_MEAN,
    ABOVE_SIZE,
    ACTIVITY,
    LARGEST,
    LEAST,
    LEFT_ACTIVITY,
    LEFT_MEAN,
    LEFT_SIZE,
    MEAN,
    Workspace,
    edge_mean,
)
from refcodec.coders.native_static.coefficients import code_coefficients
from refcodec.coders.native_static.contexts import DC, SPLIT
from refcodec.coders.native_static.symbols import (
    DIRECTION,
    Symbols,
    code_level,
    code_symbol,
    half_octave,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined

__all__ = ["code_tree"]


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_tree(
    s: Symbols, w: Workspace, near: Int64, levels: Int32, sizes: Int32, samples: Int32,
    y: int, x: int, height: int, width: int,
) -> None:  # fmt: skip
    """(8.3.11.3) Code a largest block: whole, or split into two or four, recursively down to sides below 6.

    ``w.stack`` holds the blocks to be coded, the next one on top.
    """
    push(w, 0, y, x, height, width)
    count = 1
    while count > 0:
        count -= 1
        y = int(w.stack[count, 0])
        x = int(w.stack[count, 1])
        height = int(w.stack[count, 2])
        width = int(w.stack[count, 3])
        around = activity_class(w, y, x, height, width)
        split = 0
        if height >= SPLIT_FROM or width >= SPLIT_FROM:
            shape = size_class(height, width)
            smaller = int(y > 0 and int(w.edges[ABOVE_SIZE, x]) < shape)
            smaller += int(x > 0 and int(w.edges[LEFT_SIZE, y]) < shape)
            if int(s.cursor[DIRECTION]) == 1:
                split = int(int(sizes[y, x]) != height * 64 + width)
            split = code_symbol(s, SPLIT + around * 3 + smaller, split)
        if split == 0:
            code_block(s, w, near, levels, samples, y, x, height, width, around)
            continue
        top = (height + 1) >> 1 if height >= SPLIT_FROM else height
        left = (width + 1) >> 1 if width >= SPLIT_FROM else width
        if top < height and left < width:
            push(w, count, y + top, x + left, height - top, width - left)
            count += 1
        if top < height:
            push(w, count, y + top, x, height - top, left)
            count += 1
        if left < width:
            push(w, count, y, x + left, top, width - left)
            count += 1
        push(w, count, y, x, top, left)
        count += 1


@inlined
def activity_class(w: Workspace, y: int, x: int, height: int, width: int) -> int:
    """(8.3.11.3) The class of the activity that is expected of a block, 0 to 17.

    It is expected from the blocks above and to the left, the preceding channels at its place, and the
    preceding blocks of all channels. Activities are in units of 2^-6.
    """
    around = int(w.channel[ACTIVITY]) >> 4
    beside = around
    if y > 0 and x > 0:
        beside = int(w.edges[ABOVE_ACTIVITY, x]) + int(w.edges[ABOVE_ACTIVITY, x + width - 1])
        beside += int(w.edges[LEFT_ACTIVITY, y]) + int(w.edges[LEFT_ACTIVITY, y + height - 1])
        beside >>= 2
    elif y > 0:
        beside = int(w.edges[ABOVE_ACTIVITY, x]) + int(w.edges[ABOVE_ACTIVITY, x + width - 1])
        beside >>= 1
    elif x > 0:
        beside = int(w.edges[LEFT_ACTIVITY, y]) + int(w.edges[LEFT_ACTIVITY, y + height - 1])
        beside >>= 1
    bottom = (y + height + 3) >> 2
    right = (x + width + 3) >> 2
    behind = 0
    for i in range(y >> 2, bottom):
        for j in range(x >> 2, right):
            behind += int(w.field[i, j])
    behind //= (bottom - (y >> 2)) * (right - (x >> 2))
    return min(half_octave((16 * beside + 3 * behind + 4 * around) >> 5), 17)


@inlined
def code_block(
    s: Symbols, w: Workspace, near: Int64, levels: Int32, samples: Int32,
    y: int, x: int, height: int, width: int, around: int,
) -> None:  # fmt: skip
    """(8.3.11.3) Code one block and reconstruct it.

    around : class of the activity that is expected of it.
    """
    area = height * width
    shape = size_class(height, width)
    total = code_dc(s, w, levels, y, x, height, width, shape, around)
    rows = 1
    columns = 1
    if area > 1:
        rest, rows, columns = code_coefficients(
            s, w, near, levels, y, x, height, width, shape, around
        )
        total += rest
    least = int(w.channel[LEAST])
    largest = int(w.channel[LARGEST])
    inverse_block(w.rows, samples, y, x, height, width, rows, columns, least, largest)

    activity = min((total << 6) // area, 4095)
    for i in range(x, x + width):
        w.edges[ABOVE_ACTIVITY, i] = activity
        w.edges[ABOVE_SIZE, i] = shape
    for i in range(y, y + height):
        w.edges[LEFT_ACTIVITY, i] = activity
        w.edges[LEFT_SIZE, i] = shape
    for i in range(y >> 2, (y + height + 3) >> 2):
        for j in range(x >> 2, (x + width + 3) >> 2):
            before = int(w.field[i, j])
            w.field[i, j] = before + ((4 * activity - before) >> 2)
    w.channel[ACTIVITY] = int(w.channel[ACTIVITY]) + (
        (16 * activity - int(w.channel[ACTIVITY])) >> 3
    )


@inlined
def code_dc(
    s: Symbols, w: Workspace, levels: Int32, y: int, x: int, height: int, width: int, shape: int,
    around: int,
) -> int:  # fmt: skip
    """(8.3.11.3) Code the first level of a block, minus its prediction from the means of its neighbours.

    Means are in units of 2^-8 steps. Returns the magnitude of the residual.
    """
    root = int(ROOTS[height * width])  # of the area, in units of 2^-4
    above = edge_mean(w, ABOVE_MEAN, y, x, width)
    left = edge_mean(w, LEFT_MEAN, x, y, height)
    contrast = 0
    if y > 0 and x > 0:
        mean = (above + left) >> 1
        contrast = min((abs(above - left) * root) >> 12, 2)
    elif y > 0 or x > 0:
        mean = above + left  # one is 0
    else:
        mean = int(w.channel[MEAN])
    prediction = (mean * root + 2048) >> 12
    context = DC + (around * 4 + shape) * 3 + contrast
    residual = 0
    if int(s.cursor[DIRECTION]) == 1:
        residual = int(levels[y, x]) - prediction
    residual = code_level(s, context, residual)
    level = min(max(prediction + residual, -(1 << 25)), 1 << 25)
    add_level(w, level, 0, 0, height, width)
    mean = level * 4096 // root
    for i in range(x, x + width):
        w.edges[ABOVE_MEAN, i] = mean
    for i in range(y, y + height):
        w.edges[LEFT_MEAN, i] = mean
    if y == 0 and x == 0:
        w.channel[MEAN] = int(w.channel[MEAN]) + ((mean - int(w.channel[MEAN])) >> 2)
    return abs(residual)
