"""Constraints on entropy model units (9.1, 9.7, A.3), and on the parameter sets that name their models."""

from __future__ import annotations

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, OrderError, StreamError
from refcodec.probability.coding import check_model_limits
from refcodec.probability.model import EntropyModel
from refcodec.probability.store import ModelReference
from refcodec.registry import record_of
from refcodec.stream.limits import limits_of
from refcodec.syntax.bits import Element, Trace, position_of
from refcodec.syntax.codes import Profile
from refcodec.syntax.structures import (
    EntropyModelUnit,
    EntropyTables,
    FeatureParameterSet,
    StreamHeader,
)

__all__ = ["Models", "check_model_of", "check_model_unit", "model_of", "show_model"]

Models = dict[int, ModelReference]
"""Entropy models by model_id."""


@clause("9.7")
def check_model_unit(
    unit: EntropyModelUnit, header: StreamHeader, models: Models, trace: Trace
) -> Violations:
    """(9.7) An entropy model unit has a number of its own, and keeps to the limits of the level."""

    def wrong(what: str, clause: str, requirement: str) -> ConstraintError:
        place = position_of(trace, "model_id")
        return ConstraintError(what, bit_offset=place, clause=clause, requirement=requirement)

    if header.profile_idc != Profile.LEARNED:
        yield wrong("only the learned profile has entropy models", "A.2", "9.7-1")
    if unit.model_id in models:
        yield wrong(f"entropy model {unit.model_id} occurs a second time", "9.7", "9.7-2")
    if unit.tables is not None:
        place = position_of(trace, "context_count_minus1")
        yield from check_model_limits(unit.tables, limits_of(header), place)


def model_of(unit: EntropyModelUnit, trace: Trace) -> ModelReference:
    """The model of a unit whose limits have been checked. Raises PayloadError for its tables."""
    if unit.tables is None:
        assert unit.sha256 is not None
        return ModelReference(None, unit.sha256)
    try:
        return ModelReference(EntropyModel(unit.tables))
    except StreamError as error:
        error.bit_offset = position_of(trace, "coded_tables")
        raise


def show_model(tables: EntropyTables, trace: Trace) -> None:
    """Add rows to a trace: the table and the base of each context, and the frequencies of each table.

    They have no bits of their own, and stand at the first bit of the coded tables, the last element of the
    trace. Raises PayloadError.
    """
    if not tables.coded_tables:
        return
    place = trace[-1].offset
    found = EntropyModel(tables).distributions
    rows = {"context_table": found.table_of.astype(np.int64), "context_base": found.base}
    for number in range(len(found.tables.values)):
        begin, end = int(found.tables.begin[number]), int(found.tables.begin[number + 1])
        rows[f"table[{number}]"] = np.diff(found.tables.bounds[begin:end]).astype(np.int64)
    for name, value in rows.items():
        trace.append(Element(f"entropy_model.{name}", "ae", place, 0, value, "8.10.5"))


@clause("9.7")
def check_model_of(fps: FeatureParameterSet, models: Models, trace: Trace) -> Violations:
    """(9.7) The model that a parameter set names is there, and has one context, or one for each channel."""
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
    elif reference.model is not None and reference.model.contexts not in (1, fps.channels):
        yield ConstraintError(
            f"entropy model {fps.model_id} has {reference.model.contexts} contexts; "
            f"features of {fps.channels} channels need 1, or one for each",
            bit_offset=place,
            requirement="9.7-3",
        )
