"""A small network with a pyramid of features, for tests."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

SHAPE = (3, 16, 16)
LAYERS = ("fine", "coarse")


def images(count: int) -> Any:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(7))


class Pyramidal(nn.Module):
    """Images N x 3 x 16 x 16 to N x 5 classes x 16 x 16, from features at two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
        self.lateral = nn.Conv2d(6, 4, 1)
        self.last = nn.Conv2d(4, 5, 1)

    @classmethod
    def seeded(cls) -> Self:
        torch.manual_seed(5)
        return cls().eval()

    def forward(self, x: Any) -> Any:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        above = functional.interpolate(self.lateral(coarse), scale_factor=2.0)
        return self.last(functional.relu(fine + above))


def build() -> Pyramidal:
    """The network, for ``pyramid_network:build``."""
    return Pyramidal.seeded()
