"""Features as an encoder accepts them: arrays of a source type, in the shape of their layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.inputs import as_array
from refcodec.quantise import NUMPY_TYPES, source_type_of
from refcodec.registry import CODERS, coder_named
from refcodec.syntax.structures import LARGEST_TOKEN_COUNT

__all__ = ["Feature", "as_feature", "as_features"]

Feature = npt.NDArray[Any]

_RANKS = {None: (1, 3), "fc": (1,), "conv": (3,), "pool": (3,), "tokens": (2, 3)}

_HINTS = {
    "b": "x.astype(numpy.uint8) has 0 and 1",
    "c": "x.real and x.imag are two features",
    "f": "x.astype(numpy.float32) rounds it",
    "i": "x.astype(numpy.int16) where the values allow it, or numpy.float32",
    "u": "x.astype(numpy.uint8) where the values allow it, or numpy.float32",
    "O": "are its parts of different lengths? Write them one by one",
}
"""What to do about other types, by the kind of a numpy type."""


def as_feature(feature: Any, config: EncoderConfig) -> Feature:
    """Convert a feature to a C-contiguous array of a source type, and check that it can be coded.

    feature : a numpy array, a torch tensor, nested lists, or what numpy takes for an array.

    Returns a copy, C x H x W, D, T x D or heads x T x D. Raises CallerError: wrong rank or type, empty,
    masked, NaN or infinity for a lossy coder, integers for a coder that does not take them.
    """
    array = as_array(feature, config.fill)
    return _checked(array, array.shape, config)


def as_features(batch: npt.NDArray[Any], config: EncoderConfig) -> Feature:
    """Convert features of one shape, N x C x H x W or N x D, as :func:`as_feature` does each.

    Returns a copy. Raises CallerError, which may speak of the batch: check one by one which feature it is.
    """
    return _checked(batch, batch.shape[1:], config)


def _checked(array: npt.NDArray[Any], shape: tuple[int, ...], config: EncoderConfig) -> Feature:
    """A copy of an array of features of that shape, in a source type that can be coded."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.float64 and config.narrow:
        array = _narrowed(array)
    _require_type(array, config)
    if array.size == 0:
        raise CallerError(f"the feature of shape {shape} is empty")
    ranks = _RANKS[config.feature_type]
    if len(shape) not in ranks:
        kind = config.feature_type or "any"
        raise CallerError(
            f"a feature of type {kind} has rank {' or '.join(map(str, ranks))}, "
            f"this one {len(shape)} (shape {shape})",
            hint="conv and pool are C x H x W, fc is D, tokens are T x D or heads x T x D; write the "
            "features of a batch one by one, or give the batch to refcodec.encode",
        )
    if config.tokens and shape[-2] > LARGEST_TOKEN_COUNT:
        raise CallerError(
            f"{shape[-2]:,} tokens; a coded feature has at most {LARGEST_TOKEN_COUNT:,}",
            hint="append them to a stream piece by piece",
        )
    if config.lossy_quantiser:
        _require_finite(array)
    return np.array(array, order="C")  # a copy: the caller may reuse the memory


def _require_type(array: Feature, config: EncoderConfig) -> None:
    """Raise CallerError for a type that is no source type, or not one of the coder's."""
    dtype = array.dtype
    source = source_type_of(dtype)
    if source is None:
        *others, last = (str(one) for one in NUMPY_TYPES.values())
        hint = _HINTS.get(dtype.kind, "")
        if dtype == np.float64:
            hint = "narrow=True, or --narrow, rounds it to float32"
        elif dtype.names is not None:
            hint = "its fields are features of their own"
        raise CallerError(
            f"the feature has type {dtype}; {', '.join(others)} and {last} are coded", hint=hint
        )
    record = coder_named(config.coder)
    if record.has_model and config.lossy_quantiser is None and not source.is_integer:
        raise CallerError(
            f"the feature has type {dtype}, which {config.coder} codes on a lattice",
            hint="choose the quantiser lattice, or give integers",
        )
    if source.is_integer and not (record.integers and config.lossy_quantiser is None):
        having = [name for name, one in CODERS.items() if one.integers]
        coder = f"{config.coder} with a quantiser" if config.coder in having else config.coder
        raise CallerError(
            f"the feature has type {dtype}, which {coder} does not code",
            hint=f"{', '.join(having)} keep integers as they are, without a quantiser; with a loss, "
            "code x.astype(numpy.float32)",
        )


def _narrowed(array: Feature) -> Feature:
    with np.errstate(over="ignore"):
        narrowed = array.astype(np.float32)
    if (np.isinf(narrowed) & np.isfinite(array)).any():
        raise CallerError("a float64 value exceeds the range of float32")
    return narrowed


def _require_finite(array: Feature) -> None:
    wide = array.astype(np.float32)
    finite = np.isfinite(wide)
    if finite.all():
        return
    bad = np.flatnonzero(~finite)
    place = ", ".join(str(int(i)) for i in np.unravel_index(int(bad[0]), array.shape))
    values = wide.flat[bad]
    nans = int(np.isnan(values).sum())
    raise CallerError(
        f"the feature has {values[0]} at index ({place}), the first of {nans} NaN and "
        f"{bad.size - nans} infinite values of {array.size}; a lossy coder takes finite values",
        hint="mend the network, or use a lossless coder without a quantiser",
    )
