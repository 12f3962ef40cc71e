"""Prediction: the displacement of the reference feature that matches a feature best."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.head import (
    HEAD_SIZE,
    SHIFT_DOWN,
    SHIFT_RIGHT,
    Bounds,
)
from refcodec.coders.native.payload import displaced_samples
from refcodec.entropy.arrays import Int32

__all__ = ["Prediction", "find_prediction"]

_MATCHED_CHANNELS, _REACH = 6, 8
"""Number of channels used to search a displacement, and the largest one searched, in samples."""


class Prediction(NamedTuple):
    """Samples that blocks may be predicted from.

    shift             : displacement, down and right, in samples.
    reference_feature : decoded samples of the preceding feature, C x H x W.
    displaced         : displaced samples of the reference feature, C x H x W.
    """

    shift: tuple[int, int]
    reference_feature: Int32
    displaced: Int32


def find_prediction(
    exact: npt.NDArray[Any], reference_feature: Int32, bounds: Bounds
) -> Prediction:
    """Find the displacement that matches best in the channels of largest variance."""
    chosen = np.argsort(-exact.reshape(len(exact), -1).var(axis=1))[:_MATCHED_CHANNELS]
    wanted, found = exact[chosen].astype(np.float32), reference_feature[chosen].astype(np.float32)
    _, height, width = wanted.shape
    reach_y, reach_x = min(_REACH, height // 4), min(_REACH, width // 4)
    inner = wanted[:, reach_y : height - reach_y, reach_x : width - reach_x]

    def misfit(shift: tuple[int, int]) -> float:
        top, left = reach_y + shift[0], reach_x + shift[1]
        own = found[:, top : top + inner.shape[1], left : left + inner.shape[2]]
        return float(np.abs(inner - own).sum()) * (1 + 0.001 * (abs(shift[0]) + abs(shift[1])))

    shifts = product(range(-reach_y, reach_y + 1), range(-reach_x, reach_x + 1))
    best = min(shifts, key=misfit)
    head = np.zeros(HEAD_SIZE, np.int64)
    head[SHIFT_DOWN : SHIFT_RIGHT + 1] = best
    displaced = displaced_samples(reference_feature, head, bounds, exact.shape)
    return Prediction(best, reference_feature, displaced)
