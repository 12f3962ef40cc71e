"""Context models: initial states and weights of the native coder for features of one kind (clause 8.3.14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.entropy.mixing import mix, stretch
from refcodec.entropy.model_bits import NEW_CHANCE
from refcodec.errors import PayloadError, StreamError
from refcodec.kernel import kernel
from refcodec.networks.weights import WEIGHT_CHANCES, code_weights
from refcodec.stored_model import StoredModel
from refcodec.syntax.codes import Profile, UnitType
from refcodec.syntax.structures import CODED_CONTEXT_MODEL, CodedContextModel
from refcodec.tables import Level, native_model
from refcodec.tables.families import FAMILIES, INPUTS, STATES, WEIGHT_SETS, Family

__all__ = [
    "LARGEST_CHANGE",
    "Changes",
    "ContextModel",
    "Initial",
    "built_in",
    "encode_changes",
    "states_of",
    "weights_of",
]

CHANGE_BITS = 12
"""Bits of a change, with a sign."""

LARGEST_CHANGE = (1 << (CHANGE_BITS - 1)) - 1


class Initial(NamedTuple):
    """Beginning of a payload of the native coder: states, int32, and weights, int64, of all families."""

    states: Int32
    weights: Int64

    def copy(self) -> Initial:
        """Arrays of its own, which a payload adapts."""
        return Initial(self.states.copy(), self.weights.copy())


class Changes(NamedTuple):
    """Differences from the tables, before they are shifted, of all families.

    weights : int32, of each weight.
    states  : int32, of each state, in the logistic domain.
    """

    weights: Int32
    states: Int32


def built_in() -> Initial:
    """The states and weights of the tables, which are not to be changed."""
    return Initial(*native_model())


def no_changes() -> Changes:
    """Changes of nothing."""
    return Changes(np.zeros(INPUTS * WEIGHT_SETS, np.int32), np.zeros(STATES, np.int32))


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.14.2")
def decode_changes(coded: CodedContextModel) -> Changes:
    """(8.3.14.2) The changes of a context model. Raises PayloadError."""
    changes = no_changes()
    data = np.frombuffer(bytearray(coded.coded_changes), np.uint8)  # kernels want it writable
    coder = np.zeros(CODER_SIZE, np.int64)
    start_decoding(coder, data)
    if not code_changes(coder, data, coded, changes):
        raise _refusal(f"a change has more than {CHANGE_BITS} bits")
    if not finish_decoding(coder, data):
        raise _refusal("the changes do not end where their bytes do")
    return changes


@clause("8.3.14.2")
def code_changes(coder: Int64, data: Uint8, coded: CodedContextModel, changes: Changes) -> bool:
    """(8.3.14.2) Code the changes of the families that have any; false where one has too many bits."""
    sound = True
    chances = np.full(WEIGHT_CHANCES, NEW_CHANCE)
    for family, changed in zip(FAMILIES.values(), coded.weights_change_flag, strict=True):
        if changed and sound:
            own = changes.weights[weights_of(family)].reshape(1, 1, -1, INPUTS)
            sound = bool(code_weights(coder, data, chances, CHANGE_BITS, own))
    chances = np.full(WEIGHT_CHANCES, NEW_CHANCE)
    for family, changed in zip(FAMILIES.values(), coded.states_change_flag, strict=True):
        if changed and sound:
            own = changes.states[states_of(family)].reshape(1, 1, -1, family.contexts)
            sound = bool(code_weights(coder, data, chances, CHANGE_BITS, own))
    return sound


@clause("8.3.14.3")
def changed_tables(coded: CodedContextModel, changes: Changes) -> Initial:
    """(8.3.14.3) The states and weights of the tables, changed as a context model says."""
    initial = built_in().copy()
    apply_changes(
        *initial, changes.states, changes.weights,
        coded.state_shift, coded.weight_shift, coded.state_count,
    )  # fmt: skip
    return initial


@kernel
def apply_changes(
    states: Int32, weights: Int64, state_changes: Int32, weight_changes: Int32,
    state_shift: int, weight_shift: int, state_count: int,
) -> None:  # fmt: skip
    """(8.3.14.3) Change states and weights of the tables; a state without a change stays as it is."""
    for i in range(weights.shape[0]):
        weights[i] = int(weights[i]) + int(weight_changes[i]) * (1 << weight_shift)
    for i in range(states.shape[0]):
        change = int(state_changes[i])
        if change != 0:
            moved = stretch(states, i) + change * (1 << state_shift)
            states[i] = (mix(moved * 65536) << 14) + state_count


def weights_of(family: Family) -> slice:
    """The place of the weights of a family."""
    first = INPUTS * family.first_set
    return slice(first, first + INPUTS * family.flags * family.sets)


def states_of(family: Family) -> slice:
    """The place of the states of a family."""
    return slice(family.first_state, family.first_state + INPUTS * family.flags * family.contexts)


# --- constraints, and what an encoder needs --------------------------------------------------------


class ContextModel(StoredModel):
    """Initial states and weights of the native coder for features of one kind.

    Short features, such as a vector or a few tokens, then begin with what the coder would else learn anew
    in each of them. Make one by `refcodec.fit_contexts`; keep it by `save`; give it to an encoder as
    ``contexts``.
    """

    unit_type = UnitType.CONTEXT_MODEL
    element = "contexts"
    profile = Profile.NATIVE

    def __init__(self, coded: CodedContextModel) -> None:
        """Decode a model. Raises PayloadError for changes that do not end where their bytes do."""
        self.coded = coded
        self.initial = changed_tables(coded, decode_changes(coded))
        """States and weights, not to be changed: a payload begins with copies of them."""

    def __repr__(self) -> str:
        return f"<ContextModel: changes in {len(self.coded.coded_changes)} bytes>"

    @property
    def changes(self) -> Changes:
        """Differences from the tables, decoded anew, as only people ask for them."""
        return decode_changes(self.coded)

    @staticmethod
    def check(
        coded: CodedContextModel, limits: Level, bit_offset: int | None = None
    ) -> Iterator[StreamError]:
        """Yield nothing: a context model has the same numbers at every level."""
        return iter(())


def encode_changes(
    changes: Changes, *, state_shift: int, weight_shift: int, state_count: int
) -> CodedContextModel:
    """Write a context model.

    changes      : magnitudes at most LARGEST_CHANGE.
    state_shift  : units of changes of states are 2^state_shift / 256, in the logistic domain; 0 to 15.
    weight_shift : units of changes of weights are 2^weight_shift / 65536; 0 to 15.
    state_count  : decisions that a changed state counts as having seen, 0 to 127.
    """
    families = FAMILIES.values()
    elements = {
        "weights_change_flag": [changes.weights[weights_of(one)].any() for one in families],
        "states_change_flag": [changes.states[states_of(one)].any() for one in families],
        "weight_shift": weight_shift,
        "state_shift": state_shift,
        "state_count": state_count,
        "coded_changes": b"",
    }
    coded = CODED_CONTEXT_MODEL.make(elements)
    output = np.zeros(1024 + 4 * (changes.weights.size + changes.states.size), np.uint8)
    coder = np.zeros(CODER_SIZE, np.int64)
    start_encoding(coder)
    coder[DIRECTION] = 1
    sound = code_changes(coder, output, coded, Changes(*(one.copy() for one in changes)))
    assert sound  # callers keep to the bits
    data = output[: finish_encoding(coder, output)].tobytes()
    return CODED_CONTEXT_MODEL.make(elements | {"coded_changes": data})


def _refusal(what: str) -> PayloadError:
    return PayloadError(f"context model: {what}", clause="8.3.14.2")
