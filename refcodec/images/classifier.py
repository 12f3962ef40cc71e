"""cResNet-39: a classifier that reads latents instead of images.

Table 2 of Gupta et al., Learning-Based Compression for Machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import nn

__all__ = ["STAGES", "LatentClassifier"]

STAGES: Final = ((128, 4), (256, 6), (512, 3))
"""Width and number of the bottleneck blocks of each stage, after the first: those of ResNet-50."""

_EXPANSION: Final = 4


class LatentClassifier(nn.Module):
    """A residual network for latents and their deviations.

    latents : channels of either.
    classes : outputs.
    first   : width of the first stage's blocks, of which latents and deviations have two each; the results
              are concatenated.
    stages  : of `STAGES`; fewer and narrower ones for small images. All but the first halve the resolution.
    """

    def __init__(
        self,
        latents: int,
        classes: int,
        *,
        first: int = 32,
        stages: Sequence[tuple[int, int]] = STAGES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.of_latents, self.of_deviations = (
                _stage(latents, first, 2, stride=1) for _ in range(2)
            )
            inputs, parts = 2 * _EXPANSION * first, []
            for number, (width, count) in enumerate(stages):
                parts.append(_stage(inputs, width, count, stride=1 if number == 0 else 2))
                inputs = _EXPANSION * width
            self.stages = nn.Sequential(*parts)
            self.fc = nn.Linear(inputs, classes)

    def forward(self, latents: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
        """Logits, N x classes, of latents and deviations, N x M x h x w each."""
        both = self.of_latents(latents), self.of_deviations(deviations)
        return self.fc(self.stages(torch.cat(both, dim=1)).mean(dim=(2, 3)))

    def take_resnet50(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of torchvision's ResNet-50 for its last three stages, `STAGES`.

        Raises KeyError or RuntimeError for weights of another network.
        """
        for number, stage in enumerate(self.stages):
            prefix = f"layer{number + 2}."
            own = {
                name.removeprefix(prefix): one
                for name, one in weights.items()
                if name.startswith(prefix)
            }
            stage.load_state_dict(own)


class _Block(nn.Module):
    """A bottleneck block of ResNet, with the stride at its 3 x 3 convolution; names are torchvision's."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = _EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        kept = values if self.downsample is None else self.downsample(values)
        found = self.bn1(self.conv1(values)).relu()
        found = self.bn2(self.conv2(found)).relu()
        return (self.bn3(self.conv3(found)) + kept).relu()


def _stage(inputs: int, width: int, count: int, *, stride: int) -> nn.Sequential:
    blocks = [_Block(inputs, width, stride)]
    blocks += [_Block(_EXPANSION * width, width, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)
