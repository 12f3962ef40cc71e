"""Guesses at the cause of a wrong output.

Most are proven: the mistake that they name, made on the right output, gives the wrong one. Bytes are
compared, so that NaN and the sign of zero count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from refcodec.hashes import little_endian_bytes
from refcodec.quantise import (
    dequantise,
    dequantise_logarithmic,
    restore_moments,
)
from refcodec.suite.run.contract import Outcome
from refcodec.suite.run.expected import Decoded
from refcodec.syntax.codes import Quantiser
from refcodec.uniform import dequantise_uniform

__all__ = ["guess_of_size", "guess_of_values"]

Values = npt.NDArray[Any]


_TYPES = tuple(
    np.dtype(one) for one in ("f8", "f4", "f2", ml_dtypes.bfloat16, "i8", "i4", "i2", "i1", "u1")
)
"""Types that a decoder may write instead of the right one."""

# --- outputs of another size -----------------------------------------------------------------------


def guess_of_size(outcome: Outcome, wanted: list[Decoded]) -> str:
    """The likely cause of an output with another number of bytes; '' if none fits."""
    output = outcome.output
    parts = [little_endian_bytes(one.values) for one in wanted]
    whole = b"".join(parts)
    elements = sum(one.values.size for one in wanted)
    if not output:
        return "nothing was written"
    if output.startswith((b"\x93NUMPY", b"PK")):
        return "a file of numpy: write the bytes of the values alone"
    if output.startswith(whole):
        return f"{outcome.size - len(whole)} bytes too many after features that are right"
    if len(output) == outcome.size and output.endswith(whole):
        return f"{outcome.size - len(whole)} bytes too many before features that are right"
    if output == b"".join(little_endian_bytes(one.samples) for one in wanted):
        return "the samples, without inverse quantisation (8.6)"
    for dtype in _TYPES:
        if dtype.itemsize * elements == outcome.size and output == b"".join(
            little_endian_bytes(_cast(one.values, dtype)) for one in wanted
        ):
            return f"the values written as {dtype}"
    whole_features = _leading(output, parts)
    if whole_features and output == b"".join(parts[:whole_features]):
        return f"the last {len(parts) - whole_features} features are missing, the others are right"
    sizes = {one.values.dtype.itemsize for one in wanted}
    if outcome.size % elements == 0 and len(sizes) == 1:
        return f"{outcome.size // elements} bytes for each value instead of {sizes.pop()}"
    return f"wrong from feature {whole_features} on" if whole_features else ""


def _leading(output: bytes, parts: list[bytes]) -> int:
    """Number of features that an output has at its beginning."""
    start = 0
    for number, part in enumerate(parts):
        if output[start : start + len(part)] != part:
            return number
        start += len(part)
    return len(parts)


def _cast(values: Values, dtype: np.dtype[Any]) -> Values:
    with np.errstate(all="ignore"):
        return values.astype(dtype)


# --- values of one feature -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    """A wrong feature, flat and in the right type, and the right ones."""

    got: Values
    number: int
    wanted: list[Decoded]

    @property
    def right(self) -> Decoded:
        return self.wanted[self.number]

    def is_(self, values: Values) -> bool:
        """Whether these values are the wrong ones, bit for bit."""
        return little_endian_bytes(values) == little_endian_bytes(self.got)

    @property
    def differing(self) -> npt.NDArray[np.bool_]:
        """The places where the feature is wrong, flat."""
        found: npt.NDArray[np.bool_] = _bits(self.got) != _bits(self.right.values.reshape(-1))
        return found


def guess_of_values(
    got: Values, number: int, wanted: list[Decoded], *, samples_right: bool = False
) -> str:
    """The likely cause of a wrong feature; '' if none fits.

    got           : its values, flat, in the right type.
    number        : of the feature.
    samples_right : true if the decoder is known to have the right samples.
    """
    case = _Case(got, number, wanted)
    guesses = [one for one in _GUESSES if not (samples_right and one is _code_value)]
    with np.errstate(all="ignore"):
        return next((text for guess in guesses if (text := guess(case))), "")


def _bits(values: Values) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _another_feature(case: _Case) -> str:
    for number, one in enumerate(case.wanted):
        if one.values.dtype == case.got.dtype and case.is_(one.values):
            return f"the values of feature {number}: features in another order"
    return ""


def _transposed(case: _Case) -> str:
    values = case.right.values
    if values.ndim != 3:
        return ""
    for order in list(permutations(range(3)))[1:]:
        if case.is_(values.transpose(order)):
            names = ", ".join("cyx"[axis] for axis in order)
            return f"transposed axes: ({names}) instead of (c, y, x)"
    return ""


def _another_type(case: _Case) -> str:
    right = case.right.values
    for dtype in _TYPES:
        if dtype.itemsize == right.dtype.itemsize and dtype != right.dtype:
            own = little_endian_bytes(_cast(right, dtype))
            if own == little_endian_bytes(case.got):
                return f"the values written as {dtype}"
    return ""


def _channels_in_another_order(case: _Case) -> str:
    values = case.right.values
    if values.ndim != 3 or len(values) < 2:
        return ""
    own, right = (
        sorted(map(little_endian_bytes, one.reshape(values.shape))) for one in (case.got, values)
    )
    return "channels in another order (8.4)" if own == right else ""


def _byte_order(case: _Case) -> str:
    return "the most significant byte comes first" if case.is_(case.right.values.byteswap()) else ""


def _nan(case: _Case) -> str:
    nan = np.isnan(case.got.astype(np.float64))
    nan &= ~np.isnan(case.right.values.reshape(-1).astype(np.float64))
    return f"NaN instead of {nan.sum()} numbers" if nan.any() else ""


def _zeros(case: _Case) -> str:
    return "" if _bits(case.got).any() else "nothing but zeros"


def _samples(case: _Case) -> str:
    own = _cast(case.right.samples, case.got.dtype)
    return "the samples, without inverse quantisation (8.6)" if case.is_(own) else ""


def _no_restoration(case: _Case) -> str:
    payload = case.right.payload
    if not payload.parameters.restoration_mode:
        return ""
    without = replace(payload.parameters, restoration_mean=None, restoration_deviation=None)
    own = dequantise(case.right.samples, payload.fps, without)
    return "statistics restoration is missing (8.5)" if case.is_(own) else ""


def _not_saturated(case: _Case) -> str:
    wrong = case.got[case.differing].astype(np.float64)
    return "overflow to infinity instead of saturation (8.7)" if np.isinf(wrong).all() else ""


def _flushed(case: _Case) -> str:
    """Zeros in place of the smallest numbers, or of zeros with the other sign."""
    wrong, right = case.got[case.differing], case.right.values.reshape(-1)[case.differing]
    if wrong.astype(np.float64).any() or right.dtype.kind in "iu":
        return ""
    smallest = float(ml_dtypes.finfo(right.dtype).smallest_normal)  # type: ignore[no-untyped-call]
    sizes = np.abs(right.astype(np.float64))
    if not sizes.any():
        return "the sign of zero"
    return "subnormal numbers flushed to zero" if (sizes < smallest).all() else ""


def _arithmetic(case: _Case) -> str:
    """Another precision of inverse quantisation, or one rounding too many."""
    exact = _exact(case.right)
    if exact is None:
        return ""
    if case.is_(_cast(_cast(exact, np.dtype(np.float32)), case.got.dtype)):
        return "one rounding too many: to binary32 before the source type (8.7)"
    single = _in_binary32(case.right)
    if single is not None and case.is_(_cast(single, case.got.dtype)):
        return "binary32 instead of binary64 arithmetic (8.6.1)"
    return ""


def _exact(right: Decoded) -> npt.NDArray[np.float64] | None:
    """Values in binary64 before they are rounded to the source type; None without a quantiser."""
    fps, parameters = right.payload.fps, right.payload.parameters
    step, exponent, high = parameters.log_step, parameters.log_exponent, parameters.range_max
    if step is not None and exponent is not None:
        signed = bool(fps.log_signed_flag)
        return dequantise_logarithmic(right.samples, step, exponent, fps.bits, signed)
    if high is None:
        return None
    low = np.zeros_like(high) if parameters.range_min is None else parameters.range_min
    mean, deviation = parameters.restoration_mean, parameters.restoration_deviation
    positions = right.samples.astype(np.int64) << 16
    if mean is not None and deviation is not None:
        positions = restore_moments(right.samples, mean, deviation, fps.bits)
    return dequantise_uniform(positions, low, high, fps.bits)


def _in_binary32(right: Decoded) -> npt.NDArray[np.float32] | None:
    """Values of the uniform quantiser, without restoration, in binary32 arithmetic."""
    parameters = right.payload.parameters
    high = parameters.range_max
    if high is None or parameters.restoration_mode:
        return None
    low = np.zeros_like(high) if parameters.range_min is None else parameters.range_min
    step = (high - low) / np.float32((1 << right.payload.fps.bits) - 1)
    values: npt.NDArray[np.float32] = right.samples.astype(np.float32) * step[:, None, None]
    return values + low[:, None, None]


def _code_value(case: _Case) -> str:
    """Samples that are one too large or too small, wherever the feature is wrong."""
    fps, parameters = case.right.payload.fps, case.right.payload.parameters
    wrong = case.differing
    fits = np.zeros(case.got.shape, bool)
    for shift in (-1, 1):
        moved = case.right.samples + np.int32(shift)
        fits |= _bits(dequantise(moved, fps, parameters).reshape(-1)) == _bits(case.got)
    return "off by one code value (8.3)" if fits[wrong].all() else ""


def _last_place(case: _Case) -> str:
    """Values beside the right ones: no other value of the type lies between."""
    own, right = (_ordered(one.reshape(-1)) for one in (case.got, case.right.values))
    if np.abs(own - right).max() > 1:
        return ""
    if case.right.payload.fps.quantiser == Quantiser.NONE:
        return "off by one in the last bit of a value that is coded as it is (8.6)"
    return (
        "one rounding too many or too few, as a fused multiply-add or binary32 arithmetic makes it: "
        "one unit in the last place (4.3, 8.7)"
    )


def _ordered(values: Values) -> npt.NDArray[np.int64]:
    """Numbers that count the floating-point numbers of a type from zero on, up and down."""
    bits = _bits(values).astype(np.int64)
    sign = np.int64(1) << (8 * values.dtype.itemsize - 1)
    return np.where(bits & sign, -(bits & (sign - 1)), bits)


_GUESSES: tuple[Callable[[_Case], str], ...] = (
    _another_feature,
    _transposed,
    _byte_order,
    _flushed,
    _zeros,
    _another_type,
    _channels_in_another_order,
    _nan,
    _samples,
    _no_restoration,
    _not_saturated,
    _arithmetic,
    _code_value,
    _last_place,
)
"""From those that explain everything to those that explain a little."""
