"""Transforms over channels of chosen integers, so that every machine makes the same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.suite.make.native import pattern
from refcodec.syntax.structures import CodedChannelTransform
from refcodec.transform.channel import ChannelTransform, encode_transform

__all__ = ["mixing", "transform"]


def mixing(groups: int, channels: int, most: int, own: int) -> npt.NDArray[np.int32]:
    """Pseudo-random weights up to ``most``; ``own`` from each coefficient to the channel of its number."""
    weights = pattern((groups, channels, channels), 1, most)
    weights[:, np.arange(channels), np.arange(channels)] = own
    return weights


def transform(
    weights: npt.NDArray[np.int32],
    *,
    shifts: npt.ArrayLike = 0,
    scales: npt.ArrayLike = 1.0,
    offsets: npt.ArrayLike = 0.0,
    bits: int = 16,
) -> ChannelTransform:
    """A transform of weights, groups x coefficients x channels of a group, of ``bits`` bits."""
    return ChannelTransform(coded(weights, shifts, scales, offsets, bits))


def coded(
    weights: npt.NDArray[np.int32],
    shifts: npt.ArrayLike = 0,
    scales: npt.ArrayLike = 1.0,
    offsets: npt.ArrayLike = 0.0,
    bits: int = 16,
) -> CodedChannelTransform:
    """The elements of a transform, which need not be one that a decoder accepts."""
    channels = weights.shape[0] * weights.shape[1]
    return encode_transform(
        weights,
        np.resize(np.asarray(shifts, np.int64), channels),
        np.resize(np.asarray(scales, np.float32), channels),
        np.resize(np.asarray(offsets, np.float32), channels),
        bits,
    )
