"""The index: positions of coded units (6.9), and its agreement with the stream (9.5)."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError
from refcodec.syntax.bits import Elements, position_of
from refcodec.syntax.structures import End, Index

__all__ = ["CodedUnitTable", "check_index", "check_index_offset"]


class CodedUnitTable:
    """Positions of the coded units and parameter sets of a stream, in stream order; 17 bytes each.

    The writer makes the index from it; the validator compares it with the index in the stream.
    """

    def __init__(self) -> None:
        self.offsets = array("q")
        self.counts = array("q")
        self.access_points = bytearray()
        self.parameter_set_offsets: list[int] = []

    def __len__(self) -> int:
        return len(self.offsets)

    def add(self, offset: int, features: int, access_point: bool) -> None:
        """Note a coded unit."""
        self.offsets.append(offset)
        self.counts.append(features)
        self.access_points.append(access_point)

    def elements(self) -> dict[str, Any]:
        """Elements of the index() of these units, of which there is at least one."""
        distances = np.diff(np.array(self.offsets), prepend=0)
        counts = np.array(self.counts) - 1
        access = np.frombuffer(bytes(self.access_points), np.uint8)
        return {
            "entry_count": len(self),
            "parameter_set_count": len(self.parameter_set_offsets),
            "parameter_set_offset": self.parameter_set_offsets,
            "distance_bits": int(distances.max()).bit_length(),
            "features_bits": int(counts.max()).bit_length(),
            "all_access_points_flag": int(access.all()),
            "reserved_ignored_4bits": 0,
            "unit_distance": distances,
            "features_minus1": counts,
            "access_point": access.astype(np.int64),
        }


@clause("9.5")
def check_index(index: Index, table: CodedUnitTable, trace: Elements) -> Violations:
    """(9.5) The index agrees with the coded units and parameter sets of the stream."""
    zeros = np.zeros(index.entry_count, dtype=np.int64)
    counts = index.features_minus1 if index.features_minus1 is not None else zeros
    access = index.access_point if index.access_point is not None else zeros + 1
    agreement = {
        "unit_distance": np.array_equal(np.cumsum(index.unit_distance), np.array(table.offsets)),
        "features_minus1": np.array_equal(counts + 1, np.array(table.counts)),
        "access_point": bytes(access.astype(np.uint8)) == bytes(table.access_points),
        "parameter_set_offset": list(index.parameter_set_offset) == table.parameter_set_offsets,
    }
    for name, agrees in agreement.items():
        if not agrees:
            yield ConstraintError(
                f"{name} of the index disagrees with the stream",
                bit_offset=position_of(trace, name),
                requirement="9.5-4",
            )


@clause("9.5")
def check_index_offset(end: End, index_offset: int | None, bit_offset: int) -> Violations:
    """(9.5) The end unit points to the index.

    index_offset : position of the index unit in bytes; None where there is none.
    bit_offset   : position of the end unit's payload, in bits.
    """
    if end.index_offset is None:
        if index_offset is not None:
            yield ConstraintError(
                "the end unit does not point to the index",
                bit_offset=bit_offset,
                requirement="9.5-1",
            )
    elif end.index_offset != (index_offset or 0):
        yield ConstraintError(
            f"index_offset is {end.index_offset}; the index is at byte {index_offset or 0}",
            bit_offset=bit_offset,
            requirement="9.5-3" if index_offset is None else "9.5-2",
        )
