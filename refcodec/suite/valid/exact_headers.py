"""Native lossless features: every field of the header in both modes, and what long features do to models."""

from __future__ import annotations

from typing import Any

import numpy as np

from refcodec.coders.native_lossless.header import (
    CONTEXT_MODE,
    FAST_MODE,
    HAS_NEGATIVES,
    HAS_REPEATS,
    HAS_ZEROS,
)
from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import change_payload, feature
from refcodec.suite.make.exact import chosen_payload, raw_bits_at
from refcodec.suite.make.native import pattern, payloads
from refcodec.suite.valid.build import exact, replaced
from refcodec.suite.valid.values import BRAIN, E4M3, E5M2, HALF, SINGLE, Feature, hills
from refcodec.suite.vectors import Features


def _chosen(values: Feature, mode: int = CONTEXT_MODE, **header: Any) -> bytes:
    """A stream of one values, coded with a chosen header."""
    return replaced(exact(values, batch=False), chosen_payload(values, mode, **header))


def _words(dtype: np.dtype[Any], shape: tuple[int, ...], *patterns: int) -> Feature:
    """A feature of bit patterns in turn."""
    return np.resize(np.array(patterns, f"u{dtype.itemsize}").view(dtype), shape)


@vector(251, "8.3.8.1")
def exact_reference(_: Features) -> bytes:
    """an outlier far above the reference exponent, in the context mode"""
    values = hills(2, 9, 10) + 1
    values[1, 4, 5] = 2.0**90
    return _chosen(values, reference=131)


@vector(252, "8.3.8.1")
def exact_reference_equal(_: Features) -> bytes:
    """a reference exponent that is the highest one, and 23 trailing zero bits"""
    values = np.ldexp(np.float32(1), pattern((2, 8, 8), 2, 5))
    return _chosen(values, reference=132, trailing=23)


@vector(253, "8.3.8.1")
def exact_reference_zero(_: Features) -> bytes:
    """a reference exponent of 0 below all others, and no trailing bit though a byte tells their number"""
    values = np.ldexp(np.float32(1.5), pattern((1, 8, 8), 2, 3) - 120)
    return _chosen(values, reference=0, trailing=0)


@vector(254, "8.3.8.1")
def exact_all_flags(_: Features) -> bytes:
    """zeros, signs and repeats are coded, though there are none"""
    return _chosen(hills(2, 8, 9) * 3 + 1, flags=HAS_ZEROS | HAS_NEGATIVES | HAS_REPEATS)


@vector(255, "8.3.8.1")
def exact_no_flags(_: Features) -> bytes:
    """neither zeros nor signs nor repeats, and a highest exponent above all"""
    return _chosen(hills(2, 8, 9) * 3 + 1, high=255)


@vector(256)
def exact_repeats_negative(_: Features) -> bytes:
    """negative values that repeat their neighbours, west and north, and positive ones that do not"""
    blocks = pattern((3, 6, 5), 1, 9).astype(np.float32) * np.float32(0.3)
    values = np.repeat(np.repeat(blocks, 2, axis=1), 3, axis=2)
    values[0] *= -1
    return _chosen(values, flags=HAS_REPEATS)


@vector(257)
def exact_repeats_alone(_: Features) -> bytes:
    """values that repeat, none of them zero or negative"""
    return _chosen(np.repeat(hills(2, 9, 4) + 1, 2, axis=2), flags=HAS_REPEATS)


@vector(258)
def exact_negative(_: Features) -> bytes:
    """nothing but negative values"""
    return _chosen(-hills(2, 9, 7) - 1)


@vector(259, "8.6")
def exact_subnormals_float32(_: Features) -> bytes:
    """nothing but subnormal float32 values: the highest exponent is 0"""
    return exact(_words(SINGLE, (1, 8, 8), *range(1, 2600, 40), 0x7FFFFF), batch=False)


@vector(260, "8.6")
def exact_subnormals_float16(_: Features) -> bytes:
    """subnormal float16 values of both signs, zeros, and the least normal number"""
    values = _words(HALF, (2, 7, 9), 0x0001, 0x83FF, 0x0000, 0x0200, 0x8400, 0x8001, 0x03FE)
    return _chosen(values)


@vector(261, "8.6")
def exact_subnormals_bfloat16(_: Features) -> bytes:
    """subnormal bfloat16 values in the fast mode, and infinities"""
    values = _words(BRAIN, (2, 7, 9), 0x0001, 0x807F, 0x0000, 0x7F80, 0x0080, 0xFF80, 0x0040)
    return _chosen(values, FAST_MODE)


@vector(262)
def exact_fast_reference(_: Features) -> bytes:
    """the fast mode with a reference exponent: ranks of exponents above it, and far below"""
    values = hills(2, 9, 10) + 1
    values[0, 3, 5], values[1, 4, 5], values[1, 8, 9] = 2.0**90, 2.0**-60, 2.0**9
    return _chosen(values, FAST_MODE, reference=130)


@vector(263)
def exact_fast_trailing(_: Features) -> bytes:
    """the fast mode with trailing zero bits, signs and a reference exponent, which is 3"""
    values = (hills(2, 9, 10) - 12).astype(np.float32) * np.float32(2.0**-125)
    return _chosen(values, FAST_MODE, reference=3, flags=HAS_NEGATIVES, trailing=10)


@vector(264)
def exact_fast_one_rank(_: Features) -> bytes:
    """the fast mode with one rank per class, and no mantissas: 23 trailing zero bits"""
    return _chosen(np.full((1, 5, 6), 4, np.float32), FAST_MODE)


@vector(265)
def exact_fast_float16_trailing(_: Features) -> bytes:
    """float16 values in the fast mode, positive, with trailing zero bits"""
    return _chosen((hills(2, 8, 9) + 1).astype(HALF), FAST_MODE)


@vector(266)
def exact_fast_float8(_: Features) -> bytes:
    """float8_e4m3fn values in the fast mode with a reference exponent and signs"""
    return _chosen((hills(2, 8, 9) - 20).astype(E4M3), FAST_MODE, reference=9)


@vector(267)
def exact_float8_trailing(_: Features) -> bytes:
    """float8_e5m2 values of one mantissa bit, whose exponents repeat"""
    values = np.repeat((hills(2, 9, 3) - 20).astype(E5M2), 3, axis=2)
    words = values.view(np.uint8) & 0xFE
    return _chosen(words.view(E5M2), flags=HAS_REPEATS, trailing=1)


@vector(268)
def exact_many_values(_: Features) -> bytes:
    """16,384 values of few bits, whose models see more decisions than they count"""
    values = np.minimum(hills(4, 64, 64), 9) + (pattern((4, 64, 64), 3, 2) == 1)
    return exact(values.astype(BRAIN), batch=False)


@vector(269)
def exact_fc_many(_: Features) -> bytes:
    """a batch of fc features of 700 values, which are 700 channels"""
    vectors = [np.resize(hills(1, 20, 25, n), 700) % (4 + n) for n in range(3)]
    return exact(*(one.astype(HALF) for one in vectors))


@edited(270, "exact-bfloat16", "a byte is inserted where decisions meet raw bits", "8.3.8.2")
def exact_rest(stream: bytes) -> Edit:
    """two bytes, not one, end the decisions: a decoder does not know which of them an encoder needed"""
    payload = payloads(stream)[0]
    at = raw_bits_at(payload)
    return feature("payload", (payload.data[:at] + b"\xa5" + payload.data[at:]).hex())


@vector(271, "8.3.8.3")
def exact_fast_no_raw_bits(_: Features) -> bytes:
    """the fast mode without raw bits: ranks are read up to the last byte"""
    return _chosen(np.ldexp(np.float32(1), pattern((3, 6, 7), 2, 5)), FAST_MODE)


@edited(272, "exact-fast-trailing", "the reference exponent is 1", "8.3.8.3")
def exact_fast_below_zero(stream: bytes) -> Edit:
    """ranks below the exponent 0 stand for 0"""
    return change_payload(stream, lambda payload: payload[:2] + b"\x01" + payload[3:])


@vector(273, "8.3.8.3", "8.8")
def exact_fast_sample_hash(_: Features) -> bytes:
    """negative float16 values in the fast mode, whose samples are words without a sign"""
    values = (hills(2, 8, 9) - 20).astype(HALF)
    return replaced(exact(values, batch=False, hash_size=8), chosen_payload(values, FAST_MODE))


@vector(274, "8.3.8.2", "8.8")
def exact_sample_hash(_: Features) -> bytes:
    """negative float8_e4m3fn values in the context mode, whose samples are words without a sign"""
    return exact((hills(1, 8, 9) - 20).astype(E4M3), batch=False, hash_size=8)


@vector(433)
def exact_repeats_negative_zero(_: Features) -> bytes:
    """negative zeros to the west and to the north of negative values are not repeated"""
    patterns = (0x80000000, 0xBFC00000, 0x80000000, 0xC0400000, 0, 0xBFC00000, 0x40000000)
    return _chosen(_words(SINGLE, (2, 6, 5), *patterns), flags=HAS_REPEATS)


@vector(453)
def exact_15_values(_: Features) -> bytes:
    """channels of 15 values, between which no state adapts quickly again"""
    return _chosen(hills(4, 3, 5) * np.float32(0.37))
