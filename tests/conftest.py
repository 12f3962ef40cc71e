"""What several test modules share: one thread, hypothesis without a clock, and streams taken apart."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import pytest
from hypothesis import settings

from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import build_unit, read_unit

# two processes of tests with a thread for each processor get in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("refcodec", deadline=None, derandomize=True)
settings.load_profile("refcodec")


@dataclass
class Parts:
    """A stream as its header and its (unit_type, payload) pairs, which a test may change."""

    header: bytes
    units: list[tuple[Any, bytes]]

    @classmethod
    def of(cls, data: bytes) -> Self:
        source, offset, units = io.BytesIO(data[STREAM_HEADER_SIZE:]), STREAM_HEADER_SIZE, []
        while unit := read_unit(source, offset, 1 << 32):
            units.append((unit.unit_type, unit.payload))
            offset = unit.end
        return cls(data[:STREAM_HEADER_SIZE], units)

    def join(self) -> bytes:
        """The stream again, with right sizes and CRCs."""
        return self.header + b"".join(build_unit(kind, payload) for kind, payload in self.units)

    def find(self, kind: int) -> int:
        """Position of the first unit of that type."""
        return next(i for i, (own, _) in enumerate(self.units) if own == kind)

    def change(self, kind: int, change: Callable[[bytes], bytes]) -> bytes:
        """The stream with the payload of the first unit of that type changed."""
        at = self.find(kind)
        self.units[at] = (kind, change(self.units[at][1]))
        return self.join()


@pytest.fixture(scope="session")
def take_apart() -> Callable[[bytes], Parts]:
    """``take_apart(data).join() == data``."""
    return Parts.of
