"""Tree of blocks: a largest block, whole or split (clause 8.3.7.4)."""

from __future__ import annotations

from refcodec.coders.native.blocks import code_block
from refcodec.coders.native.decisions import FAMILIES, bucket, code_decision, size_class
from refcodec.coders.native.workspace import (
    ABOVE_ACTIVITY,
    ABOVE_SIZE,
    ACTIVITY,
    LEFT_ACTIVITY,
    LEFT_SIZE,
    Workspace,
    edge_mean,
)
from refcodec.entropy.arithmetic import MOST_OVERRUN, OVERRUN
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import inlined, kernel

__all__ = ["SPLIT_FROM", "STACK_SIZE", "TEMPORAL_MARK", "code_tree"]

SPLIT = FAMILIES["split"]

SPLIT_FROM = 6
"""Shortest side that can be split: into halves, the first the longer one."""

TEMPORAL_MARK = 4096
"""Added in ``sizes`` to the size of a block that is predicted from the displaced reference feature."""

STACK_SIZE = 16
"""Three blocks wait at each of three splits, and one is being coded."""


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_tree(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, sizes: Int32, samples: Int32,
    displaced: Int32, y: int, x: int, height: int, width: int,
) -> None:  # fmt: skip
    """(8.3.7.4) Code a largest block: whole, or split into two or four, recursively down to sides below 6.

    ``w.stack`` holds the blocks to be coded, the next one on top.
    """
    push(w, 0, y, x, height, width)
    count = 1
    while count > 0 and int(coder[OVERRUN]) <= MOST_OVERRUN:
        count -= 1
        y = int(w.stack[count, 0])
        x = int(w.stack[count, 1])
        height = int(w.stack[count, 2])
        width = int(w.stack[count, 3])
        split = 0
        if height >= SPLIT_FROM or width >= SPLIT_FROM:
            split = int((int(sizes[y, x]) & 4095) != height * 64 + width)
            split = code_split(coder, data, w, y, x, height, width, split)
        if split == 0:
            temporal = int(sizes[y, x]) >> 12
            temporal = code_block(
                coder, data, w, levels, samples, displaced, y, x, height, width, temporal
            )
            sizes[y, x] = height * 64 + width + temporal * TEMPORAL_MARK
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
def push(w: Workspace, count: int, y: int, x: int, height: int, width: int) -> None:
    """(8.3.7.4) Put a block on the stack."""
    w.stack[count, 0] = y
    w.stack[count, 1] = x
    w.stack[count, 2] = height
    w.stack[count, 3] = width


@kernel
def code_split(
    coder: Int64, data: Uint8, w: Workspace, y: int, x: int, height: int, width: int, split: int
) -> int:
    """(8.3.7.4) Code the split decision of a block, 1 if it is split; returns it."""
    shape = size_class(height, width)
    above = 3 if y == 0 else int(w.edges[ABOVE_SIZE, x])
    left = 3 if x == 0 else int(w.edges[LEFT_SIZE, y])
    contexts = (
        shape * 16 + above * 4 + left,
        bucket(int(w.channel[ACTIVITY]) >> 4) * 4 + shape,
        bucket(int(w.field[(y + (height >> 1)) >> 2, (x + (width >> 1)) >> 2])) * 4 + shape,
        shape,
        bucket(edge_mean(w, ABOVE_ACTIVITY, y, x, width)) * 4 + shape,
        bucket(edge_mean(w, LEFT_ACTIVITY, x, y, height)) * 4 + shape,
    )
    return code_decision(coder, data, w, SPLIT, contexts, shape, 0, split)
