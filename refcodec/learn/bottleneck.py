"""The entropy bottleneck: a layer that rounds features, and says how many bits they cost.

::

    features / steps --+ uniform noise--> density --> bits      (what the rate is taken from)
                     `--rounding-------> * steps --> values     (what the rest of the network gets)

Rounding passes gradients on unchanged ("straight-through"), as Singh et al. (2020, 2.2) describe. The paper
rounds to integers, and lets the network scale its features; here a step for each channel is learned, which is
the same, except that a trained network can start from its own scale.

Layers may be put around the rounding, an analysis before and a synthesis after it. Then a network can stay as
it is, and these layers alone learn what of its features the tail needs. They become parts of head and tail:
what is stored are the values between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.learn.density import FactorizedDensity

__all__ = ["Bottleneck", "Coded", "Noise", "layers", "round_through"]

Noise = Callable[[torch.Size], torch.Tensor]
"""Makes noise of a shape, uniform in -0.5 to 0.5."""

_FITTED: Final = 1 << 15
"""Values that the density is fitted to at first, of all channels together; at least `_FEWEST` of each."""

_FEWEST: Final = 64
_FIT_STEPS: Final = 200
_FIT_RATE: Final = 0.03

_LARGEST: Final = (1 << 15) - 1
"""Largest latent."""


class Coded(NamedTuple):
    """Features that have passed the bottleneck.

    values : features for the tail, N x C x H x W or N x D, float32.
    bits   : estimated code length of each of them, N.
    """

    values: torch.Tensor
    bits: torch.Tensor


class Bottleneck(nn.Module):
    """An entropy bottleneck for features of one shape.

    channels  : channels of what is stored, of a map or a vector: the second axis of a batch.
    step      : initial step of all channels.
    widths    : hidden units of the density; see `refcodec.learn.density.FactorizedDensity`.
    seed      : seed of the density's initial biases.
    analysis  : from features to what is stored; None for features as they are. See `layers`.
    synthesis : from what is stored back to features for the tail; None likewise.

    Attributes: ``log_steps``, the logarithms of the steps, a parameter; ``density``; ``analysis`` and
    ``synthesis``.
    """

    def __init__(
        self,
        channels: int,
        *,
        step: float = 1.0,
        widths: Sequence[int] = (3, 3, 3),
        seed: int = 0,
        analysis: nn.Module | None = None,
        synthesis: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not (0 < step < math.inf):
            raise CallerError(f"the step is {step}; it is above 0")
        self.log_steps = nn.Parameter(torch.full((channels,), math.log(step)))
        self.density = FactorizedDensity(channels, widths, seed=seed)
        self.analysis, self.synthesis = analysis or nn.Identity(), synthesis or nn.Identity()

    @property
    def steps(self) -> torch.Tensor:
        """Step of each channel."""
        return self.log_steps.exp()

    def calibrate(self, features: torch.Tensor, step: float) -> None:
        """Set the steps by features, N x C x H x W or N x D, and fit the density to some of them.

        step : in standard deviations of each channel. A channel that is constant gets the largest step.

        Raises CallerError if all channels are constant.
        """
        with torch.no_grad():
            values = self.analysis(features).movedim(1, 0).flatten(1).float()
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

    def forward(self, features: torch.Tensor, noise: Noise | None = None) -> Coded:
        """Round features, N x C x H x W or N x D, and estimate their bits.

        noise : makes noise for the rate in training; None estimates the bits of the rounded values.
        """
        scaled, steps = self._scaled(features)
        rounded = round_through(scaled)
        bits = self.density.bits(rounded if noise is None else scaled + noise(scaled.shape))
        return Coded(self.restore(rounded * steps), bits.flatten(1).sum(dim=1))

    def _scaled(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is stored, in steps; and the steps, to multiply it with."""
        analysed = self.analysis(features).float()
        steps = self.steps.reshape(1, -1, *[1] * (features.ndim - 2))
        return analysed / steps, steps

    def restore(self, values: torch.Tensor) -> torch.Tensor:
        """Features for the tail from stored values, N x C x H x W or N x D."""
        found: torch.Tensor = self.synthesis(values)
        return found

    @torch.no_grad()
    def latents(self, features: torch.Tensor) -> torch.Tensor:
        """The integers of 16 bits that are stored for features, int32, N x C x H x W or N x D."""
        rounded = self._scaled(features)[0].round()
        return rounded.clamp(-_LARGEST, _LARGEST).to(torch.int32)


def round_through(values: torch.Tensor) -> torch.Tensor:
    """Round values, and pass gradients on unchanged."""
    return values + (values.round() - values).detach()


def layers(inputs: int, widths: Sequence[int], *, maps: bool, seed: int) -> nn.Module:
    """Layers from ``inputs`` channels to the widths, with ReLU between them; an identity for no widths.

    maps : 1 x 1 convolutions, for features of rows and columns; else they are fully connected.
    seed : of their initial weights.
    """
    parts: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for outputs in widths:
            parts += [nn.Conv2d(inputs, outputs, 1) if maps else nn.Linear(inputs, outputs)]
            parts += [nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*parts[:-1])
