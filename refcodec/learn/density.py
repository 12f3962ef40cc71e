"""A probability density for each channel, learned with the task: Ballé et al. 2018, appendix 6.1.

The cumulative distribution of a channel is a small network that is monotone by construction: its matrices
are positive, and its nonlinearities ``x + tanh(a) * tanh(x)`` rise. The probability of an integer is the
difference of the cumulative distribution half a step above and half a step below it. The same difference at
values between integers is the density of the values with uniform noise, which stands in for rounding while
the network is trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from refcodec.errors import CallerError

__all__ = ["FactorizedDensity"]

_TINY = 1e-9
"""Added to probabilities before their logarithm, so that no value costs more than 30 bits in training."""


class FactorizedDensity(nn.Module):
    """Independent distributions of the channels of a feature.

    channels : number of distributions: channels of a map, or elements of a vector.
    widths   : units of the hidden layers of each cumulative distribution.
    spread   : width of the initial distributions, in integers.
    seed     : seed of the initial biases.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (3, 3, 3),
        *,
        spread: float = 4.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if channels < 1 or not widths or min(widths) < 1 or spread <= 0:
            raise CallerError(
                f"a density of {channels} channels, widths {list(widths)}, spread {spread} cannot be",
                hint="as 64, [3, 3, 3] and 4.0",
            )
        sizes = (1, *widths, 1)
        scale = spread ** (1 / (len(sizes) - 1))
        generator = torch.Generator().manual_seed(seed)
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for inputs, outputs in pairwise(sizes):
            start = math.log(math.expm1(1 / scale / outputs))
            self.matrices.append(nn.Parameter(torch.full((channels, outputs, inputs), start)))
            bias = torch.rand(channels, outputs, 1, generator=generator) - 0.5
            self.biases.append(nn.Parameter(bias))
            self.factors.append(nn.Parameter(torch.zeros(channels, outputs, 1)))
        self.factors = self.factors[:-1]

    def logits(self, values: torch.Tensor) -> torch.Tensor:
        """Logits of the cumulative distributions at values, both channels x count."""
        found = values.unsqueeze(1)
        for number, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            found = torch.baddbmm(bias, functional.softplus(matrix), found)
            if number < len(self.factors):
                found = found + self.factors[number].tanh() * found.tanh()
        return found.squeeze(1)

    def probabilities(self, values: torch.Tensor) -> torch.Tensor:
        """Probabilities of the unit intervals around values, both channels x count."""
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        # In the upper tail both sigmoids are nearly 1, and their difference would be lost in rounding.
        sign = -torch.sign(lower + upper).detach()
        return (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()

    def only(self, channel: int) -> FactorizedDensity:
        """The distribution of one channel by itself, frozen."""
        found = FactorizedDensity(1, [one.shape[1] for one in self.matrices[:-1]])
        for own, all_of_them in zip(found.parameters(), self.parameters(), strict=True):
            own.data = all_of_them.detach()[channel : channel + 1]
        found.requires_grad_(False)
        return found

    def bits(self, values: torch.Tensor) -> torch.Tensor:
        """Code length of each value in bits; both N x channels, or N x channels x H x W."""
        ordered = values.movedim(1, 0)
        bits = -torch.log2(self.probabilities(ordered.flatten(1)) + _TINY)
        return bits.reshape(ordered.shape).movedim(0, 1)
