"""Samples without a transform, and the dequantisation of levels: clauses 8.3.7.7 and 8.3.7.8."""

from __future__ import annotations

import numpy as np

from .arithmetic import MOST_OVERRUN
from .bits import Integers
from .decisions import LONGEST_UNARY, SAMPLE, SAMPLE_SIGN, Decisions, bucket, sign_class
from .refusal import Refusal

LARGEST_LEVEL = 1 << 25
LARGEST_COEFFICIENT = 1 << 26


def require_payload(decisions: Decisions) -> None:
    """Refuse a payload that has ended (R8.3.7-1), before more is decoded."""
    if decisions.arithmetic.overrun > MOST_OVERRUN:
        raise Refusal("payload", "R8.3.7-1", "the payload ends before its decisions")


def dequantise(level: int, points: tuple[int, int, int], step: int, largest: int = 1 << 17) -> int:
    """A level as a coefficient or a sample, in units of 2^-4 samples (8.3.7.7)."""
    size = abs(level)
    if size == 0:
        return 0
    point = points[min(size, 3) - 1]
    value = min(((32 * min(size, largest) + point) * step) >> 17, LARGEST_COEFFICIENT)
    return -value if level < 0 else value


def decode_plain(
    decisions: Decisions, shape: tuple[int, int, int], steps: list[int], bounds: tuple[int, int], origin: int,
    points: tuple[int, int, int],
) -> Integers:  # fmt: skip
    """Decode a feature sample by sample, C x H x W (8.3.7.8)."""
    channels, height, width = shape
    alone = int(height * width == 1)
    samples = np.zeros(shape, np.int64)
    field = [[0] * ((width + 3) // 4) for _ in range((height + 3) // 4)]
    activity = 0
    nothing = [[0] * width for _ in range(height)]
    before, second = nothing, nothing  # the levels of the two preceding channels
    for channel in range(channels):
        levels = [[0] * width for _ in range(height)]
        for y in range(height):
            require_payload(decisions)
            for x in range(width):
                beside = (
                    levels[y][x - 1] if x > 0 else 0,
                    levels[y - 1][x] if y > 0 else 0,
                    before[y][x],
                    second[y][x],
                )
                at = field[y >> 2]
                around, behind = bucket(activity >> 4), bucket(at[x >> 2] >> 4)
                level, magnitude = decode_level(decisions, alone, beside, around, behind)
                levels[y][x] = level
                value = origin + ((dequantise(level, points, steps[channel]) + 8) >> 4)
                samples[channel, y, x] = min(max(value, bounds[0]), bounds[1])
                own = 16 * min(16 * magnitude, 4095)
                activity += (own - activity) >> 4
                at[x >> 2] += (own - at[x >> 2]) >> 3
        before, second = levels, before
    return samples


def decode_level(
    decisions: Decisions, alone: int, beside: tuple[int, int, int, int], around: int, field: int
) -> tuple[int, int]:
    """Decode the level of a sample, and its magnitude before it is limited (8.3.7.8).

    ``beside`` holds the levels to the left, above, and of the two preceding channels.
    """
    left, above, before, second = beside
    near, behind = bucket(abs(left) + abs(above)), bucket(abs(before))
    contexts = (
        near * 12 + behind,
        near * 12 + around,
        behind * 12 + bucket(abs(second)),
        field * 12 + near,
        around * 12 + field,
        min(abs(left), 15) * 16 + min(abs(above), 15),
    )
    magnitude = decisions.magnitude(SAMPLE, alone, contexts, LONGEST_UNARY, 1)
    level = min(magnitude, LARGEST_LEVEL)
    if magnitude == 0:
        return 0, 0
    contexts = (
        sign_class(left) * 9 + sign_class(above) * 3 + sign_class(before),
        near * 3 + sign_class(left),
        behind * 3 + sign_class(before),
        around * 12 + bucket(magnitude),
        field,
        sign_class(before) * 3 + sign_class(second),
    )
    negative = decisions.decide(SAMPLE_SIGN, alone, 0, contexts)
    return -level if negative else level, magnitude
