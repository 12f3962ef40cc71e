"""A small random network whose second part is a tail, and features of smooth pictures, for tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

SHAPE = (8, 12, 12)
NETWORK = ("--model", "small_tail:make", "--layer", "first", "--input-size", "24")
"""Options of a command that cut the network."""


class Network(torch.nn.Module):
    """Two layers, whose first makes maps of SHAPE of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(2)
        )
        self.second = torch.nn.Sequential(torch.nn.Conv2d(8, 12, 3, stride=2), torch.nn.ReLU())
        self.classifier = torch.nn.Linear(12, 5)

    def forward(self, images: Any) -> Any:
        return self.classifier(self.second(self.first(images)).mean(dim=(2, 3)))


def make() -> Network:
    """A factory, as the command line names it."""
    torch.manual_seed(3)
    return Network()


class Ends:
    """The rest of the network behind its first layer."""

    def __init__(self) -> None:
        self._network = make().eval().requires_grad_(False)

    def representation(self, features: Any) -> Any:
        return self._network.second(features).mean(dim=(2, 3))

    def tail(self, features: Any) -> Any:
        return self._network.classifier(self.representation(features))


@cache
def features(count: int = 6) -> Any:
    """Features of smooth random pictures after the first layer, N x C x H x W."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    pictures = torch.nn.functional.interpolate(coarse, size=24, mode="bilinear")
    with torch.no_grad():
        return make().first(pictures).numpy()


def outputs(maps: Any) -> Any:
    with torch.no_grad():
        return Ends().tail(torch.from_numpy(np.stack(list(maps)))).numpy()
