"""Native lossless features, in all of their modes."""

from __future__ import annotations

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.make.native import pattern
from refcodec.suite.valid.build import exact
from refcodec.suite.valid.values import (
    BRAIN,
    HALF,
    SINGLE,
    SPECIAL_16,
    SPECIAL_32,
    SPECIAL_BRAIN,
    Feature,
    hills,
)
from refcodec.suite.vectors import Features


def _sprinkled(feature: Feature, special: Feature) -> Feature:
    """A feature with special values among its own, in the type of the special ones."""
    mixed = feature.astype(special.dtype)
    mixed.reshape(-1)[:: mixed.size // (5 * special.size)][: 5 * special.size] = np.tile(special, 5)
    return mixed


@vector(140)
def exact_float32(f: Features) -> bytes:
    """float32 values, bit for bit"""
    return exact(f.pool[0])


@vector(141)
def exact_float16(f: Features) -> bytes:
    """float16 values, bit for bit"""
    return exact(f.pool[0].astype(HALF))


@vector(142)
def exact_bfloat16(f: Features) -> bytes:
    """bfloat16 values, bit for bit"""
    return exact(f.pool[0].astype(BRAIN))


@vector(143, "8.6")
def exact_special_float32(f: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 among float32 values"""
    return exact(_sprinkled(f.conv[1], SPECIAL_32), hash_size=8)


@vector(144, "8.6")
def exact_special_float16(f: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 among float16 values"""
    return exact(_sprinkled(f.conv[1], SPECIAL_16))


@vector(145, "8.6")
def exact_special_bfloat16(f: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 among bfloat16 values"""
    return exact(_sprinkled(f.conv[1], SPECIAL_BRAIN))


@vector(146, "8.6")
def exact_fast_float32(f: Features) -> bytes:
    """float32 values in the fast mode, special ones among them"""
    return exact(_sprinkled(f.conv[2] - 1, SPECIAL_32), speed="fast")


@vector(147, "8.6")
def exact_fast_float16(f: Features) -> bytes:
    """float16 values in the fast mode, special ones among them"""
    return exact(_sprinkled(np.concatenate(f.conv[2:5]), SPECIAL_16), speed="fast")


@vector(148, "8.6")
def exact_fast_bfloat16(f: Features) -> bytes:
    """bfloat16 values in the fast mode, special ones among them"""
    return exact(_sprinkled(np.concatenate(f.conv[2:5]), SPECIAL_BRAIN), speed="fast")


@vector(149)
def exact_fast_plain(_: Features) -> bytes:
    """positive values in the fast mode"""
    return exact(hills(4, 20, 21) + 1, speed="fast")


@vector(150)
def exact_raw(_: Features) -> bytes:
    """bit patterns without structure, stored as they are"""
    patterns = pattern((40,), 1, 2**31 - 1).view(np.uint32)
    patterns ^= patterns >> np.uint32(15)
    return exact(patterns.view(SINGLE), batch=False)


@vector(151)
def exact_fc_batch(f: Features) -> bytes:
    """fc features in a batch"""
    return exact(*f.fc[:6])


@vector(152)
def exact_zero(_: Features) -> bytes:
    """nothing but zeros of either sign"""
    zeros = np.zeros((3, 8, 8), np.float32)
    return exact(zeros, -zeros)


@vector(153)
def exact_trailing_zeros(f: Features) -> bytes:
    """float32 values that came from 16 bits"""
    return exact(f.conv[3].astype(HALF).astype(np.float32))


@vector(154)
def exact_repeats(f: Features) -> bytes:
    """values that repeat their neighbours"""
    return exact(np.repeat(np.repeat(f.pool[4], 3, axis=1), 2, axis=2))


@vector(155)
def exact_1x1(_: Features) -> bytes:
    """one value"""
    return exact(np.full((1, 1, 1), 1.5, np.float32))


@vector(156)
def exact_several(f: Features) -> bytes:
    """features of both modes with an index and hash units"""
    return exact(f.conv[0], f.conv[7] * 0.25, hashes=True)
