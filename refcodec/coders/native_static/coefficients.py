"""Coefficients: the levels of a block that follow the first, in the order of a scan (clause 8.3.11.4)."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native.reconstruction import add_level
from refcodec.coders.native.workspace import Workspace
from refcodec.coders.native_static.contexts import COEFFICIENT, FINAL, LAST
from refcodec.coders.native_static.symbols import (
    DIRECTION,
    Symbols,
    code_level,
    code_number,
    half_octave,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined

__all__ = ["NEAR_SIDE", "code_coefficients"]

NEAR_SIDE = 34
"""Side of the array of neighbourhoods: that of a block, and two more."""

LARGEST_NEAR = 64

NEAR = np.array([min(half_octave(n), 12) for n in range(LARGEST_NEAR + 1)])
"""Classes of the neighbourhood of a level."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def code_coefficients(
    s: Symbols, w: Workspace, near: Int64, levels: Int32, y: int, x: int, height: int, width: int,
    shape: int, around: int,
) -> tuple[int, int, int]:  # fmt: skip
    """(8.3.11.4) Code the levels that follow the first: the number of the last one, then all in reverse.

    near : 34 x 34: receives the magnitudes of the levels of higher frequency near each level, and is 0 again
           afterwards, but for its first two rows and columns, which have no meaning.

    Returns the sum of the magnitudes of the levels, and the number of rows and of columns up to the last one
    that is not 0, the first level included.
    """
    area = height * width
    at = int(w.scan_at[height, width])
    encoding = int(s.cursor[DIRECTION])
    last = 0
    if encoding == 1:
        for k in range(1, area):
            entry = int(w.scans[at + k])
            if int(levels[y + (entry & 31), x + ((entry >> 5) & 31)]) != 0:
                last = k
    last = min(code_number(s, LAST + around * 4 + shape, last), area - 1)
    busy = COEFFICIENT + min(max(around - 3, 0) // 3, 4)
    total = 0
    rows = 1
    columns = 1
    for k in range(last, 0, -1):
        entry = int(w.scans[at + k])
        u = entry & 31
        v = (entry >> 5) & 31
        ring = min(entry >> 17, 3)
        context = busy + (int(NEAR[min(int(near[u + 2, v + 2]), LARGEST_NEAR)]) * 4 + ring) * 5
        if k == last:
            context = FINAL + shape
        near[u + 2, v + 2] = 0
        level = 0
        if encoding == 1:
            level = int(levels[y + u, x + v])
        level = code_level(s, context, level)
        if level != 0:
            add_level(w, level, u, v, height, width)
            rows = max(rows, u + 1)
            columns = max(columns, v + 1)
            magnitude = abs(level)
            total += magnitude
            near[u + 1, v + 2] = int(near[u + 1, v + 2]) + 2 * magnitude
            near[u + 2, v + 1] = int(near[u + 2, v + 1]) + 2 * magnitude
            near[u + 1, v + 1] = int(near[u + 1, v + 1]) + magnitude
            near[u, v + 2] = int(near[u, v + 2]) + magnitude
            near[u + 2, v] = int(near[u + 2, v]) + magnitude
    near[2, 2] = 0
    return total, rows, columns
