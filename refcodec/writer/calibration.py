"""Context models fitted to features: what the native coder learns in them, for others of their kind.

The features are coded, and the contents of their payloads are coded again and again with states and weights
that go from feature to feature. All of that is of integers: payloads determine the model, on any machine.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.coder import initial_of
from refcodec.coders.native.recording import Recording, record
from refcodec.coders.protocol import Payload, Reference
from refcodec.config import EncoderConfig
from refcodec.contexts import (
    LARGEST_CHANGE,
    Changes,
    ContextModel,
    Initial,
    built_in,
    encode_changes,
)
from refcodec.entropy.mixing import STRETCH
from refcodec.errors import CallerError
from refcodec.probability.store import ModelStore
from refcodec.ranges import convert_reference
from refcodec.registry import CoderRecord, coder_named, record_of
from refcodec.stream.walk import payloads_of
from refcodec.tables.families import INPUTS, STATES, WEIGHT_SETS
from refcodec.writer import create

__all__ = ["contexts_of", "fit_contexts"]

Integers = npt.NDArray[np.int64]

_STATE_SHIFT = 6
"""Changes of states are in quarters of a natural logarithm of odds: finer ones save nothing."""

_WEIGHT_SHIFT = 12
"""Changes of weights are in sixteenths."""

_STATE_COUNT = 40
"""Decisions that a changed state counts as having seen."""

_LEAST = (None, 8192, 1024)
"""Least effects of states that are changed, to choose among; None for no states. The effect of a state is
the square of its change, in units of 1/256, times the share of the features that meet it."""


def fit_contexts(features: Iterable[Any], *, expected: int = 1000, **options: Any) -> ContextModel:
    """Fit a context model to features of one kind, as they will be coded.

    features : C x H x W, T x D or D; some hundred are enough. They are held, coded, in memory.
    expected : number of features that are to share the model: the more they are, the larger it may be.
    options  : those of `refcodec.encode`, of the coder ``native``, with which such features will be coded.

    Raises CallerError for fewer than two features, for another coder, and for contexts among the options.
    """
    config = EncoderConfig(**{"coder": "native", **options})
    _require_native(coder_named(config.coder))
    if config.contexts is not None:
        raise CallerError("contexts have no effect here: they are what is fitted")
    target = io.BytesIO()
    with create(target, config) as writer:
        for feature in features:
            writer.write(feature)
    store = ModelStore(() if config.model is None else (config.model,))
    return contexts_of(payloads_of(io.BytesIO(target.getvalue())), expected, store)


def contexts_of(
    payloads: Iterable[Payload], expected: int = 1000, models: ModelStore | None = None
) -> ContextModel:
    """Fit a context model to payloads of the native coder, of which these bytes alone determine it.

    expected : as of `fit_contexts`.
    models   : those that the payloads name without their stream's holding them.

    Raises CallerError, StreamError.
    """
    if expected < 1:
        raise CallerError(f"expected is {expected}; it is a number of features, 1 or more")
    recordings = _recordings(payloads, models or ModelStore())
    if len(recordings) < 2:
        raise CallerError(
            f"a context model is not fitted to {len(recordings)} features",
            hint="give it some hundred of their kind",
        )
    fitted, kept = recordings[::2], recordings[1::2]
    known = _Met.of(fitted)

    def cost(least: int | None) -> int:
        """Bytes of the model, and of the expected features, times the number of features kept apart."""
        model = _model(fitted, known, least)
        return len(model.payload) * len(kept) + expected * _size(kept, model.initial)

    return _model(recordings, _Met.of(recordings), min(_LEAST, key=cost))


def _recordings(payloads: Iterable[Payload], models: ModelStore) -> list[Recording]:
    """Decode payloads to their contents. Raises CallerError for those of another coder."""
    found: list[Recording] = []
    previous: Reference | None = None
    for payload in payloads:
        _require_native(record_of(payload.fps.coder_id))
        reference = None if payload.access_point else previous
        converted = None
        if reference is not None:
            converted = convert_reference(
                reference.samples, reference.parameters, payload.parameters, payload.fps
            )
        one, samples = record(payload, converted, initial_of(payload, models))
        previous = Reference(samples, payload.parameters)
        found.append(one)
    return found


def _require_native(coder: CoderRecord) -> None:
    if coder.contexts_id is None:
        raise CallerError(f"a context model is for the coder native, not for {coder.name}")


class _Met(NamedTuple):
    """Course of the states while features are coded in a row.

    features : that met each state.
    mean     : of the state after each of these, in the logistic domain.
    """

    features: Integers
    mean: Integers

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> _Met:
        """Code features in a row, beginning with the tables."""
        begun = built_in().copy()
        features, total = np.zeros((2, STATES), np.int64)
        for one in recordings:
            before = begun.states.copy()
            one.code(begun)
            met = begun.states != before
            features += met
            total[met] += _logistic(begun.states[met])
        return cls(features, total // np.maximum(features, 1))


def _logistic(states: npt.NDArray[np.int32]) -> Integers:
    """States in the logistic domain."""
    found: Integers = STRETCH[(states >> 18) & 0xFFF].astype(np.int64)
    return found


def _model(recordings: Sequence[Recording], known: _Met, least: int | None) -> ContextModel:
    """The model of some features, whose states change where their effect is at least ``least``."""
    states = np.zeros(STATES, np.int32)
    if least is not None:
        moved = known.mean - _logistic(built_in().states)
        effective = known.features * moved**2 >= least * len(recordings)
        states[effective] = _shifted(moved[effective], _STATE_SHIFT)
    initial = _coded(Changes(np.zeros(INPUTS * WEIGHT_SETS, np.int32), states)).initial
    weights, total = initial.weights.copy(), np.zeros_like(initial.weights)
    for one in recordings:
        one.code(Initial(initial.states.copy(), weights))
        total += weights
    moved = total // len(recordings) - initial.weights
    return _coded(Changes(_shifted(moved, _WEIGHT_SHIFT), states))


def _coded(changes: Changes) -> ContextModel:
    """The model of changes."""
    return ContextModel(
        encode_changes(
            changes,
            state_shift=_STATE_SHIFT,
            weight_shift=_WEIGHT_SHIFT,
            state_count=_STATE_COUNT,
        )
    )


def _shifted(moved: Integers, shift: int) -> npt.NDArray[np.int32]:
    """Differences in units of 2^shift, rounded."""
    magnitudes = np.minimum((np.abs(moved) + (1 << shift >> 1)) >> shift, LARGEST_CHANGE)
    found: npt.NDArray[np.int32] = (np.sign(moved) * magnitudes).astype(np.int32)
    return found


def _size(recordings: Sequence[Recording], initial: Initial) -> int:
    """Bytes of features of which each begins with the same states and weights."""
    return sum(one.code(initial.copy()) for one in recordings)
