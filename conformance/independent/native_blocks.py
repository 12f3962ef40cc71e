"""Levels of the native coder: splitting, first levels, coefficients (8.3.7.4 to 8.3.7.6)."""

from __future__ import annotations

from .bits import Integers
from .blocks import BlockDecoder, Levels
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
from .geometry import Block, Surroundings, average, scan
from .head import Head
from .plain import LARGEST_LEVEL, require_payload

UNARY_COEFFICIENT = 8
LARGEST_ACTIVITY = 255
NEXT_STATE = ((0, 2), (2, 0), (1, 3), (3, 1))  # by the parity of the magnitude
NEITHER_SIZE, NEITHER_TEMPORAL = 3, 2  # beyond the border of a channel


class NativeBlocks(BlockDecoder):
    """Blocks whose levels are coded by adaptive decisions; ``displaced`` is the displaced reference."""

    def __init__(
        self, decisions: Decisions, shape: tuple[int, int, int], head: Head, bounds: tuple[int, int],
        displaced: Integers | None,
    ) -> None:  # fmt: skip
        super().__init__(shape, head, bounds)
        self.decisions = decisions
        self.displaced = displaced

    def tree(self, block: Block) -> None:
        """Decode a block, unless the payload has ended before it (R8.3.7-1)."""
        require_payload(self.decisions)
        super().tree(block)

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

    def surroundings(self, block: Block) -> Surroundings:
        """The activities around a block (8.3.7.5)."""
        y, x, height, width = block
        above = average(self.above.activity, x, width) if y else 0
        left = average(self.left.activity, y, height) if x else 0
        running = self.activity >> 4
        beside = (above + left + 1) >> 1 if y and x else above if y else left if x else running
        return Surroundings(bucket(beside), bucket(self.behind(block)), bucket(running))

    def block(self, block: Block) -> None:
        """Decode one block that is not split, and reconstruct it (8.3.7.5)."""
        y, x, height, width = block
        around = self.surroundings(block)
        base: Integers | int = 0
        temporal, displaced_mean = 0, 0
        if self.displaced is not None and self.temporal(block, around):
            temporal = 1
            base = self.displaced[self.channel, y : y + height, x : x + width]
            displaced_mean = (int(base.sum()) << 24) // (block.area * self.step)
        levels = self.no_levels(block)
        first, residual = self.decode_first(block, around, temporal, displaced_mean)
        total = abs(residual)
        if block.area > 1:
            total += self.coefficients(block, around, levels, abs(first), abs(residual))
        levels[0][0] = first
        self.reconstruct(block, levels, base)
        activity = min((total << 6) // block.area, LARGEST_ACTIVITY)
        self.keep(block, activity, min(block.shape, 2), temporal)

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

    def decode_first(
        self, block: Block, around: Surroundings, temporal: int, displaced_mean: int
    ) -> tuple[int, int]:
        """Decode the first level and its residual (8.3.7.5)."""
        prediction, contrast = self.prediction(block)
        if temporal:
            prediction = 0
        expected, shape = bucket(abs(prediction)), block.shape
        contexts = (
            (shape * 12 + expected) * 2 + int(block.y == 0 and block.x == 0),
            around.beside * 12 + expected,
            around.behind * 12 + expected,
            around.around * 12 + expected,
            bucket(contrast) * 12 + expected,
            min(abs(prediction), 47) * 4 + shape,
        )
        residual = self.decisions.magnitude(DC, shape, contexts, LONGEST_UNARY, 1)
        if residual and self.decisions.decide(DC_SIGN, shape, 0, contexts):
            residual = -residual
        return self.first_level(block, prediction, residual, displaced_mean), residual

    def coefficients(
        self, block: Block, around: Surroundings, levels: Levels, first: int, residual: int
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
        family = DEPENDENT if self.head.dependent else COEFFICIENT
        for k in range(last, 0, -1):
            u, v, place, ring = entries[k]
            near = self.near(levels, u, v)
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
                level = 2 * magnitude - quantiser if self.head.dependent else magnitude
                levels[u][v] = self.decisions.sign(level)
                nonzero += 1
                total += magnitude
            if self.head.dependent:
                state = NEXT_STATE[state][magnitude & 1]
        return total

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
