"""Ranges of features that are coded together: which of them share a batch, and the codes of their ranges.

A feature of a batch has the range that it would have alone, so that it decodes to the same values whatever
stands beside it. Its bounds are rounded outwards to few bits, which codes of ranges can afford. Batches end
where that saves bytes: beside a feature whose range would make the codes of all others long.

A range is two *bounds* that grow as it narrows: the rank of range_min and the negated rank of range_max, or
log_exponent and the negated log_step. Tables of bounds are int64, features x R.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.quantise import PLAIN
from refcodec.ranges import number_of_rank, rank_of
from refcodec.stream.features import LARGEST_BATCH, largest_step
from refcodec.stream.limits import element_count
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["TOLERANCE", "Share", "batch_elements", "share_ranges", "shares_elements"]

Integers = npt.NDArray[np.int64]
Squares = npt.NDArray[np.float64]

TOLERANCE = 10 ** (0.1 / 10)
"""Greatest factor by which rounding of a range may raise the squared steps of a feature: 0.1 dB."""

_LARGEST_SHIFT = 23
"""A code of a greater shift would count octaves, which is coarser than every tolerance."""

_EXACT_SHIFT = 12
"""Ranges of this shift or more stay as they are: those of integers below 4096, and of 16-bit numbers."""

_MOST_CODE_BITS = 31

_UNIT_SIZE = 20
"""Bytes of another batch, without its ranges."""

_PLANNED = 1 << 14
"""Bounds that one look for a batch takes in; planning is quadratic below this."""

_INFINITY = 0x7F800000
_FAR = np.int64(1) << 40  # beyond every bound


class Share(NamedTuple):
    """Company of a feature, as far as its range is concerned.

    batch      : number that features have in common which may share a batch.
    code_shift : precision of the codes of their ranges; None where they have one range.
    """

    batch: int = 0
    code_shift: int | None = None


class _Bounds(NamedTuple):
    """Bounds of some features: features x R each, but one exponent a feature."""

    first: Integers
    second: Integers
    logarithmic: bool

    def part(self, start: int, stop: int) -> _Bounds:
        return _Bounds(self.first[start:stop], self.second[start:stop], self.logarithmic)

    def snapped(self, shift: int | Integers) -> _Bounds:
        """Ranges no narrower than these, whose bounds are multiples of 2^shift; exponents stay.

        shift : one, or one per feature.
        """
        shift = np.reshape(shift, (-1, 1))
        first = self.first if self.logarithmic else self.first >> shift << shift
        return _Bounds(first, self.second >> shift << shift, self.logarithmic)

    def common(self) -> _Bounds:
        """The range of all these features together."""
        first, second = self.first.min(axis=0), self.second.min(axis=0)
        return _Bounds(first[None], second[None], self.logarithmic)

    def squared_steps(self) -> Squares:
        """Sums over the ranges of a feature of their squared steps, up to a factor."""
        if self.logarithmic:
            steps: Squares = -self.second.astype(np.float64)
        else:
            low = number_of_rank(np.maximum(self.first, -_INFINITY)).astype(np.float64)
            steps = number_of_rank(np.minimum(-self.second, _INFINITY)).astype(np.float64) - low
        total: Squares = (steps * steps).sum(axis=1)
        return total

    def elements(self, number: int) -> dict[str, Any]:
        """The range elements of feature_parameters() of one of the features."""
        first, second = self.first[number], -self.second[number]
        if self.logarithmic:
            return {"log_exponent": int(first[0]), "log_step": second}
        zero = not first.any()
        return {
            "range_min_zero_flag": int(zero),
            "range_min": None if zero else number_of_rank(first),
            "range_max": number_of_rank(second),
        }


def shares_elements(fps: FeatureParameterSet) -> bool:
    """True where each element has a range, which only several features give it."""
    return bool(fps.range_per_channel_flag) and fps.height * fps.width == 1


def share_ranges(
    fitted: Sequence[Mapping[str, Any]], fps: FeatureParameterSet
) -> Iterator[tuple[Mapping[str, Any], Share]]:
    """Divide consecutive features into batches.

    fitted : range elements of each feature, as it has them alone.

    Yields for each feature the range elements that its batch can signal, and what it shares.
    """
    if fps.quantiser in PLAIN:
        yield from ((elements, Share()) for elements in fitted)
        return
    own = _bounds_of(fitted)
    if shares_elements(fps):
        for batch, (start, stop) in enumerate(pairwise(_cut_vectors(own))):
            common = own.part(start, stop).common().elements(0)
            yield from ((common, Share(batch)) for _ in range(start, stop))
        return
    shifts = _shifts(own, largest_step(fps))
    own = own.snapped(shifts)
    for batch, (start, stop) in enumerate(pairwise(_cut(own, shifts, fps))):
        share = Share(batch, int(shifts[start:stop].min()))
        yield from ((own.elements(i), share) for i in range(start, stop))


def batch_elements(features: Sequence[FeatureParameters], code_shift: int | None) -> dict[str, Any]:
    """Parameters and codes of a coded feature batch, from those of its features."""
    shared = features[0]
    coded = None if code_shift is None else _bounds_of([vars(one) for one in features])
    if coded is None or code_shift is None:
        return {"range_codes_flag": 0, "parameters": shared}
    first, low_bits, low = _codes(coded.first, 0 if coded.logarithmic else code_shift)
    second, high_bits, high = _codes(coded.second, code_shift)
    if not (low_bits or high_bits):
        return {"range_codes_flag": 0, "parameters": shared}
    base = _Bounds(first[None], second[None], coded.logarithmic).elements(0)
    return {
        "parameters": replace(shared, **base),
        "range_codes_flag": 1,
        "code_shift": code_shift,
        "low_code_bits": low_bits,
        "high_code_bits": high_bits,
        "low_code": low,
        "high_code": high,
    }


def _bounds_of(fitted: Sequence[Mapping[str, Any]]) -> _Bounds:
    if fitted[0].get("log_step") is not None:
        exponents = np.array([[one["log_exponent"]] for one in fitted], np.int64)
        return _Bounds(exponents, -np.stack([one["log_step"] for one in fitted]), True)
    high = np.stack([one["range_max"] for one in fitted])
    low = np.zeros_like(high)
    for i, one in enumerate(fitted):
        if one["range_min"] is not None:
            low[i] = one["range_min"]
    return _Bounds(rank_of(low), -rank_of(high), False)


def _codes(table: Integers, shift: int) -> tuple[Integers, int, Integers | None]:
    """The common bounds of a table of multiples of 2^shift, the width of its codes, and the codes."""
    zero = table == 0
    common = np.where(zero, _FAR, table).min(axis=0)
    common = np.where(common == _FAR, 0, common)
    codes, apart = (table - common) >> shift, zero & (common != 0)
    most = int(codes[~apart].max(initial=0))
    if most == 0 and not apart.any():
        return common, 0, None
    bits = (most + 1).bit_length()  # the greatest code stands for 0
    return common, bits, np.where(apart, (1 << bits) - 1, codes).reshape(-1)


# --- which features share a batch --------------------------------------------------------------------


def _shifts(own: _Bounds, largest: int) -> Integers:
    """The greatest shift for each feature at which its range stays as it is, or within the tolerance.

    largest : greatest step of the logarithmic quantiser.
    """
    exact, near = np.zeros((2, len(own.first)), np.int64)
    squares = own.squared_steps()
    for shift in range(1, _LARGEST_SHIFT + 1):
        snapped = own.snapped(shift)
        same = (snapped.first == own.first).all(axis=1) & (snapped.second == own.second).all(axis=1)
        exact[same] = shift
        close = snapped.squared_steps() <= TOLERANCE * squares
        if own.logarithmic:
            close |= (own.second == -1).all(axis=1)  # a feature of zeros takes every step
            close &= (snapped.second >= -largest).all(axis=1)
        near[close] = shift
    return np.where(exact >= _EXACT_SHIFT, exact, near)


def _cut(own: _Bounds, shifts: Integers, fps: FeatureParameterSet) -> list[int]:
    """Where batches begin and end, so that their ranges and units take the fewest bytes."""
    count, ranges = own.second.shape
    reach = max(1, min(LARGEST_BATCH // element_count(fps), _PLANNED // ranges))
    sizes, begins = np.zeros(count + 1), np.zeros(count + 1, np.int64)
    for stop, back, alone in _batches(own, shifts, min(reach, count)):
        found = sizes[back] + alone
        best = int(np.argmin(found))
        sizes[stop], begins[stop] = found[best], stop - 1 - best
    cuts = [count]
    while cuts[-1]:
        cuts.append(int(begins[cuts[-1]]))
    return cuts[::-1]


def _batches(own: _Bounds, shifts: Integers, reach: int) -> Iterator[tuple[int, Integers, Squares]]:
    """For each feature, what batches take that end with it: their numbers of features are 1, 2, ..., reach.

    Yields the number of the feature that follows, those of the batches' first ones, and the batches' bytes.
    """
    count, ranges = own.second.shape
    block = max(1, _PLANNED // (reach * ranges))
    for start in range(0, count, block):
        stops = np.arange(start + 1, min(start + block, count) + 1)
        back = stops[:, None] - 1 - np.arange(min(reach, int(stops[-1])))
        bounds = _Bounds(own.first[back], own.second[back], own.logarithmic)
        alone = _sizes(bounds, np.minimum.accumulate(shifts[back], axis=-1))
        for i, stop in enumerate(stops.tolist()):
            yield stop, back[i, :stop], alone[i, :stop]


def _cut_vectors(own: _Bounds) -> list[int]:
    """Where batches of vectors begin and end that share the ranges of their elements.

    Among the vectors in the order of their distance from the median, from the nearest half on, the first
    that more than doubles the sum of the squared ranges, and all that follow it, have batches of their own.
    """
    count = len(own.second)
    values = (own.second if own.logarithmic else number_of_rank(own.first)).astype(np.float64)
    order = np.argsort(((values - np.median(values, axis=0)) ** 2).sum(axis=1), kind="stable")
    first, second = (np.minimum.accumulate(table[order]) for table in own[:2])
    squares = _Bounds(first, second, own.logarithmic).squared_steps()
    half = (count + 1) // 2
    jumps = np.flatnonzero(squares[half:] > 2 * squares[half - 1 : -1])
    apart = order[half + jumps[0] :] if len(jumps) else order[count:]
    return sorted({0, count, *apart.tolist(), *(apart + 1).tolist()})


def _sizes(own: _Bounds, shifts: Integers) -> Squares:
    """Bytes that a batch of the first 1, 2, ... features takes beside its payloads, nearly.

    own    : bounds ... x features x R.
    shifts : that of the codes of each of these batches.
    """
    ranges = own.second.shape[-1]
    first = _code_bits(own.first, np.zeros_like(shifts) if own.logarithmic else shifts)
    second = _code_bits(own.second, shifts)
    bits = own.first.shape[-1] * first + ranges * second
    sizes: Squares = _UNIT_SIZE + 8 * ranges + np.arange(1, bits.shape[-1] + 1) * bits / 8
    sizes[np.maximum(first, second) > _MOST_CODE_BITS] = np.inf
    return sizes


def _code_bits(table: Integers, shifts: Integers) -> Integers:
    """Width of the codes of the first 1, 2, ... features, as `_codes` finds it."""
    zero = table == 0
    least = np.minimum.accumulate(np.where(zero, _FAR, table), axis=-2)
    most = np.maximum.accumulate(np.where(zero, -_FAR, table), axis=-2)
    span = np.maximum(most - least, 0).max(axis=-1)
    apart = (np.logical_or.accumulate(zero, axis=-2) & (most > -_FAR)).any(axis=-1)
    bits = np.frexp(((span >> shifts) + 1).astype(np.float64))[1].astype(np.int64)
    return np.where((span > 0) | apart, bits, 0)
