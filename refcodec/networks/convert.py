"""Integer networks from float weights: scales of weights and values, and what is lost by them. Not normative.

Weights have a scale for each output channel, values one for each layer, which calibration chooses: inputs
for which the outputs of every layer are observed. A multiplier is rounded first, and the scale of the weights
follows from it, so that requantisation adds no error of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from refcodec.entropy.arrays import Int32
from refcodec.errors import CallerError
from refcodec.networks.layers import LARGEST_SUM, LEAK
from refcodec.networks.network import IntegerNetwork, LayerNumbers, encode_network
from refcodec.syntax.codes import Activation
from refcodec.syntax.structures import NETWORK_LAYER, NetworkLayer

__all__ = ["Conversion", "FloatLayer", "convert", "run_floats", "scale_inputs"]

Floats = npt.NDArray[np.float64]

_LARGEST_SHIFT = 32
_LARGEST_MULTIPLIER = 1 << 16
_SPREAD = 256
"""Largest multiplier of a layer over its smallest, at most: smaller ones would be coarse."""


@dataclass(frozen=True)
class FloatLayer:
    """A layer of floats, in the form that integer networks have: a transposed convolution.

    weights    : kernel rows x kernel columns x input channels x output channels.
    biases     : of each output channel.
    stride     : 1 to 4; 1 is a convolution.
    padding    : rows and columns left out before the first output, 0 to 7.
    activation : after the sums.
    """

    weights: Floats
    biases: Floats
    stride: int = 1
    padding: int = 0
    activation: Activation = Activation.LINEAR

    @classmethod
    def convolution(
        cls,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        *,
        padding: int,
        activation: Activation = Activation.LINEAR,
    ) -> Self:
        """A layer from a ``torch.nn.Conv2d`` of stride 1: weight D x C x k x k, which is mirrored."""
        found = np.asarray(weight, np.float64).transpose(2, 3, 1, 0)[::-1, ::-1]
        return cls._of(found, bias, 1, len(found) - 1 - padding, activation)

    @classmethod
    def transposed(
        cls,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        *,
        stride: int,
        padding: int,
        activation: Activation = Activation.LINEAR,
    ) -> Self:
        """A layer from a ``torch.nn.ConvTranspose2d``: weight C x D x k x k."""
        found = np.asarray(weight, np.float64).transpose(2, 3, 0, 1)
        return cls._of(found, bias, stride, padding, activation)

    @classmethod
    def _of(
        cls,
        weights: Floats,
        bias: npt.ArrayLike | None,
        stride: int,
        padding: int,
        activation: Activation,
    ) -> Self:
        biases = np.zeros(weights.shape[3]) if bias is None else np.asarray(bias, np.float64)
        return cls(np.ascontiguousarray(weights), biases, stride, padding, activation)

    def __post_init__(self) -> None:
        size = self.weights.shape[0]
        if self.weights.ndim != 4 or self.weights.shape[1] != size or not 1 <= size <= 8:
            raise CallerError(
                f"weights of shape {self.weights.shape}; kernels are square, 1 to 8 wide"
            )
        if not (1 <= self.stride <= 4 and 0 <= self.padding <= 7):
            raise CallerError(
                f"stride {self.stride} and padding {self.padding}; a stride is 1 to 4, a padding 0 to 7"
            )
        if self.biases.shape != self.weights.shape[3:]:
            raise CallerError(
                f"biases of shape {self.biases.shape} for {self.weights.shape[3]} channels"
            )

    def apply(self, values: Floats) -> Floats:
        """The outputs, D x (stride H) x (stride W), for values C x H x W."""
        size, _, _, channels = self.weights.shape
        stride, (_, height, width) = self.stride, values.shape
        rows, columns = stride * (height - 1) + 1, stride * (width - 1) + 1
        margin = self.padding + stride + size
        sums = np.zeros((channels, rows + size + margin, columns + size + margin))
        for i in range(size):
            for j in range(size):
                sums[:, i : i + rows : stride, j : j + columns : stride] += np.einsum(
                    "chw,cd->dhw", values, self.weights[i, j]
                )
        first, last_row = self.padding, self.padding + stride * height
        found = sums[:, first:last_row, first : first + stride * width]
        return self.activate(found + self.biases[:, None, None])

    def activate(self, sums: Floats) -> Floats:
        """The activation of sums."""
        if self.activation == Activation.LINEAR:
            return sums
        slope = 0.0 if self.activation == Activation.RELU else LEAK / 65536
        return np.where(sums > 0, sums, slope * sums)


def run_floats(layers: Sequence[FloatLayer], values: Floats) -> list[Floats]:
    """The outputs of each layer, for values C x H x W."""
    found = [values]
    for layer in layers:
        found.append(layer.apply(found[-1]))
    return found[1:]


@dataclass(frozen=True)
class Conversion:
    """An integer network made of floats.

    network      : the network.
    output_scale : of one unit of its outputs.
    errors       : root of the mean squared error of each layer's outputs, relative to their own root mean
                   square, over the calibration.
    """

    network: IntegerNetwork
    output_scale: float
    errors: tuple[float, ...]

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of the outputs over the calibration, in dB."""
        return -20 * math.log10(max(self.errors[-1], 1e-12))


def convert(
    layers: Sequence[FloatLayer],
    calibration: Sequence[npt.NDArray[np.integer]],
    *,
    input_bits: int,
    input_scale: float = 1.0,
    output_scale: float | None = None,
    weight_bits: int = 8,
    value_bits: int = 12,
    output_bits: int = 16,
) -> Conversion:
    """Make an integer network.

    calibration  : inputs, integers C x H x W of ``input_bits`` bits, for which ranges of values are observed.
    input_scale  : of one unit of the inputs.
    output_scale : of one unit of the outputs; None for the least power of two that keeps them in range.
    weight_bits, value_bits : of weights, and of the outputs of all layers but the last, 2 to 16.
    output_bits  : of the outputs of the last layer, 1 to 16.

    Raises CallerError for layers that do not fit together, or calibration beyond the range of inputs.
    """
    _require_fitting(layers, calibration, input_bits)
    floats = [run_floats(layers, input_scale * one.astype(np.float64)) for one in calibration]
    coded: list[NetworkLayer] = []
    numbers: list[LayerNumbers] = []
    scale, largest = input_scale, 1 << (input_bits - 1)
    scales = []
    for place, layer in enumerate(layers):
        last = place == len(layers) - 1
        bits = output_bits if last else value_bits
        top = (1 << bits) - 1 if layer.activation == Activation.RELU else (1 << (bits - 1)) - 1
        extent = max(float(np.abs(one[place]).max()) for one in floats) or 1.0
        wanted = extent / top
        if last:
            wanted = output_scale or 2.0 ** math.ceil(math.log2(wanted))
        own, shift = _integers(layer, scale, wanted, largest, weight_bits)
        numbers.append(own)
        coded.append(_coded(layer, weight_bits, bits, shift))
        scale, largest = wanted, top + 1
        scales.append(wanted)
    network = IntegerNetwork(encode_network(coded, numbers, input_bits))
    return Conversion(network, scale, _errors(network, calibration, floats, scales))


def _require_fitting(
    layers: Sequence[FloatLayer], calibration: Sequence[npt.NDArray[np.integer]], bits: int
) -> None:
    """Raise CallerError for layers or inputs that do not fit together."""
    if not layers or len(layers) > 32 or not len(calibration):
        raise CallerError("a network has 1 to 32 layers, and needs inputs to calibrate it with")
    channels = layers[0].weights.shape[2]
    for layer in layers:
        if layer.weights.shape[2] != channels:
            raise CallerError(
                f"a layer takes {layer.weights.shape[2]} channels; the one before gives {channels}"
            )
        channels = layer.weights.shape[3]
    limit = 1 << (bits - 1)
    for one in calibration:
        if one.ndim != 3 or one.shape[0] != layers[0].weights.shape[2]:
            raise CallerError(f"an input of shape {one.shape}; the network takes C x H x W")
        if int(one.min()) < -limit or int(one.max()) >= limit:
            raise CallerError(f"an input lies beyond {bits} bits")


def _integers(
    layer: FloatLayer, scale: float, wanted: float, largest: int, bits: int
) -> tuple[LayerNumbers, int]:
    """The numbers of a layer and its shift.

    scale, wanted : of one unit of its values, and of its outputs.
    largest       : greatest magnitude of a value.
    bits          : of weights.
    """
    weights, biases = layer.weights, layer.biases / scale
    most = np.abs(weights).max(axis=(0, 1, 2))
    units = most / ((1 << (bits - 1)) - 1)
    sums = largest * np.abs(weights).sum(axis=(0, 1, 2)) + np.abs(biases)
    half = largest * weights[..., 0].size / 2 + 1  # what rounding may add to a sum
    units = np.maximum(units, sums / (LARGEST_SUM - half))
    units = np.maximum(units, units.max() / _SPREAD)
    units = np.where(units > 0, units, 1.0)
    ratios = units * scale / wanted
    shift = _shift_of(ratios)
    multipliers = np.clip(np.ceil(np.ldexp(ratios, shift)), 1, _LARGEST_MULTIPLIER)
    units = np.ldexp(multipliers, -shift) * wanted / scale
    if (units * ((1 << (bits - 1)) - 0.5) < most).any():
        raise CallerError("a layer multiplies its values by more than 2^15; scale its weights down")
    return (
        LayerNumbers(
            np.rint(weights / units).astype(np.int32),
            np.rint(biases / units).astype(np.int64),
            multipliers.astype(np.int64),
        ),
        shift,
    )


def _shift_of(ratios: Floats) -> int:
    """The shift that leaves multipliers of these ratios the most bits."""
    return min(max(math.floor(16 - math.log2(ratios.max())), 1), _LARGEST_SHIFT)


def _coded(layer: FloatLayer, weight_bits: int, output_bits: int, shift: int) -> NetworkLayer:
    elements = {
        "channels_minus1": layer.weights.shape[3] - 1,
        "stride_minus1": layer.stride - 1,
        "kernel_minus1": layer.weights.shape[0] - 1,
        "padding": layer.padding,
        "weight_bits_minus1": weight_bits - 1,
        "activation": layer.activation,
        "output_bits_minus1": output_bits - 1,
        "shift_minus1": shift - 1,
    }
    return NETWORK_LAYER.make(elements)


def _errors(
    network: IntegerNetwork,
    calibration: Sequence[npt.NDArray[np.integer]],
    floats: Sequence[Sequence[Floats]],
    scales: Sequence[float],
) -> tuple[float, ...]:
    """The relative error of each layer's outputs."""
    noise, signal = np.zeros(len(scales)), np.zeros(len(scales))
    for one, exact in zip(calibration, floats, strict=True):
        values: Int32 = one.astype(np.int32)
        for place, (outputs, wanted) in enumerate(zip(network.outputs(values), exact, strict=True)):
            noise[place] += float(((outputs * scales[place] - wanted) ** 2).sum())
            signal[place] += float((wanted**2).sum())
    return tuple(np.sqrt(noise / np.maximum(signal, 1e-300)).tolist())


def scale_inputs(network: IntegerNetwork, factor: float) -> IntegerNetwork:
    """The network for inputs in a unit that is ``factor`` times as large.

    Multipliers are rounded, which changes outputs by about 2^-16 of their size.

    Raises CallerError for a factor that multipliers and shifts do not reach.
    """
    (first, *others), (own, *numbers) = network.coded.layers, network.numbers
    ratios = np.ldexp(own.multipliers.astype(np.float64), -(first.shift_minus1 + 1))
    shift = _shift_of(ratios * factor)
    multipliers = np.rint(np.ldexp(ratios * factor, shift))
    if multipliers.min() < 1 or multipliers.max() > _LARGEST_MULTIPLIER:
        raise CallerError(f"inputs of a network cannot be scaled by {factor:g}")
    biases = np.rint(own.biases * ratios / np.ldexp(multipliers, -shift)).astype(np.int64)
    layer = NETWORK_LAYER.make({**vars(first), "shift_minus1": shift - 1})
    return IntegerNetwork(
        encode_network(
            [layer, *others],
            [LayerNumbers(own.weights, biases, multipliers.astype(np.int64)), *numbers],
            network.coded.input_bits_minus1 + 1,
        )
    )
