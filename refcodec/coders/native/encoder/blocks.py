"""Blocks and levels of one channel, chosen by rate and distortion, compiled.

Coefficients are in units of their step, float32, one plane per depth of splitting. Distortion is in squared
steps, rate in bits by the initial states of the tables.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.decisions import bit_length, bucket, size_class
from refcodec.coders.native.encoder.levels import choose_first, neighbours
from refcodec.coders.native.encoder.trellis import HALF, choose_dependent
from refcodec.coders.native.tree import SPLIT_FROM, TEMPORAL_MARK
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import compiled

__all__ = ["choose_channels"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

HOPELESS = 1.15
"""If the parts of a block cost more than this times the block, it is not split further."""


@compiled
def choose_channels(
    planes: Floats, scales: Floats, weights: Floats, strength: float, rates: Floats, scans: Int64,
    scan_at: Int64, blocks: Int64, starts: Int64, trial: Int32, levels: Int32, sizes: Int32,
    sums: Doubles, coupled: int,
) -> float:  # fmt: skip
    """Choose blocks and levels of all channels; see `choose_channel`. Returns their cost.

    planes : float32, C x n x depth x H x W, coefficients.
    scales : step of each channel, C x 1 x 1.
    """
    cost = 0.0
    own = np.empty(planes.shape[1:], np.float32)
    for c in range(planes.shape[0]):
        scale = scales[c, 0, 0]
        for n in range(planes.shape[1]):
            for depth in range(planes.shape[2]):
                for y in range(planes.shape[3]):
                    for x in range(planes.shape[4]):
                        own[n, depth, y, x] = planes[c, n, depth, y, x] / scale
        cost += choose_channel(
            own, weights[c], strength, rates, scans, scan_at, blocks, starts, trial, levels[c],
            sizes[c], sums, coupled,
        )  # fmt: skip
    return cost


@compiled
def choose_channel(
    planes: Floats, weights: Floats, strength: float, rates: Floats, scans: Int64, scan_at: Int64,
    blocks: Int64, starts: Int64, trial: Int32, levels: Int32, sizes: Int32, sums: Doubles,
    coupled: int,
) -> float:  # fmt: skip
    """Choose blocks and levels of one channel.

    planes   : float32, n x depth x H x W, coefficients in steps, of the blocks of each depth. n is 2 if there
               are also those of the difference from the displaced reference feature.
    weights  : float32, depth x H x W: of squared errors of coefficients; or depth x 1 x 1.
    strength : Lagrange multiplier of a bit; 0 rounds to the nearest level.
    blocks   : and ``starts``, see ``grids.list_blocks``.
    trial    : int32, n x depth x H x W, work space for candidates.
    levels   : int32, H x W, receives the choice, as does ``sizes``.
    sums     : 2 x 3, receives the sum of |coefficient| - |level| and the count, for levels 1, 2 and more.
    coupled  : 1 for dependent quantisation, whose levels count half steps; ``rates`` are then those of
               ``rates.magnitude_rates``.

    Returns the cost of the channel.
    """
    costs = np.zeros(1024)
    deepest = planes.shape[1] - 1
    cost = np.full((deepest + 1, *levels.shape), np.inf)  # of the block with that first sample
    marks = np.zeros((deepest + 1, *levels.shape), np.int32)
    closed = np.zeros(levels.shape, np.uint8)  # 1 where smaller blocks need not be tried
    for depth in range(deepest + 1):
        for k in range(starts[depth], starts[depth + 1]):
            y, x, height, width = blocks[k]
            if closed[y, x]:
                continue
            whole, last = choose_block(
                planes[0, depth], weights[depth], strength, rates, scans, scan_at, trial[0, depth],
                costs, y, x, height, width, coupled,
            )  # fmt: skip
            if planes.shape[0] > 1:
                displaced, last_displaced = choose_block(
                    planes[1, depth], weights[depth], strength, rates, scans, scan_at, trial[1, depth],
                    costs, y, x, height, width, coupled,
                )  # fmt: skip
                if displaced < whole:
                    whole = displaced
                    last = last_displaced
                    marks[depth, y, x] = TEMPORAL_MARK
            cost[depth, y, x] = whole
            if last == 0:
                closed[y : y + height, x : x + width] = 1
        if 0 < depth < deepest:
            for k in range(starts[depth - 1], starts[depth]):
                y, x, height, width = blocks[k]
                parts = cost_of_parts(cost[depth], y, x, height, width)
                if parts > HOPELESS * cost[depth - 1, y, x]:
                    closed[y : y + height, x : x + width] = 1
    for depth in range(deepest, -1, -1):
        for k in range(starts[depth], starts[depth + 1]):
            y, x, height, width = blocks[k]
            if cost[depth, y, x] == np.inf:
                continue
            if depth < deepest and (height >= SPLIT_FROM or width >= SPLIT_FROM):
                parts = cost_of_parts(cost[depth + 1], y, x, height, width) + strength * 0.7
                if parts < cost[depth, y, x]:
                    cost[depth, y, x] = parts
                    continue
            sizes[y, x] = height * 64 + width + marks[depth, y, x]
    total = 0.0
    for k in range(starts[1]):
        total += cost[0, blocks[k, 0], blocks[k, 1]]
    taken = np.zeros(levels.shape, np.uint8)
    for depth in range(deepest + 1):
        for k in range(starts[depth], starts[depth + 1]):
            y, x, height, width = blocks[k]
            if not taken[y, x] and sizes[y, x] % TEMPORAL_MARK == height * 64 + width:
                n = sizes[y, x] // TEMPORAL_MARK
                take_block(
                    planes[n, depth],
                    trial[n, depth],
                    levels,
                    taken,
                    sums,
                    y,
                    x,
                    height,
                    width,
                    coupled,
                )
    return total


@compiled
def cost_of_parts(cost: Doubles, y: int, x: int, height: int, width: int) -> float:
    """Total cost of the parts of a block; infinite if one was not tried."""
    top = (height + 1) // 2 if height >= SPLIT_FROM else height
    left = (width + 1) // 2 if width >= SPLIT_FROM else width
    parts = 0.0
    for at_y in range(y, y + height, top):
        for at_x in range(x, x + width, left):
            parts += cost[at_y, at_x]
    return parts


@compiled
def choose_block(
    plane: Floats, weights: Floats, strength: float, rates: Floats, scans: Int64, scan_at: Int64,
    levels: Int32, costs: Doubles, y: int, x: int, height: int, width: int, coupled: int,
) -> tuple[float, int]:  # fmt: skip
    """Choose levels of a block of one size; returns their cost and the number of the last one."""
    if coupled == 1:
        return choose_dependent(
            plane, weights, strength, rates, scans, scan_at, levels, y, x, height, width
        )  # fmt: skip
    each = weights.shape[0] * weights.shape[1] > 1
    weight = float(weights[0, 0])
    shape = size_class(height, width)
    area = height * width
    at = scan_at[height, width]
    total = choose_first(plane, levels, strength, y, x)
    nothing = 0.0
    end = area - 1  # nothing but zeros follows
    while end > 0:
        entry = scans[at + end]
        size = abs(plane[y + (entry & 31), x + ((entry >> 5) & 31)])
        if size >= 0.5:
            break
        levels[y + (entry & 31), x + ((entry >> 5) & 31)] = 0
        if each:
            weight = float(weights[y + (entry & 31), x + ((entry >> 5) & 31)])
        nothing += weight * size * size
        end -= 1
    for k in range(end, 0, -1):
        entry = scans[at + k]
        u = entry & 31
        v = (entry >> 5) & 31
        size = abs(plane[y + u, x + v])
        level = int(size + 0.5)
        if each:
            weight = float(weights[y + u, x + v])
        near = neighbours(levels, y, x, u, v, height, width)
        context = (bucket(near) * 10 + (entry >> 16)) * 4 + shape
        cost = weight * size * size + strength * rates[0, context, 0]
        if level > 0:
            spent = strength * (1.0 + rates[0, context, 1])
            best = 0
            if level >= 8:  # so large that neighbouring levels have nearly the same rate
                best = level
                cost = weight * (size - level) * (size - level)
                cost += strength * (6.0 + 2.0 * bit_length(level - 7))
            for m in range(1, min(level, 7) + 1 if level < 8 else 1):
                flag = min(m, 3)
                if m >= level - 1:
                    own = weight * (size - m) * (size - m)
                    own += spent + strength * rates[flag, context, 0]
                    if own < cost:
                        cost = own
                        best = m
                spent += strength * rates[flag, context, 1]
            levels[y + u, x + v] = best if plane[y + u, x + v] >= 0 else -best
        else:
            levels[y + u, x + v] = 0
        costs[k] = cost - weight * size * size
        nothing += weight * size * size
    # the last level: the cost of those before it, minus the cost of leaving them out
    best_total = 0.0
    running = 0.0
    last = 0
    for k in range(1, end + 1):
        running += costs[k]
        entry = scans[at + k]
        if levels[y + (entry & 31), x + ((entry >> 5) & 31)] != 0:
            own = running + strength * 1.1 * bit_length(k)
            if own < best_total:
                best_total = own
                last = k
    for k in range(last + 1, end + 1):
        entry = scans[at + k]
        levels[y + (entry & 31), x + ((entry >> 5) & 31)] = 0
    return total + nothing + best_total + strength, last


@compiled
def take_block(
    plane: Floats, trial: Int32, levels: Int32, taken: Uint8, sums: Doubles, y: int, x: int,
    height: int, width: int, coupled: int,
) -> None:  # fmt: skip
    """Copy the chosen levels of a block, and add to the sums for reconstruction points."""
    unit = HALF if coupled == 1 else 1.0
    for i in range(y, y + height):
        for j in range(x, x + width):
            taken[i, j] = 1
            levels[i, j] = trial[i, j]
            level = abs(trial[i, j])
            if level > 0 and (i > y or j > x):
                sums[0, min(level, 3) - 1] += abs(plane[i, j]) / unit - level
                sums[1, min(level, 3) - 1] += 1
