"""Parts that both ways of choosing the levels of a block share, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.decisions import bit_length
from refcodec.entropy.arrays import Int32
from refcodec.kernel import compiled

__all__ = ["choose_first", "neighbours"]

Floats = npt.NDArray[np.float32]


@compiled
def choose_first(plane: Floats, levels: Int32, strength: float, y: int, x: int) -> float:
    """Round the first level of a block; returns the estimated cost of its bits."""
    first = plane[y, x]
    levels[y, x] = int(np.rint(first))
    return strength * (2.0 + 1.5 * bit_length(int(0.5 * abs(first) + 0.5)))


@compiled
def neighbours(levels: Int32, y: int, x: int, u: int, v: int, height: int, width: int) -> int:
    """Sum of the neighbouring magnitudes of higher frequency, nearer ones twice (8.3.7.6)."""
    near = 0
    if u + 1 < height:
        near += 2 * abs(levels[y + u + 1, x + v])
        if v + 1 < width:
            near += abs(levels[y + u + 1, x + v + 1])
        if u + 2 < height:
            near += abs(levels[y + u + 2, x + v])
    if v + 1 < width:
        near += 2 * abs(levels[y + u, x + v + 1])
        if v + 2 < width:
            near += abs(levels[y + u, x + v + 2])
    return near
