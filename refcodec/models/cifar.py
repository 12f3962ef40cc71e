"""Residual networks for images of 32 x 32 pixels: He et al. 2016, *Deep Residual Learning*, 4.2.

Their 6n + 2 layers with weights are one convolution, three stages of n blocks with two convolutions each, and
a fully connected layer. Shortcuts have no parameters (option A of the paper). Images may be larger than that,
and then have larger features.

=========== ============================================= ====================
layer       operation                                     output
=========== ============================================= ====================
``relu``    3 x 3 convolution, normalised, rectified      N x 16 x H x W
``layer1``  n blocks                                      N x 16 x H x W
``layer2``  n blocks, the first with stride 2             N x 32 x H/2 x W/2
``layer3``  n blocks, the first with stride 2             N x 64 x H/4 x W/4
``pool``    mean over rows and columns                    N x 64
``linear``  fully connected layer                         N x classes
=========== ============================================= ====================
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from refcodec.errors import CallerError

__all__ = ["resnet"]


def resnet(depth: int, classes: int = 10) -> nn.Module:
    """The network of 6n + 2 = ``depth`` layers, not trained. Raises CallerError for another depth."""
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise CallerError(
            f"a CIFAR ResNet has 6n + 2 layers, not {depth}", hint="20, 56 and 110 are"
        )
    return _ResNet(blocks, classes)


class _ResNet(nn.Module):
    """A CIFAR ResNet with ``blocks`` residual blocks per stage."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = _stage(blocks, 16, 16)
        self.layer2 = _stage(blocks, 16, 32)
        self.layer3 = _stage(blocks, 32, 64)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.linear = nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images N x 3 x H x W, normalised, to logits N x classes."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.linear(self.pool(x))
        return logits


def _stage(blocks: int, inputs: int, channels: int) -> nn.Sequential:
    first = _Block(inputs, channels)
    return nn.Sequential(first, *(_Block(channels, channels) for _ in range(blocks - 1)))


class _Block(nn.Module):
    """Two convolutions, added to a shortcut and rectified; stride 2 if the number of channels changes."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.stride = channels // inputs
        self.more = (channels - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, channels, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self._shortcut(x))

    def _shortcut(self, x: torch.Tensor) -> torch.Tensor:
        """Option A: every second pixel, and channels of zeros, half before and half after the others."""
        if self.stride == 1:
            return x
        nothing = (0, 0)
        pixels = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(pixels, (*nothing, *nothing, self.more, self.more))
