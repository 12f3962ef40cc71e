"""Numbers of features, as a sequence is indexed: an integer, a slice, or several integers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from refcodec.errors import CallerError

__all__ = ["numbers_of"]


class _NumberError(CallerError, IndexError):
    """There is no feature of that number; loops over numbers understand it as the end."""


class _IndexTypeError(CallerError, TypeError):
    """Something was asked for that is no number of a feature."""


def numbers_of(key: Any, count: int) -> int | Sequence[int]:
    """The number, or the numbers, that an index stands for; negative ones count from the end.

    key   : an integer, numpy's included; a slice; a list, tuple, range or array of rank 1 of integers.
    count : number of features.

    Raises CallerError, which is an IndexError beyond the end, and a TypeError for what is no number.
    """
    if isinstance(key, slice):
        return _of_slice(key, count)
    if _is_array(key):
        if key.ndim != 1 or (key.dtype.kind not in "iu" and key.size):
            raise _refusal(key)
    elif hasattr(key, "__index__"):
        return _number(key, count)
    elif not isinstance(key, (list, tuple, range)):
        raise _refusal(key)
    return [_number(one, count) for one in key]


def _of_slice(key: slice, count: int) -> Sequence[int]:
    try:
        return range(*key.indices(count))
    except (TypeError, ValueError) as error:
        raise _IndexTypeError(f"{error}", hint="features have numbers: r[3:9]") from None


def _number(key: Any, count: int) -> int:
    if isinstance(key, (bool, np.bool_)) or not hasattr(key, "__index__"):
        raise _refusal(key)
    try:
        number = operator.index(key)
    except TypeError:
        raise _refusal(key) from None
    if not -count <= number < count:
        raise _NumberError(f"feature {number} of {count}")
    return number % count


def _is_array(key: Any) -> bool:
    """Whether a key is an array of numbers; a numpy integer, or an array of rank 0, is a number."""
    return hasattr(key, "dtype") and getattr(key, "ndim", 0) > 0


def _refusal(key: Any) -> _IndexTypeError:
    if isinstance(key, (bool, np.bool_)) or getattr(getattr(key, "dtype", None), "kind", "") == "b":
        return _IndexTypeError(
            "a truth value is no number of a feature", hint="give numbers: np.flatnonzero(mask)"
        )
    return _IndexTypeError(
        f"{type(key).__name__} is no number of a feature",
        hint="give an integer, a slice, or a list of integers",
    )
