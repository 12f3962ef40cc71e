"""From samples to elements: clauses 8.5, 8.6 and 8.7."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .bits import Integers
from .channels import ChannelTransform, inverse
from .codes import Quantiser, RestorationMode, SourceType
from .ranges import Numbers, levels_of, low_and_step
from .syntax import WIDTHS, FeatureParameterSet, Parameters
from .tables import power_of_two

GREATEST_GAIN = 1 << 20


class Format(NamedTuple):
    """A floating-point format: exponent of its least normal number, bits of its fraction, greatest number."""

    least_exponent: int
    fraction: int
    greatest: float


FORMATS = {
    SourceType.FLOAT32: Format(-126, 23, (2 - 2.0**-23) * 2.0**127),
    SourceType.FLOAT16: Format(-14, 10, (2 - 2.0**-10) * 2.0**15),
    SourceType.BFLOAT16: Format(-126, 7, (2 - 2.0**-7) * 2.0**127),
    SourceType.FLOAT8_E4M3FN: Format(-6, 3, (2 - 2.0**-2) * 2.0**8),
    SourceType.FLOAT8_E5M2: Format(-14, 2, (2 - 2.0**-2) * 2.0**15),
}


def restore_group(samples: Integers, mean: int, deviation: int, bits: int) -> Integers:
    """The positions of a group of samples, moved to its mean and deviation (8.5)."""
    count = samples.size
    first = int(samples.sum())
    second = int((samples * samples).sum())
    spread = count * second - first * first
    if spread == 0:
        return samples << 16
    root = math.isqrt(spread << 32)
    gain = min(((deviation * count << (bits + 16)) + root // 2) // root, GREATEST_GAIN)
    own_mean = ((first << 16) + count // 2) // count
    return (mean << bits) + ((((samples << 16) - own_mean) * gain + (1 << 15)) >> 16)


def positions_of(samples: Integers, parameters: Parameters, bits: int) -> Integers:
    """The positions of the samples of a feature, in units of 2^-16 samples (8.5)."""
    if parameters.restoration_mode == RestorationMode.OFF:
        return samples << 16
    groups = samples.reshape(len(parameters.restoration_mean), -1)
    moments = zip(parameters.restoration_mean, parameters.restoration_deviation, strict=True)
    restored = [
        restore_group(group, int(mean), int(deviation), bits)
        for group, (mean, deviation) in zip(groups, moments, strict=True)
    ]
    return np.stack(restored).reshape(samples.shape)


def uniform(samples: Integers, fps: FeatureParameterSet, parameters: Parameters) -> Numbers:
    """Inverse quantisation with equal steps (8.6.1): each operation rounds by itself."""
    low, step = low_and_step(parameters, fps.bits)
    positions = positions_of(samples, parameters, fps.bits).astype(np.float64)
    numbers: Numbers = (positions * 2.0**-16) * step + low
    return numbers


def logarithmic(samples: Integers, fps: FeatureParameterSet, parameters: Parameters) -> Numbers:
    """Inverse quantisation with equal steps of the logarithm (8.6.2)."""
    levels = levels_of(samples, fps)
    power = np.abs(levels) * parameters.log_step[:, None, None]
    whole, part = power >> 24, power & 0xFFFFFF
    coarse, fine = power_of_two()
    mantissa = (coarse[part >> 12] * fine[part & 0xFFF] + (1 << 29)) >> 30
    size = np.ldexp(mantissa.astype(np.float64), whole - 30) - 1.0
    signed = np.where(levels >= 0, size, -size)
    numbers: Numbers = np.ldexp(signed, parameters.log_exponent)
    return numbers


def lattice(latents: Integers, fps: FeatureParameterSet) -> Numbers:
    """Inverse quantisation of latents (8.6.5): product and sum round by themselves."""
    steps = fps.lattice_step.astype(np.float64)[:, None, None]
    numbers: Numbers = latents * steps + fps.lattice_offset.astype(np.float64)[:, None, None]
    return numbers


def round_to(numbers: Numbers, source: SourceType) -> npt.NDArray[np.uint32]:
    """The patterns of binary64 numbers in a source type: saturated, then rounded once (8.7).

    A number is counted in units of the last place of its binade, or of the subnormal numbers. Added to
    the binades below, this count is the pattern, also where rounding reaches the next binade.
    """
    least, fraction, greatest = FORMATS[source]
    size = np.minimum(np.abs(numbers), greatest)
    binade = np.where(size > 0, np.maximum(np.frexp(size)[1] - 1, least), least)
    count = np.rint(np.ldexp(size, fraction - binade)).astype(np.int64)
    pattern = count + ((binade.astype(np.int64) - least) << fraction)
    sign = np.signbit(numbers).astype(np.int64) << (WIDTHS[source] - 1)
    patterns: npt.NDArray[np.uint32] = (pattern | sign).astype(np.uint32)
    return patterns


def reconstruct(
    samples: Integers,
    fps: FeatureParameterSet,
    parameters: Parameters,
    transform: ChannelTransform | None,
) -> npt.NDArray[np.unsignedinteger]:
    """The reconstruction of a feature, C x H x W, as patterns of its source type (8.5 to 8.7)."""
    if fps.quantiser == Quantiser.NONE:
        patterns = samples.astype(np.uint32)
    elif transform is not None:
        patterns = round_to(inverse(samples, transform), fps.source_type)
    elif fps.quantiser == Quantiser.LATTICE:
        patterns = round_to(lattice(samples, fps), fps.source_type)
    else:
        values = uniform if fps.quantiser == Quantiser.UNIFORM else logarithmic
        patterns = round_to(values(samples, fps, parameters), fps.source_type)
    return patterns.astype(f"<u{WIDTHS[fps.source_type] // 8}")
