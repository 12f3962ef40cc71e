"""Advice: what a caller knows of a feature that it does not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.choice import Choice

__all__ = ["NO_ADVICE", "Advice"]


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
