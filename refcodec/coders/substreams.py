"""Substreams: payloads of consecutive channels that make up the payload of a feature (clause 8.3.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.parallel import in_parallel
from refcodec.coders.protocol import Payload, Samples
from refcodec.errors import StreamError
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["Decode", "channels_of", "decode_some", "decode_substreams"]

Decode = Callable[[bytes, range], Samples]
"""Decode the data of a substream to the samples of its channels, channels x H x W."""


@clause("8.3.9")
def channels_of(fps: FeatureParameterSet, substream: int) -> range:
    """(8.3.9) The channels of a substream."""
    count = fps.substream_count
    return range(substream * fps.channels // count, (substream + 1) * fps.channels // count)


def decode_substreams(
    payload: Payload, wanted: Sequence[int], workers: int, decode: Decode
) -> Samples:
    """Decode consecutive substreams of a feature by several threads; their channels x H x W.

    Raises StreamError with the position of the substream, and what ``decode`` raises.
    """
    ends = [*accumulate(payload.substreams), len(payload.data)]

    def decode_one(number: int) -> Samples:
        start = ends[number - 1] if number else 0
        try:
            return decode(payload.data[start : ends[number]], channels_of(payload.fps, number))
        except StreamError as error:
            error.bit_offset = payload.bit_offset + 8 * start
            raise

    return np.concatenate(list(in_parallel(decode_one, wanted, workers)))


def decode_some(
    payload: Payload, channels: range, workers: int, decode: Decode
) -> tuple[Samples, int] | None:
    """Decode the substreams that have some channels, and the number of the first channel decoded.

    None where the payload has no substreams. Raises as `decode_substreams` does.
    """
    if not payload.substreams:
        return None
    groups = [channels_of(payload.fps, one) for one in range(payload.fps.substream_count)]
    wanted = [
        number
        for number, one in enumerate(groups)
        if one.start < channels.stop and channels.start < one.stop
    ]
    return decode_substreams(payload, wanted, workers, decode), groups[wanted[0]].start
