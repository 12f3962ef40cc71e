"""Compressed data of chosen form, which a library would not write: deflate (RFC 1951), zlib, gzip, xz.

A token of a deflate block is a byte, or a match: its length, 3 to 258, and its distance, 1 to 32,768.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Sequence

__all__ = [
    "Token",
    "every_match",
    "expanded",
    "fixed_block",
    "gzip_member",
    "stored_block",
    "xz_stream",
    "zlib_stream",
]

Token = int | tuple[int, int]
"""A byte, or the length and the distance of a match."""

_LENGTHS = (*range(3, 11), 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115)
LENGTHS = (*_LENGTHS, 131, 163, 195, 227, 258)
"""Least length of each length code, from code 257 on."""

DISTANCES = (1, 2, 3, 4, *(base << n for n in range(1, 14) for base in (2, 3)))
DISTANCES = (*DISTANCES[:4], *(one + 1 for one in DISTANCES[4:]))
"""Least distance of each distance code."""


def fixed_block(tokens: Iterable[Token], *, last: bool = True) -> str:
    """A block of fixed Huffman codes, as bits in the order of the stream."""
    bits = f"{int(last)}" + "10"
    for token in tokens:
        if isinstance(token, int):
            bits += _symbol(token)
            continue
        length, distance = token
        code = max(n for n, least in enumerate(LENGTHS) if least <= length)
        extra = 0 if code < 8 or length == 258 else (code - 4) // 4
        bits += _symbol(257 + code) + _reversed(length - LENGTHS[code], extra)
        code = max(n for n, least in enumerate(DISTANCES) if least <= distance)
        bits += f"{code:05b}" + _reversed(distance - DISTANCES[code], max(0, code // 2 - 1))
    return bits + _symbol(256)


def stored_block(data: bytes, before: str = "", *, last: bool = True) -> str:
    """Bits ``before`` and a stored block behind them."""
    bits = before + f"{int(last)}" + "00"
    bits += "0" * (-len(bits) % 8)
    size = len(data).to_bytes(2, "little")
    return bits + "".join(f"{byte:08b}"[::-1] for byte in (*size, *(255 - n for n in size), *data))


def _symbol(symbol: int) -> str:
    """The fixed code of a literal, a length or the end of a block."""
    if symbol < 144:
        return f"{0x30 + symbol:08b}"
    if symbol < 256:
        return f"{0x190 + symbol - 144:09b}"
    return f"{symbol - 256:07b}" if symbol < 280 else f"{0xC0 + symbol - 280:08b}"


def _reversed(value: int, width: int) -> str:
    """Extra bits, least significant first."""
    return f"{value:0{width}b}"[::-1] if width else ""


def expanded(tokens: Iterable[Token]) -> bytes:
    """The bytes that tokens stand for."""
    data = bytearray()
    for token in tokens:
        if isinstance(token, int):
            data.append(token)
            continue
        length, distance = token
        for _ in range(length):
            data.append(data[-distance])
    return bytes(data)


def every_match() -> list[Token]:
    """Tokens with the least and the greatest length, and distance, of every code."""
    tokens: list[Token] = [*range(256), *((258, 255) for _ in range(128))]
    longest = (*(least - 1 for least in LENGTHS[1:-1]), 257, 258)
    farthest = (*(least - 1 for least in DISTANCES[1:]), 32768)
    tokens += [(length, 77) for pair in zip(LENGTHS, longest, strict=True) for length in pair]
    tokens += [(3, far) for pair in zip(DISTANCES, farthest, strict=True) for far in pair]
    return tokens


def _bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def zlib_stream(bits: str, data: bytes, *, head: bytes = b"\x78\x01") -> bytes:
    """A zlib stream of deflate blocks that stand for ``data``."""
    return head + _bytes(bits) + zlib.adler32(data).to_bytes(4, "big")


def gzip_member(bits: str, data: bytes, *, head: bytes = b"\x1f\x8b\x08" + bytes(7)) -> bytes:
    """A gzip member of deflate blocks that stand for ``data``."""
    crc, size = zlib.crc32(data).to_bytes(4, "little"), len(data).to_bytes(4, "little")
    return head + _bytes(bits) + crc + size


def xz_stream(
    *blocks: bytes,
    check: int = lzma.CHECK_NONE,
    dictionary: int = 12,
    sizes: tuple[bool, bool] = (False, False),
    padding: int = 0,
    options: Sequence[tuple[str, int]] = (),
) -> bytes:
    """An xz stream with a block of LZMA2 for each piece of data.

    check      : type of the check over the content: none, or one of four bytes, which holds a CRC32.
    dictionary : code of its size: 12 for 256 KiB, 28 for 64 MiB.
    sizes      : true if the header of a block gives its compressed, and its uncompressed size.
    padding    : additional words of padding in the header of a block.
    options    : of LZMA2, such as ``lc``, the number of bits of literal context.
    """
    flags = bytes([0, check])
    stream = b"\xfd7zXZ\0" + flags + _crc(flags)
    records = b""
    for data in blocks:
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, **dict(options)}]
        coded = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
        given = [
            _number(len(one)) for one, shown in zip((coded, data), sizes, strict=True) if shown
        ]
        head = (
            bytes([0x40 * sizes[0] + 0x80 * sizes[1]])
            + b"".join(given)
            + b"\x21\x01"
            + bytes([dictionary])
        )
        head += bytes(-(len(head) + 1) % 4 + 4 * padding)
        head = bytes([(len(head) + 1) // 4]) + head
        checked = zlib.crc32(data).to_bytes(4, "little") if check else b""
        block = head + _crc(head) + coded
        records += _number(len(block) + len(checked)) + _number(len(data))
        stream += block + bytes(-len(block) % 4) + checked
    index = b"\0" + _number(len(blocks)) + records
    index += bytes(-len(index) % 4)
    index += _crc(index)
    footer = (len(index) // 4 - 1).to_bytes(4, "little") + flags
    return stream + index + _crc(footer) + footer + b"YZ"


def _number(value: int) -> bytes:
    """A multibyte integer of xz."""
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
