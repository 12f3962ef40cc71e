"""Numbers of an integer network, coded by the arithmetic coder (clause 8.11.3).

The functions ``code_...`` work in both directions, as those of ``arithmetic`` do.
"""

from __future__ import annotations

from refcodec.entropy.arithmetic import code_bits
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.entropy.model_bits import code_number
from refcodec.kernel import kernel
from refcodec.networks.layers import LARGEST_SUM

__all__ = ["AT_BIAS", "AT_WEIGHT", "WEIGHT_CHANCES", "code_biases", "code_weights"]

AT_WEIGHT = 0  # by the bits of the two magnitudes before, 17, and the length so far, 15
AT_BIAS = 255  # by the length so far: 31
WEIGHT_CHANCES = 286
"""Decisions with a past of their own."""


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_biases(
    coder: Int64, data: Uint8, chances: Int64, biases: Int64, multipliers: Int64
) -> bool:
    """(8.11.3) The bias and the multiplier of each output channel; false where a bias is out of its range."""
    for d in range(biases.shape[0]):
        bias = code_signed(coder, data, chances, AT_BIAS, 31, int(biases[d]))
        if abs(bias) > LARGEST_SUM:
            return False
        biases[d] = bias
        multipliers[d] = code_bits(coder, data, int(multipliers[d]) - 1, 16) + 1
    return True


@kernel
def code_weights(coder: Int64, data: Uint8, chances: Int64, bits: int, weights: Int32) -> bool:
    """(8.11.3) The weights of a layer; false where one has more than ``bits`` bits.

    weights : kernel rows x kernel columns x input channels x output channels.
    """
    largest = (1 << (bits - 1)) - 1
    before = 0
    last = 0
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            for c in range(weights.shape[2]):
                for d in range(weights.shape[3]):
                    near = bit_length(before + last)
                    weight = code_signed(
                        coder, data, chances, AT_WEIGHT + 15 * near, 15, int(weights[i, j, c, d])
                    )
                    if abs(weight) > largest:
                        return False
                    weights[i, j, c, d] = weight
                    before = last
                    last = abs(weight)
    return True


@kernel
def code_signed(coder: Int64, data: Uint8, chances: Int64, at: int, most: int, number: int) -> int:
    """(8.11.3) A number and its sign; the length of its magnitude is predicted by its own past."""
    amount = code_number(coder, data, chances, at, most, abs(number))
    if amount == 0:
        return 0
    return -amount if code_bits(coder, data, int(number < 0), 1) == 1 else amount


@kernel
def bit_length(number: int) -> int:
    """(8.11.3) The number of bits of a number that is not negative."""
    length = 0
    while number >> length > 0:
        length += 1
    return length
