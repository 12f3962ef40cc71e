"""Defects of zlib, gzip, bzip2 and xz data, each in another part of its format."""

from __future__ import annotations

import bz2
import lzma
import zlib

from refcodec.suite.make.define import invalid_payload
from refcodec.suite.make.deflate import (
    fixed_block,
    gzip_member,
    stored_block,
    xz_stream,
    zlib_stream,
)

# --- zlib ----------------------------------------------------------------------------------------------


@invalid_payload(400, "zlib-8-bit-shuffle", "8.3.2")
def zlib_empty(_: bytes) -> bytes:
    """the payload is empty"""
    return b""


@invalid_payload(401, "zlib-8-bit-shuffle", "8.3.2")
def zlib_header_check(payload: bytes) -> bytes:
    """the check bits of the zlib header are wrong"""
    return payload[:1] + bytes([payload[1] ^ 1]) + payload[2:]


@invalid_payload(402, "zlib-8-bit-shuffle", "8.3.2")
def zlib_method(payload: bytes) -> bytes:
    """the method of the zlib stream is 7"""
    return b"\x77\x09" + payload[2:]


@invalid_payload(403, "zlib-8-bit-shuffle", "8.3.2")
def zlib_window(payload: bytes) -> bytes:
    """the zlib header has a window of 64 KiB"""
    return b"\x88\x1c" + payload[2:]


@invalid_payload(404, "zlib-8-bit-shuffle", "8.3.2")
def zlib_preset_dictionary(payload: bytes) -> bytes:
    """the zlib header asks for a preset dictionary"""
    return b"\x78\x20" + zlib.adler32(b"feature").to_bytes(4, "big") + payload[2:]


@invalid_payload(405, "zlib-8-bit-shuffle", "8.3.2")
def zlib_block_type(payload: bytes) -> bytes:
    """a block of deflate has type 3"""
    return payload[:2] + bytes([payload[2] | 6]) + payload[3:]


@invalid_payload(406, "zlib-8-bit-shuffle", "8.3.2")
def zlib_stored_length(payload: bytes) -> bytes:
    """the length of a stored block and its complement disagree"""
    data = zlib.decompress(payload)
    stored = zlib_stream(stored_block(data), data)
    return stored[:5] + bytes([stored[5] ^ 1]) + stored[6:]


@invalid_payload(407, "zlib-8-bit-shuffle", "8.3.2")
def zlib_distance(payload: bytes) -> bytes:
    """a match begins before the first byte"""
    data = zlib.decompress(payload)
    return zlib_stream(fixed_block([*data[:4], (5, 5), *data[9:]]), data)


@invalid_payload(408, "zlib-8-bit-shuffle", "8.3.2")
def zlib_no_last_block(payload: bytes) -> bytes:
    """no block is marked as the last"""
    data = zlib.decompress(payload)
    return zlib_stream(fixed_block(data, last=False), data)


@invalid_payload(409, "zlib-8-bit-shuffle", "8.3.2")
def zlib_is_gzip(payload: bytes) -> bytes:
    """the payload is a gzip member"""
    data = zlib.decompress(payload)
    return gzip_member(fixed_block(data), data)


@invalid_payload(410, "zlib-8-bit-shuffle", "8.3.2")
def zlib_long_by_one(payload: bytes) -> bytes:
    """193 samples come where 192 are expected"""
    data = zlib.decompress(payload) + b"\0"
    return zlib_stream(fixed_block(data), data)


# --- gzip ----------------------------------------------------------------------------------------------


@invalid_payload(411, "gzip-stored", "8.3.3")
def gzip_magic(payload: bytes) -> bytes:
    """the second byte of the gzip member is wrong"""
    return payload[:1] + b"\x8c" + payload[2:]


@invalid_payload(412, "gzip-stored", "8.3.3")
def gzip_method(payload: bytes) -> bytes:
    """the method of the gzip member is 7"""
    return payload[:2] + b"\x07" + payload[3:]


@invalid_payload(413, "gzip-stored", "8.3.3")
def gzip_crc(payload: bytes) -> bytes:
    """the CRC-32 of the gzip member is wrong"""
    return payload[:-8] + bytes([payload[-8] ^ 1]) + payload[-7:]


@invalid_payload(414, "gzip-stored", "8.3.3")
def gzip_size(payload: bytes) -> bytes:
    """the size at the end of the gzip member is wrong"""
    return payload[:-1] + b"\x01"


@invalid_payload(415, "gzip-stored", "8.3.3")
def gzip_cut(payload: bytes) -> bytes:
    """the last byte of the gzip member is missing"""
    return payload[:-1]


@invalid_payload(416, "gzip-stored", "8.3.3")
def gzip_trailing(payload: bytes) -> bytes:
    """a byte follows the gzip member"""
    return payload + b"\0"


@invalid_payload(417, "gzip-stored", "8.3.3")
def gzip_is_zlib(payload: bytes) -> bytes:
    """the payload is a zlib stream"""
    data = zlib.decompress(payload, 31)
    return zlib_stream(fixed_block(data), data)


@invalid_payload(418, "gzip-comment", "8.3.3")
def gzip_header_crc_wrong(payload: bytes) -> bytes:
    """the CRC16 of a gzip header with a comment is wrong"""
    return payload[:20] + bytes([payload[20] ^ 0x80]) + payload[21:]


@invalid_payload(419, "gzip-stored", "8.3.3")
def gzip_name_without_end(payload: bytes) -> bytes:
    """the name in the gzip header has no end"""
    return payload[:10] + b"a" * 60


# --- bzip2 ---------------------------------------------------------------------------------------------


@invalid_payload(420, "bzip2-8-bit", "8.3.4")
def bzip2_magic(payload: bytes) -> bytes:
    """the bzip2 stream has block size 0"""
    return payload[:3] + b"0" + payload[4:]


@invalid_payload(421, "bzip2-8-bit", "8.3.4")
def bzip2_block_crc(payload: bytes) -> bytes:
    """the CRC of the block is wrong"""
    return payload[:10] + bytes([payload[10] ^ 1]) + payload[11:]


@invalid_payload(422, "bzip2-8-bit", "8.3.4")
def bzip2_cut(payload: bytes) -> bytes:
    """the last byte of the bzip2 stream is missing"""
    return payload[:-1]


@invalid_payload(423, "bzip2-8-bit", "8.3.4")
def bzip2_trailing(payload: bytes) -> bytes:
    """a byte follows the bzip2 stream"""
    return payload + b"\0"


@invalid_payload(424, "bzip2-8-bit", "8.3.4")
def bzip2_short(payload: bytes) -> bytes:
    """255 samples come where 256 are expected"""
    return bz2.compress(bz2.decompress(payload)[:-1])


@invalid_payload(425, "bzip2-8-bit", "8.3.4")
def bzip2_empty_stream(_: bytes) -> bytes:
    """a bzip2 stream without a block"""
    return bz2.compress(b"")


# --- xz ------------------------------------------------------------------------------------------------


@invalid_payload(430, "xz-dictionary", "8.3.5")
def xz_dictionary_96(payload: bytes) -> bytes:
    """the xz stream asks for a dictionary of 96 MiB"""
    return xz_stream(lzma.decompress(payload), dictionary=29)


@invalid_payload(431, "xz-dictionary", "8.3.5")
def xz_two_blocks(payload: bytes) -> bytes:
    """the xz stream has two blocks"""
    data = lzma.decompress(payload)
    return xz_stream(data[:20], data[20:])


@invalid_payload(432, "xz-dictionary", "8.3.5")
def xz_two_streams(payload: bytes) -> bytes:
    """two xz streams, each with half of the bytes"""
    data = lzma.decompress(payload)
    return xz_stream(data[:20]) + xz_stream(data[20:])


@invalid_payload(433, "xz-dictionary", "8.3.5")
def xz_padding(payload: bytes) -> bytes:
    """four zero bytes follow the xz stream"""
    return payload + bytes(4)


@invalid_payload(434, "xz-dictionary", "8.3.5")
def xz_no_block(_: bytes) -> bytes:
    """the xz stream has no block"""
    return xz_stream()


@invalid_payload(435, "xz-crc32", "8.3.5")
def xz_check_wrong(payload: bytes) -> bytes:
    """the CRC32 over the content is wrong"""
    at = len(payload) - 12 - 12
    return payload[: at - 1] + bytes([payload[at - 1] ^ 1]) + payload[at:]


@invalid_payload(436, "xz-dictionary", "8.3.5")
def xz_magic(payload: bytes) -> bytes:
    """the first byte of the xz stream is wrong"""
    return b"\xfc" + payload[1:]


@invalid_payload(437, "xz-dictionary", "8.3.5")
def xz_footer(payload: bytes) -> bytes:
    """the last byte of the xz stream is wrong"""
    return payload[:-1] + b"z"


@invalid_payload(438, "xz-dictionary", "8.3.5")
def xz_cut(payload: bytes) -> bytes:
    """the footer of the xz stream is missing"""
    return payload[:-12]


@invalid_payload(439, "xz-dictionary", "8.3.5")
def xz_is_lzma(payload: bytes) -> bytes:
    """the payload is in the older format of LZMA"""
    return lzma.compress(lzma.decompress(payload), lzma.FORMAT_ALONE)


@invalid_payload(440, "xz-sizes", "8.3.5")
def xz_sizes_wrong(payload: bytes) -> bytes:
    """the uncompressed size in the header of the block is one too small"""
    size = payload[12] * 4
    head = bytearray(payload[12 : 12 + size])
    at = 2 + 1 + (head[2] >= 0x80)
    head[at] -= 1
    return payload[:12] + head + zlib.crc32(head).to_bytes(4, "little") + payload[16 + size :]


@invalid_payload(441, "lzma-float16", "8.3.5")
def xz_branch_filter(payload: bytes) -> bytes:
    """the xz stream has a filter for x86 programs before LZMA2"""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(lzma.decompress(payload), lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)


# --- samples -------------------------------------------------------------------------------------------


@invalid_payload(442, "zlib-9-bit", "8.3.1")
def sample_of_10_bits(payload: bytes) -> bytes:
    """the last sample of 9 bits is 512"""
    data = zlib.decompress(payload)[:-2] + b"\x00\x02"
    return zlib_stream(stored_block(data), data)


@invalid_payload(443, "raw-1-bit-alone", "8.3.1")
def raw_padding_low(payload: bytes) -> bytes:
    """the last of seven padding bits is set"""
    return bytes([payload[0] | 1])


@invalid_payload(444, "raw-9-bit", "8.3.1")
def raw_padding_high(payload: bytes) -> bytes:
    """the first of seven padding bits is set"""
    return payload[:-1] + bytes([payload[-1] | 0x40])


@invalid_payload(445, "raw-8-times-9-bit", "8.3.1")
def raw_9_bit_long(payload: bytes) -> bytes:
    """a byte follows samples that fill their bytes"""
    return payload + b"\0"


@invalid_payload(446, "log-1-bit", "8.3.1")
def raw_empty(_: bytes) -> bytes:
    """the payload is empty"""
    return b""


@invalid_payload(447, "xz-crc32", "8.3.5")
def xz_check_undefined(payload: bytes) -> bytes:
    """the xz stream has a check of type 2, of four bytes, which is not defined"""
    return xz_stream(lzma.decompress(payload), check=2)
