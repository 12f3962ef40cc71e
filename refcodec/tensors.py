"""Features as tensors of torch, which numpy's own types do not reach: bfloat16 and float8 among them.

torch is imported when a tensor is asked for, and never on the way from a stream to samples.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError, EnvironmentFault

__all__ = ["converter", "to_torch"]

_BY_BITS = {
    "bfloat16": "bfloat16",
    "float8_e4m3fn": "float8_e4m3fn",
    "float8_e4m3fnuz": "float8_e4m3fnuz",
    "float8_e5m2": "float8_e5m2",
    "float8_e5m2fnuz": "float8_e5m2fnuz",
}
"""Types of ml_dtypes that torch has too, and their names there."""


def to_torch(feature: npt.NDArray[Any]) -> Any:
    """A decoded feature as a tensor that shares its memory.

    feature : as `refcodec.decode` returns it, of any shape; bfloat16 and float8 included.

    Raises CallerError for a type that torch lacks, EnvironmentFault where torch is not installed.
    """
    if not isinstance(feature, np.ndarray):
        raise CallerError(f"to_torch takes a numpy array, not a {type(feature).__name__}")
    torch = _torch()
    if not feature.flags.writeable or any(step < 0 for step in feature.strides):
        feature = feature.copy()  # torch can hold neither
    name = _BY_BITS.get(feature.dtype.name)
    try:
        if name is None:
            return torch.from_numpy(feature)
        bits = np.dtype(f"i{feature.dtype.itemsize}" if feature.dtype.itemsize > 1 else "u1")
        return torch.from_numpy(feature.view(bits)).view(getattr(torch, name))
    except (TypeError, AttributeError):
        raise CallerError(f"torch {torch.__version__} has no type {feature.dtype}") from None


def converter(like: str | None) -> Callable[[npt.NDArray[Any]], Any]:
    """The function that makes of a feature what ``like`` names: ``"numpy"``, or ``"torch"``.

    Raises CallerError for another name, EnvironmentFault where torch is not installed.
    """
    if isinstance(like, str) and like == "torch":
        _torch()
        return to_torch
    if like is None or (isinstance(like, str) and like == "numpy"):
        return _itself
    shown = repr(like) if isinstance(like, str) else f"a {type(like).__name__}"
    raise CallerError(f"like is {shown}; it is 'numpy' or 'torch'")


def _itself(feature: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return feature


def _torch() -> Any:
    try:
        return import_module("torch")
    except ImportError:
        raise EnvironmentFault(
            "torch is not installed", hint="pip install refcodec[torch]"
        ) from None
