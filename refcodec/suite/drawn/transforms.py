"""Transforms over channels: weights, shifts, scales and offsets at all their limits (8.6.6, 9.9, A.3)."""

from __future__ import annotations

import numpy as np

from refcodec.errors import ConstraintError
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.floats import draw_floats
from refcodec.suite.make.transforms import transform
from refcodec.transform.channel import ChannelTransform

__all__ = ["draw_transform"]

_MOST_WEIGHTS = 1 << 13
"""Weights of a transform: they fit any level."""

_LARGEST_SHIFT = 15


def draw_transform(chance: Chance, channels: int) -> ChannelTransform:
    """Draw a transform of so many channels; it need not have an inverse, which no decoder uses."""
    sizes = [
        n for n in range(1, channels + 1) if channels % n == 0 and channels * n <= _MOST_WEIGHTS
    ]
    size = chance.choose([sizes[-1], chance.choose(sizes)])
    bits = chance.number(1, 16)
    largest = (1 << (bits - 1)) - 1
    drawn = chance.numbers(channels * size, -largest, largest)
    rare = chance.words(len(drawn)) % np.uint64(chance.choose([1, 1, 3, 20])) > 0
    weights = np.where(rare, 0, drawn).astype(np.int32).reshape(-1, size, size)
    shifts = chance.numbers(channels, 0, chance.choose([0, 3, _LARGEST_SHIFT]))
    scales, offsets = (draw_floats(chance, channels) for _ in range(2))
    while True:
        try:
            return transform(weights, shifts=shifts, scales=scales, offsets=offsets, bits=bits)
        except ConstraintError:  # a sum beyond 2^52: without shifts, there is none
            shifts >>= 1
