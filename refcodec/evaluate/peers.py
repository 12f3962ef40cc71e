"""HEVC coders of the literature, with which refcodec is compared.

    A1  the anchor of the papers: 8 bit, uniform or logarithmic, one channel per frame, x265 medium
    A2  the strongest found: 10 bit uniform, channels tiled into one frame, x265 slower, tuned for error

Both are all intra at one QP, monochrome, one thread, and code each feature in its own (min, max) range.
Rate: the bytes that `refcodec.evaluate.x265.Counted` counts, and 8 bytes per feature for the range. ::

    coded = quantise(features, PEERS["A2"])
    stream = encode(coded, PEERS["A2"], qp=30)
    decoded = dequantise(decode(stream, coded, PEERS["A2"]), PEERS["A2"])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.evaluate.x265 import LEAST_ERROR, hevc_to_raw, raw_to_hevc

__all__ = [
    "PEERS",
    "RANGE_BYTES",
    "Peer",
    "Quantised",
    "decode",
    "dequantise",
    "encode",
    "from_frames",
    "full_grid",
    "quantise",
    "to_frames",
]

Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.uint16]

RANGE_BYTES: Final = 8


@dataclass(frozen=True)
class Peer:
    """Settings of one such coder.

    log    : true for the logarithmic quantiser, ``ln(1 + x - min)`` in even steps; else uniform.
    bits   : bits per sample, 8 or 10.
    tiled  : true for all channels in one frame, else one channel per frame.
    preset : preset of x265.
    extra  : further x265 options.
    """

    log: bool
    bits: int
    tiled: bool
    preset: str
    extra: str = ""


PEERS: Final = {
    "A1-uniform": Peer(log=False, bits=8, tiled=False, preset="medium"),
    "A1-log": Peer(log=True, bits=8, tiled=False, preset="medium"),
    "A2": Peer(log=False, bits=10, tiled=True, preset="slower", extra=LEAST_ERROR),
}


# --- features and frames ---------------------------------------------------------------------------


class Quantised(NamedTuple):
    """Features as frames.

    frames    : F x height x width samples.
    low, high : the range of each feature, N x 1 x 1 x 1.
    shape     : of the features, N x C x H x W.
    """

    frames: Samples
    low: Floats
    high: Floats
    shape: tuple[int, ...]


def quantise(maps: Floats, peer: Peer) -> Quantised:
    """Features N x C x H x W to frames."""
    low = maps.min(axis=(1, 2, 3), keepdims=True)
    high = maps.max(axis=(1, 2, 3), keepdims=True)
    x, span = maps - low, high - low
    if peer.log:
        x, span = np.log1p(x), np.log1p(span)
    samples = np.rint(x / np.maximum(span, 1e-30) * _top(peer)).astype(np.uint16)
    return Quantised(to_frames(samples, tiled=peer.tiled), low, high, maps.shape)


def dequantise(coded: Quantised, peer: Peer) -> Floats:
    """Decoded frames to features."""
    samples = from_frames(coded.frames, coded.shape, tiled=peer.tiled)
    x = samples.astype(np.float32) / np.float32(_top(peer))
    span = coded.high - coded.low
    return np.asarray(coded.low + (np.expm1(x * np.log1p(span)) if peer.log else x * span))


def _top(peer: Peer) -> int:
    return (1 << peer.bits) - 1


def full_grid(tiles: int) -> tuple[int, int]:
    """The grid (columns, rows) without empty tiles that is nearest to a square, and not higher than wide."""
    rows = max(r for r in range(1, int(tiles**0.5) + 1) if tiles % r == 0)
    return tiles // rows, rows


def to_frames(samples: Samples, *, tiled: bool, smallest: int = 16) -> Samples:
    """N x C x H x W samples to F x height x width; short sides are padded by repetition."""
    _, c, h, w = samples.shape
    columns, rows = full_grid(c) if tiled else (1, 1)
    grid = samples.reshape(-1, rows, columns, h, w)
    frames = grid.swapaxes(2, 3).reshape(-1, rows * h, columns * w)
    more = [max(0, smallest - side) for side in frames.shape[1:]]
    return np.pad(frames, ((0, 0), (0, more[0]), (0, more[1])), mode="edge")


def from_frames(frames: npt.NDArray[Any], shape: tuple[int, ...], *, tiled: bool) -> Samples:
    """The inverse of ``to_frames`` for features N x C x H x W."""
    _, c, h, w = shape
    columns, rows = full_grid(c) if tiled else (1, 1)
    grid = frames[:, : rows * h, : columns * w].reshape(-1, rows, h, columns, w)
    return np.ascontiguousarray(grid.swapaxes(2, 3).reshape(shape), np.uint16)


# --- streams ---------------------------------------------------------------------------------------


def encode(coded: Quantised, peer: Peer, qp: int) -> bytes:
    """Frames to an Annex B stream, all in one run of ffmpeg. Raises EnvironmentFault."""
    frames = coded.frames.astype(np.uint8 if peer.bits == 8 else "<u2")
    pixels = _pixel_format(peer)
    return raw_to_hevc(frames, pixels, qp, preset=peer.preset, extra=peer.extra)


def decode(stream: bytes, coded: Quantised, peer: Peer) -> Quantised:
    """An Annex B stream to frames, which replace those of ``coded``; raises as `hevc_to_raw` does."""
    frames = hevc_to_raw(stream, _pixel_format(peer), coded.frames.shape[1:])
    return coded._replace(frames=frames)


def _pixel_format(peer: Peer) -> str:
    """Ffmpeg's name for monochrome samples of 8 or 10 bits."""
    return "gray" if peer.bits == 8 else "gray10le"
