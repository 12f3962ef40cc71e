"""A small fully convolutional network that segments rendered scenes (`refcodec.models.scenes`).

======================= ============================================ =================
layer                   operation                                    output
======================= ============================================ =================
``conv1``               5 x 5 convolution, normalised, rectified     N x 16 x H x W
``pool1``               2 x 2 maximum pooling                        N x 16 x H/2 x W/2
``layer1``              two residual blocks                          N x 16 x H/2 x W/2
``layer2``              two residual blocks, the first with stride 2 N x 32 x H/4 x W/4
``layer3``              two residual blocks, dilated by 2 and 4      N x 48 x H/4 x W/4
``head``                3 x 3 convolution, normalised, rectified     N x 32 x H/4 x W/4
``classifier``          1 x 1 convolution                            N x 6 x H/4 x W/4
``upsample``            bilinear interpolation                       N x 6 x H x W
======================= ============================================ =================

The layers form a chain, so that the network can be cut after any of them. The design is that of the
FCN-ResNet50 which Hu et al. 2020 cut at its first convolution and pooling: a residual backbone, dilated
instead of pooled in its last stage, and the head of Shelhamer et al. 2017 without skips. The weights in the
package were trained by ``tools/train_segmenter.py``; the mean IoU on 200 held-out scenes is 0.857.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

import torch
from torch import nn

from refcodec.models.scenes import CLASSES

__all__ = ["WEIGHTS", "segmenter"]

WEIGHTS: Final = Path(__file__).with_name("segmenter.safetensors")
"""The trained weights, float16."""


def segmenter() -> nn.Sequential:
    """The network, not yet trained.

    Input: N x 3 x H x W, float32, RGB normalised as for ImageNet, height and width multiples of 4. Output:
    scores, N x classes x H x W, the classes in the order of `refcodec.models.scenes.CLASSES`.
    """
    layers = OrderedDict(
        conv1=_convolve(3, 16, size=5),
        pool1=nn.MaxPool2d(2),
        layer1=nn.Sequential(_Block(16, 16), _Block(16, 16)),
        layer2=nn.Sequential(_Block(16, 32, stride=2), _Block(32, 32)),
        layer3=nn.Sequential(_Block(32, 48, dilation=2), _Block(48, 48, dilation=4)),
        head=_convolve(48, 32),
        classifier=nn.Conv2d(32, len(CLASSES), 1),
        upsample=nn.Upsample(scale_factor=4, mode="bilinear"),
    )
    return nn.Sequential(layers)


def _convolve(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size (but for its stride), batch normalisation, and ReLU."""
    padding = dilation * (size // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class _Block(nn.Module):
    """A basic block (He et al. 2016): two convolutions, added to a shortcut and rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolve(inputs, outputs, 3, stride, dilation)
        self.second = _convolve(outputs, outputs, 3, 1, dilation)[:2]
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolve(inputs, outputs, 1, stride)[:2]
        self.rectify = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features N x inputs x H x W to N x outputs x H/stride x W/stride."""
        return self.rectify(self.shortcut(features) + self.second(self.first(features)))
