"""A coded feature, as payload coders receive it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CodedFeature"]


@dataclass(frozen=True, slots=True)
class CodedFeature:
    """One feature as its unit carries it.

    fps          : the feature parameter set that it refers to.
    parameters   : its feature_parameters(), its own or its batch's.
    sample_hash  : leading bytes of the SHA-256 of its samples; may be empty.
    access_point : whether decoding can begin here.
    payload      : coded samples.
    bit_offset   : position of the payload in the stream.
    """

    fps: Any
    parameters: Any
    sample_hash: bytes
    access_point: bool
    payload: bytes
    bit_offset: int
