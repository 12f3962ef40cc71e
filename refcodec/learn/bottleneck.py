"""The entropy bottleneck: a layer that rounds features, and says how many bits they cost.

::

    features / steps --+ uniform noise--> density --> bits      (what the rate is taken from)
                     `--rounding-------> * steps --> values     (what the rest of the network gets)

Rounding passes gradients on unchanged ("straight-through"), as Singh et al. (2020, 2.2) describe. The paper
rounds to integers, and lets the network scale its features; here a step for each channel is learned, which is
the same, except that a trained network can start from its own scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.learn.density import FactorizedDensity

__all__ = ["Bottleneck", "Coded"]

_FITTED: Final = 1 << 15
"""Values that the density is fitted to at first, of all channels together; at least `_FEWEST` of each."""

_FEWEST: Final = 64
_FIT_STEPS: Final = 200
_FIT_RATE: Final = 0.03

_LARGEST: Final = (1 << 15) - 1
"""Largest latent."""


class Coded(NamedTuple):
    """Features that have passed the bottleneck.

    values : the features as they are decoded, N x C x H x W or N x D, float32.
    bits   : estimated code length of each of them, N.
    """

    values: torch.Tensor
    bits: torch.Tensor


class Bottleneck(nn.Module):
    """An entropy bottleneck for features of one shape.

    channels : channels of a map, or elements of a vector: the second axis of a batch.
    step     : initial step of all channels.
    widths   : hidden units of the density; see `refcodec.learn.density.FactorizedDensity`.
    seed     : seed of the density's initial biases.

    Attributes: ``log_steps``, the logarithms of the steps, a parameter; ``density``.
    """

    def __init__(
        self,
        channels: int,
        *,
        step: float = 1.0,
        widths: Sequence[int] = (3, 3, 3),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (0 < step < math.inf):
            raise CallerError(f"the step is {step}; it is above 0")
        self.log_steps = nn.Parameter(torch.full((channels,), math.log(step)))
        self.density = FactorizedDensity(channels, widths, seed=seed)

    @property
    def steps(self) -> torch.Tensor:
        """Step of each channel."""
        return self.log_steps.exp()

    def calibrate(self, features: torch.Tensor, step: float) -> None:
        """Set the steps by features, N x C x H x W or N x D, and fit the density to some of them.

        step : in standard deviations of each channel. A channel that is constant gets the largest step.

        Raises CallerError if all channels are constant.
        """
        values = features.detach().movedim(1, 0).flatten(1).float()
        deviations = values.std(dim=1, correction=0)
        if not deviations.max() > 0:
            raise CallerError("all features are constant", hint="is the network trained?")
        deviations = torch.where(deviations > 0, deviations, deviations.max())
        with torch.no_grad():
            self.log_steps.copy_(torch.log(step * deviations))
        count = max(_FEWEST, _FITTED // len(values))
        chosen = torch.linspace(0, values.shape[1] - 1, min(count, values.shape[1])).long()
        self._fit((values[:, chosen] / self.steps.detach()[:, None]).T)

    def _fit(self, scaled: torch.Tensor) -> None:
        """Fit the density to values in steps, N x channels, with noise."""
        optimiser = torch.optim.Adam(self.density.parameters(), lr=_FIT_RATE)
        generator = torch.Generator(scaled.device).manual_seed(0)
        for _ in range(_FIT_STEPS):
            noise = torch.rand(scaled.shape, generator=generator, device=scaled.device) - 0.5
            optimiser.zero_grad()
            self.density.bits(scaled + noise).sum().div(len(scaled)).backward()
            optimiser.step()
        optimiser.zero_grad()

    def forward(self, features: torch.Tensor, noise: torch.Tensor | None = None) -> Coded:
        """Round features, N x C x H x W or N x D, and estimate their bits.

        noise : uniform in -0.5 to 0.5, of the same shape, for the rate in training; None estimates the
                bits of the rounded values.
        """
        steps = self.steps.reshape(1, -1, *[1] * (features.ndim - 2))
        scaled = features.float() / steps
        rounded = scaled + (scaled.round() - scaled).detach()
        bits = self.density.bits(rounded if noise is None else scaled + noise)
        return Coded(rounded * steps, bits.flatten(1).sum(dim=1))

    @torch.no_grad()
    def latents(self, features: torch.Tensor) -> torch.Tensor:
        """The integers of 16 bits that are stored for features, int32, of the same shape."""
        steps = self.steps.reshape(1, -1, *[1] * (features.ndim - 2))
        rounded = (features.float() / steps).round()
        return rounded.clamp(-_LARGEST, _LARGEST).to(torch.int32)
