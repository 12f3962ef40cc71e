"""Decisions, families and contexts of the native coder: clause 8.3.7.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .arithmetic import ArithmeticDecoder, Mixer
from .contexts import ContextModel
from .tables import native_model

INPUTS = 6
STATE_LIMIT = 127
LONGEST_UNARY = 14
BUCKETS = (1, 2, 3, 5, 7, 11, 17, 29, 51, 101, 181)  # least values of the buckets 1 to 11


class Family(NamedTuple):
    """A row of the table of families."""

    first_state: int
    flags: int
    contexts: int
    first_set: int


COEFFICIENT = Family(0, 4, 480, 0)
DC = Family(11520, 6, 192, 48)
DC_SIGN = Family(18432, 1, 192, 72)
LAST = Family(19584, 11, 144, 76)
LAST_REST = Family(29088, 2, 144, 120)
SPLIT = Family(30816, 1, 64, 142)
TEMPORAL = Family(31200, 1, 48, 146)
SAMPLE = Family(31488, 6, 256, 150)
SAMPLE_SIGN = Family(40704, 1, 144, 162)
CORRECTION = Family(41568, 6, 64, 164)
DEPENDENT = Family(43872, 4, 960, 176)


class Decisions:
    """The decisions of a payload, with the states and weights that all families share."""

    def __init__(self, payload: bytes, begun: ContextModel | None = None) -> None:
        self.arithmetic = ArithmeticDecoder(payload)
        self.mixer = Mixer(self.arithmetic, *(begun or native_model()), STATE_LIMIT)

    def decide(self, family: Family, weight_set: int, flag: int, contexts: Sequence[int]) -> int:
        """One decision of a family, with a context for each input."""
        at = family.first_state + flag * family.contexts
        stride = family.flags * family.contexts
        chosen = [at + i * stride + context for i, context in enumerate(contexts)]
        first = INPUTS * (family.first_set + weight_set * family.flags + flag)
        return self.mixer.decide(chosen, first)

    def magnitude(
        self, family: Family, weight_set: int, contexts: Sequence[int], most: int, order: int,
        least: int = 0,
    ) -> int:  # fmt: skip
        """A magnitude of at least ``least``; from ``most`` on, an Exp-Golomb code of an order."""
        for value in range(least, most):
            flag = min(value, family.flags - 1)
            if not self.decide(family, weight_set, flag, contexts):
                return value
        return most + self.arithmetic.golomb(order)

    def sign(self, magnitude: int) -> int:
        """A magnitude with a sign of equal probability; none where it is 0."""
        return -magnitude if magnitude and self.arithmetic.bit(1 << 15) else magnitude


def bucket(value: int) -> int:
    """Coarse logarithm of a non-negative number, at most 11."""
    if value < 3:
        return value
    return sum(value >= least for least in BUCKETS)


def size_class(height: int, width: int) -> int:
    """Class of the size of a block: up to 16, 64 or 256 samples, or more."""
    return sum(height * width > most for most in (16, 64, 256))


def sign_class(value: int) -> int:
    """0, 1 or 2 for zero, positive or negative."""
    return 0 if value == 0 else 1 if value > 0 else 2
