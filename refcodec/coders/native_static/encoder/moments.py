"""Corrections from moments that are summed in one pass over exact and decoded samples, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.corrections import corrections_between
from refcodec.coders.native.payload import Corrections
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import compiled

__all__ = ["summed_corrections"]

Doubles = npt.NDArray[np.float64]


def summed_corrections(
    samples: Int32, exact: npt.NDArray[Any], steps: Int64, mode: int
) -> Corrections:
    """The corrections of `refcodec.coders.native.encoder.corrections.find_corrections`, but for rounding."""
    sums = np.zeros((2, 2, len(steps)))
    if mode > 0:
        add_up(exact, samples, sums)
    count = exact[0].size
    means = sums[0] / count
    spreads = np.sqrt(np.maximum(sums[1] / count - means**2, 0))
    return corrections_between(means, spreads, count, steps, mode)


@compiled
def add_up(exact: npt.NDArray[Any], samples: Int32, sums: Doubles) -> None:
    """Sum the samples of each channel, and their squares: moment x exact or decoded x channel."""
    for c in range(samples.shape[0]):
        one = 0.0
        square = 0.0
        decoded = 0
        decoded_square = 0
        for y in range(samples.shape[1]):
            for x in range(samples.shape[2]):
                value = float(exact[c, y, x])
                one += value
                square += value * value
                sample = int(samples[c, y, x])
                decoded += sample
                decoded_square += sample * sample
        sums[0, 0, c] = one
        sums[1, 0, c] = square
        sums[0, 1, c] = decoded
        sums[1, 1, c] = decoded_square
