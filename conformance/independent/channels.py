"""Transforms over channels: units, weights and inverse (6.14, 8.6.6, 8.6.7, 9.9)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .bits import BitReader, Integers
from .codes import Level
from .models import Chances, ModelFile, begin_model_unit
from .ranges import Numbers
from .refusal import require

LONGEST = 15  # bits of the magnitude of a weight, as 8.11.3 codes it
CHANCES_OF_WEIGHTS = 286
FARTHEST = 1 << 17
LARGEST_SUM_OF_WEIGHTS = 1 << 35


class ChannelTransform(NamedTuple):
    """A transform: shifted weights, groups x coefficients x channels of a group; scales and offsets."""

    weights: Integers
    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]

    @property
    def channels(self) -> int:
        """The number of channels of all groups."""
        return len(self.scale)


class CodedTransform(NamedTuple):
    """coded_channel_transform() (6.14.2)."""

    groups: int
    size: int  # channels of a group
    bits: int
    shifts: Integers
    scale: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    coded_weights: bytes


def parse_transform(payload: bytes) -> tuple[int, CodedTransform | ModelFile]:
    """Parse channel_transform_unit() (6.14): model_id, and the transform as it is coded, or its file."""
    read = BitReader(payload)
    model_id, file = begin_model_unit(read)
    if file is not None:
        return model_id, file
    groups = read.ue(4095) + 1
    size = read.ue(4095) + 1
    bits = read.u(4) + 1
    shifts = read.array(groups * size, 4)
    scale, offset = read.floats(groups * size), read.floats(groups * size)
    coded_size = read.ue((1 << 28) - 1)
    read.align()
    coded_weights = read.raw(coded_size)
    read.finish()
    return model_id, CodedTransform(groups, size, bits, shifts, scale, offset, coded_weights)


def decode_transform(coded: CodedTransform, level: Level) -> ChannelTransform:
    """Decode the weights of a transform within the limits of a level (8.6.7), and check them (9.9)."""
    within = coded.groups * coded.size * coded.size <= level.max_network_weights
    require(within, "unsupported", "RA.3-7", "a transform exceeds the level")
    weights = decode_weights(coded.coded_weights, coded.groups, coded.size, coded.bits)
    weights = weights << coded.shifts.reshape(coded.groups, coded.size, 1)
    bounded = int(np.abs(weights).sum(axis=1).max()) <= LARGEST_SUM_OF_WEIGHTS
    require(bounded, "constraint", "R9.9-3", "the weights of a channel add up to more than 2^35")
    finite = bool(np.isfinite(coded.scale).all() and np.isfinite(coded.offset).all())
    require(finite, "constraint", "R9.9-2", "a scale or an offset is not finite")
    return ChannelTransform(weights, coded.scale, coded.offset)


def decode_weights(data: bytes, groups: int, size: int, bits: int) -> Integers:
    """The weights of all groups, group by group and coefficient by coefficient (8.6.7, 8.11.3)."""
    chances = Chances(data, CHANCES_OF_WEIGHTS)
    weights: list[int] = []
    magnitudes = [0, 0]  # of the last two weights
    for _ in range(groups * size * size):
        near = sum(magnitudes).bit_length()
        magnitude = chances.number(15 * near, LONGEST)
        negative = magnitude > 0 and chances.arithmetic.bits(1)
        fits = magnitude < 1 << (bits - 1)
        require(fits, "payload", "R8.6.7-1", f"a weight of magnitude {magnitude}")
        weights.append(-magnitude if negative else magnitude)
        magnitudes = [magnitudes[1], magnitude]
    chances.finish("R8.6.7-1", "the weights do not end where their bytes do")
    return np.array(weights, np.int64).reshape(groups, size, size)


def inverse(samples: Integers, transform: ChannelTransform) -> Numbers:
    """The values of samples C x H x W (8.6.6): exact sums; product and sum round by themselves."""
    groups, size, _ = transform.weights.shape
    far = np.clip(samples, -FARTHEST, FARTHEST)
    coefficients = far.reshape(groups, size, -1)
    sums = np.einsum("gkd,gkp->gdp", transform.weights, coefficients).reshape(samples.shape)
    scale, offset = (
        one.astype(np.float64)[:, None, None] for one in (transform.scale, transform.offset)
    )
    numbers: Numbers = sums.astype(np.float64) * scale + offset
    return numbers
