"""Substreams of a payload: clauses 8.3.9 and 8.3.11."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from .syntax import FeatureParameterSet


def substreams_of(
    payload: bytes, sizes: Sequence[int], fps: FeatureParameterSet
) -> Iterator[tuple[bytes, slice]]:
    """Each substream of a payload with its channels; ``sizes`` are those of all but the last."""
    count = len(sizes) + 1
    for i, (start, end) in enumerate(pairwise([0, *accumulate(sizes), len(payload)])):
        channels = slice(i * fps.channels // count, (i + 1) * fps.channels // count)
        yield payload[start:end], channels
