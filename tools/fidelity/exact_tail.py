"""The demonstration network's tail in integers: exact logits, whatever the machine and its library of sums.

A float32 is an integer over a power of two, so sums of products are integers over a power of two. Rectifying
and pooling keep the order of numbers and so the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["exact_logits"]

_BITS = 160
"""Binary places of all integers: those of the smallest float32, and some more."""

Integers = npt.NDArray[Any]  # of Python's integers


def exact_logits(
    weights: Mapping[str, npt.NDArray[np.float32]], feature: npt.NDArray[np.float32], layer: str
) -> list[Fraction]:
    """The ten logits of one feature.

    weights : arrays as ``weights.npz`` of the demonstration names them: ``conv3.weight``, ...
    feature : C x H x W at ``conv`` and ``pool``, D at ``fc``.
    """
    values, bits = _integers(feature), _BITS
    if layer == "conv":
        values = _pooled(values)
    if layer in ("conv", "pool"):
        values, bits = _convolved(values, bits, weights["conv3.weight"], weights["conv3.bias"])
        values = _pooled(_rectified(values)).reshape(-1)
        values, bits = _connected(values, bits, weights["hidden.weight"], weights["hidden.bias"])
        values = _rectified(values)
    values, bits = _connected(values, bits, weights["output.weight"], weights["output.bias"])
    return [Fraction(int(one), 1 << bits) for one in values]


def _integers(values: npt.NDArray[np.float32]) -> Integers:
    """Floats times two to the power of ``_BITS``."""
    exact = [Fraction(float(one)) * (1 << _BITS) for one in values.reshape(-1)]
    assert all(one.denominator == 1 for one in exact)
    found = np.empty(len(exact), object)
    found[:] = [one.numerator for one in exact]
    return found.reshape(values.shape)


def _connected(
    values: Integers, bits: int, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> tuple[Integers, int]:
    """A fully connected layer; weight is output x input."""
    return _integers(weight) @ values + (_integers(bias) << bits), bits + _BITS


def _convolved(
    maps: Integers, bits: int, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> tuple[Integers, int]:
    """A 3 x 3 convolution with zeros around the maps, one position of the kernel after the other."""
    channels, height, width = maps.shape
    around = np.zeros((channels, height + 2, width + 2), object)
    around[:, 1:-1, 1:-1] = maps
    kernel = _integers(weight)
    sums = np.zeros((len(weight), height * width), object) + (_integers(bias) << bits)[:, None]
    for row in range(3):
        for column in range(3):
            part = around[:, row : row + height, column : column + width]
            sums = sums + kernel[:, :, row, column] @ part.reshape(channels, -1)
    return sums.reshape(-1, height, width), bits + _BITS


def _pooled(maps: Integers) -> Integers:
    """The largest of each 2 x 2 block."""
    channels, height, width = maps.shape
    blocks = maps.reshape(channels, height // 2, 2, width // 2, 2)
    found: Integers = blocks.max(axis=(2, 4))
    return found


def _rectified(values: Integers) -> Integers:
    return np.maximum(values, 0)
