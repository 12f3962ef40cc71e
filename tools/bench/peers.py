"""The peers of the benchmarks, A1 and A2 of `refcodec.evaluate.peers`, with the QPs they are tried at.

One run of ffmpeg codes all frames of a set.
"""

from __future__ import annotations

from coding import timed

from refcodec.evaluate import peers
from refcodec.evaluate.peers import PEERS, Floats, Peer
from refcodec.evaluate.x265 import Counted

__all__ = ["PEERS", "QPS", "Coder"]

QPS: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {
    "small": {
        "conv1": {
            "A1-uniform": (14, 18, 23, 27, 31, 35, 40),
            "A1-log": (16, 21, 26, 30, 35, 41),
            "A2": (14, 18, 21, 24, 28, 32, 37, 40),
        },
        "layer1": {
            "A1-uniform": (21, 26, 31, 35, 39, 44),
            "A1-log": (23, 28, 33, 38, 42, 46),
            "A2": (22, 26, 29, 32, 35, 38, 41, 44),
        },
        "layer2": {
            "A1-uniform": (24, 29, 34, 38, 42, 47),
            "A1-log": (26, 31, 36, 41, 45, 50),
            "A2": (24, 28, 31, 34, 37, 40, 43, 46),
        },
        "layer3": {
            "A1-uniform": (28, 33, 38, 42, 46, 51),
            "A1-log": (36, 40, 44, 47, 51),
            "A2": (26, 31, 34, 37, 40, 43, 46, 49),
        },
    },
    "large": {
        "conv1": {
            "A1-uniform": (2, 5, 9, 13, 17, 22),
            "A1-log": (2, 5, 9, 13, 17, 22),
            "A2": (3, 6, 8, 11, 13, 16, 22),
        },
        "layer1": {
            "A1-uniform": (21, 26, 30, 34, 38, 42),
            "A1-log": (24, 29, 33, 37, 41, 45),
            "A2": (22, 26, 29, 32, 35, 38, 42),
        },
        "layer2": {
            "A1-uniform": (25, 31, 36, 41, 46),
            "A1-log": (28, 34, 39, 44, 49),
            "A2": (26, 29, 32, 35, 38, 41, 44, 47),
        },
        "layer3": {
            "A1-uniform": (26, 31, 36, 41, 46, 51),
            "A1-log": (31, 36, 41, 46, 49, 51),
            "A2": (24, 29, 36, 41, 44, 46, 48, 49, 51),
        },
    },
}
"""QPs that take each curve from some 30 dB of logit SNR to 8, or as near as QPs reach; at ``layer3`` of large
maps up to where the native coder begins."""


class Coder:
    """A peer, set up for features of one shape.

    maps : float32, N x C x H x W.
    """

    def __init__(self, maps: Floats, peer: Peer) -> None:
        self._peer = peer
        self._coded = peers.quantise(maps, peer)

    def encode(self, qp: int) -> tuple[bytes, float]:
        """The Annex B stream, and the seconds that ffmpeg took, its start (some 50 ms) included."""
        return timed(peers.encode, self._coded, self._peer, qp)

    def decode(self, stream: bytes) -> tuple[Floats, float]:
        """Features, and the seconds that ffmpeg took."""
        back, seconds = timed(peers.decode, stream, self._coded, self._peer)
        return peers.dequantise(back, self._peer), seconds

    def size(self, stream: bytes) -> int:
        """Number of bytes that are counted."""
        counted = Counted()
        counted.add(stream)
        ranges = peers.RANGE_BYTES * len(self._coded.low)
        return counted.parameters + sum(counted.slices) + ranges
