"""Figures of a running client or server: bytes, and milliseconds by stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np
import numpy.typing as npt

__all__ = ["Stats"]

_RECENT = 1000
"""Requests over which times are taken."""


class Stats:
    """Counts since the start, and times of the last thousand requests. Threads may share it.

    requests, images           : answered requests, and the images in them.
    failed                     : requests without an answer.
    connections                : connections that were made, or accepted.
    bytes_sent, bytes_received : of frames, with their headers.
    qp                         : QP of the last request, where a bit rate or a latency chooses it; else None.
    """

    def __init__(self) -> None:
        self._turn = Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew, after requests that only warm up."""
        with self._turn:
            self.requests = self.images = self.failed = self.connections = 0
            self.bytes_sent = self.bytes_received = 0
            self.qp: float | None = None
            self._recent: deque[Mapping[str, float]] = deque(maxlen=_RECENT)

    def answered(self, images: int, seconds: Mapping[str, float]) -> None:
        """Count a request; ``seconds`` are those of its stages, in their order."""
        with self._turn:
            self.requests += 1
            self.images += images
            self._recent.append(dict(seconds))

    def count(self, **more: int) -> None:
        """Add to counts: ``count(bytes_sent=120)``."""
        with self._turn:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)

    @property
    def ms(self) -> dict[str, float]:
        """Mean milliseconds of each stage, in their order; the last is the total."""
        return self._times(lambda column: float(np.mean(column)))

    def percentile(self, share: float) -> dict[str, float]:
        """Milliseconds of each stage that so many per cent of the requests stay within."""
        return self._times(lambda column: float(np.percentile(column, share)))

    def _times(self, summary: Callable[[npt.NDArray[np.float64]], float]) -> dict[str, float]:
        with self._turn:
            recent = list(self._recent)
        if not recent:
            return {}
        names = list(recent[-1])
        columns = {name: np.array([one.get(name, 0.0) for one in recent]) for name in names}
        columns["total"] = np.sum([*columns.values()], axis=0)
        return {name: 1e3 * summary(column) for name, column in columns.items()}
