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

Decode = Callable[[bytes, range, Samples], None]
"""Decode the data of a substream to the samples of its channels, which it fills: channels x H x W."""


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
    fps, ends = payload.fps, [*accumulate(payload.substreams), len(payload.data)]
    first, stop = channels_of(fps, wanted[0]).start, channels_of(fps, wanted[-1]).stop
    samples = np.empty((stop - first, fps.height, fps.width), np.int32)

    def decode_one(number: int) -> None:
        start = ends[number - 1] if number else 0
        one = channels_of(fps, number)
        own = samples[one.start - first : one.stop - first]
        try:
            decode(payload.data[start : ends[number]], one, own)
        except StreamError as error:
            error.bit_offset = payload.bit_offset + 8 * start
            raise

    for _ in in_parallel(decode_one, wanted, workers):
        pass
    return samples


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
