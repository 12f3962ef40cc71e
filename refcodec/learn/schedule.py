"""Schedules: the learning rate, and the weight of the rate, at each step of training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["SHAPES", "Schedule"]

SHAPES: Final = ("cosine", "exponential", "constant")


@dataclass(frozen=True)
class Schedule:
    """Learning rates and lambdas of the steps of a training.

    steps        : number of steps.
    rate         : initial learning rate.
    shape        : ``cosine`` falls to 0 along half a cosine (Loshchilov & Hutter 2017), as the paper does for
                   CIFAR and ImageNet; ``exponential`` multiplies by ``decay`` every ``decay_every`` steps, as
                   it does for YouTube-8M; ``constant``.
    warmup       : steps over which the learning rate rises from 0 first.
    trade        : lambda of equation 6, in units of the loss a bit.
    lambda_ramp  : steps over which lambda rises to it, with the square of the step. The rate of an untrained
                   bottleneck is thousands of bits; with the full lambda at once, everything becomes 0.
    """

    steps: int
    rate: float
    shape: str = "cosine"
    decay: float = 0.94
    decay_every: int = 1000
    warmup: int = 0
    trade: float = 0.0
    lambda_ramp: int = 0

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        factor = min(1.0, (step + 1) / (self.warmup + 1))
        match self.shape:
            case "cosine":
                factor *= 0.5 * (1 + math.cos(math.pi * step / self.steps))
            case "exponential":
                factor *= self.decay ** (step // self.decay_every)
        return self.rate * factor

    def lambda_at(self, step: int) -> float:
        """The lambda of a step, counted from 0; above 0 where `trade` is."""
        return float(self.trade * min(1.0, (step + 1) / (self.lambda_ramp + 1)) ** 2)
