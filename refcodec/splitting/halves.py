"""The two halves of a network: images to features by layer, and features by layer to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.models import Cut, Network, Pyramid
from refcodec.tensors import to_torch

__all__ = ["Halves"]

Array = npt.NDArray[Any]

_INPUT_SHAPE = (3, 224, 224)


class Halves:
    """A network cut at one layer or at several.

    names  : the layers, in the order in which their features are sent.
    shapes : of one image's feature, by layer: C x H x W or D.
    """

    def __init__(
        self,
        model: nn.Module | Network,
        layers: str | Sequence[str],
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        """Cut the network. Raises CallerError."""
        module, known, shape = _opened(model)
        self.names = (layers,) if isinstance(layers, str) else tuple(layers)
        self._modules = dict(
            zip(self.names, (known.get(one, one) for one in self.names), strict=True)
        )
        self._module, self._turn = module, Lock()
        places, size = list(self._modules.values()), input_shape or shape
        self._cut = (
            Cut(module, places[0], size) if len(places) == 1 else Pyramid(module, places, size)
        )
        hooked = isinstance(self._cut, Cut) and not self._cut.traced
        self._head_turn: AbstractContextManager[Any] = (
            self._turn if hooked else nullcontext()
        )  # hooks are of the whole network
        shapes = (
            [self._cut.feature_shape]
            if isinstance(self._cut, Cut)
            else self._cut.feature_shapes.values()
        )
        self.shapes: dict[str, tuple[int, ...]] = dict(zip(self.names, shapes, strict=True))

    @property
    def device(self) -> torch.device:
        """Device of the network's parameters."""
        found = next((one.device for one in self._module.parameters()), None)
        return found or torch.device("cpu")

    def head(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The features of images, one tensor N x C x H x W or N x D for each layer, in host memory.

        images : N x channels x height x width, float32, on any device.

        Raises CallerError for what the network does not take.
        """
        if not isinstance(images, torch.Tensor) or not len(images):
            kind = "no images" if isinstance(images, torch.Tensor) else type(images).__name__
            raise CallerError(f"the client takes a tensor of images, N x C x H x W, not {kind}")
        with self._head_turn, torch.inference_mode():
            given = images.to(self.device)
            if isinstance(self._cut, Cut):
                return [self._cut.head(given).cpu()]
            return [one.cpu() for one in self._cut.head(given).values()]

    def tail(self, features: Mapping[str, Array]) -> torch.Tensor:
        """The network's output, in host memory, for features by layer, N x C x H x W or N x D.

        One thread at a time runs the tail.

        Raises StreamError for features of other shapes, EnvironmentFault where the network fails.
        """
        self._check(features)
        tensors = {self._modules[name]: to_torch(one) for name, one in features.items()}
        with self._turn, torch.inference_mode():
            try:
                given = {name: one.to(self.device) for name, one in tensors.items()}
                if isinstance(self._cut, Cut):
                    return self._cut.tail(*given.values()).cpu()
                return self._cut.tail(given).cpu()
            except (RuntimeError, MemoryError) as error:
                raise EnvironmentFault(f"the tail of the network fails: {error}") from error

    def _check(self, features: Mapping[str, Array]) -> None:
        counts = {len(one) for one in features.values()}
        if set(features) != set(self.names) or len(counts) != 1:
            raise StreamError(
                f"the request has features of {', '.join(features)} for {sorted(counts)} images; "
                f"the network is cut at {', '.join(self.names)}"
            )
        for name, own in features.items():
            if own.shape[1:] != self.shapes[name] or own.dtype != np.float32:
                found, wanted = (
                    " x ".join(map(str, one)) for one in (own.shape[1:], self.shapes[name])
                )
                raise StreamError(
                    f"features of {name} are {found} of {own.dtype}; the network takes {wanted} of float32"
                )


def _opened(
    model: nn.Module | Network,
) -> tuple[nn.Module, Mapping[str, str], tuple[int, ...]]:
    """A module, its layers by name, and the shape of its images."""
    if isinstance(model, Network):
        if model.vocabulary:
            raise CallerError(
                f"{model.name} reads texts, whose features have no common shape",
                hint="run Cut.heads here and Cut.tails there, and send the stream that they share",
            )
        return model.module, model.layers, (3, *model.input_size)
    if not isinstance(model, nn.Module):
        raise CallerError(f"a network is split, a torch.nn.Module, not a {type(model).__name__}")
    return model, {}, _INPUT_SHAPE
