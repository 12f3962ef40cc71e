"""Caches of decoders: the keys and values of each layer, as sequences of tokens with names.

A cache is what models of the Hugging Face style take and give as ``past_key_values``: a tuple with a pair of
tensors for each layer, or an object with ``key_cache`` and ``value_cache``, or with ``layers`` that have
``keys`` and ``values``. Tensors are N x heads x T x D. Its sequences are named ``layer0.k``, ``layer0.v``,
``layer1.k`` and on, each heads x T x D, of one text::

    with refcodec.create("cache.dfc", feature_type="tokens", coder="native", names=cache_names(12)) as writer:
        kept = CacheWriter(writer)
        for tokens in generation:
            output = model(tokens, past_key_values=past, use_cache=True)
            past = output.past_key_values
            kept.append(past)                               # the tokens that are new in it
    past = cache_of(refcodec.decode("cache.dfc"))           # generation goes on from here
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from refcodec.errors import CallerError, StreamError
from refcodec.tensors import to_torch

__all__ = ["CacheWriter", "by_place", "cache_names", "cache_of", "pairs_of"]

Pair = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of a layer, N x heads x T x D each."""

_NAME: Final = re.compile(r"layer(\d+)\.([kv])")


def pairs_of(cache: Any) -> list[Pair] | None:
    """Keys and values of each layer of a cache; None for an object that is none."""
    if isinstance(cache, tuple | list):
        pairs = list(cache)
    elif hasattr(cache, "key_cache") and hasattr(cache, "value_cache"):
        pairs = list(zip(cache.key_cache, cache.value_cache, strict=False))
    elif hasattr(cache, "layers"):
        pairs = [(getattr(one, "keys", None), getattr(one, "values", None)) for one in cache.layers]
    else:
        return None
    return pairs if pairs and all(map(_is_pair, pairs)) else None


def _is_pair(found: Any) -> bool:
    tensors = isinstance(found, tuple | list) and len(found) == 2
    return tensors and all(isinstance(one, torch.Tensor) and one.ndim == 4 for one in found)


def by_place(pairs: Sequence[Pair]) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a cache with their names."""
    tensors = (one for pair in pairs for one in pair)
    return zip(cache_names(len(pairs)), tensors, strict=True)


def cache_names(layers: int) -> list[str]:
    """Names of the sequences of a cache of some layers, in their order."""
    return [f"layer{number}.{part}" for number in range(layers) for part in "kv"]


class CacheWriter:
    """Writes a cache while it grows: each call appends the tokens that are new in it.

    writer : a `refcodec.Writer` of tokens, made with the names of `cache_names`.

    ``length`` is the number of tokens written.
    """

    def __init__(self, writer: Any) -> None:
        self._writer, self.length = writer, 0

    def append(self, cache: Any) -> int:
        """Write what is new in a cache of one text; returns its number of tokens.

        Raises CallerError for what is no cache, several texts, and a cache that has lost tokens.
        """
        pairs = pairs_of(cache)
        if pairs is None:
            raise CallerError(
                f"a {type(cache).__name__} is no cache that is known",
                hint="give a tuple of keys and values for each layer, N x heads x T x D",
            )
        lengths = {(one.shape[0], one.shape[2]) for pair in pairs for one in pair}
        if len(lengths) != 1 or next(iter(lengths))[0] != 1:
            raise CallerError(
                f"keys and values have {sorted(lengths)} texts and tokens",
                hint="a stream keeps the cache of one text; all layers have its tokens",
            )
        ((_, length),) = lengths
        if length < self.length:
            raise CallerError(f"the cache has {length} tokens, of which {self.length} are written")
        new: int = length - self.length
        for name, one in by_place(pairs) if new else ():
            self._writer.append(one[0, :, self.length :].detach().cpu(), name)
        self.length = length
        return new


def cache_of(arrays: Mapping[str, Any], into: Any = None) -> Any:
    """The cache in sequences by name, heads x T x D each: arrays or tensors, as a reader gives them.

    into : an empty cache with a method ``update(keys, values, layer)``, as transformers has, which receives
           and becomes the cache; None for a tuple of pairs.

    Raises StreamError for other names, and for layers that do not belong together.
    """
    if list(arrays) != cache_names(len(arrays) // 2) or not arrays:
        wrong = [name for name in arrays if not _NAME.fullmatch(name)] or list(arrays)
        raise StreamError(f"{', '.join(wrong[:4])} are no keys and values of layers from 0 on")
    tensors = [
        (one if isinstance(one, torch.Tensor) else to_torch(one))[None] for one in arrays.values()
    ]
    if any(one.ndim != 4 for one in tensors) or len({one.shape[2] for one in tensors}) != 1:
        raise StreamError("keys and values of a cache are heads x T x D, of the same tokens")
    pairs = tuple(zip(tensors[::2], tensors[1::2], strict=True))
    if into is None:
        return pairs
    for number, (keys, values) in enumerate(pairs):
        into.update(keys, values, number)
    return into
