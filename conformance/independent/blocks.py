"""Blocks of the native coder: splitting, first levels, coefficients (8.3.7.2, 8.3.7.4 to 8.3.7.6)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .bits import Integers
from .decisions import (
    COEFFICIENT,
    DC,
    DC_SIGN,
    DEPENDENT,
    LAST,
    LAST_REST,
    LONGEST_UNARY,
    SPLIT,
    TEMPORAL,
    Decisions,
    bucket,
)
from .geometry import Block, Edge, Surroundings, average, cuts, root, scan
from .plain import LARGEST_LEVEL, require_payload
from .transform import residual_of

SPLIT_FROM = 6
UNARY_COEFFICIENT = 8
NEXT_STATE = ((0, 2), (2, 0), (1, 3), (3, 1))  # by the parity of the magnitude
NEITHER_SIZE, NEITHER_TEMPORAL = 3, 2  # beyond the border of a channel


class BlockDecoder:
    """Decodes the channels of a feature block by block."""

    slope = 0
    points = 0, 0, 0
    dependent = False

    def __init__(
        self, decisions: Decisions, shape: tuple[int, int, int], side: int, bounds: tuple[int, int]
    ) -> None:
        self.decisions = decisions
        self.bounds = bounds
        _, height, width = self.shape = shape
        self.side = side  # of largest blocks
        self.above, self.left = Edge(width), Edge(height)
        self.field = [[0] * ((width + 3) // 4) for _ in range((height + 3) // 4)]
        self.activity = 0  # running
        self.mean = 0  # running, of the first blocks of channels
        self.step = 0
        self.displaced: Integers | None = None  # of the channel
        self.samples = np.zeros(shape[1:], np.int64)

    def decode(self, steps: list[int], displaced: Integers | None) -> Integers:
        """Decode all channels, C x H x W; ``displaced`` is the displaced reference (8.3.7.2)."""
        channels, height, width = self.shape
        rows, columns = cuts(height, self.side), cuts(width, self.side)
        feature = np.zeros(self.shape, np.int64)
        for channel in range(channels):
            self.step = steps[channel]
            self.samples = feature[channel]
            self.displaced = None if displaced is None else displaced[channel]
            for top, bottom in pairwise(rows):
                for left, right in pairwise(columns):
                    self.tree(Block(top, left, bottom - top, right - left))
        return feature

    def tree(self, block: Block) -> None:
        """Decode a block: whole, or its two or four parts (8.3.7.4)."""
        require_payload(self.decisions)
        y, x, height, width = block
        if max(height, width) < SPLIT_FROM or not self.is_split(block):
            self.block(block)
            return
        top = (height + 1) >> 1 if height >= SPLIT_FROM else height
        left = (width + 1) >> 1 if width >= SPLIT_FROM else width
        for down, tall in ((0, top), (top, height - top)):
            for right, wide in ((0, left), (left, width - left)):
                if tall and wide:
                    self.tree(Block(y + down, x + right, tall, wide))

    def is_split(self, block: Block) -> int:
        """Decide whether a block is split (8.3.7.4)."""
        y, x, height, width = block
        shape = block.shape
        above = self.above.size[x] if y else NEITHER_SIZE
        left = self.left.size[y] if x else NEITHER_SIZE
        middle = self.field[(y + (height >> 1)) >> 2][(x + (width >> 1)) >> 2]
        contexts = (
            shape * 16 + above * 4 + left,
            bucket(self.activity >> 4) * 4 + shape,
            bucket(middle) * 4 + shape,
            shape,
            bucket(average(self.above.activity, x, width) if y else 0) * 4 + shape,
            bucket(average(self.left.activity, y, height) if x else 0) * 4 + shape,
        )
        return self.decisions.decide(SPLIT, shape, 0, contexts)

    def surroundings(self, block: Block, cells: list[tuple[int, int]]) -> Surroundings:
        """The activities around a block, whose entries of field are ``cells`` (8.3.7.5)."""
        y, x, height, width = block
        above = average(self.above.activity, x, width) if y else 0
        left = average(self.left.activity, y, height) if x else 0
        running = self.activity >> 4
        beside = (above + left + 1) >> 1 if y and x else above if y else left if x else running
        behind = sum(self.field[i][j] for i, j in cells) // len(cells)
        return Surroundings(bucket(beside), bucket(behind), bucket(running))

    def block(self, block: Block) -> None:
        """Decode one block that is not split, and reconstruct it (8.3.7.5)."""
        y, x, height, width = block
        rows, columns = range(y >> 2, (y + height + 3) >> 2), range(x >> 2, (x + width + 3) >> 2)
        cells = [(i, j) for i in rows for j in columns]
        around = self.surroundings(block, cells)
        area = np.s_[y : y + height, x : x + width]
        base = np.zeros((height, width), np.int64)
        temporal, displaced_mean = 0, 0
        if self.displaced is not None and self.temporal(block, around):
            temporal, base = 1, self.displaced[area]
            displaced_mean = (int(base.sum()) << 24) // (block.area * self.step)
        levels = [[0] * (width + 2) for _ in range(height + 2)]  # two zeros beyond each side
        first, residual = self.first_level(block, around, temporal, displaced_mean)
        total = abs(residual)
        if block.area > 1:
            total += self.coefficients(block, around, levels, abs(first), abs(residual))
        levels[0][0] = first
        change = residual_of(
            levels, height, width, self.step, self.slope, self.points, dependent=self.dependent
        )
        self.samples[area] = np.clip(base + change, *self.bounds)
        activity = min((total << 6) // block.area, 255)
        size = min(block.shape, 2)
        self.above.set(x, width, activity, size, temporal)
        self.left.set(y, height, activity, size, temporal)
        for i, j in cells:
            self.field[i][j] += (4 * activity - self.field[i][j]) >> 2
        self.activity += (16 * activity - self.activity) >> 3

    def temporal(self, block: Block, around: Surroundings) -> int:
        """Decide whether a block is predicted from the reference feature (8.3.7.5)."""
        shape = block.shape
        above = self.above.temporal[block.x] if block.y else NEITHER_TEMPORAL
        left = self.left.temporal[block.y] if block.x else NEITHER_TEMPORAL
        contexts = (
            shape * 9 + above * 3 + left,
            around.beside * 4 + shape,
            around.behind * 4 + shape,
            around.around * 4 + shape,
            above * 3 + left,
            shape,
        )
        return self.decisions.decide(TEMPORAL, shape, 0, contexts)

    def first_level(
        self, block: Block, around: Surroundings, temporal: int, displaced_mean: int
    ) -> tuple[int, int]:
        """Decode the first level and its residual; keep the mean of the block (8.3.7.5)."""
        y, x, height, width = block
        scale, contrast = root(block.area), 0
        above = average(self.above.mean, x, width) if y else 0
        left = average(self.left.mean, y, height) if x else 0
        mean = (above + left) >> 1 if y and x else above if y else left if x else self.mean
        if y and x:
            contrast = bucket((abs(above - left) * scale) >> 12)
        if temporal:
            mean = 0
        prediction = (mean * scale + 2048) >> 12
        expected, shape = bucket(abs(prediction)), block.shape
        contexts = (
            (shape * 12 + expected) * 2 + int(y == 0 and x == 0),
            around.beside * 12 + expected,
            around.behind * 12 + expected,
            around.around * 12 + expected,
            contrast * 12 + expected,
            min(abs(prediction), 47) * 4 + shape,
        )
        residual = self.decisions.magnitude(DC, shape, contexts, LONGEST_UNARY, 1)
        if residual and self.decisions.decide(DC_SIGN, shape, 0, contexts):
            residual = -residual
        level = min(max(prediction + residual, -LARGEST_LEVEL), LARGEST_LEVEL)
        own_mean = displaced_mean + (level << 12) // scale
        self.above.mean[x : x + width] = [own_mean] * width
        self.left.mean[y : y + height] = [own_mean] * height
        if y == 0 and x == 0:
            self.mean += (own_mean - self.mean) >> 2
        return level, residual

    def coefficients(
        self, block: Block, around: Surroundings, levels: list[list[int]], first: int, residual: int
    ) -> int:
        """Decode the levels after the first, from the last on; returns the sum of magnitudes (8.3.7.6)."""
        beside, behind, running = around
        shape = block.shape
        contexts = (
            shape * 12 + beside,
            behind * 12 + beside,
            running * 4 + shape,
            shape * 12 + bucket(first),
            bucket(residual) * 12 + running,
            (block.area - 1).bit_length(),
        )
        last = self.last(shape, contexts, around, block.area)
        entries = scan(block.height, block.width)
        total = nonzero = state = 0
        family = DEPENDENT if self.dependent else COEFFICIENT
        for k in range(last, 0, -1):
            u, v, place, ring = entries[k]
            here, below, lower = levels[u], levels[u + 1], levels[u + 2]
            near = 2 * self.coded(below[v]) + self.coded(below[v + 1]) + self.coded(lower[v])
            near += 2 * self.coded(here[v + 1]) + self.coded(here[v + 2])
            order = min((near >> 3).bit_length(), 12)
            near = bucket(near)
            contexts = (
                shape * 64 + place,
                (near * 10 + ring) * 4 + shape,
                (beside * 10 + ring) * 4 + shape,
                (running * 10 + ring) * 4 + min(nonzero, 3),
                (behind * 10 + ring) * 4 + min(near, 3),
                (min(bucket(last - k), 9) * 10 + min(bucket(total), 9)) * 4 + shape,
            )
            quantiser = state >> 1  # always 0 unless quantisation is dependent
            own_contexts = [quantiser * 480 + context for context in contexts]
            weight_set = quantiser * 12 + shape * 3 + (ring >> 2)
            magnitude = self.decisions.magnitude(
                family, weight_set, own_contexts, UNARY_COEFFICIENT, order,
                least=int(k == last),
            )  # fmt: skip
            if magnitude:
                magnitude = min(magnitude, LARGEST_LEVEL)
                level = 2 * magnitude - quantiser if self.dependent else magnitude
                here[v] = self.decisions.sign(level)
                nonzero += 1
                total += magnitude
            if self.dependent:
                state = NEXT_STATE[state][magnitude & 1]
        return total

    def coded(self, level: int) -> int:
        """The magnitude that was coded for a level (8.3.7.6)."""
        return (abs(level) + 1) >> 1 if self.dependent else abs(level)

    def last(self, shape: int, contexts: tuple[int, ...], around: Surroundings, area: int) -> int:
        """Decode the number in the scan of the last level that is not 0 (8.3.7.6)."""
        beside, behind, running = around
        longest = (area - 1).bit_length()
        length = 0
        while length < longest and self.decisions.decide(LAST, shape, length, contexts):
            length += 1
        if length < 2:
            return length
        contexts = (
            shape * 11 + length,
            behind * 12 + beside,
            running * 11 + length,
            length,
            longest * 11 + length,
            shape,
        )
        value = 1
        for depth in range(length - 1):
            modelled = depth < 2
            bit = (
                self.decisions.decide(LAST_REST, length, depth, contexts)
                if modelled
                else self.decisions.arithmetic.bits(1)
            )
            value = 2 * value + bit
        return min(value, area - 1)
