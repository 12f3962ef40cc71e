"""A trained hyperprior bottleneck in integers: the model that streams carry, and the encoder's analysis."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import refcodec
from refcodec.coders.learned.hyperprior import distributions_of
from refcodec.learn.frozen import freeze_density
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.transforms import Layer, biases_of, layers_of
from refcodec.networks.analysis import AnalysisLayer, FloatAnalysis
from refcodec.networks.convert import Conversion, FloatLayer, convert
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.syntax.codes import Activation
from refcodec.tables import scale_deviations

__all__ = ["FrozenCodec", "bits_of", "float_layers", "freeze_codec"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_FRACTION: Final = 4
"""Bits of the fraction of means and latents."""

_PER_OCTAVE: Final = 256
"""Outputs of the hyper-synthesis from one deviation to its double."""

_ABOVE: Final = 4.0
"""Added to logarithms of deviations, none of which is less than -4, so that thresholds are positive."""

_OUTPUT_BITS: Final = 15

_CALIBRATED_ON: Final = 24
"""Features that ranges of values are observed for."""


@dataclass(frozen=True, eq=False)
class FrozenCodec:
    """A feature codec in integers.

    model     : hyperprior and synthesis.
    analysis  : the encoder's transforms, floats.
    networks  : conversions of the hyper-synthesis and the synthesis; their ``snr`` is the precision that the
                integers have left.
    """

    model: HyperpriorModel
    analysis: FloatAnalysis
    networks: tuple[Conversion, Conversion]

    def save(self, folder: Path) -> None:
        """Write the files "model.dfcm" and "analysis.safetensors" into a folder."""
        self.model.save(folder / "model.dfcm")
        self.analysis.save(folder / "analysis.safetensors")

    def write(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        features: Iterable[Floats],
        *,
        apart: bool = False,
    ) -> None:
        """Write features, C x H x W each, as a DFC stream, by the coder ``learned``.

        apart : name the model by its SHA-256 instead of storing it.
        """
        with refcodec.create(
            target,
            coder="learned",
            model=self.model,
            model_apart=apart,
            analysis=self.analysis,
            exist_ok=True,
        ) as writer:
            for feature in features:
                writer.write(feature)


def freeze_codec(
    bottleneck: HyperpriorBottleneck,
    features: Floats,
    *,
    weight_bits: int = 12,
    value_bits: int = 14,
) -> FrozenCodec:
    """Convert the networks of a bottleneck to integers, and freeze its density.

    features    : of training, N x C x H x W. Ranges of values are observed for some of them.
    weight_bits : of the weights, and ``value_bits`` of the outputs of all layers but the last.

    Raises CallerError where the integers do not reach.
    """
    widths = {"weight_bits": weight_bits, "value_bits": value_bits}
    analysis = _analysis(bottleneck)
    with torch.no_grad():
        every = [bottleneck.hyper_latents(one) for one in torch.from_numpy(features).split(100)]
    tables = freeze_density(bottleneck.density, torch.cat(every).numpy())
    chosen = features[
        np.linspace(0, len(features) - 1, min(_CALIBRATED_ON, len(features))).astype(int)
    ]
    latents, hyper = (list(one) for one in zip(*map(analysis, chosen), strict=True))
    hyper_bits = bits_of(hyper)
    analysis = replace(analysis, limit=1 << (hyper_bits - 1))
    hyper_synthesis = convert(
        _hyper_synthesis(bottleneck),
        hyper,
        input_bits=hyper_bits,
        output_scale=2.0**-_FRACTION,
        **widths,
    )

    def model(synthesis: Conversion | None) -> HyperpriorModel:
        return HyperpriorModel.from_networks(
            hyper_synthesis.network,
            tables,
            _thresholds(),
            synthesis=None if synthesis is None else synthesis.network,
            fraction=_FRACTION,
        )

    coded = [
        _rounded(one, distributions_of(own, one.shape, model(None))[0])
        for one, own in zip(latents, hyper, strict=True)
    ]
    top = float(np.abs(chosen).max())
    step = 2.0 ** math.ceil(math.log2(2 * top / (1 << (_OUTPUT_BITS - 1))))
    synthesis = convert(
        _synthesis(bottleneck),
        coded,
        input_bits=bits_of(coded),
        input_scale=2.0**-_FRACTION,
        output_scale=step,
        output_bits=_OUTPUT_BITS,
        **widths,
    )
    return FrozenCodec(model(synthesis), replace(analysis, step=step), (hyper_synthesis, synthesis))


def _rounded(latents: Floats, means: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Latents in units of 2^-fraction, at whole distances from their means."""
    unit = 1 << _FRACTION
    return (np.rint(latents - means / unit) * unit).astype(np.int32) + means


def bits_of(values: Sequence[npt.NDArray[np.int32]]) -> int:
    """Bits for integers twice as large as the largest, at most 16."""
    return min(max(int(np.abs(one).max()) for one in values).bit_length() + 2, 16)


def _thresholds() -> npt.NDArray[np.int64]:
    """Outputs of the hyper-synthesis between one scale and the next: logarithms of deviations."""
    family = np.log2(scale_deviations())
    middles = (family[1:] + family[:-1]) / 2
    return np.rint((middles + _ABOVE) * _PER_OCTAVE).astype(np.int64)


# --- layers ---------------------------------------------------------------------------------------


def _numbers(layer: Layer) -> tuple[Doubles, Doubles]:
    """Weight and bias of a layer, as torch has them."""
    return _doubles(layer.weight), _doubles(biases_of(layer))


def _doubles(values: torch.Tensor) -> Doubles:
    found: Doubles = values.detach().double().cpu().numpy()
    return found


def _analysis(bottleneck: HyperpriorBottleneck) -> FloatAnalysis:
    """The encoder's networks; latents are in steps."""
    found = []
    for network in (bottleneck.analysis, bottleneck.hyper_analysis):
        layers = layers_of(network)
        for layer in layers:
            weight, bias = _numbers(layer)
            if layer is bottleneck.analysis[0]:
                weight = weight / bottleneck.scale.item()
            if layer is bottleneck.analysis[-1]:
                steps = _doubles(bottleneck.steps)
                weight, bias = weight / steps[:, None, None, None], bias / steps
            found.append(
                AnalysisLayer(
                    weight.astype(np.float32),
                    bias.astype(np.float32),
                    layer.stride[0],
                    int(layer.padding[0]),
                    "linear" if layer is layers[-1] else "leaky_relu",
                )
            )
    count = len(layers_of(bottleneck.analysis))
    return FloatAnalysis(found[:count], found[count:])


def float_layers(network: nn.Sequential) -> list[FloatLayer]:
    """The layers of a network, convolutions of stride 1 and transposed ones, with their activations."""
    found = []
    for layer, following in zip(network, [*network[1:], None], strict=True):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU):
            continue
        weight, bias = _numbers(layer)
        activation = Activation.LINEAR
        if isinstance(following, nn.ReLU | nn.LeakyReLU):
            leaky = isinstance(following, nn.LeakyReLU)
            activation = Activation.LEAKY_RELU if leaky else Activation.RELU
        padding = int(layer.padding[0])
        if isinstance(layer, nn.ConvTranspose2d):
            found.append(
                FloatLayer.transposed(
                    weight, bias, stride=layer.stride[0], padding=padding, activation=activation
                )
            )
        else:
            found.append(
                FloatLayer.convolution(weight, bias, padding=padding, activation=activation)
            )
    return found


def _hyper_synthesis(bottleneck: HyperpriorBottleneck) -> list[FloatLayer]:
    """Its outputs are means in steps, and positive logarithms of deviations in units that suit thresholds."""
    *before, last = float_layers(bottleneck.hyper_synthesis)
    count = len(last.biases) // 2
    factors, added = np.ones(2 * count), np.zeros(2 * count)
    factors[count:] = _PER_OCTAVE / (1 << _FRACTION)
    added[count:] = _ABOVE
    return [
        *before,
        replace(last, weights=last.weights * factors, biases=(last.biases + added) * factors),
    ]


def _synthesis(bottleneck: HyperpriorBottleneck) -> list[FloatLayer]:
    """It takes latents in steps, and gives features."""
    layers = float_layers(bottleneck.synthesis)
    steps = _doubles(bottleneck.steps)
    layers[0] = replace(layers[0], weights=layers[0].weights * steps[:, None])
    scale = bottleneck.scale.item()
    last = layers[-1]
    layers[-1] = replace(
        last,
        weights=last.weights * scale,
        biases=last.biases * scale,
        activation=Activation.RELU if bottleneck.rectified else Activation.LINEAR,
    )
    return layers
