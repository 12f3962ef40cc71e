"""Encoding of one feature: its header and mode, or raw words if coding gains nothing."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.encoder.context import encode_context
from refcodec.coders.native_lossless.encoder.fast import encode_fast
from refcodec.coders.native_lossless.encoder.survey import survey_floats
from refcodec.coders.native_lossless.header import (
    CONTEXT_MODE,
    FAST_MODE,
    HAS_REFERENCE,
    HAS_REPEATS,
    HAS_TRAILING,
    HAS_ZEROS,
    KINDS,
    RAW_MODE,
)
from refcodec.entropy.arrays import Int32
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["encode_payload"]

_SMALLEST_FAST = 1024
"""Fewest elements for the fast mode: below, frequencies cost more than they gain."""


def encode_payload(samples: Int32, fps: FeatureParameterSet, effort: str = "default") -> bytes:
    """Code samples (int32, C x H x W bit patterns); the inverse of ``payload.decode_payload``.

    effort : ``default`` for the smallest payload, ``fast`` for speed.
    """
    kind = KINDS[fps.source_type]
    shape = np.array(samples.shape, np.int64)
    words = np.require(samples, np.int32, ["C", "W"]).reshape(-1)  # kernels take one type of array
    size = words.size * (int(kind[1]) + 1) // 8
    header = np.zeros(4, np.int64)
    survey_floats(words, shape, kind, header)
    flags, high, reference, trailing = header.tolist()
    fields = flags | HAS_REFERENCE * (reference != high) | HAS_TRAILING * (trailing > 0)
    if effort == "fast" and words.size >= _SMALLEST_FAST:
        fields = fields & ~(HAS_ZEROS | HAS_REPEATS) | FAST_MODE
        coded = encode_fast(words, shape, kind, header, size)
    else:
        fields |= CONTEXT_MODE
        coded = encode_context(words, shape, kind, header, size)
    optional = [reference] * (reference != high) + [trailing] * (trailing > 0)
    payload = bytes([fields, high, *optional]) + coded
    if coded and len(payload) <= size:
        return payload
    return bytes([RAW_MODE]) + words.view(np.uint32).astype(f"<u{size // words.size}").tobytes()
