"""Real features of ResNet-56 (CIFAR), and the rest of the network that runs on what comes back.

    head  images --> features of every layer        tail  features --> logits

By torch, one thread; ``tests/real.py`` has the same networks in numpy, and says where the data lie.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import real
import torch
from torch.nn import functional as nn

torch.set_num_threads(1)

Floats = npt.NDArray[np.float32]

LAYERS = ("conv1", "layer1", "layer2", "layer3")
"""Cut points: after conv1 + bn1 + ReLU, and after each stage."""

SIZES = {"small": 200, "large": 20}
"""Sets by name, and how many features each has: CIFAR test images, photographs of 224 x 224."""

_CHUNK_ELEMENTS = 2_000_000  # of the input of a run: bounds memory


class ResNet:
    """A CIFAR ResNet; batch normalisation is folded into the convolutions.

    Stages: 0 is conv1 + bn1 + ReLU; 1, 2, 3 are layer1 to layer3; 4 is pooling and linear.
    """

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._blocks = 1 + max(int(k.split(".")[1]) for k in weights if k.startswith("layer1"))
        self._folded: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for key, kernel in weights.items():
            if not (key.endswith(".weight") and kernel.ndim == 4):
                continue
            conv = key.removesuffix(".weight")
            bn = conv[: -len("convN")] + "bn" + conv[-1]
            gain = weights[f"{bn}.weight"] / np.sqrt(weights[f"{bn}.running_var"] + 1e-5)
            bias = weights[f"{bn}.bias"] - gain * weights[f"{bn}.running_mean"]
            scaled = kernel * gain.reshape(-1, 1, 1, 1)
            self._folded[conv] = torch.from_numpy(scaled), torch.from_numpy(bias)
        self._linear = [torch.from_numpy(weights[f"linear.{k}"]) for k in ("weight", "bias")]

    def run(self, x: Floats, start: int, stop: int) -> Floats:
        """Stages ``start`` up to ``stop``, exclusive."""
        n = max(1, _CHUNK_ELEMENTS // int(np.prod(x.shape[1:])))
        with torch.inference_mode():
            parts = [
                self._stages(torch.from_numpy(np.ascontiguousarray(x[i : i + n])), start, stop)
                for i in range(0, len(x), n)
            ]
            return torch.cat(parts).numpy()

    def _stages(self, x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        for stage in range(start, stop):
            if stage == 0:
                x = torch.relu(self._convolve(x, "conv1"))
            elif stage <= 3:
                for block in range(self._blocks):
                    stride = 2 if stage > 1 and block == 0 else 1
                    x = self._block(x, f"layer{stage}.{block}", stride)
            else:
                x = nn.linear(x.mean(dim=(2, 3)), *self._linear)
        return x

    def _block(self, x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        y = torch.relu(self._convolve(x, f"{name}.conv1", stride))
        y = self._convolve(y, f"{name}.conv2")
        if stride == 2:  # option A: every second pixel, channels padded with zeros
            more = (y.shape[1] - x.shape[1]) // 2
            x = nn.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
        return torch.relu(x + y)

    def _convolve(self, x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel, bias = self._folded[name]
        return nn.conv2d(x, kernel, bias, stride=stride, padding=1)


@cache
def network() -> ResNet:
    """ResNet-56 with its trained weights."""
    from safetensors.numpy import load_file

    folder: Any = real.data_folder()
    return ResNet(load_file(folder / "weights" / "resnet56_cifar10.safetensors"))


@cache
def load(layer: str, size: str) -> Floats:
    """Features of a layer, float32, N x C x H x W: the whole set of one of SIZES."""
    stage = LAYERS.index(layer)
    if stage:
        return network().run(load(LAYERS[stage - 1], size), stage, stage + 1)
    if size == "small":
        return network().run(real.cifar_images(SIZES[size])[0], 0, 1)
    photographs = np.stack(list(real.photographs(SIZES[size])))
    return network().run(real.normalise(photographs), 0, 1)


def part(layer: str, size: str, count: int | None) -> Floats:
    """As ``load``, but only so many features, spread evenly over the set; None for all."""
    maps = load(layer, size)
    if count is None or count >= len(maps):
        return maps
    return maps[np.arange(count) * len(maps) // count]


def tail(maps: Floats, layer: str) -> Floats:
    """The rest of the network: features of a layer to logits, N x 10."""
    return network().run(maps, 1 + LAYERS.index(layer), 5)
