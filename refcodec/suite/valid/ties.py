"""Values halfway between two numbers of each source type, and samples that no sum of float32 would give."""

from __future__ import annotations

from typing import Any

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import coded, samples
from refcodec.suite.valid.values import BRAIN, E4M3, E5M2, HALF, SINGLE, hills
from refcodec.suite.vectors import Features

_ODD = (2**23 + 1) * 2.0**-30
"""A float32 number whose multiples lie halfway between float32 numbers, or near to it."""


@vector(300, "8.7")
def uniform_float32_ties(_: Features) -> bytes:
    """values halfway between two float32 numbers: half of them rise to the even one"""
    return samples(SINGLE, (_ODD, 65536 * _ODD), range(258))


@vector(301, "8.7")
def uniform_float32_negative_ties(_: Features) -> bytes:
    """negative values halfway between two float32 numbers"""
    return samples(SINGLE, (-65536 * _ODD, -_ODD), range(65278, 65536))


@vector(302, "8.7")
def uniform_float16_ties(_: Features) -> bytes:
    """values halfway between two float16 numbers"""
    return samples(HALF, (0, 65535 * 2.0**-9), range(2040, 2180))


@vector(303, "8.7")
def uniform_float16_subnormal_ties(_: Features) -> bytes:
    """values halfway between two subnormal float16 numbers, and about the least normal one"""
    return samples(HALF, (0, 65535 * 2.0**-26), (*range(70), *range(4080, 4140)))


@vector(304, "8.7")
def uniform_float16_largest(_: Features) -> bytes:
    """values about the greatest float16 number, and halfway to the one that it lacks"""
    return samples(HALF, (-65535 * 2.0, 65535.0 * 2), range(49140, 49160))


@vector(305, "8.7")
def uniform_bfloat16_ties(_: Features) -> bytes:
    """values halfway between two bfloat16 numbers: half of them rise to the even one"""
    return samples(BRAIN, (0, 65535 * 2.0**-7), range(250, 530))


@vector(306, "8.7")
def uniform_bfloat16_negative_ties(_: Features) -> bytes:
    """negative values halfway between two bfloat16 numbers"""
    return samples(BRAIN, (-65535 * 2.0**-7, 0), range(65535 - 300, 65536 - 250))


@vector(307, "8.7")
def uniform_bfloat16_subnormal_ties(_: Features) -> bytes:
    """values halfway between two subnormal bfloat16 numbers, and about the least normal one"""
    return samples(BRAIN, (0, 65535 * 2.0**-135), (*range(70), *range(500, 560)))


@vector(308, "8.7")
def uniform_bfloat16_saturates(_: Features) -> bytes:
    """values about the greatest bfloat16 number: what exceeds it saturates"""
    largest = float(np.finfo(SINGLE).max)
    return samples(BRAIN, (-largest, largest), (*range(40), *range(65380, 65536, 5)))


@vector(309, "8.7")
def log_bfloat16(_: Features) -> bytes:
    """logarithmic samples that become bfloat16"""
    return coded((hills(2, 8, 9) - 20).astype(BRAIN), coder="zlib", quantiser="log", bits=11)


@vector(310, "8.7")
def log_float16(_: Features) -> bytes:
    """logarithmic samples that become float16, of both signs"""
    return coded((hills(2, 8, 9) - 20).astype(HALF), coder="gzip", quantiser="log", bits=9)


def _near(dtype: np.dtype[Any], tie: float, reach: float) -> bytes:
    """Samples that stand for numbers about a tie, nearer to it than float32 numbers are to each other."""
    return samples(dtype, (tie - reach, tie + reach), range(32752, 32784))


@vector(312, "8.7")
def uniform_bfloat16_subnormal_rounds_once(_: Features) -> bytes:
    """values near the middle of two subnormal bfloat16 numbers, where rounding through float32 errs"""
    return _near(BRAIN, 3 * 2.0**-134, 2.0**-148)


@vector(313, "8.7")
def uniform_float8_e4m3fn_subnormal_rounds_once(_: Features) -> bytes:
    """values near the middle of two subnormal float8_e4m3fn numbers"""
    return _near(E4M3, 3 * 2.0**-10, 2.0**-20)


@vector(314, "8.7")
def uniform_float8_e5m2_subnormal_rounds_once(_: Features) -> bytes:
    """values near the middle of two subnormal float8_e5m2 numbers"""
    return _near(E5M2, 3 * 2.0**-17, 2.0**-27)


@vector(315, "8.3.1")
def zlib_negative(_: Features) -> bytes:
    """float32 values that are all negative, whose words are large"""
    return coded(-1 - hills(1, 2, 3), coder="zlib")
