"""The features of a place: extracted once, stored in the folder of results, read as memory maps."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from refcodec.errors import CallerError
from refcodec.evaluate.plan import IMAGE, Place, code_digest
from refcodec.models import Network, load, minilm
from refcodec.models.images import Batch, batches, normalise, open_images
from refcodec.models.macs import counting
from refcodec.models.parts import main_output
from refcodec.models.texts import WordPiece, sentences

__all__ = ["FeatureSet", "Tail", "extract", "load_features"]

Array = npt.NDArray[Any]

_IMAGES_AT_ONCE: Final = 8
"""Batch size of a network, which bounds memory for large images."""

_FEWEST_TEXTS: Final = 7
"""A text, five neighbours of it, and one more."""


@dataclass(frozen=True)
class FeatureSet:
    """Features, and the network's output on them.

    features : N x C x H x W or N x D, float32; of the layer ``image`` N x H x W x 3, uint8; of texts the
               tokens of all, one after another, each a feature of D values.
    outputs  : the network's output on them, N x classes (x H x W); of texts N x D, embeddings.
    labels   : N; None where unknown.
    masks    : N x H x W; None where unknown.
    lengths  : of texts the number of tokens of each, N; None for images.
    facts    : further facts, as JSON types; see `extract`.
    """

    features: Array
    outputs: Array
    labels: Array | None
    masks: Array | None
    lengths: Array | None
    facts: dict[str, Any]

    def sequences(self) -> list[Array]:
        """The tokens of each text, T x D."""
        assert self.lengths is not None
        return np.split(self.features, np.cumsum(self.lengths)[:-1])

    def group(self, features: Iterable[Array], size: int) -> Iterator[Array]:
        """Stack features that come one by one, ``size`` of them; of texts 1 x T x D, a text each.

        features : of texts T x D, or D, a token each.
        """
        rest = iter(features)
        lengths = repeat(size) if self.lengths is None else self.lengths.tolist()
        for length in lengths:
            if (first := next(rest, None)) is None:
                return
            whole = self.lengths is not None and first.ndim == 2
            some = first if whole else np.stack([first, *islice(rest, length - 1)])
            yield some if self.lengths is None else some[None]

    def per_item(self, sizes: Array) -> Array:
        """Sums over the tokens of each text, N; for features of whole images and texts, these themselves."""
        if self.lengths is None or len(sizes) == len(self.lengths):
            return sizes
        return np.add.reduceat(sizes, np.cumsum(self.lengths) - self.lengths)


def load_features(place: Place, folder: Path) -> FeatureSet | None:
    """Load the features of a place from the folder of results; None if they have not been extracted."""
    own = folder / place.slug
    try:
        facts = json.loads((own / "facts.json").read_text())
    except FileNotFoundError:
        return None
    arrays: dict[str, Any] = {
        name: np.load(own / f"{name}.npy", mmap_mode="r") if name in facts["arrays"] else None
        for name in ("features", "outputs", "labels", "masks", "lengths")
    }
    return FeatureSet(**arrays, facts=facts)


class Tail:
    """The network of a place, both parts of it.

    cut        : the cut; None for the layer ``image``.
    input_size : height and width of the network's images.
    """

    def __init__(self, place: Place) -> None:
        size = place.images.size
        self._network = _load(place.network.model, place.weights, size)
        self.input_size = self._network.input_size
        if self.reads_texts and place.layer == IMAGE:
            raise CallerError(f"{place.name}: the network's inputs are texts, which no coder takes")
        self.cut = None if place.layer == IMAGE else self._network.cut(place.layer)

    def __call__(self, features: Array) -> Array:
        """Features, or images N x H x W x 3, to outputs, N x classes (x H x W)."""
        parts = [
            features[i : i + _IMAGES_AT_ONCE] for i in range(0, len(features), _IMAGES_AT_ONCE)
        ]
        with torch.inference_mode():
            return np.concatenate([self._run(part).numpy() for part in parts])

    def head(self, pixels: Array) -> Array:
        """Images N x H x W x 3 to features, N x C x H x W or N x D."""
        if self.cut is None:
            return pixels
        with torch.inference_mode():
            features: Array = self.cut.head(normalise(pixels)).numpy()
        return features

    @property
    def reads_texts(self) -> bool:
        """True if the network's inputs are texts."""
        return self._network.vocabulary > 0

    @property
    def task(self) -> str:
        """Task of the network; see `refcodec.models.Network`."""
        return self._network.task

    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of head and tail for one image; see `refcodec.models.cut.Cut.macs`."""
        if self.cut is not None:
            head, tail = self.cut.macs()
            return {"head_macs": head, "tail_macs": tail}
        with counting(self._network.module) as count, torch.no_grad():
            self._run(np.zeros((1, *self.input_size, 3), np.uint8))
        count.warn()
        return {"head_macs": 0, "tail_macs": count.total}

    def _run(self, features: Array) -> torch.Tensor:
        if self.cut is None:
            return main_output(self._network.module(normalise(features)))
        return self.cut.tail(torch.from_numpy(np.array(features)))


@lru_cache(maxsize=2)
def _load(model: str, weights: Path | None, size: tuple[int, int] | None) -> Network:
    return load(model, weights, input_size=size)


def extract(place: Place, folder: Path) -> None:
    """Run a network's head over its images, or texts, and store the features in a folder of their own.

    The facts: ``images`` (or texts), ``shape`` and ``elements`` of a feature (of a text: mean over all),
    ``feature_type``, ``task``, ``nonzero_rate``, ``head_macs`` and ``tail_macs`` (multiply-accumulates for an
    image, or for a text of some tokens, see `refcodec.models.Cut.macs`).
    """
    tail = Tail(place)
    items = _Texts(place, tail) if tail.reads_texts else _Pictures(place, tail)
    hidden = Path(tempfile.mkdtemp(dir=folder, prefix=".extracting."))
    try:
        rows, nonzero = _Rows(hidden), 0
        for features, outputs, truth in items:
            nonzero += int(np.count_nonzero(features))
            rows.append(items.features, features=features)
            rows.append(items.count, outputs=outputs, **truth)
        values = features[0].size * items.features
        facts = {
            "place": place.describe(),
            "code": code_digest("models"),
            "feature_type": tail.cut.feature_type if tail.cut else IMAGE,
            "task": tail.task,
            "images": items.count,
            "shape": list(features.shape[1:]),
            "elements": values / items.count if tail.reads_texts else features[0].size,
            "nonzero_rate": nonzero / values,
            **tail.macs(),
            "arrays": rows.close(),
        }
        (hidden / "facts.json").write_text(json.dumps(facts, indent=1))
        shutil.rmtree(folder / place.slug, ignore_errors=True)
        hidden.replace(folder / place.slug)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


Part = tuple[Array, Array, dict[str, Array | None]]
"""Features, the outputs on them, and what is known of their inputs."""


class _Pictures:
    """Images, and their features and outputs, some at a time."""

    def __init__(self, place: Place, tail: Tail) -> None:
        self._tail = tail
        self._source = open_images(place.source, count=place.images.count, size=tail.input_size)
        self.count = self.features = len(self._source)

    def __iter__(self) -> Iterator[Part]:
        for batch in batches(self._source, _IMAGES_AT_ONCE):
            features = self._tail.head(batch.images)
            outputs = self._tail(features)
            yield features, outputs, _truth(batch, outputs, len(self._source.classes))


class _Texts:
    """Texts, and the features of their tokens and outputs, one at a time."""

    def __init__(self, place: Place, tail: Tail) -> None:
        tokens = WordPiece(minilm.WORDS.path())
        self._tail = tail
        self._texts = [tokens(one) for one in sentences(place.source)[: place.images.count]]
        self.count, self.features = len(self._texts), sum(map(len, self._texts))
        if self.count < _FEWEST_TEXTS:
            raise CallerError(
                f"{place.source} has {self.count} texts, which are searched for neighbours",
                hint=f"take {_FEWEST_TEXTS} or more",
            )

    def __iter__(self) -> Iterator[Part]:
        cut = self._tail.cut
        assert cut is not None
        for text in self._texts:
            with torch.inference_mode():
                features: Array = cut.head(torch.tensor([text])).numpy()
            yield features[0], self._tail(features), {"lengths": np.array([len(text)])}


def _truth(batch: Batch, outputs: Array, classes: int) -> dict[str, Array | None]:
    """Labels or masks, if their classes are those of the network.

    For folders with only some of the classes, the numbers of classes would differ from the network's.
    """
    same = classes == outputs.shape[1]
    maps = outputs.ndim == 4
    return {
        "labels": batch.labels if same and not maps else None,
        "masks": batch.masks if same and maps else None,
    }


class _Rows:
    """Arrays in files that are appended to row by row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Any] = {}
        self._done: dict[str, int] = {}

    def append(self, count: int, **arrays: Array | None) -> None:
        """Append rows to arrays that get ``count`` in all; None for an array that does not exist."""
        for name, rows in arrays.items():
            if rows is None:
                continue
            if name not in self._files:
                self._files[name] = np.lib.format.open_memmap(
                    self._folder / f"{name}.npy", "w+", rows.dtype, (count, *rows.shape[1:])
                )
            done = self._done.get(name, 0)
            self._done[name] = done + len(rows)
            self._files[name][done : done + len(rows)] = rows

    def close(self) -> list[str]:
        """Flush all arrays to disk; returns their names."""
        for file in self._files.values():
            file.flush()
        return sorted(self._files)
