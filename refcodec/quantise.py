"""Quantisation: integer samples to feature values (normative), and feature values to integer samples.

The normative half (clauses 8.5 to 8.7) comes first: moments are exact integers, every operation on binary64
numbers is correctly rounded, and the result is rounded once to the source type. An encoder is free to
quantise otherwise.

Samples are int32, C x H x W; parameters have one entry (per tensor) or C entries (per channel).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.errors import CallerError
from refcodec.syntax.codes import Quantiser, Restoration, SourceType
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet
from refcodec.tables import power_of_two
from refcodec.transform.channel import ChannelTransform
from refcodec.uniform import dequantise_uniform, positions_of

__all__ = [
    "ALIKE",
    "GAIN_LIMIT",
    "NUMPY_TYPES",
    "PLAIN",
    "dequantise",
    "fit_parameters",
    "measure_moments",
    "quantise",
    "quantise_alike",
    "restore_moments",
    "round_to_source",
    "source_type_of",
]

Samples = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_log = logging.getLogger("refcodec")

NUMPY_TYPES: dict[SourceType, np.dtype[Any]] = {
    SourceType.FLOAT32: np.dtype(np.float32),
    SourceType.FLOAT16: np.dtype(np.float16),
    SourceType.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
    SourceType.INT16: np.dtype(np.int16),
    SourceType.INT8: np.dtype(np.int8),
    SourceType.UINT8: np.dtype(np.uint8),
    SourceType.FLOAT8_E4M3FN: np.dtype(ml_dtypes.float8_e4m3fn),
    SourceType.FLOAT8_E5M2: np.dtype(ml_dtypes.float8_e5m2),
}
"""source_type as a numpy dtype."""

GAIN_LIMIT = 1 << 20
"""Greatest gain of statistics restoration, in units of 2^-16: a factor of 16."""


_BLOCK = 1 << 16
"""Elements that are reconstructed at a time."""

_FINE_STEP = 64
"""Logarithmic steps below this, in units of 2^-24, are too coarsely represented: a scale is signalled."""


# --- normative: 8.5 statistics restoration ---------------------------------------------------------


@clause("8.5")
def restore_moments(
    samples: Samples, mean: npt.NDArray[np.int64], deviation: npt.NDArray[np.int64], bits: int
) -> npt.NDArray[np.int64]:
    """(8.5) Give the samples the signalled mean and standard deviation.

    mean, deviation : uint16 codes in units of 2^(bits - 16) samples, one entry or one per channel.

    Returns positions C x H x W: samples in units of 2^-16. "A variance of 0 is the identity."
    """
    groups = samples.reshape(len(mean), -1)
    positions = groups.astype(np.int64)
    positions <<= 16
    count = groups.shape[1]
    sums = groups.sum(axis=1, dtype=np.int64)
    # at most 2^28 elements of 2^32: int64 holds it
    squares = np.einsum("ij,ij->i", groups, groups, dtype=np.int64)
    for i in range(len(groups)):
        first, second = int(sums[i]), int(squares[i])
        spread = count * second - first * first  # count^2 times the variance; below 2^86
        if spread == 0:
            continue
        root = math.isqrt(spread << 32)
        gain = ((int(deviation[i]) * count << (bits + 16)) + root // 2) // root
        gain = min(gain, GAIN_LIMIT)
        own_mean = ((first << 16) + count // 2) // count
        # |position - own_mean| < 2^32 and gain <= 2^20: int64 holds the product
        own = positions[i]  # a view
        own -= own_mean
        own *= gain
        own += 32768
        own >>= 16
        own += int(mean[i]) << bits
    return positions.reshape(samples.shape)


# --- normative: 8.6 inverse quantisation -----------------------------------------------------------


@clause("8.6")
def dequantise(
    samples: Samples,
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    transform: ChannelTransform | None = None,
    first: int = 0,
) -> npt.NDArray[Any]:
    """(8.6) Integer samples to feature values in the source type.

    samples    : int32, C x H x W; for ``Quantiser.NONE`` the bit patterns of the values. Those, and latents,
                 may also be of several features, N x C x H x W.
    fps        : the feature parameter set.
    parameters : the feature_parameters() of the coded feature.
    transform  : the transform that the parameter set names, for ``Quantiser.TRANSFORM``.
    first      : channel that the first of the samples are of; they may then be fewer than the feature's.

    Returns an array of the source type, of the same shape.
    """
    source = SourceType(fps.source_type)
    numpy_type = NUMPY_TYPES[source]
    if fps.quantiser == Quantiser.NONE:
        return samples.astype(f"u{numpy_type.itemsize}").view(numpy_type)
    if samples.ndim > 3:  # a batch, which is small
        return round_to_source(dequantise_lattice(samples, fps), source)
    if transform is not None:
        return _transformed(samples, fps, transform)
    positions = _restored(samples, fps, parameters)
    given = samples if positions is None else positions
    result = np.empty(samples.shape, numpy_type)
    if fps.quantiser == Quantiser.UNIFORM and source == SourceType.FLOAT32:
        every = slice(first, first + len(samples))
        return dequantise_uniform(given, *_bounds_of(every, parameters), fps.bits, result)
    for channels, rows in blocks(samples.shape):
        block = given[channels, rows]
        own = slice(first + channels.start, first + channels.start + len(block))
        result[channels, rows] = round_to_source(_values_of(block, own, fps, parameters), source)
    return result


def _transformed(
    samples: Samples, fps: FeatureParameterSet, transform: ChannelTransform
) -> npt.NDArray[Any]:
    """Values of the samples of a feature, a few rows at a time."""
    source = SourceType(fps.source_type)
    result = np.empty(samples.shape, NUMPY_TYPES[source])
    count, height, width = samples.shape
    rows = max(1, _BLOCK // (count * width))
    for y in range(0, height, rows):
        part = slice(y, y + rows)
        result[:, part] = round_to_source(transform.apply(samples[:, part]), source)
    return result


def blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Channels and rows of an array C x H x W, block by block: binary64 numbers of all would fill memory."""
    count, height, width = shape
    rows = max(1, _BLOCK // width)
    channels = max(1, _BLOCK // (height * width))
    for c in range(0, count, channels):
        for y in range(0, height, rows):
            yield slice(c, c + channels), slice(y, y + rows)


def _restored(
    samples: Samples, fps: FeatureParameterSet, parameters: FeatureParameters
) -> npt.NDArray[np.int64] | None:
    """Positions after statistics restoration, in units of 2^-16; None where it is not signalled."""
    mean, deviation = parameters.restoration_mean, parameters.restoration_deviation
    if mean is None or deviation is None:
        return None
    return restore_moments(samples, mean, deviation, fps.bits)


def _values_of(
    block: npt.NDArray[Any],
    channels: slice,
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
) -> Values:
    """Values of a block: samples (int32), or positions (int64), of these channels."""
    if fps.quantiser == Quantiser.LATTICE:
        return dequantise_lattice(block, fps, channels)
    step, exponent = parameters.log_step, parameters.log_exponent
    if step is not None and exponent is not None:
        return dequantise_logarithmic(
            block, _own(step, channels), exponent, fps.bits, bool(fps.log_signed_flag)
        )
    return dequantise_uniform(block, *_bounds_of(channels, parameters), fps.bits)


def _bounds_of(channels: slice, parameters: FeatureParameters) -> tuple[Floats, Floats]:
    """range_min and range_max of these channels, or of all."""
    high = parameters.range_max
    assert high is not None  # the quantiser is uniform
    low = np.zeros_like(high) if parameters.range_min is None else parameters.range_min
    return _own(low, channels), _own(high, channels)


def _own(entries: npt.NDArray[Any], channels: slice) -> npt.NDArray[Any]:
    """The entries of these channels, where each has one."""
    return entries[channels] if len(entries) > 1 else entries


@clause("8.6.2")
def dequantise_logarithmic(
    samples: Samples, step: npt.NDArray[np.int64], exponent: int, bits: int, signed: bool
) -> Values:
    """(8.6.2) Logarithmic: ``sign * (2^(|q| * step / 2^24) - 1) * 2^exponent``.

    The power of two comes from two integer tables of 4096 entries in units of 2^-30; its product with
    a power of two is exact in binary64, and the subtraction of 1 is the only operation that rounds.
    "q = 0 gives 0."
    """
    level = np.clip(samples.astype(np.int64), 0, (1 << bits) - 1)  # native samples may lie beyond
    level -= (1 << (bits - 1)) if signed else 0
    power = np.abs(level) * step[:, None, None]  # below 2^16 * 2^32
    coarse, fine = power_of_two()
    fraction = power & 0xFFFFFF
    # both factors lie below 2^31 + 2^18, so that int64 holds the product
    mantissa = (coarse[fraction >> 12] * fine[fraction & 0xFFF] + (1 << 29)) >> 30
    magnitude = np.ldexp(mantissa.astype(np.float64), (power >> 24) - 30) - np.float64(1.0)
    values: Values = np.ldexp(np.where(level < 0, -magnitude, magnitude), exponent)
    return values


@clause("8.6.5")
def dequantise_lattice(
    latents: Samples, fps: FeatureParameterSet, channels: slice = slice(None)
) -> Values:
    """(8.6.5) Lattice: ``latent * step + offset``, two operations of binary64, each rounded.

    latents  : of these channels, C x H x W or N x C x H x W.
    """
    steps, offsets = lattice_of(fps)
    values: Values = latents * steps[channels, None, None]
    values += offsets[channels, None, None]
    return values


def lattice_of(fps: FeatureParameterSet) -> tuple[Values, Values]:
    """Step and offset of each channel, in binary64."""
    assert fps.lattice_step is not None
    offset = np.zeros(1) if fps.lattice_offset is None else fps.lattice_offset
    steps, offsets = (
        np.broadcast_to(one.astype(np.float64), fps.channels) for one in (fps.lattice_step, offset)
    )
    return steps, offsets


# --- normative: 8.7 rounding to the source type ----------------------------------------------------


@clause("8.7")
def round_to_source(values: Values, source: SourceType) -> npt.NDArray[Any]:
    """(8.7) Round binary64 numbers to the source type: once, to nearest, ties to even, saturating."""
    numpy_type = NUMPY_TYPES[source]
    limits = ml_dtypes.finfo(numpy_type)  # type: ignore[no-untyped-call]
    largest = np.float64(limits.max)
    rounded = np.clip(values, -largest, largest)
    if source not in (SourceType.FLOAT32, SourceType.FLOAT16):
        # ml_dtypes goes through binary32 and would round twice. Measured in units of the last place
        # a number is rounded to an integer; powers of two multiply exactly.
        _, exponent = np.frexp(rounded)
        last_place = np.maximum(exponent - 1, limits.minexp) - limits.nmant
        rounded = np.ldexp(np.rint(np.ldexp(rounded, -last_place)), last_place)
    return rounded.astype(numpy_type)


# --- informative: the encoder's half ---------------------------------------------------------------

ALIKE = frozenset({Quantiser.NONE, Quantiser.LATTICE})
"""Quantisers that need nothing but the parameter set: small features are quantised together."""

PLAIN = ALIKE | {Quantiser.TRANSFORM}
"""Quantisers without ranges or steps of each feature."""


def source_type_of(dtype: np.dtype[Any]) -> SourceType | None:
    """The source_type of a numpy dtype, or None where the format has none."""
    return next((code for code, known in NUMPY_TYPES.items() if known == dtype), None)


def fit_parameters(
    feature: npt.NDArray[Any], fps: FeatureParameterSet, clip: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Choose ranges or logarithmic steps for a feature.

    feature : float, C x H x W (or several features, stacked along a leading axis that share them).
    clip    : a range to use instead of the feature's own; values beyond it saturate.

    Returns elements of feature_parameters().
    """
    if fps.quantiser in PLAIN:
        return {}
    axes = (-2, -1) if fps.range_per_channel_flag else (-3, -2, -1)
    if feature.ndim > 3:
        axes = (*axes, *range(feature.ndim - 3))
    values = feature.astype(np.float32)
    if clip is not None:
        values = np.clip(values, np.float32(clip[0]), np.float32(clip[1]))
    low, high = np.atleast_1d(values.min(axis=axes)), np.atleast_1d(values.max(axis=axes))
    if clip is not None and not fps.range_per_channel_flag:
        low, high = np.array([clip[0]], np.float32), np.array([clip[1]], np.float32)
    if fps.quantiser == Quantiser.UNIFORM:
        zero = bool((low == 0).all())
        return {
            "range_min_zero_flag": int(zero),
            "range_min": None if zero else low + np.float32(0.0),  # -0.0 becomes 0.0
            "range_max": high,
        }
    largest = np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    peak = float(largest.max())
    levels = _levels(fps)
    # Chen et al. have no scale. It matters only if the step is small, and so coarse in units of 2^-24.
    coarse = math.log2(1.0 + peak) * 2**24 < _FINE_STEP * levels
    exponent = math.frexp(peak)[1] if peak > 0 and (coarse or peak >= 2.0**60) else 0
    top = np.log2(1.0 + np.ldexp(largest, -exponent)) * 2**24
    step = np.ceil(top / levels).astype(np.int64)
    return {"log_exponent": exponent, "log_step": np.maximum(step, 1)}


def quantise(
    feature: npt.NDArray[Any],
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    transform: ChannelTransform | None = None,
) -> tuple[Samples, Values | None]:
    """Quantise feature values with the parameters that will be signalled.

    transform : as of `dequantise`.

    Returns the samples (int32, C x H x W) and, for the uniform quantiser and a transform, their positions
    before rounding (float64, C x H x W), whose moments statistics restoration signals.
    """
    if fps.quantiser == Quantiser.NONE:
        return _bit_patterns(feature), None
    if transform is not None:
        positions = transform.coefficients(feature)
        limit = 1 << (fps.bits - 1)
        beyond = int(((positions < -limit) | (positions >= limit)).sum())
        if beyond:
            _log.warning(
                "%d coefficients of a feature exceed %d bits and saturate: "
                "fit the transform to features like these",
                beyond,
                fps.bits,
            )
        np.clip(positions, -limit, limit - 1, out=positions)
        return np.rint(positions).astype(np.int32), positions
    log_step, exponent = parameters.log_step, parameters.log_exponent
    if fps.quantiser == Quantiser.UNIFORM:
        low, high = _bounds_of(slice(None), parameters)
        samples, positions = positions_of(feature, low, high, fps.bits)
        varied = high > low
        if len(high) == feature.size and varied.any():  # a range per element of a vector
            positions[~varied] = np.rint(positions[varied].mean())  # constant: any sample will do
            samples = np.rint(positions).astype(np.int32)
        return samples, positions
    values = feature.astype(np.float64)
    if log_step is None or exponent is None:
        return _on_lattice(values, fps), None
    step = log_step.astype(np.float64)[:, None, None]
    scaled = np.ldexp(np.abs(values), -exponent)
    level = np.rint(np.log2(1.0 + scaled) * 2**24 / step)
    level = np.minimum(level, _levels(fps)).astype(np.int32)
    if fps.log_signed_flag:
        return np.where(values < 0, -level, level) + np.int32(1 << (fps.bits - 1)), None
    return np.where(values < 0, 0, level).astype(np.int32), None


def quantise_alike(
    features: Sequence[npt.NDArray[Any]], fps: FeatureParameterSet
) -> Iterator[Samples]:
    """Quantise features, C x H x W, as `quantise` does each, where they have no parameters of their own.

    Small ones are quantised together: their samples are parts of one array.
    """
    count = max(1, _BLOCK // (fps.channels * fps.height * fps.width))
    for start in range(0, len(features), count):
        batch = np.stack(features[start : start + count])
        if fps.quantiser == Quantiser.LATTICE:
            yield from _on_lattice(batch.astype(np.float64), fps)
        else:
            yield from _bit_patterns(batch)


def _bit_patterns(feature: npt.NDArray[Any]) -> Samples:
    """The bit patterns of values, int32."""
    word = f"u{feature.dtype.itemsize}"
    return np.ascontiguousarray(feature).view(word).astype(np.uint32).view(np.int32)


def _on_lattice(values: Values, fps: FeatureParameterSet) -> Samples:
    """The nearest latents of values, ... x C x H x W. Raises CallerError for more than ``bits`` bits."""
    steps, offsets = lattice_of(fps)
    latents = np.rint((values - offsets[:, None, None]) / steps[:, None, None])
    limit = 1 << (fps.bits - 1)
    far = (latents < -limit) | (latents >= limit)
    if far.any():
        raise CallerError(
            f"the value {values[far][0]:g} is {latents[far][0]:g} steps from the offset of the lattice; "
            f"latents have {fps.bits} bits",
            hint="give a greater step",
        )
    return latents.astype(np.int32)


def measure_moments(positions: Values, mode: Restoration, bits: int) -> dict[str, Any]:
    """Moments of the samples before coding, as restoration_mean and restoration_deviation.

    positions : samples before rounding, float64, C x H x W.
    """
    groups = positions.reshape(len(positions) if mode == Restoration.CHANNEL else 1, -1)
    scale = 2.0 ** (16 - bits)
    mean, deviation = groups.mean(axis=1), groups.std(axis=1)
    codes = [np.clip(np.rint(m * scale), 0, 65535).astype(np.int64) for m in (mean, deviation)]
    return {"restoration_mean": codes[0], "restoration_deviation": codes[1]}


def _levels(fps: FeatureParameterSet) -> int:
    """Greatest level of the logarithmic quantiser."""
    bits: int = fps.bits - int(fps.log_signed_flag or 0)
    return (1 << bits) - 1
