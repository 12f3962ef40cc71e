"""Features of chosen values, in addition to those of the demonstration network."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

__all__ = [
    "BRAIN",
    "E4M3",
    "E5M2",
    "HALF",
    "ONCE_E4M3",
    "ONCE_E5M2",
    "SINGLE",
    "SPECIAL_16",
    "SPECIAL_32",
    "SPECIAL_BRAIN",
    "Feature",
    "every_pattern",
    "hills",
]

Feature = npt.NDArray[Any]
"""C x H x W, or D values of an fc feature."""

SINGLE: np.dtype[Any] = np.dtype(np.float32)
HALF: np.dtype[Any] = np.dtype(np.float16)
BRAIN: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
E4M3: np.dtype[Any] = np.dtype(ml_dtypes.float8_e4m3fn)
E5M2: np.dtype[Any] = np.dtype(ml_dtypes.float8_e5m2)

ONCE_E4M3 = (1 + 2**-4 - 2**-11, 1 + 2**-4 + 2**-11)
"""A range around the middle of 1 and the next float8_e4m3fn number."""

ONCE_E5M2 = (1 + 2**-3 - 2**-11, 1 + 2**-3 + 2**-11)
"""A range around the middle of 1 and the next float8_e5m2 number."""


def _words(dtype: np.dtype[Any], *patterns: int) -> Feature:
    """An fc feature with these bit patterns."""
    return np.array(patterns, dtype=f"u{dtype.itemsize}").view(dtype)


SPECIAL_32 = _words(
    SINGLE,
    *(0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0x7F800000, 0xFF800000),
    *(0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF, 0x3F800000),
)
"""Zeros, subnormals, the largest number, infinities, NaNs of several payloads, and 1."""

SPECIAL_16 = _words(
    HALF, 0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7C01, 0x3C00
)
SPECIAL_BRAIN = _words(
    BRAIN, 0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 0x7F81, 0x3F80
)


def every_pattern(dtype: np.dtype[Any]) -> Feature:
    """A map of 1 x 16 x 16 values of 8 bits that has every bit pattern once."""
    return np.arange(256, dtype=np.uint8).view(dtype).reshape(1, 16, 16)


def hills(channels: int, height: int, width: int, moved: int = 0) -> Feature:
    """Smooth float32 maps of integers, shifted right by ``moved`` samples and down by twice as many."""
    c, y, x = np.ogrid[:channels, :height, :width]
    y, x = y - 2 * moved, x - moved
    folded = (3 * x + 5 * y + 7 * c) % 64
    heights: Any = np.minimum(folded, 64 - folded) + ((x * x + 3 * y) // 37 + c) % 11
    return np.asarray(heights, np.float32)
