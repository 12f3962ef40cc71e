"""Ranges of the features of a batch, and of reference features: clauses 8.6.3 and 8.6.4."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .bits import Integers
from .codes import Quantiser
from .constraints import check_own_ranges, check_own_steps
from .syntax import Batch, FeatureParameterSet, Parameters

Numbers = npt.NDArray[np.float64]

SIGN = 0x80000000


def ranks_of(numbers: npt.NDArray[np.float32]) -> Integers:
    """The ranks of finite binary32 numbers (8.6.3)."""
    words = numbers.view(np.uint32).astype(np.int64)
    return np.where(words & SIGN, -(words & ~SIGN), words)


def numbers_of(ranks: Integers) -> npt.NDArray[np.float32]:
    """The binary32 numbers of ranks (8.6.3)."""
    words = np.where(ranks < 0, SIGN - ranks, ranks)
    return words.astype(np.uint32).view(np.float32)


def move(common: Integers, codes: Integers, bits: int, unit: int) -> Integers:
    """Move common bounds by the codes of each feature: features x ranges; the greatest code is 0 (8.6.3)."""
    if bits == 0:
        return common[None, :]
    return np.where(codes == (1 << bits) - 1, 0, common + codes * unit)


def parameters_of_features(fps: FeatureParameterSet, batch: Batch) -> list[Parameters]:
    """The parameters of each feature of a batch, with ranges of its own (8.6.3)."""
    common, count = batch.parameters, batch.feature_count
    if not batch.range_codes_flag:
        return [common] * count
    unit = 1 << batch.code_shift
    if fps.quantiser == Quantiser.LOGARITHMIC:
        exponent = np.array([common.log_exponent])
        exponents = move(exponent, batch.low_code, batch.low_code_bits, 1)
        steps = move(common.log_step, batch.high_code, batch.high_code_bits, -unit)
        check_own_steps(exponents, steps)
        exponents = np.broadcast_to(exponents, (count, 1))
        steps = np.broadcast_to(steps, (count, fps.ranges))
        return [
            replace(common, log_exponent=int(exponents[i, 0]), log_step=steps[i])
            for i in range(count)
        ]
    low = move(ranks_of(common.range_min), batch.low_code, batch.low_code_bits, unit)
    high = move(ranks_of(common.range_max), batch.high_code, batch.high_code_bits, -unit)
    check_own_ranges(low, high)
    lows = np.broadcast_to(numbers_of(low), (count, fps.ranges))
    highs = np.broadcast_to(numbers_of(high), (count, fps.ranges))
    return [replace(common, range_min=lows[i], range_max=highs[i]) for i in range(count)]


def low_and_step(parameters: Parameters, bits: int) -> tuple[Numbers, Numbers]:
    """*low* and *step* of the uniform quantiser (8.6.1): arrays that fit C x H x W."""
    low = parameters.range_min.astype(np.float64)
    step = (parameters.range_max.astype(np.float64) - low) / np.float64((1 << bits) - 1)
    return low[:, None, None], step[:, None, None]


def levels_of(samples: Integers, fps: FeatureParameterSet) -> Integers:
    """The levels of the logarithmic quantiser (8.6.2): samples are limited first."""
    levels = np.clip(samples, 0, (1 << fps.bits) - 1)
    return levels - (1 << (fps.bits - 1)) if fps.log_signed_flag else levels


def convert(
    samples: Integers, theirs: Parameters, own: Parameters, fps: FeatureParameterSet
) -> Integers:
    """The samples of a reference feature in the ranges of the feature that is predicted (8.6.4)."""
    if fps.quantiser == Quantiser.LOGARITHMIC:
        return convert_levels(samples, theirs.log_step, own.log_step, fps)
    same = np.array_equal(theirs.range_min, own.range_min)
    if same and np.array_equal(theirs.range_max, own.range_max):
        return samples
    their_low, their_step = low_and_step(theirs, fps.bits)
    low, step = low_and_step(own, fps.bits)
    distance = samples.astype(np.float64) * their_step + their_low - low
    values = np.zeros(fps.shape)  # 0 where the step is 0
    np.divide(distance, step, out=values, where=np.broadcast_to(step != 0, fps.shape))
    return np.rint(np.clip(values, 0, (1 << fps.bits) - 1)).astype(np.int64)


def convert_levels(
    samples: Integers, theirs: Integers, own: Integers, fps: FeatureParameterSet
) -> Integers:
    """The conversion of 8.6.4 for the logarithmic quantiser, by steps."""
    if np.array_equal(theirs, own):
        return samples
    levels, step = levels_of(samples, fps), own[:, None, None]
    sizes = (2 * np.abs(levels) * theirs[:, None, None] + step) // (2 * step)
    origin = 1 << (fps.bits - 1) if fps.log_signed_flag else 0
    converted: Integers = np.clip(np.sign(levels) * sizes + origin, 0, (1 << fps.bits) - 1)
    return converted
