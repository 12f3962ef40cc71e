"""Compressed data made from integers alone: DEFLATE in zlib and gzip, LZMA2 in xz, and bzip2.

A library's choices change with its version. These writers draw theirs: block types, lengths of matches,
optional fields. DEFLATE has stored blocks and fixed codes, LZMA2 uncompressed chunks; bzip2 comes from
libbzip2, whose output is the same in all versions in use.
"""

from __future__ import annotations

import bz2
import hashlib
import zlib
from itertools import pairwise

from refcodec.suite.drawn.chance import Chance

__all__ = ["compress"]


def compress(chance: Chance, data: bytes, coder: str) -> bytes:
    """One zlib stream, gzip member, bzip2 stream or xz stream of some bytes, by the name of the coder."""
    return {"zlib": _zlib, "gzip": _gzip, "bzip2": _bzip2, "lzma": _xz}[coder](chance, data)


def _zlib(chance: Chance, data: bytes) -> bytes:
    head = (7 << 4 | 8) << 8 | chance.below(4) << 6
    head += -head % 31
    return head.to_bytes(2, "big") + _deflate(chance, data) + zlib.adler32(data).to_bytes(4, "big")


def _gzip(chance: Chance, data: bytes) -> bytes:
    flags = chance.choose([0, 0, chance.below(32)]) & ~1 | chance.below(2)
    head = b"\x1f\x8b\x08" + bytes([flags]) + chance.bytes(4) + bytes([chance.choose([0, 2, 4])])
    head += bytes([chance.below(256)])
    if flags & 4:
        extra = chance.bytes(chance.number(0, 70))
        head += len(extra).to_bytes(2, "little") + extra
    for flag in (8, 16):
        if flags & flag:
            head += bytes(byte or 32 for byte in chance.bytes(chance.number(0, 40))) + b"\0"
    if flags & 2:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    tail = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return head + _deflate(chance, data) + tail


def _bzip2(chance: Chance, data: bytes) -> bytes:
    return bz2.compress(data, chance.number(1, 9))


# --- DEFLATE (RFC 1951) ----------------------------------------------------------------------------

_LENGTHS = [*range(3, 11), *range(11, 19, 2), *range(19, 35, 4), *range(35, 67, 8),
            *range(67, 131, 16), *range(131, 258, 32), 258, 259]  # fmt: skip
"""First match length of each code from 257 on, and the end."""

_DISTANCES = [1, 2, *(((2 + half) << extra) + 1 for extra in range(14) for half in range(2)), 32769]
"""First match distance of each code, and the end."""

_LONGEST_STORED = 0xFFFF


class _Bits:
    """Bits, the first the lowest of a byte."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self.count = 0

    def number(self, value: int, width: int) -> None:
        """A number, lowest bit first."""
        self._add(f"{value:0{width}b}"[::-1] if width else "")

    def code(self, value: int, width: int) -> None:
        """A Huffman code, highest bit first."""
        self._add(f"{value:0{width}b}")

    def align(self) -> None:
        """Zero bits up to the next byte."""
        self._add("0" * (-self.count % 8))

    def _add(self, text: str) -> None:
        self._text.append(text)
        self.count += len(text)

    def data(self) -> bytes:
        """All bits, in whole bytes."""
        self.align()
        return int("1" + "".join(self._text)[::-1], 2).to_bytes(self.count // 8 + 1, "big")[:0:-1]


def _deflate(chance: Chance, data: bytes) -> bytes:
    """Blocks of any size; an empty one at the end now and then."""
    out, at = _Bits(), 0
    sizes = chance.parts(len(data), max(1, chance.number(len(data) // 4, len(data))))
    sizes += [0] * chance.one_in(4)
    for number, size in enumerate(sizes):
        last = int(number == len(sizes) - 1)
        block = data[at : at + size]
        if size <= _LONGEST_STORED and chance.one_in(3):
            out.number(last, 1)
            out.number(0, 2)
            out.align()
            out.number(size, 16)
            out.number(size ^ 0xFFFF, 16)
            for byte in block:
                out.number(byte, 8)
        else:
            out.number(last, 1)
            out.number(1, 2)
            _fixed(chance, out, data, at, at + size)
        at += size
    return out.data()


def _fixed(chance: Chance, out: _Bits, data: bytes, at: int, end: int) -> None:
    """A block in fixed codes: literals, and matches of the last place where four bytes occurred."""
    seen: dict[bytes, int] = {}
    for place in range(max(0, at - 1024), at):
        seen[data[place : place + 4]] = place
    while at < end:
        start = seen.get(data[at : at + 4])
        seen[data[at : at + 4]] = at
        length = 0
        if start is not None and at - start <= 32768 and chance.below(8):
            most = min(258, end - at)
            while length < most and data[start + length] == data[at + length]:
                length += 1
        if start is None or length < 3:
            _literal(out, data[at])
            at += 1
            continue
        length = chance.choose([length, chance.between(3, length)])
        symbol = next(i for i, (a, b) in enumerate(pairwise(_LENGTHS)) if a <= length < b)
        _literal(out, 257 + symbol)
        extra = (_LENGTHS[symbol + 1] - _LENGTHS[symbol] - 1).bit_length()
        out.number(length - _LENGTHS[symbol], extra)
        distance = at - start
        symbol = next(i for i, (a, b) in enumerate(pairwise(_DISTANCES)) if a <= distance < b)
        out.code(symbol, 5)
        extra = (_DISTANCES[symbol + 1] - _DISTANCES[symbol] - 1).bit_length()
        out.number(distance - _DISTANCES[symbol], extra)
        at += length
    _literal(out, 256)


def _literal(out: _Bits, symbol: int) -> None:
    """A literal, an end or a length, in the fixed code."""
    if symbol < 144:
        out.code(0x30 + symbol, 8)
    elif symbol < 256:
        out.code(0x190 + symbol - 144, 9)
    elif symbol < 280:
        out.code(symbol - 256, 7)
    else:
        out.code(0xC0 + symbol - 280, 8)


# --- xz (the .xz file format 1.1) ------------------------------------------------------------------

_CHECKS = {0: 0, 1: 4, 4: 8, 10: 32}
"""Sizes of the checks by their number: none, CRC32, CRC64, SHA-256."""

_LARGEST_CHUNK = 1 << 16


def _xz(chance: Chance, data: bytes) -> bytes:
    """One block of uncompressed chunks, with any check and optional sizes or without."""
    check = chance.choose(list(_CHECKS))
    flags = bytes([0, check])
    chunks = b""
    at = 0
    for size in chance.parts(len(data), min(len(data), _LARGEST_CHUNK)):
        chunks += bytes([2 if at else 1]) + (size - 1).to_bytes(2, "big") + data[at : at + size]
        at += size
    chunks += b"\0"
    present = chance.below(4)
    sizes = _vli(len(chunks)) * (present & 1) + _vli(len(data)) * (present >> 1)
    dictionary = chance.number(0, 18)  # of 4 KiB to 2 MiB
    fields = bytes([present << 6]) + sizes + b"\x21\x01" + bytes([dictionary])
    fields += bytes(-(len(fields) + 1) % 4 + 4 * chance.below(3))
    head = bytes([(len(fields) + 1 + 4) // 4 - 1]) + fields
    head += zlib.crc32(head).to_bytes(4, "little")
    value = _check(check, data)
    unpadded = len(head) + len(chunks) + len(value)
    block = head + chunks + bytes(-len(chunks) % 4) + value
    index = b"\0\x01" + _vli(unpadded) + _vli(len(data))
    index += bytes(-len(index) % 4)
    index += zlib.crc32(index).to_bytes(4, "little")
    backward = (len(index) // 4 - 1).to_bytes(4, "little") + flags
    start = b"\xfd7zXZ\0" + flags + zlib.crc32(flags).to_bytes(4, "little")
    return start + block + index + zlib.crc32(backward).to_bytes(4, "little") + backward + b"YZ"


def _vli(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _check(kind: int, data: bytes) -> bytes:
    match kind:
        case 1:
            return zlib.crc32(data).to_bytes(4, "little")
        case 4:
            crc = 0xFFFFFFFFFFFFFFFF
            for byte in data:
                crc = _CRC64[(crc ^ byte) & 0xFF] ^ crc >> 8
            return (crc ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        case 10:
            return hashlib.sha256(data).digest()
    return b""


def _crc64_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xC96C5795D7870F42 if value & 1 else 0)
    return value


_CRC64 = [_crc64_entry(value) for value in range(256)]
