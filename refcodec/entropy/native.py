"""The native coder's model of integer samples: blocks of coefficients, or samples themselves (clause 8.3.7).

Every function goes both ways (see ``arithmetic``): where it decodes, it fills the arrays ``levels`` and
``sizes``; where it encodes, it reads them. Either way it reconstructs the samples, so that an encoder knows
what a decoder will have.

A *decision* is predicted by six states, each chosen by another context. Decisions of one *family* (of
coefficients, of DC coefficients, ...) share their contexts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.entropy.arithmetic import (
    DIRECTION,
    MOST_OVERRUN,
    OVERRUN,
    code_bit,
    code_bits,
    code_golomb,
    code_signed_golomb,
)
from refcodec.entropy.mixing import learn, mix
from refcodec.kernel import inlined, kernel
from refcodec.transform import inverse_block

__all__ = ["FAMILIES", "INPUTS", "STATES", "WEIGHT_SETS", "Family", "Workspace"]

INPUTS = 6
"""States that predict one decision."""

RATE = 4
"""How fast weights learn, in units of 2^-16."""

LIMIT = 127
"""Where the count of a state stops."""


class Family(NamedTuple):
    """Where the decisions of one family find their states and weights.

    first_state  : index of its first state; then ``inputs x flags x contexts`` of them.
    flags        : decisions told apart: "greater than 0", "greater than 1", ...
    contexts     : contexts of one input.
    first_set    : index of its first set of weights; then ``sets x flags`` of them.
    sets         : sets of weights to choose from.
    """

    first_state: int
    flags: int
    contexts: int
    first_set: int
    sets: int


def _families(**shapes: tuple[int, int, int]) -> dict[str, Family]:
    families, state, weights = {}, 0, 0
    for name, (flags, contexts, sets) in shapes.items():
        families[name] = Family(state, flags, contexts, weights, sets)
        state += INPUTS * flags * contexts
        weights += flags * sets
    return families


FAMILIES = _families(
    # name         flags contexts sets
    coefficient=(4, 480, 12),
    dc=(6, 192, 4),
    dc_sign=(1, 192, 4),
    last=(11, 144, 4),
    last_rest=(2, 144, 11),
    split=(1, 64, 4),
    temporal=(1, 48, 4),
    sample=(6, 256, 2),
    sample_sign=(1, 144, 2),
    correction=(6, 64, 2),
)
"""The families of decisions, in the order of their states."""

COEFFICIENT = FAMILIES["coefficient"]
DC = FAMILIES["dc"]
DC_SIGN = FAMILIES["dc_sign"]
LAST = FAMILIES["last"]
LAST_REST = FAMILIES["last_rest"]
SPLIT = FAMILIES["split"]
TEMPORAL = FAMILIES["temporal"]
SAMPLE = FAMILIES["sample"]
SAMPLE_SIGN = FAMILIES["sample_sign"]
CORRECTION = FAMILIES["correction"]

STATES = CORRECTION.first_state + INPUTS * CORRECTION.flags * CORRECTION.contexts
WEIGHT_SETS = CORRECTION.first_set + CORRECTION.flags * CORRECTION.sets

# rows of Workspace.edges: what stands above and to the left of the next block, sample by sample
ABOVE_ACTIVITY = 0
LEFT_ACTIVITY = 1
ABOVE_MEAN = 2
LEFT_MEAN = 3
ABOVE_SIZE = 4
LEFT_SIZE = 5
ABOVE_TEMPORAL = 6
LEFT_TEMPORAL = 7
EDGES = 8

# entries of Workspace.channel: what is known of the current channel
ACTIVITY = 0
MEAN = 1
STEP = 2
SLOPE = 3
LARGEST = 4
POINT = 4  # entries 5, 6 and 7: reconstruction points of levels 1, 2 and more
CHANNEL_SIZE = 8

SPLIT_FROM = 6
"""Sides from this on can be split: into halves, the first the longer one."""

TEMPORAL_MARK = 4096
"""What stands in ``sizes`` with the size of a block that is predicted from the previous feature."""

STACK_SIZE = 16
"""Three blocks wait at each of three splits, and one is at work."""

LONGEST_UNARY = 14
"""Most decisions of a magnitude; what is left is coded as an Exp-Golomb remainder."""


class Workspace(NamedTuple):
    """The arrays that kernels share. All int64, but for states, levels and samples (int32).

    states   : STATES adaptive states.
    weights  : WEIGHT_SETS x INPUTS weights, flat.
    contexts : the six contexts of the next decision.
    chosen   : the six states that they choose.
    inputs   : their stretched probabilities.
    edges    : EDGES rows of max(H, W) entries, see ABOVE_ACTIVITY and so on.
    field    : activity of the channels before, one entry for 4 x 4 samples.
    channel  : CHANNEL_SIZE values, see ACTIVITY and so on.
    scans    : positions and classes of coefficients in coding order, see ``scan_entry``.
    scan_at  : where the scan of a block height x width begins in it.
    block    : 32 x 32, coefficients of a block.
    rows     : 32 x 32, intermediate values of the transform.
    stack    : blocks to come, STACK_SIZE x 4.
    """

    states: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int64]
    contexts: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.int64]
    inputs: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    field: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    scans: npt.NDArray[np.int64]
    scan_at: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    stack: npt.NDArray[np.int64]


# --- decisions -------------------------------------------------------------------------------------


@inlined
def code_decision(coder, data, w, family, weight_set, flag, bit):
    """(8.3.7.3) One decision of a family in the contexts of ``w.contexts``; returns it."""
    stride = family.flags * family.contexts
    at = family.first_state + flag * family.contexts
    for i in range(INPUTS):
        w.chosen[i] = at + int(w.contexts[i])
        at += stride
    first = INPUTS * (family.first_set + weight_set * family.flags + flag)
    probability = mix(w.states, w.chosen, w.inputs, w.weights, first, INPUTS)
    bit = code_bit(coder, data, probability, bit)
    learn(w.states, w.chosen, w.inputs, w.weights, first, INPUTS, probability, bit, RATE, LIMIT)
    return bit


@inlined
def code_magnitude(coder, data, w, family, weight_set, magnitude, least, most, order):
    """(8.3.7.3) A magnitude not below ``least``; returns it.

    Is it greater than ``least``, than the next number, ...? From ``most`` on, the remainder follows in
    Exp-Golomb code of an order.
    """
    value = least
    while value < most:
        flag = min(value, family.flags - 1)
        if code_decision(coder, data, w, family, weight_set, flag, int(magnitude > value)) == 0:
            return value
        value += 1
    return most + code_golomb(coder, data, magnitude - most, order)


@inlined
def bucket(value):
    """(8.3.7.3) A coarse logarithm of a non-negative number: 0, 1, 2, 3-4, 5-6, 7-10, ... to 11."""
    if value < 3:
        return value
    if value < 7:
        return (value + 3) >> 1
    if value < 17:
        return 5 if value < 11 else 6
    if value < 51:
        return 7 if value < 29 else 8
    if value < 181:
        return 9 if value < 101 else 10
    return 11


@inlined
def size_class(height, width):
    """(8.3.7.3) A class for the size of a block: up to 16, 64, 256 and more samples."""
    area = height * width
    if area <= 16:
        return 0
    if area <= 64:
        return 1
    return 2 if area <= 256 else 3


# --- blocks ----------------------------------------------------------------------------------------


@kernel
def code_tree(coder, data, w, levels, sizes, samples, reference, roots, y, x, height, width):
    """(8.3.7.4) A largest block: whole, or split into two or four, and so on down to sides below 6.

    ``w.stack`` holds the blocks to come, the next one on top.
    """
    push(w, 0, y, x, height, width)
    count = 1
    while count > 0 and int(coder[OVERRUN]) <= MOST_OVERRUN:
        count -= 1
        y = int(w.stack[count, 0])
        x = int(w.stack[count, 1])
        height = int(w.stack[count, 2])
        width = int(w.stack[count, 3])
        split = 0
        if height >= SPLIT_FROM or width >= SPLIT_FROM:
            split = int((int(sizes[y, x]) & 4095) != height * 64 + width)
            split = code_split(coder, data, w, y, x, height, width, split)
        if split == 0:
            temporal = int(sizes[y, x]) >> 12
            temporal = code_block(
                coder, data, w, levels, samples, reference, roots, y, x, height, width, temporal
            )
            sizes[y, x] = height * 64 + width + temporal * TEMPORAL_MARK
            continue
        top = (height + 1) >> 1 if height >= SPLIT_FROM else height
        left = (width + 1) >> 1 if width >= SPLIT_FROM else width
        if top < height and left < width:
            push(w, count, y + top, x + left, height - top, width - left)
            count += 1
        if top < height:
            push(w, count, y + top, x, height - top, left)
            count += 1
        if left < width:
            push(w, count, y, x + left, top, width - left)
            count += 1
        push(w, count, y, x, top, left)
        count += 1


@kernel
def push(w, count, y, x, height, width):
    """Put a block on the stack."""
    w.stack[count, 0] = y
    w.stack[count, 1] = x
    w.stack[count, 2] = height
    w.stack[count, 3] = width


@kernel
def code_split(coder, data, w, y, x, height, width, split):
    """(8.3.7.4) Whether a block is split."""
    shape = size_class(height, width)
    above = 3 if y == 0 else int(w.edges[ABOVE_SIZE, x])
    left = 3 if x == 0 else int(w.edges[LEFT_SIZE, y])
    w.contexts[0] = shape * 16 + above * 4 + left
    w.contexts[1] = bucket(int(w.channel[ACTIVITY]) >> 4) * 4 + shape
    w.contexts[2] = (
        bucket(int(w.field[(y + (height >> 1)) >> 2, (x + (width >> 1)) >> 2])) * 4 + shape
    )
    w.contexts[3] = shape
    w.contexts[4] = bucket(edge_mean(w, ABOVE_ACTIVITY, y, x, width)) * 4 + shape
    w.contexts[5] = bucket(edge_mean(w, LEFT_ACTIVITY, x, y, height)) * 4 + shape
    return code_decision(coder, data, w, SPLIT, shape, 0, split)


@kernel
def edge_mean(w, row, before, start, length):
    """(8.3.7.4) Mean of an edge along one side of a block; 0 where the block lies at the border."""
    if before == 0:
        return 0
    total = 0
    for i in range(start, start + length):
        total += int(w.edges[row, i])
    return total // length


@kernel
def code_block(coder, data, w, levels, samples, reference, roots, y, x, height, width, temporal):
    """(8.3.7.5) The levels of one block, and its samples; returns whether these build on the reference.

    reference : samples of the previous feature, H x W, or an array without any.
    """
    area = height * width
    shape = size_class(height, width)
    beside = 0
    if y > 0 and x > 0:
        beside = (
            edge_mean(w, ABOVE_ACTIVITY, y, x, width)
            + edge_mean(w, LEFT_ACTIVITY, x, y, height)
            + 1
        ) >> 1
    elif y > 0:
        beside = edge_mean(w, ABOVE_ACTIVITY, y, x, width)
    elif x > 0:
        beside = edge_mean(w, LEFT_ACTIVITY, x, y, height)
    else:
        beside = int(w.channel[ACTIVITY]) >> 4
    beside = bucket(beside)
    bottom = (y + height + 3) >> 2
    right = (x + width + 3) >> 2
    behind = 0
    for i in range(y >> 2, bottom):
        for j in range(x >> 2, right):
            behind += int(w.field[i, j])
    behind = bucket(behind // ((bottom - (y >> 2)) * (right - (x >> 2))))
    around = bucket(int(w.channel[ACTIVITY]) >> 4)

    if reference.shape[0] == 0:
        temporal = 0
    else:
        temporal = code_temporal(coder, data, w, y, x, shape, beside, behind, around, temporal)
    base = 0
    if temporal == 1:
        for i in range(y, y + height):
            for j in range(x, x + width):
                base += int(reference[i, j])
        base = (base << 24) // (area * int(w.channel[STEP]))

    dc, residual = code_dc(
        coder, data, w, levels, roots, y, x, height, width,
        shape, beside, behind, around, temporal, base,
    )  # fmt: skip
    total = abs(residual)
    if area > 1:
        total += code_coefficients(
            coder, data, w, levels, y, x, height, width,
            shape, beside, behind, around, abs(dc), abs(residual),
        )  # fmt: skip
    reconstruct_block(w, levels, samples, reference, y, x, height, width, temporal)

    activity = min((total << 6) // area, 255)
    for i in range(x, x + width):
        w.edges[ABOVE_ACTIVITY, i] = activity
        w.edges[ABOVE_SIZE, i] = min(shape, 2)
        w.edges[ABOVE_TEMPORAL, i] = temporal
    for i in range(y, y + height):
        w.edges[LEFT_ACTIVITY, i] = activity
        w.edges[LEFT_SIZE, i] = min(shape, 2)
        w.edges[LEFT_TEMPORAL, i] = temporal
    for i in range(y >> 2, bottom):
        for j in range(x >> 2, right):
            before = int(w.field[i, j])
            w.field[i, j] = before + ((4 * activity - before) >> 2)
    w.channel[ACTIVITY] = int(w.channel[ACTIVITY]) + (
        (16 * activity - int(w.channel[ACTIVITY])) >> 3
    )
    return temporal


@kernel
def code_temporal(coder, data, w, y, x, shape, beside, behind, around, temporal):
    """(8.3.7.5) Whether a block is predicted from the previous feature."""
    above = 2 if y == 0 else int(w.edges[ABOVE_TEMPORAL, x])
    left = 2 if x == 0 else int(w.edges[LEFT_TEMPORAL, y])
    w.contexts[0] = shape * 9 + above * 3 + left
    w.contexts[1] = beside * 4 + shape
    w.contexts[2] = behind * 4 + shape
    w.contexts[3] = around * 4 + shape
    w.contexts[4] = above * 3 + left
    w.contexts[5] = shape
    return code_decision(coder, data, w, TEMPORAL, shape, 0, temporal)


@kernel
def code_dc(
    coder,
    data,
    w,
    levels,
    roots,
    y,
    x,
    height,
    width,
    shape,
    beside,
    behind,
    around,
    temporal,
    base,
):
    """(8.3.7.5) The first level of a block, less its prediction from the means beside it.

    Means are in units of 2^-8 steps; ``base`` is that of the reference, where the block builds on it: its
    first level is then coded as it is. Returns the level and its residual.
    """
    root = int(roots[height * width])  # of the area, in units of 2^-4
    above = 0
    left = 0
    contrast = 0
    if y > 0:
        above = edge_mean(w, ABOVE_MEAN, y, x, width)
    if x > 0:
        left = edge_mean(w, LEFT_MEAN, x, y, height)
    if y > 0 and x > 0:
        mean = (above + left) >> 1
        contrast = bucket((abs(above - left) * root) >> 12)
    elif y > 0:
        mean = above
    elif x > 0:
        mean = left
    else:
        mean = int(w.channel[MEAN])
    if temporal == 1:
        mean = 0
    prediction = (mean * root + 2048) >> 12
    expected = bucket(abs(prediction))
    border = int(y == 0 and x == 0)
    w.contexts[0] = (shape * 12 + expected) * 2 + border
    w.contexts[1] = beside * 12 + expected
    w.contexts[2] = behind * 12 + expected
    w.contexts[3] = around * 12 + expected
    w.contexts[4] = contrast * 12 + expected
    w.contexts[5] = min(abs(prediction), 47) * 4 + shape
    residual = int(levels[y, x]) - prediction
    magnitude = code_magnitude(coder, data, w, DC, shape, abs(residual), 0, LONGEST_UNARY, 1)
    if magnitude > 0:
        negative = code_decision(coder, data, w, DC_SIGN, shape, 0, int(residual < 0))
        residual = -magnitude if negative == 1 else magnitude
    else:
        residual = 0
    level = min(max(prediction + residual, -(1 << 25)), 1 << 25)
    levels[y, x] = level
    mean = base + (level << 12) // root
    for i in range(x, x + width):
        w.edges[ABOVE_MEAN, i] = mean
    for i in range(y, y + height):
        w.edges[LEFT_MEAN, i] = mean
    if y == 0 and x == 0:
        w.channel[MEAN] = int(w.channel[MEAN]) + ((mean - int(w.channel[MEAN])) >> 2)
    return level, residual


@kernel
def code_coefficients(
    coder, data, w, levels, y, x, height, width, shape, beside, behind, around, dc, residual
):
    """(8.3.7.6) The levels of a block behind the first: where the last one is, then from there to the front.

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
    w.contexts[0] = shape * 12 + beside
    w.contexts[1] = behind * 12 + beside
    w.contexts[2] = around * 4 + shape
    w.contexts[3] = shape * 12 + bucket(dc)
    w.contexts[4] = bucket(residual) * 12 + around
    w.contexts[5] = bit_length(area - 1)
    last = code_last(coder, data, w, shape, last, area)

    total = 0
    nonzero = 0
    for k in range(last, 0, -1):
        entry = int(w.scans[at + k])
        u = entry & 31
        v = (entry >> 5) & 31
        place = (entry >> 10) & 63  # frequencies in eighths of the block's sides
        ring = entry >> 16
        near = 0  # the levels of higher frequency around, nearer ones twice
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
        w.contexts[0] = shape * 64 + place
        w.contexts[1] = (near * 10 + ring) * 4 + shape
        w.contexts[2] = (beside * 10 + ring) * 4 + shape
        w.contexts[3] = (around * 10 + ring) * 4 + min(nonzero, 3)
        w.contexts[4] = (behind * 10 + ring) * 4 + min(near, 3)
        w.contexts[5] = (min(bucket(last - k), 9) * 10 + min(bucket(total), 9)) * 4 + shape
        level = int(levels[y + u, x + v])
        magnitude = code_magnitude(
            coder, data, w, COEFFICIENT, shape * 3 + (ring >> 2),
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
def bit_length(value):
    """Number of bits of a non-negative number."""
    length = 0
    while value > 0:
        value >>= 1
        length += 1
    return length


@kernel
def code_last(coder, data, w, shape, last, area):
    """(8.3.7.6) The position of the last level that is not 0, in scan order: its length, then its bits."""
    longest = bit_length(area - 1)
    wanted = bit_length(last)
    length = 0
    while length < longest:
        if code_decision(coder, data, w, LAST, shape, length, int(wanted > length)) == 0:
            break
        length += 1
    if length < 2:
        return length
    w.contexts[0] = shape * 11 + length
    w.contexts[1] = min(int(w.contexts[1]), 143)
    w.contexts[2] = (int(w.contexts[2]) >> 2) * 11 + length
    w.contexts[3] = length
    w.contexts[4] = longest * 11 + length
    w.contexts[5] = shape
    value = 1
    for i in range(length - 2, -1, -1):
        bit = (last >> i) & 1
        depth = length - 2 - i
        if depth < 2:
            bit = code_decision(coder, data, w, LAST_REST, length, depth, bit)
        else:
            bit = code_bits(coder, data, bit, 1)
        value = 2 * value + bit
    return min(value, area - 1)


# --- reconstruction --------------------------------------------------------------------------------


@inlined
def dequantise_level(w, level, step):
    """(8.3.7.7) A level to a coefficient or sample, in units of 2^-4 samples.

    step : in units of 2^-16 samples, below 2^40; |level| <= 2^25 is bounded first so that int64 holds.
    """
    magnitude = abs(level)
    if magnitude == 0:
        return 0
    point = int(w.channel[POINT + min(magnitude, 3)])
    value = ((32 * min(magnitude, 1 << 17) + point) * step) >> 17
    value = min(value, 1 << 26)
    return -value if level < 0 else value


@inlined
def frequency_step(w, u, v, height, width):
    """(8.3.7.7) The step of one frequency: larger or smaller the higher it is, by ``frequency_slope``."""
    step = int(w.channel[STEP])
    scale = 16 + int(w.channel[SLOPE]) * (u * width + v * height) // (height * width)
    return (step * scale) >> 4


@kernel
def reconstruct_block(w, levels, samples, reference, y, x, height, width, temporal):
    """(8.3.7.7) Samples of a block from its levels, and from the reference where it builds on it."""
    used_rows = 0
    used_columns = 0
    for u in range(height):
        for v in range(width):
            if int(levels[y + u, x + v]) != 0:
                used_rows = u + 1
                used_columns = max(used_columns, v + 1)
    for u in range(used_rows):
        for v in range(used_columns):
            level = int(levels[y + u, x + v])
            value = 0
            if level != 0:
                step = frequency_step(w, u, v, height, width)
                if u + v == 0:
                    value = min(max((level * step) >> 12, -(1 << 26)), 1 << 26)
                else:
                    value = dequantise_level(w, level, step)
            w.block[u, v] = value
    largest = int(w.channel[LARGEST])
    for i in range(y, y + height):
        for j in range(x, x + width):
            samples[i, j] = int(reference[i, j]) if temporal == 1 else 0
    inverse_block(w.block, w.rows, samples, y, x, height, width, used_rows, used_columns)
    for i in range(y, y + height):
        for j in range(x, x + width):
            samples[i, j] = min(max(int(samples[i, j]), 0), largest)


# --- samples without a transform -------------------------------------------------------------------


@kernel
def code_samples(coder, data, w, levels, samples, channel, origin):
    """(8.3.7.8) One channel sample by sample: levels of the distance to ``origin``."""
    height = levels.shape[1]
    width = levels.shape[2]
    alone = int(height * width == 1)
    largest = int(w.channel[LARGEST])
    step = int(w.channel[STEP])
    for y in range(height):
        if int(coder[OVERRUN]) > MOST_OVERRUN:
            return
        for x in range(width):
            left = int(levels[channel, y, x - 1]) if x > 0 else 0
            above = int(levels[channel, y - 1, x]) if y > 0 else 0
            before = int(levels[channel - 1, y, x]) if channel > 0 else 0
            second = int(levels[channel - 2, y, x]) if channel > 1 else 0
            near = bucket(abs(left) + abs(above))
            behind = bucket(abs(before))
            around = bucket(int(w.channel[ACTIVITY]) >> 4)
            field = bucket(int(w.field[y >> 2, x >> 2]) >> 4)
            w.contexts[0] = near * 12 + behind
            w.contexts[1] = near * 12 + around
            w.contexts[2] = behind * 12 + bucket(abs(second))
            w.contexts[3] = field * 12 + near
            w.contexts[4] = around * 12 + field
            w.contexts[5] = min(abs(left), 15) * 16 + min(abs(above), 15)
            level = int(levels[channel, y, x])
            magnitude = code_magnitude(
                coder, data, w, SAMPLE, alone, abs(level), 0, LONGEST_UNARY, 1
            )
            level_was_negative = int(level < 0)
            level = min(magnitude, 1 << 25)
            if magnitude > 0:
                signs = sign_class(left) * 9 + sign_class(above) * 3 + sign_class(before)
                w.contexts[0] = signs
                w.contexts[1] = near * 3 + sign_class(left)
                w.contexts[2] = behind * 3 + sign_class(before)
                w.contexts[3] = around * 12 + bucket(magnitude)
                w.contexts[4] = field
                w.contexts[5] = sign_class(before) * 3 + sign_class(second)
                if code_decision(coder, data, w, SAMPLE_SIGN, alone, 0, level_was_negative) == 1:
                    level = -level
            levels[channel, y, x] = level
            value = origin + ((dequantise_level(w, level, step) + 8) >> 4)
            samples[channel, y, x] = min(max(value, 0), largest)
            activity = min(16 * magnitude, 4095)
            w.channel[ACTIVITY] = int(w.channel[ACTIVITY]) + (
                (16 * activity - int(w.channel[ACTIVITY])) >> 4
            )
            w.field[y >> 2, x >> 2] = int(w.field[y >> 2, x >> 2]) + (
                (16 * activity - int(w.field[y >> 2, x >> 2])) >> 3
            )


@kernel
def sign_class(value):
    """0, 1 or 2 for nought, positive or negative."""
    if value == 0:
        return 0
    return 1 if value > 0 else 2


# --- features --------------------------------------------------------------------------------------

# entries of a payload's head
BLOCK = 0
"""Coded in two bits: 0 for samples without a transform, else blocks of up to 4 << BLOCK samples."""
FREQUENCY_SLOPE = 1
POINTS = 2  # and 3, 4
ORIGIN = 5
RESTORATION = 6
PREDICTED = 7
"""Not coded: whether there is a previous feature to predict from."""
SHIFT_DOWN = 8
SHIFT_RIGHT = 9
HEAD_SIZE = 10

LARGEST_SHIFT = 64


@kernel
def code_head(coder, data, head):
    """(8.3.7.1) What holds for the whole payload."""
    head[BLOCK] = code_bits(coder, data, int(head[BLOCK]), 2)
    if int(head[BLOCK]) > 0:
        slope = code_signed_golomb(coder, data, int(head[FREQUENCY_SLOPE]), 0)
        head[FREQUENCY_SLOPE] = min(max(slope, -7), 24)
    else:
        head[ORIGIN] = code_golomb(coder, data, int(head[ORIGIN]), 6) & 0xFFFF
    if int(head[PREDICTED]) == 1:
        for i in range(SHIFT_DOWN, SHIFT_RIGHT + 1):
            shift = code_signed_golomb(coder, data, int(head[i]), 0)
            head[i] = min(max(shift, -LARGEST_SHIFT), LARGEST_SHIFT)
    for i in range(3):
        head[POINTS + i] = code_bits(coder, data, int(head[POINTS + i]) + 8, 4) - 8
    head[RESTORATION] = code_bits(coder, data, int(head[RESTORATION]), 2)


@kernel
def displace(previous, head, largest, reference):
    """(8.3.7.2) The previous feature's samples, moved, clipped, and its borders continued, C x H x W."""
    height = previous.shape[1]
    width = previous.shape[2]
    for c in range(previous.shape[0]):
        for y in range(height):
            row = min(max(y + int(head[SHIFT_DOWN]), 0), height - 1)
            for x in range(width):
                column = min(max(x + int(head[SHIFT_RIGHT]), 0), width - 1)
                reference[c, y, x] = min(max(int(previous[c, row, column]), 0), largest)


@kernel
def code_levels(
    coder, data, w, head, steps, ys, xs, roots, largest, levels, sizes, samples, reference
):
    """(8.3.7.2) All channels of a feature, one after the other.

    steps          : of each channel, in units of 2^-16 samples.
    ys, xs         : boundaries of the largest blocks.
    levels, samples: int32, C x H x W. reference: too, or C x 0 x 0 where there is none.
    sizes          : int32, H x W: room for the sizes of blocks; where it encodes, C x H x W of them.
    """
    w.channel[LARGEST] = largest
    w.channel[SLOPE] = int(head[FREQUENCY_SLOPE])
    for i in range(3):
        w.channel[POINT + 1 + i] = int(head[POINTS + i])
    for c in range(levels.shape[0]):
        w.channel[STEP] = int(steps[c])
        if int(head[BLOCK]) == 0:
            code_samples(coder, data, w, levels, samples, c, int(head[ORIGIN]))
            continue
        plane = min(c, sizes.shape[0] - 1)
        for i in range(ys.shape[0] - 1):
            for j in range(xs.shape[0] - 1):
                y = int(ys[i])
                x = int(xs[j])
                code_tree(
                    coder, data, w, levels[c], sizes[plane], samples[c], reference[c], roots,
                    y, x, int(ys[i + 1]) - y, int(xs[j + 1]) - x,
                )  # fmt: skip


@kernel
def code_restoration(coder, data, w, head, offsets, gains):
    """(8.3.7.9) Corrections of each channel: of its mean, and with mode 2 of its spread too."""
    for kind in range(int(head[RESTORATION])):
        last = 0
        second = 0
        for c in range(offsets.shape[0]):
            value = int(offsets[c]) if kind == 0 else int(gains[c])
            for i in range(INPUTS):
                w.contexts[i] = kind * 32
            w.contexts[0] = int(w.contexts[0]) + bucket(abs(last))
            w.contexts[1] = int(w.contexts[1]) + bucket(abs(last)) + bucket(abs(second))
            w.contexts[2] = int(w.contexts[2]) + sign_class(last) * 3 + sign_class(second)
            w.contexts[3] = int(w.contexts[3]) + min(c, 31)
            w.contexts[4] = int(w.contexts[4]) + bucket((abs(last) + abs(second)) >> 1)
            fine = 2 - 2 * kind  # bits of an offset that no context foretells
            magnitude = code_magnitude(
                coder, data, w, CORRECTION, kind, abs(value) >> fine, 0, LONGEST_UNARY, 2
            )
            magnitude = (magnitude << fine) + code_bits(
                coder, data, abs(value) & ((1 << fine) - 1), fine
            )
            if magnitude > 0:
                negative = code_bit(coder, data, 32768, int(value < 0))
                value = -magnitude if negative == 1 else magnitude
            else:
                value = 0
            second = last
            last = value
            if kind == 0:
                offsets[c] = value
            else:
                gains[c] = min(max(value, -24), 32)


@kernel
def restore(samples, head, steps, offsets, gains):
    """(8.3.7.9) Move and stretch each channel: offsets in fractions of the step, gains in 1/32 beyond 1.

    The more samples a channel has, the finer the offsets: in 2^-shift steps, with shift = 2 + b // 2 for a
    count of samples that takes b bits.

    Samples stay within 2^24; those below 0 or above the largest are kept, for the moments' sake.
    """
    if int(head[RESTORATION]) == 0:
        return
    height = samples.shape[1]
    width = samples.shape[2]
    count = height * width
    shift = 2 + (bit_length(count) >> 1)
    for c in range(samples.shape[0]):
        total = 0
        for y in range(height):
            for x in range(width):
                total += int(samples[c, y, x])
        mean = (total << 16) // count  # at most 2^28 elements of 2^16, in units of 2^-16
        target = mean + ((int(offsets[c]) * int(steps[c])) >> shift)
        gain = 32 + int(gains[c])
        for y in range(height):
            for x in range(width):
                distance = (int(samples[c, y, x]) << 16) - mean
                value = (target + ((distance * gain) >> 5) + 32768) >> 16
                samples[c, y, x] = min(max(value, -(1 << 24)), 1 << 24)
