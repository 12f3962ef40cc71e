"""Weights of the squared errors of coefficients."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.grids import Grid
from refcodec.entropy.arrays import Int64

__all__ = ["averages", "weight_planes"]


def weight_planes(advice: Advice, channels: int, grids: list[Grid]) -> npt.NDArray[np.float32]:
    """Weight of a squared error of each coefficient at every depth of splitting, C x depth x H x W.

    C x depth x 1 x 1 if all coefficients of a channel have the same weight.
    """
    given = advice.weights
    if given is None or given[0].size == 1:
        plain = np.ones((channels, 1, 1), np.float32) if given is None else given
        return np.repeat(plain[:, None], len(grids), axis=1)
    means = [[averages(boundaries, advice.spectral) for boundaries in (ys, xs)] for ys, xs in grids]
    return np.stack([down @ given @ right.T for down, right in means], axis=1).astype(np.float32)


def averages(boundaries: Int64, spectral: bool) -> npt.NDArray[np.float64]:
    """Matrix that averages weights along a side, per coefficient, length x length.

    The average is over the samples of its block, or over the frequencies of the whole side that correspond to
    its own.
    """
    length = int(boundaries[-1])
    rows = np.zeros((length, length))
    for start, stop in pairwise(boundaries):
        n = stop - start
        for i in range(n):
            covered = (
                slice(i * length // n, -(-(i + 1) * length // n))
                if spectral
                else slice(start, stop)
            )
            rows[start + i, covered] = 1
    means: npt.NDArray[np.float64] = rows / rows.sum(axis=1, keepdims=True)
    return means
