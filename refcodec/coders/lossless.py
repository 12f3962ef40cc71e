"""The byte coders: raw, and the four of the lossless study (clauses 8.3.1 to 8.3.5).

A feature is a sequence of bytes, its *sample bytes*, which the coder stores or compresses. For
``Quantiser.NONE`` these are the bytes of the source type, so that every bit pattern is kept. A compressed
payload is one member without trailing bytes; its decompressed size is known from the syntax.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.protocol import (
    Coded,
    Encoded,
    Job,
    Machine,
    Payload,
    PayloadCoder,
    Reference,
    Samples,
)
from refcodec.config import EncoderConfig
from refcodec.errors import PayloadError
from refcodec.syntax.bits import unpack_integers
from refcodec.syntax.codes import Coder, Quantiser
from refcodec.syntax.structures import FeatureParameterSet

__all__ = [
    "LZMA_MEMORY_LIMIT",
    "PAYLOAD_CODER",
    "decode_payload",
    "encode_payload",
    "sample_bytes",
    "samples_of",
]

LZMA_MEMORY_LIMIT = 80 << 20
"""Memory that decoding an LZMA payload may use, in bytes: enough for every xz preset (8.3.5)."""


_PIECE = 1 << 16
"""Samples that are unpacked at a time."""

_XZ_CHECKS = frozenset({lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256})


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.1")
def samples_of(data: bytes, fps: FeatureParameterSet) -> Samples:
    """(8.3.1) Sample bytes to samples, int32, C x H x W.

    Raw integer samples are fields of n bits, most significant first, padded with zero bits at the end;
    under a compressor they are bytes, or 16-bit words for more than 8 bits; source types are words.
    Words are little-endian.

    Raises PayloadError for a wrong size, padding bits that are not zero, or a sample of more than n bits.
    """
    count = fps.channels * fps.height * fps.width
    expected = _sample_bytes_size(fps)
    if len(data) != expected:
        raise PayloadError(
            f"the payload holds {len(data)} sample bytes; {expected} are expected",
            requirement="8.3.1-3",
        )
    bits = fps.bits
    if _is_packed(fps):
        if data[-1] & ((1 << (8 * len(data) - count * bits)) - 1):
            raise PayloadError(
                "the padding bits of a raw payload are not zero", requirement="8.3.1-1"
            )
        samples = np.empty(count, np.int32)
        for start in range(0, count, _PIECE):
            part = samples[start : start + _PIECE]
            part[:] = unpack_integers(data, start * bits, len(part), bits)
    else:
        size = expected // count
        if fps.shuffle_flag:
            data = np.frombuffer(data, np.uint8).reshape(size, count).T.tobytes()
        samples = np.frombuffer(data, f"<u{size}").astype(np.uint32).view(np.int32)
        if fps.quantiser != Quantiser.NONE and int(samples.max()) >> bits:
            raise PayloadError(f"a sample exceeds {bits} bits", requirement="8.3.1-2")
    return samples.reshape(fps.channels, fps.height, fps.width)


@clause("8.3.2")
def _unzlib(payload: bytes, size: int) -> bytes:
    """(8.3.2) One zlib stream (RFC 1950)."""
    return _drain(zlib.decompressobj(wbits=15), payload, size, "8.3.2", "8.3.2-1")


@clause("8.3.3")
def _ungzip(payload: bytes, size: int) -> bytes:
    """(8.3.3) One gzip member (RFC 1952)."""
    return _drain(zlib.decompressobj(wbits=31), payload, size, "8.3.3")


@clause("8.3.4")
def _unbzip2(payload: bytes, size: int) -> bytes:
    """(8.3.4) One bzip2 stream."""
    return _drain(bz2.BZ2Decompressor(), payload, size, "8.3.4", "8.3.4-1")


@clause("8.3.5")
def _unlzma(payload: bytes, size: int) -> bytes:
    """(8.3.5) One xz stream with LZMA2, whose dictionary is bounded."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY_LIMIT)
    data = _drain(decompressor, payload, size, "8.3.5")
    if not _is_plain_xz(payload):
        raise PayloadError(
            "the xz stream is not one block of LZMA2 alone, with a check that is defined",
            clause="8.3.5",
        )
    return data


def _is_plain_xz(payload: bytes) -> bool:
    """True if a valid .xz file has one block, with the filter LZMA2 alone, and a check that is defined.

    Offsets are those of the .xz file format 1.1: a stream header of 12 bytes, the block header with its
    flags in the second byte, and from the end the footer of 12 bytes and the index that it points to.
    """
    flags, at = payload[13], 14
    for present in (flags & 0x40, flags & 0x80):  # the two optional sizes of the block
        while present and at < len(payload) and payload[at] & 0x80:
            at += 1
        at += bool(present)
    index = len(payload) - 12 - 4 * (1 + int.from_bytes(payload[-8:-4], "little"))
    one_filter = flags & 0x03 == 0 and payload[at : at + 1] == b"\x21"
    one_block = index > 12 and payload[index : index + 2] == b"\x00\x01"
    return one_filter and one_block and payload[7] in _XZ_CHECKS


def _drain(
    decompressor: Any, payload: bytes, size: int, number: str, requirement: str = ""
) -> bytes:
    """Decompress exactly ``size`` bytes; raises PayloadError for more, fewer, or trailing bytes.

    requirement : the only one on the form of the compressed data, if there is no other.
    """
    try:
        # one byte more detects a decompression bomb
        data: bytes = decompressor.decompress(payload, size + 1)
        if len(data) == size and not decompressor.eof:
            # the end marker may follow the last byte of output
            rest = getattr(decompressor, "unconsumed_tail", b"")
            data += decompressor.decompress(rest, 1)
    except (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise PayloadError(
            f"the payload does not decompress: {error}", clause=number, requirement=requirement
        ) from None
    if len(data) > size:
        raise PayloadError(
            f"the payload decompresses to more than the {size} bytes expected",
            clause=number,
            requirement="8.3-1",
        )
    if len(data) < size or not decompressor.eof:
        raise PayloadError(
            f"the payload ends after {len(data)} of {size} bytes, or without its end",
            clause=number,
            requirement="8.3-1" if decompressor.eof else requirement,
        )
    if decompressor.unused_data:
        raise PayloadError(
            f"{len(decompressor.unused_data)} bytes follow the compressed data",
            clause=number,
            requirement="8.3-2",
        )
    return data


_DECOMPRESS: dict[Coder, Callable[[bytes, int], bytes]] = {
    Coder.RAW: lambda payload, size: payload,
    Coder.ZLIB: _unzlib,
    Coder.GZIP: _ungzip,
    Coder.BZIP2: _unbzip2,
    Coder.LZMA: _unlzma,
}


def decode_payload(payload: Payload) -> Samples:
    """Decode one payload of a byte coder. Raises PayloadError."""
    fps = payload.fps
    try:
        return samples_of(_DECOMPRESS[fps.coder_id](payload.data, _sample_bytes_size(fps)), fps)
    except PayloadError as error:
        error.bit_offset = payload.bit_offset
        raise


# --- informative -----------------------------------------------------------------------------------

_COMPRESS: dict[Coder, Callable[[bytes], bytes]] = {
    Coder.RAW: lambda data: data,
    Coder.ZLIB: zlib.compress,
    Coder.GZIP: lambda data: gzip.compress(data, mtime=0),
    Coder.BZIP2: bz2.compress,
    # a unit has its own CRC-32, so a second checksum would only cost bytes
    Coder.LZMA: lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE),
}


def sample_bytes(samples: Samples, fps: FeatureParameterSet) -> bytes:
    """Samples (int32, C x H x W) to sample bytes: the inverse of :func:`samples_of`."""
    flat = samples.ravel()
    if _is_packed(fps):
        bits = fps.bits
        words = flat.astype(">u2").view(np.uint8).reshape(-1, 2)
        return np.packbits(np.unpackbits(words, axis=1)[:, 16 - bits :]).tobytes()
    size = _sample_bytes_size(fps) // flat.size
    data = flat.view(np.uint32).astype(f"<u{size}").tobytes()
    if fps.shuffle_flag:
        data = np.frombuffer(data, np.uint8).reshape(flat.size, size).T.tobytes()
    return data


def encode_payload(samples: Samples, fps: FeatureParameterSet) -> bytes:
    """Code one feature with the byte coder of its parameter set, at the library's default effort."""
    return _COMPRESS[fps.coder_id](sample_bytes(samples, fps))


def _is_packed(fps: FeatureParameterSet) -> bool:
    return bool(fps.coder_id == Coder.RAW and fps.quantiser != Quantiser.NONE)


def _sample_bytes_size(fps: FeatureParameterSet) -> int:
    count, bits = int(fps.channels) * int(fps.height) * int(fps.width), int(fps.bits)
    if _is_packed(fps):
        return (count * bits + 7) // 8
    return count * (1 if bits <= 8 else 2 if bits <= 16 else 4)


class _ByteCoder(PayloadCoder):
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        return map(decode_payload, run)

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        return Encoded([Coded(encode_payload(job.samples, fps), job.samples) for job in jobs])


PAYLOAD_CODER = _ByteCoder()
