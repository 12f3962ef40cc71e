"""Reconstruction: from the levels of a block to its samples (clause 8.3.7.7)."""

from __future__ import annotations

from refcodec.coders.native.transform import inverse_block
from refcodec.coders.native.workspace import LARGEST, POINT, SLOPE, STEP, Workspace
from refcodec.entropy.arrays import Int32
from refcodec.kernel import inlined, kernel

__all__ = ["dequantise_level", "reconstruct_block"]


# --- normative -------------------------------------------------------------------------------------


@inlined
def dequantise_level(w: Workspace, level: int, step: int) -> int:
    """(8.3.7.7) A level to a coefficient or sample, in units of 2^-4 samples.

    step : in units of 2^-16 samples, below 2^40; |level| is first bounded by 2^17 so that int64 holds.
    """
    magnitude = abs(level)
    if magnitude == 0:
        return 0
    point = int(w.channel[POINT + min(magnitude, 3)])
    value = ((32 * min(magnitude, 1 << 17) + point) * step) >> 17
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


@kernel
def used_part(levels: Int32, y: int, x: int, height: int, width: int) -> tuple[int, int]:
    """(8.3.7.7) The number of rows, and of columns, up to the last level of a block that is not 0."""
    rows = 0
    columns = 0
    for u in range(height):
        together = 0
        for v in range(width):
            together |= int(levels[y + u, x + v])
        if together != 0:
            rows = u + 1
            for v in range(columns, width):
                if int(levels[y + u, x + v]) != 0:
                    columns = v + 1
    return rows, columns


@kernel
def reconstruct_block(
    w: Workspace, levels: Int32, samples: Int32, displaced: Int32, y: int, x: int, height: int,
    width: int, used_rows: int, used_columns: int, temporal: int,
) -> None:  # fmt: skip
    """(8.3.7.7) Reconstruct the samples of a block from its levels and, if predicted, the displaced ones.

    used_rows, used_columns : the other levels are 0.
    """
    for u in range(used_rows):
        for v in range(used_columns):
            level = int(levels[y + u, x + v])
            value = 0
            if level != 0:
                step = frequency_step(w, u, v, height, width)
                if u + v == 0:
                    value = min(max((level * step) >> 12, -(1 << 26)), 1 << 26)
                else:
                    value = dequantise_level(w, level, step)
            w.block[u, v] = value
    inverse_block(w.block, w.rows, samples, y, x, height, width, used_rows, used_columns)
    largest = int(w.channel[LARGEST])
    for i in range(y, y + height):
        for j in range(x, x + width):
            sample = int(samples[i, j])
            if temporal == 1:
                sample += int(displaced[i, j])
            samples[i, j] = min(max(sample, 0), largest)
