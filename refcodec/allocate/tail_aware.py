"""Tail-aware encoding: levels that keep the network's output, found by gradient descent through the tail.

    levels --synthesis--> feature --tail--> output --error--> gradient of the levels

Decoders need not know of it: the levels are coded as any others (8.3.7). Among the many features with about
the same output, the search finds one of low rate; the rate is an estimate (``rate``).

Information that the tail does not need is lost, and other tails may need it. With ``mu`` above 0 the feature
is kept for them too: decoders restore the mean of each channel of a map, and the loss includes one of the
feature itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby

import numpy as np
import torch

from refcodec.allocate.alone import Floats, Several, Tail
from refcodec.allocate.descent import (
    BATCH_ELEMENTS,
    LARGEST_BLOCK,
    TailAware,
    Wanted,
    descend,
    means_of,
)
from refcodec.allocate.synthesis import BlockSynthesis, SampleSynthesis, Scale, Synthesis
from refcodec.coders.native.encoder.choice import Choice
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.shapes import volume_of

__all__ = ["TailAware", "choose_levels", "precondition"]

_FIRST_QP, _QP_STRIDE, _FINEST_QP, _COARSEST_QP = 40, 4, 16, 56
"""First QP to try, its increment, and the bounds of the search: finer steps cost rate, coarser ones restrict
the levels too much."""

_PILOTS, _PILOT_ELEMENTS = 2, 1 << 16
"""Least numbers of features, and of their elements, that QPs are tried on."""


def choose_levels(
    features: Several,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
) -> tuple[EncoderConfig, Iterator[Choice]]:
    """Find levels for the native coder; returns the configuration to use, and a choice per feature.

    features : float32, C x H x W or D each; T x D or heads x T x D, of any T, if the configuration has
               tokens. Those of one shape that follow one another are searched together.
    tails    : the networks to serve, one or more, whose outputs count alike. They take features of one shape,
               N first.
    config   : of the coder native; its QP is replaced by that of the settings.

    All features share one range. Raises CallerError if the configuration allows no choice of levels.
    """
    if config.coder != "native" or config.gop or config.aims:
        raise CallerError(
            "levels are chosen for the coder native, without gop and without targets of features; "
            f"the coder is {config.coder}"
        )
    clip = _clip(features, config)
    settings = _suit_qp(features, tails, config, settings, clip)
    kept = "mean" if settings.mu else "off"
    found = _descents(features, tails, config, settings, clip)
    config = config.but(qp=settings.qp, clip=clip, range="tensor", restoration=kept)
    return config, (
        descent.synthesis.choice(one)
        for descent in found
        for one in descent.run().levels.numpy().astype(np.int32)
    )


def precondition(
    features: Several,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
) -> Iterator[Floats]:
    """Modify features so that transform coders need fewer bits at about the same output: use chosen levels.

    features : float32, C x H x W each.
    config   : of the coder that will code the result, fine enough to keep it.

    Yields C x H x W. Raises CallerError.
    """
    if features[0].ndim != 3:
        raise CallerError(
            f"{config.coder} codes modified features if they are maps, C x H x W; here are features of "
            f"shape {features[0].shape}",
            hint="the coder native takes vectors and tokens, the allocation none takes any",
        )
    clip = _clip(features, config)
    settings = _suit_qp(features, tails, config, settings, clip)
    for descent in _descents(features, tails, config, settings, clip):
        yield from descent.found(descent.run().levels).numpy()


def _clip(features: Several, config: EncoderConfig) -> tuple[float, float]:
    """The range of all features; it includes 0 if a ReLU has clipped them there."""
    if config.lossy_quantiser != "uniform":
        raise CallerError(
            f"tail-aware encoding takes the uniform quantiser, not {config.lossy_quantiser}",
            hint="the allocation none takes any",
        )
    extremes = (
        min(float(one.min()) for one in features),
        max(float(one.max()) for one in features),
    )
    low, high = config.clip or (min(0.0, extremes[0]), extremes[1])
    return low, high if high > low else low + 1  # an empty range has no step


def _suit_qp(
    features: Several,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
    clip: tuple[float, float],
) -> TailAware:
    """The settings with a QP: the one given, else one of least loss on some features, by local search.

    Half the iterations tell QPs apart as well as all of them do.
    """
    if settings.qp is not None:
        return settings
    pilots = max(_PILOTS, -(-_PILOT_ELEMENTS // features[0].size))
    some = features[:: max(1, len(features) // pilots)]

    @cache
    def loss(qp: int) -> float:
        if not _FINEST_QP <= qp <= _COARSEST_QP:
            return math.inf
        trial = replace(settings, qp=qp, iterations=(settings.iterations + 1) // 2)
        found = _descents(some, tails, config, trial, clip)
        return sum(float(descent.run().losses.sum()) for descent in found)

    best = _FIRST_QP
    for stride in (_QP_STRIDE, -_QP_STRIDE):
        while loss(best + stride) < loss(best):
            best += stride
    return replace(settings, qp=best)


def _descents(
    features: Several,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
    clip: tuple[float, float],
) -> Iterator[_Descent]:
    """The searches for levels, each for as many features of one shape as fit into a batch."""
    scale = Scale(clip, config.bits if config.coder == "native" else 16, settings.qp or 0)
    for shape, alike in groupby(features, key=np.shape):
        one, portion = list(alike), max(1, BATCH_ELEMENTS // math.prod(shape))
        own = [_from_volume(tail, shape, config.tokens) for tail in tails]
        for start in range(0, len(one), portion):
            volumes = [
                volume_of(feature, tokens=config.tokens) for feature in one[start : start + portion]
            ]
            synthesis = _synthesis(volumes[0].shape, config, scale, settings)
            batch = torch.from_numpy(np.stack(volumes).astype(np.float32))
            yield _Descent(batch, own, synthesis, settings)


def _from_volume(tail: Tail, shape: Sequence[int], tokens: bool) -> Tail:
    """A tail that takes volumes, N x C x H x W, in place of features of a shape."""
    if len(shape) == 3 and not tokens:
        return tail

    def own(volumes: torch.Tensor) -> torch.Tensor:
        if tokens:
            heads = volumes.reshape(len(volumes), -1, shape[-1], shape[-2])
            volumes = heads.transpose(2, 3)
        return tail(volumes.reshape(len(volumes), *shape))

    return own


def _synthesis(
    volume: Sequence[int], config: EncoderConfig, scale: Scale, settings: TailAware
) -> Synthesis:
    """Blocks for maps, samples for what has no rows and columns."""
    if config.tokens or volume[1] == volume[2] == 1:
        return SampleSynthesis(scale)
    return BlockSynthesis(volume, scale, settings.block or LARGEST_BLOCK, settings.mu > 0)


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


class _Descent:
    """The search for the levels of some features, N x C x H x W."""

    def __init__(
        self,
        features: torch.Tensor,
        tails: Sequence[Tail],
        synthesis: Synthesis,
        settings: TailAware,
    ) -> None:
        self._features, self.synthesis, self._settings = features, synthesis, settings
        self._means = means_of(features)
        self._wanted = Wanted(features, tails, settings.mu)

    def run(self) -> _Best:
        """Run the descent; returns the levels of least loss that it met, and the losses, of each feature."""
        settings, best = self._settings, _Best(self._features)
        nothing = torch.zeros_like(self._features)  # a rate need not exceed that of nothing
        exact = self.synthesis.analyse(self._features).requires_grad_(True)

        def seen(
            of: torch.Tensor, levels: torch.Tensor, strength: float, weight: float
        ) -> torch.Tensor:
            lack = self._wanted.lack(self.found(levels))
            rates = self.synthesis.rates.bits(levels, of) / of[0].numel()
            best.see(levels, lack.losses() + settings.strength * rates)
            return (lack.losses(weight) + strength * rates).mean()

        def loss(strength: float, weight: float) -> torch.Tensor:
            return seen(exact, exact + (exact.round() - exact).detach(), strength, weight)

        with torch.no_grad():
            seen(nothing, nothing, 0, 0)
        descend([exact], loss, settings)
        with torch.no_grad():
            seen(exact, exact.round(), 0, 0)
        return best

    def found(self, levels: torch.Tensor) -> torch.Tensor:
        """The decoded features."""
        return self.synthesis.synthesise(levels, self._means)
