"""Tuning: the choices that an encoder tries, by speed."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Tuning", "restoration_of", "tuning_of"]


@dataclass(frozen=True, slots=True)
class Tuning:
    """The choices that an encoder tries for a feature.

    blocks      : largest block sides to choose among; 0 codes samples without a transform.
    exhaustive  : true to code the feature with each of them, instead of estimating.
    depths      : number of times that blocks of 16 may be split; blocks of 32 once more.
    strength    : Lagrange multiplier of a bit, in squared steps.
    slopes      : frequency slopes to choose among.
    restoration : mode of restoration, 0, 1 or 2; None chooses by the size of a channel.
    dependent   : true for dependent quantisation, where there is a transform.
    """

    blocks: tuple[int, ...] = (16, 32)
    exhaustive: bool = False
    depths: int = 2
    strength: float = 0.04
    slopes: tuple[int, ...] = (0,)
    restoration: int | None = None
    dependent: bool = False


_SPEEDS = {
    "fast": Tuning(blocks=(16,), depths=1, strength=0.0),
    "default": Tuning(),
    "best": Tuning(blocks=(16, 32), exhaustive=True),
}

_DEPENDENT_STRENGTH = 0.05
"""Lagrange multiplier of dependent quantisation, whose steps are coarser."""

_RESTORATIONS = {"off": 0, "mean": 1, "channel": 2, "auto": None}


def tuning_of(speed: str, restoration: str, *, dependent: bool = False) -> Tuning:
    """The tuning of a speed, with the restoration and the quantisation of a configuration."""
    tuning = replace(_SPEEDS[speed], restoration=restoration_of(restoration))
    return replace(tuning, dependent=True, strength=_DEPENDENT_STRENGTH) if dependent else tuning


def restoration_of(name: str) -> int | None:
    """The mode of restoration of a configuration; None for one chosen by the size of a channel."""
    return _RESTORATIONS[name]
