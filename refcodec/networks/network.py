"""An integer network as a unit holds it (clause 8.11.1): decoded, proved free of overflow, applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.model_bits import NEW_CHANCE
from refcodec.errors import ConstraintError, PayloadError, StreamError, UnsupportedError
from refcodec.networks.layers import (
    LARGEST_SUM,
    apply_layer,
    highest_output,
    largest_sums,
    lowest_output,
)
from refcodec.networks.weights import WEIGHT_CHANCES, code_biases, code_weights
from refcodec.syntax.structures import NETWORK, Network, NetworkLayer
from refcodec.tables import Level

__all__ = [
    "IntegerNetwork",
    "LayerNumbers",
    "check_network_limits",
    "encode_network",
    "room_of",
    "stride_of",
    "weights_of",
    "work_of",
]


class LayerNumbers(NamedTuple):
    """The numbers of a layer.

    weights     : kernel rows x kernel columns x input channels x output channels.
    biases      : of each output channel, magnitudes below 2^31.
    multipliers : of each output channel, 1 to 2^16.
    """

    weights: Int32
    biases: Int64
    multipliers: Int64


# --- normative -------------------------------------------------------------------------------------


class IntegerNetwork:
    """Layers of integers that follow one another.

    coded   : the network as a unit has it.
    numbers : those of each layer.
    """

    def __init__(self, coded: Network) -> None:
        """Decode the numbers of a network, whose size has been checked, and prove that no sum overflows.

        Raises PayloadError for numbers that do not end where their bytes do, or are out of their range;
        ConstraintError for a network whose sums may overflow.
        """
        self.coded = coded
        self.numbers = decode_numbers(coded)
        for layer, bound in enumerate(self.bounds):
            if bound > LARGEST_SUM:
                raise ConstraintError(
                    f"network: the sums of layer {layer} may reach {bound}; they have 32 bits",
                    requirement="9.8-4",
                )

    @cached_property
    def bounds(self) -> list[int]:
        """(8.11.2) The magnitude that no sum of a layer exceeds, by layer."""
        largest = 1 << self.coded.input_bits_minus1
        found = []
        for layer, own in zip(self.coded.layers, self.numbers, strict=True):
            sums = np.zeros(layer.channels, np.int64)
            largest_sums(own.weights, own.biases, largest, sums)
            found.append(int(sums.max()))
            largest = max(-self.lowest_of(layer), self.highest_of(layer))
        return found

    @staticmethod
    def lowest_of(layer: NetworkLayer) -> int:
        """The least output of a layer."""
        return lowest_output(layer.activation, layer.output_bits_minus1 + 1)

    @staticmethod
    def highest_of(layer: NetworkLayer) -> int:
        """The greatest output of a layer."""
        return highest_output(layer.activation, layer.output_bits_minus1 + 1)

    @clause("8.11.1")
    def apply(self, values: Int32) -> Int32:
        """(8.11.1) The outputs for values C x H x W of ``input_bits`` bits: D x (stride H) x (stride W)."""
        found = values
        for outputs in self.outputs(values):
            found = outputs
        return found

    @clause("8.11.1")
    def outputs(self, values: Int32) -> Iterator[Int32]:
        """(8.11.1) The outputs of each layer for values C x H x W."""
        found = np.ascontiguousarray(np.moveaxis(values, 0, -1), np.int32)
        for layer, own in zip(self.coded.layers, self.numbers, strict=True):
            stride = layer.stride_minus1 + 1
            height, width, _ = found.shape
            outputs = np.zeros((stride * height, stride * width, layer.channels), np.int32)
            shape = (
                *(stride, layer.padding, layer.shift_minus1 + 1),
                *(layer.activation, layer.output_bits_minus1 + 1),
            )
            apply_layer(
                found, own.weights, own.biases, own.multipliers, np.array(shape, np.int64), outputs
            )
            yield np.ascontiguousarray(np.moveaxis(outputs, -1, 0))
            found = outputs

    # -- what it costs

    @property
    def input_channels(self) -> int:
        """Channels of the values that it takes."""
        return self.coded.input_channels

    @property
    def output_channels(self) -> int:
        """Channels of its outputs."""
        return self.coded.layers[-1].channels

    @property
    def stride(self) -> int:
        """Factor from the height of the values to that of the outputs."""
        return stride_of(self.coded)

    @property
    def weights(self) -> int:
        """Number of weights of all layers."""
        return weights_of(self.coded)


def weights_of(coded: Network) -> int:
    """Number of weights of all layers."""
    return sum(map(prod, _shapes(coded)))


def stride_of(coded: Network) -> int:
    """Factor from the height of the values to that of the outputs."""
    return prod(layer.stride_minus1 + 1 for layer in coded.layers)


@clause("A.3")
def work_of(coded: Network, positions: int) -> int:
    """(A.3) Multiply-accumulates of a network for values of ``positions`` H x W: a weight's, each."""
    areas = accumulate(
        ((layer.stride_minus1 + 1) ** 2 for layer in coded.layers), int.__mul__, initial=positions
    )
    return sum(area * prod(shape) for area, shape in zip(areas, _shapes(coded), strict=False))


@clause("A.3")
def room_of(coded: Network, positions: int) -> int:
    """(A.3) The most outputs that a layer of a network has, for values of ``positions`` H x W."""
    areas = accumulate(((layer.stride_minus1 + 1) ** 2 for layer in coded.layers), int.__mul__)
    outputs = (
        positions * area * layer.channels for area, layer in zip(areas, coded.layers, strict=True)
    )
    return max(positions * coded.input_channels, *outputs)


def _shapes(coded: Network) -> Iterator[tuple[int, int, int, int]]:
    """The shape of the weights of each layer."""
    channels = coded.input_channels
    for layer in coded.layers:
        size = layer.kernel_minus1 + 1
        yield size, size, channels, layer.channels
        channels = layer.channels


@clause("8.11.3")
def decode_numbers(coded: Network) -> list[LayerNumbers]:
    """(8.11.3) The numbers of each layer. Raises PayloadError."""
    data = np.frombuffer(bytearray(coded.coded_weights), np.uint8)  # kernels want it writable
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(WEIGHT_CHANCES, NEW_CHANCE)
    start_decoding(coder, data)
    coder[DIRECTION] = 0
    found = []
    for layer, shape in zip(coded.layers, _shapes(coded), strict=True):
        own = LayerNumbers(
            np.zeros(shape, np.int32),
            np.zeros(layer.channels, np.int64),
            np.zeros(layer.channels, np.int64),
        )
        sound = code_biases(coder, data, chances, own.biases, own.multipliers)
        if not sound or not code_weights(
            coder, data, chances, layer.weight_bits_minus1 + 1, own.weights
        ):
            raise _refusal("a weight or a bias is out of its range")
        found.append(own)
    if not finish_decoding(coder, data):
        raise _refusal("the numbers do not end where their bytes do")
    return found


def _refusal(what: str) -> PayloadError:
    return PayloadError(f"network: {what}", clause="8.11.3")


@clause("A.3")
def check_network_limits(
    networks: Sequence[Network], limits: Level, bit_offset: int | None = None
) -> Iterator[StreamError]:
    """(A.3) The weights of the networks of a model are within the limit of a level."""
    count = sum(map(weights_of, networks))
    if count > limits.max_network_weights:
        yield UnsupportedError(
            f"networks of {count} weights; level {limits.level_idc} allows "
            f"{limits.max_network_weights}",
            bit_offset=bit_offset,
            clause="A.3",
            hint="the stream understates its level, or is corrupt",
        )


# --- informative: the encoder's half ---------------------------------------------------------------


def encode_network(
    layers: Sequence[NetworkLayer], numbers: Sequence[LayerNumbers], input_bits: int
) -> Network:
    """Write the numbers of a network; the widths of ``layers`` must admit them."""
    size = 64 + sum(3 * own.weights.size + 8 * own.biases.size for own in numbers)
    output = np.zeros(size, np.uint8)
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(WEIGHT_CHANCES, NEW_CHANCE)
    start_encoding(coder)
    coder[DIRECTION] = 1
    for layer, own in zip(layers, numbers, strict=True):
        sound = code_biases(coder, output, chances, own.biases, own.multipliers)
        sound = sound and code_weights(
            coder, output, chances, layer.weight_bits_minus1 + 1, own.weights
        )
        assert sound  # callers keep to the widths
    data = output[: finish_encoding(coder, output)].tobytes()
    elements = {
        "input_channels_minus1": numbers[0].weights.shape[2] - 1,
        "input_bits_minus1": input_bits - 1,
        "layer_count_minus1": len(layers) - 1,
        "layers": list(layers),
        "coded_size": len(data),
        "coded_weights": data,
    }
    return NETWORK.make(elements)
