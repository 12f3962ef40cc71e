"""Native lossless payloads of chosen headers, which an encoder would not choose, and their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native_lossless.context import decode_floats
from refcodec.coders.native_lossless.encoder.context import encode_context
from refcodec.coders.native_lossless.encoder.fast import encode_fast
from refcodec.coders.native_lossless.encoder.survey import survey_floats
from refcodec.coders.native_lossless.fast import (
    CLASSES,
    RANKS,
    decode_ranks,
    read_frequencies,
    spread_frequencies,
)
from refcodec.coders.native_lossless.header import (
    CONTEXT_MODE,
    FAST_MODE,
    HAS_REFERENCE,
    HAS_TRAILING,
    KINDS,
    read_header,
)
from refcodec.coders.native_lossless.models import initial_model
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, raw_size
from refcodec.coders.protocol import Payload
from refcodec.entropy.arithmetic import start_decoding
from refcodec.quantise import source_type_of

__all__ = ["chosen_payload", "raw_bits_at"]

_ROOM = 1 << 20


def chosen_payload(
    feature: npt.NDArray[Any],
    mode: int = CONTEXT_MODE,
    *,
    flags: int = 0,
    high: int | None = None,
    reference: int | None = None,
    trailing: int | None = None,
) -> bytes:
    """Code a feature, C x H x W, with a header of which some fields are given.

    flags     : set beside those that the feature needs.
    high      : highest exponent; at least that of the feature.
    reference : reference exponent, which is then written.
    trailing  : number of trailing zero bits, which is then written; at most those that there are.
    """
    source = source_type_of(feature.dtype)
    assert source is not None
    kind, shape = KINDS[source], np.array(feature.shape, np.int64)
    word = f"u{feature.dtype.itemsize}"
    words = feature.view(word).astype(np.uint32).view(np.int32).reshape(-1)
    header = np.zeros(4, np.int64)
    survey_floats(words, shape, kind, header)
    header[0] |= flags
    for at, value in ((1, high), (2, reference), (3, trailing)):
        header[at] = header[at] if value is None else value
    own, top, referred, zeros = header.tolist()
    fields = (own & 2 if mode == FAST_MODE else own) | mode
    optional = []
    if reference is not None or referred != top:
        fields |= HAS_REFERENCE
        optional.append(referred)
    if trailing is not None or zeros:
        fields |= HAS_TRAILING
        optional.append(zeros)
    encode = encode_fast if mode == FAST_MODE else encode_context
    return bytes([fields, top, *optional]) + encode(words, shape, kind, header, _ROOM)


def raw_bits_at(payload: Payload) -> int:
    """Position of the first byte of the raw bits of a payload."""
    fps = payload.fps
    shape = np.array([fps.channels, fps.height, fps.width], np.int64)
    kind, work = KINDS[fps.source_type], np.zeros(WORK_SIZE, np.int64)
    header, begin = read_header(payload.data, kind)
    words = np.zeros(int(shape.prod()), np.int32)
    data = np.frombuffer(payload.data, np.uint8, offset=begin).copy()
    raw = data[::-1].copy()
    if payload.data[0] & FAST_MODE:
        frequencies, begin = read_frequencies(data.tobytes())
        slots, starts = np.zeros(CLASSES * 256, np.uint8), np.zeros(CLASSES * RANKS, np.int64)
        spread_frequencies(frequencies, slots, starts)
        ranks = np.empty(words.size, np.uint8)
        front = data[begin:]
        decode_ranks(
            work, front, raw, words, ranks, shape, kind, header, frequencies, slots, starts
        )
    else:
        start_decoding(work, data)
        decode_floats(work, data, raw, words, shape, kind, header, *initial_model())
    return len(payload.data) - int(raw_size(work))
