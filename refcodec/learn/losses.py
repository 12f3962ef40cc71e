"""Losses of tasks, by name, and the error that is reported beside each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch.nn import functional

__all__ = ["LOSSES", "Loss", "relative_error"]

Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss, and an error.

    value    : outputs and targets of a batch to the mean loss.
    error    : outputs and targets to the error of each, N; lower is better.
    measures : name of the error.
    targets  : ``class`` (N, int64), ``classes`` (N x K, 0 or 1), ``values`` (N x K), or ``outputs`` of the
               network as it was before training, N x K.
    """

    value: Function
    error: Function
    measures: str
    targets: str


def _misses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(dim=1) != targets).float()


def _wrong_first(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """1 where the highest output is of none of the right classes ("Hit@1" is 1 minus its mean)."""
    first = outputs.argmax(dim=1, keepdim=True)
    return 1 - targets.gather(1, first).squeeze(1).float()


def _squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return ((outputs - targets) ** 2).flatten(1).mean(dim=1)


def _changes(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    changed = outputs.argmax(dim=1) != targets.argmax(dim=1)
    return changed.reshape(len(outputs), -1).float().mean(dim=1)


def _distil(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the class probabilities from those of the targets, mean over all."""
    wanted, found = (functional.log_softmax(one, dim=1) for one in (targets, outputs))
    return (wanted.exp() * (wanted - found)).sum(dim=1).mean()


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the variance of what is wanted."""
    return ((found - wanted) ** 2).mean() / wanted.var(correction=0).clamp(min=1e-12)


LOSSES: Final[Mapping[str, Loss]] = MappingProxyType(
    {
        "cross-entropy": Loss(functional.cross_entropy, _misses, "top-1 error", "class"),
        "multi-label": Loss(
            lambda outputs, targets: (
                functional.binary_cross_entropy_with_logits(
                    outputs, targets.float(), reduction="sum"
                )
                / len(outputs)
            ),
            _wrong_first,
            "error at first place",
            "classes",
        ),
        "regression": Loss(
            lambda outputs, targets: _squared(outputs, targets).mean(),
            _squared,
            "squared error",
            "values",
        ),
        "distillation": Loss(_distil, _changes, "changed decisions", "outputs"),
        "output-error": Loss(relative_error, _changes, "changed decisions", "outputs"),
    }
)
"""The losses by the names that configurations give them."""
