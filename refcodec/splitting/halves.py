"""The two halves of a network: images to features by layer, and features by layer to the output."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.models import Cut, Network, Pyramid
from refcodec.models.observed import name_of
from refcodec.tensors import to_torch

__all__ = ["Features", "Halves", "Inputs"]

Array = npt.NDArray[Any]

Inputs: TypeAlias = torch.Tensor | Sequence[torch.Tensor]
"""Images, N x channels x height x width; or texts, T each."""

Features: TypeAlias = torch.Tensor | list[torch.Tensor]
"""Features of a layer: N x C x H x W or N x D; or T x D for each text."""

_INPUT_SHAPE = (3, 224, 224)


class Halves:
    """A network cut at one layer or at several.

    names  : the layers, in the order in which their features are sent.
    shapes : of one image's feature, by layer: C x H x W or D.
    types  : of features, by layer, as numpy and ml_dtypes name them.
    weights: fingerprint of the weights of the head, by which the sides of a connection know each other; empty
             where the head is no graph.
    tokens : true for a network of texts: features are T x D, any T, and D is their shape.
    """

    def __init__(
        self,
        model: nn.Module | Network,
        layers: str | Sequence[str],
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        """Cut the network. Raises CallerError."""
        module, known, shape = _opened(model)
        several = isinstance(layers, (list, tuple)) and all(isinstance(one, str) for one in layers)
        if not (isinstance(layers, str) or several):
            raise CallerError(
                f"layers is {layers!r}; it is the name of a module, or a list of names",
                hint="model.named_modules() has them",
            )
        self.names = (layers,) if isinstance(layers, str) else tuple(layers)
        self._modules = dict(
            zip(self.names, (known.get(one, one) for one in self.names), strict=True)
        )
        self._module, self._turn = module, Lock()
        places, size = list(self._modules.values()), input_shape or shape
        if isinstance(model, Network) and model.vocabulary:
            if len(places) > 1:
                raise CallerError("a network of texts is split at one layer")
            self._cut: Cut | Pyramid = model.cut(self.names[0])
        elif len(places) == 1:
            self._cut = Cut(module, places[0], size)
        else:
            self._cut = Pyramid(module, places, size)
        self.tokens = isinstance(self._cut, Cut) and self._cut.tokens
        hooked = isinstance(self._cut, Cut) and not self._cut.traced
        self._head_turn: AbstractContextManager[Any] = (
            self._turn if hooked else nullcontext()
        )  # hooks are of the whole network
        if isinstance(self._cut, Cut):
            shapes, dtypes = [self._cut.feature_shape], [self._cut.feature_dtype]
        else:
            shapes = list(self._cut.feature_shapes.values())
            dtypes = list(self._cut.feature_dtypes.values())
        self.shapes: dict[str, tuple[int, ...]] = dict(zip(self.names, shapes, strict=True))
        self.types = dict(zip(self.names, map(name_of, dtypes), strict=True))

    @cached_property
    def weights(self) -> str:
        """Digest of the head's parameters and buffers: names, types, shapes and up to 256 values of each."""
        found = hashlib.sha256()
        for name, one in self._cut.head_state.items():
            found.update(f"{name} {one.dtype} {tuple(one.shape)};".encode())
            values = one.detach().reshape(-1)[:: max(1, one.numel() // 256)]
            found.update(values.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return found.hexdigest()[:16] if self._cut.head_state else ""

    @property
    def device(self) -> torch.device:
        """Device of the network's parameters."""
        found = next((one.device for one in self._module.parameters()), None)
        return found or torch.device("cpu")

    def head(self, images: Inputs) -> list[Features]:
        """The features of images, one tensor N x C x H x W or N x D for each layer, in host memory.

        images : N x channels x height x width, in the type of the network's weights, on any device; or texts,
                 T each, int64, whose features are T x D each.

        Raises CallerError for what the network does not take.
        """
        if self.tokens and isinstance(self._cut, Cut):
            if not len(images):
                raise CallerError("the client takes texts, T each, and is given none")
            with self._head_turn, torch.inference_mode():
                texts = [one.to(self.device) for one in images]
                return [[one.cpu() for one in self._cut.heads(texts)]]
        if not isinstance(images, torch.Tensor) or not len(images):
            kind = "no images" if isinstance(images, torch.Tensor) else type(images).__name__
            raise CallerError(f"the client takes a tensor of images, N x C x H x W, not {kind}")
        with self._head_turn, torch.inference_mode():
            given = images.to(self.device)
            if isinstance(self._cut, Cut):
                return [self._cut.head(given).cpu()]
            return [one.cpu() for one in self._cut.head(given).values()]

    def tail(self, features: Mapping[str, Array | list[Array]]) -> torch.Tensor:
        """The network's output, in host memory, for features by layer, N x C x H x W or N x D.

        Of texts they are T x D each, in a list, and their outputs have one shape.

        One thread at a time runs the tail.

        Raises StreamError for features of other shapes, EnvironmentFault where the network fails.
        """
        self._check(features)
        with self._turn, torch.inference_mode():
            try:
                if self.tokens and isinstance(self._cut, Cut):
                    (texts,) = features.values()
                    return torch.stack(self._cut.tails([self._given(one) for one in texts])).cpu()
                given = {
                    self._modules[name]: self._given(one)
                    for name, one in features.items()
                    if isinstance(one, np.ndarray)
                }
                if isinstance(self._cut, Cut):
                    return self._cut.tail(*given.values()).cpu()
                return self._cut.tail(given).cpu()
            except (RuntimeError, MemoryError) as error:
                raise EnvironmentFault(f"the tail of the network fails: {error}") from error

    def _given(self, feature: Array) -> torch.Tensor:
        """A decoded array on the device of the network."""
        found: torch.Tensor = to_torch(feature).to(self.device)
        return found

    def _check(self, features: Mapping[str, Array | list[Array]]) -> None:
        counts = {len(one) for one in features.values()}
        if set(features) != set(self.names) or len(counts) != 1:
            raise StreamError(
                f"the request has features of {', '.join(features)} for {sorted(counts)} images; "
                f"the network is cut at {', '.join(self.names)}"
            )
        arrays = (
            (name, one)
            for name, own in features.items()
            for one in (own if isinstance(own, list) else [own])
        )
        for name, own in arrays:
            if own.shape[1:] != self.shapes[name] or own.dtype.name != self.types[name]:
                found, wanted = (
                    " x ".join(map(str, one)) for one in (own.shape[1:], self.shapes[name])
                )
                raise StreamError(
                    f"features of {name} are {found} of {own.dtype}; the network takes {wanted} of "
                    f"{self.types[name]}"
                )


def _opened(
    model: nn.Module | Network,
) -> tuple[nn.Module, Mapping[str, str], tuple[int, ...]]:
    """A module, its layers by name, and the shape of its images."""
    if isinstance(model, Network):
        return model.module, model.layers, (3, *model.input_size)
    if not isinstance(model, nn.Module):
        raise CallerError(f"a network is split, a torch.nn.Module, not a {type(model).__name__}")
    return model, {}, _INPUT_SHAPE
