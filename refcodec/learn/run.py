"""The runs of a plan: each is trained, measured, and left in a folder of its own.

Its files::

weights.safetensors     the network's parameters; `refcodec.models.load` reads them
model.dfcm              the entropy model
analysis.safetensors    the encoder's transforms, under a hyperprior
features.dfc            the test features, each of which can be decoded alone
joint.dfc               the test features, coded together in units; not under a hyperprior
log.csv, log.png        the log, a `refcodec.learn.trainer.Row` a line, and its plot
result.json             sizes, errors, probes
before.json             sizes and quality at the step from which on networks were rounded
checkpoint.safetensors  the state of the training
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save

from refcodec.errors import CallerError
from refcodec.files import atomic_file, json_value, storage_error
from refcodec.learn.baselines import Known
from refcodec.learn.data import Data
from refcodec.learn.losses import LOSSES
from refcodec.learn.measure import Seen, collect, error_of, measure_baseline, probe, see
from refcodec.learn.plan import Plan, Run
from refcodec.learn.stock import Prepared
from refcodec.learn.storing import store
from refcodec.learn.trainer import Row, Trainer

__all__ = ["Session", "load_result"]

_FROZEN_ON: Final = 10_000
"""Most training data that tables, ranges and principal components are taken from."""

_CONVERTED_ON: Final = 2_000
"""The same under a hyperprior, whose maps are large."""

_COMPARED: Final = ("bytes", "output_snr", "feature_snr", "floats")
"""Measures of a run before its networks were rounded in training, and at its end."""

Report = Callable[[Run, Row, float], None]
"""Called with a run, each row of its log, and the seconds left."""


class Session:
    """The runs of a plan, and the data that they share.

    plan   : what to train.
    output : folder for the results, with a folder for each run.
    """

    def __init__(self, plan: Plan, output: Path) -> None:
        self.plan, self.output = plan, output
        self._prepared: dict[int | None, Prepared | None] = {}
        self._seen: dict[str, list[Seen]] = {}
        self.training = self._open(plan.data.train, plan.data.count, training=True)
        self.test = self._open(plan.data.test, plan.data.test_count, training=False)
        if self.training.shape != self.test.shape:
            raise CallerError(
                f"training data are {self.training.shape} and test data {self.test.shape}"
            )
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, output) from None
        _write(output / "config.toml", plan.text.encode())

    def _open(self, source: str, count: int | None, *, training: bool) -> Data:
        return self.plan.data.open(self.plan.path(source), count, training=training)

    def begin(self, report: Report) -> None:
        """Train the plan that this one starts from, unless it has been; `plan` then has its weights.

        Its results are beside the output, in a folder named after its file.
        """
        start, name = self.plan.start, self.plan.network.start
        if start is None or name is None:
            return
        session = Session(start, self.output.absolute().parent / f"{Path(name).stem}-results")
        run = start.runs()[0]
        if load_result(run, session.folder(run)) is None:
            session.train(run, report)
        weights = str(session.folder(run) / "weights.safetensors")
        self.plan = replace(self.plan, network=replace(self.plan.network, weights=weights))

    def folder(self, run: Run) -> Path:
        """The folder of a run."""
        return self.output / run.name

    def train(self, run: Run, report: Report) -> dict[str, Any]:
        """Train and measure a run, or go on where it was interrupted; returns its result.

        Raises CallerError if the folder holds a training of another configuration.
        """
        folder = self.folder(run)
        folder.mkdir(exist_ok=True)
        key = run.seed if self.plan.network.weights is None else None
        trainer = Trainer(run, self.training, self._prepared.get(key))
        self._prepared[key] = trainer.prepared
        checkpoint = folder / "checkpoint.safetensors"
        if checkpoint.exists():
            trainer.resume(checkpoint)
        before = self._train(trainer, checkpoint, lambda row, left: report(run, row, left))
        _write_log(trainer.rows, folder, LOSSES[self.plan.training.loss].measures)
        state = trainer.network.module.state_dict()
        weights = {name: one.cpu().contiguous() for name, one in state.items()}
        _write(folder / "weights.safetensors", save(weights))
        result = {"digest": run.digest(), "lambda": run.trade, "seed": run.seed}
        result |= self._measure(trainer) | before
        _write(folder / "result.json", json.dumps(json_value(result), indent=1).encode())
        return result

    def _train(
        self, trainer: Trainer, checkpoint: Path, report: Callable[[Row, float], None]
    ) -> dict[str, Any]:
        """Do the steps of a run; returns what was measured before its networks were rounded, if they are."""
        first = self.plan.training.quantise_from
        kept = checkpoint.with_name("before.json")
        before: dict[str, Any] = {}
        if first is not None:
            if trainer.step <= first:
                trainer.train(checkpoint, report, until=first)
                found = self._measure(trainer)
                own = {name: found[name] for name in _COMPARED}
                _write(kept, json.dumps(json_value(own), indent=1).encode())
            before = {"before_rounding": json.loads(kept.read_text(encoding="utf-8"))}
        trainer.train(checkpoint, report)
        return before

    def _measure(self, trainer: Trainer) -> dict[str, Any]:
        plan, network, loss = self.plan, trainer.network, trainer.loss
        asked: Any = {"with_inputs": bool(plan.probes), "reference": trainer.reference}
        training = collect(network, self._see(trainer, "training"), **asked)
        test = collect(network, self._see(trainer, "test"), **asked)
        found: dict[str, Any] = {
            "measures": loss.measures,
            "count": len(test.features),
            "shape": list(test.features.shape[1:]),
        }
        decoded = training.features, test.features
        if network.bottleneck is not None:
            more, decoded = store(
                network, training, test, self.folder(trainer.run), plan.bottleneck
            )
            found |= more
        elif plan.baselines:
            known = Known(training.features)
            found["baselines"] = [
                point
                for one in plan.baselines
                for point in measure_baseline(one, network, test, known, loss)
            ]
        for name, part, features in zip(
            ("training_error", "error"), (training, test), decoded, strict=True
        ):
            found[name] = error_of(network, features, part.targets, loss)
        found["probes"] = {
            one.name: probe(one, (training, decoded[0]), (test, decoded[1]), self.training.classes)
            for one in plan.probes
        }
        return found

    def _see(self, trainer: Trainer, part: str) -> Iterable[Seen]:
        """Batches of training or test data, kept for other runs if they have passed the same frozen part."""
        most = _CONVERTED_ON if self.plan.bottleneck.hyper else _FROZEN_ON
        data, count = (self.training, most) if part == "training" else (self.test, None)
        batches = see(trainer.network, data, count)
        if trainer.prepared is None or self.plan.network.weights is None:
            return batches
        if part not in self._seen:
            self._seen[part] = list(batches)
        return self._seen[part]


def load_result(run: Run, folder: Path) -> dict[str, Any] | None:
    """The result of a run in its folder; None if it is not there, or of another configuration."""
    try:
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("digest") == run.digest()
    return found if same else None


def _write(path: Path, data: bytes) -> None:
    with atomic_file(path) as file:
        file.write(data)


def _write_log(rows: list[Row], folder: Path, measures: str) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, [one.name for one in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    _write(folder / "log.csv", text.getvalue().encode())
    from refcodec.learn.plots import draw_log

    _write(folder / "log.png", draw_log(rows, measures))
