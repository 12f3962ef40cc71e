"""Planes of coefficients, one for each depth of splitting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.grids import Grid
from refcodec.coders.native.transform import forward

__all__ = ["coefficient_planes"]


def coefficient_planes(
    exact: npt.NDArray[Any], grids: list[Grid], slope: int
) -> npt.NDArray[np.float32]:
    """Coefficients at every depth of splitting, C x depth x H x W, over the scale of their frequency."""
    planes = []
    if not np.issubdtype(exact.dtype, np.integer):
        exact = exact.astype(np.float32, copy=False)
    else:  # exact sums: the same on every machine
        exact = exact.astype(np.float64)
    for ys, xs in grids:
        plane = forward(exact, ys, xs).astype(np.float32, copy=False)
        if slope:
            down = np.concatenate([np.arange(n) / n for n in np.diff(ys)])
            right = np.concatenate([np.arange(n) / n for n in np.diff(xs)])
            scale = 1 + np.floor(slope * (down[:, None] + right) + 1e-6) / 16
            plane /= scale.astype(np.float32)
        planes.append(plane)
    return np.stack(planes, axis=1)
