"""Advice: what a caller knows of a feature that it does not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["NO_ADVICE", "Advice", "Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Decisions of an encoder on one feature, before it codes them.

    head   : of the payload.
    levels : int32, C x H x W.
    sizes  : of blocks, at their first samples, int32, C x H x W.
    cost   : estimate of squared error and rate, in squared steps; 0 without a transform.
    """

    head: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]
    cost: float


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice to the encoder of one feature (native).

    weights  : cost of a squared error, float32, 1 on average: C x 1 x 1 or C x H x W; None for 1
               everywhere.
    spectral : weights C x H x W belong to the frequencies of the map, not to its samples.
    choice   : the head, levels and blocks to code, chosen already.
    """

    weights: npt.NDArray[np.float32] | None = None
    spectral: bool = False
    choice: Choice | None = None


NO_ADVICE = Advice()
