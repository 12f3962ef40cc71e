"""NAL units of a byte stream: clause 8.3.6 and nal_unit_header() of 6.11."""

from __future__ import annotations

from typing import NamedTuple

from .bits import BitReader
from .refusal import require

START = b"\0\0\1"
IDR = (19, 20)
TRAIL = (0, 1)


class NalUnit(NamedTuple):
    """A NAL unit: the elements of its header, and its bytes after the header without emulation prevention."""

    forbidden_zero_bit: int
    nal_unit_type: int
    nuh_layer_id: int
    nuh_temporal_id_plus1: int
    payload: bytes


def split(stream: bytes) -> list[bytes]:
    """The bytes of the NAL units of a byte stream (R8.3.6-1)."""
    begins = stream.startswith((START, b"\0" + START))
    require(begins, "syntax", "R8.3.6-1", "a byte stream does not begin with a start code")
    pieces = stream.split(START)
    require(pieces[0] in (b"", b"\0"), "syntax", "R8.3.6-1", "zero bytes precede the start code")
    units = []
    for i, piece in enumerate(pieces[1:], 1):
        zero = i < len(pieces) - 1 and piece.endswith(b"\0")  # of a start code of four bytes
        unit = piece[:-1] if zero else piece
        require(len(unit) >= 2, "syntax", "R8.3.6-1", "a NAL unit has fewer than two bytes")
        require(unit[-1] != 0, "syntax", "R8.3.6-1", "zero bytes follow a NAL unit")
        units.append(unit)
    return units


def parse(unit: bytes) -> NalUnit:
    """Parse nal_unit_header(), and remove emulation prevention bytes (R8.3.6-4)."""
    bad = b"\0\0\0" in unit or b"\0\0\2" in unit
    require(not bad, "syntax", "R8.3.6-4", "a NAL unit holds 00 00 00 or 00 00 02")
    read = BitReader(unit[:2])
    # the replaced bytes do not overlap: 00 00 03 00 00 03 are two of them
    payload = unit.replace(b"\0\0\3", b"\0\0")[2:]
    return NalUnit(read.u(1), read.u(6), read.u(6), read.u(3), payload)


def nal_units(stream: bytes) -> list[NalUnit]:
    """The NAL units of parameter_sets or of a payload."""
    return [parse(unit) for unit in split(stream)]
