"""A network cut in two at a named module: the head computes features, the tail continues from them.

The feature is the output of the named module. If the network's forward pass can be traced
(`refcodec.models.traced`), head and tail are two graphs; else (`refcodec.models.hooked`) the network itself
is stopped at the module, or run with the module's output replaced. `Pyramid` cuts at several modules at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.models.hooked import Hooked
from refcodec.models.macs import counting
from refcodec.models.parts import Bundle, Crossing, Inputs, close, main_output
from refcodec.models.traced import Traced, trace

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
    input_shape : channels, height and width of the images; or the length of vectors, ``(1152,)``; or the
                  number of tokens that the cut is tried on, ``(16,)``.
    name        : name of the layer, if not that of its module.
    vocabulary  : number of different tokens, if inputs are texts, N x T, int64, of any length; else 0.

    ``tail(head(images))`` is the output of the whole network. Gradients flow through ``tail`` and
    ``representation`` to the features. Besides the features, the tail may depend on the size of the images,
    but not on their content: if a branch or a skip connection bypasses the module, the network cannot be cut
    there.

    A module may also give a tuple of a tensor and Nones, as layers of transformers do; the feature is the
    tensor. Masks and caches that go around the module are values that bypass it.

    Attributes: ``layer`` (the name), ``module_name`` and ``input_shape``; ``feature_shape``, the shape of one
    image's feature, C x H x W or D; ``feature_type``, ``fc`` for vectors, ``pool`` for the output of a
    pooling module, else ``conv``; ``tokens``, true if features are N x T x D, a vector of the
    feature_shape D per token; and ``traced``, true if head and tail are graphs: if not, the tail runs the
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
        vocabulary: int = 0,
    ) -> None:
        self.layer, self.module_name, self.input_shape = name or layer, layer, tuple(input_shape)
        self._inputs = Inputs(self.input_shape, vocabulary)
        self._module, target = module.eval().requires_grad_(False), _find(module, layer)
        try:
            self._split, feature = _split(module, layer, self._inputs)
        except Crossing as crossing:
            raise CallerError(
                f"cut at {layer}: {crossing}", hint=_advice(module, layer, self._inputs)
            ) from None
        self.tokens = feature.ndim == 3
        self.feature_shape = tuple(feature.shape[2 if self.tokens else 1 :])
        self.traced = not self._split.replays_head
        self.feature_type = _feature_type(target, self.feature_shape)

    def head(self, images: torch.Tensor) -> torch.Tensor:
        """Images, N x channels x height x width, float32, to features, N x C x H x W or N x D.

        Texts, N x T, int64, to features N x T x D. Raises CallerError for inputs of another shape.
        """
        if self._inputs.vocabulary:
            _check("texts", images, (), self.layer, tokens=True, kind=torch.int64)
        else:
            _check("images", images, self.input_shape, self.layer)
        return self._split.head(images)

    def tail(self, features: torch.Tensor) -> torch.Tensor:
        """Features to the network's output: N x classes, or N x classes x rows x columns.

        Of several outputs by name it is the one called ``out``.

        Raises CallerError for features of another shape.
        """
        self._check_features(features)
        return self._split.tail(features.clone())  # the tail may work in place

    def representation(self, features: torch.Tensor) -> torch.Tensor:
        """Features to the input of the final classifier: N x D, or N x C x H x W if that is a convolution.

        The final classifier is the last convolution or fully connected layer that runs. "The channel-wise
        noisy feature will be fed to the subsequent layers except for the final classifier to calculate the
        degraded output" (Hu et al. 2020, III-B). If the cut follows it, features are returned unchanged.

        Raises CallerError for features of another shape.
        """
        self._check_features(features)
        found = self._split.representation(features.clone())
        return found.flatten(1) if isinstance(self._split.classifier, nn.Linear) else found

    def _check_features(self, features: torch.Tensor) -> None:
        _check("features", features, self.feature_shape, self.layer, tokens=self.tokens)

    def macs(self) -> Macs:
        """Count the multiply-accumulates of convolutions and other products of matrices, for one image.

        A text has as many tokens as the cut was tried on.

        Modules whose work is not known are named in a warning of the logger ``refcodec``.
        """
        blank = torch.zeros(1, *self.input_shape, device=_device(self._module))
        image = self._inputs.blank(blank)
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
        inputs = Inputs(self.input_shape)
        with _trial(module, inputs) as (images, others):
            observed = [_observe(module, layer, images) for layer in layers]
            bundles = [bundle for bundle, _, _ in observed]
            try:
                traced = trace(module, layers, inputs, bundles, images, others)
            except Crossing as crossing:
                raise CallerError(f"cut at {together}: {crossing}") from None
            if traced is None or not _agrees(traced, images, observed[0][2]):
                raise CallerError(
                    f"cut at {together}: the network has no graph that torch.fx can find",
                    hint="cut it at one layer",
                )
        self._traced = traced
        self.feature_shapes = {
            layer: tuple(feature.shape[1:])
            for layer, (_, feature, _) in zip(layers, observed, strict=True)
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


def _split(module: nn.Module, layer: str, inputs: Inputs) -> tuple[_Split, torch.Tensor]:
    """Split a network in two parts and try them on random images; returns the features of these, too.

    Raises Crossing if something bypasses the layer.
    """
    with _trial(module, inputs) as (images, others):
        bundle, feature, output = _observe(module, layer, images)
        traced = trace(module, [layer], inputs, [bundle], images, others)
        if traced is not None and _agrees(traced, images, output):
            return traced, feature
        hooked = Hooked(module, layer, inputs, bundle)
        hooked.check(feature, output, images, others)
        return hooked, feature


def _agrees(traced: Traced, images: torch.Tensor, output: torch.Tensor) -> bool:
    """True if a graph does what the network does; one that took another path may even fail."""
    try:
        return close(traced.tail_of(traced.heads(images)), output)
    except Exception:
        return False


@contextmanager
def _trial(module: nn.Module, inputs: Inputs) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Two different batches of random inputs, and no trace of the trial in the caller's random numbers."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        device = _device(module)
        yield inputs.random(2, device), inputs.random(2, device)


def _observe(
    module: nn.Module, layer: str, images: torch.Tensor
) -> tuple[Bundle, torch.Tensor, torch.Tensor]:
    """Run the whole network; returns the form of the layer's output, its feature, the network's output."""
    seen: list[tuple[Bundle, Any]] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        bundle = Bundle.of(output)
        found = bundle.unwrap(output)
        # a copy, since a later layer may work in place
        seen.append((bundle, found.clone() if isinstance(found, torch.Tensor) else found))

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
    ((bundle, feature),) = seen
    if not isinstance(feature, torch.Tensor) or feature.dtype != torch.float32:
        kind = feature.dtype if isinstance(feature, torch.Tensor) else type(feature).__name__
        raise CallerError(
            f"{layer} gives a {kind}, and a feature is a float32 tensor{_parts(feature)}",
            hint="cut at one of its modules, or have it give one tensor "
            "(transformers: use_cache=False, output_attentions=False)",
        )
    ranks = (2, 4) if images.is_floating_point() else (2, 3)
    if feature.ndim not in ranks or len(feature) != len(images):
        raise CallerError(
            f"{layer} gives a tensor of {_by(feature.shape)} for {len(images)} images; "
            "features are N x C x H x W or N x D, and N x T x D where inputs are texts"
        )
    return bundle, feature, main_output(output)


def _parts(output: Any) -> str:
    """Name the elements of a sequence: ``: it holds float32 2 x 16 x 384, DynamicCache``."""
    if not isinstance(output, tuple | list):
        return ""
    names = (
        f"{str(one.dtype).removeprefix('torch.')} {_by(one.shape)}"
        if isinstance(one, torch.Tensor)
        else type(one).__name__
        for one in output
    )
    return f": it holds {', '.join(names)}"


def _advice(module: nn.Module, layer: str, inputs: Inputs) -> str:
    """Suggest another cut: the smallest enclosing module that can be cut."""
    around = layer
    while around := around.rpartition(".")[0]:
        try:
            _split(module, around, inputs)
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


def _check(
    what: str,
    given: torch.Tensor,
    shape: tuple[int, ...],
    layer: str,
    *,
    tokens: bool = False,
    kind: torch.dtype = torch.float32,
) -> None:
    """Raise CallerError unless a tensor is N x shape, or N x T x shape of tokens, and of the right type."""
    own = given.shape[2 if tokens else 1 :]
    if given.ndim != len(shape) + 1 + tokens or tuple(own) != shape:
        wanted = _by(("N", *(["T"] if tokens else []), *shape))
        raise CallerError(
            f"the cut at {layer} takes {what} of {wanted}, not {_by(given.shape)}",
            hint="" if tokens else "a cut is made for images of one size",
        )
    if given.dtype != kind:
        wanted = str(kind).removeprefix("torch.")
        raise CallerError(f"the cut at {layer} takes {what} in {wanted}, not {given.dtype}")


def _by(shape: Iterable[object]) -> str:
    return " x ".join(map(str, shape))


def _device(module: nn.Module) -> torch.device | None:
    return next((parameter.device for parameter in module.parameters()), None)
