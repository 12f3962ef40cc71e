"""Features divided among runs of ffmpeg, so that start-up time is negligible. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refcodec.pack import Layout

__all__ = ["Run", "runs_of"]


class Run(NamedTuple):
    """Most work of one run of ffmpeg.

    frames : most frames, unless one feature has more.
    bytes  : approximate raw bytes, at two a sample: some seconds of work, and runs for several processors.
    """

    frames: int
    bytes: int


def runs_of(layouts: Sequence[Layout], gop: int, most: Run) -> Iterator[range]:
    """Split features into runs: by access point where ``gop`` is given, else by size."""
    if gop:
        for start in range(0, len(layouts), gop):
            yield range(start, min(start + gop, len(layouts)))
        return
    start, frames, volume = 0, 0, 0
    for i, layout in enumerate(layouts):
        size = 2 * len(layout.qps) * layout.frame_height * layout.frame_width
        if i > start and (frames + len(layout.qps) > most.frames or volume + size > most.bytes):
            yield range(start, i)
            start, frames, volume = i, 0, 0
        frames += len(layout.qps)
        volume += size
    yield range(start, len(layouts))
