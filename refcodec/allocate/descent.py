"""Gradient descent through the tail of a network: what tail-aware encoders of all coders share.

    what is coded --synthesis--> feature --tail--> output --error--> gradient of what is coded

Rounding passes the gradient unchanged (Bengio et al. 2013, straight-through).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from refcodec.allocate.alone import Tail
from refcodec.errors import CallerError
from refcodec.registry import LARGEST_QP

__all__ = ["BATCH_ELEMENTS", "LARGEST_BLOCK", "TailAware", "Wanted", "descend", "means_of"]

BATCH_ELEMENTS = 1 << 20
"""Elements of the features that are optimised at a time."""

LARGEST_BLOCK = 16
"""Largest side of a transform block of the native coder, unless another is given."""

_WEIGHED = 0.5
"""Share of the iterations after which outputs gain weight."""

_FIRST_STRENGTH, _SETTLED = 100, 0.8
"""Initial factor on the weight of the rate, and share of the iterations after which it has fallen to 1.

Levels that the output does not need are so set to 0 before the others have adapted to them; without this
the method ends at two to three times the rate."""


LAST_WEIGHT = 3.0
"""Weight of the outputs beside the feature at the end of a descent.

It is 1 until the levels have settled: first the feature finds the levels that it needs, as under a coder that
knows no tail, then a few of them are moved until the outputs are right."""

_MEMORY, _LONG_MEMORY = 0.95, 0.99
"""Memory of Adam for squared gradients, without and with mu. A shorter one forgets the large gradients of the
first rates, so that late steps are longer; where many levels are to stay as they are, that is noise."""

_MOST_STRENGTH = 2000
"""Strength that the initial one does not exceed, unless it is given: more leaves no level to go on from."""


@dataclass(frozen=True, slots=True)
class TailAware:
    """Parameters of the search for levels, or latents.

    strength   : Lagrange multiplier of a bit per element, in hundredths of the output's variance: a larger
                 one gives less rate and more error.
    qp         : QP of all channels; None finds one on some of the features. Not for latents.
    iterations : of Adam (Kingma and Ba 2015).
    stride     : initial learning rate, in steps of the quantiser or of latents; it falls to 0.
    mu         : weight of the loss of the feature itself, for tails that are not given, in hundredths of that
                 of the output's loss, which is tripled at the end. Above 0, the native coder keeps means of
                 the channels of maps at any rate. About 100 leaves other tails what plain coding does.
    block      : largest side of a transform block; None for `LARGEST_BLOCK`. Not for latents.
    """

    strength: float = 5.0
    qp: int | None = None
    iterations: int = 60
    stride: float = 0.16
    mu: float = 0.0
    block: int | None = None

    def __post_init__(self) -> None:
        if self.block not in (None, 8, 16, 32):
            raise CallerError(f"block is {self.block}; it is 8, 16 or 32")
        for name, least in (("iterations", 1), ("strength", 0), ("mu", 0)):
            value = getattr(self, name)
            if not value >= least:
                raise CallerError(f"{name} is {value}; it is {least} or more")
        if not self.stride > 0:
            raise CallerError(f"stride is {self.stride}; it is above 0")
        if self.qp is not None and not 0 <= self.qp <= LARGEST_QP["native"]:
            raise CallerError(f"qp is {self.qp}; it lies in 0..{LARGEST_QP['native']}")


class Lack(NamedTuple):
    """Errors in hundredths of variances, of each feature, N: of the outputs, and of the feature times mu."""

    outputs: torch.Tensor
    feature: torch.Tensor | None

    def losses(self, weight: float = LAST_WEIGHT) -> torch.Tensor:
        """The loss of each feature, N, with a weight of the outputs if the feature counts, too."""
        return self.outputs if self.feature is None else weight * self.outputs + self.feature


class Wanted:
    """Outputs and features to keep, and what others lack of them.

    features : N x C x H x W.
    tails    : the networks to serve, one or more, whose outputs count alike.
    mu       : weight of the loss of the feature itself.
    """

    def __init__(self, features: torch.Tensor, tails: Sequence[Tail], mu: float) -> None:
        self._features, self._tails, self._mu = features, tails, mu
        with torch.no_grad():
            self._outputs = [tail(features) for tail in tails]

    def lack(self, found: torch.Tensor) -> Lack:
        """The errors of features that were found, and of their outputs."""
        errors = [
            _error(tail(_fast(found)), wanted)
            for tail, wanted in zip(self._tails, self._outputs, strict=True)
        ]
        feature = self._mu * _feature_loss(found, self._features) if self._mu else None
        return Lack(100 * torch.stack(errors).mean(dim=0), feature)

    def loss(self, found: torch.Tensor) -> torch.Tensor:
        """The mean of the losses."""
        return self.lack(found).losses().mean()


def descend(
    variables: Sequence[torch.Tensor],
    loss: Callable[[float, float], torch.Tensor],
    settings: TailAware,
) -> None:
    """Run the descent; it changes the variables, which have gradients.

    loss : the loss for a strength and a weight of the outputs, by the variables as they are.
    """
    betas = 0.5, _LONG_MEMORY if settings.mu else _MEMORY
    method = torch.optim.Adam(list(variables), lr=settings.stride, betas=betas)
    slowdown = torch.optim.lr_scheduler.CosineAnnealingLR(method, settings.iterations)
    for number in range(settings.iterations):
        early = max(0.0, 1 - number / (_SETTLED * settings.iterations))
        first = min(settings.strength * _FIRST_STRENGTH**early, _MOST_STRENGTH)
        late = max(0.0, (number / settings.iterations - _WEIGHED) / (1 - _WEIGHED))
        found = loss(max(settings.strength, first), LAST_WEIGHT**late)
        method.zero_grad()
        found.backward()
        method.step()
        slowdown.step()


def _fast(features: torch.Tensor) -> torch.Tensor:
    """Features in the layout of memory that convolutions are fastest with."""
    return (
        features.contiguous(memory_format=torch.channels_last) if features.ndim == 4 else features
    )


def _error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared error of each, N, divided by the variance of all: the inverse of a signal-to-noise ratio."""
    errors = ((found - wanted) ** 2).flatten(1).mean(dim=1)
    return errors / wanted.var(unbiased=False).clamp(min=1e-12)


_SPREAD = 2.0  # additional weight of the error of standard deviations, three in all


def _feature_loss(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Loss for tails the encoder has not seen: relative squared error, with lost spread weighted three times.

    The squared error of a channel has three parts: the difference of the means, that of the standard
    deviations, and a lack of correlation. Minimising it at a given rate shrinks the standard deviations,
    which harms networks more than noise does.
    """
    variance = wanted.var(unbiased=False).clamp(min=1e-12)
    spreads = _spreads(found, variance) - _spreads(wanted, variance)
    return _error(found, wanted) + _SPREAD * (spreads**2).mean(dim=1) / variance


def means_of(features: torch.Tensor) -> torch.Tensor:
    """Means of the channels, N x C x 1 x 1."""
    return features.mean(dim=(2, 3), keepdim=True)


def _spreads(features: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Standard deviations of the channels, N x C; differentiable at 0, too."""
    return (features.var(dim=(2, 3), unbiased=False) + 1e-6 * variance).sqrt()
