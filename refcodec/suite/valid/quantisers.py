"""Uniform and logarithmic samples."""

from __future__ import annotations

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import coded, samples
from refcodec.suite.valid.values import BRAIN, HALF
from refcodec.suite.vectors import Features

_MIDDLE = 1 + 2**-8
"""Halfway between 1 and the next bfloat16 number."""


@vector(20)
def uniform_range_min(f: Features) -> bytes:
    """a uniform range that does not begin at zero"""
    return coded(f.pool[4] - 1.25, coder="zlib", quantiser="uniform", bits=6)


@vector(21)
def uniform_range_channel(f: Features) -> bytes:
    """a uniform range per channel, some of zero width"""
    varied = np.arange(16).reshape(16, 1, 1) % 5 > 0
    feature = np.where(varied, f.conv[4], np.float32(-0.5))
    return coded(feature, coder="zlib", quantiser="uniform", bits=5, range="channel")


@vector(22)
def uniform_constant(_: Features) -> bytes:
    """a constant feature: range_max equals range_min"""
    return coded(np.full((3, 2, 2), -0.75, np.float32), coder="raw", quantiser="uniform", bits=8)


@vector(23, "8.7")
def uniform_float16_saturates(_: Features) -> bytes:
    """values are rounded to float16 once; what exceeds its range saturates"""
    return samples(HALF, (-70000, 70000), range(0, 65536, 257))


@vector(24, "8.7")
def uniform_bfloat16_rounds_once(_: Features) -> bytes:
    """values near the middle of two bfloat16 numbers, where rounding through float32 errs"""
    return samples(BRAIN, (_MIDDLE - 2**-11, _MIDDLE + 2**-11), range(32704, 32832))


@vector(25)
def log_unsigned(f: Features) -> bytes:
    """logarithmic samples of a feature without negative values"""
    return coded(f.pool[5], coder="zlib", quantiser="log", bits=8)


@vector(26)
def log_signed(f: Features) -> bytes:
    """logarithmic samples with a sign, six bits"""
    return coded(f.pool[5] - 1.5, coder="raw", quantiser="log", bits=6)


@vector(27)
def log_exponent(f: Features) -> bytes:
    """tiny values: log_exponent is not zero"""
    return coded(f.pool[5] * np.float32(2.0**-40), coder="raw", quantiser="log", bits=10)


@vector(28)
def log_range_channel(f: Features) -> bytes:
    """a logarithmic step per channel, with signed samples"""
    return coded(f.pool[6] - 0.5, coder="zlib", quantiser="log", bits=7, range="channel")


@vector(29)
def log_16_bit(f: Features) -> bytes:
    """the finest logarithmic samples, to exercise both tables of powers"""
    return coded(f.conv[6], coder="lzma", quantiser="log", bits=16)
