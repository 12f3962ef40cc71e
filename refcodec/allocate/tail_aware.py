"""Tail-aware encoding: levels that keep the network's output, found by gradient descent through the tail.

    levels --inverse transform--> feature --tail--> output --error--> gradient of the levels

Decoders need not know of it: the levels are coded as any others (8.3.7). Among the many features with about
the same output, the search finds one of low rate; the rate is that of ``rate.RateModel``.

Information that the tail does not need is lost, and other tails may need it. With ``mu`` above 0 the feature
is kept for them too: decoders restore the mean of each channel, and the loss includes one of the feature
itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from refcodec.allocate.alone import Floats, Tail, spread
from refcodec.allocate.descent import (
    BATCH_ELEMENTS,
    LARGEST_BLOCK,
    TailAware,
    Wanted,
    descend,
    means_of,
)
from refcodec.allocate.rate import RateModel
from refcodec.coders.native.channels import cuts
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.head import BLOCK, HEAD_SIZE, RESTORATION, step_sizes
from refcodec.coders.native.transform import cosine_basis
from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import signal_parameters
from refcodec.encoder.parameter_sets import make_parameter_set
from refcodec.errors import CallerError

__all__ = ["TailAware", "choose_levels", "precondition"]

_FIRST_QP, _QP_STRIDE, _FINEST_QP, _COARSEST_QP = 40, 4, 16, 56
"""First QP to try, its increment, and the bounds of the search: finer steps cost rate, coarser ones restrict
the levels too much."""

_PILOTS = 8  # features that QPs are tried on


def _suit_qp(
    features: Floats, tails: Sequence[Tail], config: EncoderConfig, settings: TailAware
) -> TailAware:
    """The settings with a QP: the one given, else one of least loss on some features, by local search.

    Half the iterations tell QPs apart as well as all of them do.
    """
    if settings.qp is not None:
        return settings
    clip, some = _clip(features, config), torch.from_numpy(spread(features, _PILOTS))

    @cache
    def loss(qp: int) -> float:
        if not _FINEST_QP <= qp <= _COARSEST_QP:
            return math.inf
        trial = replace(settings, qp=qp, iterations=(settings.iterations + 1) // 2)
        descent = _Descent(some, tails, _Synthesis(some.shape[1:], clip, config, trial), trial)
        return float(descent.run()[1].mean())

    best = _FIRST_QP
    for stride in (_QP_STRIDE, -_QP_STRIDE):
        while loss(best + stride) < loss(best):
            best += stride
    return replace(settings, qp=best)


def choose_levels(
    features: Floats, tails: Sequence[Tail], config: EncoderConfig, settings: TailAware
) -> tuple[EncoderConfig, Iterator[Choice]]:
    """Find levels for the native coder; returns the configuration to use, and a choice per feature.

    features : float32, N x C x H x W.
    tails    : the networks to serve, one or more, whose outputs count alike.
    config   : of the coder native; its QP is replaced by that of the settings.

    All features share one range. Raises CallerError if the configuration allows no choice of levels.
    """
    if config.coder != "native" or config.gop or config.aims:
        raise CallerError(
            "levels are chosen for the coder native, without gop and without targets of features; "
            f"the coder is {config.coder}"
        )
    clip = _clip(features, config)
    settings = _suit_qp(features, tails, config, settings)
    kept = "mean" if settings.mu else "off"
    config = config.but(qp=settings.qp, clip=clip, range="tensor", restoration=kept)
    synthesis = _Synthesis(features.shape[1:], clip, config, settings)
    return config, (
        synthesis.choice(one)
        for _, levels in _batches(features, tails, synthesis, settings)
        for one in levels.numpy().astype(np.int32)
    )


def precondition(
    features: Floats, tails: Sequence[Tail], config: EncoderConfig, settings: TailAware
) -> Iterator[Floats]:
    """Modify features so that transform coders need fewer bits at about the same output: use chosen levels.

    features : float32, N x C x H x W.
    config   : of the coder that will code the result, fine enough to keep it.

    Yields C x H x W. Raises CallerError.
    """
    clip = _clip(features, config)
    settings = _suit_qp(features, tails, config, settings)
    synthesis = _Synthesis(features.shape[1:], clip, config, settings)
    for descent, levels in _batches(features, tails, synthesis, settings):
        yield from descent.found(levels).numpy()


def _clip(features: Floats, config: EncoderConfig) -> tuple[float, float]:
    """The range of all features; it includes 0 if a ReLU has clipped them there."""
    if features.ndim != 4 or config.lossy_quantiser != "uniform":
        raise CallerError(
            "tail-aware encoding takes maps, C x H x W, and the uniform quantiser; "
            f"here are {config.lossy_quantiser} and features of shape {features.shape[1:]}",
            hint="the allocation none takes any",
        )
    low, high = config.clip or (min(0.0, float(features.min())), float(features.max()))
    return low, high if high > low else low + 1  # an empty range has no step


def _batches(
    features: Floats, tails: Sequence[Tail], synthesis: _Synthesis, settings: TailAware
) -> Iterator[tuple[_Descent, torch.Tensor]]:
    """Yield, batch by batch, the search for levels and its result."""
    portion = max(1, BATCH_ELEMENTS // features[0].size)
    for start in range(0, len(features), portion):
        batch = torch.from_numpy(np.array(features[start : start + portion]))
        descent = _Descent(batch, tails, synthesis, settings)
        yield descent, descent.run()[0]


# --- from levels to features -----------------------------------------------------------------------


class _Synthesis:
    """Differentiable decoding: levels to features, without the decoder's rounding to integer samples.

    Arrays are N x C x H x W; the step is the one that decoders derive (8.3.7.1).
    """

    def __init__(
        self,
        shape: Sequence[int],
        clip: tuple[float, float],
        config: EncoderConfig,
        settings: TailAware,
    ) -> None:
        bits = config.bits if config.coder == "native" else 16
        qps = (settings.qp or 0,) * shape[0]
        own = EncoderConfig(coder="native", bits=bits, clip=clip)
        fps = make_parameter_set(own, np.zeros(shape, np.float32), qps)
        steps = step_sizes(fps, signal_parameters(fps, own, qps))
        self._low, self._span = clip[0], clip[1] - clip[0]
        self._step = float(steps[0]) / 65536 * self._span / ((1 << bits) - 1)
        block = settings.block or LARGEST_BLOCK
        self.ys, self.xs = (cuts(side, block) for side in shape[1:])
        self._down, self._right = _basis(self.ys), _basis(self.xs)
        self._block, self._keeps_means = block, settings.mu > 0

    def analyse(self, features: torch.Tensor) -> torch.Tensor:
        """Features to coefficients, in steps."""
        return self._down @ ((features - self._low) / self._step) @ self._right.T

    def synthesise(self, levels: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Levels to features, clipped to their range; each channel is then shifted to its mean."""
        features = self._down.T @ (levels * self._step) @ self._right
        features = features.clamp(0, self._span) + self._low
        return features - means_of(features) + means if self._keeps_means else features

    def choice(self, levels: npt.NDArray[np.int32]) -> Choice:
        """The choice of the coder for levels C x H x W, with blocks that are not split."""
        head = np.zeros(HEAD_SIZE, np.int64)
        head[BLOCK] = self._block.bit_length() - 3
        head[RESTORATION] = self._keeps_means
        sizes = np.zeros(levels.shape, np.int32)
        heights, widths = np.diff(self.ys), np.diff(self.xs)
        sizes[:, self.ys[:-1, None], self.xs[:-1]] = heights[:, None] * 64 + widths
        return Choice(head, np.ascontiguousarray(levels), sizes, 0.0)


def _basis(boundaries: npt.NDArray[np.int64]) -> torch.Tensor:
    """The transform of a side that is cut into blocks, as one matrix, frequency x position."""
    whole = np.zeros((boundaries[-1], boundaries[-1]), np.float32)
    for start, stop in pairwise(boundaries):
        whole[start:stop, start:stop] = cosine_basis(int(stop - start)) / 16384
    return torch.from_numpy(whole)


# --- the descent -----------------------------------------------------------------------------------


class _Descent:
    """The search for the levels of some features, N x C x H x W."""

    def __init__(
        self,
        features: torch.Tensor,
        tails: Sequence[Tail],
        synthesis: _Synthesis,
        settings: TailAware,
    ) -> None:
        self._features, self._synthesis, self._settings = features, synthesis, settings
        self._means = means_of(features)
        self._rates = RateModel(synthesis.ys, synthesis.xs)
        self._wanted = Wanted(features, tails, settings.mu)

    def run(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the descent; returns the levels of least loss that it met, and the losses, of each feature."""
        settings, best = self._settings, _Best(self._features)
        nothing = torch.zeros_like(
            self._features
        )  # whatever its strength, a rate need not exceed 0
        exact = self._synthesis.analyse(self._features).requires_grad_(True)

        def seen(of: torch.Tensor, levels: torch.Tensor, strength: float) -> torch.Tensor:
            errors, rates = self._losses(of, levels)
            best.see(levels, errors + settings.strength * rates)
            return (errors + strength * rates).mean()

        def loss(strength: float) -> torch.Tensor:
            return seen(exact, exact + (exact.round() - exact).detach(), strength)

        with torch.no_grad():
            seen(nothing, nothing, 0)
        descend([exact], loss, settings)
        with torch.no_grad():
            seen(exact, exact.round(), 0)
        return best.levels, best.losses

    def found(self, levels: torch.Tensor) -> torch.Tensor:
        """The decoded features."""
        return self._synthesis.synthesise(levels, self._means)

    def _losses(
        self, exact: torch.Tensor, levels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Error of outputs and feature, and bits per element, of each feature, N."""
        errors = self._wanted.losses(self.found(levels))
        return errors, self._rates.bits(levels, exact) / exact[0].numel()


class _Best:
    """The levels of least loss so far, of each feature, N x C x H x W, and their losses, N."""

    def __init__(self, features: torch.Tensor) -> None:
        self.levels = torch.zeros_like(features)
        self.losses = features.new_full((len(features),), math.inf)

    def see(self, levels: torch.Tensor, losses: torch.Tensor) -> None:
        """Keep those levels whose loss is less than any before."""
        better = losses.detach() < self.losses
        self.losses = torch.where(better, losses.detach(), self.losses)
        rounded = levels.detach().round()
        self.levels = torch.where(better[:, None, None, None], rounded, self.levels)
