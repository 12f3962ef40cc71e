"""Levels of dependent quantisation, chosen by a trellis (8.3.7.6), compiled.

Two quantisers share the coefficients of a block: 0 has the even multiples of a half step, 1 has 0 and the odd
ones. Which of them a coefficient has depends on the parities of the magnitudes before it, so that levels are
chosen together: the Viterbi algorithm keeps the cheapest path to each of the four states. Marcellin and
Fischer, "Trellis coded quantization of memoryless and Gauss-Markov sources", 1990; in video coding since VVC.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.coefficients import NEXT
from refcodec.coders.native.decisions import bit_length, bucket, size_class
from refcodec.coders.native.encoder.levels import choose_first, neighbours
from refcodec.coders.native.encoder.rates import GREATER, LARGEST_RATED
from refcodec.coders.native.reconstruction import HALF_STEP
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import compiled

__all__ = ["choose_dependent"]

Floats = npt.NDArray[np.float32]

HALF = HALF_STEP / 16
"""Half a step of the quantisers, in steps."""

BEGIN = -1
"""Predecessor of the last coefficient that is not 0: the path begins there, in state 0."""


@compiled
def choose_dependent(
    plane: Floats, weights: Floats, strength: float, rates: Floats, scans: Int64, scan_at: Int64,
    levels: Int32, y: int, x: int, height: int, width: int,
) -> tuple[float, int]:  # fmt: skip
    """Choose levels of a block of one size; returns their cost and the number of the last one.

    rates : bits of a magnitude, 2 x contexts x ..., see ``rates.magnitude_rates``.

    Contexts of a coefficient are those of neighbours that are rounded to the nearest level: a path of its own
    for each state would have to be followed back.
    """
    each = weights.shape[0] * weights.shape[1] > 1
    weight = float(weights[0, 0])
    shape = size_class(height, width)
    at = scan_at[height, width]
    total = choose_first(plane, levels, strength, y, x)
    top = 0
    nothing = 0.0  # cost of zeros only, from the last coefficient down to this one
    for k in range(height * width - 1, 0, -1):
        i = y + (scans[at + k] & 31)
        j = x + ((scans[at + k] >> 5) & 31)
        size = abs(plane[i, j])
        levels[i, j] = int(size / (2 * HALF) + 0.5)
        if top == 0 and size >= HALF:
            top = k
        if top == 0:
            nothing += (float(weights[i, j]) if each else weight) * size * size
    before = np.empty((top + 1, 4), np.int8)
    magnitudes = np.empty((top + 1, 4), np.int32)
    costs = np.full(4, np.inf)
    found = np.empty(4)
    for k in range(top, 0, -1):
        entry = scans[at + k]
        u = entry & 31
        v = (entry >> 5) & 31
        size = abs(plane[y + u, x + v])
        own = float(weights[y + u, x + v]) if each else weight
        context = neighbours(levels, y, x, u, v, height, width)
        context = (bucket(context) * 10 + (entry >> 16)) * 4 + shape
        found[:] = np.inf
        for quantiser in range(2):
            below = int((size / HALF + quantiser) / 2)
            for m in (below + 1, below, 0):
                value = (2 * m - quantiser) * HALF if m > 0 else 0.0
                bits = float(rates[quantiser, context, min(m, LARGEST_RATED)])
                if m >= LARGEST_RATED:
                    bits += 2.0 * bit_length(m - LARGEST_RATED + 1)
                cost = own * (size - value) * (size - value) + strength * bits
                if quantiser == 0 and m > 0:
                    begun = cost + nothing
                    begun += strength * (1.1 * bit_length(k) - rates[0, context, GREATER])
                    state = NEXT[m & 1]
                    if begun < found[state]:
                        found[state] = begun
                        before[k, state] = BEGIN
                        magnitudes[k, state] = m
                for state_before in range(2 * quantiser, 2 * quantiser + 2):
                    state = NEXT[2 * state_before + (m & 1)]
                    if costs[state_before] + cost < found[state]:
                        found[state] = costs[state_before] + cost
                        before[k, state] = state_before
                        magnitudes[k, state] = m
        costs[:] = found
        nothing += own * size * size
    state = int(costs.argmin())
    if top == 0 or costs[state] >= nothing:
        best = nothing
        state = BEGIN
    else:
        best = costs[state]
    last = 0
    for k in range(1, height * width):
        i = y + (scans[at + k] & 31)
        j = x + ((scans[at + k] >> 5) & 31)
        if state == BEGIN:
            levels[i, j] = 0
            continue
        m = magnitudes[k, state]
        state = before[k, state]
        level = 2 * m - (1 if state > 1 and m > 0 else 0)
        levels[i, j] = level if plane[i, j] >= 0 else -level
        last = k
    return total + best + strength, last
