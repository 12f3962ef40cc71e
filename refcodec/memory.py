"""Memory that is not there: the fault of the machine, not of the stream."""

from __future__ import annotations

from refcodec.errors import EnvironmentFault

__all__ = ["memory_for"]


def memory_for(what: str) -> MemoryFor:
    """Name what was too large where memory does not suffice. Raises EnvironmentFault in MemoryError's place.

    what : completes "there is not enough memory".
    """
    return MemoryFor(what)


class MemoryFor:
    """The context of `memory_for`; as there are several for each feature, no generator runs it."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Turn a MemoryError into an EnvironmentFault."""
        if kind is not None and issubclass(kind, MemoryError):
            raise EnvironmentFault(
                f"there is not enough memory {self._what}",
                hint="give the process more, or set max_level to what it can decode",
            ) from None
