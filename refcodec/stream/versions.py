"""Elements that a decoder ignores and that streams of this version do not use (9.1, 9.6)."""

from __future__ import annotations

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError
from refcodec.syntax.bits import Elements, position_of
from refcodec.syntax.codes import SKIPPABLE_UNITS, UnitType
from refcodec.syntax.structures import UNIT_STRUCTURES, Index, StreamHeader
from refcodec.syntax.units import VERSION_MINOR, Unit

__all__ = ["check_reserved_bits", "check_skippable_flag", "check_version"]


@clause("9.6")
def check_version(header: StreamHeader) -> Violations:
    """(9.6) The stream header uses nothing that is reserved for later versions."""
    if header.version_minor != VERSION_MINOR:
        yield ConstraintError(
            f"version_minor is {header.version_minor}; this validator knows {VERSION_MINOR}",
            bit_offset=36,
            requirement="7.2-3",
        )
    if header.reserved_ignored_2bits:
        yield ConstraintError(
            "reserved_ignored_2bits is not zero in a stream of this version",
            bit_offset=52,
            requirement="9.6-1",
        )


@clause("9.6")
def check_reserved_bits(index: Index, trace: Elements) -> Violations:
    """(9.6) The reserved bits of the index are zero."""
    if index.reserved_ignored_4bits:
        yield ConstraintError(
            "reserved_ignored_4bits of the index is not zero",
            bit_offset=position_of(trace, "reserved_ignored_4bits"),
            requirement="9.6-1",
        )


@clause("9.1")
def check_skippable_flag(unit: Unit) -> Violations:
    """(9.1) skippable_flag has the value that belongs to the unit's type."""
    known = unit.unit_type in UNIT_STRUCTURES
    if known and unit.skippable_flag != (unit.unit_type in SKIPPABLE_UNITS):
        yield ConstraintError(
            f"skippable_flag of a {UnitType(unit.unit_type).name.lower()} unit is "
            f"{unit.skippable_flag}",
            bit_offset=8 * unit.offset,
            requirement="9.1-9",
        )
