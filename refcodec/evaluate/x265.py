"""The HEVC coders of the literature, which refcodec's own coders are measured against.

    A1  the anchor of the papers: 8 bit, uniform or logarithmic, one channel a frame, x265 medium
    A2  the strongest found: 10 bit uniform, channels tiled into one frame, x265 slower, tuned for error

Both are all intra at one QP, monochrome, one thread, and code each feature in its own (min, max) range.
Rate: the slices, each with a start code of three bytes; the parameter sets once a stream, though x265
repeats them; 8 bytes a feature for the range. No container, no SEI, no delimiters.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.coders.ffmpeg import find_ffmpeg
from refcodec.errors import EnvironmentFault

__all__ = [
    "PEERS",
    "RANGE_BYTES",
    "START_CODE_BYTES",
    "Peer",
    "Quantised",
    "dequantise",
    "from_frames",
    "full_grid",
    "hevc_to_raw",
    "pixel_format",
    "quantise",
    "raw_to_hevc",
    "split_stream",
    "to_frames",
]

Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.uint16]

START_CODE_BYTES: Final = 3
RANGE_BYTES: Final = 8

_X265 = (
    "keyint=1:ipratio=1:scenecut=0:bframes=0:info=0:hash=0:aud=0:log-level=error"
    ":pools=none:frame-threads=1:wpp=0"
)


@dataclass(frozen=True)
class Peer:
    """One way to code features.

    log    : logarithmic quantiser, ``ln(1 + x - min)`` in even steps; else uniform.
    bits   : of a sample, 8 or 10.
    tiled  : all channels in one frame, else one channel a frame.
    preset : of x265.
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
    "A2": Peer(
        log=False, bits=10, tiled=True, preset="slower", extra="aq-mode=0:psy-rd=0:psy-rdoq=0"
    ),
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
    """Frames, as they were decoded, to features."""
    samples = from_frames(coded.frames, coded.shape, tiled=peer.tiled)
    x = samples.astype(np.float32) / np.float32(_top(peer))
    span = coded.high - coded.low
    return np.asarray(coded.low + (np.expm1(x * np.log1p(span)) if peer.log else x * span))


def _top(peer: Peer) -> int:
    return (1 << peer.bits) - 1


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


# --- streams ---------------------------------------------------------------------------------------


def pixel_format(bits: int) -> str:
    """Ffmpeg's name for monochrome samples of 8 or 10 bits."""
    return "gray" if bits == 8 else "gray10le"


def raw_to_hevc(
    frames: npt.NDArray[Any],
    pixels: str,
    qp: int,
    *,
    preset: str,
    extra: str = "",
    coded: str | None = None,
) -> bytes:
    """Frames F x height x width (x 3) to an Annex B stream, all intra at one QP.

    pixels : ffmpeg's name for the samples of the frames.
    extra  : further x265 options.
    coded  : ffmpeg's name for the samples to code, where it shall convert them.

    Raises EnvironmentFault.
    """
    height, width = frames.shape[1:3]
    options = ":".join(filter(None, [f"qp={qp}", _X265, extra]))
    source = ["-f", "rawvideo", "-pixel_format", pixels, "-framerate", "25"]
    source += ["-video_size", f"{width}x{height}", "-i", "pipe:0"]
    convert = ["-pix_fmt", coded] if coded else []
    coder = ["-c:v", "libx265", "-preset", preset, "-x265-params", options, "-f", "hevc"]
    return _ffmpeg([*source, *convert, *coder, "pipe:1"], frames.tobytes())


def hevc_to_raw(stream: bytes, pixels: str, frame_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An Annex B stream to frames F x frame_shape, samples as ffmpeg's ``pixels`` says.

    Raises EnvironmentFault.
    """
    sink = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"]
    raw = _ffmpeg(["-threads", "1", "-f", "hevc", "-i", "pipe:0", *sink], stream)
    depth = "<u2" if pixels.endswith("le") else np.uint8
    return np.frombuffer(raw, depth).reshape(-1, *frame_shape)


def split_stream(stream: bytes) -> tuple[set[bytes], list[int]]:
    """The distinct parameter sets of an Annex B stream, and the sizes of its slices without start codes."""
    parameters, slices = set(), []
    start = stream.find(b"\0\0\1")
    while start >= 0:
        begin = start + 3
        start = stream.find(b"\0\0\1", begin)
        unit = stream[begin : len(stream) if start < 0 else start].rstrip(b"\0")
        kind = unit[0] >> 1 & 63
        if kind < 32:
            slices.append(len(unit))
        elif kind <= 34:
            parameters.add(unit)
    return parameters, slices


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = [find_ffmpeg(), "-hide_banner", "-nostdin", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode or not done.stdout:
        complaint = done.stderr.decode(errors="replace").strip() or "no output"
        raise EnvironmentFault(
            f"ffmpeg: {complaint}", hint="it must have libx265 with 8 and 10 bit"
        )
    return done.stdout
