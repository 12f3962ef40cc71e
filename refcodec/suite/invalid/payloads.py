"""Defects of payloads of the byte coders and of HEVC."""

from __future__ import annotations

import lzma
import zlib

from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import invalid, invalid_payload
from refcodec.suite.make.edits import flip


@invalid_payload(70, "raw-float32", "8.3.1")
def raw_short(payload: bytes) -> bytes:
    """the payload is a byte too short"""
    return payload[:-1]


@invalid(71, "raw-padding", "payload", "8.3.1")
def raw_padding_bits(stream: bytes) -> Edit:
    """a padding bit of the payload is set"""
    return flip(stream, 2, "coded_feature.payload", 7)


@invalid_payload(72, "zlib-7-bit", "8.3.1")
def sample_too_large(payload: bytes) -> bytes:
    """a sample of 7 bits is 128"""
    samples = zlib.decompress(payload)
    return _stored(samples[:100] + b"\x80" + samples[101:])


@invalid_payload(73, "zlib-7-bit", "8.3.2")
def zlib_bomb(payload: bytes) -> bytes:
    """258,001 bytes come where 256 samples are expected"""
    return _bomb(expected=len(zlib.decompress(payload)))


def _bomb(expected: int) -> bytes:
    """A zlib stream of a few hundred bytes that decompresses to thousands of times ``expected`` zeros.

    Built by hand, so that the bytes do not depend on the version of zlib: one block of fixed Huffman codes,
    the byte 0 and matches of 258 bytes at distance 1.
    """
    matches = 1000
    bits = "1" + "10" + "00110000" + ("11000101" + "00000") * matches + "0000000"
    bits += "0" * (-len(bits) % 8)
    deflated = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    zeros = bytes(1 + 258 * matches)
    assert zlib.decompress(deflated, wbits=-15) == zeros
    assert len(zeros) > expected
    return b"\x78\x01" + deflated + zlib.adler32(zeros).to_bytes(4, "big")


@invalid_payload(74, "zlib-7-bit", "8.3.2")
def zlib_short(payload: bytes) -> bytes:
    """255 samples come where 256 are expected"""
    return _stored(zlib.decompress(payload)[:-1])


def _stored(data: bytes) -> bytes:
    """A zlib stream of one stored block, the same from any version of zlib."""
    size = len(data).to_bytes(2, "little")
    inverse = bytes(255 - byte for byte in size)
    return b"\x78\x01\x01" + size + inverse + data + zlib.adler32(data).to_bytes(4, "big")


@invalid_payload(75, "zlib-7-bit", "8.3.2")
def zlib_trailing(payload: bytes) -> bytes:
    """a byte follows the zlib stream"""
    return payload + b"\0"


@invalid_payload(76, "zlib-7-bit", "8.3.2")
def zlib_cut(payload: bytes) -> bytes:
    """the checksum of the zlib stream is cut off"""
    return payload[:-4]


@invalid_payload(77, "zlib-7-bit", "8.3.2")
def zlib_checksum(payload: bytes) -> bytes:
    """the checksum of the zlib stream is wrong"""
    return payload[:-1] + bytes([payload[-1] ^ 1])


@invalid_payload(78, "gzip-10-bit", "8.3.3")
def gzip_two_members(payload: bytes) -> bytes:
    """the gzip member occurs twice"""
    return payload + payload


@invalid_payload(79, "bzip2-8-bit", "8.3.4")
def bzip2_two_streams(payload: bytes) -> bytes:
    """the bzip2 stream occurs twice"""
    return payload + payload


@invalid_payload(116, "raw-float32", "8.3.1")
def raw_long(payload: bytes) -> bytes:
    """a byte follows the samples"""
    return payload + b"\0"


@invalid_payload(117, "hevc-8-bit", "8.3.6", "syntax", (2, "coded_feature.payload", 24))
def hevc_zero_behind(payload: bytes) -> bytes:
    """a zero byte follows the slice"""
    return payload + b"\0"


@invalid_payload(100, "hevc-frame-packing", "8.3.6")
def hevc_slice_missing(payload: bytes) -> bytes:
    """the slice of the last frame is missing"""
    return payload[: payload.rindex(b"\0\0\1")]


@invalid_payload(102, "gzip-10-bit", "8.3.3")
def gzip_header_crc(payload: bytes) -> bytes:
    """the header of the gzip member has a wrong CRC16"""
    return payload[:3] + b"\x02" + payload[4:10] + b"\x00\x00" + payload[10:]


@invalid_payload(103, "gzip-10-bit", "8.3.3")
def gzip_reserved_flag(payload: bytes) -> bytes:
    """a reserved bit of the gzip header's FLG is set"""
    return payload[:3] + b"\x20" + payload[4:]


@invalid_payload(104, "lzma-float16", "8.3.5")
def lzma_delta(payload: bytes) -> bytes:
    """the xz stream has a delta filter before LZMA2"""
    filters = [{"id": lzma.FILTER_DELTA, "dist": 2}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(lzma.decompress(payload), lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


@invalid_payload(106, "hevc-8-bit", "8.3.6", "syntax", (2, "coded_feature.payload", 24))
def hevc_zeros_in_slice(payload: bytes) -> bytes:
    """the slice ends in 00 00 02 01"""
    return payload + b"\0\0\2\1"


@invalid_payload(80, "lzma-float16", "8.3.5")
def lzma_dictionary(payload: bytes) -> bytes:
    """the xz stream asks for a dictionary of 128 MiB"""
    block_header = payload[12:16] + bytes([30]) + payload[17:20]
    return payload[:12] + block_header + _crc(block_header) + payload[24:]


@invalid(81, "sample-hash-32", "hash", "8.8", (2, "coded_feature.payload"))
def sample_hash(stream: bytes) -> Edit:
    """the sample hash has a wrong bit"""
    return flip(stream, 2, "coded_feature.sample_hash", 255)


@invalid(82, "hevc-8-bit", "hash", "8.8", (2, "coded_feature.payload"))
def sample_hash_hevc(stream: bytes) -> Edit:
    """the sample hash of an HEVC feature has a wrong bit"""
    return flip(stream, 2, "coded_feature.sample_hash", 0)
