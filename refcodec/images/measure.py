"""Accuracy from latents, from decoded images and from images; rate, quality, work and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import refcodec
from refcodec.images.classifier import LatentClassifier
from refcodec.images.plan import ClassifierPlan, ImagePlan
from refcodec.images.stored import FrozenImageCodec, read_images
from refcodec.images.training import fitted
from refcodec.models import load
from refcodec.models.images import normalise
from refcodec.models.macs import counting

__all__ = ["TestImages", "kind_of", "measure"]

Pixels = npt.NDArray[np.uint8]

_AT_ONCE: Final = 200


@dataclass(frozen=True)
class TestImages:
    """Test images, N x H x W x 3, and their classes, N."""

    __test__ = False  # for pytest

    images: Pixels
    classes: npt.NDArray[np.int64]


def measure(
    frozen: FrozenImageCodec,
    classifier: LatentClassifier,
    test: TestImages,
    path: Path,
    plan: ImagePlan,
) -> dict[str, Any]:
    """Write the test images as a stream, and see what comes of it with and without decoding an image.

    Returns ``bits`` a pixel of the whole file, ``model_bytes`` beside it, and ``psnr``; and ``accuracy``,
    ``macs`` and ``milliseconds`` of an image, by what they are of.
    """
    images = test.images
    frozen.write(path, list(images), apart=True)
    with refcodec.open(path, output="latents") as reader:
        next(iter(reader))  # compiles

    def read() -> torch.Tensor:
        with refcodec.open(path, output="latents") as reader:
            latents: Any = iter(reader)
            return torch.from_numpy(
                np.stack([np.concatenate([one.values, one.deviations]) for one in latents])
            )

    both, entropy_ms = _timed(read, len(images))
    decoded, images_ms = _timed(
        lambda: np.stack(list(read_images(str(path), frozen.codec))), len(images)
    )
    network = _Fitted(classifier, plan.classifier)
    logits, latents_ms = _timed(lambda: _in_parts(network, both), len(images))
    errors = (decoded.astype(np.float64) - images) ** 2
    found: dict[str, Any] = {
        "count": len(images),
        "bits": 8 * path.stat().st_size / images[..., 0].size,
        "model_bytes": frozen.model.size,
        "psnr": float(10 * np.log10(255**2 / errors.mean())),
        "accuracy": {"latents": _accuracy(logits, test)},
        "macs": {
            "synthesis": _macs(frozen.codec.synthesis, both[:1, : both.shape[1] // 2]),
            "classifier of latents": _macs(network, both[:1]),
        },
        "milliseconds": {
            "latents": entropy_ms,
            "images": images_ms,
            "classifier of latents": latents_ms,
        },
    }
    if plan.pixels.model is not None:
        weights = None if plan.pixels.weights is None else plan.path(plan.pixels.weights)
        module = load(plan.pixels.model, weights, seed=plan.training.seed).module
        for name, own in (("images", images), ("decoded images", decoded)):
            inputs = normalise(own)
            logits, milliseconds = _timed(lambda: _in_parts(module, inputs), len(own))  # noqa: B023
            found["accuracy"][name] = _accuracy(logits, test)
        found["macs"]["classifier of images"] = _macs(module, inputs[:1])
        found["milliseconds"]["classifier of images"] = milliseconds
    return found


def kind_of(result: Mapping[str, Any]) -> str:
    """Name of the training that a result is of: "frozen", "control", or "joint" with its task."""
    if result["task"]:
        return f"joint, task {result['task']:g}"
    return "control" if result.get("control") else "frozen"


class _Fitted(nn.Module):
    """The classifier behind what fits its inputs; latents and deviations are stacked along channels."""

    def __init__(self, classifier: LatentClassifier, plan: ClassifierPlan) -> None:
        super().__init__()
        self.classifier, self.plan = classifier, plan

    def forward(self, both: torch.Tensor) -> torch.Tensor:
        latents, deviations = fitted(both, self.plan).chunk(2, dim=1)
        found: torch.Tensor = self.classifier(latents, deviations)
        return found


def _timed(action: Callable[[], Any], count: int) -> tuple[Any, float]:
    """The result of an action, and its milliseconds for each of a count."""
    began = time.perf_counter()
    return action(), 1000 * (time.perf_counter() - began) / count


def _accuracy(logits: Any, test: TestImages) -> float:
    return float((logits.argmax(axis=1) == test.classes).mean())


def _in_parts(run: Callable[[torch.Tensor], torch.Tensor], values: torch.Tensor) -> Any:
    with torch.no_grad():
        return torch.cat([run(part) for part in values.split(_AT_ONCE)]).numpy()


def _macs(module: nn.Module, inputs: torch.Tensor) -> int:
    """Multiply-accumulates of a module for its inputs."""
    with torch.no_grad(), counting(module) as counter:
        module(inputs)
    return counter.total
