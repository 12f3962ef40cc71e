"""A trained bottleneck, frozen: the entropy model of its integers, and files of features under it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.learn.bottleneck import Bottleneck
from refcodec.learn.density import FactorizedDensity
from refcodec.probability.model import EntropyModel

__all__ = ["MOST_VALUES", "Frozen", "freeze", "freeze_density"]

Floats = npt.NDArray[np.float64]
Latents = npt.NDArray[np.int32]

MOST_VALUES: Final = 4095
"""Most integers that a channel's table spans; values beyond it are escaped."""

_WEIGHT: Final = 4.0
"""Weight of the density among counts of training features, in values."""

_LEAST: Final = 1e-9
"""Added to every probability of the density."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """A frozen bottleneck.

    model : distributions of the integers, a context for each channel.
    steps : step of each channel, float32, C: a decoded value is an integer times its step.
    """

    model: EntropyModel
    steps: npt.NDArray[np.float32]

    def values(self, latents: Latents) -> npt.NDArray[np.float32]:
        """The features that latents stand for, float32; both N x C x H x W or N x D."""
        return latents.astype(np.float32) * self.steps.reshape(-1, *[1] * (latents.ndim - 2))

    def write(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        latents: Latents,
        *,
        joint: bool = False,
        apart: bool = False,
    ) -> None:
        """Write features as a DFC stream, by the coder ``learned``.

        joint : code the features of a unit together: fewer bytes, but they are decoded together.
        apart : name the model by its SHA-256 instead of storing it.
        """
        with refcodec.create(
            target,
            coder="learned",
            model=self.model,
            model_apart=apart,
            step=tuple(self.steps.tolist()),
            joint=joint,
            exist_ok=True,
        ) as writer:
            for feature in self.values(latents):
                writer.write(feature)


def freeze(bottleneck: Bottleneck, latents: npt.NDArray[Any], *, refine: bool = True) -> Frozen:
    """Freeze the density of a bottleneck into an entropy model, as `freeze_density` does."""
    steps = bottleneck.steps.detach().cpu().numpy().astype(np.float32)
    return Frozen(freeze_density(bottleneck.density, latents, refine=refine), steps)


def freeze_density(
    density: FactorizedDensity, latents: npt.NDArray[Any], *, refine: bool = True
) -> EntropyModel:
    """Freeze a density into an entropy model.

    latents : integers of training features, N x C x H x W or N x D. A table spans those of its channel, or
              `MOST_VALUES` of them around their median.
    refine  : take probabilities from the counts of these integers, with the density as their prior; else
              from the density alone, as the paper does.
    """
    own = np.moveaxis(latents, 1, 0).reshape(latents.shape[1], -1).astype(np.int64)
    middle = np.median(own, axis=1).astype(np.int64)
    lows = np.maximum(own.min(axis=1), middle - MOST_VALUES // 2)
    highs = np.minimum(own.max(axis=1), lows + MOST_VALUES - 1)
    counts = np.zeros((len(own), int((highs - lows).max()) + 1))
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        expected = _probabilities(density, channel, int(low), int(high))
        if refine:
            inside = own[channel][(own[channel] >= low) & (own[channel] <= high)]
            expected = _WEIGHT * expected + np.bincount(inside - low, minlength=high - low + 1)
        counts[channel, : high - low + 1] = expected * own.shape[1] / expected.sum()
    return EntropyModel.from_counts(counts, lows)


def _probabilities(density: FactorizedDensity, channel: int, low: int, high: int) -> Floats:
    """Probabilities of the integers from low to high in one channel; they sum to 1."""
    one = density.only(channel)
    grid = torch.arange(low, high + 1, dtype=torch.float32, device=one.matrices[0].device)
    with torch.no_grad():
        found = one.probabilities(grid[None])[0]
    probabilities = found.double().cpu().numpy() + _LEAST
    normalised: Floats = probabilities / probabilities.sum()
    return normalised
