"""Reading of the plan of a training from a TOML file, with an error for everything not understood."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from refcodec.checked import Table, instead, read_toml
from refcodec.errors import CallerError
from refcodec.learn.baselines import read_baseline
from refcodec.learn.losses import LOSSES
from refcodec.learn.network import PARTS
from refcodec.learn.plan import (
    PRECISIONS,
    BottleneckPlan,
    DataPlan,
    NetworkPlan,
    Plan,
    TrainingPlan,
)
from refcodec.learn.probes import read_probe
from refcodec.learn.schedule import SHAPES

__all__ = ["read", "section"]

Section = TypeVar("Section")

_KINDS: dict[str, Any] = {
    "str": str,
    "str | None": str,
    "int": int,
    "int | None": int,
    "bool": bool,
    "float": (int, float),
    "float | None": (int, float),
}
"""Types of values in the file, by the annotations of the fields."""

_ZERO_ALLOWED = (
    *("pad", "seed", "warmup", "lambda_ramp", "weight_decay", "decay"),
    *("alternate", "quantise_from"),
)


def read(path: Path, *, data: Path | None = None, changes: Iterable[str] = ()) -> Plan:
    """Read a plan; arguments as of `refcodec.checked.read_toml`.

    Raises CallerError if the file cannot be read, is not TOML, or has keys or values that are not known.
    """
    found, text, folder = read_toml(path, data=data, changes=changes)
    table = Table("the plan", found)
    plan = Plan(
        table.take("title", str),
        section(table, "network", NetworkPlan),
        section(table, "data", DataPlan),
        _bottleneck(Table("[bottleneck]", table.take("bottleneck", dict, {}))),
        section(table, "training", TrainingPlan),
        text,
        folder,
        table.take("description", str, "").strip(),
        tuple(
            read_baseline(Table(f"[[baselines]], number {number},", one))
            for number, one in enumerate(table.take("baselines", list, []), 1)
        ),
        tuple(
            read_probe(Table(f"[[probes]], number {number},", one))
            for number, one in enumerate(table.take("probes", list, []), 1)
        ),
    )
    table.finish()
    _check(plan)
    return replace(plan, start=_start(plan, path, data)) if plan.network.start else plan


def _start(plan: Plan, path: Path, data: Path | None) -> Plan:
    """The plan whose weights another one starts from."""
    assert plan.network.start is not None
    beside = path.parent / plan.network.start
    if plan.network.weights is not None:
        raise CallerError(f"{path} names both weights and a start", hint="leave one of them out")
    if beside.resolve() == path.resolve():
        raise CallerError(f"{path} names itself as its start")
    start = read(beside, data=data)
    if start.start is not None:
        raise CallerError(f"{beside}, from which {path} starts, has a start, too")
    return start


def section(table: Table, name: str, kind: type[Section]) -> Section:
    """A section whose keys are the fields of a dataclass."""
    own, values = Table(f"[{name}]", table.take(name, dict, {})), dict[str, Any]()
    for one in fields(kind):  # type: ignore[arg-type]
        default = () if one.default is MISSING else (one.default,)
        if str(one.type) == "tuple[int, ...]":
            values[one.name] = _whole(own, one.name, one.default)
        elif str(one.type) == "tuple[float, ...]":
            values[one.name] = own.numbers(one.name, *default)
        else:
            values[one.name] = own.take(one.name, _KINDS[str(one.type)], *default)
    own.finish()
    for key, value in values.items():
        least = 0 if key in _ZERO_ALLOWED else 1 if _is_whole(value) else 1e-12
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value < least:
            raise CallerError(
                f"{key!r} of [{name}] is {value}; it is {'0' if least == 0 else 'above 0'} "
                f"{'or more' if least == 0 else ''}".rstrip()
            )
    return kind(**values)


def _bottleneck(table: Table) -> BottleneckPlan:
    default = BottleneckPlan()
    said = table.take("lambda", (int, float, list), list(default.lambdas))
    said = said if isinstance(said, list) else [said]
    lambdas = Table(table.where, {"lambda": said}).numbers("lambda", ())
    if not lambdas or not all(0 <= one < math.inf for one in lambdas):
        raise CallerError(
            f"'lambda' of {table.where} is {said}; it is 0 or more, or a list of such numbers"
        )
    plan = BottleneckPlan(
        tuple(dict.fromkeys(lambdas)),
        float(table.take("step", (int, float), default.step)),
        _whole(table, "widths", default.widths),
        table.take("refine", bool, default.refine),
        _whole(table, "analysis", default.analysis),
        _whole(table, "synthesis", default.synthesis),
        _whole(table, "hyper", default.hyper),
        table.take("stride", int, default.stride),
        float(table.take("feature_weight", (int, float), default.feature_weight)),
        table.take("weight_bits", int, default.weight_bits),
        table.take("value_bits", int, default.value_bits),
    )
    table.finish()
    if plan.synthesis and not plan.analysis:
        raise CallerError(f"{table.where} has a synthesis, and that needs an analysis")
    if plan.hyper and not plan.analysis:
        raise CallerError(
            f"{table.where} has a hyperprior; the last width of its analysis is that of latents"
        )
    if plan.stride != default.stride and not plan.hyper:
        raise CallerError(f"'stride' of {table.where} is that of a hyperprior; give 'hyper', too")
    for name in ("weight_bits", "value_bits"):
        bits = getattr(plan, name)
        if not 2 <= bits <= 16:
            raise CallerError(f"{name!r} of {table.where} is {bits}; it is 2 to 16")
        if bits != getattr(default, name) and not plan.hyper:
            raise CallerError(f"{name!r} of {table.where} is of the networks of a hyperprior")
    if not 0 <= plan.feature_weight < math.inf:
        raise CallerError(
            f"'feature_weight' of {table.where} is {plan.feature_weight}; it is 0 or more"
        )
    if not 0 < plan.step < math.inf:
        raise CallerError(f"'step' of {table.where} is {plan.step}; it is above 0")
    return plan


def _whole(table: Table, key: str, default: Any) -> tuple[int, ...]:
    """A list of whole numbers; of seeds from 0 on, of widths from 1 on."""
    found, least = table.take(key, list, list(default)), 0 if key == "seeds" else 1
    if not (found or not default) or not all(_is_whole(one) and one >= least for one in found):
        raise CallerError(
            f"{key!r} of {table.where} is {found!r}; it is a list of whole numbers from {least} on"
        )
    return tuple(dict.fromkeys(found)) if key == "seeds" else tuple(found)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(plan: Plan) -> None:
    """Raise CallerError for values that are not known, and for sections that do not fit each other."""
    training = plan.training
    for section, key, value, known in (
        ("training", "loss", training.loss, LOSSES),
        ("training", "schedule", training.schedule, SHAPES),
        ("training", "precision", training.precision, PRECISIONS),
        ("training", "device", training.device, ("auto", "cpu", "cuda")),
        ("network", "train", plan.network.train, PARTS),
    ):
        if value not in known:
            raise CallerError(f"{key!r} of [{section}] is {value!r}{instead(value, known)}")
    if training.quantise_from is not None and not (
        plan.bottleneck.hyper and training.quantise_from < training.steps
    ):
        raise CallerError(
            f"'quantise_from' of [training] is {training.quantise_from}; it is a step of the training of a "
            "hyperprior, which has networks that become integers"
        )
    if plan.baselines and 0 not in plan.bottleneck.lambdas:
        raise CallerError(
            "[[baselines]] store the features of the network without a bottleneck, which is not trained",
            hint="put 0 among the values of lambda",
        )
    if training.views > 1 and plan.network.frozen is None:
        raise CallerError(
            "'views' of [training] are versions of inputs to a frozen part, and nothing is frozen",
            hint="name the layer in 'frozen' of [network]",
        )
