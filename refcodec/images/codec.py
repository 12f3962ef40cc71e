"""The image codecs bmshj2018-hyperprior and mbt2018-mean, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.images.gdn import GDN
from refcodec.learn.bottleneck import Noise
from refcodec.learn.bounds import Least
from refcodec.learn.density import FactorizedDensity
from refcodec.learn.hyperprior import round_latents
from refcodec.tables import scale_deviations

__all__ = ["CodedImages", "ImageCodec"]

_LEAST_DEVIATION: Final = float(scale_deviations()[0])


class CodedImages(NamedTuple):
    """Images that have passed a codec.

    images     : reconstructed, N x 3 x H x W.
    bits       : estimated code length of each, N.
    latents    : rounded, N x M x h x w.
    deviations : of latents, likewise.
    """

    images: torch.Tensor
    bits: torch.Tensor
    latents: torch.Tensor
    deviations: torch.Tensor


class ImageCodec(nn.Module):
    """An autoencoder of images, with a hyperprior.

    channels : of all layers between (N).
    latents  : channels of the latents (M).
    means    : false for bmshj2018-hyperprior (Ballé et al. 2018), whose hyperprior gives deviations; true
               for mbt2018-mean (Minnen et al. 2018 without its autoregression), which has means, too.
    halvings : strided layers of the analysis: 4 in the papers, fewer for small images. The hyper-analysis has
               two more.
    seed     : of initial weights.

    Attributes: the networks ``analysis``, ``synthesis``, ``hyper_analysis``, ``hyper_synthesis``;
    ``density``, of hyper-latents.
    """

    def __init__(
        self,
        channels: int = 128,
        latents: int = 192,
        *,
        means: bool = False,
        halvings: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(channels, latents, halvings) < 1:
            raise CallerError(
                f"a codec of {channels} channels, {latents} latents and {halvings} halvings; "
                "it has at least one of each"
            )
        self.means, self.multiple = means, 1 << (halvings + 2)
        widths = [*[channels] * (halvings - 1), latents]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.analysis = _analysis((3, *widths))
            self.synthesis = _synthesis((*widths[::-1], 3))
            act = nn.LeakyReLU if means else nn.ReLU
            self.hyper_analysis = nn.Sequential(
                nn.Conv2d(latents, channels, 3, padding=1),
                act(),
                _down(channels, channels),
                act(),
                _down(channels, channels),
            )
            inner = (
                (latents, latents * 3 // 2, 2 * latents) if means else (channels, channels, latents)
            )
            self.hyper_synthesis = nn.Sequential(
                _up(channels, inner[0]),
                act(),
                _up(inner[0], inner[1]),
                act(),
                nn.Conv2d(inner[1], inner[2], 3, padding=1),
            )
        self.density = FactorizedDensity(channels, (3, 3, 3, 3), spread=10.0, seed=seed)

    def analyse(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents and hyper-latents before rounding, for images N x 3 x H x W, 0 to 1.

        Height and width are multiples of ``multiple``.
        """
        y = self.analysis(images)
        return y, self.hyper_analysis(y if self.means else y.abs())

    def distributions(self, hyper: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and deviations of latents, for rounded hyper-latents."""
        found = self.hyper_synthesis(hyper)
        if not self.means:
            return torch.zeros_like(found), Least.apply(found, _LEAST_DEVIATION)
        means, deviations = found.chunk(2, dim=1)
        return means, Least.apply(deviations, _LEAST_DEVIATION)

    def forward(self, images: torch.Tensor, noise: Noise | None = None) -> CodedImages:
        """Code images, N x 3 x H x W, 0 to 1, and reconstruct them.

        noise : for the rate in training, as of `refcodec.learn.Bottleneck`.
        """
        coded = self.encode(images, noise)
        return coded._replace(images=self.synthesis(coded.latents))

    def encode(self, images: torch.Tensor, noise: Noise | None = None) -> CodedImages:
        """Code images, but reconstruct none: ``images`` of what is returned is empty."""
        y, z = self.analyse(images)
        latents, deviations, bits = round_latents(y, z, self.distributions, self.density, noise)
        return CodedImages(images[:0], bits, latents, deviations)


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, 2, 2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1)


def _analysis(widths: Sequence[int]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        parts += [_down(inputs, outputs), GDN(outputs)]
    return nn.Sequential(*parts[:-1])


def _synthesis(widths: Sequence[int]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        parts += [_up(inputs, outputs), GDN(outputs, inverse=True)]
    return nn.Sequential(*parts[:-1])
