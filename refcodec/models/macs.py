"""Multiply-accumulates of a network: counted where torch multiplies, whatever module or function asks for it.

Every operation of a forward pass is seen as torch's dispatcher gets it. A layer is found by what it computes,
not by its class: classes derived from torch's layers, ``torch.nn.functional.conv2d``, parametrised weights,
attention and recurrent layers come down to the same few products.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["MacCounter", "counting"]

_log = logging.getLogger("refcodec")


def _product(first: int) -> Callable[..., int]:
    """Count of a matrix product: each of its results sums over the columns of its first factor."""
    return lambda arguments, result: int(result.numel() * arguments[first].shape[-1])


def _convolution(arguments: Any, result: torch.Tensor) -> int:
    """Each result of a convolution, or each input of a transposed one, meets the weights of one channel."""
    inputs, weight, transposed = arguments[0], arguments[1], arguments[6]
    return int((inputs if transposed else result).numel() * weight[0].numel())


def _recurrence(arguments: Any, _result: Any) -> int:
    """A step of a recurrent layer multiplies its inputs, and its state, by all their weights."""
    inputs, own, state = arguments[:3]
    return int(inputs.shape[:-1].numel() * (own.numel() + state.numel()))


_PRODUCTS: Final[Mapping[str, Callable[..., int]]] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "mm": _product(0),
    "bmm": _product(0),
    "mv": _product(0),
    "dot": _product(0),
    "addmm": _product(1),
    "addmv": _product(1),
    "addbmm": lambda arguments, result: arguments[1].numel() * arguments[2].shape[-1],
    "baddbmm": _product(1),
    "mkldnn_rnn_layer": _recurrence,
}

_MOVES: Final = {
    *("cat", "stack", "copy_", "embedding", "gather", "index", "index_put", "index_put_"),
    *("index_select", "native_layer_norm", "scatter"),
}
"""Operations on weights of two dimensions or more that sum no products, besides views and pointwise ones."""


@contextmanager
def counting(module: nn.Module) -> Iterator[MacCounter]:
    """Count in the block, with attention computed by products that can be seen; see `MacCounter`."""
    counter = MacCounter(module)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class MacCounter(TorchDispatchMode):
    """Counts what torch multiplies.

    module : the network that runs; its weights tell what is a layer.

    It has ``total``, the multiply-accumulates of convolutions, fully connected layers and other products
    of matrices; and ``unknown``, the names of modules with weights that went into an operation which is none
    of these and no mere move or pointwise one: what these multiply is not in the total.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.total = 0
        self.unknown: dict[str, None] = {}
        self._kept: list[torch.Tensor] = []
        self._owners: dict[int, str] = {}
        for name, tensor in _weights(module):
            self._own(tensor, name.rpartition(".")[0] or type(module).__name__)

    def warn(self) -> None:
        """Say through the logger ``refcodec`` which modules are not counted, if any."""
        if self.unknown:
            names = ", ".join(self.unknown)
            _log.warning("multiply-accumulates of %s are not known, and not counted", names)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, or the simpler ones that it is made of, and count it."""
        name = func._schema.name.rpartition("::")[2]
        if name not in _PRODUCTS:
            with self:
                result = func.decompose(*args, **kwargs or {})
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs or {})
        if name in _PRODUCTS:
            self.total += _PRODUCTS[name](args, result)
        else:
            self._look(func, name, tree_leaves((args, kwargs)), tree_leaves(result))
        return result

    def _look(self, func: Any, name: str, inputs: list[Any], results: list[Any]) -> None:
        """Follow weights into what is computed of them alone; note a layer that is not known."""
        tensors = [one for one in inputs if isinstance(one, torch.Tensor)]
        owned = [one for one in tensors if _address(one) in self._owners]
        if not owned or func.is_view:
            return
        if len(owned) == len(tensors):
            for one in results:
                if isinstance(one, torch.Tensor):
                    self._own(one, self._owners[_address(owned[0])])
        elif torch.Tag.pointwise not in func.tags and name not in _MOVES:
            layers = (self._owners[_address(one)] for one in owned if one.ndim > 1)
            self.unknown |= dict.fromkeys(layers)

    def _own(self, tensor: torch.Tensor, owner: str) -> None:
        self._kept.append(tensor)  # as long as it lives, its address is no other's
        self._owners.setdefault(_address(tensor), owner)


def _weights(module: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())
