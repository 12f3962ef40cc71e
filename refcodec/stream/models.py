"""Constraints on model units (9.1, 9.7 to 9.9, 9.12, A.3), and on parameter sets that name their models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.contexts import ContextModel, states_of, weights_of
from refcodec.errors import ConstraintError, OrderError, StreamError
from refcodec.networks.network import IntegerNetwork
from refcodec.probability.hyperprior import HyperpriorModel, check_features
from refcodec.probability.kinds import Model, kind_of
from refcodec.probability.model import EntropyModel
from refcodec.probability.store import ModelReference
from refcodec.registry import CODERS
from refcodec.stored_model import StoredModel
from refcodec.stream.limits import limits_of
from refcodec.syntax.bits import Element, Elements, Trace, position_of
from refcodec.syntax.codes import Profile, Quantiser
from refcodec.syntax.structures import (
    ChannelTransformUnit,
    ContextModelUnit,
    FeatureParameterSet,
    ModelUnit,
    StreamHeader,
)
from refcodec.tables.families import FAMILIES
from refcodec.transform.channel import ChannelTransform

__all__ = ["Models", "check_model_of", "check_model_unit", "model_of", "show_model"]

Rows = Iterator[tuple[str, npt.NDArray[np.int64]]]

Models = dict[int, ModelReference]
"""Models by model_id."""

_FIRST: dict[type[StoredModel], str] = {
    EntropyModel: "context_count_minus1",
    HyperpriorModel: "mean_flag",
    ChannelTransform: "group_count_minus1",
    ContextModel: "weights_change_flag",
}
"""First element of each kind of model."""

_TRANSFORM_PROFILES = frozenset(
    profile
    for one in CODERS.values()
    if Quantiser.TRANSFORM in one.quantisers
    for profile in one.profiles
)


@clause("9.7")
def check_model_unit(
    unit: ModelUnit, header: StreamHeader, models: Models, trace: Elements
) -> Violations:
    """(9.7) A model unit has a number of its own, and a model that agrees with itself and with the level."""

    def wrong(what: str, clause: str, requirement: str) -> ConstraintError:
        place = position_of(trace, "model_id")
        return ConstraintError(what, bit_offset=place, clause=clause, requirement=requirement)

    if isinstance(unit, ChannelTransformUnit):
        if header.profile_idc not in _TRANSFORM_PROFILES:
            name = header.profile_idc.name.lower()
            yield wrong(f"the profile {name} has no transforms over channels", "A.2", "9.9-1")
    elif isinstance(unit, ContextModelUnit):
        if header.profile_idc != Profile.NATIVE:
            name = header.profile_idc.name.lower()
            yield wrong(f"the profile {name} has no context models", "A.2", "9.12-1")
    elif header.profile_idc != Profile.LEARNED:
        yield wrong("only the learned profile has models of latents", "A.2", "9.7-1")
    if unit.model_id in models:
        yield wrong(f"model {unit.model_id} occurs a second time", "9.7", "9.7-2")
    kind = kind_of(unit)
    if unit[kind.element] is not None:
        place = position_of(trace, _FIRST[kind])
        yield from kind.check(unit[kind.element], limits_of(header), place)


def model_of(unit: ModelUnit, header: StreamHeader, trace: Elements) -> ModelReference:
    """The model of a unit in which `check_model_unit` finds nothing wrong.

    Raises PayloadError for its numbers, ConstraintError for sums that may overflow.
    """
    if unit.sha256 is not None:
        return ModelReference(None, unit.sha256, limits_of(header))
    return ModelReference(_held(unit, trace))


def _held(unit: ModelUnit, trace: Elements) -> Model:
    """The model that a unit holds. Raises StreamError with the position of its numbers."""
    kind = kind_of(unit)
    if kind is HyperpriorModel:
        return HyperpriorModel(unit[kind.element], _places(trace))
    try:
        found: Model = kind(unit[kind.element])  # type: ignore[assignment]  # of a class of Model
    except StreamError as error:
        last = trace[-1]  # of a unit that is whole: its numbers
        error.bit_offset = last.offset
        raise
    return found


def _places(trace: Elements) -> dict[str, int]:
    """The positions of the numbers of the parts of a hyperprior, by their names."""
    return {
        element.path.split(".")[-2]: element.offset
        for element in trace
        if element.name in ("coded_tables", "coded_weights")
    }


def show_model(unit: ModelUnit, header: StreamHeader, trace: Trace) -> None:
    """Add rows to a trace: the numbers that the elements ``coded_tables`` and ``coded_weights`` hold.

    They have no bits of their own: they follow the element, and stand at its first bit. Of tables, these are
    the table and the base of each context, and the frequencies of each table; of networks, the multipliers,
    biases and weights of each layer, and the bound of its sums.

    Raises UnsupportedError, ConstraintError, PayloadError.
    """
    if unit.sha256 is not None:
        return
    for error in check_model_unit(unit, header, {}, trace):
        raise error
    model = _held(unit, trace)
    if isinstance(model, EntropyModel):
        _show(trace, "", _rows_of_tables(model), "8.10.5")
    elif isinstance(model, ChannelTransform):
        _show(trace, "", _rows_of_transform(model), "8.6.7")
    elif isinstance(model, ContextModel):
        _show(trace, "", _rows_of_contexts(model), "8.3.14.2")
    else:
        for name, network in model.networks.items():
            _show(trace, f"{name}.coded_weights", _rows_of_network(network), "8.11.3")
        _show(trace, "tables.coded_tables", _rows_of_tables(model.hyper_model), "8.10.5")


def _rows_of_tables(model: EntropyModel) -> Rows:
    """The contexts and the tables of an entropy model."""
    tables, table_of, base = model.distributions
    yield "entropy_model.context_table", table_of.astype(np.int64)
    yield "entropy_model.context_base", base
    for number in range(len(tables.values)):
        begin, end = int(tables.begin[number]), int(tables.begin[number + 1])
        yield f"entropy_model.table[{number}]", np.diff(tables.bounds[begin:end]).astype(np.int64)


def _rows_of_network(network: IntegerNetwork) -> Rows:
    """The numbers of each layer of a network, and the bound of its sums."""
    for number, (own, bound) in enumerate(zip(network.numbers, network.bounds, strict=True)):
        layer = f"network.layer[{number}]"
        yield f"{layer}.multipliers", own.multipliers
        yield f"{layer}.biases", own.biases
        yield f"{layer}.weights", own.weights.reshape(-1).astype(np.int64)
        yield f"{layer}.bound", np.array([bound])


def _rows_of_transform(transform: ChannelTransform) -> Rows:
    """The weights of each group of a transform, coefficient by coefficient, not shifted."""
    for number, own in enumerate(transform.numbers):
        yield f"transform.group[{number}].weights", own.reshape(-1).astype(np.int64)


def _rows_of_contexts(model: ContextModel) -> Rows:
    """The changes of a context model, of the weights and states of each family that has any, not shifted."""
    changes = model.changes
    for (name, family), weights, states in zip(
        FAMILIES.items(),
        model.coded.weights_change_flag,
        model.coded.states_change_flag,
        strict=True,
    ):
        if weights:
            own = changes.weights[weights_of(family)]
            yield f"context_model.{name}.weights", own.astype(np.int64)
        if states:
            yield f"context_model.{name}.states", changes.states[states_of(family)].astype(np.int64)


def _show(trace: Trace, path: str, rows: Rows, clause_number: str) -> None:
    """Insert rows after the last element whose path ends so."""
    at = max(i for i, element in enumerate(trace) if element.path.endswith(path))
    place = trace[at].offset
    trace[at + 1 : at + 1] = [
        Element(name, "ae", place, 0, value, clause_number) for name, value in rows
    ]


@clause("9.7")
def check_model_of(
    fps: FeatureParameterSet, models: Models, header: StreamHeader, trace: Elements
) -> Violations:
    """(9.7, 9.8, 9.9, 9.12) The models that a parameter set names are there, and of such features."""
    for number, name, check in (
        (fps.model_id, "model_id", _check_model),
        (fps.context_model_id, "context_model_id", _check_contexts),
    ):
        if number is None:
            continue
        place = position_of(trace, name)
        reference = models.get(number)
        if reference is None:
            yield OrderError(
                f"model {number} is used before it occurs in the stream",
                bit_offset=place,
                clause="7.4",
                requirement="7.4-2",
            )
        elif reference.model is not None:
            yield from check(reference.model, fps, header, place)


def _check_model(
    model: Model, fps: FeatureParameterSet, header: StreamHeader, place: int | None
) -> Violations:
    """The model that model_id names is one of such features."""
    if isinstance(model, ContextModel):
        yield ConstraintError(
            f"model {fps.model_id} is a context model; the quantiser transform needs a transform",
            bit_offset=place,
            requirement="9.9-5",
        )
    elif isinstance(model, ChannelTransform):
        yield from model.check_features(fps, place)
    elif isinstance(model, HyperpriorModel):
        yield from check_features(model.coded, fps, limits_of(header), place)
    elif model.contexts not in (1, fps.channels):
        yield ConstraintError(
            f"model {fps.model_id} has {model.contexts} contexts; "
            f"features of {fps.channels} channels need 1, or one for each",
            bit_offset=place,
            requirement="9.7-3",
        )


def _check_contexts(
    model: Model, fps: FeatureParameterSet, header: StreamHeader, place: int | None
) -> Violations:
    """The model that context_model_id names is a context model."""
    if not isinstance(model, ContextModel):
        yield ConstraintError(
            f"model {fps.context_model_id} is no context model",
            bit_offset=place,
            requirement="9.12-2",
        )
