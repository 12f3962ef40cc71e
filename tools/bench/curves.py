"""Rate-distortion curves and BD-rates: bits an element over the signal-to-noise ratio of the logits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Point = dict[str, Any]
Axis = npt.NDArray[np.float64]

SNR_RANGE = (8.0, 30.0)
"""Logit SNRs over which BD-rates are taken, dB, as far as both curves reach."""

_BETWEEN = 16  # interpolated points an interval: they hold the shape of the whole curve


def frontier(points: Iterable[Point]) -> tuple[Axis, Axis]:
    """Bits an element and SNRs by rising rate, without points that cost more and are no better."""
    axes = sorted((one["bits"], one["snr"]) for one in points if np.isfinite(one["snr"]))
    kept: list[tuple[float, float]] = []
    for rate, quality in axes:
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return np.array([rate for rate, _ in kept]), np.array([quality for _, quality in kept])


def shared_range(anchor: list[Point], other: list[Point]) -> tuple[float, float]:
    """The SNRs that both frontiers cover: within SNR_RANGE, or where that leaves less than 1 dB, anywhere."""
    a, b = frontier(anchor)[1], frontier(other)[1]
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    within = max(low, SNR_RANGE[0]), min(high, SNR_RANGE[1])
    return within if within[1] - within[0] >= 1 else (low, high)


def bd_rate(anchor: list[Point], other: list[Point]) -> tuple[float, float, float] | None:
    """BD-rate against the anchor in %, negative where ``other`` is better, and its range of SNRs.

    None where the curves share less than 1 dB. The package integrates over whatever curves share, so each
    is first cut to ``shared_range``: log rate over SNR, interpolated by monotone cubics (pchip).
    """
    import bjontegaard

    low, high = shared_range(anchor, other)
    if high - low < 1:
        return None
    a, b = (_cut(*frontier(points), low, high) for points in (anchor, other))
    change = bjontegaard.bd_rate(
        *a, *b, method="pchip", require_matching_points=False, min_overlap=0
    )
    return float(change), low, high


def _cut(rates: Axis, snrs: Axis, low: float, high: float) -> tuple[Axis, Axis]:
    from scipy.interpolate import PchipInterpolator

    knots = np.unique(np.clip(snrs, low, high))
    parts = [np.linspace(start, stop, _BETWEEN, endpoint=False) for start, stop in pairwise(knots)]
    fine = np.concatenate([*parts, knots[-1:]])
    return 10 ** PchipInterpolator(snrs, np.log10(rates))(fine), fine
