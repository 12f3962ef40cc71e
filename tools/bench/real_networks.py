"""Real networks and their features: EfficientNet-Lite0 on photographs, MiniLM on sentences.

Every fifth photograph of ``imagenet-sample`` is for tests, 50 of 250; the others are for calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from curves import Point
from features import Floats

from refcodec.allocate.curvature import channel_metric
from refcodec.evaluate.statistics import gather, measures
from refcodec.metrics import (
    bits_per_element,
    fidelity,
    signal_to_noise,
    top1_accuracy,
    top_accuracy,
)
from refcodec.models import Cut, Network, load, minilm
from refcodec.models.images import normalise, open_images
from refcodec.models.texts import WordPiece, sentences
from refcodec.models.trained import data_folder
from refcodec.transform.channel import ChannelTransform

MAPS = ("block0", "block4", "block10", "pooled")
TOKENS = ("layer2", "layer4", "layer6")

_EVERY = 5
_AT_ONCE = 8


@cache
def photographs(count: int) -> tuple[torch.Tensor, Any]:
    """The first test photographs as network input, N x 3 x 224 x 224, and their classes, N."""
    source = open_images(f"{data_folder()}/imagenet-sample")
    items = [source[i] for i in range(0, count * _EVERY, _EVERY)]
    return normalise(np.stack([one.image for one in items])), np.array([one.label for one in items])


@cache
def network(name: str) -> Network:
    """A network with its trained weights."""
    return load(name)


class Maps:
    """A layer of EfficientNet-Lite0, on some test photographs.

    maps   : float32, N x C x H x W, or N x D for ``pooled``.
    logits : N x 1000.
    """

    def __init__(self, layer: str, count: int) -> None:
        self.layer = layer
        self.cut: Cut = network("efficientnet-lite0").cut(layer)
        images, self.labels = photographs(count)
        with torch.inference_mode():
            parts = [self.cut.head(one).numpy() for one in images.split(_AT_ONCE)]
        self.maps: Floats = np.concatenate(parts)
        self.logits = self.tail(self.maps)

    def tail(self, maps: Floats) -> Floats:
        """Features to logits."""
        with torch.inference_mode():
            parts = torch.from_numpy(np.ascontiguousarray(maps)).split(_AT_ONCE)
            found: Floats = torch.cat([self.cut.tail(one) for one in parts]).numpy()
        return found

    def judge(self, decoded: Floats, size: int) -> Point:
        """Rate and quality of features that came back from a file of ``size`` bytes."""
        return self.judge_logits(self.tail(decoded), size) | {
            "bits": round(bits_per_element(size, self.maps.size), 5)
        }

    def judge_logits(self, logits: Floats, size: int) -> Point:
        """Bytes for a photograph, and quality of outputs."""
        return {
            "bytes": round(size / len(logits), 2),
            "snr": round(signal_to_noise(logits, self.logits), 3),
            "fidelity": round(fidelity(logits, self.logits), 4),
            "top1": round(top1_accuracy(logits, self.labels), 4),
            "top5": round(top_accuracy(logits, self.labels), 4),
        }


class Tokens:
    """A layer of MiniLM, on sentences.

    rows       : the tokens of all sentences, float32, (sum of T) x 384.
    lengths    : T of each.
    embeddings : N x 384.
    """

    def __init__(self, layer: str, count: int, part: str = "docstrings") -> None:
        self.layer = layer
        self.cut: Cut = network("minilm").cut(layer)
        pieces = WordPiece(minilm.WORDS.path())
        texts = [pieces(one) for one in sentences(f"{part}:{count}")]
        self.lengths = [len(one) for one in texts]
        with torch.inference_mode():
            heads = [self.cut.head(torch.tensor([one]))[0].numpy() for one in texts]
        self.rows: Floats = np.concatenate(heads)
        self.embeddings = self.tail(self.rows)

    def texts(self, rows: Floats) -> Iterator[Floats]:
        """The tokens of each sentence, T x 384."""
        yield from np.split(rows, np.cumsum(self.lengths)[:-1])

    def tail(self, rows: Floats) -> Floats:
        """Tokens to embeddings."""
        with torch.inference_mode():
            parts: Sequence[torch.Tensor] = [
                self.cut.tail(torch.from_numpy(one)[None]) for one in self.texts(rows)
            ]
            found: Floats = torch.cat(parts).numpy()
        return found

    def judge(self, decoded: Floats, size: int) -> Point:
        """Rate and quality of tokens that came back from ``size`` bytes."""
        found, own = self.tail(decoded), self.embeddings
        figures = measures(gather(found, own, found, own, gallery=own))
        names = {"snr": "output_snr_db", "cosine": "output_cosine"}
        names |= {"neighbours": "neighbours", "order": "order"}
        return {
            "bytes": round(size / len(own), 2),
            "bits": round(bits_per_element(size, self.rows.size), 5),
            **{key: round(float(figures[name][0]), 5) for key, name in names.items()},
        }


# --- transforms over channels ----------------------------------------------------------------------

FEATURE_WEIGHTS = {"plain": None, "weighted": 0.01}
"""Weight of the features' own error in the metric of a transform, by name; None for no metric."""

_CALIBRATION = 80
"""Photographs, and five times as many sentences, that transforms are fitted to; none is tested."""

_PROBED = 24
"""Photographs, or sentences, whose gradients make the metric."""


@cache
def transform(layer: str, kind: str) -> ChannelTransform:
    """A transform over the channels of a layer of either network, by a name of `FEATURE_WEIGHTS`."""
    cut = network("minilm" if layer in TOKENS else "efficientnet-lite0").cut(layer)
    with torch.inference_mode():
        parts = [cut.head(one) for one in _calibration(layer in TOKENS)]
    metric, weight = None, FEATURE_WEIGHTS[kind]
    if weight is not None:
        some = [one.clone() for one in parts[:: max(1, len(parts) // _PROBED)]]
        axis = -1 if layer in TOKENS else 1
        metric = channel_metric(cut.tail, some, feature_weight=weight, axis=axis)
    return ChannelTransform.fit((one.numpy()[0] for one in parts), metric)


def _calibration(texts: bool) -> Iterator[torch.Tensor]:
    """Inputs of a network, one by one, that no test has."""
    if texts:
        pieces = WordPiece(minilm.WORDS.path())
        for one in sentences(f"docstrings-calibration:{5 * _CALIBRATION}"):
            yield torch.tensor([pieces(one)])
        return
    source = open_images(f"{data_folder()}/imagenet-sample")
    others = [number for number in range(len(source)) if number % _EVERY]
    for number in others[:: len(others) // _CALIBRATION][:_CALIBRATION]:
        yield normalise(source[number].image[None])


def calibration_tokens(layer: str) -> list[Floats]:
    """Tokens of sentences that no test has, T x 384 each."""
    return _calibrated("minilm", layer)


def calibration_maps(layer: str) -> list[Floats]:
    """Features of photographs that no test has, C x H x W or D each."""
    return _calibrated("efficientnet-lite0", layer)


def _calibrated(name: str, layer: str) -> list[Floats]:
    cut = network(name).cut(layer)
    with torch.inference_mode():
        return [cut.head(one).numpy()[0] for one in _calibration(name == "minilm")]


@lru_cache(maxsize=1)
def maps(layer: str, count: int) -> Maps:
    """A layer of EfficientNet-Lite0; the last one asked for is kept."""
    return Maps(layer, count)


@lru_cache(maxsize=1)
def tokens(layer: str, count: int) -> Tokens:
    """A layer of MiniLM; the last one asked for is kept."""
    return Tokens(layer, count)
