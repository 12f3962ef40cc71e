"""A network with an entropy bottleneck at one of its layers, and the choice of what is trained in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.learn.bottleneck import Bottleneck, Coded, Noise
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.models import Cut
from refcodec.models.parts import Crossing
from refcodec.models.traced import trace_between

__all__ = ["PARTS", "Bottlenecked", "Passed"]

PARTS: Final = ("all", "head", "tail", "none")
"""Parts of a network that can be trained, beside the bottleneck."""


class Passed(NamedTuple):
    """A batch that has passed a network.

    outputs  : N x ...
    bits     : estimated code length of each feature, N; 0 without a bottleneck.
    features : before the bottleneck, N x C x H x W or N x D.
    values   : in their place for the tail.
    """

    outputs: torch.Tensor
    bits: torch.Tensor
    features: torch.Tensor
    values: torch.Tensor


class Bottlenecked:
    """A network cut at a layer, with a bottleneck between head and tail.

    module     : the network.
    layer      : module whose output passes the bottleneck.
    shape      : of one input: channels, height and width of images, or the length of vectors.
    bottleneck : None for none: features pass as they are, and cost no bits.
    train      : of `PARTS`: what is trained besides the bottleneck.
    frozen     : module up to which, itself included, nothing is trained, so that its outputs can be computed
                 once; None for none. `forward` then takes these outputs in place of inputs.

    Attributes: ``module``, ``bottleneck``, ``cut``.

    Raises CallerError if the network cannot be cut there.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str,
        shape: tuple[int, ...],
        bottleneck: Bottleneck | HyperpriorBottleneck | None,
        *,
        train: str = "all",
        frozen: str | None = None,
    ) -> None:
        if train not in PARTS:
            raise CallerError(f"{train!r} is no part to train", hint=f"there is {', '.join(PARTS)}")
        self.module, self.bottleneck, self.frozen = module, bottleneck, frozen
        self.cut = Cut(module, layer, shape)
        self.prefix = None if frozen is None else Cut(module, frozen, shape)
        self._encode: Callable[[torch.Tensor], torch.Tensor] = self.cut.head
        if frozen is not None and frozen != layer:
            self._encode = _between(module, frozen, layer)
        elif frozen is not None:
            self._encode = nn.Identity()
        module.requires_grad_(True)
        self._select(train)

    def _select(self, train: str) -> None:
        """Leave gradients to the parameters of one part."""
        device = next(self.module.parameters()).device
        inputs = torch.zeros(2, *self.cut.input_shape, device=device)
        if self.prefix is not None:
            with torch.no_grad():
                inputs = self.prefix.head(inputs)
        head = _reached(self.module, self._encode(inputs))
        features = torch.zeros(2, *self.cut.feature_shape, device=device)
        tail = _reached(self.module, self.cut.tail(features))
        wanted = {
            "all": head | tail,
            "head": head - tail,
            "tail": tail - head,
            "none": set[str](),
        }[train]
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in wanted)

    def forward(self, inputs: torch.Tensor, noise: Noise | None = None) -> Passed:
        """Run head, bottleneck and tail.

        inputs : N x shape; or outputs of the frozen part.
        noise  : for training; None rounds for the rate, too.
        """
        features = self._encode(inputs).float()
        if self.bottleneck is None:
            coded = Coded(features, features.new_zeros(len(features)))
        else:
            coded = self.bottleneck(features, noise)
        values = coded.values.float()
        return Passed(self.cut.tail(values), coded.bits, features, values)

    def decode(self, values: torch.Tensor) -> torch.Tensor:
        """Stored values, as they are decoded, to outputs."""
        if isinstance(self.bottleneck, Bottleneck):
            values = self.bottleneck.restore(values)
        return self.cut.tail(values)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs to the features before the bottleneck."""
        return self._encode(inputs).float()

    def prepare(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs to what `forward` takes: the outputs of the frozen part, if there is one."""
        return inputs if self.prefix is None else self.prefix.head(inputs)

    def set_training(self, training: bool) -> None:
        """Put into training mode what is trained; the rest keeps its statistics of normalisation."""
        training = training and any(True for _ in self.trained())
        self.module.train(training)
        if training:
            for one in self.module.modules():
                own = list(one.parameters(recurse=False))
                if own and not any(parameter.requires_grad for parameter in own):
                    one.train(False)

    def trained(self) -> Iterator[nn.Parameter]:
        """The parameters of the network that are trained."""
        return (one for one in self.module.parameters() if one.requires_grad)


def _between(module: nn.Module, first: str, second: str) -> Any:
    try:
        found = trace_between(module, first, second)
    except Crossing as crossing:
        raise CallerError(
            f"the network cannot be frozen up to {first}: {crossing}",
            hint="freeze up to another layer, or train all of it",
        ) from None
    if found is None:
        raise CallerError(
            f"the network cannot be frozen up to {first}: its forward pass cannot be traced",
            hint="train all of it, its head or its tail",
        )
    return found


def _reached(module: nn.Module, output: torch.Tensor) -> set[str]:
    """Names of the parameters that an output depends on."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    if not output.requires_grad:
        return set()
    found = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
    return {name for name, gradient in zip(names, found, strict=True) if gradient is not None}
