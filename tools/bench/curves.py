"""Rate-distortion curves of the benchmarks: bits per element over the signal-to-noise ratio of the logits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from refcodec.evaluate import curves
from refcodec.evaluate.curves import Axis, Curve, Difference

Point = dict[str, Any]

SNR_RANGE = (8.0, 30.0)
"""Logit SNRs over which BD-rates are taken, dB, as far as both curves reach."""

BANDS = ((8.0, 15.0), (15.0, 22.0), (22.0, 30.0))
"""Parts of it, since one mean hides that coders lead at low quality or at high."""


def frontier(points: Iterable[Point]) -> tuple[Axis, Axis]:
    """Bits an element and SNRs by rising rate, without points that cost more and are no better."""
    return curves.frontier(_curve(points))


def bd_rate(
    anchor: Iterable[Point], other: Iterable[Point], within: tuple[float, float] = SNR_RANGE
) -> Difference | None:
    """BD-rate against the anchor in %, and its range of SNRs; None where they share less than 1 dB."""
    return curves.bd_rate(_curve(anchor), _curve(other), within=within, least=1)


def rate_at(points: Iterable[Point], snr: float) -> float | None:
    """Bits an element at an SNR; None beyond the ends of the curve."""
    return curves.rate_at(_curve(points), snr)


def _curve(points: Iterable[Point]) -> Curve:
    points = list(points)
    return Curve([one["bits"] for one in points], [one["snr"] for one in points])
