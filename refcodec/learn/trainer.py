"""Training by equation 6 of Singh et al. (2020): the loss of the task, plus lambda times the rate.

A step depends on the state, the seed and its number, and on nothing before: shuffling, augmentation and
noise come from generators made anew for each. So a training that is continued from a checkpoint ends with the
same bits as one that was never interrupted.
"""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from refcodec.allocate.curvature import curvature_of
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.learn.bottleneck import Bottleneck, layers
from refcodec.learn.checkpoint import load_checkpoint, save_checkpoint
from refcodec.learn.data import Data
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.losses import LOSSES, relative_error
from refcodec.learn.network import Bottlenecked
from refcodec.learn.plan import Run
from refcodec.learn.rounded import Widths
from refcodec.learn.stock import Prepared, Stock, prepare
from refcodec.models import load

__all__ = ["Row", "Trainer", "device_of"]

_CURVED: Final = 8
"""Batches that the curvature of the loss is taken from."""

_CALIBRATED: Final = 32
"""Batches that a hyperprior's transform is taken from."""

_MODEL: Final = ("density", "hyper_analysis", "hyper_synthesis")
"""Parts of a bottleneck that tell the probabilities of what is stored."""

_STREAM: Final = 1_000_003
"""Distance of the seeds of noise of two seeds of runs."""


@dataclass(frozen=True)
class Row:
    """Means over the steps since the row before: a row of the log.

    step          : number of steps done.
    learning_rate : of the last of them; ``trade`` is its lambda.
    loss          : of the task, without the rate.
    bits          : estimated bits of a feature.
    error         : of the training batches, as `refcodec.learn.losses.Loss` measures it.
    """

    step: int
    learning_rate: float
    trade: float
    loss: float
    bits: float
    error: float


class Trainer:
    """A training of one run.

    run      : what to train, and how.
    data     : training data.
    prepared : outputs of the frozen part for these data, by `refcodec.learn.stock.prepare`; None computes
               them, if there is one.

    Attributes: ``network``, a `refcodec.learn.network.Bottlenecked`; ``step``, the number of steps done;
    ``rows``, the log;
    ``prepared``; ``teacher``, the network as it was before training, if the loss is taken against its outputs
    and training changes it.

    Raises CallerError for what does not fit together; EnvironmentFault without the device.
    """

    def __init__(self, run: Run, data: Data, prepared: Prepared | None = None) -> None:
        plan = run.plan
        self.run, self.step, self.rows = run, 0, list[Row]()
        self.device = device_of(plan.training.device)
        self.loss = LOSSES[plan.training.loss]
        self.network = _network(run, data.shape, self.device)
        changes = self.loss.targets == "outputs" and any(True for _ in self.network.trained())
        self.teacher = self._copy() if changes else None
        if self.network.prefix is not None and prepared is None:
            prepared = prepare(data, self._prefix, plan.training.views)
        self.prepared = prepared
        self._stock = Stock(data, plan.training.batch, run.seed, prepared)
        self.optimiser = self._optimiser()
        self._sums: list[tuple[float, float, float]] = []
        if self.network.bottleneck is not None:
            self._calibrate(self.network.bottleneck)

    def _calibrate(self, bottleneck: Bottleneck | HyperpriorBottleneck) -> None:
        """Give the bottleneck the parameters that training starts with."""
        own = self.run.plan.bottleneck
        self.network.set_training(False)
        if isinstance(bottleneck, Bottleneck):
            bottleneck.calibrate(self._features(0), own.step)
            return
        batches = [self._features(number) for number in range(_CALIBRATED)]
        curvature = curvature_of(
            self.network.cut,
            batches[:_CURVED],
            own.stride,
            feature_weight=own.feature_weight,
        )
        # For small steps a bit less costs step^2 / 6 * ln 2 of the loss: at the best step that is lambda.
        best = math.sqrt(6 * self.run.trade / math.log(2))
        bottleneck.calibrate(torch.cat(batches), own.step * best, curvature)

    @torch.no_grad()
    def _features(self, number: int) -> torch.Tensor:
        """The features of a batch."""
        return self.network.features(self._stock.batch(number)[0].to(self.device))

    def _copy(self) -> Bottlenecked:
        """The network as it is before training, without a bottleneck."""
        own = self.run.plan.network
        module = copy.deepcopy(self.network.module)
        layer, frozen = self.network.cut.module_name, self.network.frozen
        found = Bottlenecked(
            module, layer, self.network.cut.input_shape, None, train=own.train, frozen=frozen
        )
        found.set_training(False)
        return found

    def _optimiser(self) -> torch.optim.Adam:
        training = self.run.plan.training
        groups: list[dict[str, Any]] = []
        if network := list(self.network.trained()):
            groups.append({"params": network, "weight_decay": training.weight_decay, "scale": 1.0})
        if self.network.bottleneck is not None:
            bottleneck = self.network.bottleneck
            rates = {
                "log_steps": training.step_rate,
                **dict.fromkeys(_MODEL, training.density_rate),
            }
            by_rate = defaultdict[float, list[torch.nn.Parameter]](list)
            for name, parameter in bottleneck.named_parameters():
                rate = rates.get(name.partition(".")[0]) or training.rate
                by_rate[rate / training.rate].append(parameter)
            groups += [{"params": own, "scale": scale} for scale, own in by_rate.items()]
        if not groups:
            raise CallerError("there is nothing to train", hint="train more of the network")
        return torch.optim.Adam(groups, lr=training.rate)

    def _prefix(self, inputs: torch.Tensor) -> torch.Tensor:
        self.network.set_training(False)
        with torch.no_grad(), self._precision():
            return self.network.prepare(inputs.to(self.device)).cpu()

    def _precision(self) -> torch.autocast:
        mixed = self.run.plan.training.precision == "mixed"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=mixed)

    # --- steps -------------------------------------------------------------------------------------

    def advance(self) -> Row | None:
        """Do one step; returns a row if one is due."""
        training, schedule = self.run.plan.training, self.run.schedule
        inputs, targets = self._stock.batch(self.step)
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        generator = torch.Generator(self.device).manual_seed(self.run.seed * _STREAM + self.step)
        torch.manual_seed(self.run.seed * _STREAM + self.step)  # of dropout
        rate, trade = schedule.learning_rate(self.step), schedule.lambda_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]

        def noise(shape: torch.Size) -> torch.Tensor:
            return torch.rand(shape, generator=generator, device=self.device) - 0.5

        self.network.set_training(True)
        self._round()
        with self._precision():
            passed = self.network.forward(inputs, noise)
        outputs, bits = passed.outputs.float(), passed.bits
        reference = self.reference(inputs, passed.features)
        targets = targets if reference is None else reference
        loss = self.loss.value(outputs, targets)
        total = loss + trade * bits.mean()
        if weight := self.run.plan.bottleneck.feature_weight:
            total = total + weight * relative_error(passed.values, passed.features)
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            error = self.loss.error(outputs, targets).mean()
        self._sums.append((loss.item(), bits.mean().item(), error.item()))
        if not np.isfinite(self._sums[-1]).all():
            raise CallerError(
                f"the loss of step {self.step} is not finite",
                hint="lower the learning rate, or raise lambda more slowly",
            )
        if self.step % training.log_every and self.step < training.steps:
            return None
        means = np.mean(self._sums, axis=0)
        self._sums.clear()
        row = Row(self.step, rate, trade, *(float(one) for one in means))
        self.rows.append(row)
        return row

    def _round(self) -> None:
        """Round the networks that become integers, from the step on that the plan names."""
        plan, bottleneck = self.run.plan, self.network.bottleneck
        first = plan.training.quantise_from
        if (
            first is not None
            and self.step >= first
            and isinstance(bottleneck, HyperpriorBottleneck)
        ):
            bottleneck.widths = Widths(plan.bottleneck.weight_bits, plan.bottleneck.value_bits)

    @torch.no_grad()
    def reference(self, inputs: torch.Tensor, features: torch.Tensor) -> torch.Tensor | None:
        """Outputs of the network as it was before training; None if the loss does not ask for them.

        inputs, features : as `refcodec.learn.network.Bottlenecked.forward` takes and returns them.
        """
        if self.loss.targets != "outputs":
            return None
        with self._precision():
            if self.teacher is None:
                return self.network.cut.tail(features).float()
            return self.teacher.forward(inputs).outputs.float()

    def train(
        self,
        checkpoint: Path,
        report: Callable[[Row, float], None],
        *,
        until: int | None = None,
    ) -> None:
        """Do the steps that are left, and leave checkpoints.

        checkpoint : file to write.
        report     : called with each row of the log, and the seconds left.
        until      : number of steps to stop after; None for all.
        """
        training = self.run.plan.training
        first, began = self.step, time.monotonic()
        with _reproducible(self.device):
            while self.step < (training.steps if until is None else until):
                row = self.advance()
                if row is not None:
                    pace = (time.monotonic() - began) / (self.step - first)
                    report(row, pace * (training.steps - self.step))
                if self.step % training.checkpoint_every == 0 or self.step == training.steps:
                    self.save(checkpoint)
        self.network.set_training(False)
        if isinstance(self.network.bottleneck, HyperpriorBottleneck):
            self.network.bottleneck.widths = None

    # --- checkpoints -------------------------------------------------------------------------------

    def tensors(self) -> dict[str, torch.Tensor]:
        """All parameters and statistics of the network, and those of the bottleneck."""
        found = {f"network.{name}": one for name, one in self.network.module.state_dict().items()}
        if self.network.bottleneck is not None:
            own = self.network.bottleneck.state_dict()
            found.update({f"bottleneck.{name}": one for name, one in own.items()})
        return found

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        facts = {
            "digest": self.run.digest(),
            "step": self.step,
            "rows": [asdict(row) for row in self.rows],
            "sums": self._sums,
        }
        save_checkpoint(path, self.tensors(), self.optimiser, facts)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint. Raises CallerError if it is of another training."""
        tensors, facts = load_checkpoint(path, self.optimiser)
        if facts.get("digest") != self.run.digest():
            raise CallerError(
                f"{path} is a checkpoint of another configuration",
                hint="give another --output, or remove it to start again",
            )
        own = self.tensors()
        if own.keys() != tensors.keys():
            raise CallerError(f"{path} is a checkpoint of another network")
        with torch.no_grad():
            for name, value in tensors.items():
                own[name].copy_(value)
        self.step, self._sums = facts["step"], [tuple(one) for one in facts["sums"]]
        self.rows = [Row(**row) for row in facts["rows"]]
        self.network.set_training(False)


def _network(run: Run, shape: tuple[int, ...], device: torch.device) -> Bottlenecked:
    """The network of a run, with a bottleneck unless lambda is 0."""
    own = run.plan.network
    weights = None if own.weights is None else run.plan.path(own.weights)
    found = load(own.model, weights, seed=run.seed)
    layer = found.layers.get(own.layer, own.layer)
    frozen = None if own.frozen is None else found.layers.get(own.frozen, own.frozen)
    module = found.module.to(device)
    if len(shape) == 3:
        module = module.to(memory_format=torch.channels_last)
    network = Bottlenecked(module, layer, shape, None, train=own.train, frozen=frozen)
    if run.trade > 0:
        network.bottleneck = _bottleneck(run, network.cut.feature_shape).to(device)
    return network


def _bottleneck(run: Run, shape: tuple[int, ...]) -> Bottleneck | HyperpriorBottleneck:
    """The bottleneck of a run, for features of a shape."""
    own, seed, maps = run.plan.bottleneck, run.seed, len(shape) == 3
    if own.hyper:
        *before, latents = own.analysis
        return HyperpriorBottleneck(
            shape,
            latents=latents,
            analysis=before,
            synthesis=own.synthesis,
            stride=own.stride,
            hyper=own.hyper,
            seed=seed,
        )
    if not own.analysis:
        return Bottleneck(shape[0], widths=own.widths, seed=seed)
    stored = own.analysis[-1]
    return Bottleneck(
        stored,
        widths=own.widths,
        seed=seed,
        analysis=layers(shape[0], own.analysis, maps=maps, seed=seed),
        synthesis=layers(stored, (*own.synthesis, shape[0]), maps=maps, seed=seed + 1),
    )


def device_of(name: str) -> torch.device:
    """The device of a name; ``auto`` is ``cuda`` where there is one. Raises EnvironmentFault."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise EnvironmentFault("there is no CUDA device", hint="set training.device=cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Have torch take deterministic algorithms alone, and leave its generator as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(before)
