"""Legal but unusual: elements that a decoder ignores, arithmetic at its limits, optional fields."""

from __future__ import annotations

import lzma
import zlib

import numpy as np

from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import change_payload, header
from refcodec.suite.valid.build import coded, samples
from refcodec.suite.valid.values import HALF, SINGLE
from refcodec.suite.vectors import Features


@edited(43, "raw-float32", "a unit of type 99 with skippable_flag 1 precedes the feature", "C.1")
def unknown_unit() -> Edit:
    """a unit of unknown type that a decoder may skip"""
    return Insert(2, 99, 1, "446565702046656174757265")


@edited(44, "raw-float32", "version_minor is 7", violation=("constraint", "7.2"))
def newer_minor_version() -> Edit:
    """a decoder reads a later minor version, though no stream of this version has it"""
    return header("version_minor", 7)


@edited(45, "raw-float32", "reserved_ignored_2bits is 3", violation=("constraint", "9.6"))
def reserved_ignored_bits() -> Edit:
    """a decoder ignores these bits, though no stream of this version sets them"""
    return header("reserved_ignored_2bits", 3)


@edited(46, "index", "reserved_ignored_4bits is 1", violation=("constraint", "9.6"))
def index_reserved_bits() -> Edit:
    """a decoder ignores these bits of the index, too"""
    return Set(6, "index.reserved_ignored_4bits", 1)


@edited(
    47, "raw-float32", "skippable_flag of a coded feature is 1", violation=("constraint", "9.1")
)
def skippable_flag_wrong() -> Edit:
    """a decoder ignores skippable_flag of types that it knows"""
    return Set(2, "unit.skippable_flag", 1)


@vector(50, "4.3", "8.6.1")
def uniform_three_roundings(_: Features) -> bytes:
    """samples that fused or reordered arithmetic gets wrong"""
    return samples(SINGLE, (-0.1, 0.2), range(21837, 21853))


@vector(51, "4.3", "8.7")
def uniform_subnormal_float16(_: Features) -> bytes:
    """float16 results below the smallest normal number"""
    return samples(HALF, (-6e-6, 6e-6), range(32256, 33280, 37))


@vector(52, "4.3", "8.7")
def uniform_subnormal_float32(_: Features) -> bytes:
    """float32 results below the smallest normal number"""
    return samples(SINGLE, (-1e-40, 3e-40), range(0, 65536, 4099))


@vector(53, "A.3")
def level_2(f: Features) -> bytes:
    """a feature of 65,600 elements, too many for level 1"""
    return coded(np.resize(f.conv, (41, 40, 40)), coder="raw", quantiser="uniform", bits=1)


@vector(48)
def gzip_header_fields(f: Features) -> bytes:
    """a gzip member with a name, a comment, extra bytes and a CRC16"""
    stream = coded(f.pool[5], coder="gzip")
    return change_payload(stream, _with_header_fields)(stream)


def _with_header_fields(member: bytes) -> bytes:
    """A gzip member with all optional fields of RFC 1952."""
    fields = b"\x04\x00demo" + b"feature\0" + b"a comment\0"
    header = member[:3] + b"\x1e" + member[4:10] + fields
    return header + (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") + member[10:]


@vector(49)
def lzma_crc64(f: Features) -> bytes:
    """an xz stream with a CRC64 over its content"""
    stream = coded(f.pool[5], coder="lzma")
    return change_payload(stream, _with_crc64)(stream)


def _with_crc64(payload: bytes) -> bytes:
    return lzma.compress(lzma.decompress(payload), lzma.FORMAT_XZ, lzma.CHECK_CRC64)
