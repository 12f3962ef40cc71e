"""Tails that no encoder saw, trained on features of ResNet-56, and how well compressed features serve them.

    classifier  the ten classes, by a small network with weights of its own
    attributes  mean colours, contrast and sharpness of the image, by another
    picture     the image itself, by three convolutions
    neighbours  search for the most similar training image, by pooled features

The first three are trained on features of CIFAR training images that were never compressed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from refcodec.metrics import fidelity, signal_to_noise, top1_accuracy

CLASSES, ATTRIBUTES = 10, 6
_BATCH = 100


class Outputs(NamedTuple):
    """Outputs of the tails on features.

    classifier : logits, N x 10.
    attributes : N x 6, of mean 0 and variance 1 over the training images.
    picture    : N x 3 x H x W, from 0 to 1 or thereabouts.
    pooled     : means of channels, N x C.
    nearest    : number of the most similar training image, N.
    """

    classifier: Any
    attributes: Any
    picture: Any
    pooled: Any
    nearest: Any


class Unseen:
    """The four tails of a layer.

    features : of training images, N x C x H x W; also what neighbours are looked for in.
    images   : these images, N x 3 x rows x columns, 0 to 1.
    labels   : their classes.

    Seeds are fixed; training takes some 40 s for 4,000 images on one core.
    """

    def __init__(self, features: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> None:
        wanted = attributes(images)
        wanted = (wanted - wanted.mean(0)) / wanted.std(0)
        self.classifier = _fit(
            lambda: _vector_network(features, images, CLASSES),
            (features, labels),
            functional.cross_entropy,
        )
        self.attributes = _fit(
            lambda: _vector_network(features, images, ATTRIBUTES),
            (features, wanted),
            functional.mse_loss,
        )
        self.picture = _fit(
            lambda: _picture_network(features, images), (features, images), functional.mse_loss
        )
        self._gallery = functional.normalize(features.mean(dim=(2, 3)))

    def run(self, features: Any) -> Outputs:
        """All outputs for features, float32, N x C x H x W."""
        x = torch.from_numpy(np.ascontiguousarray(features))
        with torch.no_grad():
            pooled = x.mean(dim=(2, 3))
            nearest = (functional.normalize(pooled) @ self._gallery.T).argmax(dim=1)
            found = self.classifier(x), self.attributes(x), self.picture(x), pooled, nearest
        return Outputs(*(one.numpy() for one in found))


def measure(found: Outputs, original: Outputs, labels: Any, images: Any) -> dict[str, float]:
    """Figures of every tail: SNR of its output against its own output on original features, dB, and more.

    labels, images : true classes N, and images N x 3 x H x W, from 0 to 1.
    """
    error = np.mean((found.picture.clip(0, 1) - images) ** 2)
    figures = {
        "classifier_snr": signal_to_noise(found.classifier, original.classifier),
        "classifier_fidelity": fidelity(found.classifier, original.classifier),
        "classifier_top1": top1_accuracy(found.classifier, labels),
        "attributes_snr": signal_to_noise(found.attributes, original.attributes),
        "picture_snr": signal_to_noise(found.picture, original.picture),
        "picture_psnr": -10 * np.log10(error),
        "pooled_snr": signal_to_noise(found.pooled, original.pooled),
        "neighbours_same": np.mean(found.nearest == original.nearest),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def attributes(images: torch.Tensor) -> torch.Tensor:
    """Mean red, green and blue, contrast, and mean differences across and down, N x 6."""
    rows = [
        *images.mean(dim=(2, 3)).T,
        images.std(dim=(1, 2, 3)),
        images.diff(dim=3).abs().mean(dim=(1, 2, 3)),
        images.diff(dim=2).abs().mean(dim=(1, 2, 3)),
    ]
    return torch.stack(rows, dim=1)


# --- networks --------------------------------------------------------------------------------------


class _Standardise(nn.Module):
    """Channels of mean 0 and variance 1 over the training images."""

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        self.mean = features.mean(dim=(0, 2, 3), keepdim=True)
        self.spread = features.std(dim=(0, 2, 3), keepdim=True) + 1e-3

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (features - self.mean) / self.spread


def _vector_network(features: torch.Tensor, images: torch.Tensor, outputs: int) -> nn.Module:
    """Convolutions of stride 2 down to a quarter of the image's side and below, pooling, one layer."""
    channels, widths = features.shape[1], [48, 64]
    if features.shape[2] == images.shape[2]:
        widths = [24, *widths]
    layers: list[nn.Module] = [_Standardise(features)]
    for width in widths:
        convolution = nn.Conv2d(channels, width, 3, stride=2, padding=1)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    pooling = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, *pooling, nn.Linear(channels, outputs))


def _picture_network(features: torch.Tensor, images: torch.Tensor) -> nn.Module:
    """Three convolutions; the last one's channels are spread out to the image's side."""
    channels, width = features.shape[1], 48
    scale = images.shape[2] // features.shape[2]
    return nn.Sequential(
        _Standardise(features),
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 3 * scale**2, 3, padding=1),
        nn.PixelShuffle(scale),
    )


def _fit(
    make: Callable[[], nn.Module],
    pairs: tuple[torch.Tensor, torch.Tensor],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    epochs: int = 5,
) -> nn.Module:
    """A trained network, frozen."""
    torch.manual_seed(1)
    network = make().train()
    steps = len(pairs[0]) // _BATCH
    method = torch.optim.Adam(network.parameters())
    pace = torch.optim.lr_scheduler.OneCycleLR(method, 3e-3, total_steps=epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(pairs[0]))
        for chosen in order[: steps * _BATCH].split(_BATCH):
            features, wanted = (one[chosen] for one in pairs)
            method.zero_grad()
            loss(network(features), wanted).backward()
            method.step()
            pace.step()
    return network.eval().requires_grad_(False)
