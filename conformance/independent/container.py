"""Stream header and units: clauses 6.2, 6.3 and 8.2."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .bits import BitReader
from .codes import LEVELS, NETWORK_MODEL, Level, Profile, UnitType, code_point
from .refusal import Missing, Refusal, require

SIGNATURE = b"\x89DFC"
HEADER_SIZE = 9
VERSION = 1
CRC_SIZE = 4


class Header(NamedTuple):
    """Profile and level, all that a decoder needs of the stream header (6.2)."""

    profile: Profile
    level: Level


class Unit(NamedTuple):
    """A unit whose CRC matches; the type is None where a decoder passes over it."""

    type: UnitType | None
    payload: bytes


def read_header(stream: bytes) -> Header:
    """Read and check the stream header, in the order of 8.2."""
    begins = SIGNATURE.startswith(stream[:4]) and stream
    require(bool(begins), "signature", "R7.2-1", f"the stream begins with {stream[:4]!r}")
    require(len(stream) >= HEADER_SIZE, "truncated", "8.2", "the stream ends in its header")
    crc = zlib.crc32(stream[: HEADER_SIZE - 2]) & 0xFFFF
    read = BitReader(stream[len(SIGNATURE) : HEADER_SIZE])
    version = read.u(4)
    read.u(4)  # version_minor: every value is accepted (R7.2-4)
    profile, level = read.u(8), read.u(4)
    read.u(2)  # reserved_ignored_2bits
    reserved = read.u(2)
    require(read.u(16) == crc, "checksum", "R7.2-10", "header_crc does not match")
    require(version == VERSION, "unsupported", "R7.2-2", f"version_major is {version}")
    known = code_point(Profile, profile)
    require(level in LEVELS, "unsupported", "R7.2-5", f"level_idc is {level}")
    require(reserved == 0, "unsupported", "R7.2-9", f"reserved_zero_2bits is {reserved}")
    return Header(known, LEVELS[level])


def read_units(stream: bytes, level: Level) -> Iterator[Unit]:
    """Read the units of a stream up to its end unit, and check their sizes and CRCs (8.2)."""
    read = BitReader(stream)
    read.position = 8 * HEADER_SIZE
    while True:
        begin = read.position // 8
        skippable_flag = read.flag()
        number = read.u(7)
        size = read.leb128()
        limit = level.max_unit_size
        require(size <= limit, "unsupported", "R8.2-2", f"a unit has {size} bytes")
        payload = read.raw(size)
        crc = zlib.crc32(stream[begin : read.position // 8])
        require(read.u(8 * CRC_SIZE) == crc, "checksum", "R8.2-3", "unit_crc does not match")
        if number == NETWORK_MODEL:
            raise Missing("the stream has a network model (7.13), which this decoder lacks")
        if number not in UnitType.__members__.values():
            if not skippable_flag:
                raise Refusal("unsupported", "R8.2-5", f"unit_type is {number}")
            yield Unit(None, payload)
            continue
        yield Unit(UnitType(number), payload)
        if number == UnitType.END:
            left = len(stream) - read.position // 8
            require(left == 0, "order", "R9.1-10", f"{left} bytes follow the end unit")
            return
