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
    down = _transformed(planes.astype(np.float32, copy=False).transpose(1, 0, 2), ys)
    across = _transformed(down.transpose(2, 1, 0), xs)
    return np.ascontiguousarray(across.transpose(1, 2, 0))


def _transformed(planes: Floats, cuts: Int64) -> Floats:
    """Transform along the first axis."""
    rows = np.ascontiguousarray(planes).reshape(len(planes), -1)
    result = np.empty_like(rows)
    add_rows(rows, cuts, result)
    return result.reshape(planes.shape)


@compiled
def add_rows(rows: Floats, cuts: Int64, result: Floats) -> None:
    """Transform the columns of blocks between ``cuts``."""
    for b in range(cuts.shape[0] - 1):
        start = cuts[b]
        length = cuts[b + 1] - start
        at = BASIS_AT[length]
        for u in range(length):
            for x in range(rows.shape[1]):
                result[start + u, x] = 0
            for i in range(length):
                factor = np.float32(BASIS[at + u * length + i]) * np.float32(2.0**-14)
                for x in range(rows.shape[1]):
                    result[start + u, x] += factor * rows[start + i, x]
