"""Advice of the caller on a feature, checked: weights of errors, and levels to code (native)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError

__all__ = ["advice_of"]


def advice_of(
    config: EncoderConfig,
    shape: tuple[int, ...],
    weights: Any,
    spectral: bool,
    choice: Choice | None,
) -> Advice:
    """Advice on one feature. Raises CallerError for advice that its coder does not use."""
    if (weights is not None or choice is not None) and config.coder != "native":
        raise CallerError(
            f"weights and chosen levels are for the coder native; this is {config.coder}"
        )
    if choice is not None and (config.aims or config.gop or choice.levels.shape != shape):
        raise CallerError("chosen levels have the feature's shape, and neither target nor gop")
    if choice is not None and config.dependent:
        raise CallerError(
            "dependent has no effect on levels that are already chosen", hint="leave it out"
        )
    return Advice(None if weights is None else _as_weights(weights, shape), spectral, choice)


def _as_weights(weights: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights of squared errors, C x 1 x 1 or C x H x W, 1 on average. Raises CallerError."""
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise CallerError(f"weights are not an array of numbers: {error}") from None
    if array.shape == shape[:1]:
        array = array[:, None, None]
    elif array.shape != shape:
        raise CallerError(
            f"weights of shape {array.shape} for a feature of {shape}: one per channel, or per element"
        )
    if not (np.isfinite(array).all() and (array >= 0).all() and array.max() > 0):
        raise CallerError("weights are finite, not negative, and not all 0")
    array = array / array.max()
    return np.ascontiguousarray(array / array.mean(), dtype=np.float32)
