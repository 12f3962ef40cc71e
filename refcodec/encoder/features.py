"""Features as an encoder accepts them: arrays of a source type, C x H x W or D."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.quantise import source_type_of

__all__ = ["Feature", "as_feature"]

Feature = npt.NDArray[Any]

_RANKS = {None: (1, 3), "fc": (1,), "conv": (3,), "pool": (3,)}


def as_feature(feature: Any, config: EncoderConfig) -> Feature:
    """Convert a feature to a C-contiguous array of a source type, and check that it can be coded.

    feature : a numpy array, or anything with ``detach().cpu()`` such as a torch tensor.

    Returns a copy, C x H x W or D. Raises CallerError for a wrong rank or type, an empty array, and a NaN or
    an infinity with a lossy coder.
    """
    array = _from_torch(feature) if hasattr(feature, "detach") else np.asarray(feature)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.float64 and config.narrow:
        array = _narrowed(array)
    if source_type_of(array.dtype) is None:
        hint = "narrow=True, or --narrow, rounds it to float32" if array.dtype == np.float64 else ""
        raise CallerError(
            f"the feature has type {array.dtype}; float32, float16 and bfloat16 are coded",
            hint=hint,
        )
    if array.size == 0:
        raise CallerError(f"the feature of shape {array.shape} is empty")
    ranks = _RANKS[config.feature_type]
    if array.ndim not in ranks:
        kind = config.feature_type or "any"
        raise CallerError(
            f"a feature of type {kind} has rank {' or '.join(map(str, ranks))}, "
            f"this one {array.ndim} (shape {array.shape})",
            hint="conv and pool are C x H x W, fc is D; write the features of a batch one by one",
        )
    if config.lossy_quantiser:
        _require_finite(array)
    return np.array(array, order="C")  # a copy: the caller may reuse the memory


def _from_torch(tensor: Any) -> Feature:
    host = tensor.detach().cpu().contiguous()
    if str(host.dtype) == "torch.bfloat16":  # numpy lacks the type: take the bits
        import ml_dtypes
        import torch

        bits: Feature = host.view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Feature = host.numpy()
    return array


def _narrowed(array: Feature) -> Feature:
    with np.errstate(over="ignore"):
        narrowed = array.astype(np.float32)
    if (np.isinf(narrowed) & np.isfinite(array)).any():
        raise CallerError("a float64 value exceeds the range of float32")
    return narrowed


def _require_finite(array: Feature) -> None:
    wide = array.astype(np.float32)
    if np.isfinite(wide).all():
        return
    bad = np.unravel_index(int(np.argmax(~np.isfinite(wide))), array.shape)
    place = ", ".join(str(int(i)) for i in bad)
    raise CallerError(
        f"the feature has {wide[bad]} at index ({place}); a lossy coder takes finite values",
        hint="mend the network, or use a lossless coder without a quantiser",
    )
