"""Generalised divisive normalisation: Ballé et al. 2016."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional

from refcodec.learn.bounds import Least

__all__ = ["GDN"]

_PEDESTAL: Final = 2.0**-36
"""Added under the square root that parameters are stored as, so that their gradient does not vanish at 0."""

_LEAST_BETA: Final = 1e-6


class GDN(nn.Module):
    """``x / sqrt(beta + gamma x^2)`` over channels; the inverse multiplies.

    channels : of values N x channels x H x W.
    inverse  : true for the approximate inverse, of a synthesis.

    Attributes: ``beta`` and ``gamma``, the square roots of the parameters, as CompressAI and TensorFlow
    Compression store them.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels).add(_PEDESTAL).sqrt())
        self.gamma = nn.Parameter(torch.eye(channels).mul(0.1).add(_PEDESTAL).sqrt())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Normalise values."""
        beta = Least.apply(self.beta, (_LEAST_BETA + _PEDESTAL) ** 0.5) ** 2 - _PEDESTAL
        gamma = Least.apply(self.gamma, _PEDESTAL**0.5) ** 2 - _PEDESTAL
        norms = functional.conv2d(values**2, gamma[:, :, None, None], beta)
        return values * (norms.sqrt() if self.inverse else norms.rsqrt())
