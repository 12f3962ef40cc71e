"""Rate-quality curves, and the mean differences between two of them (Bjøntegaard 2001, VCEG-M33).

BD-rate is the mean difference in log rate at equal quality, as a percentage; BD-quality the mean difference
in quality at equal log rate. Both are computed by the package ``bjontegaard`` over the range that two curves
share, without extrapolation, and are returned with that range.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "Difference", "bd_quality", "bd_rate", "frontier", "rate_at", "shared"]

Axis = npt.NDArray[np.float64]

_SAME = 1e-9  # relative difference up to which values count as equal
_BETWEEN = 16  # interpolated points per interval, to keep the shape of the whole curve


class Curve(NamedTuple):
    """Points of one coder, in any order.

    rates     : bits per element, or bytes; above 0.
    qualities : of any measure where higher is better; points of infinite quality are left out.
    """

    rates: Sequence[float] | Axis
    qualities: Sequence[float] | Axis


class Difference(NamedTuple):
    """A mean difference, and the range it is taken over.

    value     : in percent (`bd_rate`), or in the unit of quality (`bd_quality`).
    low, high : ends of the range: qualities (`bd_rate`), or rates (`bd_quality`).
    """

    value: float
    low: float
    high: float


def frontier(curve: Curve) -> tuple[Axis, Axis]:
    """Pareto frontier: rates and qualities by increasing rate, without dominated points."""
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(zip(*curve, strict=True)):
        if not np.isfinite(quality) or (kept and quality <= kept[-1][1] + _SAME):
            continue
        if kept and rate <= kept[-1][0] * (
            1 + _SAME
        ):  # the last point has the same rate and is worse
            kept.pop()
        kept.append((rate, quality))
    points = np.array(kept, np.float64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def shared(a: Axis, b: Axis) -> tuple[float, float]:
    """The range that two increasing axes share; low exceeds high if there is none."""
    if not (len(a) and len(b)):
        return np.inf, -np.inf
    return float(max(a[0], b[0])), float(min(a[-1], b[-1]))


def bd_rate(
    anchor: Curve,
    other: Curve,
    *,
    within: tuple[float, float] = (-np.inf, np.inf),
    least: float = 0.0,
) -> Difference | None:
    """BD-rate of ``other`` against the anchor, in percent; negative is better.

    within : range of qualities to compare, if at least ``least`` of the shared range lies in it.
    least  : smallest shared range of qualities; None is returned if the curves share less, or one of them has
             a single point.

    Log rate over quality, interpolated by monotone cubics (pchip), which do not overshoot. The package
    integrates over the whole shared range, so each curve is first cut to the range to compare.
    """
    import bjontegaard

    curves = [frontier(anchor), frontier(other)]
    low, high = shared(*(qualities for _, qualities in curves))
    narrow = max(low, within[0]), min(high, within[1])
    if narrow[1] - narrow[0] >= max(least, _SAME):
        low, high = narrow
    if high - low < max(least, _SAME):
        return None
    cut = [_cut(qualities, np.log10(rates), low, high) for rates, qualities in curves]
    (x, y), (u, v) = cut
    value = bjontegaard.bd_rate(10**y, x, 10**v, u, **_PLAINLY)
    return Difference(float(value), low, high)


def bd_quality(anchor: Curve, other: Curve) -> Difference | None:
    """BD-quality of ``other`` against the anchor, in the unit of quality; positive is better.

    None if the curves share no range of rates.
    """
    import bjontegaard

    curves = [(np.log10(rates), qualities) for rates, qualities in map(frontier, (anchor, other))]
    low, high = shared(*(rates for rates, _ in curves))
    if high - low < _SAME:
        return None
    (x, y), (u, v) = (_cut(rates, qualities, low, high) for rates, qualities in curves)
    value = bjontegaard.bd_psnr(10**x, y, 10**u, v, **_PLAINLY)
    return Difference(float(value), 10**low, 10**high)


def rate_at(curve: Curve, quality: float) -> float | None:
    """The rate at which a curve reaches a quality, interpolated as in `bd_rate`; None beyond its ends."""
    from scipy.interpolate import PchipInterpolator

    rates, qualities = frontier(curve)
    if not len(rates) or not qualities[0] <= quality <= qualities[-1]:
        return None
    if len(rates) == 1:
        return float(rates[0])
    return float(10 ** PchipInterpolator(qualities, np.log10(rates))(quality))


_PLAINLY: dict[str, Any] = {
    "method": "pchip",
    "require_matching_points": False,
    "min_overlap": 0,
}


def _cut(x: Axis, y: Axis, low: float, high: float) -> tuple[Axis, Axis]:
    """The curve y over x between two ends, resampled densely enough to keep its shape."""
    from scipy.interpolate import PchipInterpolator

    knots = [low, *x[(x > low + _SAME) & (x < high - _SAME)], high]
    parts = [np.linspace(start, stop, _BETWEEN, endpoint=False) for start, stop in pairwise(knots)]
    fine = np.concatenate([*parts, [high]])
    return fine, PchipInterpolator(x, y)(fine)
