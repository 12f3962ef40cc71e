"""Differentiable estimate of the bits of levels: an approximation of the native coder's adaptive models.

The coder predicts a level from its neighbours (8.3.7.6). So does this model: a magnitude has a geometric
distribution whose mean is the average of two means, that of the levels of neighbouring frequencies in its
block and that of all levels of its frequency. The head of the payload, splits and DC prediction are left out;
on trained networks the estimate was within about 5 % of the bytes that the coder writes. Levels of samples
without a transform (8.3.7.8) are predicted from those of the channels and positions coded before.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

__all__ = ["RateModel", "SampleRates"]

_NEAR = torch.tensor(
    [
        [0, 0, 1, 0, 0],
        [0, 1, 2, 1, 0],
        [1, 2, 0, 2, 1],
        [0, 1, 2, 1, 0],
        [0, 0, 1, 0, 0],
    ],
    dtype=torch.float32,
)
"""Weights of the neighbours of a level, nearer ones twice; the coder uses those that it codes before."""

_GAP = 2  # zeros between blocks, so that levels have no neighbours in other blocks
_LEAST = 0.004  # smallest mean magnitude: a zero among zeros costs 1/170 bit


class RateModel:
    """Bits of the levels of maps that are cut into blocks at ``ys`` and ``xs``."""

    def __init__(self, ys: npt.NDArray[np.int64], xs: npt.NDArray[np.int64]) -> None:
        self._rows, self._columns = _spaced(ys), _spaced(xs)
        self._spread = [int(places[-1]) + 1 + _GAP for places in (self._rows, self._columns)]
        down, right = (np.concatenate([np.arange(n) for n in np.diff(cuts)]) for cuts in (ys, xs))
        frequencies = down[:, None] * (int(right.max()) + 1) + right
        self._frequency = torch.from_numpy(frequencies)
        self._count = torch.bincount(self._frequency.flatten()).float()

    def bits(self, levels: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """Bits of the levels of each map, N.

        levels : integers, N x C x H x W, each at the position of its coefficient in its block.
        exact  : the same before rounding, which receive the gradient. Values that round to 0 are drawn to 0
                 too, so that noise does not carry them over the rounding threshold.
        """
        magnitudes = levels.detach().abs()
        mean = 0.5 * self._around(magnitudes) + 0.5 * self._of_frequency(magnitudes)
        return _bits(magnitudes, exact, mean)

    def _around(self, magnitudes: torch.Tensor) -> torch.Tensor:
        n, c, h, w = magnitudes.shape
        spaced = magnitudes.new_zeros(n * c, 1, *self._spread)
        spaced[:, 0, self._rows[:, None], self._columns] = magnitudes.reshape(-1, h, w)
        kernel = (_NEAR / _NEAR.sum())[None, None]
        means = functional.conv2d(spaced, kernel, padding=2)
        return means[:, 0, self._rows[:, None], self._columns].reshape(magnitudes.shape)

    def _of_frequency(self, magnitudes: torch.Tensor) -> torch.Tensor:
        everywhere = magnitudes.mean(dim=(0, 1)).flatten()
        sums = torch.zeros_like(self._count).index_add_(0, self._frequency.flatten(), everywhere)
        means: torch.Tensor = (sums / self._count)[self._frequency]
        return means


class SampleRates:
    """Bits of the levels of vectors and tokens, coded sample by sample."""

    def bits(self, levels: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """Bits of the levels of each feature, N.

        levels : integers, N x C x H x W.
        exact  : as of `RateModel.bits`.
        """
        magnitudes = levels.detach().abs()
        padded = functional.pad(
            magnitudes, (0, 0, 1, 0, 2, 0)
        )  # zeros above, and two channels of them
        above, before, second = padded[:, 2:, :-1], padded[:, 1:-1, 1:], padded[:, :-2, 1:]
        near = (
            (2 * above + 2 * before + second) / 5 if levels.shape[2] > 1 else (before + second) / 2
        )
        own = magnitudes.mean(dim=2, keepdim=True) if levels.shape[2] > 1 else near
        of_position = magnitudes.mean(dim=1, keepdim=True)
        return _bits(magnitudes, exact, (near + own + of_position) / 3)


def _bits(magnitudes: torch.Tensor, exact: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Bits of magnitudes of geometric distributions with those means, of each feature, N, and their signs."""
    mean = mean.clamp(min=_LEAST)
    more = torch.log2(1 + mean) - torch.log2(mean)  # of each step up
    own = exact.abs()
    own = own + (magnitudes - own).detach()
    signs = own.clamp(max=1)
    return (torch.log2(1 + mean) + own * more + signs).sum(dim=(1, 2, 3))


def _spaced(cuts: npt.NDArray[np.int64]) -> Any:
    """Positions of the samples of a side when there is a gap between blocks."""
    parts = [
        np.arange(start, stop) + _GAP * (number + 1)
        for number, (start, stop) in enumerate(pairwise(cuts))
    ]
    return torch.from_numpy(np.concatenate(parts))
