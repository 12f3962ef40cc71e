"""Context models: units, changes, and the states and weights that payloads begin with (6.17, 8.3.14)."""

from __future__ import annotations

from typing import NamedTuple

from .bits import BitReader
from .codes import Level
from .models import Chances, ModelFile, begin_model_unit
from .refusal import require
from .tables import CENTRE, native_model, squash, stretch

# Flags, contexts and sets of the families, in the order of the table of 8.3.7.3.
FAMILIES = (
    (4, 480, 12), (6, 192, 4), (1, 192, 4), (11, 144, 4), (2, 144, 11), (1, 64, 4),
    (1, 48, 4), (6, 256, 2), (1, 144, 2), (6, 64, 2), (4, 960, 24),
)  # fmt: skip
INPUTS = 6
LARGEST_CHANGE = (1 << 11) - 1
LONGEST = 15  # bits of a magnitude, as 8.11.3 codes it
CHANCES_OF_CHANGES = 286


class ContextModel(NamedTuple):
    """States and weights that a payload begins with."""

    states: list[int]
    weights: list[int]


class CodedContextModel(NamedTuple):
    """coded_context_model() (6.17.2)."""

    weights_change: list[bool]
    states_change: list[bool]
    weight_shift: int
    state_shift: int
    state_count: int
    coded_changes: bytes


def parse_contexts(payload: bytes) -> tuple[int, CodedContextModel | ModelFile]:
    """Parse context_model_unit() (6.17); returns model_id, too."""
    read = BitReader(payload)
    model_id, file = begin_model_unit(read)
    if file is not None:
        return model_id, file
    weights_change = [read.flag() for _ in FAMILIES]
    states_change = [read.flag() for _ in FAMILIES]
    weight_shift, state_shift, state_count = read.u(4), read.u(4), read.u(7)
    read.align()
    return model_id, CodedContextModel(
        weights_change, states_change, weight_shift, state_shift, state_count, read.rest()
    )


def decode_context_model(coded: CodedContextModel, level: Level) -> ContextModel:
    """Change the tables as a model says (8.3.14.2, 8.3.14.3); no level limits it."""
    chances = Chances(coded.coded_changes, CHANCES_OF_CHANGES)
    sizes = [INPUTS * flags * sets for flags, _, sets in FAMILIES]
    weight_changes = decode_changes(chances, sizes, coded.weights_change)
    own = Chances(b"", CHANCES_OF_CHANGES)  # chances of their own, in the same bytes
    own.arithmetic = chances.arithmetic
    sizes = [INPUTS * flags * contexts for flags, contexts, _ in FAMILIES]
    state_changes = decode_changes(own, sizes, coded.states_change)
    own.finish("R8.3.13.2-1", "the changes do not end where their bytes do")
    states, weights = native_model()
    return ContextModel(
        [
            moved(state, change << coded.state_shift, coded.state_count) if change else state
            for state, change in zip(states, state_changes, strict=True)
        ],
        [
            weight + (change << coded.weight_shift)
            for weight, change in zip(weights, weight_changes, strict=True)
        ],
    )


def decode_changes(chances: Chances, sizes: list[int], present: list[bool]) -> list[int]:
    """The changes of all families, 0 in those that have none (8.3.14.2)."""
    changes: list[int] = []
    for size, coded in zip(sizes, present, strict=True):
        changes += decode_family(chances, size) if coded else [0] * size
    return changes


def decode_family(chances: Chances, size: int) -> list[int]:
    """The changes of one family, coded like weights (8.11.3)."""
    changes: list[int] = []
    last = second = 0  # magnitudes
    for _ in range(size):
        magnitude = chances.number(15 * (last + second).bit_length(), LONGEST)
        negative = magnitude > 0 and chances.arithmetic.bits(1)
        within = magnitude <= LARGEST_CHANGE
        require(within, "payload", "R8.3.13.2-1", f"a change of magnitude {magnitude}")
        changes.append(-magnitude if negative else magnitude)
        last, second = magnitude, last
    return changes


def moved(state: int, change: int, count: int) -> int:
    """A state, moved in the logistic domain (8.3.14.3)."""
    place = min(max(stretch()[state >> 18] + change, -CENTRE), CENTRE)
    return squash()[place + CENTRE] << 14 | count
