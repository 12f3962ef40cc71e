"""A feature codec with a hyperprior: transforms around the rounding, and the distributions of latents.

::

    features --analysis--> latents y -----------------> rounding around the means --synthesis--> values
                               |                              ^ means, deviations
                               `-> hyper-analysis -> rounding -> hyper-synthesis

Ballé et al. 2018 (scales) and Minnen et al. 2018 without its autoregression (means and scales). Synthesis and
hyper-synthesis are sequences of layers that `refcodec.networks` has in integers, so that the trained codec
becomes a network model unit, and its streams decode to the same bits everywhere.

Training starts at a codec that works: the analysis is a block transform over the channels and positions of a
block (KLT), in the metric of the loss, which the layers before it pass on unchanged; the synthesis is its
inverse. Without layers before or after it, the transform stays linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from refcodec.errors import CallerError
from refcodec.learn.bottleneck import Coded, Noise, round_through
from refcodec.learn.bounds import Least
from refcodec.learn.density import FactorizedDensity
from refcodec.learn.rounded import Widths, run_rounded
from refcodec.learn.transforms import (
    SLOPE,
    analysis_of,
    biases_of,
    hyper_analysis_of,
    hyper_synthesis_of,
    layers_of,
    put,
    synthesis_of,
)
from refcodec.tables import scale_deviations

__all__ = ["HyperpriorBottleneck", "normal_bits", "round_latents"]

_LEAST_DEVIATION: Final = float(scale_deviations()[0])
_LARGEST_DEVIATION: Final = float(scale_deviations()[-1])

_TINY: Final = 1e-9
"""Least probability in training, so that no latent costs more than 30 bits."""

_BLOCKS: Final = 1 << 18
"""Most blocks that principal components are taken from."""

_LEAST_WEIGHT: Final = 1e-6
"""Least weight of a direction of errors, relative to the largest."""


class HyperpriorBottleneck(nn.Module):
    """Analysis, rounding and synthesis of maps, and the bits of a feature under a hyperprior.

    shape     : of features, C x H x W.
    latents   : channels of the latents, at most C * stride^2.
    analysis  : widths of 3 x 3 convolutions before the block transform; () for none.
    synthesis : widths of layers from the inverse transform on; 3 x 3 convolutions follow it.
    stride    : side of a block, 1 to 4.
    hyper     : widths of the hyper-analysis; the last is the number of channels of hyper-latents. Each halves
                height and width, but the first, which keeps them.
    seed      : of initial weights.

    Layers must be as wide as the features have channels, twice as wide for features of both signs, since they
    pass features on at first.

    Attributes: the networks ``analysis``, ``synthesis``, ``hyper_analysis``, ``hyper_synthesis``;
    ``density``, of hyper-latents; ``log_steps``, logarithms of the steps of latents; ``scale``, the standard
    deviation of features; ``rectified``, true if they are not negative; ``widths``, those that synthesis and
    hyper-synthesis are rounded to in training, None for floats.

    Raises CallerError for layers that do not fit.
    """

    scale: torch.Tensor
    rectified: torch.Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        latents: int,
        analysis: Sequence[int] = (),
        synthesis: Sequence[int] = (),
        stride: int = 2,
        hyper: Sequence[int] = (64, 16),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(shape) != 3:
            raise CallerError(f"a hyperprior is for maps; features are of shape {list(shape)}")
        channels = shape[0]
        if not 1 <= stride <= 4 or not 1 <= latents <= channels * stride**2:
            raise CallerError(
                f"{latents} latents of a block of {channels} x {stride} x {stride} values; "
                "the side of a block is 1 to 4, and it has no more latents than values"
            )
        sides = stride << (len(hyper) - 1)
        if any(one % sides for one in shape[1:]):
            raise CallerError(
                f"features of {shape[1]} x {shape[2]}; height and width are multiples of {sides}, "
                "the strides of the networks together"
            )
        self.channels, self.stride = channels, stride
        self.widths: Widths | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.analysis = analysis_of(channels, analysis, latents, stride)
            self.synthesis = synthesis_of(latents, synthesis, channels, stride)
            self.hyper_analysis = hyper_analysis_of(latents, hyper)
            self.hyper_synthesis = hyper_synthesis_of(latents, hyper)
        self.log_steps = nn.Parameter(torch.zeros(latents))
        self.density = FactorizedDensity(hyper[-1], seed=seed)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("rectified", torch.zeros((), dtype=torch.bool))

    @property
    def steps(self) -> torch.Tensor:
        """Step of each channel of latents."""
        return self.log_steps.exp()

    # --- the start of a training --------------------------------------------------------------------

    @torch.no_grad()
    def calibrate(
        self, features: torch.Tensor, step: float, curvature: torch.Tensor | None = None
    ) -> None:
        """Make the codec that training starts from.

        features  : N x C x H x W; a few for each value of a block, at least.
        step      : of all latents, in the square root of the loss, or in standard deviations of features.
        curvature : a loss as a quadratic form of the error of a block, values x values, positive definite;
                    see `refcodec.allocate.curvature.curvature_of`. None for the squared error of features.

        For small steps no linear codec has fewer bits at the same loss: latents are uncorrelated, and an
        error of any of them counts the same.

        Raises CallerError if all features are constant, or layers are too narrow to pass them on.
        """
        self.scale.copy_(features.std(correction=0))
        if not self.scale > 0:
            raise CallerError("all features are constant", hint="is the network trained?")
        self.rectified.copy_(features.min() >= 0)
        scaled = features.float() / self.scale
        mean = scaled.mean(dim=(0, 2, 3))
        values = self.channels * self.stride**2
        form = torch.eye(values, dtype=torch.float64, device=features.device)
        if curvature is not None:
            form = curvature.double() * self.scale.double() ** 2
            unit = form.diagonal().mean()  # keeps the weights of the layers near 1
            form, step = form / unit, step / float(unit.sqrt())
        forth, back, variances = _weighted_components(
            scaled - mean[:, None, None], self.stride, self.log_steps.shape[0], form
        )
        shape = (-1, self.channels, self.stride, self.stride)
        self._start_analysis(forth.reshape(shape), mean)
        self._start_synthesis(back.reshape(shape), mean)
        self.log_steps.fill_(math.log(step))
        last = layers_of(self.hyper_synthesis)[-1]
        last.weight.mul_(0.1)
        deviations = variances.clamp(min=0).sqrt() / step
        biases_of(last).zero_()
        biases_of(last)[len(deviations) :] = deviations.clamp(min=_LEAST_DEVIATION).log2()

    def _carriers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Matrices from the channels of a feature to those that carry it through an activation, and back.

        What is not negative passes as it is. Else positive and negative parts have a channel each.
        """
        eye = torch.eye(self.channels, device=self.log_steps.device)
        if self.rectified:
            return eye, eye
        return torch.cat([eye, -eye]), torch.cat([eye, -eye], dim=1) / (1 + SLOPE)

    def _start_analysis(self, basis: torch.Tensor, mean: torch.Tensor) -> None:
        """Pass features on to the last layer, and make it the transform, latents x C x stride x stride.

        mean : of each channel, which is subtracted.
        """
        forth, back = self._carriers()
        reading = torch.eye(self.channels, device=basis.device)
        *before, last = layers_of(self.analysis)
        for layer in before:
            put(layer, (forth @ reading)[..., None, None])
            reading = back
        bias = -torch.einsum("mchw,c->m", basis, mean)
        put(last, torch.einsum("mchw,cp->mphw", basis, reading), bias)

    def _start_synthesis(self, basis: torch.Tensor, mean: torch.Tensor) -> None:
        """Make the first layer the inverse, latents x C x stride x stride, and pass its outputs on."""
        forth, back = self._carriers()
        first, *after = layers_of(self.synthesis)
        if not after:
            forth = torch.eye(self.channels, device=basis.device)
        put(first, torch.einsum("mchw,pc->pmhw", basis, forth), forth @ mean)
        for layer in after:
            put(layer, (back if layer is after[-1] else forth @ back)[..., None, None])

    # --- steps --------------------------------------------------------------------------------------

    def forward(self, features: torch.Tensor, noise: Noise | None = None) -> Coded:
        """Round features, N x C x H x W, and estimate their bits.

        noise : makes noise of a shape, uniform in -0.5 to 0.5, for the rate in training; None estimates the
                bits of what is rounded.
        """
        y, z = self._latents(features)
        rounded, _, bits = round_latents(y, z, self.distributions, self.density, noise)
        return Coded(self.restore(rounded), bits)

    def _latents(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents in steps, and hyper-latents, before rounding."""
        y = self.analysis(features / self.scale).float() / self.steps.reshape(1, -1, 1, 1)
        return y, self.hyper_analysis(y).float()

    def distributions(self, hyper: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and standard deviations of latents, in steps, for rounded hyper-latents."""
        means, logarithms = self._run(self.hyper_synthesis, hyper).chunk(2, dim=1)
        limited = Least.apply(logarithms, math.log2(_LEAST_DEVIATION))
        return means, torch.exp2(limited.clamp(max=math.log2(_LARGEST_DEVIATION)))

    def restore(self, latents: torch.Tensor) -> torch.Tensor:
        """Features from latents in steps, N x C x H x W."""
        values = self._run(self.synthesis, latents, self.steps) * self.scale
        return functional.relu(values) if self.rectified else values

    def _run(
        self, network: nn.Sequential, values: torch.Tensor, gains: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Outputs of a network that becomes one of integers, for values times gains of their channels."""
        if self.widths is not None:
            return run_rounded(network, values, self.widths, gains)
        if gains is not None:
            values = values * gains.reshape(1, -1, 1, 1)
        found: torch.Tensor = network(values).float()
        return found

    @torch.no_grad()
    def hyper_latents(self, features: torch.Tensor) -> torch.Tensor:
        """Rounded hyper-latents of features, int32, N x channels x H x W."""
        return self._latents(features)[1].round().to(torch.int32)


def round_latents(
    y: torch.Tensor,
    z: torch.Tensor,
    distributions: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    density: FactorizedDensity,
    noise: Noise | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Round latents around their means; returns them, their deviations, and the bits of each feature, N.

    y, z          : latents and hyper-latents before rounding.
    distributions : means and deviations of latents, of rounded hyper-latents.
    density       : of hyper-latents.
    noise         : as of `HyperpriorBottleneck.forward`.
    """
    hyper = round_through(z)
    means, deviations = distributions(hyper)
    rounded = means + round_through(y - means)
    offsets = rounded - means
    if noise is not None:
        hyper, offsets = z + noise(z.shape), y + noise(y.shape) - means
    bits = density.bits(hyper).flatten(1).sum(dim=1)
    return rounded, deviations, bits + normal_bits(offsets, deviations).flatten(1).sum(dim=1)


def normal_bits(offsets: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
    """Code lengths of unit intervals around offsets from the mean of normal distributions."""
    # Of the two tails the far one keeps its precision.
    distance, unit = offsets.abs(), deviations * math.sqrt(2)
    inner, outer = (torch.erfc((distance + half) / unit) for half in (-0.5, 0.5))
    return -torch.log2(Least.apply((inner - outer) / 2, _TINY))


def _weighted_components(
    features: torch.Tensor, side: int, count: int, form: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Principal components of blocks of features of mean 0, N x C x H x W, in the metric of a quadratic form.

    Returns the transform and the transpose of its inverse, count x values each, and the variances.
    """
    blocks = functional.unfold(features, side, stride=side).transpose(1, 2)
    blocks = blocks.reshape(-1, blocks.shape[2])[:_BLOCKS].double()
    weights, axes = torch.linalg.eigh(form)
    root = axes * weights.clamp(min=weights[-1] * _LEAST_WEIGHT).sqrt()  # root @ root.T is the form
    covariance = blocks.T @ blocks / len(blocks)
    variances, vectors = torch.linalg.eigh(root.T @ covariance @ root)
    largest = variances.argsort(descending=True)[:count]
    forth = (root @ vectors[:, largest]).T
    back = torch.linalg.solve(root.T, vectors[:, largest]).T
    return forth.float(), back.float(), variances[largest].float()
