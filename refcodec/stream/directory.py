"""Random access: positions of the coded units of a stream, from its index or by reading all units."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, StreamError
from refcodec.files import StreamWindow
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.walk import Visit, Walk, coded_units
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import END, STREAM_HEADER_SIZE, Index, StreamHeader
from refcodec.syntax.units import CRC_SIZE, read_unit

__all__ = ["Directory"]

_END_SIZE = 2 + 16 + CRC_SIZE
"""Bytes of an end unit that points to an index."""


@dataclass(frozen=True)
class Directory:
    """The coded units of a stream.

    walk          : the walk that has read the feature parameter sets and the metadata.
    offsets       : position of each unit, in bytes.
    first         : number of the first feature of each unit; a last entry holds the number of features.
    access_points : per unit, true if decoding can begin there.
    """

    stream: StreamWindow
    walk: Walk
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    access_points: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, stream: StreamWindow, header: StreamHeader) -> Directory:
        """Locate the coded units of a stream. Raises StreamError."""
        walk = Walk(header)
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
    def _from_index(cls, stream: StreamWindow, walk: Walk, offset: int) -> Directory:
        """(9.5) Read the index, the metadata at the front, and the parameter sets that it points to."""
        index = _sound(_unit_at(stream, walk, offset, UnitType.INDEX), walk.check).content
        assert isinstance(index, Index)
        offsets = np.cumsum(index.unit_distance)
        if not ((index.unit_distance > 0) & (offsets > 0) & (offsets < offset)).all():
            raise _index_error("the index points outside the stream", offset)
        counts = index.features_minus1
        features = np.ones_like(offsets) if counts is None else counts + 1
        access = np.ones_like(offsets) if index.access_point is None else index.access_point
        parameter_set_offsets = index.parameter_set_offset
        front = stream.at(STREAM_HEADER_SIZE)
        while front.position < min([offset, *parameter_set_offsets]):
            unit = read_unit(front, front.position, walk.limits.max_unit_size)
            if unit is not None and unit.unit_type == UnitType.METADATA:
                walk.accept(_sound(Visit(unit), walk.check))
        for one in parameter_set_offsets:
            found = _unit_at(stream, walk, one, UnitType.FEATURE_PARAMETER_SET)
            walk.accept(_sound(found, walk.check))
        return cls(stream, walk, offsets, _running_total(features), access > 0)

    def unit(self, entry: int) -> CodedUnit:
        """Read, parse and check one coded unit."""
        offset = int(self.offsets[entry])
        kinds = (UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH)
        coded = _sound(
            _unit_at(self.stream, self.walk, offset, *kinds), self.walk.check_alone
        ).coded
        assert coded is not None
        if len(coded.payloads) != self.first[entry + 1] - self.first[entry]:
            raise _index_error(
                "the index gives a wrong number of features for a coded unit", offset
            )
        return coded


def _find_index(stream: StreamWindow) -> int | None:
    """Position of the index in bytes, from the end unit; None where that names none."""
    offset = stream.size() - _END_SIZE
    if offset < STREAM_HEADER_SIZE:
        return None
    tail = stream.at(offset).read(_END_SIZE)
    if tail[:2] != bytes([UnitType.END, 16]):
        return None
    unit = read_unit(io.BytesIO(tail), offset, 16)
    if unit is None or not unit.crc_matches:
        return None
    end = END.parse_whole(unit.payload, 8 * unit.payload_offset, unit_size=16)
    return end.index_offset or None


def _unit_at(stream: StreamWindow, walk: Walk, offset: int, *kinds: UnitType) -> Visit:
    """The unit at a byte offset that the index or the end unit gives, which must be of one of these types."""
    unit = None
    if STREAM_HEADER_SIZE <= offset < stream.size():
        with suppress(StreamError):  # bytes that are no unit
            unit = read_unit(stream.at(offset), offset, walk.limits.max_unit_size)
    if unit is None or unit.unit_type not in kinds:
        names = " or ".join(kind.name.lower() for kind in kinds)
        raise _index_error(f"the index says that a unit of type {names} begins here", offset)
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
        clause="9.5",
        hint="read the stream in order, without its index",
    )


def _running_total(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
