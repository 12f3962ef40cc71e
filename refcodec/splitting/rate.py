"""The QP of each request: as configured, or what a bit rate or a target latency allows.

The configured QP is the finest that is used: controls only raise it.
"""

from __future__ import annotations

import math
from typing import Protocol

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import coder_named

__all__ = ["BitRate", "Constant", "Control", "Latency", "control_for"]

_HALVING = 6
"""Steps of the QP that are taken to halve the bytes. They take somewhat more: so the QP never overshoots."""

_LARGEST_STEP = 6
"""Change of the QP from one request to the next at most."""

_MEMORY = 0.5
"""Weight of the last request in running means."""

_BUCKET_SECONDS = 1.0
"""Seconds of the bit rate that the bucket holds."""


class Control(Protocol):
    """A choice of QPs. ``now`` is a clock, in seconds."""

    def choose(self, now: float) -> float | None:
        """The QP of the next request; None for the configured one."""

    def wait(self, bits: int, now: float) -> float:
        """Seconds to wait before a request of so many bits leaves."""

    def learn(self, seconds: float) -> None:
        """Take note of the time that a request took, from images to output."""


class Constant:
    """The configured QP."""

    def choose(self, now: float) -> float | None:
        """None: as configured."""
        return None

    def wait(self, bits: int, now: float) -> float:
        """No time."""
        return 0.0

    def learn(self, seconds: float) -> None:
        """Nothing depends on it."""


class BitRate:
    """A leaky bucket: requests fill it, and it drains at the bit rate.

    bit_rate : bits a second.
    finest   : the lowest QP, the configured one.
    coarsest : the largest QP of the coder.

    Each request aims at what drains in the time between two requests, and at a bucket that is half full. One
    that would make it overflow waits: a second has at most the bits of two, unless one request has more.
    """

    def __init__(self, bit_rate: float, finest: float, coarsest: float) -> None:
        self._rate, self._capacity = bit_rate, bit_rate * _BUCKET_SECONDS
        self._finest, self._coarsest = finest, coarsest
        self._qp = finest
        self._bits: float | None = None  # of the last request
        self._level, self._drained = 0.0, -math.inf
        self._asked, self._interval = -math.inf, 0.0

    def choose(self, now: float) -> float:
        """The QP whose bits the bucket has room for."""
        interval = now - self._asked
        if math.isfinite(interval):
            weight = _MEMORY if self._interval else 1.0
            self._interval += weight * (interval - self._interval)
        self._asked = now
        if self._bits is not None:
            self._drain(now)
            room = 2 * max(
                1 - self._level / self._capacity, 0.0
            )  # 1 for a bucket that is half full
            budget = max(self._rate * self._interval * room, 1.0)
            step = _HALVING * math.log2(self._bits / budget)
            step = min(max(step, -_LARGEST_STEP), _LARGEST_STEP)
            self._qp = min(max(round(self._qp + step), self._finest), self._coarsest)
        return self._qp

    def wait(self, bits: int, now: float) -> float:
        """The time until the bucket has room; it is charged with the bits."""
        self._drain(now)
        over = self._level + bits - max(self._capacity, bits)
        self._level += bits
        self._bits = bits
        return max(over / self._rate, 0.0)

    def learn(self, seconds: float) -> None:
        """The rate alone counts."""

    def _drain(self, now: float) -> None:
        if math.isfinite(self._drained):
            self._level = max(self._level - self._rate * (now - self._drained), 0.0)
        self._drained = now


class Latency:
    """A target for the time of a request: the QP rises while requests take longer, and falls otherwise.

    seconds          : the target.
    finest, coarsest : as of `BitRate`.
    """

    def __init__(self, seconds: float, finest: float, coarsest: float) -> None:
        self._target, self._mean = seconds, 0.0
        self._finest, self._coarsest, self._qp = finest, coarsest, float(finest)

    def choose(self, now: float) -> float:
        """The QP that recent requests ask for."""
        return round(self._qp)

    def wait(self, bits: int, now: float) -> float:
        """No time: it would be late."""
        return 0.0

    def learn(self, seconds: float) -> None:
        """Move the QP by the ratio of the time to the target: three steps for twice the time."""
        self._mean += (_MEMORY if self._mean else 1.0) * (seconds - self._mean)
        step = _HALVING / 2 * math.log2(self._mean / self._target)
        step = min(max(step, -_LARGEST_STEP), _LARGEST_STEP)
        self._qp = min(max(self._qp + step, self._finest), self._coarsest)


def control_for(config: EncoderConfig, bit_rate: float | None, latency: float | None) -> Control:
    """The control that a split asks for. Raises CallerError."""
    if bit_rate is None and latency is None:
        return Constant()
    if bit_rate is not None and latency is not None:
        raise CallerError("bit_rate and latency exclude each other", hint="choose one")
    name, value = ("bit_rate", bit_rate) if latency is None else ("latency", latency)
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise CallerError(f"{name} is {value!r:.60}; it is a number above 0")
    coarsest = coder_named(config.coder).largest_qp
    if coarsest is None or config.aims or isinstance(config.qp, tuple):
        raise CallerError(
            f"{name} chooses the QP of each request, and this configuration does not leave it one",
            hint="take a coder with QPs, such as native-static, and one qp for all channels",
        )
    kind = BitRate if latency is None else Latency
    return kind(float(value), config.qp, float(coarsest))
