"""Advice: information that a caller has on a feature besides its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.choice import Choice

__all__ = ["NO_ADVICE", "Advice"]


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice to the encoder of one feature (native).

    weights  : of squared errors, float32, 1 on average: C x 1 x 1 or C x H x W; None for 1 everywhere.
    spectral : true if weights C x H x W are of the frequencies of the map, not of its samples.
    choice   : head, levels and blocks to code, if they are chosen already.
    gains    : of tokens under a transform, T, in quarters of an octave; None for none.
    """

    weights: npt.NDArray[np.float32] | None = None
    spectral: bool = False
    choice: Choice | None = None
    gains: npt.NDArray[np.int64] | None = None


NO_ADVICE = Advice()
