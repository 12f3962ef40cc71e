"""Forms that the formats of the byte coders allow, and that a library seldom writes."""

from __future__ import annotations

import bz2
import lzma
import zlib

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.make.deflate import (
    every_match,
    expanded,
    fixed_block,
    gzip_member,
    stored_block,
    xz_stream,
    zlib_stream,
)
from refcodec.suite.make.native import pattern
from refcodec.suite.valid.build import coded, replaced
from refcodec.suite.vectors import Features


def _with_bytes(coder: str, payload: bytes, data: bytes) -> bytes:
    """A stream of uint8 values, whose payload is replaced by one that stands for the same."""
    feature = np.frombuffer(data, np.uint8)
    return replaced(coded(feature, coder=coder, batch=False), payload)


def _numbers(count: int) -> bytes:
    """Bytes that an entropy coder gains little from."""
    return (pattern((count,), 1, 12) + 12).astype(np.uint8).tobytes()


@vector(240)
def zlib_matches(_: Features) -> bytes:
    """the least and the greatest length and distance of every code of deflate, up to 32,768 bytes back"""
    tokens = every_match()
    data = expanded(tokens)
    return _with_bytes("zlib", zlib_stream(fixed_block(tokens), data), data)


@vector(241)
def gzip_matches(_: Features) -> bytes:
    """likewise in a gzip member, of a time, an operating system and a text"""
    tokens = every_match()
    data = expanded(tokens)
    head = b"\x1f\x8b\x08\x01" + b"\x12\x34\x56\x78" + b"\x02\x07"
    return _with_bytes("gzip", gzip_member(fixed_block(tokens), data, head=head), data)


@vector(242)
def zlib_blocks(_: Features) -> bytes:
    """blocks of all three types, empty ones among them, and a window of 256 bytes"""
    first, second, third = b"\x00\xff\x90\x8f" * 4, _numbers(90), bytes(range(64))
    bits = stored_block(b"", fixed_block(first, last=False), last=False)
    bits = stored_block(second, bits + fixed_block((), last=False), last=False)
    dynamic = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = dynamic.compress(8 * third) + dynamic.flush()
    bits += "".join(f"{byte:08b}"[::-1] for byte in body)
    data = first + second + 8 * third
    return _with_bytes("zlib", zlib_stream(bits, data, head=b"\x08\x1d"), data)


@vector(243)
def gzip_stored(_: Features) -> bytes:
    """a stored block, and a header with a name alone"""
    data = _numbers(40)
    head = b"\x1f\x8b\x08\x08" + bytes(5) + b"\xff" + b"feature\0"
    return _with_bytes("gzip", gzip_member(stored_block(data), data, head=head), data)


@vector(244)
def gzip_comment(_: Features) -> bytes:
    """a header with a comment and its CRC16"""
    data = _numbers(40)
    head = b"\x1f\x8b\x08\x12" + bytes(5) + b"\x03" + b"a comment\0"
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    return _with_bytes("gzip", gzip_member(fixed_block(data), data, head=head), data)


@vector(245)
def bzip2_blocks(_: Features) -> bytes:
    """two blocks, of 100,000 bytes at most, and runs of every kind"""
    runs = b"".join(bytes([n % 7]) * n for n in (1, 2, 3, 4, 5, 254, 255, 256, 258, 259, 260, 600))
    data = bytearray(bytes(range(97)) * 1352)[: 2 * 65536]
    data[5000 : 5000 + len(runs)] = runs
    data[99600:100400] = _numbers(800)
    feature = np.frombuffer(data, np.int16).reshape(1, 256, 256)
    return replaced(coded(feature, coder="bzip2"), bz2.compress(feature.tobytes(), 1))


@vector(246)
def xz_dictionary(_: Features) -> bytes:
    """a dictionary of 64 MiB, the largest of the presets of xz"""
    data = _numbers(60)
    return _with_bytes("lzma", xz_stream(data, dictionary=28), data)


@vector(247)
def xz_sizes(_: Features) -> bytes:
    """a block whose header gives its sizes, and has more padding than it needs"""
    data = 4 * _numbers(60)
    return _with_bytes("lzma", xz_stream(data, sizes=(True, True), padding=3), data)


@vector(248)
def xz_crc32(_: Features) -> bytes:
    """a CRC32 over the content, and other numbers of bits of context"""
    data = bytes(range(40)) + 9 * _numbers(30)
    options = [("lc", 0), ("lp", 4), ("pb", 0)]
    return _with_bytes("lzma", xz_stream(data, check=lzma.CHECK_CRC32, options=options), data)


@vector(249)
def xz_sha256(_: Features) -> bytes:
    """a SHA-256 over the content, and the preset 9"""
    data = 5 * _numbers(30)
    payload = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_SHA256, 9)
    return _with_bytes("lzma", payload, data)


@vector(250)
def xz_smallest_dictionary(_: Features) -> bytes:
    """a dictionary of 4 KiB, and data without structure"""
    data = (pattern((70,), 1, 2**30) >> 7).astype(np.uint8).tobytes()
    return _with_bytes("lzma", xz_stream(data, dictionary=0, options=[("dict_size", 4096)]), data)


@vector(237)
def xz_compressed_size(_: Features) -> bytes:
    """a block whose header gives its compressed size alone"""
    data = _numbers(12)
    return _with_bytes("lzma", xz_stream(data, sizes=(True, False)), data)


@vector(238)
def xz_uncompressed_size(_: Features) -> bytes:
    """a block whose header gives its uncompressed size alone"""
    data = 12 * _numbers(12)
    return _with_bytes("lzma", xz_stream(data, sizes=(False, True)), data)
