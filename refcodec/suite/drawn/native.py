"""Native payloads of random content, whose numbers are all integers (clause 8.3.7)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.gains import LARGEST_GAIN
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.make.native import Content, Split

__all__ = ["draw_content"]

_BITS = {4: 25}
"""Bits of the greatest level by block: 25 without a transform. Others leave room for what is predicted."""

_LARGEST_OFFSET = 1 << 20


def draw_content(
    chance: Chance,
    shape: tuple[int, int, int],
    *,
    predicted: bool,
    dependent: bool = False,
    gained: bool = False,
) -> Content:
    """Draw the content of a payload, at and between the limits of its head.

    shape     : of its samples, C x H x W.
    predicted : true if there is a reference feature.
    dependent : true for dependent quantisation, where there is a transform.
    gained    : true for gains of tokens.
    """
    mode, block = chance.below(3), 4 << chance.below(4)
    return Content(
        _levels(chance, shape, _BITS.get(block, 24)),
        block=block,
        split=_decide(chance),
        temporal=_decide(chance) if predicted else _never,
        slope=chance.number(-7, 24),
        points=(chance.number(-8, 7), chance.number(-8, 7), chance.number(-8, 7)),
        origin=chance.number(0, 0xFFFF),
        mode=mode,
        offsets=_offsets(chance, shape[0]).tolist() if mode else (),
        gains=chance.numbers(shape[0], -24, 32).tolist() if mode == 2 else (),
        shift=(chance.number(-64, 64), chance.number(-64, 64)) if predicted else (0, 0),
        dependent=dependent and block > 4,
        token_gains=_token_gains(chance, shape[1]) if gained else (),
    )


def _levels(chance: Chance, shape: tuple[int, ...], bits: int) -> npt.NDArray[np.int32]:
    """Levels: rare or dense, small as a rule; now and then some of every size up to 2^bits."""
    count = int(np.prod(shape))
    most = chance.choose([0, 1, 1, 2, 4, 15, 100, 3000])
    levels = chance.numbers(count, -most, most)
    sparse = chance.words(count) % np.uint64(chance.choose([1, 2, 5, 20, 200])) == 0
    levels = np.where(sparse, levels, 0)
    if chance.one_in(6):
        places = chance.order(count)[: chance.between(1, 8)]
        for place in places.tolist():
            size = 1 << chance.between(0, bits)
            levels[place] = (size - chance.below(2)) * (1 - 2 * chance.below(2))
    return levels.astype(np.int32).reshape(shape)


def _offsets(chance: Chance, count: int) -> npt.NDArray[np.int64]:
    most = chance.choose([1, 4, 30, 4000, _LARGEST_OFFSET])
    return chance.numbers(count, -most, most)


def _token_gains(chance: Chance, count: int) -> list[int]:
    """Gains of tokens, in quarters of an octave: small, at the limits, or beyond them."""
    most = chance.choose([1, 8, LARGEST_GAIN, LARGEST_GAIN + 1, 3000])
    return [int(gain) for gain in chance.numbers(count, -most, most)]


def _never(c: int, y: int, x: int, height: int, width: int) -> bool:
    return False


def _decide(chance: Chance) -> Split:
    """A decision for each block: never, always, or by a hash of its place."""
    factors = [chance.between(1, 1 << 16) for _ in range(5)]
    modulus = chance.choose([1, 2, 2, 3, 5])
    least = chance.choose([0, 1, 1, modulus])

    def decide(c: int, y: int, x: int, height: int, width: int) -> bool:
        values = (c, y, x, height, width)
        total = sum(a * (b + 1) for a, b in zip(factors, values, strict=True))
        return (total ^ total >> 7) % modulus >= least

    return decide
