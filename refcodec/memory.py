"""Memory that is not there: the fault of the machine, not of the stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from refcodec.errors import EnvironmentFault

__all__ = ["memory_for"]


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Name what was too large where memory does not suffice. Raises EnvironmentFault in MemoryError's place.

    what : completes "there is not enough memory".
    """
    try:
        yield
    except MemoryError:
        raise EnvironmentFault(
            f"there is not enough memory {what}",
            hint="give the process more, or set max_level to what it can decode",
        ) from None
