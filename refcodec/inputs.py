"""Objects that callers hand over, as numpy arrays; or why they are refused.

What an object means beyond its numbers is kept or refused, never dropped: masks, coordinates, units, the
scale of quantised values.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError, DFCError

__all__ = ["arrays_of", "as_array"]

Array = npt.NDArray[Any]

_DEEPEST_LIST = 4

_PLAIN = (np.ndarray, np.memmap, np.matrix)
"""Types of arrays that mean nothing but their numbers."""

_MEANINGS = {
    "coords": "coordinates",
    "columns": "names of columns",
    "index": "an index",
    "mask": "a mask",
    "units": "units",
    "unit": "a unit",
}
"""Attributes of objects that mean more than their numbers, and what they stand for."""

_MEANT_BY_METHODS = {"getbands": "pixels, H x W x C", "todense": "a sparse layout"}
"""Likewise the methods."""

_BITS = {
    "torch.bfloat16": ("int16", "bfloat16"),
    "torch.float8_e4m3fn": ("uint8", "float8_e4m3fn"),
    "torch.float8_e5m2": ("uint8", "float8_e5m2"),
}
"""Types of torch that numpy lacks: torch's type for their bits, and the type of ml_dtypes."""


def as_array(given: Any, fill: float | None = None) -> Array:
    """An object as a numpy array of its own type, which may be any; nothing is copied that need not be.

    given : a numpy array, a torch tensor, nested lists, or what numpy takes for an array.
    fill  : a value for missing elements, masked or NaN; None refuses masked ones.

    Raises CallerError for what is no array, and for what means more than its numbers.
    """
    with _no_array(given):
        return _converted(given, fill, 0)


def arrays_of(given: Any, fill: float | None = None) -> list[tuple[str | None, Array]]:
    """An object as arrays with their names: those of a mapping, or one without a name.

    Raises CallerError as `as_array`, and for an empty batch.
    """
    with _no_array(given):
        named: list[tuple[str | None, Array]] = [(None, given)]
        if isinstance(given, Mapping):
            _require_plain(given)
            named = list(given.items())
        if not named:
            raise CallerError(f"{_kind(given)} is empty")
        named = [(name, as_array(one, fill)) for name, one in named]
    for name, array in named:
        if array.size == 0:
            what = "the feature" if name is None else f"the array {name!r}"
            raise CallerError(f"{what} of shape {array.shape} is empty")
    return named


@contextmanager
def _no_array(given: Any) -> Iterator[None]:
    """Blame an object for whatever it, or the library that it comes from, raises."""
    try:
        yield
    except (DFCError, MemoryError):
        raise
    except Exception as error:
        raise CallerError(f"{_kind(given)} is no array: {error}") from None


def _require_plain(given: Any) -> None:
    """Raise CallerError for an object that means more than its numbers."""
    owner = type(given) if isinstance(given, Mapping) else given  # keys may be attributes, too
    for known, method in ((_MEANINGS, False), (_MEANT_BY_METHODS, True)):
        for name, meaning in known.items():
            if hasattr(owner, name) and callable(getattr(owner, name)) == method:
                raise CallerError(
                    f"{_kind(given)} has {meaning}, which no stream keeps",
                    hint="give its values alone, as a numpy array",
                )


def _converted(given: Any, fill: float | None, depth: int) -> Array:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        return _filled(_from_torch(torch, given), fill)
    if isinstance(given, (np.ndarray, np.generic)):
        return _from_numpy(given, fill)
    if isinstance(given, (list, tuple)):
        return _from_sequence(given, fill, depth)
    _require_plain(given)
    if given is None or isinstance(given, (str, os.PathLike)):
        raise CallerError(
            f"{_kind(given)} is no array", hint="numpy.load(path) reads one" if given else ""
        )
    if isinstance(given, Mapping):
        raise CallerError(
            f"{_kind(given)} holds several arrays", hint="refcodec.encode takes a dict of arrays"
        )
    if isinstance(given, (bytes, bytearray, memoryview)) and memoryview(given).format == "B":
        raise CallerError(f"{_kind(given)} says nothing of numbers", hint="use numpy.frombuffer")
    if hasattr(given, "detach"):  # a tensor of another library
        given = given.detach().cpu()
    return _from_numpy(np.asanyarray(given), fill)


def _from_numpy(given: Any, fill: float | None) -> Array:
    if isinstance(given, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(given)
        missing = int(hidden.sum())
        if missing and fill is None:
            raise CallerError(
                f"{missing} of {given.size} elements are masked",
                hint="fill=VALUE, or --fill VALUE, puts a value in their place",
            )
        values = np.array(given.data) if missing else given.data
        if missing:
            values[hidden] = _filler(fill, values.dtype)
        return _from_numpy(values, fill)
    if isinstance(given, np.ndarray) and type(given) not in _PLAIN:
        raise CallerError(
            f"{_kind(given)} may mean more than its numbers",
            hint="numpy.array(x) takes these alone",
        )
    return _filled(np.asarray(given), fill)


def _filled(array: Array, fill: float | None) -> Array:
    """An array with a value in the place of NaN, if there is one."""
    if fill is None or array.dtype.kind not in "fV" or array.dtype.names is not None:
        return array
    missing = np.isnan(array)
    return np.where(missing, _filler(fill, array.dtype), array) if missing.any() else array


def _filler(fill: float | None, dtype: np.dtype[Any]) -> Any:
    """A value in the type of an array. Raises CallerError where the type does not have it."""
    with np.errstate(all="ignore"):
        found = np.asarray(fill, np.float64).astype(dtype)
    near = found == fill if dtype.kind in "iu" else np.isfinite(found) == np.isfinite(fill or 0.0)
    if not near:
        raise CallerError(f"fill is {fill:g}, which {dtype} does not have")
    return found


def _from_sequence(given: Sequence[Any], fill: float | None, depth: int) -> Array:
    if hasattr(given, "_fields"):
        raise CallerError(
            f"{_kind(given)} names its parts", hint="x._asdict() gives them to refcodec.encode"
        )
    if depth == _DEEPEST_LIST:
        raise CallerError(f"lists within more than {_DEEPEST_LIST} lists are no feature")
    if all(isinstance(one, Number) for one in given):
        return _from_numpy(np.asarray(given), fill)
    parts = [_converted(one, fill, depth + 1) for one in given]
    shapes = sorted({one.shape for one in parts})
    if len(shapes) > 1:
        raise CallerError(
            f"a list of arrays of different shapes, {shapes[0]} and {shapes[1]}, is no array",
            hint="refcodec.encode takes a dict that names them, and a writer one after the other",
        )
    return np.stack(parts)


def _from_torch(torch: Any, tensor: Any) -> Array:
    """The elements of a tensor, on any device and with or without a gradient."""
    refusals = {
        "has a type of its own": (
            type(tensor) not in (torch.Tensor, torch.nn.Parameter),
            "x.as_subclass(torch.Tensor) takes its numbers alone",
        ),
        "is nested": (tensor.is_nested, "write its parts one by one"),
        "is sparse": (tensor.layout != torch.strided, "x.to_dense() has all its elements"),
        "is quantised: its scale would be lost": (
            tensor.is_quantized,
            "x.int_repr() has its integers, x.dequantize() its values",
        ),
        "has names of axes": (
            any(name is not None for name in getattr(tensor, "names", ())),
            "x.rename(None) has none",
        ),
        "holds no values": (tensor.is_meta, "it is on the device meta"),
    }
    for what, (true, hint) in refusals.items():
        if true:
            raise CallerError(f"the {type(tensor).__name__} {what}", hint=hint)
    host = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    bits = _BITS.get(str(host.dtype))
    if bits is None:
        found: Array = host.numpy()
        return found
    import ml_dtypes

    words: Array = host.view(getattr(torch, bits[0])).numpy()
    return words.view(getattr(ml_dtypes, bits[1]))


def _kind(given: Any) -> str:
    kind = type(given)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}."
    return f"the {home}{kind.__name__}"
