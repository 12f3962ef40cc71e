"""Tail-aware encoding: levels that keep the network's output, found by descent through the rest of it.

    levels --inverse transform--> feature --tail--> output --error--> gradient of the levels

A decoder is told nothing of it: the levels are coded as any others (8.3.7). The frozen tail, in effect,
says which of the many features with about the same output is the cheapest. Rounding lets the gradient through
as if it were not there (Bengio et al. 2013, straight-through); rate is that of ``rate.RateModel``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from refcodec.allocate.rate import RateModel
from refcodec.coders import native_encoder
from refcodec.coders.native import cuts, step_sizes
from refcodec.config import EncoderConfig
from refcodec.encoder import Group
from refcodec.entropy import native as model
from refcodec.errors import CallerError
from refcodec.quantise import fit_parameters
from refcodec.transform import cosine_basis

__all__ = ["Tail", "TailAware", "choose_levels", "config_of"]

Floats = npt.NDArray[np.float32]

Tail = Callable[[torch.Tensor], torch.Tensor]
"""The rest of a network: features N x C x H x W or N x D to outputs, N first."""

_BATCH_ELEMENTS = 1 << 20  # of the features that are optimised at a time

_FIRST_STRENGTH, _SETTLED = 100, 0.8
"""Rate counts a hundred times as much at first, and falls to its strength by four fifths of the iterations.

So levels that the output does not need are given up before the others have settled around them; without this
the method ends at two to three times the rate."""


@dataclass(frozen=True, slots=True)
class TailAware:
    """How levels are sought.

    strength   : the multiplier of a bit an element, in hundredths of the output's variance: more is less
                 rate and more error.
    qp         : of all channels.
    iterations : of Adam, the first-order method of Kingma and Ba (2015).
    stride     : the longest steps of the method, in steps of the quantiser; they shrink to nothing.
    mu         : what the feature's own error counts beside the output's.
    block      : largest side of a transform block.
    """

    strength: float = 5.0
    qp: int = 44
    iterations: int = 60
    stride: float = 0.16
    mu: float = 0.0
    block: int = 16

    def __post_init__(self) -> None:
        if self.block not in (8, 16, 32):
            raise CallerError(f"block is {self.block}; it is 8, 16 or 32")
        if self.iterations < 1 or self.strength < 0 or self.stride <= 0 or self.mu < 0:
            raise CallerError(f"out of range: {self}")


def config_of(features: Floats, config: EncoderConfig, settings: TailAware) -> EncoderConfig:
    """The configuration that levels are chosen for: one range for all features, nothing restored."""
    if config.coder != "native" or config.gop or config.aims or config.lossy_quantiser != "uniform":
        raise CallerError(
            "tail-aware encoding is for the coder native with the uniform quantiser, without gop and targets"
        )
    low, high = min(0.0, float(features.min())), float(features.max())
    return config.but(
        qp=settings.qp, clip=config.clip or (low, high), range="tensor", restoration="off"
    )


class _Synthesis:
    """From levels to features as a decoder does it, but for its rounding to whole samples.

    N x C x H x W throughout; the steps are those that decoders derive (8.3.7.1).
    """

    def __init__(self, first: Floats, config: EncoderConfig, block: int) -> None:
        qps = (config.qp,) * first.shape[0]
        group = Group(0, config, first, qps)
        fitted = fit_parameters(first, group.fps, config.clip)
        steps = step_sizes(group.fps, group.parameters(qps, fitted))
        self.low, self.high = config.clip or (0.0, 0.0)
        sample = (self.high - self.low) / ((1 << group.fps.bits) - 1)
        self.step = float(steps[0]) / 65536 * sample  # in units of the feature
        self.ys, self.xs = (cuts(side, block) for side in first.shape[1:])
        self._down, self._right = _basis(self.ys), _basis(self.xs)

    def analyse(self, features: torch.Tensor) -> torch.Tensor:
        """Features to coefficients, in steps."""
        return self._down @ ((features - self.low) / self.step) @ self._right.T

    def synthesise(self, levels: torch.Tensor) -> torch.Tensor:
        """Levels to features, within their range."""
        features = self._down.T @ (levels * self.step) @ self._right
        return features.clamp(0, self.high - self.low) + self.low


def _basis(boundaries: npt.NDArray[np.int64]) -> torch.Tensor:
    """The transform of a side that is cut into blocks, as one matrix, frequency x position."""
    whole = np.zeros((boundaries[-1], boundaries[-1]), np.float32)
    for start, stop in pairwise(boundaries):
        whole[start:stop, start:stop] = cosine_basis(int(stop - start)) / 16384
    return torch.from_numpy(whole)


def choose_levels(
    features: Floats,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
    progress: Callable[[int], None] | None = None,
) -> Iterator[native_encoder.Choice]:
    """Find what to code of each feature; :meth:`refcodec.Writer.write` takes it.

    features : float32, N x C x H x W.
    tails    : the networks to serve, one or more, with outputs that count alike.
    config   : as ``config_of`` made it.
    progress : called with the number of features that are done.
    """
    synthesis = _Synthesis(features[0], config, settings.block)
    portion = max(1, _BATCH_ELEMENTS // features[0].size)
    for start in range(0, len(features), portion):
        batch = torch.from_numpy(features[start : start + portion])
        levels = _descend(batch, tails, synthesis, settings).numpy().astype(np.int32)
        if progress:
            progress(start + len(batch))
        yield from (_choice(one, synthesis, settings.block) for one in levels)


def _descend(
    features: torch.Tensor, tails: Sequence[Tail], synthesis: _Synthesis, settings: TailAware
) -> torch.Tensor:
    """The levels of a batch."""
    rates = RateModel(synthesis.ys, synthesis.xs)
    with torch.no_grad():
        wanted = [tail(features) for tail in tails]
    exact = synthesis.analyse(features).requires_grad_(True)
    method = torch.optim.Adam([exact], lr=settings.stride, betas=(0.5, 0.99))
    slowdown = torch.optim.lr_scheduler.CosineAnnealingLR(method, settings.iterations)
    for number in range(settings.iterations):
        early = max(0.0, 1 - number / (_SETTLED * settings.iterations))
        strength = settings.strength * _FIRST_STRENGTH**early
        levels = exact + (exact.round() - exact).detach()
        found = synthesis.synthesise(levels)
        errors = [_error(tail(found), own) for tail, own in zip(tails, wanted, strict=True)]
        loss = 100 * sum(errors) / len(tails)
        loss = loss + strength * rates.bits(levels, exact) / features.numel()
        if settings.mu:
            loss = loss + settings.mu * _error(found, features)
        method.zero_grad()
        loss.backward()
        method.step()
        slowdown.step()
    return exact.detach().round()


def _error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared error over variance: the inverse of a signal-to-noise ratio."""
    return ((found - wanted) ** 2).mean() / wanted.var(unbiased=False).clamp(min=1e-12)


def _choice(levels: npt.NDArray[np.int32], synthesis: _Synthesis, block: int) -> Any:
    """Levels C x H x W in blocks that are not split."""
    head = np.zeros(model.HEAD_SIZE, np.int64)
    head[model.BLOCK] = block.bit_length() - 3
    sizes = np.zeros(levels.shape, np.int32)
    heights, widths = np.diff(synthesis.ys), np.diff(synthesis.xs)
    sizes[:, synthesis.ys[:-1, None], synthesis.xs[:-1]] = heights[:, None] * 64 + widths
    return native_encoder.Choice(head, np.ascontiguousarray(levels), sizes, 0.0)
