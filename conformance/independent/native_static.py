"""The native coder with static tables: payload and corrections (8.3.11, 8.3.11.7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bits import Integers
from .head import Head, bounds_of, decode_static_head, limited, step_sizes
from .native import GAINS, LARGEST_GAIN, LEAST_GAIN, restore
from .static_blocks import StaticBlocks
from .substreams import substreams_of
from .symbols import GAIN, OFFSET, Symbols, half_octave
from .syntax import FeatureParameterSet, Parameters

LARGEST_NEAR = 7  # class of a correction


def decode_native_static(
    payload: bytes, sizes: Sequence[int], fps: FeatureParameterSet, parameters: Parameters
) -> Integers:
    """Decode a payload to samples, C x H x W; ``sizes`` are those of all substreams but the last."""
    steps, bounds = step_sizes(fps, parameters), bounds_of(fps)
    parts = [
        decode_substream(data, steps[channels], fps.shape[1:], bounds)
        for data, channels in substreams_of(payload, sizes, fps)
    ]
    return np.concatenate(parts)


def decode_substream(
    data: bytes, steps: list[int], area: tuple[int, int], bounds: tuple[int, int]
) -> Integers:
    """Decode a substream to the samples of its channels, whose steps are given."""
    symbols = Symbols(data)
    head = decode_static_head(symbols)
    symbols.change_tables()
    samples = StaticBlocks(symbols, (len(steps), *area), head, bounds).decode(steps)
    offsets, gains = decode_corrections(symbols, head, len(steps))
    symbols.lanes.finish()
    return restore(samples, head, steps, offsets, gains)


def decode_corrections(symbols: Symbols, head: Head, channels: int) -> tuple[list[int], list[int]]:
    """Decode the offset and the gain of each channel, as *restoration* says."""
    corrections = [0] * channels, [0] * channels
    for kind in range(head.restoration):
        last = 0
        for channel in range(channels):
            near = min(half_octave(abs(last)), LARGEST_NEAR)
            if kind == GAINS:
                last = limited(symbols.level(GAIN + near), LEAST_GAIN, LARGEST_GAIN)
            else:
                last = symbols.level(OFFSET + near)
            corrections[kind][channel] = last
    return corrections
