"""Payload: one feature's words, raw or in one of two modes (clause 8.3.8.1)."""

from __future__ import annotations

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native_lossless.context import decode_context
from refcodec.coders.native_lossless.fast import decode_fast
from refcodec.coders.native_lossless.header import (
    CONTEXT_MODE,
    FAST_MODE,
    KINDS,
    RAW_MODE,
    read_header,
    refusal,
)
from refcodec.coders.protocol import Payload
from refcodec.entropy.arrays import Int32
from refcodec.errors import PayloadError
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["decode_payload", "decode_words"]


@clause("8.3.8")
def decode_payload(payload: Payload) -> Int32:
    """(8.3.8) Decode one payload to samples, int32, C x H x W: the bit patterns of the source type.

    Raises PayloadError for a header that breaks a constraint, and for bytes missing or left over.
    """
    try:
        return decode_words(payload.data, payload.fps)
    except PayloadError as error:
        error.bit_offset = payload.bit_offset
        raise


def decode_words(payload: bytes, fps: FeatureParameterSet) -> Int32:
    """(8.3.8.1) The words of a payload, int32, C x H x W. Raises PayloadError."""
    shape = np.array([fps.channels, fps.height, fps.width], np.int64)
    count = int(shape.prod())
    kind = KINDS[fps.source_type]
    if not payload:
        raise refusal("the payload is empty")
    mode = payload[0] & 0xC0
    if payload[0] == RAW_MODE:
        size = (int(kind[1]) + 1) // 8
        if len(payload) != 1 + count * size:
            raise refusal(f"the payload has {len(payload) - 1} raw bytes, not {count * size}")
        words = np.frombuffer(payload, f"<u{size}", offset=1).astype(np.uint32).view(np.int32)
    elif mode in (FAST_MODE, CONTEXT_MODE) and not payload[0] & 0x08:
        header, begin = read_header(payload, kind)
        words = np.empty(count, np.int32)
        data = np.frombuffer(payload, np.uint8, offset=begin).copy()  # kernels want it writable
        decode = decode_fast if mode == FAST_MODE else decode_context
        decode(data, words, shape, kind, header)
    else:
        raise refusal(f"the payload begins with {payload[0]:#04x}, which names no mode")
    return words.reshape(fps.channels, fps.height, fps.width)
