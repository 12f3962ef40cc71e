"""The features of a place: extracted once, stored in the folder of results, read as memory maps."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from refcodec.evaluate.plan import IMAGE, Place, code_digest
from refcodec.models import Network, load
from refcodec.models.images import Batch, batches, normalise, open_images
from refcodec.models.macs import counting
from refcodec.models.parts import main_output

__all__ = ["FeatureSet", "Tail", "extract", "load_features"]

Array = npt.NDArray[Any]

_IMAGES_AT_ONCE: Final = 8
"""Batch size of a network, which bounds memory for large images."""


@dataclass(frozen=True)
class FeatureSet:
    """Features, and the network's output on them.

    features : N x C x H x W or N x D, float32; of the layer ``image`` N x H x W x 3, uint8.
    outputs  : the network's output on them, N x classes (x H x W).
    labels   : N; None where unknown.
    masks    : N x H x W; None where unknown.
    facts    : further facts, as JSON types; see `extract`.
    """

    features: Array
    outputs: Array
    labels: Array | None
    masks: Array | None
    facts: dict[str, Any]


def load_features(place: Place, folder: Path) -> FeatureSet | None:
    """Load the features of a place from the folder of results; None if they have not been extracted."""
    own = folder / place.slug
    try:
        facts = json.loads((own / "facts.json").read_text())
    except FileNotFoundError:
        return None
    arrays: dict[str, Any] = {
        name: np.load(own / f"{name}.npy", mmap_mode="r") if name in facts["arrays"] else None
        for name in ("features", "outputs", "labels", "masks")
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
    """Run a network's head over its images, and store the features in a folder of their own.

    The facts: ``images``, ``shape`` and ``elements`` of a feature, ``feature_type``, ``nonzero_rate``,
    ``head_macs`` and ``tail_macs`` (multiply-accumulates for an image).
    """
    tail = Tail(place)
    source = open_images(place.source, count=place.images.count, size=tail.input_size)
    hidden = Path(tempfile.mkdtemp(dir=folder, prefix=".extracting."))
    try:
        rows, nonzero = _Rows(hidden, len(source)), 0
        for batch in batches(source, _IMAGES_AT_ONCE):
            features = tail.head(batch.images)
            nonzero += int(np.count_nonzero(features))
            outputs = tail(features)
            truth = _truth(batch, outputs, len(source.classes))
            rows.append(features=features, outputs=outputs, **truth)
        elements = features[0].size
        facts = {
            "place": place.describe(),
            "code": code_digest("models"),
            "feature_type": tail.cut.feature_type if tail.cut else IMAGE,
            "images": len(source),
            "shape": list(features.shape[1:]),
            "elements": elements,
            "nonzero_rate": nonzero / (elements * len(source)),
            **tail.macs(),
            "arrays": rows.close(),
        }
        (hidden / "facts.json").write_text(json.dumps(facts, indent=1))
        shutil.rmtree(folder / place.slug, ignore_errors=True)
        hidden.replace(folder / place.slug)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


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

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count, self._done = folder, count, 0
        self._files: dict[str, Any] = {}

    def append(self, **arrays: Array | None) -> None:
        """Append rows to each array; None for an array that does not exist."""
        size = 0
        for name, rows in arrays.items():
            if rows is None:
                continue
            if name not in self._files:
                self._files[name] = np.lib.format.open_memmap(
                    self._folder / f"{name}.npy", "w+", rows.dtype, (self._count, *rows.shape[1:])
                )
            size = len(rows)
            self._files[name][self._done : self._done + size] = rows
        self._done += size

    def close(self) -> list[str]:
        """Flush all arrays to disk; returns their names."""
        for file in self._files.values():
            file.flush()
        return sorted(self._files)
