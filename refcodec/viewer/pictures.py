"""Pictures of decoded features: channels side by side as grey images, vectors as curves."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.errors import DFCError
from refcodec.reader import open_stream

__all__ = ["pictures_of"]

Feature = npt.NDArray[Any]

_MOST_FEATURES = 12
_MOST_CHANNELS = 64
_MOST_SIDE = 64
"""Features, channels of each, and samples along a side that are shown at most."""

_MOST_VALUES = 2048
"""Values of a vector that are shown at most."""


def pictures_of(data: bytes) -> tuple[list[dict[str, Any]], str]:
    """Pictures of the first features of a stream, and why there are no more; '' where all is well."""
    pictures: list[dict[str, Any]] = []
    try:
        with open_stream(data) as reader:
            for feature in reader:
                pictures.append(_picture(np.asarray(feature)))
                if len(pictures) == _MOST_FEATURES:
                    break
    except DFCError as error:
        return pictures, str(error)
    return pictures, ""


def _picture(feature: Feature) -> dict[str, Any]:
    """A feature as text and pixels.

    pixels : channels x height x width, each from 0 for the least finite value to 255 for the greatest.
    """
    values = feature.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if feature.ndim == 2:  # tokens, as one picture
        values = values[None]
    if values.ndim == 3:
        rows, columns = (-(-side // _MOST_SIDE) for side in values.shape[1:])
        shown = values[:_MOST_CHANNELS, ::rows, ::columns]
    else:
        shown = values[None, None, :_MOST_VALUES]
    scaled = np.nan_to_num((shown - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
    return {
        "shape": list(feature.shape),
        "dtype": str(feature.dtype),
        "least": low,
        "greatest": high,
        "not_finite": int(values.size - finite.size),
        "size": list(pixels.shape),
        "pixels": base64.b64encode(pixels.tobytes()).decode("ascii"),
    }
