"""Cuts of a network by hooks, for forward passes that depend on data and cannot be traced.

The head is the network, stopped after the module. The tail is the whole network, run on blank images with the
module's output replaced, so it takes as long as the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.models.caches import by_place, pairs_of
from refcodec.models.parts import WEIGHTED, Bundle, Crossing, Inputs, close, main_output

__all__ = ["Hooked"]

Run = tuple[str, dict[str, Any]]
"""The name of a module that runs, and its inputs by name; the first one has the name ``""``."""


class _Reached(BaseException):
    """Leaves a forward pass; no ``except Exception`` in it catches this."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = output


class Hooked:
    """Head and tail by hooks; `refcodec.models.cut.Cut` documents their inputs and outputs."""

    replays_head = True

    def __init__(self, module: nn.Module, layer: str, inputs: Inputs, bundle: Bundle) -> None:
        self._module, self._layer, self._inputs, self._bundle = module, layer, inputs, bundle
        self._target = module.get_submodule(layer)
        self.classifier: nn.Module | None = None

    def check(
        self,
        features: torch.Tensor,
        output: torch.Tensor,
        images: torch.Tensor,
        others: torch.Tensor,
    ) -> None:
        """Check that the tail gives ``output`` for any images, and find the final classifier.

        Raises Crossing, with the first module after the cut whose input depends on the images, if it does
        not.
        """
        ours, runs = self._watch(features, images)
        weighted = [self._module.get_submodule(name) for name, _ in runs]
        weighted = [one for one in weighted if isinstance(one, WEIGHTED)]
        self.classifier = weighted[-1] if weighted else None
        if torch.equal(self.tail(torch.randn_like(features)), ours):
            raise Crossing("the output does not depend on it")
        for stand_in in (others, self._inputs.blank(features)):
            theirs, other_runs = self._watch(features, stand_in)
            if not torch.equal(ours, theirs):
                raise Crossing(f"the input also reaches {_first_change(runs, other_runs)}")
        if not close(ours, output):
            raise Crossing("the network does not give the same result twice")

    def head(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images to features."""

        def stop(_module: Any, _inputs: Any, output: Any) -> None:
            raise _Reached(self._bundle.unwrap(output))

        with _hooks(self._target.register_forward_hook(stop)):
            try:
                self._module(images, **self._inputs.masks(images, mask))
            except _Reached as reached:
                return reached.output
        raise CallerError(f"{self._layer} does not run for every image; it cannot be cut there")

    def tail(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features to output."""
        return self._replaced(features, self._inputs.blank(features), mask)

    def representation(
        self, features: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Features to the input of the last weighted layer."""
        if self.classifier is None:
            return features
        seen: list[torch.Tensor] = []
        hook = self.classifier.register_forward_pre_hook(
            lambda _module, inputs: seen.append(inputs[0])
        )
        with _hooks(hook):
            self.tail(features, mask)
        return seen[-1]

    def _replaced(
        self, features: torch.Tensor, images: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Run the network on images, with the features in place of the module's output."""
        output = self._bundle.wrap(features.clone())
        with _hooks(self._target.register_forward_hook(lambda *_: output)):
            return main_output(self._module(images, **self._inputs.masks(images, mask)))

    def _watch(
        self, features: torch.Tensor, images: torch.Tensor
    ) -> tuple[torch.Tensor, list[Run]]:
        """Likewise, and record the modules that run after the cut, with their inputs."""
        runs: list[Run] = []
        behind: list[bool] = []

        def note(name: str) -> Callable[[Any, Any, Any], None]:
            def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
                if behind:
                    runs.append((name, _by_name(module, inputs, named)))

            return hook

        hooks = [
            one.register_forward_pre_hook(note(name), with_kwargs=True)
            for name, one in self._module.named_modules()
            if name
        ]
        hooks.append(self._target.register_forward_hook(lambda *_: behind.append(True)))
        with _hooks(*hooks):
            return self._replaced(features, images), runs


def _by_name(
    module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """Copies of the tensors that a module is called with, as later layers may work in place."""
    names = ["", *list(inspect.signature(module.forward).parameters)[1:]]
    given = {**dict(zip(names, inputs, strict=False)), **named}
    return {
        place: one.clone() for name, value in given.items() for place, one in _tensors(value, name)
    }


def _tensors(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in an argument, by their places in it: ``past.0.k`` in a cache, ``masks.1`` in a tuple."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif (pairs := pairs_of(value)) is not None:
        yield from ((f"{name}.{place}", one) for place, one in by_place(pairs))
    elif isinstance(value, tuple | list | Mapping):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for place, one in parts:
            yield from _tensors(one, f"{name}.{place}")


def _first_change(ours: list[Run], theirs: list[Run]) -> str:
    """The first module whose input differs, or that runs in only one of two passes."""
    nothing: Run = ("", {})
    for run, other in zip_longest(ours, theirs, fillvalue=nothing):
        if run[0] != other[0]:
            return f"{run[0] or other[0]}, past the cut"
        for name, one in run[1].items():
            if name not in other[1] or not torch.equal(one, other[1][name]):
                return f"{run[0]}{f' as its {name}' if name else ''}, past the cut"
    return "the output, past the cut"


@contextmanager
def _hooks(*handles: Any) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
