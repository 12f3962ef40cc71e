"""Units: the framing of everything after the stream header (clauses 6.2, 6.3 and 8.2).

A unit is a type, a size, a payload and a CRC-32 over the three. This module reads and writes units; it does
not parse payloads.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Protocol

from refcodec.clauses import clause
from refcodec.errors import (
    ChecksumError,
    SignatureError,
    TruncatedError,
    UnsupportedError,
)
from refcodec.memory import memory_for
from refcodec.syntax.bits import Trace
from refcodec.syntax.codes import SKIPPABLE_UNITS, Profile, UnitType
from refcodec.syntax.structures import (
    SIGNATURE,
    STREAM_HEADER,
    STREAM_HEADER_SIZE,
    UNIT_HEADER,
    StreamHeader,
)

__all__ = [
    "CRC_SIZE",
    "SMALLEST_UNIT",
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "ByteSource",
    "Unit",
    "build_stream_header",
    "build_unit",
    "parse_stream_header",
    "read_unit",
]

VERSION_MAJOR = 1
VERSION_MINOR = 0
CRC_SIZE = 4
SMALLEST_UNIT = 2 + CRC_SIZE  # bytes of a unit without a payload

_LONGEST_UNIT_HEADER = 9  # one byte of type, at most eight of leb128


class ByteSource(Protocol):
    """Source of bytes that units are read from, in order."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a stream.

    offset         : position of its first byte in the stream, in bytes.
    skippable_flag : 1 if a decoder that does not know the type skips the unit.
    unit_type      : the seven-bit type, which this version need not know.
    payload        : the bytes of the payload.
    payload_offset : position of the first of them, in bytes.
    crc            : the CRC-32 in the stream.
    crc_matches    : true if it is the CRC-32 of type, size and payload.
    """

    offset: int
    skippable_flag: int
    unit_type: int
    payload: bytes
    payload_offset: int
    crc: int
    crc_matches: bool

    @property
    def end(self) -> int:
        """Position of the first byte after the unit."""
        return self.payload_offset + len(self.payload) + CRC_SIZE

    def offset_of_last(self, element: bytes) -> int:
        """Position of the last element of the payload in the stream, in bits."""
        return 8 * (self.payload_offset + len(self.payload) - len(element))

    def damage(self) -> ChecksumError:
        """The error of a CRC that does not match."""
        return ChecksumError(
            f"the CRC-32 of the unit at byte {self.offset} does not match",
            bit_offset=8 * (self.end - CRC_SIZE),
            requirement="8.2-3",
            hint="the unit was damaged in storage or transfer",
        )


def build_stream_header(profile: Profile, level: int) -> bytes:
    """The nine bytes that open a stream of this version."""
    elements: dict[str, Any] = {
        "signature": SIGNATURE,
        "version_major": VERSION_MAJOR,
        "version_minor": VERSION_MINOR,
        "profile_idc": profile,
        "level_idc": level,
        "reserved_ignored_2bits": 0,
        "reserved_zero_2bits": 0,
        "header_crc": 0,
    }
    head = STREAM_HEADER.build_whole(elements)[:-2]
    elements["header_crc"] = zlib.crc32(head) & 0xFFFF
    return STREAM_HEADER.build_whole(elements)


@clause("8.2")
def parse_stream_header(data: bytes, trace: Trace | None = None) -> StreamHeader:
    """(8.2) Read the stream header from the first bytes of a stream.

    Raises SignatureError if the file is not a DFC stream, TruncatedError, ChecksumError, and UnsupportedError
    for another major version or reserved bits that must be zero and are not.
    """
    if data[:4] != SIGNATURE[: len(data)] or not data:
        raise SignatureError(
            f"a DFC stream begins with {SIGNATURE.hex(' ')}, this file with "
            f"{data[:4].hex(' ') or 'nothing'}",
            bit_offset=0,
            clause="6.2",
            requirement="7.2-1",
            hint="give a .dfc file",
        )
    if len(data) < STREAM_HEADER_SIZE:
        raise TruncatedError(
            f"the stream header has {STREAM_HEADER_SIZE} bytes; the file has {len(data)}",
            bit_offset=8 * len(data),
            clause="6.2",
        )
    head = data[:STREAM_HEADER_SIZE]
    if zlib.crc32(head[:-2]) & 0xFFFF != int.from_bytes(head[-2:], "big"):
        raise ChecksumError(
            "the CRC of the stream header does not match",
            bit_offset=8 * (STREAM_HEADER_SIZE - 2),
            clause="8.2",
            requirement="7.2-10",
            hint="the header was damaged in storage or transfer",
        )
    if head[4] >> 4 != VERSION_MAJOR:
        raise UnsupportedError(
            f"the stream has major version {head[4] >> 4}, this decoder knows {VERSION_MAJOR}",
            bit_offset=32,
            requirement="7.2-2",
            hint="use a decoder of that version",
        )
    header = STREAM_HEADER.parse_whole(head, trace=trace)
    if header.reserved_zero_2bits:
        raise UnsupportedError(
            "reserved_zero_2bits is not zero: the stream uses an extension that must be understood",
            bit_offset=54,
            requirement="7.2-9",
            hint="use a newer decoder",
        )
    return header


def build_unit(unit_type: UnitType, payload: bytes) -> bytes:
    """Build a unit: header, payload, CRC-32."""
    header = UNIT_HEADER.build_whole(
        {
            "skippable_flag": int(unit_type in SKIPPABLE_UNITS),
            "unit_type": unit_type,
            "unit_size": len(payload),
        }
    )
    unit = header + payload
    return unit + zlib.crc32(unit).to_bytes(CRC_SIZE, "big")


@clause("8.2")
def read_unit(
    source: ByteSource, offset: int, largest: int, trace: Trace | None = None
) -> Unit | None:
    """(8.2) Read the next unit of ``source``, whose position in the stream is ``offset`` bytes.

    largest : the level's limit on a payload, in bytes; a larger one is refused before it is read.
    trace   : receives the header's elements.

    Returns None at the end of the source. Raises TruncatedError, SyntaxViolation, UnsupportedError;
    EnvironmentFault if memory does not suffice. A wrong CRC is not an error here: see ``crc_matches``.
    """
    head = _read_exactly(source, 2)
    if not head:
        return None
    while len(head) > 1 and head[-1] >= 0x80 and len(head) < _LONGEST_UNIT_HEADER:
        more = source.read(1)
        if not more:
            break
        head += more
    header = UNIT_HEADER.parse_whole(head, 8 * offset, trace, root="unit")
    size = header.unit_size
    if size > largest:
        raise UnsupportedError(
            f"unit_size is {size} bytes; the level in force allows {largest}",
            bit_offset=8 * offset + 8,
            clause="A.3",
            requirement="8.2-2",
            hint="the size is corrupt, or the stream needs a higher level",
        )
    payload_offset = offset + len(head)
    with memory_for(f"for the unit of {size} bytes at byte {offset}"):
        body = _read_exactly(source, size + CRC_SIZE)
        payload = body[:size]
    if len(body) < size + CRC_SIZE:
        raise TruncatedError(
            f"the unit needs {size + CRC_SIZE} more bytes and {len(body)} are left",
            bit_offset=8 * (payload_offset + len(body)),
            clause="6.3",
            requirement="8.2-1",
            hint="the stream was cut",
        )
    stored = int.from_bytes(body[size:], "big")
    return Unit(
        offset=offset,
        skippable_flag=header.skippable_flag,
        unit_type=header.unit_type,
        payload=payload,
        payload_offset=payload_offset,
        crc=stored,
        crc_matches=zlib.crc32(payload, zlib.crc32(head)) == stored,
    )


def _read_exactly(source: ByteSource, size: int) -> bytes:
    """Read ``size`` bytes, or fewer at the end, in pieces, so that a false size costs no memory."""
    pieces: list[bytes] = []
    while size > 0:
        piece = source.read(min(size, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
