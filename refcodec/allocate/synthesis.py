"""Differentiable decoding by the native coder: levels to features, for search by gradient descent.

Decoders round to integer samples; this does not. Maps have blocks of a transform, vectors and tokens none.
All arrays are volumes, N x C x H x W: C x 1 x 1 of a vector, C x T x 1 of tokens (clause 8.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from refcodec.allocate.descent import means_of
from refcodec.allocate.rate import RateModel, SampleRates
from refcodec.coders.native.channels import cuts
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.head import BLOCK, HEAD_SIZE, ORIGIN, RESTORATION, step_sizes
from refcodec.coders.native.transform import cosine_basis
from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import signal_parameters
from refcodec.encoder.parameter_sets import make_parameter_set

__all__ = ["BlockSynthesis", "Rates", "SampleSynthesis", "Scale", "Synthesis"]

Levels = npt.NDArray[np.int32]


class Rates(Protocol):
    """An estimate of the bits of levels."""

    def bits(self, levels: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
        """Bits of the levels of each feature, N; ``exact``, the same before rounding, have the gradient."""


class Synthesis(Protocol):
    """Levels to features and back, their bits, and the choice that has the coder code them."""

    rates: Rates

    def analyse(self, features: torch.Tensor) -> torch.Tensor:
        """Features to what levels stand for, in steps."""

    def synthesise(self, levels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Levels to features within their range; ``means`` of channels are those of the originals."""

    def choice(self, levels: Levels) -> Choice:
        """The choice of the coder for the levels of a feature, C x H x W."""


class Scale:
    """The samples of features and the step of their levels, in units of the features.

    clip : the range of all features.
    bits : of a sample.
    qp   : of all channels.
    """

    def __init__(self, clip: tuple[float, float], bits: int, qp: int) -> None:
        own = EncoderConfig(coder="native", bits=bits, clip=clip)
        fps = make_parameter_set(own, np.zeros((1, 1, 1), np.float32), (qp,))
        step = float(step_sizes(fps, signal_parameters(fps, own, (qp,)))[0])
        self.low, self.span = clip[0], clip[1] - clip[0]
        self.unit = self.span / ((1 << bits) - 1)
        self.step = step / 65536 * self.unit  # (8.3.7.1)


class BlockSynthesis:
    """Maps, whose levels are coefficients of blocks that are not split.

    shape       : C x H x W.
    block       : side of the blocks.
    keeps_means : true if decoders restore the means of channels.
    """

    def __init__(self, shape: Sequence[int], scale: Scale, block: int, keeps_means: bool) -> None:
        self._scale, self._block, self._keeps_means = scale, block, keeps_means
        self._ys, self._xs = (cuts(side, block) for side in shape[1:])
        self._down, self._right = _basis(self._ys), _basis(self._xs)
        self.rates: Rates = RateModel(self._ys, self._xs)

    def analyse(self, features: torch.Tensor) -> torch.Tensor:
        """Features to coefficients, in steps."""
        return self._down @ ((features - self._scale.low) / self._scale.step) @ self._right.T

    def synthesise(self, levels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Levels to features, clipped to their range; each channel is then shifted to its mean."""
        features = self._down.T @ (levels * self._scale.step) @ self._right
        features = features.clamp(0, self._scale.span) + self._scale.low
        return features - means_of(features) + means if self._keeps_means else features

    def choice(self, levels: Levels) -> Choice:
        """The choice of the coder for levels C x H x W."""
        head = np.zeros(HEAD_SIZE, np.int64)
        head[BLOCK] = self._block.bit_length() - 3
        head[RESTORATION] = self._keeps_means
        sizes = np.zeros(levels.shape, np.int32)
        heights, widths = np.diff(self._ys), np.diff(self._xs)
        sizes[:, self._ys[:-1, None], self._xs[:-1]] = heights[:, None] * 64 + widths
        return Choice(head, np.ascontiguousarray(levels), sizes, 0.0)


class SampleSynthesis:
    """Vectors and tokens, whose levels are differences of samples from one value, that of 0."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        nearest = min(max(0.0, scale.low), scale.low + scale.span)
        self._origin = round((nearest - scale.low) / scale.unit)
        self._offset = self._origin * scale.unit
        self.rates: Rates = SampleRates()

    def analyse(self, features: torch.Tensor) -> torch.Tensor:
        """Features to levels before rounding."""
        return (features - self._scale.low - self._offset) / self._scale.step

    def synthesise(self, levels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Levels to features, clipped to their range; no means are restored."""
        samples = levels * self._scale.step + self._offset
        return samples.clamp(0, self._scale.span) + self._scale.low

    def choice(self, levels: Levels) -> Choice:
        """The choice of the coder for levels C x H x W."""
        head = np.zeros(HEAD_SIZE, np.int64)
        head[ORIGIN] = self._origin
        no_blocks = np.zeros((1, 1, 1), np.int32)
        return Choice(head, np.ascontiguousarray(levels), no_blocks, 0.0)


def _basis(boundaries: npt.NDArray[np.int64]) -> torch.Tensor:
    """The transform of a side that is cut into blocks, as one matrix, frequency x position."""
    whole = np.zeros((boundaries[-1], boundaries[-1]), np.float32)
    for start, stop in pairwise(boundaries):
        whole[start:stop, start:stop] = cosine_basis(int(stop - start)) / 16384
    return torch.from_numpy(whole)
