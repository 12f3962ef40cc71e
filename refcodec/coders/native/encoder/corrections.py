"""Corrections: the mean and the standard deviation that restoration gives back to each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.payload import Corrections
from refcodec.entropy.arrays import Int32, Int64

__all__ = ["Pair", "corrections_between", "find_corrections", "restoration_mode"]

Pair = Sequence[npt.NDArray[np.float64]]
"""Numbers of each channel, those wanted and those found."""

_RESTORED_SAMPLES = 64
"""Smallest channel for which a correction pays for itself, in samples."""


def restoration_mode(shape: tuple[int, ...], tuning: Tuning) -> int:
    """The mode of restoration: that of the tuning, or one chosen by the size of a channel."""
    if tuning.restoration is not None:
        return tuning.restoration
    return 2 if shape[1] * shape[2] >= _RESTORED_SAMPLES else 0


def find_corrections(
    exact: npt.NDArray[Any], samples: Int32, steps: Int64, mode: int
) -> Corrections:
    """Find the offsets and gains that restore the mean and the standard deviation of each channel.

    exact   : samples before rounding, C x H x W.
    samples : their reconstruction.
    mode    : mode of restoration; corrections that it lacks are 0.
    """
    wanted = exact.reshape(len(steps), -1)
    found = samples.reshape(len(steps), -1).astype(np.float64)
    means, spreads = zip(*map(_moments, (wanted, found)), strict=True)
    return corrections_between(means, spreads, wanted.shape[1], steps, mode)


def _moments(channels: npt.NDArray[np.float64]) -> Pair:
    """Mean and standard deviation of each channel, as numpy's own functions compute them, in one go."""
    count = channels.shape[1]
    means = channels.sum(axis=1) / count
    apart = channels - means[:, None]
    return means, np.sqrt((apart * apart).sum(axis=1) / count)


def corrections_between(
    means: Pair, spreads: Pair, count: int, steps: Int64, mode: int
) -> Corrections:
    """The corrections from the moments of each channel, those wanted and those found.

    means, spreads : means and standard deviations before and after coding, C each.
    count          : samples of a channel.
    """
    shift = 2 + count.bit_length() // 2
    offsets = (means[0] - means[1]) * (65536 << shift) / steps
    spread = spreads[1]
    ratio = np.divide(spreads[0], spread, out=np.ones_like(spread), where=spread > 0)
    gains = np.clip(np.rint(32 * (ratio - 1)), -24, 32)
    return Corrections(
        np.rint(offsets).astype(np.int64) * (mode > 0), gains.astype(np.int64) * (mode > 1)
    )
