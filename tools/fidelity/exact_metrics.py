"""Metrics in exact arithmetic: what the fidelity vectors expect, derived without the code that they verify.

Arrays are nested lists of Fractions. Rational results are Fractions; logarithms, roots and powers are
Decimals of fifty digits. Nothing here imports numpy or refcodec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

__all__ = [
    "algorithm1_qps",
    "bd_quality",
    "bd_rate",
    "cosine_similarity",
    "fidelity",
    "flat",
    "max_error",
    "mean_iou",
    "mean_squared_error",
    "signal_to_noise",
    "top_accuracy",
]

_DIGITS = 50

Nested = Sequence[Any]
Points = list[tuple[Decimal, Decimal]]


def flat(values: Any) -> Iterator[Fraction]:
    """The numbers of a nested list, in C order."""
    if isinstance(values, (list, tuple)):
        for one in values:
            yield from flat(one)
    else:
        yield Fraction(values)


# --- decisions -------------------------------------------------------------------------------------


def _decisions(outputs: Nested) -> list[int]:
    """The class of each image or pixel: the first of the highest outputs.

    outputs : N x classes, or N x classes x H x W.
    """
    found = []
    for image in outputs:
        planes = [list(flat(one)) for one in image]
        for column in zip(*planes, strict=True):
            found.append(column.index(max(column)))
    return found


def fidelity(outputs: Nested, reference: Nested) -> Fraction:
    """Number of equal decisions over that of all (Hu et al., eq. 4 and 5)."""
    pairs = list(zip(_decisions(outputs), _decisions(reference), strict=True))
    return Fraction(sum(a == b for a, b in pairs), len(pairs))


def top_accuracy(outputs: Nested, labels: Sequence[int], k: int) -> Fraction:
    """Share of images of which fewer than k classes have a higher output than the label; k = 1 is strict.

    For top-1 accuracy the decision itself counts, so that of equal outputs the first is taken.
    """
    if k == 1:
        decided = _decisions(outputs)
        return Fraction(sum(a == b for a, b in zip(decided, labels, strict=True)), len(labels))
    hits = 0
    for image, label in zip(outputs, labels, strict=True):
        hits += sum(one > image[label] for one in image) < k
    return Fraction(hits, len(labels))


def mean_iou(outputs: Nested, masks: Nested, ignore: int = 255) -> Fraction:
    """Mean of intersection over union, over the classes that are predicted or true somewhere."""
    truth = [int(one) for one in flat(masks)]
    pairs = [pair for pair in zip(_decisions(outputs), truth, strict=True) if pair[1] != ignore]
    shares = []
    for one in range(len(outputs[0])):
        both = sum(a == one and b == one for a, b in pairs)
        either = sum(one in pair for pair in pairs)
        shares += [Fraction(both, either)] if either else []
    return sum(shares, Fraction(0)) / len(shares)


# --- errors ----------------------------------------------------------------------------------------


def mean_squared_error(decoded: Any, original: Any) -> Fraction:
    """Mean of the squared differences."""
    squares = [(a - b) ** 2 for a, b in zip(flat(decoded), flat(original), strict=True)]
    return sum(squares, Fraction(0)) / len(squares)


def max_error(decoded: Any, original: Any) -> Fraction:
    """Largest absolute difference."""
    return max(abs(a - b) for a, b in zip(flat(decoded), flat(original), strict=True))


def signal_to_noise(decoded: Any, original: Any) -> Decimal:
    """Ten times the decimal logarithm of variance over mean squared error, in dB."""
    values = list(flat(original))
    mean = sum(values, Fraction(0)) / len(values)
    variance = sum(((one - mean) ** 2 for one in values), Fraction(0)) / len(values)
    error = mean_squared_error(decoded, original)
    if error == 0:
        return Decimal("Infinity")
    if variance == 0:
        return Decimal("-Infinity")
    with localcontext() as context:
        context.prec = _DIGITS
        return 10 * _decimal(variance / error).log10()


def cosine_similarity(decoded: Any, original: Any) -> Decimal:
    """Scalar product over the product of the norms; 1 for two zero vectors, 0 where one is zero."""
    a, b = list(flat(decoded)), list(flat(original))
    both, ours, theirs = (
        sum((x * y for x, y in zip(*pair, strict=True)), Fraction(0))
        for pair in ((a, b), (a, a), (b, b))
    )
    if not ours * theirs:
        return Decimal(int(ours == theirs))
    with localcontext() as context:
        context.prec = _DIGITS
        return _decimal(both) / _decimal(ours * theirs).sqrt()


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


# --- bit allocation --------------------------------------------------------------------------------


def algorithm1_qps(sensitivity: Sequence[Any], qp_base: int, qp_range: int) -> list[int]:
    """QPs of channels (Hu et al., eq. 3 and algorithm 1, line 11); ties go to the even integer."""
    values = [Fraction(one) for one in sensitivity]
    low, high = min(values), max(values)
    return [qp_base - round(qp_range * (one - low) / (high - low)) for one in values]


# --- curves ----------------------------------------------------------------------------------------


def bd_rate(anchor: Nested, other: Nested) -> Decimal:
    """Mean difference in log rate at equal quality, as a percentage: 100 (10^d - 1).

    anchor, other : pairs of rate and quality, in decimal.
    """
    with localcontext() as context:
        context.prec = _DIGITS
        curves = [
            [(Decimal(str(quality)), Decimal(str(rate)).log10()) for rate, quality in curve]
            for curve in (anchor, other)
        ]
        return 100 * (Decimal(10) ** _difference(*curves) - 1)


def bd_quality(anchor: Nested, other: Nested) -> Decimal:
    """Mean difference in quality at equal log rate."""
    with localcontext() as context:
        context.prec = _DIGITS
        curves = [
            [(Decimal(str(rate)).log10(), Decimal(str(quality))) for rate, quality in curve]
            for curve in (anchor, other)
        ]
        return _difference(*curves)


def _difference(anchor: Points, other: Points) -> Decimal:
    """The mean of the second curve minus that of the first over the range of x that they share."""
    low, high = max(anchor[0][0], other[0][0]), min(anchor[-1][0], other[-1][0])
    return (_integral(other, low, high) - _integral(anchor, low, high)) / (high - low)


def _integral(points: Points, low: Decimal, high: Decimal) -> Decimal:
    """The integral of a curve's monotone cubic (Fritsch and Butland, 1984) from low to high."""
    slopes = _slopes(points)
    total = Decimal(0)
    for number, ((x, y), (u, v)) in enumerate(pairwise(points)):
        start, stop = max(x, low), min(u, high)
        if start < stop:
            width, rise = u - x, (v - y) / (u - x)
            here, there = slopes[number : number + 2]
            square = (3 * rise - 2 * here - there) / width
            cube = (here + there - 2 * rise) / width**2
            ends = [
                t * (y + t * (here / 2 + t * (square / 3 + t * cube / 4)))
                for t in (start - x, stop - x)
            ]
            total += ends[1] - ends[0]
    return total


def _slopes(points: Points) -> list[Decimal]:
    """Derivatives at the points: weighted harmonic means inside, three-point formulas at the ends."""
    widths = [u - x for (x, _), (u, _) in pairwise(points)]
    rises = [(v - y) / (u - x) for (x, y), (u, v) in pairwise(points)]
    if len(rises) == 1:
        return rises * 2
    inner = []
    for (h, k), (a, b) in zip(pairwise(widths), pairwise(rises), strict=True):
        if a * b <= 0:
            inner.append(Decimal(0))
        else:
            one, two = 2 * k + h, k + 2 * h
            inner.append((one + two) / (one / a + two / b))
    return [_end(widths, rises), *inner, _end(widths[::-1], rises[::-1])]


def _end(widths: list[Decimal], rises: list[Decimal]) -> Decimal:
    """The derivative at an end, held so that the curve stays monotone."""
    (h, k), (a, b) = widths[:2], rises[:2]
    slope = ((2 * h + k) * a - h * b) / (h + k)
    if slope * a <= 0:
        return Decimal(0)
    if a * b <= 0 and abs(slope) > 3 * abs(a):
        return 3 * a
    return slope
