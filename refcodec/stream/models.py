"""Constraints on model units (9.1, 9.7, 9.8, A.3), and on the parameter sets that name their models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, OrderError, StreamError
from refcodec.networks.network import IntegerNetwork
from refcodec.probability.hyperprior import HyperpriorModel, check_features
from refcodec.probability.model import EntropyModel
from refcodec.probability.store import ModelReference
from refcodec.registry import record_of
from refcodec.stream.limits import limits_of
from refcodec.syntax.bits import Element, Elements, Trace, position_of
from refcodec.syntax.codes import Profile
from refcodec.syntax.structures import (
    EntropyModelUnit,
    FeatureParameterSet,
    ModelUnit,
    NetworkModelUnit,
    StreamHeader,
)

__all__ = ["Models", "check_model_of", "check_model_unit", "model_of", "show_model"]

Rows = Iterator[tuple[str, npt.NDArray[np.int64]]]

Models = dict[int, ModelReference]
"""Models by model_id."""


@clause("9.7")
def check_model_unit(
    unit: ModelUnit, header: StreamHeader, models: Models, trace: Elements
) -> Violations:
    """(9.7) A model unit has a number of its own, and a model that agrees with itself and with the level."""

    def wrong(what: str, clause: str, requirement: str) -> ConstraintError:
        place = position_of(trace, "model_id")
        return ConstraintError(what, bit_offset=place, clause=clause, requirement=requirement)

    if header.profile_idc != Profile.LEARNED:
        yield wrong("only the learned profile has models of latents", "A.2", "9.7-1")
    if unit.model_id in models:
        yield wrong(f"model {unit.model_id} occurs a second time", "9.7", "9.7-2")
    limits = limits_of(header)
    if isinstance(unit, EntropyModelUnit):
        if unit.tables is not None:
            place = position_of(trace, "context_count_minus1")
            yield from EntropyModel.check(unit.tables, limits, place)
    elif unit.hyperprior is not None:
        yield from HyperpriorModel.check(unit.hyperprior, limits, position_of(trace, "mean_flag"))


def model_of(unit: ModelUnit, header: StreamHeader, trace: Elements) -> ModelReference:
    """The model of a unit in which `check_model_unit` finds nothing wrong.

    Raises PayloadError for its numbers, ConstraintError for sums that may overflow.
    """
    if unit.sha256 is not None:
        return ModelReference(None, unit.sha256, limits_of(header))
    if isinstance(unit, NetworkModelUnit):
        assert unit.hyperprior is not None
        return ModelReference(HyperpriorModel(unit.hyperprior, _places(trace)))
    assert unit.tables is not None
    try:
        return ModelReference(EntropyModel(unit.tables))
    except StreamError as error:
        error.bit_offset = position_of(trace, "coded_tables")
        raise


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
    if isinstance(unit, EntropyModelUnit):
        assert unit.tables is not None
        _show(trace, "", _rows_of_tables(EntropyModel(unit.tables)), "8.10.5")
        return
    assert unit.hyperprior is not None
    model = HyperpriorModel(unit.hyperprior, _places(trace))
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
    """(9.7, 9.8) The model that a parameter set names is there, and one of such features."""
    if not record_of(fps.coder_id).has_model or fps.model_id is None:
        return
    place = position_of(trace, "model_id")
    reference = models.get(fps.model_id)
    if reference is None:
        yield OrderError(
            f"entropy model {fps.model_id} is used before it occurs in the stream",
            bit_offset=place,
            clause="7.4",
            requirement="7.4-2",
        )
    elif isinstance(reference.model, HyperpriorModel):
        yield from check_features(reference.model.coded, fps, limits_of(header), place)
    elif reference.model is not None and reference.model.contexts not in (1, fps.channels):
        yield ConstraintError(
            f"model {fps.model_id} has {reference.model.contexts} contexts; "
            f"features of {fps.channels} channels need 1, or one for each",
            bit_offset=place,
            requirement="9.7-3",
        )
