"""The uniform quantiser: positions on a line to numbers (clause 8.6.1), and numbers to positions, compiled.

Every operation is one of binary64, rounded to nearest, ties to even; the compiler fuses none and moves none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.kernel import compiled

__all__ = ["dequantise_uniform", "positions_of"]

Samples = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


# --- normative -------------------------------------------------------------------------------------


@clause("8.6.1")
def dequantise_uniform(
    positions: npt.NDArray[np.int64] | Samples,
    low: Floats,
    high: Floats,
    bits: int,
    values: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """(8.6.1) Uniform: ``low + (position * 2^-16) * step``, ``step = (high - low) / (2^bits - 1)``.

    positions : C x H x W, int64 in units of 2^-16 samples, below 2^53; or samples, int32: positions times
                2^-16. Either is exact in binary64.
    low, high : one entry, or one per channel.
    values    : receives the numbers, C x H x W: in binary64; or in binary32, each rounded by 8.7 as it is
                stored. None for a new array of binary64.
    """
    first = low.astype(np.float64)
    step = (high.astype(np.float64) - first) / np.float64((1 << bits) - 1)
    values = np.empty(positions.shape) if values is None else values
    unit = 2.0**-16 if positions.dtype == np.int64 else 1.0
    largest = float(np.finfo(np.float32).max) if values.dtype == np.float32 else np.inf
    given = np.require(positions, requirements=["C", "W"])
    place_on_line(given, unit, step, first, largest, values)
    return values


@compiled
def place_on_line(
    positions: npt.NDArray[Any], unit: float, step: Values, first: Values, largest: float,
    values: npt.NDArray[Any],
) -> None:  # fmt: skip
    """(8.6.1) Numbers of positions, saturated at the largest one."""
    for c in range(positions.shape[0]):
        own_step = step[min(c, step.shape[0] - 1)]
        own_first = first[min(c, first.shape[0] - 1)]
        for y in range(positions.shape[1]):
            for x in range(positions.shape[2]):
                value = (float(positions[c, y, x]) * unit) * own_step + own_first
                values[c, y, x] = min(max(value, -largest), largest)


# --- informative: the encoder's half ---------------------------------------------------------------


def positions_of(
    values: npt.NDArray[Any], low: Floats, high: Floats, bits: int
) -> tuple[Samples, Values]:
    """Samples (int32), and their positions before rounding (binary64), of numbers; all C x H x W.

    low, high : one entry, or one per channel. Numbers beyond saturate.
    """
    first, last = low.astype(np.float64), high.astype(np.float64)
    top = (1 << bits) - 1
    factor = top / np.where(last > first, last - first, 1.0)
    samples, positions = np.empty(values.shape, np.int32), np.empty(values.shape)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    find_positions(
        np.require(values, requirements=["C", "W"]), first, factor, top, samples, positions
    )
    return samples, positions


@compiled
def find_positions(
    values: npt.NDArray[Any], first: Values, factor: Values, top: int, samples: Samples, positions: Values
) -> None:  # fmt: skip
    """Find samples and positions, see `positions_of`."""
    for c in range(values.shape[0]):
        own_factor = factor[min(c, factor.shape[0] - 1)]
        own_first = first[min(c, first.shape[0] - 1)]
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                position = (float(values[c, y, x]) - own_first) * own_factor
                position = min(max(position, 0.0), float(top))
                positions[c, y, x] = position
                samples[c, y, x] = int(np.rint(position))
