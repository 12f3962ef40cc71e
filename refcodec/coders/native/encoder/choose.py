"""The search for a choice: head, blocks and levels, for one largest block and one frequency slope."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.channels import geometry
from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.blocks import choose_channels
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.corrections import restoration_mode
from refcodec.coders.native.encoder.grids import division
from refcodec.coders.native.encoder.planes import coefficient_planes
from refcodec.coders.native.encoder.prediction import Prediction
from refcodec.coders.native.encoder.rates import initial_magnitude_rates, initial_rates
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.encoder.weights import weight_planes
from refcodec.coders.native.head import (
    BLOCK,
    DEPENDENT_QUANTISATION,
    FREQUENCY_SLOPE,
    GAINED,
    HEAD_SIZE,
    ORIGIN,
    POINTS,
    PREDICTED,
    RESTORATION,
    SHIFT_DOWN,
    SHIFT_RIGHT,
)
from refcodec.entropy.arrays import Int32, Int64

__all__ = ["choose"]

Floats = npt.NDArray[np.float32]


def choose(
    exact: npt.NDArray[Any],
    steps: Int64,
    tuning: Tuning,
    advice: Advice,
    block: int,
    slope: int,
    rates: Floats | None = None,
    prediction: Prediction | None = None,
) -> Choice:
    """Choose block sizes and levels, with largest blocks of one side (0: without a transform).

    exact      : samples before rounding, and before gains, C x H x W.
    steps      : of each channel, in units of 2^-16 samples.
    rates      : see ``rates.rate_table``, or ``rates.magnitude_rates`` for dependent quantisation; None for
                 those of the initial states.
    prediction : samples that blocks may be predicted from.
    """
    head = np.zeros(HEAD_SIZE, np.int64)
    if advice.gains is not None:
        head = np.concatenate([head, advice.gains])
        head[GAINED] = 1
    head[FREQUENCY_SLOPE] = slope
    head[RESTORATION] = restoration_mode(exact.shape, tuning)
    if prediction is not None:
        head[PREDICTED] = 1
        head[SHIFT_DOWN : SHIFT_RIGHT + 1] = prediction.shift
    levels = np.zeros(exact.shape, np.int32)
    sums = np.zeros((2, 3))  # of |coefficient| - |level|, and their count, for levels 1, 2 and more
    scales = (steps / 65536).astype(np.float32)[:, None, None]
    cost = 0.0
    if block == 0:
        sizes = np.zeros((1, 1, 1), np.int32)
        head[ORIGIN] = max(_commonest(exact), 0)
        _round_samples((exact - head[ORIGIN]).astype(np.float32) / scales, levels, sums)
    else:
        sizes = np.zeros(exact.shape, np.int32)
        head[BLOCK] = block.bit_length() - 3
        head[DEPENDENT_QUANTISATION] = tuning.dependent
        if rates is None:
            rates = initial_magnitude_rates() if tuning.dependent else initial_rates()
        cost = _choose_blocks(
            exact, scales, tuning, advice, block, slope, rates, prediction, levels, sizes, sums,
        )  # fmt: skip
    if not (block == 0 and (steps == 65536).all()):  # otherwise every level is a sample
        points = np.rint(32 * sums[0] / np.maximum(sums[1], 1))
        head[POINTS : POINTS + 3] = np.clip(points, -8, 7)
    return Choice(head, levels, sizes, cost)


def _commonest(exact: npt.NDArray[Any]) -> int:
    """The most frequent sample value."""
    values, counts = np.unique(np.rint(exact).astype(np.int64), return_counts=True)
    return int(values[counts.argmax()])


def _round_samples(scaled: Floats, levels: Int32, sums: npt.NDArray[np.float64]) -> None:
    """Round samples to levels, without a transform; see ``choose`` for the sums."""
    np.rint(scaled, out=levels, casting="unsafe")
    for m in (1, 2, 3):
        chosen = (np.abs(levels) == m) if m < 3 else np.abs(levels) > 2
        sums[:, m - 1] = (np.abs(scaled) - np.abs(levels))[chosen].sum(), chosen.sum()


def _choose_blocks(
    exact: npt.NDArray[Any],
    scales: Floats,
    tuning: Tuning,
    advice: Advice,
    block: int,
    slope: int,
    rates: Floats,
    prediction: Prediction | None,
    levels: Int32,
    sizes: Int32,
    sums: npt.NDArray[np.float64],
) -> float:
    """Choose the blocks and levels of all channels; returns their cost. See ``blocks.choose_channels``."""
    height, width = exact.shape[1:]
    _, _, scans, scan_at = geometry(height, width, block)
    grids, blocks, starts = division(height, width, block, tuning.depths + (block > 16))
    planes = coefficient_planes(exact, grids, slope)[:, None]
    if prediction is not None:
        residual = coefficient_planes(exact - prediction.displaced, grids, slope)[:, None]
        planes = np.concatenate([planes, residual], axis=1)
    trial = np.zeros(planes.shape[1:], np.int32)
    weights = weight_planes(advice, len(exact), grids)
    return float(
        choose_channels(
            planes, scales, weights, tuning.strength, rates, scans, scan_at, blocks, starts, trial,
            levels, sizes, sums, int(tuning.dependent),
        )
    )  # fmt: skip
