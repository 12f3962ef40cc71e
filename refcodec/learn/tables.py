"""A learned density, frozen into a table of probabilities for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from refcodec.learn.bottleneck import Bottleneck

__all__ = ["MOST_VALUES", "Tables", "freeze"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_VALUES: Final = 4096
"""Most integers in a table; values beyond it are escaped."""

_OUTSIDE: Final = 2.0**-16
"""Probability of a value outside the table of its channel."""

_LEAST: Final = 1e-9
"""Added to every probability of the density."""

_WEIGHT: Final = 4.0
"""Weight of the density among counts of training features, in values."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Distributions of integers, one for each channel.

    steps         : step of each channel, float32, C: a decoded value is an integer times its step.
    lows          : smallest integer in each table.
    probabilities : of consecutive integers from the smallest on, summing to 1, float64.
    """

    steps: npt.NDArray[np.float32]
    lows: tuple[int, ...]
    probabilities: tuple[Floats, ...]

    @property
    def constant(self) -> int:
        """Number of channels that are always the same integer."""
        return sum(len(table) == 1 for table in self.probabilities)

    def bits(self, latents: npt.NDArray[Any]) -> Floats:
        """Ideal code length of each feature, N; latents N x C x H x W or N x D, integers.

        A value outside its table costs 16 bits, and an Elias gamma code of its distance from the table.
        """
        total = np.zeros(len(latents))
        for channel, (low, table) in enumerate(zip(self.lows, self.probabilities, strict=True)):
            own = latents[:, channel].reshape(len(latents), -1).astype(np.int64) - low
            inside = (own >= 0) & (own < len(table))
            costs = -np.log2(table * (1 - _OUTSIDE))[np.where(inside, own, 0)]
            distance = np.where(own < 0, -own, own - len(table) + 1)
            escaped = -np.log2(_OUTSIDE) + 2 * np.floor(np.log2(np.maximum(distance, 1))) + 2
            total += np.where(inside, costs, escaped).sum(axis=1)
        return total


def freeze(bottleneck: Bottleneck, latents: npt.NDArray[Any], *, refine: bool = True) -> Tables:
    """Freeze the density of a bottleneck.

    latents : integers of training features, N x C x H x W or N x D. A table spans those of its channel, or
              `MOST_VALUES` of them around their median.
    refine  : take probabilities from the counts of these integers, with the density as their prior; else
              from the density alone, as the paper does.
    """
    own = np.moveaxis(latents, 1, 0).reshape(latents.shape[1], -1).astype(np.int64)
    middle = np.median(own, axis=1).astype(np.int64)
    lows = np.maximum(own.min(axis=1), middle - MOST_VALUES // 2)
    highs = np.minimum(own.max(axis=1), lows + MOST_VALUES - 1)
    tables = []
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        probabilities = _density(bottleneck, channel, int(low), int(high))
        if refine:
            inside = own[channel][(own[channel] >= low) & (own[channel] <= high)]
            counts = np.bincount(inside - low, minlength=high - low + 1)
            probabilities = counts + _WEIGHT * probabilities
        tables.append(probabilities / probabilities.sum())
    steps = bottleneck.steps.detach().cpu().numpy().astype(np.float32)
    return Tables(steps, tuple(map(int, lows)), tuple(tables))


def _density(bottleneck: Bottleneck, channel: int, low: int, high: int) -> Floats:
    """Probabilities of the integers from low to high in one channel, by the density."""
    grid = torch.arange(low, high + 1, dtype=torch.float32, device=bottleneck.log_steps.device)
    with torch.no_grad():
        found = bottleneck.density.only(channel).probabilities(grid[None])[0]
    values: Floats = found.double().cpu().numpy() + _LEAST
    return values
