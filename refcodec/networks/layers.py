"""Layers of integer networks: transposed convolutions, requantised and clipped (clause 8.11.2).

Values and outputs are H x W x C, channels last. With a stride of 1 a transposed convolution is a convolution.
"""

from __future__ import annotations

import numpy as np

from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined, kernel

__all__ = [
    "LARGEST_SUM",
    "LEAK",
    "LEAKY_RELU",
    "LINEAR",
    "RELU",
    "activate",
    "apply_layer",
    "highest_output",
    "largest_sums",
    "lowest_output",
]

LARGEST_SUM = (1 << 31) - 1
"""Greatest magnitude that the sum of an output channel may have."""

LINEAR = 0
RELU = 1
LEAKY_RELU = 2

LEAK = 655
"""Slope of LEAKY_RELU below 0, in units of 2^-16."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def lowest_output(activation: int, bits: int) -> int:
    """(8.11.2) The least output of a layer before the slope of LEAKY_RELU."""
    return 0 if activation == RELU else -(1 << (bits - 1))


@inlined
def highest_output(activation: int, bits: int) -> int:
    """(8.11.2) The greatest output of a layer."""
    return (1 << bits) - 1 if activation == RELU else (1 << (bits - 1)) - 1


@inlined
def activate(total: int, multiplier: int, shift: int, activation: int, bits: int) -> int:
    """(8.11.2) The output of a sum: a product of less than 2^47, rounded, clipped, and the activation."""
    output = (total * multiplier + (1 << (shift - 1))) >> shift
    output = max(output, lowest_output(activation, bits))
    output = min(output, highest_output(activation, bits))
    if activation == LEAKY_RELU and output < 0:
        output = (output * LEAK + 32768) >> 16
    return output


@kernel
def apply_layer(
    values: Int32,
    weights: Int32,
    biases: Int64,
    multipliers: Int64,
    shape: Int64,
    outputs: Int32,
) -> None:
    """(8.11.2) Apply a layer.

    values  : H x W x C.
    weights : kernel rows x kernel columns x C x D.
    biases, multipliers : of each of D output channels.
    shape   : stride, padding, shift, activation and output bits.
    outputs : stride * H x stride * W x D.
    """
    stride, padding = int(shape[0]), int(shape[1])
    shift, activation, bits = int(shape[2]), int(shape[3]), int(shape[4])
    size = weights.shape[0]
    channels = outputs.shape[2]
    sums = np.zeros(channels, np.int64)
    for y in range(outputs.shape[0]):
        for x in range(outputs.shape[1]):
            for d in range(channels):
                sums[d] = int(biases[d])
            for i in range(size):
                row = y + padding - i
                if row < 0 or row % stride > 0 or row // stride >= values.shape[0]:
                    continue
                for j in range(size):
                    column = x + padding - j
                    if column < 0 or column % stride > 0 or column // stride >= values.shape[1]:
                        continue
                    for c in range(values.shape[2]):
                        value = int(values[row // stride, column // stride, c])
                        if value != 0:
                            for d in range(channels):
                                sums[d] = int(sums[d]) + value * int(weights[i, j, c, d])
            for d in range(channels):
                outputs[y, x, d] = activate(
                    int(sums[d]), int(multipliers[d]), shift, activation, bits
                )


@kernel
def largest_sums(weights: Int32, biases: Int64, largest: int, bounds: Int64) -> None:
    """(8.11.2) A bound of the magnitude of the sums of each output channel, whatever the values.

    largest : greatest magnitude of a value, at most 2^16.
    bounds  : below 2^50, as an output channel has at most 2^18 weights of 16 bits.
    """
    for d in range(bounds.shape[0]):
        bounds[d] = abs(int(biases[d]))
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            for c in range(weights.shape[2]):
                for d in range(weights.shape[3]):
                    bounds[d] = int(bounds[d]) + largest * abs(int(weights[i, j, c, d]))
