"""Encoding of one feature: several choices are coded, and the best is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import NO_ADVICE, Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.forwards import run_forwards
from refcodec.coders.native.encoder.prediction import find_prediction
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.gains import divided, gains_in
from refcodec.coders.native.head import (
    empty_head,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.transform import forward
from refcodec.contexts import Initial
from refcodec.entropy.arrays import Int32, Int64
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["encode_payload"]

_DEFAULT = Tuning()

_SAMPLED_CHANNELS = 8
"""One channel in this many is used to choose the largest block."""


def encode_payload(
    exact: npt.NDArray[Any],
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    tuning: Tuning = _DEFAULT,
    advice: Advice = NO_ADVICE,
    reference_feature: Int32 | None = None,
    initial: Initial | None = None,
) -> tuple[bytes, Int32]:
    """Code one feature.

    exact             : samples before rounding, float, C x H x W.
    advice            : weights of errors; or the choice to code, and then ``tuning`` has no effect.
    reference_feature : decoded samples of the preceding feature, to predict from.
    initial           : states and weights of a context model; None for those of the tables.

    Returns the payload and the decoded samples.
    """
    steps, bounds = step_sizes(fps, parameters), sample_bounds(fps)
    gains = advice.gains if advice.choice is None else gains_in(advice.choice.head)
    exact = divided(exact, gains)
    prediction = None
    if reference_feature is not None:
        prediction = find_prediction(exact, reference_feature, bounds)
    if advice.choice is not None:
        own = _with_room(advice.choice, fps)
        payload, coded = run_forwards(exact, own, steps, bounds, prediction, initial)
        return payload, coded.samples

    def cost(trial: tuple[bytes, Int32]) -> float:
        payload, samples = trial
        error = (divided(samples, gains) - exact) * (65536 / steps)[:, None, None]
        if advice.spectral:
            error = forward(error, *([0, side] for side in error.shape[1:]))
        weights = 1.0 if advice.weights is None else advice.weights
        return float((weights * error**2).sum()) + tuning.strength * 8 * len(payload)

    trials = []
    for block in _blocks_to_try(exact, steps, tuning):
        for slope in tuning.slopes if block else (0,):
            choice = choose(exact, steps, tuning, advice, block, slope, prediction=prediction)
            own = _with_room(choice, fps)
            payload, coded = run_forwards(exact, own, steps, bounds, prediction, initial)
            trials.append((payload, coded.samples))
    return min(trials, key=cost) if len(trials) > 1 else trials[0]


def _with_room(choice: Choice, fps: FeatureParameterSet) -> Choice:
    """A choice whose head has an entry for each token where these may have gains."""
    head = empty_head(fps)
    head[: len(choice.head)] = choice.head
    return replace(choice, head=head)


def _blocks_to_try(exact: npt.NDArray[Any], steps: Int64, tuning: Tuning) -> tuple[int, ...]:
    """Largest blocks to code with: all of the tuning's, or the best one on a subset of the channels."""
    if exact[0].size == 1:
        return (0,)
    longest = max(exact.shape[1:])
    blocks = tuple(b for b in tuning.blocks if b <= 16 or longest > 16) or tuning.blocks[:1]
    if tuning.exhaustive or len(blocks) == 1:
        return blocks
    if steps.mean() < 65536 * exact.std():  # many levels: blocks of 32 would be split anyway
        return blocks[:1]
    every = slice(None, None, _SAMPLED_CHANNELS)
    costs = [
        choose(exact[every], steps[every], tuning, NO_ADVICE, block, 0).cost for block in blocks
    ]
    return (blocks[int(np.argmin(costs))],)
