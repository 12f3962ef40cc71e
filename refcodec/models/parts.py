"""Common parts of both ways to cut a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn

from refcodec.errors import CallerError

__all__ = ["WEIGHTED", "Bundle", "Crossing", "Inputs", "close", "main_output", "main_part"]

WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)
"""Layers that multiply by weights: fully connected ones, and convolutions of any rank."""


_MAIN = ("out", "logits", "last_hidden_state")
"""Names of the main output among several: of torchvision, and of transformers."""


class Crossing(Exception):
    """Something other than the feature passes from the head to the tail; the text names it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Inputs of a network: floating-point numbers of one shape, or texts as numbers of tokens, int64.

    shape      : of one of them: ``(3, 224, 224)``; of a text the number of tokens of a trial, ``(16,)``.
    vocabulary : number of different tokens; 0 if they are no texts.
    mask       : name of the network's argument that takes a mask of tokens; empty if it has none.
    precision  : type of the floating-point numbers, that of the network's weights.
    """

    shape: tuple[int, ...]
    vocabulary: int = 0
    mask: str = ""
    precision: torch.dtype = torch.float32

    @property
    def dtype(self) -> torch.dtype:
        """Type of the inputs."""
        return torch.int64 if self.vocabulary else self.precision

    def random(self, count: int, device: torch.device | None) -> torch.Tensor:
        """Random inputs, from torch's generator."""
        if self.vocabulary:
            return torch.randint(self.vocabulary, (count, *self.shape), device=device)
        return torch.randn(count, *self.shape, device=device).to(self.precision)

    def blank(self, features: torch.Tensor) -> torch.Tensor:
        """Inputs of zeros, as many as there are features; texts are as long as their features."""
        shape = (features.shape[1],) if self.vocabulary else self.shape
        return torch.zeros(len(features), *shape, dtype=self.dtype, device=features.device)

    def masks(
        self, batch: torch.Tensor, mask: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """The mask of a batch, N x T or more axes, by the name of its argument; by default all are tokens."""
        if not self.mask:
            return {}
        found = torch.ones(batch.shape[:2], dtype=torch.int64) if mask is None else mask
        return {self.mask: found.to(batch.device)}


@dataclass(frozen=True, slots=True)
class Bundle:
    """The form of a layer's output: a tensor, or a sequence that begins with it, as transformers give.

    kind   : ``tuple`` or ``list``; None for a tensor by itself.
    count  : number of its elements.
    others : true if one of the others is no None. Weights of an attention or a cache, which the tail does
             without; it is given Nones.
    """

    kind: type | None = None
    count: int = 1
    others: bool = False

    @classmethod
    def of(cls, output: Any) -> Self:
        """The form of an output; one that is another is taken for a tensor by itself."""
        if type(output) in (tuple, list) and output and isinstance(output[0], torch.Tensor):
            others = any(one is not None for one in output[1:])
            return cls(type(output), len(output), others)
        return cls()

    def unwrap(self, output: Any) -> Any:
        """The tensor of an output."""
        return output if self.kind is None else output[0]

    def wrap(self, feature: torch.Tensor) -> Any:
        """An output with a tensor, and nothing else."""
        if self.kind is None:
            return feature
        return self.kind([feature, *[None] * (self.count - 1)])


def main_part(output: Any, kind: type = torch.Tensor) -> Any:
    """The main part of a network's output, by name or the first beside Nones and caches; else all of it.

    kind : of tensors, or of what stands for them in a graph.
    """
    if isinstance(output, Mapping):
        return next((output[name] for name in _MAIN if name in output), output)
    if (
        isinstance(output, tuple)
        and output
        and not any(isinstance(one, kind) for one in output[1:])
    ):
        return output[0]
    return output


def main_output(output: Any) -> torch.Tensor:
    """The main output of a network: a tensor, alone, the first beside Nones and caches, or by a usual name.

    Raises CallerError where there is no such tensor.
    """
    found = main_part(output)
    if isinstance(found, torch.Tensor):
        return found
    kind = f"{', '.join(map(str, output))} by name" if isinstance(output, Mapping) else type(output)
    raise CallerError(
        f"the network gives {kind}; one tensor is wanted, or one by the name of {' or '.join(_MAIN)}",
        hint="wrap it in a module that returns one tensor",
    )


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """True if two outputs are equal up to rounding."""
    if ours.shape != theirs.shape:
        return False
    rounding = 4 * torch.finfo(theirs.dtype).eps if theirs.is_floating_point() else 0.0
    small = max(1e-5, rounding) * float(theirs.abs().max())
    return bool(torch.allclose(ours, theirs, rtol=max(1e-4, rounding), atol=small, equal_nan=True))
