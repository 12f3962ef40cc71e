"""Losses of a small error of features, as quadratic forms of the errors of blocks or of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from refcodec.models import Cut

__all__ = ["channel_metric", "curvature_of"]

_DIRECTIONS: Final = 8
"""Random directions of outputs, whose gradients are taken for each batch."""


def channel_metric(
    tail: Callable[[torch.Tensor], torch.Tensor],
    features: Iterable[torch.Tensor],
    *,
    feature_weight: float = 0.01,
    axis: int = 1,
) -> npt.NDArray[np.float64]:
    """The loss by an error of the channels of a position, as a form M: e' M e for an error e.

    It is the squared error of outputs, relative to their variance, and ``feature_weight`` times that of the
    features. `refcodec.ChannelTransform.fit` takes it as ``metric``.

    tail    : the rest of the network; it is differentiated.
    features: batches, N x C x H x W or N x D; with ``axis=-1`` channels are last, as in tokens N x T x D.
    axis    : of the channels.

    Returns M, channels x channels.
    """

    def by_position(gradient: torch.Tensor) -> torch.Tensor:
        table = gradient.movedim(axis, -1)
        return table.reshape(-1, table.shape[-1])

    found: npt.NDArray[np.float64] = _form(tail, features, by_position, feature_weight).numpy()
    return found


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

    def by_block(gradient: torch.Tensor) -> torch.Tensor:
        blocks = functional.unfold(gradient, side, stride=side).transpose(1, 2)
        return blocks.reshape(-1, blocks.shape[2])

    return _form(cut.tail, features, by_block, feature_weight)


def _form(
    tail: Callable[[torch.Tensor], torch.Tensor],
    features: Iterable[torch.Tensor],
    vectors: Callable[[torch.Tensor], torch.Tensor],
    feature_weight: float,
) -> torch.Tensor:
    """The form of errors of the vectors into which a gradient of features is cut, on their device."""
    total: torch.Tensor | None = None
    count, seen, outputs = 0, _Spread(), _Spread()
    for batch, found, gradients in _gradients(tail, features):
        for gradient in gradients:
            rows = vectors(gradient.float()).double()
            total = rows.T @ rows + (0 if total is None else total)
            count += len(rows)
        seen.add(batch)
        outputs.add(found)
    assert total is not None
    form = total / count / (outputs.size * outputs.variance)
    unit = seen.size * seen.variance
    return form + feature_weight / unit * torch.eye(len(form), dtype=form.dtype, device=form.device)


def _gradients(
    tail: Callable[[torch.Tensor], torch.Tensor], features: Iterable[torch.Tensor]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, Iterator[torch.Tensor]]]:
    """Each batch of features, its outputs, and their gradients in random directions."""
    generator = torch.Generator().manual_seed(0)
    for batch in features:
        inputs = batch.detach().requires_grad_()
        outputs = tail(inputs).float()

        def gradients(
            inputs: torch.Tensor = inputs, outputs: torch.Tensor = outputs
        ) -> Iterator[torch.Tensor]:
            for number in range(_DIRECTIONS):
                direction = torch.randn(outputs.shape, generator=generator).to(outputs.device)
                (gradient,) = torch.autograd.grad(
                    outputs, inputs, direction, retain_graph=number < _DIRECTIONS - 1
                )
                yield gradient

        yield batch, outputs.detach(), gradients()


class _Spread:
    """The variance of arrays that are seen one after the other.

    size : mean number of values of one of them, without the leading axis.
    """

    def __init__(self) -> None:
        self._rows, self._count, self._first, self._second = 0, 0, 0.0, 0.0

    def add(self, batch: torch.Tensor) -> None:
        """See the values of a batch."""
        values = batch.double()
        self._rows += len(batch)
        self._count += batch.numel()
        self._first += float(values.sum())
        self._second += float((values**2).sum())

    @property
    def size(self) -> float:
        """Mean number of values of a row."""
        return self._count / self._rows

    @property
    def variance(self) -> float:
        """Variance of all values."""
        return self._second / self._count - (self._first / self._count) ** 2
