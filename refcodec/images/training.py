"""Training of image codecs, of classifiers of their latents, and of both together.

Three phases follow one another. The codec minimises bits a pixel plus lambda times the squared error; the
classifier then learns on latents of the codec as it is; at last both go on together, by the sum of their
losses::

    bits a pixel + lambda * squared error + task * cross-entropy

A step depends on the state, the seed and its number alone, so that a phase that is continued from its
checkpoint ends as if it had not been interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from refcodec.errors import CallerError
from refcodec.images.classifier import LatentClassifier
from refcodec.images.codec import ImageCodec
from refcodec.images.plan import ClassifierPlan, ImagePlan
from refcodec.images.similarity import ms_ssim
from refcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from refcodec.learn.schedule import Schedule
from refcodec.learn.stock import Stock
from refcodec.learn.trainer import device_of
from refcodec.models.images import denormalise

__all__ = ["PHASES", "Phase", "PhaseRow", "conflict", "fitted", "train_phase"]

PHASES: Final = ("codec", "classifier", "joint")

_PEAK: Final = 255.0**2
"""Squared errors are of pixels from 0 to 255."""

_STREAM: Final = 1_000_003
_WARMUP: Final = 50


@dataclass(frozen=True)
class PhaseRow:
    """Means over the steps since the row before.

    step  : number of steps done.
    bits  : a pixel.
    psnr  : of images, dB; 0 in the second phase, which reconstructs none.
    loss  : cross-entropy; 0 in the first phase.
    error : share of wrong classes; 0 in the first phase.
    """

    step: int
    bits: float
    psnr: float
    loss: float
    error: float


@dataclass(frozen=True, eq=False)
class Phase:
    """A phase of a training: its modules, and the weights of its losses.

    name       : of `PHASES`.
    codec      : the codec.
    classifier : the classifier; not used in the first phase.
    trade      : weight of the squared error.
    task       : weight of the cross-entropy in the last phase; 0 keeps it away from the codec, while the
                 classifier learns on.
    """

    name: str
    plan: ImagePlan
    codec: ImageCodec
    classifier: LatentClassifier
    trade: float
    task: float = 0.0

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(getattr(self.plan.training, f"{self.name}_steps"))

    @property
    def rate(self) -> float:
        """The learning rate at first."""
        return float(getattr(self.plan.training, f"{self.name}_rate"))

    @property
    def control(self) -> bool:
        """True for a joint training whose codec has no task."""
        return self.name == "joint" and not self.task

    def total(self, step: int, codec: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
        """The loss of a step of two losses: their sum, or one of them in turn."""
        own = self.task or 1.0
        every = self.plan.training.alternate
        if not every:
            return codec + own * entropy
        return own * entropy if step // every % 2 else codec

    def modules(self) -> list[nn.Module]:
        """The modules that are trained."""
        both = {"codec": self.codec, "classifier": self.classifier}
        return list(both.values()) if self.name == "joint" else [both[self.name]]

    def digest(self) -> str:
        """Hash of what the phase depends on."""
        return self.plan.digest(self.name, self.trade, self.task)


def fitted(
    values: torch.Tensor, plan: ClassifierPlan, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Latents and deviations, stacked along channels, as the classifier takes them.

    generator : of random crops and flips; None takes the middle.
    """
    if plan.resize is not None:
        values = functional.interpolate(values, (plan.resize, plan.resize), mode="bilinear")
    if plan.crop is not None:
        free = values.shape[2] - plan.crop
        top, left = free // 2, free // 2
        if generator is not None:
            top, left = torch.randint(0, free + 1, (2,), generator=generator).tolist()
        values = values[:, :, top : top + plan.crop, left : left + plan.crop]
    if plan.flip and generator is not None:
        flipped = torch.rand(len(values), generator=generator) < 0.5
        values = torch.where(flipped.to(values.device)[:, None, None, None], values.flip(3), values)
    return values


class _Losses:
    """The losses of a batch.

    bits       : a pixel.
    squares    : mean squared error of pixels from 0 to 1; 1 where no image is made.
    distortion : as the plan measures it; that of equal images is 0.
    logits     : None in the first phase.
    """

    def __init__(self, phase: Phase, images: torch.Tensor, generator: torch.Generator) -> None:
        def noise(shape: torch.Size) -> torch.Tensor:
            return torch.rand(shape, generator=generator, device=images.device) - 0.5

        alone = phase.name == "classifier"
        with torch.set_grad_enabled(not alone):
            coded = (phase.codec.encode if alone else phase.codec)(images, noise)
        self.bits = coded.bits.mean() / (images.shape[2] * images.shape[3])
        self.squares = torch.ones(()) if alone else ((coded.images - images) ** 2).mean()
        self.distortion = _PEAK * self.squares
        if phase.plan.codec.distortion == "ms-ssim" and not alone:
            self.distortion = 1 - ms_ssim(coded.images.float(), images)
        self.logits: torch.Tensor | None = None
        if phase.name != "codec":
            both = torch.cat([coded.latents, coded.deviations], dim=1)
            both = both.detach() if phase.control else both
            chance = torch.Generator().manual_seed(int(generator.initial_seed()) + 1)
            latents, deviations = fitted(both, phase.plan.classifier, chance).chunk(2, dim=1)
            self.logits = phase.classifier(latents, deviations)


def train_phase(
    phase: Phase, stock: Stock, checkpoint: Path, report: Callable[[PhaseRow], None]
) -> list[PhaseRow]:
    """Do the steps of a phase that are left; returns its log.

    checkpoint : file to go on from, and to write.

    Raises CallerError for a checkpoint of another training, or a loss that is not finite.
    """
    training = phase.plan.training
    device = device_of(training.device)
    optimiser = torch.optim.Adam(
        [
            {
                "params": list(module.parameters()),
                "weight_decay": training.weight_decay if module is phase.classifier else 0.0,
            }
            for module in phase.modules()
        ],
        lr=phase.rate,
    )
    rows, step = list[PhaseRow](), 0
    tensors = _tensors(phase)
    if checkpoint.exists():
        stored, facts = load_checkpoint(checkpoint, optimiser)
        if facts.get("digest") != phase.digest():
            raise CallerError(
                f"{checkpoint} is a checkpoint of another configuration",
                hint="give another --output, or remove it to start again",
            )
        with torch.no_grad():
            for name, value in stored.items():
                tensors[name].copy_(value)
        step, rows = facts["step"], [PhaseRow(**one) for one in facts["rows"]]
    schedule = Schedule(phase.steps, phase.rate, warmup=_WARMUP)
    sums: list[tuple[float, ...]] = []
    phase.codec.train(phase.name != "classifier")
    phase.classifier.train(phase.name != "codec")
    while step < phase.steps:
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate(step)
        sums.append(_advance(phase, stock, step, optimiser, device))
        step += 1
        if not np.isfinite(sums[-1]).all():
            raise CallerError(
                f"the loss of step {step} is not finite", hint="lower the learning rate"
            )
        if step % training.log_every == 0 or step == phase.steps:
            bits, squares, loss, error = np.mean(sums, axis=0).tolist()
            sums.clear()
            rows.append(PhaseRow(step, bits, -10 * math.log10(squares), loss, error))
            report(rows[-1])
        if step % training.checkpoint_every == 0 or step == phase.steps:
            facts = {"digest": phase.digest(), "step": step, "rows": [asdict(one) for one in rows]}
            save_checkpoint(checkpoint, tensors, optimiser, facts)
    phase.codec.eval()
    phase.classifier.eval()
    return rows


def _tensors(phase: Phase) -> dict[str, torch.Tensor]:
    """All tensors of codec and classifier, by name."""
    found = {}
    for name, module in (("codec", phase.codec), ("classifier", phase.classifier)):
        found.update({f"{name}.{key}": one for key, one in module.state_dict().items()})
    return found


def _advance(
    phase: Phase, stock: Stock, step: int, optimiser: torch.optim.Adam, device: torch.device
) -> tuple[float, float, float, float]:
    """One step; returns bits a pixel, squared error, cross-entropy and share of errors."""
    training = phase.plan.training
    inputs, targets = stock.batch(step)
    images, targets = denormalise(inputs).to(device), targets.to(device)
    generator = torch.Generator(device).manual_seed(training.seed * _STREAM + step)
    mixed = training.precision == "mixed"
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        found = _Losses(phase, images, generator)
    entropy, error = torch.zeros(()), torch.zeros(())
    total = found.bits + phase.trade * found.distortion
    if found.logits is not None:
        entropy = functional.cross_entropy(found.logits.float(), targets)
        error = (found.logits.argmax(dim=1) != targets).float().mean()
        total = entropy if phase.name == "classifier" else phase.total(step, total, entropy)
    optimiser.zero_grad()
    total.backward()
    optimiser.step()
    return found.bits.item(), found.squares.item(), entropy.item(), error.item()


def conflict(phase: Phase, stock: Stock, batches: int = 8) -> dict[str, float]:
    """Measure how far the losses of a joint training pull the analysis apart, before its first step.

    Returns the norms of the gradients of the codec's loss and of the cross-entropy by the parameters of the
    analysis, means over batches, and the mean cosine between them.
    """
    device = device_of(phase.plan.training.device)
    parameters = list(phase.codec.analysis.parameters())
    found = []
    phase.classifier.eval()
    for number in range(batches):
        inputs, targets = stock.batch(number)
        losses = _Losses(
            phase, denormalise(inputs).to(device), torch.Generator(device).manual_seed(number)
        )
        assert losses.logits is not None
        pair = (
            losses.bits + phase.trade * losses.distortion,
            functional.cross_entropy(losses.logits, targets.to(device)),
        )
        codec, task = (
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(one, parameters, retain_graph=True)]
            )
            for one in pair
        )
        cosine = functional.cosine_similarity(codec, task, dim=0)
        found.append((codec.norm().item(), task.norm().item(), cosine.item()))
    codec_norm, task_norm, cosine_mean = np.mean(found, axis=0).tolist()
    return {"codec": codec_norm, "task": task_norm, "cosine": cosine_mean}
