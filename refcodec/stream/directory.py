"""Random access: positions of the coded units of a stream, from its index or by reading all units.

Only reading from the front tells where a stream ends. An end unit found from the end of the file is taken for
the end if nothing else is possible: see :func:`_end_of`.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, StreamError
from refcodec.sources import StreamWindow
from refcodec.stream.index import CodedUnitTable
from refcodec.stream.parsing import CodedUnit, ParameterSets, fps_id_of, parse_unit
from refcodec.stream.walk import Visit, Walk, coded_units
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.codes import CODED_UNITS, MODEL_UNITS, FeatureType, UnitType
from refcodec.syntax.structures import (
    END,
    STREAM_HEADER_SIZE,
    UNIT_HEADER,
    End,
    FeatureParameterSet,
    Index,
    StreamHeader,
)
from refcodec.syntax.units import CRC_SIZE, Unit, read_unit

__all__ = ["Directory", "IndexEntries", "Survey", "read_index"]

_END_SIZE = 2 + 16 + CRC_SIZE
"""Bytes of an end unit that points to an index."""

_HEAD_SIZE = 32
"""Bytes of the header of a unit, and of the elements of a coded unit that precede its parameters, at most."""

_LISTED = (UnitType.FEATURE_PARAMETER_SET, *sorted(MODEL_UNITS))
"""Units that coded units depend on, which the index lists."""

_PLAIN_END_SIZE = 2 + CRC_SIZE
"""Bytes of an end unit without payload."""


class IndexEntries(NamedTuple):
    """The content of an index, as positions and numbers.

    place          : position of the index unit, in bytes.
    offsets        : position of each coded unit.
    first          : number of the first feature of each; one entry more than units.
    access_points  : whether decoding can begin at it.
    parameter_sets : position of each feature parameter set and model unit.
    """

    place: int
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    access_points: npt.NDArray[np.bool_]
    parameter_sets: tuple[int, ...]


@dataclass(frozen=True)
class Directory:
    """The coded units of a stream.

    walk          : the walk that has read the feature parameter sets and the metadata.
    offsets       : position of each unit, in bytes.
    first         : number of the first feature of each unit; a last entry holds the number of features.
    access_points : per unit, true if decoding can begin there.
    """

    stream: StreamWindow
    walk: Survey
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    access_points: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, stream: StreamWindow, header: StreamHeader) -> Directory:
        """Locate the coded units of a stream. Raises StreamError."""
        walk = Survey(header, joined=True)
        entries = read_index(stream, walk)
        if entries is not None:
            return cls._from_index(stream, walk, entries)
        table = CodedUnitTable()
        for unit in coded_units(walk, stream.at(STREAM_HEADER_SIZE)):
            table.add(unit.offset, len(unit.payloads), unit.access_point)
        named = None if walk.following is not None else _end_of(stream)
        if named is not None and named.index_offset:
            raise _index_error(
                "the end unit points to something other than the index", named.index_offset
            )
        return cls.of_table(stream, walk, table)

    @classmethod
    def of_table(cls, stream: StreamWindow, walk: Survey, table: CodedUnitTable) -> Directory:
        """The directory of the coded units in a table."""
        first = _running_total(np.array(table.counts, dtype=np.int64))
        access_points = np.frombuffer(bytes(table.access_points), np.uint8) > 0
        return cls(stream, walk, np.array(table.offsets, dtype=np.int64), first, access_points)

    @property
    def following(self) -> int | None:
        """Position of the next stream in bytes; None if this one is the last."""
        return self.walk.following

    @classmethod
    @clause("9.5")
    def _from_index(cls, stream: StreamWindow, walk: Survey, entries: IndexEntries) -> Directory:
        """(9.5) Read the metadata at the front, and the parameter sets that the index points to."""
        places = entries.parameter_sets
        front = stream.at(STREAM_HEADER_SIZE)
        while front.position < min([entries.place, *places]):
            unit = read_unit(front, front.position, walk.limits.max_unit_size)
            if unit is not None and unit.unit_type == UnitType.METADATA:
                walk.accept(_sound(Visit(unit), walk.check))
        for one in places:
            found = _unit_at(stream, walk, one, *_LISTED)
            walk.accept(_sound(found, walk.check))
        return cls(stream, walk, entries.offsets, entries.first, entries.access_points)

    @staticmethod
    def has_index(stream: StreamWindow) -> bool:
        """Tell an indexed stream, whose units are found without passing over them. Raises StreamError."""
        end = _end_of(stream)
        return end is not None and bool(end.index_offset)

    def __len__(self) -> int:
        return int(self.first[-1])

    def unit(self, entry: int) -> CodedUnit:
        """Read, parse and check one coded unit."""
        coded = self.visit(entry).coded
        assert coded is not None
        return coded

    def visit(self, entry: int) -> Visit:
        """Read, parse and check one coded unit, as a walk does."""
        place = int(self.offsets[entry])
        visit = _unit_at(self.stream, self.walk, place, *sorted(CODED_UNITS))
        in_force = self._in_force(visit.unit)
        _sound(visit, lambda visit: self.walk.check_alone(visit, in_force))
        assert visit.coded is not None
        if len(visit.coded.payloads) != self.first[entry + 1] - self.first[entry]:
            raise _index_error("the index gives a coded unit another number of features", place)
        if entry + 1 < len(self.offsets) and visit.unit.end > self.offsets[entry + 1]:
            raise _index_error("the index says that a coded unit begins inside this one", place)
        return visit

    def head(self, entry: int) -> tuple[FeatureParameterSet, dict[str, Any]]:
        """The parameter set of a coded unit; and of tokens the elements that it begins with, by name.

        The rest of the unit is not read, so that nothing vouches for them: what is decoded may differ. Raises
        StreamError.
        """
        place = int(self.offsets[entry])
        data = self.stream.at(place).read(_HEAD_SIZE)
        reader = BitReader(data, 8 * place)
        header = UNIT_HEADER.parse_stream(reader)
        begin = reader.position // 8 - place
        if header.unit_type not in CODED_UNITS:
            raise _index_error("the index says that a coded unit begins here", place)
        unit = Unit(place, 0, header.unit_type, data[begin:], place + begin, 0, crc_matches=True)
        in_force = self._in_force(unit)
        fps = in_force.get(fps_id_of(unit))
        if fps is not None and fps.feature_type != FeatureType.TOKENS:
            return fps, {}
        trace: Trace = []
        with suppress(StreamError):  # beyond the front
            parse_unit(unit, in_force, trace)
        elements = {one.name: one.value for one in trace}
        if fps is None or "continuation_flag" not in elements:
            # the whole unit has an error to raise
            whole = self.visit(entry)
            assert whole.coded is not None
            return whole.coded.fps, vars(whole.content)
        return fps, elements

    def _in_force(self, unit: Unit) -> ParameterSets:
        """The parameter set that a coded unit refers to: the last with its fps_id that precedes it."""
        if not unit.crc_matches:
            return {}
        fps_id = fps_id_of(unit)
        places = self.walk.places.get(fps_id, array("q"))
        before = bisect_left(places, unit.offset)
        if before == 0:
            return {}
        if before == len(places) and fps_id in self.walk.parameter_sets:
            return {fps_id: self.walk.parameter_sets[fps_id]}
        visit = _unit_at(self.stream, self.walk, places[before - 1], UnitType.FEATURE_PARAMETER_SET)
        fps = _sound(visit, self.walk.check_alone).content
        assert isinstance(fps, FeatureParameterSet)
        return {fps_id: fps}


class Survey(Walk):
    """A walk that notes where feature parameter sets stand.

    places : positions in bytes, ascending, by fps_id.
    tokens : true if one of them is of tokens.
    """

    def __init__(self, header: StreamHeader, *, joined: bool = False) -> None:
        super().__init__(header, joined=joined)
        self.places: dict[int, array[int]] = {}
        self.tokens = False

    def accept(self, visit: Visit) -> None:
        """Take note of a unit, and of where it stands."""
        super().accept(visit)
        if isinstance(visit.content, FeatureParameterSet):
            places = self.places.setdefault(visit.content.fps_id, array("q"))
            places.append(visit.unit.offset)
            self.tokens |= visit.content.feature_type == FeatureType.TOKENS


@clause("9.5")
def read_index(stream: StreamWindow, walk: Walk) -> IndexEntries | None:
    """(9.5) The index of a stream, if it has one that directly precedes the end unit.

    Raises StreamError where its content is at fault.
    """
    end = _end_of(stream)
    if end is None or not end.index_offset:
        return None
    place, stop = end.index_offset, stream.size() - _END_SIZE
    unit = _read(stream, walk, place) if place < stop else None
    if unit is None or unit.unit_type != UnitType.INDEX or unit.end != stop:
        return None
    index = _sound(Visit(unit), walk.check).content
    assert isinstance(index, Index)
    offsets = np.cumsum(index.unit_distance)
    if not ((index.unit_distance > 0) & (offsets > 0) & (offsets < place)).all():
        raise _index_error("the index points outside the stream", place)
    counts = index.features_minus1
    first = _running_total(np.ones_like(offsets) if counts is None else counts + 1)
    if end.feature_count != first[-1]:
        raise _index_error("index and end unit give the stream another number of features", place)
    if any(later <= earlier for earlier, later in pairwise(index.parameter_set_offset)):
        raise _index_error("the index lists feature parameter sets out of order", place)
    access = np.ones_like(offsets) if index.access_point is None else index.access_point
    return IndexEntries(place, offsets, first, access > 0, tuple(index.parameter_set_offset))


def _end_of(stream: StreamWindow) -> End | None:
    """The end unit with a payload that ends the file, if its last bytes can be nothing else.

    The tail of a longer unit and an end unit without payload, ``7f 00`` and its CRC-32, may together read
    as an end unit with a payload. Such a file is passed over from its beginning instead.
    """
    place = stream.size() - _END_SIZE
    if place < STREAM_HEADER_SIZE:
        return None
    tail = stream.at(place).read(_END_SIZE)
    if _end_unit(tail[-_PLAIN_END_SIZE:], place + _END_SIZE - _PLAIN_END_SIZE) is not None:
        return None
    unit = _end_unit(tail, place)
    if unit is None or not unit.payload:
        return None
    return END.parse_whole(unit.payload, 8 * unit.payload_offset, unit_size=16)


def _end_unit(data: bytes, place: int) -> Unit | None:
    """These bytes as an end unit; None where they are none."""
    with suppress(StreamError):
        unit = read_unit(io.BytesIO(data), place, 16)
        if unit is not None and unit.crc_matches and unit.end == place + len(data):
            return unit if unit.unit_type == UnitType.END else None
    return None


def _read(stream: StreamWindow, walk: Walk, place: int) -> Unit | None:
    """The unit at a position; None where the bytes there are none."""
    with suppress(StreamError):
        if place >= STREAM_HEADER_SIZE:
            return read_unit(stream.at(place), place, walk.limits.max_unit_size)
    return None


def _unit_at(stream: StreamWindow, walk: Walk, place: int, *kinds: UnitType) -> Visit:
    """The unit at a position that the index or the end unit names; of one of these kinds."""
    unit = _read(stream, walk, place) if place < stream.size() else None
    if unit is None or unit.unit_type not in kinds:
        names = " or ".join(kind.name.lower() for kind in kinds)
        raise _index_error(f"the index says that a unit of type {names} begins here", place)
    return Visit(unit)


def _sound(visit: Visit, check: Callable[[Visit], Violations]) -> Visit:
    """Parse and check the visited unit. Raises the first error in it."""
    for error in check(visit):
        raise error
    return visit


def _index_error(what: str, offset: int) -> ConstraintError:
    return ConstraintError(
        what,
        bit_offset=8 * offset,
        requirement="9.5-6",
        hint="read the stream in order, without its index",
    )


def _running_total(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
