"""Networks around the rounding of a feature codec: sequences of convolutions, which integers can run.

The kernel of a layer that changes the resolution by ``side`` is ``side + 2`` wide, with one row of padding:
the taps in its middle are a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.networks.layers import LEAK

__all__ = [
    "SLOPE",
    "Layer",
    "analysis_of",
    "biases_of",
    "hyper_analysis_of",
    "hyper_synthesis_of",
    "layers_of",
    "put",
    "synthesis_of",
]

SLOPE: Final = LEAK / 65536
"""Slope below 0 of the activation of all layers but the last."""

Layer: TypeAlias = nn.Conv2d | nn.ConvTranspose2d


def _chain(layers: Sequence[Layer]) -> nn.Sequential:
    """Layers with an activation between them."""
    parts: list[nn.Module] = []
    for layer in layers:
        parts += [layer, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*parts[:-1])


def analysis_of(channels: int, widths: Sequence[int], latents: int, side: int) -> nn.Sequential:
    """Convolutions of 3 x 3, then one from blocks to latents."""
    inputs = (channels, *widths)
    before = [nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(inputs)]
    return _chain([*before, nn.Conv2d(inputs[-1], latents, side + 2, side, 1)])


def synthesis_of(latents: int, widths: Sequence[int], channels: int, side: int) -> nn.Sequential:
    """A layer from latents to blocks, then convolutions of 3 x 3."""
    outputs = (*widths, channels)
    first = nn.ConvTranspose2d(latents, outputs[0], side + 2, side, 1)
    return _chain([first, *(nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(outputs))])


def hyper_analysis_of(latents: int, widths: Sequence[int]) -> nn.Sequential:
    """A convolution of 3 x 3, then layers that halve height and width."""
    first = nn.Conv2d(latents, widths[0], 3, padding=1)
    return _chain([first, *(nn.Conv2d(*pair, 4, 2, 1) for pair in pairwise(widths))])


def hyper_synthesis_of(latents: int, widths: Sequence[int]) -> nn.Sequential:
    """Layers that double height and width, then a convolution to means and logarithms of deviations."""
    upward = [nn.ConvTranspose2d(*pair, 4, 2, 1) for pair in pairwise(widths[::-1])]
    return _chain([*upward, nn.Conv2d(widths[0], 2 * latents, 3, padding=1)])


def layers_of(network: nn.Sequential) -> list[Layer]:
    """The convolutions of a network."""
    return [one for one in network if isinstance(one, nn.Conv2d | nn.ConvTranspose2d)]


def biases_of(layer: Layer) -> nn.Parameter:
    """The biases of a layer, which all have."""
    assert layer.bias is not None
    return layer.bias


def put(layer: Layer, kernel: torch.Tensor, bias: torch.Tensor | None = None) -> None:
    """Give the first outputs of a layer a kernel, outputs x inputs x k x k, behind its padding.

    The weights of its other outputs stay.
    """
    weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    outputs, inputs, side, _ = kernel.shape
    if outputs > weight.shape[0]:
        raise CallerError(
            f"a layer of {weight.shape[0]} channels; it passes features on at first, and needs {outputs}"
        )
    taps = slice(layer.padding[0], layer.padding[0] + side)
    weight[:outputs] = 0
    weight[:outputs, :inputs, taps, taps] = kernel
    biases_of(layer)[:outputs] = 0 if bias is None else bias
