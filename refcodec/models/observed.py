"""A layer of a network, looked at in a trial: what it gives, and in which form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import nn

from refcodec.errors import CallerError
from refcodec.models.parts import Bundle, Inputs, main_output

__all__ = [
    "Seen",
    "by",
    "device_of",
    "find",
    "name_of",
    "no_feature",
    "observe",
    "precision_of",
    "trial",
]

_TYPES = (torch.float32, torch.float16, torch.bfloat16)
"""Types of features."""


@contextmanager
def trial(module: nn.Module, inputs: Inputs) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Two different batches of random inputs, and no trace of the trial in the caller's random numbers."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        device = device_of(module)
        yield inputs.random(2, device), inputs.random(2, device)


class Seen(NamedTuple):
    """Outputs of a layer and of the network for some images.

    whole   : all that the layer gave; ``bundle`` is the form of it, ``feature`` the tensor in it.
    output  : main output of the network.
    """

    whole: Any
    bundle: Bundle
    feature: torch.Tensor
    output: torch.Tensor


def observe(module: nn.Module, layer: str, inputs: Inputs, images: torch.Tensor) -> Seen:
    """Run the whole network, and see what a layer gives. Raises CallerError where it gives no feature."""
    seen: list[tuple[Any, Bundle, Any]] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        bundle = Bundle.of(output)
        found = bundle.unwrap(output)
        # a copy, since a later layer may work in place
        copied = found.clone() if isinstance(found, torch.Tensor) else found
        seen.append((output, bundle, copied))

    hook = module.get_submodule(layer).register_forward_hook(keep)
    try:
        output = module(images, **inputs.masks(images))
    except Exception as error:
        raise CallerError(
            f"the network fails on images of shape {by(images.shape)}: {error}",
            hint="is it the right size?",
        ) from error
    finally:
        hook.remove()
    if len(seen) != 1:
        often = f"runs {len(seen)} times" if seen else "never runs"
        raise CallerError(f"{layer} {often} when the network does, and a cut needs one run")
    ((whole, bundle, feature),) = seen
    if not isinstance(feature, torch.Tensor) or feature.dtype not in _TYPES:
        raise no_feature(layer, whole if bundle.others else feature)
    ranks = (2, 4) if images.is_floating_point() else (2, 3)
    if feature.ndim not in ranks or len(feature) != len(images):
        raise CallerError(
            f"{layer} gives a tensor of {by(feature.shape)} for {len(images)} images; "
            "features are N x C x H x W or N x D, and N x T x D where inputs are texts"
        )
    return Seen(whole, bundle, feature, main_output(output))


def no_feature(layer: str, output: Any) -> CallerError:
    """The error about a layer whose output is no feature, or not all that the tail needs."""
    kind = output.dtype if isinstance(output, torch.Tensor) else type(output).__name__
    return CallerError(
        f"{layer} gives a {kind}, and a feature is a tensor of float32, float16 or bfloat16{_parts(output)}",
        hint="cut at one of its modules, or have it give one tensor "
        "(transformers: use_cache=False, output_attentions=False)",
    )


def _parts(output: Any) -> str:
    """Name the elements of a sequence: ``: it holds float32 2 x 16 x 384, DynamicCache``."""
    if not isinstance(output, tuple | list):
        return ""
    names = (
        f"{name_of(one.dtype)} {by(one.shape)}"
        if isinstance(one, torch.Tensor)
        else type(one).__name__
        for one in output
    )
    return f": it holds {', '.join(names)}"


def find(module: nn.Module, layer: str) -> nn.Module:
    """The module of that name. Raises CallerError, with the names most like it."""
    names = [name for name, _ in module.named_modules() if name]
    if layer not in names:
        near = get_close_matches(layer, names, n=3) or names[:5]
        raise CallerError(
            f"the network has no module {layer!r}", hint=f"it has {', '.join(near)}, …"
        )
    return module.get_submodule(layer)


def by(shape: Iterable[object]) -> str:
    """A shape in words: ``3 x 16 x 16``."""
    return " x ".join(map(str, shape))


def name_of(dtype: torch.dtype) -> str:
    """The name of a type, as numpy and ml_dtypes have it: ``bfloat16``."""
    return str(dtype).removeprefix("torch.")


def precision_of(module: nn.Module) -> torch.dtype:
    """Type of the floating-point parameters of a module; float32 if it has none."""
    kinds = (parameter.dtype for parameter in module.parameters())
    return next((kind for kind in kinds if kind.is_floating_point), torch.float32)


def device_of(module: nn.Module) -> torch.device | None:
    """Device of the parameters of a module; None if it has none."""
    return next((parameter.device for parameter in module.parameters()), None)
