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
from refcodec.coders.native.workspace import Workspace
from refcodec.entropy.arithmetic import DIRECTION, code_bit, code_bits
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import inlined

__all__ = ["COEFFICIENT", "code_coefficients", "scan"]

COEFFICIENT = FAMILIES["coefficient"]
LAST = FAMILIES["last"]
LAST_REST = FAMILIES["last_rest"]


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
def code_coefficients(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, y: int, x: int, height: int, width: int,
    shape: int, beside: int, behind: int, around: int, dc: int, residual: int,
) -> int:  # fmt: skip
    """(8.3.7.6) Code the levels that follow the first: the number of the last one, then all in reverse order.

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
    for k in range(last, 0, -1):
        entry = int(w.scans[at + k])
        u = entry & 31
        v = (entry >> 5) & 31
        place = (entry >> 10) & 63  # frequencies in eighths of the block's sides
        ring = entry >> 16
        near = 0  # neighbouring levels of higher frequency, nearer ones twice
        if u + 1 < height:
            near += 2 * abs(int(levels[y + u + 1, x + v]))
            if v + 1 < width:
                near += abs(int(levels[y + u + 1, x + v + 1]))
            if u + 2 < height:
                near += abs(int(levels[y + u + 2, x + v]))
        if v + 1 < width:
            near += 2 * abs(int(levels[y + u, x + v + 1]))
            if v + 2 < width:
                near += abs(int(levels[y + u, x + v + 2]))
        order = bit_length(near >> 3)
        near = bucket(near)
        contexts = (
            shape * 64 + place,
            (near * 10 + ring) * 4 + shape,
            (beside * 10 + ring) * 4 + shape,
            (around * 10 + ring) * 4 + min(nonzero, 3),
            (behind * 10 + ring) * 4 + min(near, 3),
            (min(bucket(last - k), 9) * 10 + min(bucket(total), 9)) * 4 + shape,
        )
        level = int(levels[y + u, x + v])
        magnitude = code_magnitude(
            coder, data, w, COEFFICIENT, contexts, shape * 3 + (ring >> 2),
            abs(level), int(k == last), 8, min(order, 12),
        )  # fmt: skip
        if magnitude > 0:
            magnitude = min(magnitude, 1 << 25)
            level = -magnitude if code_bit(coder, data, 32768, int(level < 0)) == 1 else magnitude
            levels[y + u, x + v] = level
            nonzero += 1
            total += magnitude
        else:
            levels[y + u, x + v] = 0
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
