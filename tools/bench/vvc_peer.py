"""A3, the strongest VVC found: 10-bit uniform, channels tiled into one frame, vvenc, all intra.

Samples, tiles and ranges are those of A2; parameter sets are counted once.
"""

from __future__ import annotations

import numpy as np
from coding import timed

from refcodec.coders.ffmpeg import VVC_PROGRAM, decode_video
from refcodec.coders.protocol import Machine
from refcodec.coders.video.portions import VideoFrames
from refcodec.coders.vvc.encoding import encode_with
from refcodec.evaluate import peers
from refcodec.evaluate.peers import PEERS, RANGE_BYTES, Floats

__all__ = ["A3", "PRESET", "TOOLS"]

PRESET = "medium"

TOOLS = "MTS=1"
"""Further options of vvenc: the best of the search of docs/results/vvc.rst."""

_TIMEOUT = 86_400.0  # seconds: no measurement is cut short


class A3:
    """The peer, set up for features of one shape.

    maps   : float32, N x C x H x W.
    preset : of vvenc.
    tools  : further options of vvenc.
    """

    def __init__(self, maps: Floats, preset: str = PRESET, tools: str = TOOLS) -> None:
        self._coded = peers.quantise(maps, PEERS["A2"])
        self._preset, self._tools = preset, tools

    def encode(self, qp: int) -> tuple[VideoFrames, float]:
        """Payloads and parameter sets, and the seconds that ffmpeg took, each start included."""
        return timed(
            encode_with,
            self._coded.frames,
            [qp] * len(self._coded.frames),
            10,
            self._preset,
            Machine(timeout=_TIMEOUT),
            self._tools,
        )

    def decode(self, coded: VideoFrames) -> tuple[Floats, float]:
        """Features, and the seconds that ffmpeg took."""
        count, height, width = self._coded.frames.shape
        raw, seconds = timed(
            decode_video,
            coded.parameter_sets + b"".join(coded.payloads),
            VVC_PROGRAM,
            pixel_format="gray10le",
            size=2 * count * height * width,
            ffmpeg=None,
            timeout=_TIMEOUT,
        )
        frames = np.frombuffer(raw, "<u2").reshape(count, height, width)
        return peers.dequantise(self._coded._replace(frames=frames), PEERS["A2"]), seconds

    def size(self, coded: VideoFrames) -> int:
        """Number of bytes that are counted, start codes of three bytes included."""
        payloads = sum(map(len, coded.payloads))
        return len(coded.parameter_sets) + payloads + RANGE_BYTES * len(self._coded.low)
