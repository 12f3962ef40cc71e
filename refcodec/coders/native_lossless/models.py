"""Models of the context mode: states and weights, and how they predict and adapt (clause 8.3.8.2)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from refcodec.clauses import clause
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.mixing import adapt, mix, stretch
from refcodec.kernel import kernel

__all__ = [
    "BIT_CHANNEL",
    "BIT_PLACE",
    "BIT_WEIGHTS",
    "REPEAT_PLACE",
    "REPEAT_RUN",
    "REPEAT_WEIGHTS",
    "SIGN_PATTERN",
    "SIGN_PLACE",
    "SIGN_WEIGHTS",
    "STATES",
    "STEP_DEPTH",
    "STEP_PLACE",
    "STEP_WEIGHTS",
    "WEIGHTS",
    "ZERO_PATTERN",
    "ZERO_PLACE",
    "ZERO_WEIGHTS",
    "begin_channel",
    "initial_model",
    "learn",
    "predict",
]

# the states
ZERO_PATTERN = 0  # [which of five neighbours are not zero], of this channel
ZERO_PLACE = ZERO_PATTERN + 32  # [expected value][spread]
SIGN_PATTERN = ZERO_PLACE + 32 * 16  # [zero][sign west][sign north]
SIGN_PLACE = SIGN_PATTERN + 2 * 9  # [expected value][its sign][spread]
REPEAT_RUN = SIGN_PLACE + 128  # [last three outcomes]
REPEAT_PLACE = REPEAT_RUN + 8  # [which other neighbours are equal]
STEP_PLACE = REPEAT_PLACE + 8  # [step][distance][spread]
STEP_DEPTH = STEP_PLACE + 7 * 64 * 8  # [depth][distance]
BIT_PLACE = STEP_DEPTH + 32 * 64  # [bit][distance][spread]
BIT_CHANNEL = BIT_PLACE + 6 * 32 * 8  # [depth][bits before], of this channel
STATES = BIT_CHANNEL + 16 * 8

# the weights, in units of 2^-16
ZERO_WEIGHTS = 0
SIGN_WEIGHTS = ZERO_WEIGHTS + 2
REPEAT_WEIGHTS = SIGN_WEIGHTS + 2
STEP_WEIGHTS = REPEAT_WEIGHTS + 2  # two each for seven steps
BIT_WEIGHTS = STEP_WEIGHTS + 14  # two each for six bits
WEIGHTS = BIT_WEIGHTS + 12

RATE = 4
"""Learning rate of the weights."""

WORD_COUNT_LIMIT = 255
"""Greatest count of a state."""

CHANNEL_COUNT_LIMIT = 16
"""Largest count of a channel's own states at the start of the next channel: they adapt quickly again."""


# --- normative -------------------------------------------------------------------------------------


@cache
def _trained_model() -> tuple[Int32, Int64]:
    """(8.3.8.2) The trained states and weights, from the table."""
    text = (files("refcodec.tables") / "floats.txt").read_text(encoding="ascii")
    lines = (line for line in text.split("\n") if not line.startswith("#"))
    numbers = np.array(" ".join(lines).split(), dtype=np.int64)
    states, weights = numbers[:STATES], numbers[STATES:]
    probabilities, counts = states >> 6, states & 63
    return ((2 * probabilities + 1) << 17 | counts).astype(np.int32), weights


@clause("8.3.8.2")
def initial_model() -> tuple[Int32, Int64]:
    """(8.3.8.2) Fresh copies of the states and weights with which every feature begins.

    In ``tables/floats.txt`` a state is its probability of a 1 in units of 2^-12, rounded down, times 64,
    plus its count; its probability begins in the middle of that unit. Weights are in units of 2^-16.
    """
    states, weights = _trained_model()
    return states.copy(), weights.copy()


@kernel
def predict(states: Int32, weights: Int64, at: int, first: int, second: int) -> int:
    """(8.3.8.2) The probability of a 1 from two states, mixed, in units of 2^-16."""
    total = int(weights[at]) * stretch(states, first)
    return mix(total + int(weights[at + 1]) * stretch(states, second))


@kernel
def learn(
    states: Int32, weights: Int64, at: int, first: int, second: int, chance: int, bit: int
) -> None:
    """(8.3.8.2) Adapt two states, and their weights, to the outcome of a decision."""
    error = ((bit << 16) - chance) * RATE
    adapt(states, first, weights, at, stretch(states, first), error, bit, WORD_COUNT_LIMIT)
    adapt(states, second, weights, at + 1, stretch(states, second), error, bit, WORD_COUNT_LIMIT)


@kernel
def begin_channel(states: Int32) -> None:
    """(8.3.8.2) Let the states of a channel adapt quickly again."""
    for i in range(160):
        at = BIT_CHANNEL + i
        if i >= 128:
            at = ZERO_PATTERN + i - 128
        state = int(states[at])
        states[at] = ((state >> 8) << 8) | min(state & 0xFF, CHANNEL_COUNT_LIMIT)
