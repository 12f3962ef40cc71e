"""Real features of ResNet-56 (CIFAR), and what the rest of the network makes of them; one thread."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from refcodec.metrics import bits_per_element, fidelity, signal_to_noise
from refcodec.models import trained
from refcodec.models.images import normalise

torch.set_num_threads(1)

Floats = npt.NDArray[np.float32]

LAYERS = trained.LAYERS[:4]
"""Cut points: after conv1 + bn1 + ReLU, and after each stage."""

SIZES = {"small": 200, "large": 20}
"""Sets by name, and how many features each has: CIFAR test images, photographs of 224 x 224."""


def network() -> trained.Trained:
    """ResNet-56 with its trained weights."""
    return trained.trained("resnet56")


def inputs(size: str, count: int) -> Floats:
    """Images of a set as the network takes them, N x 3 x H x W."""
    if size == "small":
        return trained.cifar_images(count)[0]
    found: Floats = normalise(trained.photographs(count)).numpy()
    return found


@cache
def load(layer: str, size: str) -> Floats:
    """Features of a layer, float32, N x C x H x W: the whole set of one of SIZES."""
    stage = LAYERS.index(layer)
    before = load(LAYERS[stage - 1], size) if stage else inputs(size, SIZES[size])
    return network().run(before, stage, stage + 1)


def part(layer: str, size: str, count: int | None) -> Floats:
    """As ``load``, but only so many features, spread evenly over the set; None for all."""
    maps = load(layer, size)
    if count is None or count >= len(maps):
        return maps
    return maps[np.arange(count) * len(maps) // count]


def of_shapes() -> dict[str, Floats]:
    """Single features of usual shapes, by their names: photographs at layer3, some cut to tiles."""
    maps = load("layer3", "large")
    tiles = maps[:2].reshape(2, 64, 4, 14, 4, 14).transpose(0, 2, 4, 1, 3, 5)
    quarters = maps[:2].reshape(2, 64, 2, 28, 2, 28).transpose(0, 2, 4, 1, 3, 5)
    found = {
        "256x14x14": tiles[0, :2, :2].reshape(256, 14, 14),
        "512x28x28": quarters.reshape(512, 28, 28),
        "64x56x56": maps[0],
        "16x8x8": maps[0, :16, :8, :8],
    }
    return {name: np.ascontiguousarray(one) for name, one in found.items()}


class Source:
    """A set of features, or a part of it, and what the network makes of it.

    maps   : float32, N x C x H x W.
    logits : N x 10.
    """

    def __init__(self, layer: str, size: str, count: int | None = None) -> None:
        self.layer = layer
        self.maps = part(layer, size, count)
        self.logits = network().tail(self.maps, layer)

    def judge(self, decoded: Floats, size: int) -> dict[str, Any]:
        """Rate and quality of features that came back from a file of ``size`` bytes."""
        outputs = network().tail(decoded, self.layer)
        return {
            "bytes": size,
            "bits": round(bits_per_element(size, self.maps.size), 5),
            "snr": round(signal_to_noise(outputs, self.logits), 3),
            "fidelity": fidelity(outputs, self.logits),
        }
