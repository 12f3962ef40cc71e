"""Random numbers that are the same on every machine: SplitMix64, from a hash of the seed.

Integers alone, so that no library, no version of Python and no processor can change a stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Chance"]

T = TypeVar("T")

_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Chance:
    """A sequence of random choices.

    seed : words and numbers that name the sequence.
    """

    def __init__(self, *seed: str | int) -> None:
        text = " ".join(map(str, seed))
        self._state = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """The next words of 64 bits."""
        steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_STEP)
        words = steps + np.uint64(self._state)
        self._state = (self._state + count * _STEP) & _MASK
        words ^= words >> np.uint64(30)
        words *= np.uint64(0xBF58476D1CE4E5B9)
        words ^= words >> np.uint64(27)
        words *= np.uint64(0x94D049BB133111EB)
        words ^= words >> np.uint64(31)
        return words

    def below(self, most: int) -> int:
        """A number of 0..``most`` - 1, of at most 64 bits; all are as likely, but for 2^-64 of them."""
        self._state = (self._state + _STEP) & _MASK
        word = self._state
        word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) & _MASK
        return ((word ^ word >> 31) * most) >> 64

    def between(self, least: int, most: int) -> int:
        """A number of ``least``..``most``."""
        return least + self.below(most - least + 1)

    def one_in(self, count: int) -> bool:
        """True once in so many times."""
        return self.below(count) == 0

    def choose(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def number(self, least: int, most: int) -> int:
        """A number of ``least``..``most``: a bound, the middle, near 0, or any, each as often."""
        match self.below(6):
            case 0:
                return least
            case 1:
                return most
            case 2:
                return (least + most) // 2
            case 3 if least <= 0:
                return min(self.below(4), most)
            case 4:
                size = self.between(0, (most - least).bit_length())
                return least + min(self.below(1 << size), most - least)
            case _:
                return self.between(least, most)

    def numbers(self, count: int, least: int, most: int) -> npt.NDArray[np.int64]:
        """Numbers of ``least``..``most``, at most 2^63: all bounds, all alike, or any."""
        if self.one_in(4):
            return np.full(count, self.number(least, most), np.int64)
        words = self.words(count)
        span = most - least + 1
        drawn = (words >> np.uint64(1)).astype(np.int64) % span if span < 1 << 62 else None
        if drawn is None:
            drawn = np.array([self.between(0, span - 1) for _ in range(count)], np.int64)
        if self.one_in(3):
            drawn = np.where(words & np.uint64(1 << 40) > 0, 0, span - 1)
        return least + drawn

    def bytes(self, count: int) -> bytes:
        """Random bytes."""
        return self.words(-(-count // 8)).astype("<u8").tobytes()[:count]

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """A permutation of 0..``count`` - 1."""
        return np.argsort(self.words(count), kind="stable").astype(np.int64)

    def parts(self, total: int, most: int) -> list[int]:
        """Sizes of at least 1 and at most ``most`` that add up to a total."""
        found = []
        while total:
            found.append(min(total, self.number(1, most)))
            total -= found[-1]
        return found
