"""Grids: the blocks of a channel at every depth of splitting."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from refcodec.coders.native.channels import geometry
from refcodec.coders.native.tree import SPLIT_FROM
from refcodec.entropy.arrays import Int64

__all__ = ["Division", "Grid", "division", "list_blocks", "split_grids"]

Grid = tuple[Int64, Int64]
"""Boundaries of rows and columns, from 0 to H and W."""


class Division(NamedTuple):
    """The blocks of a channel at every depth of splitting; see `split_grids` and `list_blocks`."""

    grids: list[Grid]
    blocks: Int64
    starts: Int64


@lru_cache(64)
def division(height: int, width: int, block: int, depths: int) -> Division:
    """Divide a channel into largest blocks of one side, whole, split once, and so on."""
    ys, xs = geometry(height, width, block)[:2]
    grids = split_grids(ys, xs, depths)
    return Division(grids, *list_blocks(grids))


def split_grids(ys: Int64, xs: Int64, depths: int) -> list[Grid]:
    """Boundaries of blocks when all are whole, split once, split twice, ..."""
    grids = [(ys, xs)]
    while len(grids) <= depths:
        finer = _halves(grids[-1][0]), _halves(grids[-1][1])
        if len(finer[0]) == len(grids[-1][0]) and len(finer[1]) == len(grids[-1][1]):
            break
        grids.append(finer)
    return grids


def _halves(boundaries: Int64) -> Int64:
    """Boundaries after splitting all parts that can be split, the first half being the longer one."""
    parts = [boundaries[:1]]
    for start, stop in pairwise(boundaries):
        middle = [start + (stop - start + 1) // 2] if stop - start >= SPLIT_FROM else []
        parts.append(np.array([*middle, stop]))
    return np.concatenate(parts)


def list_blocks(
    grids: list[Grid],
) -> tuple[Int64, Int64]:
    """List all blocks as (y, x, height, width), depth by depth, and the number of the first at each depth.

    grids : boundaries of rows and columns at each depth.
    """
    blocks = [
        (y, x, below - y, right - x)
        for ys, xs in grids
        for y, below in pairwise(ys.tolist())
        for x, right in pairwise(xs.tolist())
    ]
    counts = [(len(ys) - 1) * (len(xs) - 1) for ys, xs in grids]
    return np.array(blocks), np.cumsum([0, *counts])
