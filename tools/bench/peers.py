"""The HEVC coders that the native coder is measured against.

    A1  the anchor of the literature: 8 bit, uniform or logarithmic, one channel a frame, x265 medium
    A2  the strongest found: 10 bit uniform, channels tiled into one frame, x265 slower, tuned for error

Both are all intra at one QP, monochrome, one thread, and code each feature in its own (min, max) range; one
run of ffmpeg codes all frames of a set. Rate: the slices, each with a start code of three bytes; the
parameter sets once; 8 bytes a feature for the range. No container, no SEI, no delimiters.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.uint16]

_START_CODE = 3
_RANGE = 8
_X265 = (
    "keyint=1:ipratio=1:scenecut=0:bframes=0:info=0:hash=0:aud=0:log-level=error"
    ":pools=none:frame-threads=1:wpp=0"
)


@dataclass(frozen=True)
class Peer:
    """One way to code features.

    log   : logarithmic quantiser, else uniform.
    bits  : of a sample.
    tiled : all channels in one frame, else one channel a frame.
    extra : further x265 options.
    """

    log: bool
    bits: int
    tiled: bool
    preset: str
    extra: str = ""


PEERS = {
    "A1-uniform": Peer(log=False, bits=8, tiled=False, preset="medium"),
    "A1-log": Peer(log=True, bits=8, tiled=False, preset="medium"),
    "A2": Peer(
        log=False, bits=10, tiled=True, preset="slower", extra="aq-mode=0:psy-rd=0:psy-rdoq=0"
    ),
}

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
    """A set of features as one peer codes it.

    maps : float32, N x C x H x W.
    """

    def __init__(self, maps: Floats, peer: Peer) -> None:
        self._peer, self._shape = peer, maps.shape
        self._low = maps.min(axis=(1, 2, 3), keepdims=True)
        self._high = maps.max(axis=(1, 2, 3), keepdims=True)
        x, span = maps - self._low, self._high - self._low
        if peer.log:
            x, span = np.log1p(x), np.log1p(span)
        self._top = (1 << peer.bits) - 1
        samples = np.rint(x / np.maximum(span, 1e-30) * self._top).astype(np.uint16)
        self._frames = to_frames(samples, tiled=peer.tiled)

    def encode(self, qp: int) -> tuple[bytes, float]:
        """The Annex B stream, and the seconds that ffmpeg took, its start (some 50 ms) included."""
        peer, (_, height, width) = self._peer, self._frames.shape
        raw = self._frames.astype(np.uint8 if peer.bits == 8 else "<u2").tobytes()
        options = ":".join(filter(None, [f"qp={qp}", _X265, peer.extra]))
        source = ["-f", "rawvideo", "-pixel_format", self._pixels, "-framerate", "25"]
        source += ["-video_size", f"{width}x{height}", "-i", "pipe:0"]
        coder = ["-c:v", "libx265", "-preset", peer.preset, "-x265-params", options, "-f", "hevc"]
        begin = time.perf_counter()
        return _ffmpeg([*source, *coder, "pipe:1"], raw), time.perf_counter() - begin

    def decode(self, stream: bytes) -> tuple[Floats, float]:
        """Features, and the seconds that ffmpeg took."""
        begin = time.perf_counter()
        sink = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", self._pixels, "pipe:1"]
        raw = _ffmpeg(["-threads", "1", "-f", "hevc", "-i", "pipe:0", *sink], stream)
        seconds = time.perf_counter() - begin
        depth = np.uint8 if self._peer.bits == 8 else "<u2"
        frames = np.frombuffer(raw, depth).reshape(self._frames.shape)
        samples = from_frames(frames, self._shape, tiled=self._peer.tiled)
        x = samples.astype(np.float32) / np.float32(self._top)
        span = self._high - self._low
        maps = self._low + (np.expm1(x * np.log1p(span)) if self._peer.log else x * span)
        return maps, seconds

    def size(self, stream: bytes) -> int:
        """Bytes that count."""
        return stream_bytes(stream) + _RANGE * self._shape[0]

    @property
    def _pixels(self) -> str:
        return "gray" if self._peer.bits == 8 else "gray10le"


def full_grid(tiles: int) -> tuple[int, int]:
    """The grid (columns, rows) nearest to a square that has no empty tile, wide rather than high."""
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


def stream_bytes(stream: bytes) -> int:
    """The size of an Annex B stream: slices, and each parameter set once."""
    size, seen = 0, set()
    start = stream.find(b"\0\0\1")
    while start >= 0:
        begin = start + 3
        start = stream.find(b"\0\0\1", begin)
        unit = stream[begin : len(stream) if start < 0 else start].rstrip(b"\0")
        kind = unit[0] >> 1 & 63
        parameters = 32 <= kind <= 34
        if kind < 32 or (parameters and unit not in seen):
            size += _START_CODE + len(unit)
        if parameters:
            seen.add(unit)
    return size


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error"]
    done = subprocess.run([*command, *arguments], input=data, capture_output=True, timeout=1800)
    if done.returncode or not done.stdout:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout
