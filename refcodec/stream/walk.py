"""The walk over the units of a stream (8.1, 8.2): parse and check each, and yield the coded ones.

    for visit in walk.units(source):      every unit, framed
        errors = walk.check(visit)        parse it, and yield the errors in it
        walk.accept(visit)                if there are none

:func:`coded_units` is that loop. The caller decides about errors: ``report`` raises an error, or records
it and returns, and the walk goes on with the next unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol

from refcodec.clauses import clause
from refcodec.coders.protocol import Payload, Violations
from refcodec.errors import StreamError
from refcodec.probability.store import ModelReference
from refcodec.stream.features import (
    check_batch,
    check_parameters,
    check_ranges,
    check_substreams,
    check_tokens,
)
from refcodec.stream.limits import limits_of
from refcodec.stream.metadata import texts_of
from refcodec.stream.models import Models, check_model_of, check_model_unit, model_of
from refcodec.stream.order import Order, bytes_follow, no_end
from refcodec.stream.parameter_sets import check_parameter_set
from refcodec.stream.parsing import CodedUnit, ParameterSets, UnitHash, coded_unit, parse_unit
from refcodec.syntax.bits import Elements, LateTrace
from refcodec.syntax.codes import UnitType
from refcodec.syntax.records import Record
from refcodec.syntax.structures import (
    SIGNATURE,
    STREAM_HEADER_SIZE,
    CodedFeature,
    CodedFeatureBatch,
    End,
    FeatureParameterSet,
    Hash,
    Metadata,
    ModelUnit,
    StreamHeader,
)
from refcodec.syntax.units import ByteSource, Unit, parse_stream_header, read_unit

__all__ = [
    "Arrival",
    "Report",
    "Visit",
    "Walk",
    "arriving_units",
    "coded_units",
    "payloads_of",
    "raise_error",
]

Report = Callable[[StreamError], None]
"""Receives each error of a walk; if it returns, the walk goes on."""


def raise_error(error: StreamError) -> None:
    """Raise the error: the ``report`` of a decoder."""
    raise error


@dataclass(slots=True)
class Visit:
    """A unit and what a walk has found out about it.

    parsed  : true if its payload could be read.
    content : the structure in its payload; None if it was not read, or the unit is skipped.
    coded   : the payloads of a coded unit in which nothing is wrong, else None.
    model   : the model of a model unit in which nothing is wrong, else None.
    trace   : its syntax elements, as far as they could be read.
    """

    unit: Unit
    parsed: bool = False
    content: Record | None = None
    coded: CodedUnit | None = None
    model: ModelReference | None = None
    trace: Elements = ()


class Walk:
    """One pass over the units of a stream, with the state that later units depend on.

    parameter_sets : those in force, by fps_id.
    metadata       : text by key.
    feature_count  : number of features so far.
    end            : the end unit, once accepted.
    following      : position of another stream after the end unit, in bytes; its signature has been read.
    """

    def __init__(self, header: StreamHeader, *, joined: bool = False) -> None:
        """Begin a walk after the stream header.

        joined : true if another stream may follow; otherwise it is an error, as all bytes after the end are.
        """
        self.header = header
        self.limits = limits_of(header)
        self.metadata: dict[str, str] = {}
        self.end: End | None = None
        self.following: int | None = None
        self._joined = joined
        self.order = Order(self.limits)

    @property
    def parameter_sets(self) -> ParameterSets:
        """Feature parameter sets in force, by fps_id."""
        return self.order.parameter_sets

    @property
    def models(self) -> Models:
        """Models, by model_id."""
        return self.order.models

    @property
    def feature_count(self) -> int:
        """Number of features in the units accepted so far."""
        return self.order.feature_count

    @clause("8.1")
    def units(self, source: ByteSource, offset: int = STREAM_HEADER_SIZE) -> Iterator[Visit]:
        """(8.1) Yield every unit from byte ``offset``, the position of ``source``, to the end unit.

        Raises StreamError if the framing is broken, the end unit is missing, or bytes follow it.
        """
        while (unit := read_unit(source, offset, self.limits.max_unit_size)) is not None:
            offset = unit.end
            yield Visit(unit)
            if unit.unit_type == UnitType.END:
                head = _read_signature(source)
                if head == SIGNATURE and self._joined and self.end is not None:
                    self.following = unit.end
                elif head:
                    raise bytes_follow(unit)
                return
        raise no_end(offset)

    @clause("8.2")
    def check(self, visit: Visit) -> Violations:
        """(8.2) Parse a unit and yield the errors in it; a decoder stops at the first.

        Limits are checked before anything is derived from the values that they bound.
        """
        yield from self.check_alone(visit)
        if visit.parsed:
            yield from self.order.check(visit.unit, visit.content)
        if visit.coded is not None:
            yield from self.order.check_sequence(visit.coded)

    def check_alone(self, visit: Visit, parameter_sets: ParameterSets | None = None) -> Violations:
        """Parse a unit and check everything but its order among the others.

        parameter_sets : those in force at the unit; None for those of this walk.
        """
        unit = visit.unit
        in_force = self.parameter_sets if parameter_sets is None else parameter_sets
        if not unit.crc_matches:  # the content of a damaged unit is not worth checking
            yield unit.damage()
            return
        visit.trace = trace = LateTrace(partial(parse_unit, unit, dict(in_force)))
        try:
            content = parse_unit(unit, in_force)
        except StreamError as error:
            yield error
            return
        visit.parsed, sound = True, True
        for violation in self._constraints(unit, content, in_force, trace):
            sound = False
            yield violation
        visit.content = content
        if sound and isinstance(content, (CodedFeature, CodedFeatureBatch)):
            fps = in_force[content.fps_id]
            named = (fps.model_id, fps.context_model_id)
            model, contexts = (None if one is None else self.models.get(one) for one in named)
            visit.coded = coded_unit(unit, content, fps, model, contexts)
        if sound and isinstance(content, ModelUnit):
            try:
                visit.model = model_of(content, self.header, trace)
            except StreamError as error:
                yield error

    def _constraints(
        self, unit: Unit, content: Record | None, in_force: ParameterSets, trace: Elements
    ) -> Violations:
        match content:
            case ModelUnit():
                yield from check_model_unit(content, self.header, self.models, trace)
            case FeatureParameterSet():
                yield from check_parameter_set(content, self.header, trace)
                yield from check_model_of(content, self.models, self.header, trace)
            case CodedFeature() | CodedFeatureBatch():
                fps = in_force[content.fps_id]
                if isinstance(content, CodedFeatureBatch):
                    yield from check_batch(content, fps, len(unit.payload), trace)
                yield from check_parameters(content.parameters, fps, self.limits, trace)
                if isinstance(content, CodedFeatureBatch):
                    yield from check_ranges(content, fps, trace)
                else:
                    yield from check_tokens(content, fps, self.limits, trace)
                    yield from check_substreams(content, trace)

    def scrutinise(self, visit: Visit) -> Violations:
        """Yield violations that a decoder need not detect: none here, see `StrictWalk`."""
        return iter(())

    def accept(self, visit: Visit) -> None:
        """Record a unit in which nothing is wrong."""
        self.order.accept(visit.unit, visit.content, visit.coded)
        match visit.content:
            case Metadata():
                self.metadata |= texts_of(visit.content)
            case ModelUnit() if visit.model is not None:
                self.models[visit.content.model_id] = visit.model
            case End():
                self.end = visit.content

    def refuse(self, visit: Visit) -> None:
        """Record a unit with errors, if the walk goes on."""
        self.order.lose(visit.unit)


def _read_signature(source: ByteSource) -> bytes:
    """The bytes after an end unit, as far as they can be the signature of another stream."""
    head = b""
    while len(head) < len(SIGNATURE) and SIGNATURE.startswith(head):
        byte = source.read(1)
        if not byte:
            break
        head += byte
    return head


class Arrival(Protocol):
    """Knowledge of a stream that is still arriving."""

    def ready(self) -> bool:
        """True if the next unit can be read without waiting."""
        ...

    def check_late(self, one: UnitHash) -> Violations:
        """Check a hash unit whose coded unit was yielded before it came."""
        ...


def coded_units(
    walk: Walk, source: ByteSource, report: Report = raise_error, offset: int = STREAM_HEADER_SIZE
) -> Iterator[CodedUnit]:
    """Go through a stream and yield its coded units, each with the hash units that follow it.

    source : positioned at byte ``offset``, after the stream header.

    Raises what ``report`` raises, once the coded units that precede the error have been yielded.
    """
    return (one for one in arriving_units(walk, source, report, offset) if one is not None)


def payloads_of(source: ByteSource) -> Iterator[Payload]:
    """Yield the payloads of a stream, one per feature. Raises StreamError."""
    header = parse_stream_header(source.read(STREAM_HEADER_SIZE))
    for unit in coded_units(Walk(header), source):
        yield from unit.payloads


def arriving_units(
    walk: Walk,
    source: ByteSource,
    report: Report = raise_error,
    offset: int = STREAM_HEADER_SIZE,
    arrival: Arrival | None = None,
) -> Iterator[CodedUnit | None]:
    """The loop of :func:`coded_units`, which also yields None before it waits for the next unit.

    arrival : of a stream that is still arriving: a coded unit does not wait for hash units that are not
              there, which are checked when they come. None where every coded unit waits for its hash units.
    """
    pending: CodedUnit | None = None
    broken: list[StreamError] = []
    for visit in _until_broken(walk.units(source, offset), broken):
        errors = walk.check(visit)
        first = next(errors, None)
        if pending is not None and (first is not None or not isinstance(visit.content, Hash)):
            yield pending
            pending = None
        if first is not None:
            for error in chain([first], errors):
                report(error)
            walk.refuse(visit)
            continue
        walk.accept(visit)
        for error in walk.scrutinise(visit):
            report(error)
        if not isinstance(visit.content, Hash):
            pending = visit.coded
        else:
            one = UnitHash(
                visit.content.hash_target,
                visit.content.sha256,
                visit.unit.offset_of_last(visit.content.sha256),
            )
            if pending is not None:
                pending = replace(pending, hashes=(*pending.hashes, one))
            elif arrival is not None:
                for error in arrival.check_late(one):
                    report(error)
        if arrival is not None and not arrival.ready():
            if pending is not None:
                yield pending
                pending = None
            yield None
    if pending is not None:
        yield pending
    for error in broken:
        report(error)


def _until_broken(visits: Iterator[Visit], broken: list[StreamError]) -> Iterator[Visit]:
    """Yield visits up to a framing error, which ends every walk and is appended to ``broken``."""
    try:
        yield from visits
    except StreamError as error:
        broken.append(error)
