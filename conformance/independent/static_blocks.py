"""Levels of the native coder with static tables: clauses 8.3.11.3 and 8.3.11.4."""

from __future__ import annotations

from .blocks import BlockDecoder, Levels
from .geometry import Block, scan
from .head import Head
from .symbols import COEFFICIENT, DC, FINAL, LAST, SPLIT, Symbols, half_octave

LARGEST_ACTIVITY = 4095
LARGEST_CLASS = 17  # of activities
LARGEST_CONTRAST = 2
LARGEST_NEAR = 12  # class of the sums of levels
LARGEST_RING = 3
LARGEST_BUSY = 4


class StaticBlocks(BlockDecoder):
    """Blocks whose levels are symbols of static tables."""

    def __init__(
        self, symbols: Symbols, shape: tuple[int, int, int], head: Head, bounds: tuple[int, int]
    ) -> None:
        super().__init__(shape, head, bounds)
        self.symbols = symbols

    def expected(self, block: Block) -> int:
        """The class of the activity that is expected of a block, from 0 to 17."""
        y, x, height, width = block
        running = self.activity >> 4
        above = self.above.activity[x] + self.above.activity[x + width - 1]
        left = self.left.activity[y] + self.left.activity[y + height - 1]
        beside = (
            (above + left) >> 2 if y and x else above >> 1 if y else left >> 1 if x else running
        )
        activity = (16 * beside + 3 * self.behind(block) + 4 * running) >> 5
        return min(half_octave(activity), LARGEST_CLASS)

    def is_split(self, block: Block) -> int:
        """Decide whether a block is split; smaller blocks beside it suggest it."""
        smaller = int(block.y > 0 and self.above.size[block.x] < block.shape)
        smaller += int(block.x > 0 and self.left.size[block.y] < block.shape)
        return self.symbols.symbol(SPLIT + self.expected(block) * 3 + smaller)

    def block(self, block: Block) -> None:
        """Decode one block that is not split, and reconstruct it."""
        around = self.expected(block)
        prediction, contrast = self.prediction(block)
        contrast = min(contrast, LARGEST_CONTRAST)
        residual = self.symbols.level(DC + (around * 4 + block.shape) * 3 + contrast)
        first = self.first_level(block, prediction, residual)
        levels = self.no_levels(block)
        total = abs(residual)
        if block.area > 1:
            total += self.coefficients(block, around, levels)
        levels[0][0] = first
        self.reconstruct(block, levels)
        self.keep(block, min((total << 6) // block.area, LARGEST_ACTIVITY), block.shape)

    def coefficients(self, block: Block, around: int, levels: Levels) -> int:
        """Decode the levels after the first, from the last on; returns the sum of magnitudes."""
        last = min(self.symbols.number(LAST + around * 4 + block.shape), block.area - 1)
        busy = min(max(around - 3, 0) // 3, LARGEST_BUSY)
        entries = scan(block.height, block.width)
        total = 0
        for k in range(last, 0, -1):
            u, v, _, ring = entries[k]
            near = min(half_octave(self.near(levels, u, v)), LARGEST_NEAR)
            context = COEFFICIENT + (near * 4 + min(ring >> 1, LARGEST_RING)) * 5 + busy
            level = self.symbols.level(FINAL + block.shape if k == last else context)
            levels[u][v] = level
            total += abs(level)
        return total
