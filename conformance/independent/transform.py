"""From the levels of a block to the change of its samples: clauses 8.3.7.7 and 8.3.7.10."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from .bits import Integers
from .plain import LARGEST_COEFFICIENT, dequantise


@cache
def basis(length: int) -> Integers:
    """The cosine basis of a length, frequency x position, in units of 2^-14 (8.3.7.10)."""
    rows = []
    for u in range(length):
        scale = 16384 * math.sqrt((2 if u else 1) / length)
        angles = (math.pi * ((2 * x + 1) * u % (4 * length)) / (2 * length) for x in range(length))
        rows.append([round(scale * math.cos(angle)) for angle in angles])
    return np.array(rows, np.int64)


def residual_of(
    levels: list[list[int]], height: int, width: int, step: int, slope: int,
    points: tuple[int, int, int], dependent: bool = False,
) -> Integers:  # fmt: skip
    """Dequantise the levels of a block and transform them inversely: height x width."""
    coefficients = np.zeros((height, width), np.int64)
    for u in range(height):
        for v in range(width):
            level = levels[u][v]
            if level and u + v == 0:
                value = (level * step) >> 12
                coefficients[0, 0] = min(max(value, -LARGEST_COEFFICIENT), LARGEST_COEFFICIENT)
            elif level:
                rise = slope * (u * width + v * height) // (height * width)
                own_step = (step * (16 + rise)) >> 4
                largest = 1 << 17
                if dependent:
                    own_step, largest = (9 * own_step) >> 4, 1 << 18
                coefficients[u, v] = dequantise(level, points, own_step, largest)
    if not coefficients.any():
        return coefficients
    rows = (coefficients @ basis(width) + (1 << 9)) >> 10
    return (basis(height).T @ rows + (1 << 21)) >> 22
