"""The walk of a validator: it also checks what a decoder may ignore, and goes on after errors."""

from __future__ import annotations

from itertools import chain

from refcodec.coders import payload_coder
from refcodec.coders.protocol import Violations
from refcodec.errors import OrderError
from refcodec.registry import record_of
from refcodec.stream.index import CodedUnitTable, check_index, check_index_offset
from refcodec.stream.metadata import check_metadata
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.versions import check_reserved_bits, check_skippable_flag
from refcodec.stream.walk import Visit, Walk
from refcodec.syntax.codes import CODED_UNITS, MODEL_UNITS, UnitType
from refcodec.syntax.structures import (
    End,
    FeatureParameterSet,
    Index,
    Metadata,
    ModelUnit,
    StreamHeader,
)

__all__ = ["StrictWalk"]


class StrictWalk(Walk):
    """A walk that finds every violation, not only those that a decoder must detect.

    unit_count : number of units so far.
    unchecked  : true if features were skipped because something that they depend on is at fault.
    """

    def __init__(self, header: StreamHeader) -> None:
        super().__init__(header, joined=True)
        self.unit_count = 0
        self.unchecked = False
        self._table = CodedUnitTable()
        self._index: Visit | None = None
        self._index_lost = False
        self._parameter_set_lost = False
        self._model_lost = False

    def check(self, visit: Visit) -> Violations:
        """Parse and check a unit; a reference to a lost parameter set is not reported as another error."""
        self.unit_count += 1
        for error in super().check(visit):
            orphan = visit.content is None and visit.unit.unit_type in CODED_UNITS
            orphan = orphan and self._parameter_set_lost
            nameless = visit.unit.unit_type == UnitType.FEATURE_PARAMETER_SET and self._model_lost
            if not (isinstance(error, OrderError) and (orphan or nameless)):
                yield error

    def scrutinise(self, visit: Visit) -> Violations:
        """Yield violations in an accepted unit that a decoder need not detect."""
        yield from check_skippable_flag(visit.unit)
        bit_offset = 8 * visit.unit.payload_offset
        match visit.content:
            case Metadata():
                yield from check_metadata(visit.content, visit.trace)
            case Index():
                yield from check_reserved_bits(visit.content, visit.trace)
            case End():
                found = self._index
                if not self._index_lost:
                    offset = None if found is None else found.unit.offset
                    yield from check_index_offset(visit.content, offset, bit_offset)
                if found is not None and isinstance(found.content, Index) and self.order.complete:
                    yield from check_index(found.content, self._table, found.trace)
        if visit.coded is not None:
            yield from self._scrutinise_payload(visit, visit.coded)

    def _scrutinise_payload(self, visit: Visit, coded: CodedUnit) -> Violations:
        """Check payloads that have headers, and drop units whose sequence lacks a feature."""
        fps_id = coded.fps.fps_id
        sound = True
        if record_of(coded.fps.coder_id).video:
            coder = payload_coder(coded.fps.coder_id)
            for error in chain.from_iterable(map(coder.check_payload, coded.payloads)):
                sound = False
                yield error
        if not sound:
            self.order.interrupted.add(fps_id)
        if not sound or (not coded.access_point and fps_id in self.order.interrupted):
            visit.coded = None
            self.unchecked = True

    def accept(self, visit: Visit) -> None:
        """Record a unit and its position."""
        if (
            visit.content is None and visit.unit.unit_type in CODED_UNITS
        ):  # its parameter set was lost
            self.unchecked = True
            self.refuse(visit)
            return
        if isinstance(visit.content, FeatureParameterSet) and self._lacks_model(visit.content):
            self.refuse(visit)
            return
        super().accept(visit)
        match visit.content:
            case FeatureParameterSet() | ModelUnit():
                self._table.parameter_set_offsets.append(visit.unit.offset)
            case Index():
                self._index = visit
        if visit.coded is not None:
            coded = visit.coded
            self._table.add(coded.offset, len(coded.payloads), coded.access_point)

    def _lacks_model(self, fps: FeatureParameterSet) -> bool:
        """True if a parameter set names a model that was lost."""
        named = {fps.model_id, fps.context_model_id} - {None}
        return not named <= self.models.keys()

    def refuse(self, visit: Visit) -> None:
        """Record a lost unit, and what can no longer be checked without it."""
        super().refuse(visit)
        if visit.unit.unit_type == UnitType.INDEX:
            self._index_lost = True
        self._model_lost |= visit.unit.unit_type in MODEL_UNITS
        if visit.unit.unit_type == UnitType.FEATURE_PARAMETER_SET:
            self._parameter_set_lost = True
            self._lose_parameter_sets(visit)
        elif visit.unit.unit_type in CODED_UNITS:  # it is unknown to which sequence it belonged
            self.order.interrupted.update(self.parameter_sets)

    def _lose_parameter_sets(self, visit: Visit) -> None:
        """Forget the parameter set that a lost one replaces: any, where its fps_id cannot be trusted."""
        lost = visit.content
        if isinstance(lost, FeatureParameterSet):
            self.parameter_sets.pop(lost.fps_id, None)
        else:
            self.parameter_sets.clear()
