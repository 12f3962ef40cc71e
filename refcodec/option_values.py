"""Values of single options: each is checked by itself, and converted to the type that the encoder takes."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from threading import TIMEOUT_MAX
from typing import Any

from refcodec.errors import CallerError, StreamError
from refcodec.syntax.codes import UnitType
from refcodec.tables import HIGHEST_LEVEL, LONGEST_SEQUENCE, SUBSTREAMS

__all__ = ["checked_value"]

_LARGEST = 2.0**128 - 2.0**104
"""The largest float32."""


def checked_value(name: str, value: Any) -> Any:
    """The value of an option in the type that the encoder takes. Raises CallerError."""
    check = _CHECKS.get(name)
    return value if check is None else check(name, value)


def _integer(least: int, most: int | None = None) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool):
            raise CallerError(f"{name} is {value!r:.60}; it is an integer")
        if most is not None and not least <= number <= most:
            raise CallerError(f"{name} is {number}; it is {least} to {most}")
        if number < least:
            raise CallerError(f"{name} is {number}; it is {least} or more")
        return number

    return check


def _flag(name: str, value: Any) -> bool:
    plain = value.item() if getattr(value, "ndim", None) == 0 else value  # of numpy
    if not isinstance(plain, bool):
        raise CallerError(f"{name} is {value!r:.60}; it is True or False")
    return plain


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CallerError(f"{name} is {value!r:.60}; it is a name")
    return value


def _program(name: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise CallerError(f"{name} is {value!r:.60}; it is the path of a program")
    return os.fspath(value)


def _real(value: Any) -> float | None:
    """The number that a value is; None for what is no number, or an integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _several(values: Any) -> Iterable[Any]:
    """Values that are a sequence of numbers. Raises TypeError for text, bytes and mappings."""
    if isinstance(values, (str, bytes, bytearray, Mapping)):
        raise TypeError
    found: Iterable[Any] = iter(values)
    return found


def _decibels(name: str, value: Any) -> float:
    number = _real(value)
    if number is None or not 0 < number <= 200:
        raise CallerError(f"{name} is {value!r:.60}; it is in dB, above 0, at most 200")
    return number


def _quantisation_parameter(name: str, qp: Any) -> float | tuple[int, ...]:
    """One QP, or one per channel, as plain integers; a single one may have eighths."""
    whole = hasattr(qp, "__index__") and not hasattr(qp, "__len__")
    if not whole and hasattr(qp, "is_integer") and float(8 * qp).is_integer():
        return int(qp) if qp.is_integer() else float(qp)
    try:
        if isinstance(qp, bool):
            raise TypeError
        return operator.index(qp) if whole else tuple(map(operator.index, _several(qp)))
    except TypeError:
        raise CallerError(
            f"the QP is {qp!r}; it is an integer, a list of them, or in eighths"
        ) from None


def _permutation(name: str, order: Any) -> tuple[int, ...]:
    try:
        return tuple(map(operator.index, _several(order)))
    except TypeError:
        raise CallerError(f"{name} is {order!r}; it is a permutation of channel numbers") from None


def _range(name: str, clip: Any) -> tuple[float, float]:
    try:
        low, high = map(float, _several(clip))
    except (TypeError, ValueError, OverflowError):
        low, high = 1.0, 0.0
    if not -_LARGEST <= low <= high <= _LARGEST:
        raise CallerError(f"{name} is {clip!r}; it is two float32 numbers, the lesser first")
    return low, high


def _numbers(least: float) -> Callable[[str, Any], float | tuple[float, ...]]:
    def check(name: str, value: Any) -> float | tuple[float, ...]:
        try:
            single = isinstance(value, Real) and not isinstance(value, bool)
            found = (float(value),) if single else tuple(map(float, _several(value)))
        except (TypeError, ValueError, OverflowError):
            raise CallerError(
                f"{name} is {value!r:.60}; it is a number, or one per channel"
            ) from None
        if not found or not all(least <= one <= _LARGEST for one in found):
            raise CallerError(f"{name} is {value!r:.60}; numbers lie in {least:g}..{_LARGEST:g}")
        return found[0] if single else found

    return check


def _model(name: str, value: Any) -> Any:
    """A model, or one from the file of that path."""
    # its kernels' compiler takes time to import
    from refcodec.probability.kinds import Model, load_model

    if isinstance(value, (str, os.PathLike)):
        try:
            return load_model(value)
        except StreamError as error:
            raise CallerError(f"{name}: {os.fspath(value)}: {error}") from None
    if not isinstance(value, Model):
        raise CallerError(f"{name} is a {type(value).__name__}; it is a model, or a path")
    if (value.unit_type == UnitType.CONTEXT_MODEL) != (name == "contexts"):
        raise CallerError(
            f"{name} is a {type(value).__name__}",
            hint="a context model is given as contexts, any other as model",
        )
    return value


def _function(name: str, value: Any) -> Any:
    """A function of a feature, or the analysis in the file of that path."""
    if isinstance(value, (str, os.PathLike)):
        from refcodec.networks.analysis import FloatAnalysis

        return FloatAnalysis.load(value)
    if not callable(value):
        raise CallerError(f"{name} is a {type(value).__name__}; it is a function of a feature")
    return value


def _number(name: str, value: Any) -> float:
    number = _real(value)
    if number is None:
        raise CallerError(f"{name} is {value!r:.60}; it is a number")
    return number


def _texts(name: str, entries: Any) -> dict[str, str]:
    if not isinstance(entries, Mapping):
        raise CallerError(f"{name} is {entries!r}; it is text by key")
    for key, value in entries.items():
        try:
            usable = bool(key) and f"{key}{value}".encode()
        except UnicodeEncodeError:
            usable = False
        if not usable:
            raise CallerError(f"{name} {key!r}: {value!r} has no key, or is no Unicode text")
    return {str(key): str(value) for key, value in entries.items()}


def _seconds(name: str, value: Any) -> float:
    number = _real(value)
    if number is None or not 0 < number <= TIMEOUT_MAX:
        raise CallerError(
            f"{name} is {value!r:.60}; it is a number of seconds, at most {TIMEOUT_MAX:g}"
        )
    return number


_WORDS = (
    *("coder", "preset", "quantiser", "range", "restoration", "speed", "packing", "feature_type"),
)

_FLAGS = (
    *("narrow", "dependent", "lossless", "model_apart", "joint", "token_gain", "shuffle", "batch"),
    *("hashes", "low_latency", "index"),
)

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_FLAGS, _flag),
    **dict.fromkeys(_WORDS, _word),
    "bits": _integer(-1 << 31),
    "clip": _range,
    "fill": _number,
    "qp": _quantisation_parameter,
    "gop": _integer(0, LONGEST_SEQUENCE),
    "target_size": _integer(1),
    "target_snr": _decibels,
    "step": _numbers(2.0**-126),
    "offset": _numbers(-_LARGEST),
    "model": _model,
    "contexts": _model,
    "substreams": _integer(1, SUBSTREAMS),
    "analysis": _function,
    "order": _permutation,
    "hash_size": _integer(-1 << 31),
    "level": _integer(1, HIGHEST_LEVEL),
    "metadata": _texts,
    "workers": _integer(1),
    "ffmpeg": _program,
    "timeout": _seconds,
}
