"""Video standards whose coded frames payloads hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Standard"]


def _concatenate(parameter_sets: bytes, payloads: bytes) -> bytes:
    """The parameter sets once, then the payloads."""
    return parameter_sets + payloads


@dataclass(frozen=True, slots=True)
class Standard:
    """A video standard whose coded frames payloads hold.

    name     : for messages.
    article  : that precedes the name.
    clause   : of its coder, whose first requirement is that on byte streams.
    assemble : the byte stream for a decoder of the standard, of parameter_sets and payloads.
    """

    name: str
    article: str
    clause: str
    assemble: Callable[[bytes, bytes], bytes] = _concatenate
