"""The byte coders: clauses 8.3.1 to 8.3.5."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

from .bits import BitReader, Integers
from .codes import Coder, Quantiser
from .refusal import Refusal, require
from .syntax import FeatureParameterSet

GZIP_BEGIN = b"\x1f\x8b\x08"
GZIP_TAIL = 8
FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16
XZ_BEGIN = b"\xfd7zXZ\x00\x00"
XZ_HEADER = 12
XZ_CHECKS = (0, 1, 4, 10)
XZ_LZMA2 = 0x21
XZ_LARGEST_DICTIONARY = 28  # code of 2^26 bytes


class Decompressor(Protocol):
    """The common part of the decompressors of the standard library."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def refuse(coder: Coder, found: str) -> Refusal:
    """The refusal of a payload of a byte coder."""
    return Refusal("payload", f"8.3.{coder + 1}", f"{coder.name}: {found}")


def inflate(coder: Coder, machine: Decompressor, data: bytes, size: int, tail: int = 0) -> bytes:
    """Decompress to ``size`` bytes, with ``tail`` bytes after the end (R8.3-1 to R8.3-3)."""
    try:
        out = machine.decompress(data, size + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise refuse(coder, str(error)) from error
    if len(out) != size:
        raise refuse(coder, f"{len(out)} bytes where {size} are expected")
    if not machine.eof or len(machine.unused_data) != tail:
        raise refuse(coder, "the compressed data do not end with the payload")
    return out


def zlib_bytes(payload: bytes, size: int) -> bytes:
    """Decompress one zlib stream (8.3.2); FDICT makes zlib ask for a dictionary, which is an error."""
    return inflate(Coder.ZLIB, zlib.decompressobj(zlib.MAX_WBITS), payload, size)


def gzip_body(payload: bytes) -> int:
    """Position of the deflated data in a gzip member, after its optional fields (8.3.3)."""
    flags = payload[3] if len(payload) > 3 else 0xFF
    if not payload.startswith(GZIP_BEGIN) or flags & 0xE0:
        raise refuse(Coder.GZIP, "this is no member of method 8 without reserved flags")
    at = 10
    if flags & FEXTRA:
        at += 2 + int.from_bytes(payload[at : at + 2], "little")
    for flag in (FNAME, FCOMMENT):
        if flags & flag:
            at = payload.find(b"\0", at) + 1 or len(payload) + 1
    if flags & FHCRC:
        crc = (zlib.crc32(payload[:at]) & 0xFFFF).to_bytes(2, "little")
        if payload[at : at + 2] != crc:
            raise refuse(Coder.GZIP, "the CRC16 of the header does not match")
        at += 2
    if at > len(payload):
        raise refuse(Coder.GZIP, "the header is cut")
    return at


def gzip_bytes(payload: bytes, size: int) -> bytes:
    """Decompress one gzip member, and check its CRC32 and ISIZE (8.3.3)."""
    body = payload[gzip_body(payload) :]
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    out = inflate(Coder.GZIP, machine, body, size, GZIP_TAIL)
    tail = zlib.crc32(out).to_bytes(4, "little") + size.to_bytes(4, "little")
    if machine.unused_data != tail:
        raise refuse(Coder.GZIP, "CRC32 or ISIZE do not match")
    return out


def bzip2_bytes(payload: bytes, size: int) -> bytes:
    """Decompress one bzip2 stream (8.3.4)."""
    return inflate(Coder.BZIP2, bz2.BZ2Decompressor(), payload, size)


def xz_number(data: bytes, at: int) -> tuple[int, int]:
    """A multibyte integer of the .xz format, and the position after it."""
    value = 0
    for place, byte in enumerate(data[at : at + 9]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise refuse(Coder.LZMA, "an integer has no end")


def check_xz(payload: bytes) -> None:
    """Check the rules of 8.3.5 that liblzma does not enforce: type of check, filter, number of blocks."""
    if not payload.startswith(XZ_BEGIN) or len(payload) < 2 * XZ_HEADER + 8:
        raise refuse(Coder.LZMA, "this is no .xz stream")
    if payload[7] not in XZ_CHECKS:
        raise refuse(Coder.LZMA, f"the check is of type {payload[7]}")
    block_flags, at = payload[XZ_HEADER + 1], XZ_HEADER + 2
    for flag in (0x40, 0x80):  # compressed and uncompressed size
        if block_flags & flag:
            _, at = xz_number(payload, at)
    filter_id, at = xz_number(payload, at)
    if block_flags & 3 or filter_id != XZ_LZMA2 or payload[at : at + 1] != b"\x01":
        raise refuse(Coder.LZMA, "LZMA2 is not the only filter")
    if payload[at + 1 : at + 2] > bytes([XZ_LARGEST_DICTIONARY]):
        raise refuse(Coder.LZMA, "the dictionary exceeds 2^26 bytes")
    index_size = 4 * (int.from_bytes(payload[-8:-4], "little") + 1)
    index = len(payload) - XZ_HEADER - index_size
    if index < 0 or payload[index] != 0 or xz_number(payload, index + 1)[0] != 1:
        raise refuse(Coder.LZMA, "the stream does not have one block")


def lzma_bytes(payload: bytes, size: int) -> bytes:
    """Decompress one .xz stream (8.3.5)."""
    check_xz(payload)
    return inflate(Coder.LZMA, lzma.LZMADecompressor(lzma.FORMAT_XZ), payload, size)


DECOMPRESS: dict[Coder, Callable[[bytes, int], bytes]] = {
    Coder.ZLIB: zlib_bytes,
    Coder.GZIP: gzip_bytes,
    Coder.BZIP2: bzip2_bytes,
    Coder.LZMA: lzma_bytes,
}


def decode_bytes(payload: bytes, fps: FeatureParameterSet) -> Integers:
    """Decode a payload of a byte coder to samples, C x H x W (8.3.1)."""
    count, bits = fps.elements, fps.bits
    packed = fps.coder == Coder.RAW and fps.quantiser != Quantiser.NONE
    word = 1 if bits <= 8 else 2 if bits <= 16 else 4
    size = (count * bits + 7) // 8 if packed else count * word
    data = payload if fps.coder == Coder.RAW else DECOMPRESS[fps.coder](payload, size)
    require(len(data) == size, "payload", "R8.3.1-3", f"{len(data)} sample bytes, not {size}")
    if packed:
        read = BitReader(data)
        samples = read.array(count, bits)
        padding = read.u(8 * size - read.position)
        require(padding == 0, "payload", "R8.3.1-1", "padding bits are not zero")
        return samples.reshape(fps.shape)
    if fps.shuffle_flag:
        data = np.frombuffer(data, np.uint8).reshape(word, count).T.tobytes()
    samples = np.frombuffer(data, f"<u{word}").astype(np.int64)
    largest = int(samples.max())
    require(largest >> bits == 0, "payload", "R8.3.1-2", f"a word is {largest}")
    return samples.reshape(fps.shape)
