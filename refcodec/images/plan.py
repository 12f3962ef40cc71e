"""The plan of a training of image codecs and classifiers, as its TOML file describes it.

Paths in it are relative to the data folder. The guide *Classify without decoding* describes the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from refcodec.checked import Table, data_path, instead, read_toml
from refcodec.errors import CallerError
from refcodec.images.similarity import scales_of
from refcodec.learn.plan import PRECISIONS, DataPlan
from refcodec.learn.reading import section

__all__ = [
    "DISTORTIONS",
    "ClassifierPlan",
    "CodecPlan",
    "ImagePlan",
    "ImageTraining",
    "PixelPlan",
    "read_images_plan",
]

DISTORTIONS: Final = ("mse", "ms-ssim")

_LATER: Final = (("codec", "distortion", "mse"), ("training", "alternate", 0))
"""Keys that plans did not always have, with what they were without them: it leaves a digest as it was."""


@dataclass(frozen=True)
class CodecPlan:
    """The image codec: ``[codec]``; see `refcodec.images.ImageCodec`.

    weights    : a checkpoint of CompressAI, which says channels and latents; None to train one.
    distortion : of `DISTORTIONS`: ``mse``, the squared error of pixels from 0 to 255, or ``ms-ssim``, what a
                 picture lacks of an MS-SSIM of 1.
    lambdas    : weights of the distortion against bits a pixel, a codec each.
    """

    channels: int = 128
    latents: int = 192
    means: bool = False
    halvings: int = 4
    weights: str | None = None
    distortion: str = "mse"
    lambdas: tuple[float, ...] = (0.01,)


@dataclass(frozen=True)
class ClassifierPlan:
    """The classifier of latents: ``[classifier]``; see `refcodec.images.LatentClassifier`.

    widths, blocks : of its stages.
    weights        : weights of torchvision's ResNet-50, to start from; None for none.
    resize, crop   : sides that latents are scaled to, and cropped to, at random in training, else in the
                     middle; None for latents as they are.
    flip           : flip half of the latents in training.
    """

    first: int = 32
    widths: tuple[int, ...] = (128, 256, 512)
    blocks: tuple[int, ...] = (4, 6, 3)
    weights: str | None = None
    resize: int | None = None
    crop: int | None = None
    flip: bool = False


@dataclass(frozen=True)
class PixelPlan:
    """A classifier of images to compare with: ``[pixels]``; see `refcodec.models.load`."""

    model: str | None = None
    weights: str | None = None


@dataclass(frozen=True)
class ImageTraining:
    """The training: ``[training]``.

    codec_steps, codec_rate           : of the codec alone, with its learning rate.
    classifier_steps, classifier_rate : of the classifier alone, on latents of the codec as it is.
    joint_steps, joint_rate           : of both, from there.
    tasks            : weights of the cross-entropy in the joint training, a run each.
    alternate        : steps that the joint training takes by the loss of the codec, and then by the
                       cross-entropy, in turn; 0 for the sum of both in each step.
    control          : true for one more joint training, whose cross-entropy does not reach the codec.
    batch            : images a step.
    weight_decay     : of the classifier.
    seed             : of everything random.
    device           : ``cpu``, ``cuda``, or ``auto``.
    precision        : ``mixed`` computes products in bfloat16.
    log_every, checkpoint_every : steps.
    """

    codec_steps: int = 1000
    codec_rate: float = 1e-3
    classifier_steps: int = 1000
    classifier_rate: float = 1e-3
    joint_steps: int = 1000
    joint_rate: float = 2e-4
    tasks: tuple[float, ...] = (1.0,)
    alternate: int = 0
    control: bool = False
    batch: int = 64
    weight_decay: float = 1e-4
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    log_every: int = 50
    checkpoint_every: int = 500


@dataclass(frozen=True)
class ImagePlan:
    """The content of a file.

    text   : the file itself, followed by the changes made on the command line.
    folder : the data folder.
    """

    title: str
    data: DataPlan
    codec: CodecPlan
    classifier: ClassifierPlan
    pixels: PixelPlan
    training: ImageTraining
    text: str
    folder: Path
    description: str = ""

    def path(self, name: str) -> Path:
        """Resolve a path of the file, relative to the data folder. Raises CallerError."""
        return data_path(self.folder, name)

    def digest(self, *also: object) -> str:
        """Hash of what results depend on, but data, weights and torch; ``also`` tells results apart."""
        matters = {
            name: asdict(getattr(self, name))
            for name in ("data", "codec", "classifier", "pixels", "training")
        }
        for key in ("log_every", "checkpoint_every", "tasks", "control"):
            del matters["training"][key]
        del matters["codec"]["lambdas"]
        for name, key, default in _LATER:
            if matters[name][key] == default:
                del matters[name][key]
        text = json.dumps([matters, *map(str, also)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_images_plan(
    path: Path, *, data: Path | None = None, changes: Iterable[str] = ()
) -> ImagePlan:
    """Read a plan; arguments as of `refcodec.checked.read_toml`.

    Raises CallerError if the file cannot be read, is not TOML, or has keys or values that are not known.
    """
    found, text, folder = read_toml(path, data=data, changes=changes)
    table = Table("the plan", found)
    plan = ImagePlan(
        table.take("title", str),
        section(table, "data", DataPlan),
        section(table, "codec", CodecPlan),
        section(table, "classifier", ClassifierPlan),
        section(table, "pixels", PixelPlan),
        section(table, "training", ImageTraining),
        text,
        folder,
        table.take("description", str, "").strip(),
    )
    table.finish()
    _check(plan)
    return plan


def _check(plan: ImagePlan) -> None:
    """Raise CallerError for values that are not known, or do not fit each other."""
    codec, classifier, training = plan.codec, plan.classifier, plan.training
    if len(classifier.widths) != len(classifier.blocks):
        raise CallerError(
            f"'widths' of [classifier] are of {len(classifier.widths)} stages, 'blocks' of "
            f"{len(classifier.blocks)}"
        )
    if classifier.crop and not classifier.resize:
        raise CallerError("'crop' of [classifier] needs 'resize'")
    if classifier.crop and classifier.resize and classifier.crop > classifier.resize:
        raise CallerError("'crop' of [classifier] is more than 'resize'")
    if plan.pixels.weights and not plan.pixels.model:
        raise CallerError("[pixels] has weights and no model")
    if not codec.lambdas or min(codec.lambdas) <= 0:
        raise CallerError("'lambdas' of [codec] are numbers above 0")
    if codec.weights and len(codec.lambdas) > 1:
        raise CallerError("[codec] has weights of one codec, and several 'lambdas'")
    if codec.distortion not in DISTORTIONS:
        known = instead(codec.distortion, DISTORTIONS)
        raise CallerError(f"'distortion' of [codec] is {codec.distortion!r}{known}")
    if codec.distortion == "ms-ssim":
        scales_of(plan.data.size, plan.data.size)
    if any(not 0 < one < math.inf for one in training.tasks):
        raise CallerError(
            "'tasks' of [training] are numbers above 0",
            hint="control = true trains the codec on without a task",
        )
    if training.alternate and not training.tasks:
        raise CallerError("'alternate' of [training] has no effect without 'tasks'")
    if training.precision not in PRECISIONS or training.device not in ("auto", "cpu", "cuda"):
        raise CallerError(
            f"[training] has device {training.device!r} and precision {training.precision!r}",
            hint=f"devices are auto, cpu, cuda; precisions are {', '.join(PRECISIONS)}",
        )
