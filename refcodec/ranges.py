"""Ranges that features do not share: those of a batch, and that of a reference feature.

Bounds of ranges are binary32 numbers. The ranges of a batch are coded by the *ranks* of their bounds among
all such numbers, so that a difference of ranks is a ratio of bounds of one sign, coarsely their logarithms'
difference, and integers alone make every bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import CodedFeatureBatch, FeatureParameters, FeatureParameterSet

__all__ = [
    "Bounds",
    "bounds_of",
    "convert_reference",
    "number_of_rank",
    "own_bounds",
    "own_parameters",
    "rank_of",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int32]

# --- normative: 8.6.3 ranges of a batch --------------------------------------------------------------


@clause("8.6.3")
def rank_of(numbers: Floats) -> Integers:
    """(8.6.3) Ranks of binary32 numbers: words without their signs, which the ranks take."""
    words = np.ascontiguousarray(numbers, np.float32).view(np.int32).astype(np.int64)
    magnitudes = words & 0x7FFFFFFF
    return np.where(words < 0, -magnitudes, magnitudes)


@clause("8.6.3")
def number_of_rank(ranks: Integers) -> Floats:
    """(8.6.3) The binary32 numbers of ranks; +0 for 0."""
    words = np.abs(ranks) + np.where(ranks < 0, 0x80000000, 0)
    return words.astype(np.uint32).view(np.float32)


@clause("8.6.3")
def own_bounds(
    common: Integers, codes: Integers | None, bits: int, shift: int, sign: int
) -> Integers:
    """(8.6.3) Move a common bound by the code of each feature; the greatest code stands for 0.

    common : of one range, or of one per channel: R entries.
    codes  : one for each feature and range, of ``bits`` bits; None where ``bits`` is 0.
    sign   : 1 for bounds that only grow, -1 for those that only fall.

    Returns bounds, features x R; 1 x R where they are common.
    """
    if codes is None:
        return common.reshape(1, -1)
    table = codes.reshape(-1, len(common))
    moved = common + sign * (table << shift)  # below 2^62 + 2^32
    return np.where(table == (1 << bits) - 1, 0, moved)


Bounds = tuple[Integers, Integers]
"""Two bounds of each feature of a batch, features x R, or 1 x R where features share them: the ranks of
range_min and range_max; log_exponent, of which R is 1, and log_step."""


@clause("8.6.3")
def bounds_of(batch: CodedFeatureBatch, fps: FeatureParameterSet) -> Bounds:
    """(8.6.3) The bounds of the features of a batch whose ranges are coded."""
    parameters, shift = batch.parameters, batch.code_shift or 0
    exponent, step, high = parameters.log_exponent, parameters.log_step, parameters.range_max
    if step is not None and exponent is not None:
        first, second, first_shift = np.array([exponent]), step, 0
    else:
        assert high is not None  # the one that remains is uniform
        low = np.zeros_like(high) if parameters.range_min is None else parameters.range_min
        first, second, first_shift = rank_of(low), rank_of(high), shift
    return (
        own_bounds(first, batch.low_code, batch.low_code_bits, first_shift, 1),
        own_bounds(second, batch.high_code, batch.high_code_bits, shift, -1),
    )


def own_parameters(
    batch: CodedFeatureBatch, fps: FeatureParameterSet
) -> Iterator[FeatureParameters]:
    """The parameters of each feature of a batch: the common ones, but for ranges that are its own."""
    if not batch.range_codes_flag:
        yield from [batch.parameters] * batch.feature_count
        return
    found = bounds_of(batch, fps)
    uniform = fps.quantiser == Quantiser.UNIFORM
    first, second = map(number_of_rank, found) if uniform else found
    for i in range(batch.feature_count):
        low, high = first[i % len(first)], second[i % len(second)]
        if uniform:
            yield replace(batch.parameters, range_min_zero_flag=0, range_min=low, range_max=high)
        else:
            yield replace(batch.parameters, log_exponent=int(low[0]), log_step=high)


# --- normative: 8.6.4 range of a reference feature ----------------------------------------------------


@clause("8.6.4")
def convert_reference(
    samples: Samples, reference: FeatureParameters, own: FeatureParameters, fps: FeatureParameterSet
) -> Samples:
    """(8.6.4) The samples of a reference feature as they would be in the range of the feature predicted.

    samples   : of the reference feature, int32, C x H x W.
    reference : its parameters.
    own       : those of the feature that is predicted.

    Samples stay as they are where the ranges are equal, and where they are coefficients of a transform.
    """
    if fps.quantiser == Quantiser.TRANSFORM:
        return samples
    if fps.quantiser == Quantiser.LOGARITHMIC:
        return _convert_levels(samples, reference, own, fps)
    old_low, old_high = _wide_range(reference)
    low, high = _wide_range(own)
    if np.array_equal(old_low, low) and np.array_equal(old_high, high):
        return samples
    top = np.float64((1 << fps.bits) - 1)
    old_step, step = (old_high - old_low) / top, (high - low) / top
    step[step == 0] = np.inf  # all samples of a constant channel are alike
    values = samples.astype(np.float64)
    values *= old_step[:, None, None]
    values += old_low[:, None, None]
    values -= low[:, None, None]
    values /= step[:, None, None]
    return np.rint(np.clip(values, 0, top)).astype(np.int32)


def _wide_range(parameters: FeatureParameters) -> tuple[npt.NDArray[np.float64], ...]:
    """range_min and range_max in binary64."""
    assert parameters.range_max is not None
    high = parameters.range_max.astype(np.float64)
    low = parameters.range_min
    return (np.zeros_like(high) if low is None else low.astype(np.float64)), high


def _convert_levels(
    samples: Samples, reference: FeatureParameters, own: FeatureParameters, fps: FeatureParameterSet
) -> Samples:
    """Levels of the logarithmic quantiser from one step to another."""
    assert reference.log_step is not None
    assert own.log_step is not None
    if np.array_equal(reference.log_step, own.log_step):
        return samples
    top = (1 << fps.bits) - 1
    zero = (1 << (fps.bits - 1)) if fps.log_signed_flag else 0
    old_step, step = reference.log_step[:, None, None], own.log_step[:, None, None]
    level = np.clip(samples.astype(np.int64), 0, top) - zero
    moved = (2 * np.abs(level) * old_step + step) // (2 * step)  # below 2^50
    converted: Integers = np.where(level < 0, -moved, moved) + zero
    return np.clip(converted, 0, top).astype(np.int32)
