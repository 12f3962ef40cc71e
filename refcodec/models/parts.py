"""Common parts of both ways to cut a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from refcodec.errors import CallerError

__all__ = ["WEIGHTED", "Bundle", "Crossing", "Inputs", "close", "main_output"]

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers that multiply by weights: fully connected ones, and convolutions of any rank."""


class Crossing(Exception):
    """Something other than the feature passes from the head to the tail; the text names it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Inputs of a network: float32 of one shape, or texts as numbers of tokens, int64.

    shape      : of one of them: ``(3, 224, 224)``; of a text the number of tokens of a trial, ``(16,)``.
    vocabulary : number of different tokens; 0 if they are no texts.
    """

    shape: tuple[int, ...]
    vocabulary: int = 0

    def random(self, count: int, device: torch.device | None) -> torch.Tensor:
        """Random inputs, from torch's generator."""
        if self.vocabulary:
            return torch.randint(self.vocabulary, (count, *self.shape), device=device)
        return torch.randn(count, *self.shape, device=device)

    def blank(self, features: torch.Tensor) -> torch.Tensor:
        """Inputs of zeros, as many as there are features; texts are as long as their features."""
        shape = (features.shape[1],) if self.vocabulary else self.shape
        kind = torch.int64 if self.vocabulary else torch.float32
        return torch.zeros(len(features), *shape, dtype=kind, device=features.device)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The form of a layer's output: a tensor, or a sequence of a tensor and Nones, as transformers give.

    kind  : ``tuple`` or ``list``; None for a tensor by itself.
    count : number of its elements.
    """

    kind: type | None = None
    count: int = 1

    @classmethod
    def of(cls, output: Any) -> Self:
        """The form of an output; one that is another is taken for a tensor by itself."""
        if type(output) in (tuple, list) and output and all(one is None for one in output[1:]):
            return cls(type(output), len(output))
        return cls()

    def unwrap(self, output: Any) -> Any:
        """The tensor of an output."""
        return output if self.kind is None else output[0]

    def wrap(self, feature: torch.Tensor) -> Any:
        """An output with a tensor."""
        if self.kind is None:
            return feature
        return self.kind([feature, *[None] * (self.count - 1)])


def main_output(output: Any) -> torch.Tensor:
    """The main output of a network: a single tensor, or of several by name the one called ``out``."""
    found = output.get("out") if isinstance(output, Mapping) else output
    if isinstance(found, torch.Tensor):
        return found
    kind = f"{', '.join(map(str, output))} by name" if isinstance(output, Mapping) else type(output)
    raise CallerError(
        f"the network gives {kind}; one tensor is wanted, or one by the name of 'out'",
        hint="wrap it in a module that returns one tensor",
    )


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """True if two outputs are equal up to rounding."""
    if ours.shape != theirs.shape:
        return False
    small = 1e-5 * float(theirs.abs().max())
    return bool(torch.allclose(ours, theirs, rtol=1e-4, atol=small, equal_nan=True))
