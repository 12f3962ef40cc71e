"""Blocks, as both native coders have them: clauses 8.3.7.2, 8.3.7.4, 8.3.7.5 and 8.3.7.7."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np

from .bits import Integers
from .geometry import Block, Edge, average, cuts, root
from .head import Head
from .plain import LARGEST_LEVEL
from .transform import residual_of

SPLIT_FROM = 6

Levels = list[list[int]]


class BlockDecoder(ABC):
    """Decodes the channels of a feature block by block; how levels are coded is left to subclasses."""

    def __init__(self, shape: tuple[int, int, int], head: Head, bounds: tuple[int, int]) -> None:
        self.head = head
        self.bounds = bounds
        _, height, width = self.shape = shape
        self.above, self.left = Edge(width), Edge(height)
        self.field = [[0] * ((width + 3) // 4) for _ in range((height + 3) // 4)]
        self.activity = 0  # running
        self.mean = 0  # running, of the first blocks of channels
        self.channel = 0
        self.step = 0  # of the channel
        self.samples = np.zeros(shape, np.int64)

    def decode(self, steps: list[int]) -> Integers:
        """Decode all channels, C x H x W, each by its largest blocks (8.3.7.2)."""
        _, height, width = self.shape
        side = 4 << self.head.block
        rows, columns = cuts(height, side), cuts(width, side)
        for self.channel, self.step in enumerate(steps):
            for top, bottom in pairwise(rows):
                for left, right in pairwise(columns):
                    self.tree(Block(top, left, bottom - top, right - left))
        return self.samples

    def tree(self, block: Block) -> None:
        """Decode a block: whole, or its two or four parts (8.3.7.4)."""
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

    @abstractmethod
    def is_split(self, block: Block) -> int:
        """Decide whether a block is split."""

    @abstractmethod
    def block(self, block: Block) -> None:
        """Decode one block that is not split, and reconstruct it."""

    def cells(self, block: Block) -> list[tuple[int, int]]:
        """The entries of *field* that a block touches."""
        y, x, height, width = block
        rows, columns = range(y >> 2, (y + height + 3) >> 2), range(x >> 2, (x + width + 3) >> 2)
        return [(i, j) for i in rows for j in columns]

    def behind(self, block: Block) -> int:
        """The activity of the channels so far, at the place of a block."""
        cells = self.cells(block)
        return sum(self.field[i][j] for i, j in cells) // len(cells)

    def prediction(self, block: Block) -> tuple[int, int]:
        """The first level that is expected from the means of neighbours; how far these differ (8.3.7.5)."""
        y, x, height, width = block
        scale = root(block.area)
        above = average(self.above.mean, x, width) if y else 0
        left = average(self.left.mean, y, height) if x else 0
        mean = (above + left) >> 1 if y and x else above if y else left if x else self.mean
        contrast = (abs(above - left) * scale) >> 12 if y and x else 0
        return (mean * scale + 2048) >> 12, contrast

    def first_level(self, block: Block, prediction: int, residual: int, base_mean: int = 0) -> int:
        """The first level of a block, whose mean is kept: of the level, and of what it is added to."""
        level = min(max(prediction + residual, -LARGEST_LEVEL), LARGEST_LEVEL)
        mean = base_mean + (level << 12) // root(block.area)
        y, x, height, width = block
        self.above.mean[x : x + width] = [mean] * width
        self.left.mean[y : y + height] = [mean] * height
        if y == 0 and x == 0:
            self.mean += (mean - self.mean) >> 2
        return level

    def no_levels(self, block: Block) -> Levels:
        """Levels of a block that are all 0, with two zeros beyond each side."""
        return [[0] * (block.width + 2) for _ in range(block.height + 2)]

    def coded(self, level: int) -> int:
        """The magnitude that was coded for a level (8.3.7.6)."""
        return (abs(level) + 1) >> 1 if self.head.dependent else abs(level)

    def near(self, levels: Levels, u: int, v: int) -> int:
        """The magnitudes of the levels of higher frequency near one, nearer ones twice (8.3.7.6)."""
        here, below, lower = levels[u : u + 3]
        nearest = self.coded(below[v]) + self.coded(here[v + 1])
        return (
            2 * nearest + self.coded(below[v + 1]) + self.coded(lower[v]) + self.coded(here[v + 2])
        )

    def reconstruct(self, block: Block, levels: Levels, base: Integers | int = 0) -> None:
        """Set the samples of a block: what its levels give is added to ``base`` (8.3.7.7)."""
        y, x, height, width = block
        head = self.head
        change = residual_of(
            levels, height, width, self.step, head.slope, head.points, dependent=head.dependent
        )
        area = np.s_[self.channel, y : y + height, x : x + width]
        self.samples[area] = np.clip(base + change, *self.bounds)

    def keep(self, block: Block, activity: int, size: int, temporal: int = 0) -> None:
        """Keep what later blocks need of a block that is decoded, but for its mean."""
        y, x, height, width = block
        self.above.set(x, width, activity, size, temporal)
        self.left.set(y, height, activity, size, temporal)
        for i, j in self.cells(block):
            self.field[i][j] += (4 * activity - self.field[i][j]) >> 2
        self.activity += (16 * activity - self.activity) >> 3
