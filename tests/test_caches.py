"""Caches of decoders: written while a model generates, read back, and generation goes on."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import refcodec
from refcodec.errors import CallerError, StreamError
from refcodec.models import Cut
from refcodec.models.caches import CacheWriter, cache_names, cache_of, pairs_of

WORDS, WIDTH, HEADS, LAYERS = 30, 16, 4, 2


@dataclass
class Lists:
    """A cache as older versions of transformers have it."""

    key_cache: list[Any] = field(default_factory=list)
    value_cache: list[Any] = field(default_factory=list)

    def update(self, keys: Any, values: Any, layer: int) -> Any:
        for kept, new in ((self.key_cache, keys), (self.value_cache, values)):
            if layer == len(kept):
                kept.append(new)
            else:
                kept[layer] = torch.cat([kept[layer], new], 2)
        return self.key_cache[layer], self.value_cache[layer]


@dataclass
class Layer:
    keys: Any = None
    values: Any = None


@dataclass
class Layers:
    """A cache as newer versions have it."""

    layers: list[Layer] = field(default_factory=list)

    def update(self, keys: Any, values: Any, layer: int) -> Any:
        if layer == len(self.layers):
            self.layers.append(Layer(keys, values))
        else:
            own = self.layers[layer]
            own.keys, own.values = (
                torch.cat([own.keys, keys], 2),
                torch.cat([own.values, values], 2),
            )
        return self.layers[layer].keys, self.layers[layer].values


class Block(nn.Module):
    """A layer of a decoder, which gives its tokens and its keys and values."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.norm, self.mix = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Any, past_key_values: Any = None) -> Any:
        query, key, value = (
            one(self.norm(x)).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for one in (self.query, self.key, self.value)
        )
        if hasattr(past_key_values, "update"):
            key, value = past_key_values.update(key, value, self.number)
        elif past_key_values is not None:
            before = past_key_values[self.number]
            key, value = (
                torch.cat([old, new], 2) for old, new in zip(before, (key, value), strict=True)
            )
        new, all_of_it = query.shape[2], key.shape[2]
        seen = torch.ones(new, all_of_it, dtype=torch.bool).tril(all_of_it - new)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return x + self.mix(mixed.transpose(1, 2).flatten(2)), (key, value)


class Decoder(nn.Module):
    """A decoder with the arguments and the outputs of those of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList(map(Block, range(LAYERS)))
        self.lm_head = nn.Linear(WIDTH, WORDS)

    def forward(self, input_ids: Any, past_key_values: Any = None, use_cache: bool = False) -> Any:
        pairs = pairs_of(past_key_values)
        start = pairs[0][0].shape[2] if pairs else 0
        x = self.words(input_ids) + self.places.weight[start : start + input_ids.shape[1]]
        present: tuple[Any, ...] = ()
        for block in self.blocks:
            x, new = block(x, past_key_values)
            present += (new,)
        past = past_key_values if hasattr(past_key_values, "update") else present
        return {"logits": self.lm_head(x), "past_key_values": past if use_cache else None}


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(5)
    return Decoder().eval().requires_grad_(False)


PROMPT = torch.tensor([[3, 14, 1, 5, 9, 2, 6]])


def generate(decoder: Decoder, tokens: Any, past: Any, count: int, keep: Any = None) -> Any:
    """Numbers of ``count`` further tokens, the most likely ones, and the cache after them."""
    found = []
    for _ in range(count):
        output = decoder(tokens, past_key_values=past, use_cache=True)
        past = output["past_key_values"]
        tokens = output["logits"][:, -1:].argmax(2)
        found.append(int(tokens))
        if keep is not None:
            keep.append(past)
    return found, past


def written(
    decoder: Decoder, past: Any, count: int, **options: Any
) -> tuple[list[int], Any, bytes]:
    """Generate, and write the cache into one stream meanwhile."""
    target = io.BytesIO()
    names = cache_names(LAYERS)
    with refcodec.create(target, feature_type="tokens", names=names, **options) as writer:
        keep = CacheWriter(writer)
        found, past = generate(decoder, PROMPT, past, count, keep)
        assert keep.length == PROMPT.shape[1] + count - 1
        assert keep.append(past) == 0
    return found, past, target.getvalue()


@pytest.mark.parametrize("form", [None, Lists, Layers])
def test_generation_goes_on_from_a_decoded_cache(decoder: Decoder, form: Any) -> None:
    whole, _ = generate(decoder, PROMPT, None, 9)
    begun, past, data = written(decoder, form and form(), 4, coder="native-lossless")
    assert begun == whole[:4]
    arrays = refcodec.decode(data)
    assert list(arrays) == ["layer0.k", "layer0.v", "layer1.k", "layer1.v"]
    assert {one.shape for one in arrays.values()} == {(HEADS, 10, WIDTH // HEADS)}
    restored = cache_of(arrays, form and form())
    for ours, theirs in zip(pairs_of(restored) or [], pairs_of(past) or [], strict=True):
        assert all(map(torch.equal, ours, theirs))
    rest, _ = generate(decoder, torch.tensor([[begun[-1]]]), restored, 5)
    assert rest == whole[4:]


def test_a_lossy_cache_serves_generation(decoder: Decoder) -> None:
    _, past, exact = written(decoder, None, 12, coder="native-lossless")
    _, _, data = written(decoder, None, 12, coder="native", qp=16)
    assert len(data) < 0.75 * len(exact)
    last = torch.tensor([[4]])
    ours = decoder(last, past_key_values=cache_of(refcodec.decode(data, like="torch")))["logits"]
    theirs = decoder(last, past_key_values=past)["logits"]
    error = float(((ours - theirs) ** 2).mean() / (theirs**2).mean())
    assert 0 < error < 0.001  # 30 dB


def test_a_decoder_is_cut_at_a_block(decoder: Decoder) -> None:
    """Logits are the main output, and the tail does without keys and values of the block."""
    cut = Cut(decoder, "blocks.0", (6,), vocabulary=WORDS)
    assert (cut.feature_type, cut.feature_shape) == ("tokens", (WIDTH,))
    features = cut.head(PROMPT)
    torch.testing.assert_close(cut.tail(features), decoder(PROMPT)["logits"])
    shorter = cut.heads([PROMPT[0], PROMPT[0, :3]])
    data = refcodec.encode({"a": shorter[0], "b": shorter[1]}, feature_type="tokens", coder="zlib")
    decoded = refcodec.decode(data, like="torch")
    outputs = cut.tails([decoded["a"], decoded["b"]])
    assert [one.shape for one in outputs] == [(7, WORDS), (3, WORDS)]


def test_pairs_may_be_lists(decoder: Decoder) -> None:
    past = decoder(PROMPT, use_cache=True)["past_key_values"]
    for pairs in (pairs_of(list(past)), pairs_of([list(pair) for pair in past])):
        assert pairs is not None
        assert [pair[0].shape for pair in pairs] == [pair[0].shape for pair in past]


def test_what_is_no_cache(decoder: Decoder) -> None:
    keep = CacheWriter(None)  # never reached
    with pytest.raises(CallerError, match="a dict is no cache that is known"):
        keep.append({})
    two = decoder(PROMPT.repeat(2, 1), use_cache=True)["past_key_values"]
    with pytest.raises(CallerError, match=r"keys and values have \[\(2, 7\)\] texts and tokens"):
        keep.append(two)
    keep.length = 8
    with pytest.raises(CallerError, match="the cache has 7 tokens, of which 8 are written"):
        keep.append(decoder(PROMPT, use_cache=True)["past_key_values"])


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({}, "are no keys and values of layers from 0 on"),
        ({"layer0.k": np.zeros((2, 3, 4))}, "layer0.k are no keys and values"),
        (
            {"layer1.k": np.zeros((2, 3, 4)), "layer1.v": np.zeros((2, 3, 4))},
            "layer1.k, layer1.v are no",
        ),
        ({"layer0.k": np.zeros((2, 3, 4)), "layer0.v": np.zeros((2, 5, 4))}, "of the same tokens"),
        ({"layer0.k": np.zeros((3, 4)), "layer0.v": np.zeros((3, 4))}, "heads x T x D"),
    ],
)
def test_streams_that_hold_no_cache(arrays: Any, what: str) -> None:
    with pytest.raises(StreamError, match=what):
        cache_of(arrays)
