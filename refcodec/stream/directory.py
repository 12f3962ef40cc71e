"""Random access: positions of the coded units of a stream, from its index or by passing over all units."""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, StreamError
from refcodec.files import StreamWindow
from refcodec.stream.parsing import CodedUnit, ParameterSets, fps_id_of
from refcodec.stream.walk import Visit, Walk, coded_units
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import (
    END,
    STREAM_HEADER_SIZE,
    FeatureParameterSet,
    Index,
    StreamHeader,
)
from refcodec.syntax.units import CRC_SIZE, Unit, read_unit

__all__ = ["Directory"]

_END_SIZE = 2 + 16 + CRC_SIZE
"""Bytes of an end unit that points to an index."""


@dataclass(frozen=True)
class Directory:
    """The coded units of a stream.

    walk          : has read the feature parameter sets and the metadata, and knows where the former stand.
    offsets       : position of each unit, in bytes.
    first         : number of the first feature of each; one entry more than units, the number of features.
    access_points : whether decoding can begin at it.
    """

    stream: StreamWindow
    walk: Survey
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    access_points: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, stream: StreamWindow, header: StreamHeader) -> Directory:
        """Locate the coded units of a stream. Raises StreamError."""
        walk = Survey(header)
        index_offset = _find_index(stream)
        if index_offset is not None:
            return cls._from_index(stream, walk, index_offset)
        units = [
            (unit.offset, len(unit.payloads), int(unit.access_point))
            for unit in coded_units(walk, stream.at(STREAM_HEADER_SIZE))
        ]
        columns = np.array(units, dtype=np.int64).reshape(-1, 3)
        totals = _running_total(columns[:, 1])
        return cls(stream, walk, columns[:, 0], totals, columns[:, 2] > 0)

    @classmethod
    @clause("9.5")
    def _from_index(cls, stream: StreamWindow, walk: Survey, place: int) -> Directory:
        """(9.5) Read the index, the metadata at the front, and the parameter sets that it points to."""
        index = _sound(_unit_at(stream, walk, place, UnitType.INDEX), walk.check).content
        assert isinstance(index, Index)
        offsets = np.cumsum(index.unit_distance)
        if not ((index.unit_distance > 0) & (offsets > 0) & (offsets < place)).all():
            raise _lie("the index points outside the stream", place)
        counts = index.features_minus1
        features = np.ones_like(offsets) if counts is None else counts + 1
        access = np.ones_like(offsets) if index.access_point is None else index.access_point
        places = index.parameter_set_offset
        if any(place <= before for before, place in pairwise(places)):
            raise _lie("the index lists feature parameter sets out of order", place)
        front = stream.at(STREAM_HEADER_SIZE)
        while front.position < min([place, *places]):
            unit = read_unit(front, front.position, walk.limits.max_unit_size)
            if unit is not None and unit.unit_type == UnitType.METADATA:
                walk.accept(_sound(Visit(unit), walk.check))
        for one in places:
            found = _unit_at(stream, walk, one, UnitType.FEATURE_PARAMETER_SET)
            walk.accept(_sound(found, walk.check))
        return cls(stream, walk, offsets, _running_total(features), access > 0)

    def unit(self, entry: int) -> CodedUnit:
        """Read, parse and check one coded unit."""
        place = int(self.offsets[entry])
        kinds = (UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH)
        visit = _unit_at(self.stream, self.walk, place, *kinds)
        in_force = self._in_force(visit.unit)
        coded = _sound(visit, lambda visit: self.walk.check_alone(visit, in_force)).coded
        assert coded is not None
        if len(coded.payloads) != self.first[entry + 1] - self.first[entry]:
            raise _lie("the index gives a coded unit another number of features", place)
        return coded

    def _in_force(self, unit: Unit) -> ParameterSets:
        """The parameter set that a coded unit refers to: the last with its fps_id that precedes it."""
        if not unit.crc_matches:
            return {}
        fps_id = fps_id_of(unit)
        places = self.walk.places.get(fps_id, array("q"))
        before = bisect_left(places, unit.offset)
        if before == 0:
            return {}
        if before == len(places):
            return {fps_id: self.walk.parameter_sets[fps_id]}
        visit = _unit_at(self.stream, self.walk, places[before - 1], UnitType.FEATURE_PARAMETER_SET)
        fps = _sound(visit, self.walk.check_alone).content
        assert isinstance(fps, FeatureParameterSet)
        return {fps_id: fps}


class Survey(Walk):
    """A walk that notes where feature parameter sets stand.

    places : positions in bytes, ascending, by fps_id.
    """

    def __init__(self, header: StreamHeader) -> None:
        super().__init__(header)
        self.places: dict[int, array[int]] = {}

    def accept(self, visit: Visit) -> None:
        """Take note of a unit, and of where it stands."""
        super().accept(visit)
        if isinstance(visit.content, FeatureParameterSet):
            places = self.places.setdefault(visit.content.fps_id, array("q"))
            places.append(visit.unit.offset)


def _find_index(stream: StreamWindow) -> int | None:
    """Position of the index, from the end of the file; None where the end unit names none."""
    place = stream.size() - _END_SIZE
    if place < STREAM_HEADER_SIZE:
        return None
    tail = stream.at(place).read(_END_SIZE)
    if tail[:2] != bytes([UnitType.END, 16]):
        return None
    unit = read_unit(io.BytesIO(tail), place, 16)
    if unit is None or not unit.crc_matches:
        return None
    end = END.parse_whole(unit.payload, 8 * unit.payload_offset, unit_size=16)
    return end.index_offset or None


def _unit_at(stream: StreamWindow, walk: Walk, place: int, *kinds: UnitType) -> Visit:
    """The unit at a position that the index or the end unit names; of one of these kinds."""
    unit = None
    if STREAM_HEADER_SIZE <= place < stream.size():
        with suppress(StreamError):  # bytes that are no unit
            unit = read_unit(stream.at(place), place, walk.limits.max_unit_size)
    if unit is None or unit.unit_type not in kinds:
        names = " or ".join(kind.name.lower() for kind in kinds)
        raise _lie(f"the index says that a unit of type {names} stands here", place)
    return Visit(unit)


def _sound(visit: Visit, check: Callable[[Visit], Violations]) -> Visit:
    """The visit, parsed. Raises the first error in it."""
    for error in check(visit):
        raise error
    return visit


def _lie(what: str, place: int) -> ConstraintError:
    return ConstraintError(
        what, bit_offset=8 * place, clause="9.5", hint="read the stream in order, without its index"
    )


def _running_total(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
