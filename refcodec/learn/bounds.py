"""Bounds of values in training."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Least"]


class Least(torch.autograd.Function):
    """A lower bound that lets gradients pass which raise what lies below it."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, bound: float) -> torch.Tensor:
        """Bound values from below."""
        context.save_for_backward(values)
        context.bound = bound
        return values.clamp(min=bound)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Pass gradients of values above the bound, and those that raise a value."""
        (values,), (gradient,) = context.saved_tensors, gradients
        return gradient * ((values >= context.bound) | (gradient < 0)), None
