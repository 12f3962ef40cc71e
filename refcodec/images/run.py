"""The runs of a plan for images: codecs and classifiers are trained, measured, and left in folders.

Each lambda has a folder, "lambda-0.01", with the codec as it is trained first; in it "frozen", for each
weight of the task "task-1", and "control" hold::

codec.safetensors, classifier.safetensors   parameters
model.dfcm                                  the hyperprior in integers
images.dfc                                  the test images, as latents
result.json                                 what was measured
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save

from refcodec.errors import CallerError
from refcodec.files import atomic_file, json_value
from refcodec.images.classifier import LatentClassifier
from refcodec.images.codec import ImageCodec
from refcodec.images.imported import load_compressai
from refcodec.images.measure import TestImages, measure
from refcodec.images.plan import ImagePlan
from refcodec.images.plots import draw_phase
from refcodec.images.stored import freeze_images
from refcodec.images.training import Phase, PhaseRow, conflict, train_phase
from refcodec.learn.data import Data
from refcodec.learn.stock import Stock, in_order
from refcodec.models.images import denormalise
from refcodec.models.loading import read_weights

__all__ = ["ImageSession"]

Pixels = npt.NDArray[np.uint8]
Report = Callable[[str, Phase, PhaseRow], None]
"""Called with the name of a run, its phase, and each row of its log."""

_CALIBRATED_ON: Final = 64
_AT_ONCE: Final = 200


class ImageSession:
    """The runs of a plan, and the data that they share.

    plan   : what to train.
    output : folder for the results.
    """

    def __init__(self, plan: ImagePlan, output: Path) -> None:
        self.plan, self.output = plan, output
        own = plan.data
        self._training = self._open(own.train, own.count, training=True)
        self._stock = Stock(self._training, plan.training.batch, plan.training.seed)
        self._test = _read(self._open(own.test, own.test_count, training=False))
        self.classes = len(self._training.classes)
        if not self.classes:
            raise CallerError(
                "a classifier needs images of classes", hint="a folder for each class"
            )
        output.mkdir(parents=True, exist_ok=True)
        _write(output / "config.toml", plan.text.encode())

    def _open(self, source: str, count: int | None, *, training: bool) -> Data:
        return self.plan.data.open(self.plan.path(source), count, training=training)

    def run(self, report: Report) -> list[dict[str, Any]]:
        """Train and measure all runs that have not been; returns their results, frozen codecs first."""
        results = []
        for trade in self.plan.codec.lambdas:
            folder = self.output / f"lambda-{trade:g}"
            codec = self._codec()
            frozen = self._phase("codec", trade, codec, self._classifier(codec))
            self._train(frozen, folder, report)
            self._train(self._next(frozen, "classifier"), folder / "frozen", report)
            results.append(self._result(frozen, folder / "frozen"))
            tasks = self.plan.training.tasks
            for task in (0.0, *tasks) if self.plan.training.control else tasks:
                joint = self._phase("joint", trade, frozen.codec, frozen.classifier, task)
                _load(joint, folder / "frozen")
                own = folder / ("control" if joint.control else f"task-{task:g}")
                measured = joint.control or (own / "result.json").exists()
                pull = None if measured else conflict(joint, self._stock)
                self._train(joint, own, report)
                results.append(self._result(joint, own, pull))
        return results

    # --- training

    def _codec(self) -> ImageCodec:
        own = self.plan.codec
        if own.weights is not None:
            return load_compressai(self.plan.path(own.weights))
        seed = self.plan.training.seed
        return ImageCodec(
            own.channels, own.latents, means=own.means, halvings=own.halvings, seed=seed
        )

    def _classifier(self, codec: ImageCodec) -> LatentClassifier:
        own = self.plan.classifier
        found = LatentClassifier(
            codec.analysis[-1].weight.shape[0],
            self.classes,
            first=own.first,
            stages=tuple(zip(own.widths, own.blocks, strict=True)),
            seed=self.plan.training.seed,
        )
        if own.weights is not None:
            try:
                found.take_resnet50(read_weights(self.plan.path(own.weights)))
            except (KeyError, RuntimeError) as error:
                raise CallerError(f"{own.weights} does not fit the classifier: {error}") from None
        return found

    def _phase(
        self,
        name: str,
        trade: float,
        codec: ImageCodec,
        classifier: LatentClassifier,
        task: float = 0.0,
    ) -> Phase:
        return Phase(name, self.plan, codec, classifier, trade, task)

    def _next(self, phase: Phase, name: str) -> Phase:
        return self._phase(name, phase.trade, phase.codec, phase.classifier)

    def _train(self, phase: Phase, folder: Path, report: Report) -> None:
        """Train a phase, or take what it has left in its folder."""
        folder.mkdir(exist_ok=True)
        name = str(folder.relative_to(self.output))
        if phase.name == "codec" and self.plan.codec.weights is not None:
            return  # it is trained already
        rows = train_phase(
            phase,
            self._stock,
            folder / f"{phase.name}-checkpoint.safetensors",
            lambda row: report(name, phase, row),
        )
        _write_log(rows, folder / f"{phase.name}-log.csv")
        _write(folder / f"{phase.name}-log.png", draw_phase(rows))
        for part, module in (("codec", phase.codec), ("classifier", phase.classifier)):
            if part == "codec" or phase.name != "codec":
                state = {key: one.cpu().contiguous() for key, one in module.state_dict().items()}
                _write(folder / f"{part}.safetensors", save(state))

    # --- measuring

    def _result(
        self, phase: Phase, folder: Path, pull: dict[str, float] | None = None
    ) -> dict[str, Any]:
        """Measure a codec and its classifier, unless that has been done."""
        digest = self.plan.digest(phase.trade, "control" if phase.control else phase.task)
        path = folder / "result.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if found.get("digest") == digest:
                return found
        except (OSError, ValueError):
            pass
        frozen = freeze_images(phase.codec, list(self._some()))
        frozen.model.save(folder / "model.dfcm")
        found = {"digest": digest, "lambda": phase.trade, "task": phase.task, "conflict": pull}
        found["control"] = phase.control
        found |= measure(frozen, phase.classifier, self._test, folder / "images.dfc", self.plan)
        _write(path, json.dumps(json_value(found), indent=1).encode())
        return found

    def _some(self) -> Iterator[Pixels]:
        """Training images to calibrate with."""
        chosen = np.linspace(0, len(self._training) - 1, _CALIBRATED_ON).astype(np.int64)
        yield from _pixels(self._training.batch(chosen, None)[0])


def _load(phase: Phase, folder: Path) -> None:
    """Put the parameters that a run has left into the modules of a phase."""
    phase.codec.load_state_dict(load_file(folder / "codec.safetensors"))
    phase.classifier.load_state_dict(load_file(folder / "classifier.safetensors"))


def _read(data: Data) -> TestImages:
    """All images of test data."""
    parts = list(in_order(data, _AT_ONCE))
    return TestImages(
        np.concatenate([_pixels(inputs) for inputs, _ in parts]),
        np.concatenate([targets.numpy() for _, targets in parts]),
    )


def _pixels(inputs: torch.Tensor) -> Pixels:
    """Images N x H x W x 3 of inputs of a network."""
    found: Pixels = (255 * denormalise(inputs)).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return found


def _write(path: Path, data: bytes) -> None:
    with atomic_file(path) as file:
        file.write(data)


def _write_log(rows: Sequence[PhaseRow], path: Path) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, [one.name for one in fields(PhaseRow)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    _write(path, text.getvalue().encode())
