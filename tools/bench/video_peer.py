"""A3 and A4, the strongest VVC and AV1 found: 10-bit uniform, channels tiled into one frame, all intra.

Samples, tiles and ranges are those of A2; parameter sets are counted once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from coding import timed

from refcodec.coders.av1 import encoding as av1
from refcodec.coders.ffmpeg import AV1_PROGRAM, VVC_PROGRAM, Program, decode_video
from refcodec.coders.protocol import Machine
from refcodec.coders.video.portions import VideoFrames
from refcodec.coders.vvc import encoding as vvc
from refcodec.evaluate import peers
from refcodec.evaluate.peers import PEERS, RANGE_BYTES, Floats

__all__ = ["ANCHORS", "Anchor", "VideoPeer"]

_TIMEOUT = 86_400.0  # seconds: no measurement is cut short

_DEPTH = 10


@dataclass(frozen=True)
class Anchor:
    """Settings of such a peer.

    encoder : name of the program.
    program : the standard as ffmpeg knows it.
    encode  : codes frames at the QP of each, of a bit depth, with a preset and further options.
    preset  : of the encoder.
    tools   : further options of the encoder, the best of the search of docs/results/vvc.rst.
    """

    encoder: str
    program: Program
    encode: Callable[..., VideoFrames]
    preset: str
    tools: str

    @property
    def settings(self) -> str:
        """Preset and further options in one word each."""
        return f"{self.preset} {self.tools}".strip()


ANCHORS = {
    "A3": Anchor("vvenc", VVC_PROGRAM, vvc.encode_with, "medium", "MTS=1"),
    "A4": Anchor("libaom", AV1_PROGRAM, av1.encode_with, "slow", "enable-restoration=0"),
}


class VideoPeer:
    """The peer, set up for features of one shape.

    maps     : float32, N x C x H x W.
    anchor   : the encoder.
    settings : preset and further options of the encoder, in place of those of the anchor.
    """

    def __init__(self, maps: Floats, anchor: Anchor, settings: str) -> None:
        self._coded = peers.quantise(maps, PEERS["A2"])
        self._anchor = anchor
        self._preset, _, self._tools = settings.partition(" ")

    def encode(self, qp: int) -> tuple[VideoFrames, float]:
        """Payloads and parameter sets, and the seconds that ffmpeg took, each start included."""
        return timed(
            self._anchor.encode,
            self._coded.frames,
            [qp] * len(self._coded.frames),
            _DEPTH,
            self._preset,
            Machine(timeout=_TIMEOUT),
            self._tools,
        )

    def decode(self, coded: VideoFrames) -> tuple[Floats, float]:
        """Features, and the seconds that ffmpeg took."""
        count, height, width = self._coded.frames.shape
        program = self._anchor.program
        raw, seconds = timed(
            decode_video,
            program.standard.assemble(coded.parameter_sets, b"".join(coded.payloads)),
            program,
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
