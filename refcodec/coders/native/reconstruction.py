"""Reconstruction: from the levels of a block to its samples (clause 8.3.7.7)."""

from __future__ import annotations

from refcodec.coders.native.transform import add_coefficient, inverse_block
from refcodec.coders.native.workspace import COUPLED, LARGEST, LEAST, POINT, SLOPE, STEP, Workspace
from refcodec.entropy.arrays import Int32
from refcodec.kernel import inlined, kernel

__all__ = ["HALF_STEP", "add_level", "dequantise_level", "reconstruct_block"]


HALF_STEP = 9
"""Half a step of the quantisers of dependent quantisation, in sixteenths of the step."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def dequantise_level(w: Workspace, level: int, step: int) -> int:
    """(8.3.7.7) A level to a coefficient or sample, in units of 2^-4 samples.

    step : in units of 2^-16 samples, below 2^40; |level| is first bounded by 2^17, or 2^18 half steps,
           so that int64 holds.
    """
    magnitude = abs(level)
    if magnitude == 0:
        return 0
    point = int(w.channel[POINT + min(magnitude, 3)])
    bound = 1 << (17 + int(w.channel[COUPLED]))
    value = ((32 * min(magnitude, bound) + point) * step) >> 17
    value = min(value, 1 << 26)
    return -value if level < 0 else value


@inlined
def frequency_step(w: Workspace, u: int, v: int, height: int, width: int) -> int:
    """(8.3.7.7) The step of one frequency: it rises or falls with frequency, by ``frequency_slope``."""
    step = int(w.channel[STEP])
    slope = int(w.channel[SLOPE])
    if slope == 0:
        return step
    scale = 16 + slope * (u * width + v * height) // (height * width)
    return (step * scale) >> 4


@inlined
def add_level(w: Workspace, level: int, u: int, v: int, height: int, width: int) -> None:
    """(8.3.7.7) Dequantise a level, and add its coefficient to the intermediate values of its block.

    Levels of dependent quantisation count half steps of its quantisers.
    """
    step = frequency_step(w, u, v, height, width)
    if u + v == 0:
        value = min(max((level * step) >> 12, -(1 << 26)), 1 << 26)
    else:
        if int(w.channel[COUPLED]) == 1:
            step = (HALF_STEP * step) >> 4
        value = dequantise_level(w, level, step)
    add_coefficient(w.rows, u, v, width, value)


@kernel
def reconstruct_block(
    w: Workspace, levels: Int32, samples: Int32, displaced: Int32, y: int, x: int, height: int,
    width: int, temporal: int,
) -> None:  # fmt: skip
    """(8.3.7.7) Reconstruct the samples of a block from its levels and, if predicted, the displaced ones."""
    used_rows = 1
    used_columns = 1
    for u in range(height):
        together = 0
        for v in range(width):
            together |= int(levels[y + u, x + v])
        if together != 0:
            used_rows = u + 1
            for v in range(width):
                level = int(levels[y + u, x + v])
                if level != 0:
                    used_columns = max(used_columns, v + 1)
                    add_level(w, level, u, v, height, width)
    least = int(w.channel[LEAST])
    largest = int(w.channel[LARGEST])
    if temporal == 0:
        inverse_block(w.rows, samples, y, x, height, width, used_rows, used_columns, least, largest)
        return
    inverse_block(
        w.rows, samples, y, x, height, width, used_rows, used_columns, -(1 << 30), 1 << 30
    )
    for i in range(y, y + height):
        for j in range(x, x + width):
            sample = int(samples[i, j]) + int(displaced[i, j])
            samples[i, j] = min(max(sample, least), largest)
