"""The plan of a training, as its TOML file describes it: `refcodec.learn.reading` reads it.

Paths in it are relative to the data folder. The guide *Learn compressible features* describes the file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from refcodec.checked import data_path
from refcodec.learn.baselines import Baseline
from refcodec.learn.data import Augmentation, Data, open_data
from refcodec.learn.probes import Probe
from refcodec.learn.schedule import Schedule

__all__ = ["PRECISIONS", "BottleneckPlan", "DataPlan", "NetworkPlan", "Plan", "Run", "TrainingPlan"]

PRECISIONS: Final = ("float32", "mixed")

_IMMATERIAL: Final = (
    *("network.start", "network.weights", "bottleneck.lambdas", "bottleneck.refine"),
    *("training.seeds", "training.log_every", "training.checkpoint_every"),
)
"""Keys that trained weights do not depend on, or that a run has a value of; of weights the bytes count."""

_LATER: Final = (
    ("bottleneck", "weight_bits", 12),
    ("bottleneck", "value_bits", 14),
    ("training", "quantise_from", None),
)
"""Keys that plans did not always have, with what they were without them: it leaves a digest as it was."""


@dataclass(frozen=True)
class NetworkPlan:
    """A network and its layer: ``[network]``.

    model   : a name for `refcodec.models.load`, or ``package.module:factory``.
    layer   : the layer whose features are compressed.
    weights : path of its weights; None for random ones, by the seed of the run.
    start   : another plan, beside this one's file, whose first run leaves the weights to start from; None for
              none.
    train   : of `refcodec.learn.network.PARTS`.
    frozen  : layer up to which nothing is trained; None for none.
    """

    model: str
    layer: str
    weights: str | None = None
    start: str | None = None
    train: str = "all"
    frozen: str | None = None


@dataclass(frozen=True)
class DataPlan:
    """Training and test data: ``[data]``; see `refcodec.learn.data.open_data`.

    train, test         : paths.
    count, test_count   : numbers to take; None for all.
    size, enlarge       : side of images, and the side that they are cropped of.
    flip, pad           : see `refcodec.learn.data.Augmentation`.
    classes             : number of classes of records.
    """

    train: str
    test: str
    count: int | None = None
    test_count: int | None = None
    size: int = 32
    enlarge: int | None = None
    flip: bool = False
    pad: int = 0
    classes: int | None = None

    def open(self, path: Path, count: int | None, *, training: bool) -> Data:
        """Open training data, which are augmented, or test data. Raises CallerError."""
        return open_data(
            path,
            count=count,
            size=(self.size, self.size),
            enlarge=self.enlarge,
            augment=Augmentation(self.flip, self.pad) if training else Augmentation(),
            classes=self.classes,
        )


@dataclass(frozen=True)
class BottleneckPlan:
    """The bottleneck: ``[bottleneck]``.

    lambdas   : weights of the rate, in units of the loss a bit, a run each; 0 is the network without it.
    step      : initial steps, in standard deviations of each channel.
    widths    : hidden units of the densities.
    refine    : true to refine the frozen tables by counts of training features.
    analysis  : widths of layers before the rounding, see `refcodec.learn.bottleneck.layers`; () for none.
    synthesis : likewise after it; another layer follows, to the channels of the features.
    hyper     : widths of a hyper-analysis; ``analysis`` and ``synthesis`` are then as of
                `refcodec.learn.hyperprior.HyperpriorBottleneck`; () for the density of each channel alone.
    stride    : side of the blocks of a hyperprior's transform; ``step`` is then relative to the step that is
                best for lambda, if it is small.
    feature_weight : weight of the error of features, relative to their variance, beside the loss.
    weight_bits, value_bits : of the integer networks of a hyperprior, see `refcodec.learn.rounded.Widths`.
    """

    lambdas: tuple[float, ...] = (0.01,)
    step: float = 0.5
    widths: tuple[int, ...] = (3, 3, 3)
    refine: bool = True
    analysis: tuple[int, ...] = ()
    synthesis: tuple[int, ...] = ()
    hyper: tuple[int, ...] = ()
    stride: int = 2
    feature_weight: float = 0.0
    weight_bits: int = 12
    value_bits: int = 14


@dataclass(frozen=True)
class TrainingPlan:
    """The training itself: ``[training]``.

    loss             : of `refcodec.learn.losses.LOSSES`.
    steps, batch     : number of steps, and of inputs in each.
    rate             : initial learning rate of the network.
    density_rate     : that of the densities, and of the networks of a hyperprior; None for the same.
    step_rate        : that of the steps' logarithms; None for the same.
    schedule, decay, decay_every, warmup, lambda_ramp : see `refcodec.learn.schedule.Schedule`.
    weight_decay     : of the network's parameters.
    seeds            : a run each.
    quantise_from    : step from which on the networks of a hyperprior are rounded as their integers will be;
                       None for never.
    views            : augmented versions of each input, of which the outputs of a frozen part are kept.
    device           : ``cpu``, ``cuda``, or ``auto``.
    precision        : of `PRECISIONS`; ``mixed`` computes products in bfloat16.
    log_every        : steps between rows of the log.
    checkpoint_every : steps between checkpoints.
    """

    loss: str = "cross-entropy"
    steps: int = 1000
    batch: int = 128
    rate: float = 0.005
    density_rate: float | None = None
    step_rate: float | None = None
    schedule: str = "cosine"
    decay: float = 0.94
    decay_every: int = 1000
    warmup: int = 0
    lambda_ramp: int = 0
    weight_decay: float = 1e-4
    seeds: tuple[int, ...] = (0,)
    quantise_from: int | None = None
    views: int = 1
    device: str = "auto"
    precision: str = "float32"
    log_every: int = 50
    checkpoint_every: int = 500


@dataclass(frozen=True)
class Plan:
    """The content of a file.

    text      : the file itself, followed by the changes made on the command line.
    folder    : the data folder.
    start     : the plan whose weights this one starts from; None for none.
    baselines : ``[[baselines]]``: other ways to store the features of the runs without a bottleneck.
    probes    : ``[[probes]]``: other tasks, to try on stored features.
    """

    title: str
    network: NetworkPlan
    data: DataPlan
    bottleneck: BottleneckPlan
    training: TrainingPlan
    text: str
    folder: Path
    description: str = ""
    baselines: tuple[Baseline, ...] = field(default=())
    probes: tuple[Probe, ...] = field(default=())
    start: Plan | None = None

    def path(self, name: str) -> Path:
        """Resolve a path of the file, relative to the data folder. Raises CallerError."""
        return data_path(self.folder, name)

    def runs(self) -> list[Run]:
        """The runs: for each seed, one of each lambda."""
        return [
            Run(self, trade, seed)
            for seed in self.training.seeds
            for trade in self.bottleneck.lambdas
        ]


@dataclass(frozen=True)
class Run:
    """One training of a plan."""

    plan: Plan
    trade: float
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder: ``lambda-0.01-seed-0``."""
        return f"lambda-{self.trade:g}-seed-{self.seed}"

    @property
    def schedule(self) -> Schedule:
        """Learning rates and lambdas."""
        own = self.plan.training
        return Schedule(
            own.steps,
            own.rate,
            own.schedule,
            own.decay,
            own.decay_every,
            own.warmup,
            self.trade,
            own.lambda_ramp,
        )

    def digest(self) -> str:
        """Hash of everything that the trained weights depend on, but the data and torch."""
        plan, found = self.plan, hashlib.sha256()
        matters: dict[str, Any] = {"trade": self.trade, "seed": self.seed}
        for name in ("network", "data", "bottleneck", "training"):
            matters[name] = asdict(getattr(plan, name))
        for key in _IMMATERIAL:
            section, name = key.split(".")
            del matters[section][name]
        for section, name, default in _LATER:
            if matters[section][name] == default:
                del matters[section][name]
        found.update(json.dumps(matters, sort_keys=True).encode())
        if plan.network.weights is not None:
            found.update(plan.path(plan.network.weights).read_bytes())
        return found.hexdigest()
