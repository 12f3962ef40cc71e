"""Search for the coarsest setting that reaches a quality, or the finest that keeps to a size."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.allocate.alone import Floats
from refcodec.allocate.methods import Allocation, Ends, write_features
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.metrics import fidelity, signal_to_noise
from refcodec.registry import LARGEST_QP

__all__ = ["STRENGTHS", "Goal", "meet", "trials"]

STRENGTHS = tuple(2.0 ** (k / 2) for k in range(-6, 21))
"""Strengths of tail-aware encoding to choose among: from 1/8 to 1024, two per octave."""

_AT_ONCE = 16  # features that go through the tail together

_log = logging.getLogger("refcodec")


@dataclass(frozen=True, slots=True)
class Goal:
    """Target of coding, over all features: a size, or a quality of the network's output.

    fidelity : share of decisions that are kept, 0 to 1 (Hu et al. 2020, eq. 4 and 5).
    snr      : signal-to-noise ratio of the output, dB.
    size     : average bytes per feature, the whole stream counted; excludes the other two.

    Raises CallerError for values out of range, and for contradictory or missing targets.
    """

    fidelity: float | None = None
    snr: float | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.fidelity is not None and not 0 < self.fidelity <= 1:
            raise CallerError(f"target-fidelity is {self.fidelity}; it is above 0 and at most 1")
        if self.snr is not None and not 0 < self.snr <= 200:
            raise CallerError(f"target-snr is {self.snr}; it is in dB, above 0, at most 200")
        if self.size is not None and self.size < 1:
            raise CallerError(f"target-size is {self.size}; it is 1 or more")
        if (self.size is None) == (self.fidelity is None and self.snr is None):
            raise CallerError(
                "a target is a size, or what the output keeps: a fidelity, an SNR, or both"
            )

    def kept(self, outputs: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
        """True if outputs on decoded features are close enough to those on the original ones."""
        decided = self.fidelity is None or fidelity(outputs, wanted) >= self.fidelity
        return decided and (self.snr is None or signal_to_noise(outputs, wanted) >= self.snr)


def meet(
    goal: Goal,
    features: Floats,
    config: EncoderConfig,
    allocation: Allocation,
    ends: Ends,
    progress: Callable[[int], None] | None = None,
) -> tuple[bytes, float]:
    """Code features with the coarsest setting that reaches a quality, or the finest within a size.

    features : N x C x H x W, or N x D.
    config   : the coder. The search is over its QP, or for ``tail-aware`` over the strength.
    progress : called with the number of trials made, of `trials`.

    Returns the stream, and the QP or strength found by bisection: each trial codes all features, and for a
    quality decodes them and runs the tail. If the goal is out of reach, the nearest setting is used and a
    warning logged. Raises CallerError.
    """
    tail_aware = allocation.method == "tail-aware"
    if not (config.coder in LARGEST_QP or tail_aware) or config.lossless:
        raise CallerError(
            f"targets are met by the QP of hevc or native; the coder is {config.coder}",
            hint="choose one of these, and lossy",
        )
    if config.aims:
        raise CallerError("a target of all features leaves none to single ones")
    if tail_aware and "strength" in allocation.parameters:
        raise CallerError("a target finds the strength", hint="give one of them")
    wanted = None if goal.size else _outputs(ends, features)
    made = 0

    def trial(value: float) -> tuple[bytes, bool]:
        nonlocal made
        own, chosen = allocation, config
        if tail_aware:
            own = Allocation(allocation.method, {**allocation.parameters, "strength": value})
        else:
            chosen = config.but(qp=int(value))
        target = io.BytesIO()
        write_features(target, features, chosen, own, ends)
        made += 1
        if progress:
            progress(made)
        stream = target.getvalue()
        if wanted is None:
            return stream, len(stream) <= (goal.size or 0) * len(features)
        decoded = refcodec.open(io.BytesIO(stream), models=config.model)
        return stream, goal.kept(_outputs(ends, decoded), wanted)

    values = _values(config, allocation)
    stream, value, met = _last(values if wanted is not None else values[::-1], trial)
    if not met:
        name = "strength" if tail_aware else "QP"
        _log.warning("a target is out of reach: the features have %s %g", name, value)
    return stream, value


def trials(config: EncoderConfig, allocation: Allocation) -> int:
    """The most trials that `meet` makes."""
    return len(_values(config, allocation)).bit_length()


def _values(config: EncoderConfig, allocation: Allocation) -> Sequence[float]:
    """The settings to choose among, from fine to coarse."""
    return STRENGTHS if allocation.method == "tail-aware" else range(LARGEST_QP[config.coder] + 1)


def _last(
    values: Sequence[float], trial: Callable[[float], tuple[bytes, bool]]
) -> tuple[bytes, float, bool]:
    """Find by bisection the last value whose trial succeeds; if none does, the first one, with False."""
    low, high = 0, len(values) - 1
    best: tuple[bytes, float, bool] | None = None
    while low < high:
        middle = (low + high + 1) // 2
        stream, met = trial(values[middle])
        if met:
            best, low = (stream, values[middle], True), middle
        else:
            high = middle - 1
    if best is None:
        stream, met = trial(values[0])
        best = stream, values[0], met
    return best


def _outputs(ends: Ends, features: Any) -> npt.NDArray[Any]:
    """The network's outputs on features, computed batch by batch."""
    parts, waiting = [], []
    for number, feature in enumerate(features, 1):
        waiting.append(np.asarray(feature, np.float32))
        if len(waiting) == _AT_ONCE or number == len(features):
            with torch.inference_mode():
                parts.append(ends.tail(torch.from_numpy(np.stack(waiting))).numpy())
            waiting = []
    return np.concatenate(parts)
