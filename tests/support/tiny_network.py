"""Networks that are quick to run, for tests: ``tiny_network:classify`` and others."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


def classify() -> Any:
    """Images N x 3 x H x W to N x 3 classes."""
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU()),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()),
            pool2=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            fc=nn.Linear(6, 3),
        )
    )


def segment() -> Any:
    """Images N x 3 x H x W to N x 6 classes x H x W."""
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()),
            classifier=nn.Conv2d(4, 6, 1),
        )
    )


def perceptron() -> Any:
    """Vectors N x 12 to N x 3 classes."""
    from torch import nn

    return nn.Sequential(
        OrderedDict(
            hidden=nn.Sequential(nn.Linear(12, 24), nn.ReLU()),
            fc=nn.Linear(24, 3),
        )
    )
