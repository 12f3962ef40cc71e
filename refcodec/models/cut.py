"""A network cut in two at a named module: the head computes features, the tail continues from them.

The feature is the output of the named module. If the network's forward pass can be traced
(`refcodec.models.traced`), head and tail are two graphs; else (`refcodec.models.hooked`) the network itself
is stopped at the module, or run with the module's output replaced. `Pyramid` cuts at several modules at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.models.hooked import Hooked
from refcodec.models.macs import counting
from refcodec.models.parts import Crossing, close, main_output
from refcodec.models.traced import trace

__all__ = ["Cut", "Macs", "Pyramid"]


class Macs(NamedTuple):
    """Multiply-accumulates of convolutions and other products of matrices, for one image."""

    head: int
    tail: int


class _Split(Protocol):
    """A network in two parts; ``classifier`` is the last layer of the tail with weights."""

    classifier: nn.Module | None
    replays_head: bool

    def head(self, images: torch.Tensor) -> torch.Tensor: ...

    def tail(self, features: torch.Tensor) -> torch.Tensor: ...

    def representation(self, features: torch.Tensor) -> torch.Tensor: ...


class Cut:
    """A network cut at one of its modules, for images of one size.

    module      : the network; it is put into evaluation mode, and its parameters are frozen.
    layer       : the module's name, as in ``module.named_modules()``: ``layer1.0``.
    input_shape : channels, height and width of the images; or the length of vectors, ``(1152,)``.
    name        : name of the layer, if not that of its module.

    ``tail(head(images))`` is the output of the whole network. Gradients flow through ``tail`` and
    ``representation`` to the features. Besides the features, the tail may depend on the size of the images,
    but not on their content: if a branch or a skip connection bypasses the module, the network cannot be cut
    there.

    Attributes: ``layer`` (the name), ``module_name`` and ``input_shape``; ``feature_shape``, the shape of one
    image's feature, C x H x W or D; ``feature_type``, ``fc`` for vectors, ``pool`` for the output of a
    pooling module, else ``conv``; and ``traced``, true if head and tail are graphs: if not, the tail runs the
    whole network.

    Raises CallerError if there is no such module, or the network cannot be cut there.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str,
        input_shape: tuple[int, ...] = (3, 224, 224),
        *,
        name: str | None = None,
    ) -> None:
        self.layer, self.module_name, self.input_shape = name or layer, layer, tuple(input_shape)
        self._module, target = module.eval().requires_grad_(False), _find(module, layer)
        try:
            self._split, feature = _split(module, layer, self.input_shape)
        except Crossing as crossing:
            raise CallerError(
                f"cut at {layer}: {crossing}", hint=_advice(module, layer, self.input_shape)
            ) from None
        self.feature_shape = tuple(feature.shape[1:])
        self.traced = not self._split.replays_head
        self.feature_type = _feature_type(target, self.feature_shape)

    def head(self, images: torch.Tensor) -> torch.Tensor:
        """Images, N x channels x height x width, float32, to features, N x C x H x W or N x D.

        Raises CallerError for images of another shape.
        """
        _check("images", images, self.input_shape, self.layer)
        return self._split.head(images)

    def tail(self, features: torch.Tensor) -> torch.Tensor:
        """Features to the network's output: N x classes, or N x classes x rows x columns.

        Of several outputs by name it is the one called ``out``.

        Raises CallerError for features of another shape.
        """
        _check("features", features, self.feature_shape, self.layer)
        return self._split.tail(features.clone())  # the tail may work in place

    def representation(self, features: torch.Tensor) -> torch.Tensor:
        """Features to the input of the final classifier: N x D, or N x C x H x W if that is a convolution.

        The final classifier is the last convolution or fully connected layer that runs. "The channel-wise
        noisy feature will be fed to the subsequent layers except for the final classifier to calculate the
        degraded output" (Hu et al. 2020, III-B). If the cut follows it, features are returned unchanged.

        Raises CallerError for features of another shape.
        """
        _check("features", features, self.feature_shape, self.layer)
        found = self._split.representation(features.clone())
        return found.flatten(1) if isinstance(self._split.classifier, nn.Linear) else found

    def macs(self) -> Macs:
        """Count the multiply-accumulates of convolutions and other products of matrices, for one image.

        Modules whose work is not known are named in a warning of the logger ``refcodec``.
        """
        image = torch.zeros(1, *self.input_shape, device=_device(self._module))
        with torch.no_grad():
            with counting(self._module) as head:
                features = self.head(image)
            self.tail(features)  # what it works out once, for all images, is none of theirs
            with counting(self._module) as tail:
                self.tail(features)
        tail.unknown |= head.unknown
        tail.warn()
        replayed = head.total if self._split.replays_head else 0
        return Macs(head.total, tail.total - replayed)


class Pyramid:
    """A network cut at several of its modules at once: the tail needs the features of all of them.

    module      : the network, whose forward pass can be traced; as of `Cut`.
    layers      : names of the modules, such as the stages of a backbone.
    input_shape : channels, height and width of the images.

    ``feature_shapes`` has the shape of one image's feature for each layer, C x H x W or D.

    Raises CallerError as `Cut`, and if the network has no graph, or does without one of the layers.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        input_shape: tuple[int, ...] = (3, 224, 224),
    ) -> None:
        self.layers, self.input_shape = tuple(layers), tuple(input_shape)
        if not layers or len(set(layers)) != len(layers):
            raise CallerError(f"a network is cut at different layers, not at {', '.join(layers)}")
        module.eval().requires_grad_(False)
        for layer in layers:
            _find(module, layer)
        together = " and ".join(layers)
        with _trial(module, self.input_shape) as (images, others):
            observed = [_observe(module, layer, images) for layer in layers]
            try:
                traced = trace(module, layers, images, others)
            except Crossing as crossing:
                raise CallerError(f"cut at {together}: {crossing}") from None
            if traced is None or not close(traced.tail_of(traced.heads(images)), observed[0][1]):
                raise CallerError(
                    f"cut at {together}: the network has no graph that torch.fx can find",
                    hint="cut it at one layer",
                )
        self._traced = traced
        self.feature_shapes = {
            layer: tuple(feature.shape[1:])
            for layer, (feature, _) in zip(layers, observed, strict=True)
        }

    def head(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Images, N x channels x height x width, float32, to features by layer, N x C x H x W or N x D.

        Raises CallerError for images of another shape.
        """
        _check("images", images, self.input_shape, self.layers[0])
        return dict(zip(self.layers, self._traced.heads(images), strict=True))

    def tail(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Features by layer to the network's output, as `Cut.tail` gives it.

        Raises CallerError for features of another shape.
        """
        for layer, shape in self.feature_shapes.items():
            _check("features", features[layer], shape, layer)
        return self._traced.tail_of([features[layer].clone() for layer in self.layers])


# --- making the cut --------------------------------------------------------------------------------


def _split(
    module: nn.Module, layer: str, input_shape: tuple[int, ...]
) -> tuple[_Split, torch.Tensor]:
    """Split a network in two parts and try them on random images; returns the features of these, too.

    Raises Crossing if something bypasses the layer.
    """
    with _trial(module, input_shape) as (images, others):
        feature, output = _observe(module, layer, images)
        traced = trace(module, [layer], images, others)
        if traced is not None and close(traced.tail(traced.head(images)), output):
            return traced, feature
        hooked = Hooked(module, layer, input_shape)
        hooked.check(feature, output, images, others)
        return hooked, feature


@contextmanager
def _trial(
    module: nn.Module, input_shape: tuple[int, ...]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Two different batches of random images, and no trace of the trial in the caller's random numbers."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        images, others = torch.randn(2, 2, *input_shape, device=_device(module)).unbind()
        yield images, others


def _observe(
    module: nn.Module, layer: str, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the whole network; returns the output of the layer, and that of the network."""
    seen: list[Any] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        # a copy, since a later layer may work in place
        seen.append(output.clone() if isinstance(output, torch.Tensor) else output)

    hook = module.get_submodule(layer).register_forward_hook(keep)
    try:
        output = module(images)
    except Exception as error:
        raise CallerError(
            f"the network fails on images of shape {_by(images.shape)}: {error}",
            hint="is it the right size?",
        ) from error
    finally:
        hook.remove()
    if len(seen) != 1:
        often = f"runs {len(seen)} times" if seen else "never runs"
        raise CallerError(f"{layer} {often} when the network does, and a cut needs one run")
    (feature,) = seen
    if not isinstance(feature, torch.Tensor) or feature.dtype != torch.float32:
        kind = feature.dtype if isinstance(feature, torch.Tensor) else type(feature).__name__
        raise CallerError(
            f"{layer} gives a {kind}, and a feature is a float32 tensor",
            hint="cut at one of its modules",
        )
    if feature.ndim not in (2, 4) or len(feature) != len(images):
        raise CallerError(
            f"{layer} gives a tensor of {_by(feature.shape)} for {len(images)} images; "
            "features are N x C x H x W or N x D"
        )
    return feature, main_output(output)


def _advice(module: nn.Module, layer: str, input_shape: tuple[int, ...]) -> str:
    """Suggest another cut: the smallest enclosing module that can be cut."""
    around = layer
    while around := around.rpartition(".")[0]:
        try:
            _split(module, around, input_shape)
        except (CallerError, Crossing):
            continue
        return f"{around}, which contains it, can be cut"
    return "cut before the branch, or after it has joined again"


def _find(module: nn.Module, layer: str) -> nn.Module:
    names = [name for name, _ in module.named_modules() if name]
    if layer not in names:
        near = get_close_matches(layer, names, n=3) or names[:5]
        raise CallerError(
            f"the network has no module {layer!r}", hint=f"it has {', '.join(near)}, …"
        )
    return module.get_submodule(layer)


def _feature_type(target: nn.Module, shape: tuple[int, ...]) -> Literal["conv", "pool", "fc"]:
    if len(shape) == 1:
        return "fc"
    return "pool" if type(target).__module__ == "torch.nn.modules.pooling" else "conv"


# --- helpers ---------------------------------------------------------------------------------------


def _check(what: str, given: torch.Tensor, shape: tuple[int, ...], layer: str) -> None:
    if given.ndim != len(shape) + 1 or tuple(given.shape[1:]) != shape:
        raise CallerError(
            f"the cut at {layer} takes {what} of N x {_by(shape)}, not {_by(given.shape)}",
            hint="a cut is made for images of one size",
        )
    if given.dtype != torch.float32:
        raise CallerError(f"the cut at {layer} takes {what} in float32, not {given.dtype}")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _device(module: nn.Module) -> torch.device | None:
    return next((parameter.device for parameter in module.parameters()), None)
