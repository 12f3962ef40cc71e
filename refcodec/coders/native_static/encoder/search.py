"""The search for blocks and levels: a largest block is whole or split once, as its coefficients promise.

Both divisions are transformed; the one that promises the lower cost is quantised by rate and distortion.
Coefficients are in units of their step, distortion in squared steps, rate in bits of the static tables.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.channels import geometry
from refcodec.coders.native.decisions import bit_length
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.head import BLOCK, HEAD_SIZE, POINTS
from refcodec.coders.native.transform import cosine_basis
from refcodec.coders.native.tree import SPLIT_FROM
from refcodec.coders.native_static.coefficients import LARGEST_NEAR, NEAR, NEAR_SIDE
from refcodec.coders.native_static.contexts import (
    COEFFICIENT,
    GROUPS,
    LEVEL_SYMBOLS,
    first_tables,
    tables,
)
from refcodec.coders.native_static.symbols import ESCAPED, half_octave
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.static import PRECISION
from refcodec.kernel import compiled

__all__ = ["search"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SIDE = 16
"""Longest side of a block."""

STRENGTH = 0.03
"""Lagrange multiplier of a bit, in squared steps."""

NONZERO = np.float32(0.2)
GROWTH = np.float32(0.1)
"""A coefficient of x steps, if it is not left out, costs about ``NONZERO + GROWTH * sqrt(x)``."""

SPLIT = np.float32(0.2)
"""Cost of a split, about."""


def search(
    exact: npt.NDArray[Any], steps: Int64, weights: npt.NDArray[Any] | None = None
) -> Choice:
    """Choose block sizes and levels, with largest blocks of 16 x 16; the head lacks the restoration.

    exact   : samples before rounding, C x H x W.
    steps   : of each channel, in units of 2^-16 samples.
    weights : of the squared errors of each channel; None for 1.
    """
    head, sums = np.zeros(HEAD_SIZE, np.int64), np.zeros((2, 3))
    levels, sizes = np.zeros(exact.shape, np.int32), np.zeros(exact.shape, np.int32)
    given = np.ones(len(exact)) if weights is None else weights.reshape(-1).astype(np.float64)
    ys, xs, scans, scan_at = geometry(*exact.shape[1:], SIDE)
    choose_channels(
        np.require(exact, np.float64, ["C", "W"]), steps / 65536, STRENGTH / given, _rates(), _bases(),
        scans, scan_at, ys, xs, levels, sizes, sums,
    )  # fmt: skip
    head[BLOCK] = SIDE.bit_length() - 3
    points = np.rint(32 * sums[0] / np.maximum(sums[1], 1))
    head[POINTS : POINTS + 3] = np.clip(points, -8, 7)
    return Choice(head, levels, sizes, 0.0)


@cache
def _rates() -> Floats:
    """Bits of each symbol of a coefficient, low bits included, by the table that its context begins with.

    Contexts x symbols; rounded to units of 2^-8, so that they do not depend on the last bit of a logarithm.
    """
    rates, given = np.zeros((GROUPS["coefficient"].contexts, LEVEL_SYMBOLS), np.float32), tables()
    for context, row in enumerate(rates):
        table = first_tables()[COEFFICIENT + context]
        bounds = given.bounds[given.begin[table] : given.begin[table + 1]]
        row[:] = np.rint(256 * (PRECISION - np.log2(np.diff(bounds)))) / 256
    octaves = (np.arange(LEVEL_SYMBOLS) + 1) // 2
    return rates + np.maximum(octaves // 2 - 1, 0).astype(np.float32)


@cache
def _bases() -> Floats:
    """Bases of a side of up to 16 samples, whole and split: length x division x position x frequency.

    0 beyond the length, and between the parts of a side that is split.
    """
    found = np.zeros((SIDE + 1, 2, SIDE, SIDE), np.float32)
    for length in range(1, SIDE + 1):
        middle = [(length + 1) // 2] if length >= SPLIT_FROM else []
        for division, cuts in enumerate(([0, length], [0, *middle, length])):
            for start, stop in pairwise(cuts):
                basis = cosine_basis(stop - start).T.astype(np.float32)
                found[length, division, start:stop, start:stop] = basis * np.float32(2.0**-14)
    return found


@compiled
def choose_channels(
    exact: Doubles, scales: Doubles, strengths: Doubles, rates: Floats, bases: Floats, scans: Int64,
    scan_at: Int64, ys: Int64, xs: Int64, levels: Int32, sizes: Int32, sums: Doubles,
) -> None:  # fmt: skip
    """Choose the blocks and levels of all channels.

    scales    : step of each channel, in samples.
    strengths : Lagrange multiplier of each channel.
    levels    : C x H x W, 0 at first, receives the choice.
    sizes     : C x H x W, receives it likewise, at the first sample of each block.
    sums      : 2 x 3, receives the sum of |coefficient| - |level| and the count, for levels 1, 2 and more.
    """
    samples = np.zeros((SIDE, SIDE), np.float32)
    whole = np.zeros((SIDE, SIDE), np.float32)
    parts = np.zeros((SIDE, SIDE), np.float32)
    half = np.zeros((SIDE, SIDE), np.float32)
    near = np.zeros((NEAR_SIDE, NEAR_SIDE), np.int64)
    costs = np.zeros(SIDE * SIDE, np.float32)
    for c in range(exact.shape[0]):
        scale = np.float32(scales[c])
        strength = np.float32(strengths[c])
        for i in range(ys.shape[0] - 1):
            for j in range(xs.shape[0] - 1):
                y = ys[i]
                x = xs[j]
                height = ys[i + 1] - y
                width = xs[j + 1] - x
                for u in range(height):
                    for v in range(width):
                        samples[u, v] = exact[c, y + u, x + v]
                transform_block(
                    samples, height, bases[height, 0], bases[width, 0], scale, half, whole
                )
                chosen = whole
                below = height
                right = width
                if height >= SPLIT_FROM or width >= SPLIT_FROM:
                    transform_block(
                        samples, height, bases[height, 1], bases[width, 1], scale, half, parts
                    )
                    if expected_cost(parts, height) + SPLIT < expected_cost(whole, height):
                        chosen = parts
                        below = (height + 1) >> 1 if height >= SPLIT_FROM else height
                        right = (width + 1) >> 1 if width >= SPLIT_FROM else width
                for top in range(0, height, below):
                    for left in range(0, width, right):
                        part_height = min(below, height - top)
                        part_width = min(right, width - left)
                        sizes[c, y + top, x + left] = part_height * 64 + part_width
                        choose_levels(
                            chosen, top, left, part_height, part_width, strength, rates, scans, scan_at,
                            near, costs, levels[c], y + top, x + left, sums,
                        )  # fmt: skip


@compiled
def transform_block(
    samples: Floats, height: int, down: Floats, across: Floats, scale: np.float32, half: Floats,
    result: Floats,
) -> None:  # fmt: skip
    """Transform a block of 16 x 16 samples or fewer to coefficients in units of the step.

    samples      : 16 x 16; of no effect beyond the block.
    down, across : bases, 0 beyond the block, as is ``result``.
    half         : work space.

    The inner loops have a constant length, so that the compiler turns them into operations on vectors.
    """
    for u in range(height):
        for j in range(SIDE):
            total = np.float32(0)
            for i in range(SIDE):
                total += down[i, u] * samples[i, j]
            half[u, j] = total
    for u in range(height):
        for v in range(SIDE):
            total = np.float32(0)
            for j in range(SIDE):
                total += half[u, j] * across[j, v]
            result[u, v] = total / scale


@compiled
def expected_cost(coefficients: Floats, height: int) -> np.float32:
    """Cost of the coefficients of a block, about."""
    columns = np.zeros(SIDE, np.float32)
    for u in range(height):
        for v in range(SIDE):
            size = abs(coefficients[u, v])
            columns[v] += min(size * size, NONZERO + GROWTH * np.sqrt(size))
    total = np.float32(0)
    for v in range(SIDE):
        total += columns[v]
    return total


@compiled
def choose_levels(
    coefficients: Floats, top: int, left: int, height: int, width: int, strength: np.float32,
    rates: Floats, scans: Int64, scan_at: Int64, near: Int64, costs: Floats, levels: Int32, y: int,
    x: int, sums: Doubles,
) -> None:  # fmt: skip
    """Choose the levels of a block whose coefficients begin at ``top`` and ``left``.

    near  : as of `code_coefficients`.
    costs : work space.
    """
    total = 0
    for u in range(height):
        for v in range(width):
            total += int(abs(coefficients[top + u, left + v]) + np.float32(0.5))
    total -= int(abs(coefficients[top, left]) + np.float32(0.5))
    levels[y, x] = int(np.rint(coefficients[top, left]))
    if total == 0:
        return
    at = scan_at[height, width]
    area = height * width
    activity = (total << 6) // area  # without that of the first level
    busy = min(max(half_octave(min(activity, 4095)) - 3, 0) // 3, 4)
    end = 0
    for k in range(area - 1, 0, -1):
        entry = scans[at + k]
        u = entry & 31
        v = (entry >> 5) & 31
        value = coefficients[top + u, left + v]
        size = abs(value)
        level = int(size + np.float32(0.5))
        if end == 0:  # nothing but zeros so far
            if level == 0:
                continue
            end = k
        context = (NEAR[min(near[u + 2, v + 2], LARGEST_NEAR)] * 4 + min(entry >> 17, 3)) * 5 + busy
        near[u + 2, v + 2] = 0
        best = 0
        nothing = size * size
        cost = nothing + strength * rates[context, 0]
        for m in range(max(level - 1, 1), level + 1):
            symbol = 2 * min(half_octave(m), ESCAPED) - 1
            own = (size - m) * (size - m) + strength * rates[context, symbol]
            if own < cost:
                cost = own
                best = m
        costs[k] = cost - nothing
        if best > 0:
            levels[y + u, x + v] = best if value > 0 else -best
            near[u + 1, v + 2] += 2 * best
            near[u + 2, v + 1] += 2 * best
            near[u + 1, v + 1] += best
            near[u, v + 2] += best
            near[u + 2, v] += best
    near[2, 2] = 0
    last = 0  # the last level: where what is saved by all up to it is most
    least = np.float32(0)
    running = np.float32(0)
    for k in range(1, end + 1):
        running += costs[k]
        entry = scans[at + k]
        if levels[y + (entry & 31), x + ((entry >> 5) & 31)] != 0:
            own = running + strength * np.float32(1.1) * bit_length(k)
            if own < least:
                least = own
                last = k
    for k in range(1, end + 1):
        entry = scans[at + k]
        u = entry & 31
        v = (entry >> 5) & 31
        level = abs(levels[y + u, x + v])
        if level > 0:
            if k > last:
                levels[y + u, x + v] = 0
            else:
                sums[0, min(level, 3) - 1] += abs(coefficients[top + u, left + v]) - level
                sums[1, min(level, 3) - 1] += 1
