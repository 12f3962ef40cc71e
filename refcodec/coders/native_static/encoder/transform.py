"""The forward transform, compiled: rows are added to rows, all their samples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.transform import BASIS, BASIS_AT
from refcodec.entropy.arrays import Int64
from refcodec.kernel import compiled

__all__ = ["forward_in_rows"]

Floats = npt.NDArray[np.float32]


def forward_in_rows(planes: npt.NDArray[Any], ys: Any, xs: Any) -> Floats:
    """Orthonormal transform of planes C x H x W, cut into blocks at ``ys`` and ``xs``, float32.

    The transform of `refcodec.coders.native.transform.forward`, but for rounding.
    """
    down = _transformed(planes.astype(np.float32, copy=False), ys)
    across = _transformed(down.swapaxes(1, 2), xs)
    return np.ascontiguousarray(across.swapaxes(1, 2))


def _transformed(planes: Floats, cuts: Int64) -> Floats:
    result = np.empty(planes.shape, np.float32)
    add_rows(np.ascontiguousarray(planes), cuts, result)
    return result


@compiled
def add_rows(planes: Floats, cuts: Int64, result: Floats) -> None:
    """Transform the columns of blocks between ``cuts``."""
    for c in range(planes.shape[0]):
        for b in range(cuts.shape[0] - 1):
            start = cuts[b]
            length = cuts[b + 1] - start
            at = BASIS_AT[length]
            for u in range(length):
                for x in range(planes.shape[2]):
                    result[c, start + u, x] = 0
                for i in range(length):
                    factor = np.float32(BASIS[at + u * length + i]) * np.float32(2.0**-14)
                    for x in range(planes.shape[2]):
                        result[c, start + u, x] += factor * planes[c, start + i, x]
