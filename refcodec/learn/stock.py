"""Batches for training, each a function of the seed and its number, so that a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
import torch

from refcodec.errors import CallerError
from refcodec.learn.data import Batch, Data

__all__ = ["Prepared", "Stock", "in_order", "prepare"]

_ORDER, _CHANGES, _VIEWS = 0, 1, 2  # streams of random numbers

_AT_ONCE: Final = 256
"""Inputs that are computed at a time."""


class Prepared(NamedTuple):
    """Outputs of a frozen part of a network.

    features : views x N x ..., float16: of versions of each input, of which the first is not augmented.
    targets  : N.
    """

    features: torch.Tensor
    targets: torch.Tensor


def prepare(data: Data, part: Callable[[torch.Tensor], torch.Tensor], views: int = 1) -> Prepared:
    """Compute the outputs of the frozen part of a network for augmented versions of data."""
    features: torch.Tensor | None = None
    targets: list[torch.Tensor] = []
    for view in range(views):
        rng = np.random.default_rng((_VIEWS, view)) if view else None
        place = 0
        for inputs, own in in_order(data, _AT_ONCE, rng):
            found = part(inputs)
            if features is None:
                whole = (views, len(data), *found.shape[1:])
                features = torch.empty(whole, dtype=torch.float16)
            features[view, place : place + len(found)] = found.half()
            place += len(found)
            if view == 0:
                targets.append(own)
    assert features is not None
    return Prepared(features, torch.cat(targets))


class Stock:
    """An endless sequence of shuffled batches.

    data     : what to draw from.
    size     : of a batch. The last few of an epoch, too few for a batch, are left out.
    seed     : of the order and the augmentation.
    prepared : what to draw from in place of the data.

    Raises CallerError if there are fewer data than in one batch.
    """

    def __init__(self, data: Data, size: int, seed: int, prepared: Prepared | None = None) -> None:
        if len(data) < size:
            raise CallerError(f"a batch is {size} and there are {len(data)} training data")
        self._data, self._size, self._seed, self._prepared = data, size, seed, prepared

    def batch(self, step: int) -> Batch:
        """Inputs, or outputs of the frozen part, and targets of a step, counted from 0."""
        epoch, place = divmod(step, len(self._data) // self._size)
        order = np.random.default_rng((_ORDER, self._seed, epoch)).permutation(len(self._data))
        indices = order[place * self._size : (place + 1) * self._size]
        rng = np.random.default_rng((_CHANGES, self._seed, step))
        if self._prepared is None:
            return self._data.batch(indices, rng)
        features, targets = self._prepared
        views = rng.integers(len(features), size=len(indices))
        return features[views, indices].float(), targets[indices]


def in_order(data: Data, size: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
    """Yield all data in order, ``size`` at a time; ``rng`` augments them."""
    for start in range(0, len(data), size):
        yield data.batch(np.arange(start, min(start + size, len(data))), rng)
