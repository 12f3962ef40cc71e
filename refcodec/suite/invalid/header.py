"""Defects of the signature and the stream header."""

from __future__ import annotations

from refcodec.suite.assemble import Cut, Edit
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import flip, header
from refcodec.suite.vectors import END


@invalid(1, "raw-float32", "signature", "6.2")
def not_a_dfc() -> Edit:
    """the signature is RIFF"""
    return header("signature", b"RIFF".hex())


@invalid(2, "raw-float32", "signature", "6.2", 0)
def file_empty() -> Edit:
    """the file is empty"""
    return Cut(0)


@invalid(3, "raw-float32", "truncated", "6.2", END)
def header_cut() -> Edit:
    """the file ends inside the stream header"""
    return Cut(6)


@invalid(4, "raw-float32", "checksum", "8.2")
def header_crc(stream: bytes) -> Edit:
    """header_crc has a wrong bit"""
    return flip(stream, 0, "stream_header.header_crc", 15)


@invalid(5, "raw-float32", "unsupported", "7.2")
def version_major() -> Edit:
    """version_major is 2"""
    return header("version_major", 2)


@invalid(6, "raw-float32", "unsupported", "7.2")
def reserved_zero_bits() -> Edit:
    """reserved_zero_2bits is 1"""
    return header("reserved_zero_2bits", 1)


@invalid(7, "raw-float32", "unsupported", "C.1")
def profile_undefined() -> Edit:
    """profile_idc is 200"""
    return header("profile_idc", 200)


@invalid(9, "raw-float32", "unsupported", "A.3")
def level_undefined() -> Edit:
    """level_idc is 9"""
    return header("level_idc", 9)
