"""A network cut in two at a named module: the head computes features, the tail continues from them.

The feature is the output of the named module. If the network's forward pass can be traced
(`refcodec.models.traced`), head and tail are two graphs; else (`refcodec.models.hooked`) the network itself
is stopped at the module, or run with the module's output replaced. `Pyramid` cuts at several modules at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.models.hooked import Hooked
from refcodec.models.macs import counting
from refcodec.models.observed import (
    by,
    device_of,
    find,
    name_of,
    no_feature,
    observe,
    precision_of,
    trial,
)
from refcodec.models.parts import Crossing, Inputs, close
from refcodec.models.ragged import ragged
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

    def head(self, images: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor: ...

    def tail(self, features: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor: ...

    def representation(self, features: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor: ...


class Cut:
    """A network cut at one of its modules, for images of one size.

    module      : the network; it is put into evaluation mode, and its parameters are frozen.
    layer       : the module's name, as in ``module.named_modules()``: ``layer1.0``.
    input_shape : channels, height and width of the images; or the length of vectors, ``(1152,)``; or the
                  number of tokens that the cut is tried on, ``(16,)``.
    name        : name of the layer, if not that of its module.
    vocabulary  : number of different tokens, if inputs are texts, N x T, int64, of any length; else 0.
    mask        : name of the network's argument that takes a mask of texts, N x T, int64, 1 for tokens and 0
                  for padding: ``attention_mask``. It goes to both parts. Empty if there is none.

    ``tail(head(images))`` is the output of the whole network. Gradients flow through ``tail`` and
    ``representation`` to the features. Besides the features, the tail may depend on the size of the images,
    but not on their content: if a branch or a skip connection bypasses the module, the network cannot be cut
    there.

    A module may also give a tuple that begins with the tensor, as layers of transformers do; the feature is
    the tensor, and the tail does without the others: weights of an attention, a cache. Other masks and caches
    that go around the module are values that bypass it.

    Attributes: ``layer`` (the name), ``module_name`` and ``input_shape``; ``feature_shape``, the shape of one
    image's feature, C x H x W or D; ``tokens``, true if features are N x T x D, a vector of the
    feature_shape D per token; ``feature_dtype``, float32, float16 or bfloat16; ``feature_type``, ``tokens``
    for these, ``fc`` for vectors, ``pool`` for the output of a pooling module, else ``conv``; and ``traced``,
    true if head and tail are graphs: if not, the tail runs the whole network.

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
        mask: str = "",
    ) -> None:
        self.layer, self.module_name, self.input_shape = name or layer, layer, tuple(input_shape)
        self._inputs = Inputs(
            self.input_shape, vocabulary, mask if vocabulary else "", precision_of(module)
        )
        self._module, target = module.eval().requires_grad_(False), find(module, layer)
        try:
            self._split, feature = _split(module, layer, self._inputs)
        except Crossing as crossing:
            raise CallerError(
                f"cut at {layer}: {crossing}", hint=_advice(module, layer, self._inputs)
            ) from None
        self.tokens = feature.ndim == 3
        self.feature_shape = tuple(feature.shape[2 if self.tokens else 1 :])
        self.feature_dtype = feature.dtype
        self.traced = not self._split.replays_head
        self.feature_type = "tokens" if self.tokens else _feature_type(target, self.feature_shape)
        if self._inputs.mask and self.tokens:
            self._check_mask()

    def head(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images, N x channels x height x width, to features, N x C x H x W or N x D.

        Texts, N x T, int64, to features N x T x D, with a mask, N x T, int64, if some are padded and the
        network takes one. Images have the type of the network's weights: float16 for one of half precision.

        Raises CallerError for inputs of another shape or type.
        """
        if self._inputs.vocabulary:
            _check("texts", images, (), torch.int64, self.layer, tokens=True)
        else:
            _check("images", images, self.input_shape, self._inputs.dtype, self.layer)
        return self._split.head(images, mask)

    def tail(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features to the network's output: N x classes, or N x classes x rows x columns.

        Of several outputs by name it is ``out``, ``logits`` or ``last_hidden_state``; beside Nones and caches
        the first. The mask is that of the head.

        Raises CallerError for features of another shape.
        """
        self._check_features(features)
        return self._split.tail(features.clone(), mask)  # the tail may work in place

    @property
    def head_state(self) -> dict[str, Any]:
        """Parameters and buffers that the head uses, by name; empty where it is no graph."""
        return self._split.head_state if isinstance(self._split, Traced) else {}

    def heads(self, texts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Texts of any lengths, T each, int64, to their features, T x D each: padding is no part of them.

        A network that takes a mask runs once, another one once for each length.
        """
        return ragged(self.head, texts, masked=bool(self._inputs.mask))

    def tails(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features of texts, T x D each, to the network's outputs, as `heads` runs it."""
        return ragged(self.tail, features, masked=bool(self._inputs.mask))

    def representation(
        self, features: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features to the input of the final classifier: N x D, or N x C x H x W if that is a convolution.

        The final classifier is the last convolution or fully connected layer that runs. "The channel-wise
        noisy feature will be fed to the subsequent layers except for the final classifier to calculate the
        degraded output" (Hu et al. 2020, III-B). If the cut follows it, features are returned unchanged.

        Raises CallerError for features of another shape.
        """
        self._check_features(features)
        found = self._split.representation(features.clone(), mask)
        return found.flatten(1) if isinstance(self._split.classifier, nn.Linear) else found

    def _check_features(self, features: torch.Tensor) -> None:
        shape, dtype = self.feature_shape, self.feature_dtype
        _check("features", features, shape, dtype, self.layer, tokens=self.tokens)

    def _check_mask(self) -> None:
        """Check that padded texts give what they give alone. Raises CallerError."""
        with trial(self._module, self._inputs) as ((one, other), _):
            texts = [one, other[: (len(other) + 1) // 2]]
            alone = [self.tail(self.head(text[None]))[0] for text in texts]
            if not all(map(close, self.tails(self.heads(texts)), alone)):
                raise CallerError(
                    f"cut at {self.layer}: with the mask {self._inputs.mask}, outputs depend on padding",
                    hint="padding follows the tokens, and its mask is 0",
                )

    def macs(self) -> Macs:
        """Count the multiply-accumulates of convolutions and other products of matrices, for one image.

        A text has as many tokens as the cut was tried on.

        Modules whose work is not known are named in a warning of the logger ``refcodec``.
        """
        blank = torch.zeros(1, *self.input_shape, device=device_of(self._module))
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

    ``feature_shapes`` has the shape of one image's feature for each layer, C x H x W or D, and
    ``feature_dtypes`` its type.

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
            find(module, layer)
        together = " and ".join(layers)
        self._inputs = inputs = Inputs(self.input_shape, precision=precision_of(module))
        with trial(module, inputs) as (images, others):
            observed = [observe(module, layer, inputs, images) for layer in layers]
            bundles = [one.bundle for one in observed]
            try:
                traced = trace(module, layers, inputs, bundles, images, others)
            except Crossing as crossing:
                raise CallerError(f"cut at {together}: {crossing}") from None
            if traced is None or not _agrees(traced, images, observed[0].output):
                raise CallerError(
                    f"cut at {together}: the network has no graph that torch.fx can find",
                    hint="cut it at one layer",
                )
        self._traced = traced
        self.head_state = traced.head_state
        self.feature_shapes = {
            layer: tuple(one.feature.shape[1:]) for layer, one in zip(layers, observed, strict=True)
        }
        self.feature_dtypes = {
            layer: one.feature.dtype for layer, one in zip(layers, observed, strict=True)
        }

    def head(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Images, N x channels x height x width, to features by layer, N x C x H x W or N x D.

        Raises CallerError for images of another shape, or of another type than the network's weights.
        """
        _check("images", images, self.input_shape, self._inputs.dtype, self.layers[0])
        return dict(zip(self.layers, self._traced.heads(images), strict=True))

    def tail(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Features by layer to the network's output, as `Cut.tail` gives it.

        Raises CallerError for features of another shape.
        """
        for layer, shape in self.feature_shapes.items():
            _check("features", features[layer], shape, self.feature_dtypes[layer], layer)
        return self._traced.tail_of([features[layer].clone() for layer in self.layers])


# --- making the cut --------------------------------------------------------------------------------


def _split(module: nn.Module, layer: str, inputs: Inputs) -> tuple[_Split, torch.Tensor]:
    """Split a network in two parts and try them on random images; returns the features of these, too.

    Raises Crossing if something bypasses the layer.
    """
    with trial(module, inputs) as (images, others):
        seen = observe(module, layer, inputs, images)
        traced = trace(module, [layer], inputs, [seen.bundle], images, others)
        if traced is not None and _agrees(traced, images, seen.output):
            return traced, seen.feature
        hooked = Hooked(module, layer, inputs, seen.bundle)
        if seen.bundle.others and not _agrees(hooked, images, seen.output):
            raise no_feature(layer, seen.whole)
        hooked.check(seen.feature, seen.output, images, others)
        return hooked, seen.feature


def _agrees(split: Traced | Hooked, images: torch.Tensor, output: torch.Tensor) -> bool:
    """True if both parts do what the network does; a graph that took another path may even fail."""
    try:
        found = (
            split.tail_of(split.heads(images))
            if isinstance(split, Traced)
            else split.tail(split.head(images))
        )
        return close(found, output)
    except Exception:
        return False


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


def _feature_type(target: nn.Module, shape: tuple[int, ...]) -> Literal["conv", "pool", "fc"]:
    if len(shape) == 1:
        return "fc"
    return "pool" if type(target).__module__ == "torch.nn.modules.pooling" else "conv"


# --- helpers ---------------------------------------------------------------------------------------


def _check(
    what: str,
    given: torch.Tensor,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    layer: str,
    *,
    tokens: bool = False,
) -> None:
    """Raise CallerError unless a tensor is N x shape, or N x T x shape of tokens, and of the right type."""
    if not isinstance(given, torch.Tensor):
        raise CallerError(
            f"the cut at {layer} takes {what} in a tensor, not a {type(given).__name__}",
            hint="torch.as_tensor(x) makes one",
        )
    own = given.shape[2 if tokens else 1 :]
    if given.ndim != len(shape) + 1 + tokens or tuple(own) != shape:
        wanted = by(("N", *(["T"] if tokens else []), *shape))
        raise CallerError(
            f"the cut at {layer} takes {what} of {wanted}, not {by(given.shape)}",
            hint="" if tokens else "a cut is made for images of one size, its input_shape",
        )
    if given.dtype != dtype:
        wanted = name_of(dtype)
        raise CallerError(
            f"the cut at {layer} takes {what} in {wanted}, not {name_of(given.dtype)}",
            hint=f"x.to(torch.{wanted})",
        )
