"""Coefficients: the levels of a block that follow the first, in the order of a scan (clause 8.3.7.6)."""

from __future__ import annotations

from functools import cache

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native.decisions import (
    FAMILIES,
    Contexts,
    bit_length,
    bucket,
    code_decision,
    code_magnitude,
)
from refcodec.coders.native.workspace import COUPLED, Workspace
from refcodec.entropy.arithmetic import DIRECTION, code_bit, code_bits
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import inlined

__all__ = [
    "COEFFICIENT",
    "CONTEXTS",
    "DEPENDENT",
    "NEXT",
    "code_coefficients",
    "magnitude_of",
    "scan",
]

COEFFICIENT = FAMILIES["coefficient"]
DEPENDENT = FAMILIES["dependent"]
LAST = FAMILIES["last"]
LAST_REST = FAMILIES["last_rest"]

CONTEXTS = 480
"""Contexts of one quantiser in the family of dependent quantisation."""

NEXT = np.array([0, 2, 2, 0, 1, 3, 3, 1])
"""Dependent quantisation: the state that follows a state (0 to 3) and the parity of a magnitude."""


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.7.6")
@cache
def scan(height: int, width: int) -> Int64:
    """(8.3.7.6) The coefficients of a block by increasing frequency, each with its classes.

    Ordered by ``u * width + v * height``, then by u. An entry is ``u | v << 5 | place << 10 | ring << 16``,
    with ``place = 8 * down + right``, where *down* is u, in eighths of a height above 8, and *right* is v
    likewise; ring is their sum, at most 9.
    """
    order = sorted(
        ((u * width + v * height, u, v) for u in range(height) for v in range(width)),
    )
    entries = []
    for _, u, v in order:
        down = u if height <= 8 else u * 8 // height
        right = v if width <= 8 else v * 8 // width
        entries.append(u | v << 5 | (down * 8 + right) << 10 | min(down + right, 9) << 16)
    return np.array(entries)


@inlined
def magnitude_of(level: int, coupled: int) -> int:
    """(8.3.7.6) The magnitude that is coded for a level: half of it, rounded up, where levels are coupled."""
    return (abs(level) + coupled) >> coupled


@inlined
def code_coefficients(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, y: int, x: int, height: int, width: int,
    shape: int, beside: int, behind: int, around: int, dc: int, residual: int,
) -> int:  # fmt: skip
    """(8.3.7.6) Code the levels that follow the first: the number of the last one, then all in reverse order.

    With dependent quantisation, levels count half steps of the quantisers 0, which has the even ones, and 1,
    which has 0 and the odd ones; the state says which of them a coefficient has.

    Returns the sum of their magnitudes.
    """
    area = height * width
    at = int(w.scan_at[height, width])
    last = 0
    if int(coder[DIRECTION]) == 1:
        for k in range(1, area):
            entry = int(w.scans[at + k])
            if int(levels[y + (entry & 31), x + ((entry >> 5) & 31)]) != 0:
                last = k
    contexts = (
        shape * 12 + beside,
        behind * 12 + beside,
        around * 4 + shape,
        shape * 12 + bucket(dc),
        bucket(residual) * 12 + around,
        bit_length(area - 1),
    )
    last = code_last(coder, data, w, contexts, shape, beside, behind, around, last, area)

    total = 0
    nonzero = 0
    coupled = int(w.channel[COUPLED])
    family = DEPENDENT if coupled == 1 else COEFFICIENT
    state = 0
    for k in range(last, 0, -1):
        entry = int(w.scans[at + k])
        u = entry & 31
        v = (entry >> 5) & 31
        place = (entry >> 10) & 63  # frequencies in eighths of the block's sides
        ring = entry >> 16
        near = 0  # neighbouring levels of higher frequency, nearer ones twice
        if u + 1 < height:
            near += 2 * magnitude_of(int(levels[y + u + 1, x + v]), coupled)
            if v + 1 < width:
                near += magnitude_of(int(levels[y + u + 1, x + v + 1]), coupled)
            if u + 2 < height:
                near += magnitude_of(int(levels[y + u + 2, x + v]), coupled)
        if v + 1 < width:
            near += 2 * magnitude_of(int(levels[y + u, x + v + 1]), coupled)
            if v + 2 < width:
                near += magnitude_of(int(levels[y + u, x + v + 2]), coupled)
        order = bit_length(near >> 3)
        near = bucket(near)
        quantiser = state >> 1
        first = quantiser * CONTEXTS
        contexts = (
            first + shape * 64 + place,
            first + (near * 10 + ring) * 4 + shape,
            first + (beside * 10 + ring) * 4 + shape,
            first + (around * 10 + ring) * 4 + min(nonzero, 3),
            first + (behind * 10 + ring) * 4 + min(near, 3),
            first + (min(bucket(last - k), 9) * 10 + min(bucket(total), 9)) * 4 + shape,
        )
        level = int(levels[y + u, x + v])
        magnitude = code_magnitude(
            coder, data, w, family, contexts, quantiser * 12 + shape * 3 + (ring >> 2),
            magnitude_of(level, coupled), int(k == last), 8, min(order, 12),
        )  # fmt: skip
        if magnitude > 0:
            magnitude = min(magnitude, 1 << 25)
            size = (magnitude << coupled) - quantiser
            levels[y + u, x + v] = (
                -size if code_bit(coder, data, 32768, int(level < 0)) == 1 else size
            )
            nonzero += 1
            total += magnitude
        else:
            levels[y + u, x + v] = 0
        if coupled == 1:
            state = int(NEXT[2 * state + (magnitude & 1)])
    return total


@inlined
def code_last(
    coder: Int64, data: Uint8, w: Workspace, contexts: Contexts, shape: int, beside: int,
    behind: int, around: int, last: int, area: int,
) -> int:  # fmt: skip
    """(8.3.7.6) Code the scan number of the last level that is not 0: its bit length, then its bits.

    contexts : of the decisions on its length.
    """
    longest = bit_length(area - 1)
    wanted = bit_length(last)
    length = 0
    while length < longest:
        if code_decision(coder, data, w, LAST, contexts, shape, length, int(wanted > length)) == 0:
            break
        length += 1
    if length < 2:
        return length
    contexts = (
        shape * 11 + length,
        behind * 12 + beside,
        around * 11 + length,
        length,
        longest * 11 + length,
        shape,
    )
    value = 1
    for i in range(length - 2, -1, -1):
        bit = (last >> i) & 1
        depth = length - 2 - i
        if depth < 2:
            bit = code_decision(coder, data, w, LAST_REST, contexts, length, depth, bit)
        else:
            bit = code_bits(coder, data, bit, 1)
        value = 2 * value + bit
    return min(value, area - 1)
