"""Finite binary32 numbers: bounds of ranges, and steps and offsets of lattices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.suite.drawn.chance import Chance

__all__ = ["Floats", "draw_floats"]

Floats = npt.NDArray[np.float32]

_WORDS = (
    0x00000000,  # 0
    0x80000000,  # -0
    0x00000001,  # the smallest, and the largest that is subnormal
    0x007FFFFF,
    0x00800000,
    0x7F7FFFFF,  # the largest
    0xFF7FFFFF,
    0x3F800000,  # 1
    0xBF800000,
    0x3DCCCCCD,  # 0.1
    0x40490FDB,  # pi
    0x477FE000,  # the largest float16
    0x43E00000,  # the largest float8_e4m3fn
    0x38800000,  # the smallest normal float16
)
"""Numbers at which arithmetic is at its limits, as binary32 words."""


def draw_floats(chance: Chance, count: int) -> Floats:
    """So many finite numbers: any, those at the limits of arithmetic, or those that features have."""
    words = chance.words(count)
    match chance.below(4):
        case 0:  # any finite ones
            bits = words.astype(np.uint32)
            bits = np.where(bits & 0x7F800000 == 0x7F800000, bits & 0xBFFFFFFF, bits)
        case 1:
            bits = np.array(_WORDS, np.uint32)[(words % np.uint64(len(_WORDS))).astype(np.int64)]
        case _:  # as features have them: within -16..16, in steps of 2^-10
            steps = (words >> np.uint64(32)).astype(np.int64) % (1 << 15) - (1 << 14)
            bits = (steps.astype(np.float32) * np.float32(2.0**-10)).view(np.uint32)
    return bits.astype(np.uint32).view(np.float32)
