"""Real features: CIFAR ResNets (He et al. 2016, 4.2) in numpy, on real images.

Weights and images are read in place from ``$REFCODEC_DATA``, else ``../shared/data``; both are absent
from the repository, and what needs them skips where they are.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LAYERS = ("conv1", "layer1", "layer2", "layer3", "pool")
"""Cut points: after conv1 + bn1 + ReLU, after each stage, after global pooling."""

_MEAN = np.float32([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
_DEVIATION = np.float32([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)


def data_folder() -> Path | None:
    """The folder with the networks and images, or None."""
    here = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("REFCODEC_DATA", here.parent / "shared" / "data"))
    return folder if (folder / "weights").is_dir() else None


class ResNet:
    """A CIFAR ResNet of 6n + 2 layers, cut at any of ``LAYERS``; N x C x H x W, N x 64 after pooling."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        self._blocks = 1 + max(
            int(key.split(".")[1]) for key in weights if key.startswith("layer1")
        )

    def head(self, images: Floats, layer: str) -> Floats:
        """Run images N x 3 x H x W up to a layer."""
        return self._run(images, 0, 1 + LAYERS.index(layer))

    def tail(self, features: Floats, layer: str) -> Floats:
        """Run features of a layer up to the logits, N x 10."""
        return self._run(features, 1 + LAYERS.index(layer), 1 + len(LAYERS))

    def _run(self, x: Floats, start: int, stop: int) -> Floats:
        parts = [x[i : i + 50] for i in range(0, len(x), 50)]  # bounds the memory of the windows
        for stage in range(start, stop):
            parts = [self._stage(stage, part) for part in parts]
        return np.concatenate(parts)

    def _stage(self, stage: int, x: Floats) -> Floats:
        if stage == 0:
            return np.maximum(self._convolve_normalise(x, "conv1", "bn1"), 0)
        if stage <= 3:
            for block in range(self._blocks):
                x = self._block(x, f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
            return x
        if stage == 4:
            return x.mean(axis=(2, 3))
        logits: Floats = x @ self._weights["linear.weight"].T + self._weights["linear.bias"]
        return logits

    def _block(self, x: Floats, name: str, stride: int) -> Floats:
        y = self._convolve_normalise(x, f"{name}.conv1", f"{name}.bn1", stride)
        y = self._convolve_normalise(np.maximum(y, 0), f"{name}.conv2", f"{name}.bn2")
        if stride == 2:  # option A: every second pixel, channels padded with zeros
            x = x[:, :, ::2, ::2]
            more = (y.shape[1] - x.shape[1]) // 2
            x = np.pad(x, ((0, 0), (more, more), (0, 0), (0, 0)))
        return np.maximum(x + y, 0)

    def _convolve_normalise(self, x: Floats, conv: str, bn: str, stride: int = 1) -> Floats:
        w = self._weights
        gain = w[f"{bn}.weight"] / np.sqrt(w[f"{bn}.running_var"] + 1e-5)
        kernel = w[f"{conv}.weight"] * gain.reshape(-1, 1, 1, 1)
        bias = w[f"{bn}.bias"] - gain * w[f"{bn}.running_mean"]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        windows = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)
        n, h, width = windows.shape[:3]
        columns = windows.reshape(n * h * width, -1)
        y = columns @ kernel.reshape(len(kernel), -1).T + bias
        return np.ascontiguousarray(y.reshape(n, h, width, -1).transpose(0, 3, 1, 2), np.float32)


@cache
def network(name: str = "resnet20") -> ResNet:
    """A trained network, ``resnet20`` or ``resnet56``."""
    from safetensors.numpy import load_file

    folder = data_folder()
    assert folder is not None
    return ResNet(load_file(folder / "weights" / f"{name}_cifar10.safetensors"))


def normalise(pixels: npt.NDArray[np.uint8]) -> Floats:
    """RGB images N x H x W x 3 to network input N x 3 x H x W."""
    scaled = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    return (scaled - _MEAN) / _DEVIATION


def cifar_images(count: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The first ``count // 10`` test images of each class as network input, and their labels."""
    from PIL import Image

    folder = data_folder()
    assert folder is not None
    with np.load(folder / "cifar10" / "test.npz", allow_pickle=False) as archive:
        jpeg, offsets, labels = archive["jpeg"], archive["offsets"], archive["labels"]
    chosen = [i for c in range(10) for i in np.flatnonzero(labels == c)[: count // 10]]
    pixels = [
        np.asarray(Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes())))
        for i in chosen
    ]
    return normalise(np.stack(pixels)), labels[chosen].astype(np.int64)


def photographs(count: int) -> Iterator[npt.NDArray[np.uint8]]:
    """The first photographs in name order: shorter side 224 (bicubic), centre crop 224 x 224 x 3."""
    from PIL import Image

    folder = data_folder()
    assert folder is not None
    for path in sorted((folder / "imagenet-sample").glob("*.JPEG"))[:count]:
        image: Any = Image.open(path).convert("RGB")
        scale = 224 / min(image.size)
        image = image.resize(
            tuple(max(224, round(side * scale)) for side in image.size), Image.Resampling.BICUBIC
        )
        left, top = ((side - 224) // 2 for side in image.size)
        yield np.asarray(image.crop((left, top, left + 224, top + 224)))


def pan(count: int, size: int = 64, step: int = 2) -> Floats:
    """A camera that pans over a photograph: ``count`` crops, each ``step`` pixels further right."""
    picture = next(iter(photographs(1)))
    top = (224 - size) // 2
    crops = [picture[top : top + size, i * step : i * step + size] for i in range(count)]
    return normalise(np.stack(crops))
