"""Losses of a small error of features, as quadratic forms of the errors of blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch.nn import functional

from refcodec.models import Cut

__all__ = ["curvature_of"]

_DIRECTIONS: Final = 8
"""Random directions of outputs, whose gradients are taken for each batch."""


def curvature_of(
    cut: Cut, features: Iterable[torch.Tensor], side: int, *, feature_weight: float = 0.0
) -> torch.Tensor:
    """The squared error of outputs, relative to their variance, as a form of the error of features.

    For an error e of a block of features, C x side x side, in the order of ``torch.nn.functional.unfold``, it
    is about e' M e, summed over the blocks of a feature. M is the mean of J' J over blocks and features, J
    being the derivative of the outputs by the block; random directions of outputs stand for all.

    cut            : the network; its tail is differentiated.
    features       : batches N x C x H x W.
    feature_weight : of the squared error of features, relative to their variance, which is added.

    Returns M, values x values, float64.
    """
    total: torch.Tensor | None = None
    count, outputs_seen, features_seen = 0, [], []
    generator = torch.Generator().manual_seed(0)
    for batch in features:
        inputs = batch.detach().requires_grad_()
        outputs = cut.tail(inputs).float()
        for number in range(_DIRECTIONS):
            direction = torch.randn(outputs.shape, generator=generator).to(outputs.device)
            (gradient,) = torch.autograd.grad(
                outputs, inputs, direction, retain_graph=number < _DIRECTIONS - 1
            )
            blocks = functional.unfold(gradient.float(), side, stride=side).transpose(1, 2)
            blocks = blocks.reshape(-1, blocks.shape[2]).double()
            total = blocks.T @ blocks + (0 if total is None else total)
            count += len(blocks)
        outputs_seen.append(outputs.detach())
        features_seen.append(batch)
    assert total is not None
    outputs, whole = torch.cat(outputs_seen), torch.cat(features_seen)
    form = total / count / (outputs[0].numel() * outputs.var(correction=0).double())
    unit = whole[0].numel() * whole.var(correction=0).double()
    return form + feature_weight / unit * torch.eye(len(form), dtype=form.dtype, device=form.device)
