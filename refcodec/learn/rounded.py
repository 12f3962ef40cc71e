"""Networks as integers will run them, in training: weights and values are rounded, and gradients pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from refcodec.learn.bottleneck import round_through
from refcodec.learn.transforms import biases_of

__all__ = ["Widths", "run_rounded"]


class Widths(NamedTuple):
    """Bits of integer networks: of weights, and of the outputs of all layers but the last."""

    weights: int = 12
    values: int = 14


def run_rounded(
    network: nn.Sequential,
    values: torch.Tensor,
    widths: Widths,
    gains: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run a network of `refcodec.learn.transforms` in float32, rounded as its conversion will be.

    Weights have a scale for each output channel, values one for each layer, that of the batch.

    gains : of each input channel, which the conversion multiplies into the first layer; None for none.
    """
    with torch.autocast(values.device.type, enabled=False):
        found = values.float()
        for layer in network:
            if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                activated = layer(found)
                found = _rounded(activated, activated.detach().abs().max(), widths.values)
                continue
            turned = isinstance(layer, nn.ConvTranspose2d)
            weight = layer.weight.transpose(0, 1) if turned else layer.weight  # outputs first
            if gains is not None and layer is network[0]:
                weight = weight * gains.reshape(1, -1, 1, 1)
            most = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
            weight = _rounded(weight, most, widths.weights)
            if turned:
                weight = weight.transpose(0, 1)
            convolve = functional.conv_transpose2d if turned else functional.conv2d
            found = convolve(found, weight, biases_of(layer), layer.stride, layer.padding)
        return found


def _rounded(values: torch.Tensor, most: torch.Tensor, bits: int) -> torch.Tensor:
    """Round values to integers of some bits, in a unit that the largest, ``most``, just fits."""
    unit = most.clamp(min=1e-12) / ((1 << (bits - 1)) - 1)
    return round_through(values / unit) * unit
