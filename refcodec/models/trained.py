"""The trained networks and the images that refcodec is measured on: CIFAR ResNets, CIFAR-10, photographs.

They are not part of the repository. `data_folder` finds them; if it returns None, what needs them is skipped
with the message `ABSENT`.

A `Trained` network can be cut at any of `LAYERS`; its inputs and outputs are arrays::

    network = trained("resnet20")
    features = network.head(cifar_images(20)[0], "layer1")      # 20 x 16 x 32 x 32
    logits = network.tail(features, "layer1")                   # 20 x 10
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from refcodec.errors import EnvironmentFault
from refcodec.models.images import Pixels, Source, batches, normalise, open_images
from refcodec.models.loading import load

__all__ = [
    "ABSENT",
    "LAYERS",
    "Trained",
    "cifar",
    "cifar_images",
    "data_folder",
    "pan",
    "photographs",
    "trained",
    "weights",
]

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

ABSENT: Final = "the networks and images are not here: set REFCODEC_DATA"
"""Message for what is skipped without a `data_folder`."""

LAYERS: Final = ("conv1", "layer1", "layer2", "layer3", "pool")
"""Cut points: after conv1, bn1 and ReLU; after each stage; after global pooling."""

_CHUNK_ELEMENTS: Final = 2_000_000  # of the input of a run: bounds memory
_SIDE: Final = 224  # height and width of photographs


def data_folder() -> Path | None:
    """Find the networks and images: ``$REFCODEC_DATA``, else ``shared/data`` beside the checkout, or None."""
    checkout = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("REFCODEC_DATA") or checkout.parent / "shared" / "data")
    return folder if (folder / "weights").is_dir() else None


def _data() -> Path:
    folder = data_folder()
    if folder is None:
        raise EnvironmentFault(ABSENT)
    return folder


# --- networks --------------------------------------------------------------------------------------


def weights(name: str) -> Path:
    """The file of weights of ResNet-20 or ResNet-56, by name. Raises EnvironmentFault without data."""
    return _data() / "weights" / f"{name}_cifar10.safetensors"


@cache
def trained(name: str) -> Trained:
    """Load the trained ResNet-20 or ResNet-56, by name. Raises EnvironmentFault without data."""
    return Trained(load(name, weights(name)).module)


class Trained:
    """A CIFAR ResNet (`refcodec.models.cifar`) on arrays, one stage after another.

    Stages: 0 is conv1, bn1 and ReLU; 1 to 3 are ``layer1`` to ``layer3``; 4 is pooling; 5 is linear.
    """

    def __init__(self, module: nn.Module) -> None:
        first = nn.Sequential(module.conv1, module.bn1, module.relu)
        self._stages = [first, *(getattr(module, name) for name in (*LAYERS[1:], "linear"))]

    def head(self, images: Floats, layer: str) -> Floats:
        """Images N x 3 x H x W, normalised, to features of a layer, N x C x H x W or N x 64."""
        return self.run(images, 0, 1 + LAYERS.index(layer))

    def tail(self, features: Floats, layer: str) -> Floats:
        """Features of a layer to logits, N x 10."""
        return self.run(features, 1 + LAYERS.index(layer), len(self._stages))

    def run(self, x: Floats, start: int, stop: int) -> Floats:
        """Run stages ``start`` up to ``stop``, exclusive, on a few at a time."""
        count = max(1, _CHUNK_ELEMENTS // int(np.prod(x.shape[1:])))
        stages = nn.Sequential(*self._stages[start:stop])
        with torch.inference_mode():
            parts = [
                stages(torch.from_numpy(np.ascontiguousarray(x[i : i + count])))
                for i in range(0, len(x), count)
            ]
            found: Floats = torch.cat(parts).numpy()
        return found


# --- images ----------------------------------------------------------------------------------------


def cifar(part: str, count: int | None = None) -> Source:
    """CIFAR-10, class by class: the first ``count // 10`` images of each class, or all.

    part : train or test.
    """
    return open_images(str(_data() / "cifar10" / f"{part}.npz"), count=count, size=(32, 32))


def cifar_images(count: int) -> tuple[Floats, Integers]:
    """The first ``count // 10`` test images of each class as network input, N x 3 x 32 x 32, and labels."""
    (batch,) = batches(cifar("test", count), count)
    assert batch.labels is not None
    return batch.inputs.numpy(), batch.labels


def photographs(count: int, first: int = 0) -> Pixels:
    """Photographs in the order of their names, N x 224 x 224 x 3: shorter side 224 (bicubic), centre crop."""
    folder = _data() / "imagenet-sample"
    source = open_images(str(folder), count=first + count, size=(_SIDE, _SIDE))
    return np.stack([source[i].image for i in range(first, first + count)])


def pan(count: int, size: int = 64, step: int = 2) -> Floats:
    """Simulate a camera panning over a photograph: ``count`` crops, each ``step`` pixels further right.

    Network input, N x 3 x size x size.
    """
    picture, top = photographs(1)[0], (_SIDE - size) // 2
    crops = [picture[top : top + size, i * step : i * step + size] for i in range(count)]
    inputs: Floats = normalise(np.stack(crops)).numpy()
    return inputs
