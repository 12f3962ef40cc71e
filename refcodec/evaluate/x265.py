"""HEVC by x265 for comparison: frames to an Annex B stream and back, and the size of the stream.

All intra at one QP, one thread. Counted are slices, each with a start code of three bytes, and parameter sets
once, though x265 repeats them; no container, no SEI, no delimiters.
"""

from __future__ import annotations

import subprocess
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from refcodec.coders.ffmpeg import HEVC_PROGRAM, decode_video, find_ffmpeg
from refcodec.errors import EnvironmentFault

__all__ = ["LEAST_ERROR", "Counted", "hevc_to_raw", "raw_to_hevc"]

LEAST_ERROR: Final = "aq-mode=0:psy-rd=0:psy-rdoq=0"
"""Options of x265 that minimise squared error instead of visible error."""

_START_CODE_BYTES: Final = 3

_TIMEOUT: Final = 86_400.0  # seconds: no measurement is cut short

_X265 = (
    "keyint=1:ipratio=1:scenecut=0:bframes=0:info=0:hash=0:aud=0:log-level=error"
    ":pools=none:frame-threads=1:wpp=0"
)


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
    coded  : ffmpeg's name for the samples to code, if they differ and it should convert them.

    Raises EnvironmentFault.
    """
    height, width = frames.shape[1:3]
    options = ":".join(filter(None, [f"qp={qp}", _X265, extra]))
    source = ["-f", "rawvideo", "-pixel_format", pixels, "-framerate", "25"]
    source += ["-video_size", f"{width}x{height}", "-i", "pipe:0"]
    convert = ["-pix_fmt", coded] if coded else []
    coder = ["-c:v", "libx265", "-preset", preset, "-x265-params", options, "-f", "hevc"]
    command = [find_ffmpeg(), "-hide_banner", "-nostdin", "-loglevel", "error"]
    command += [*source, *convert, *coder, "pipe:1"]
    done = subprocess.run(command, input=frames.tobytes(), capture_output=True, timeout=_TIMEOUT)
    if done.returncode or not done.stdout:
        complaint = done.stderr.decode(errors="replace").strip() or "no output"
        raise EnvironmentFault(
            f"ffmpeg: {complaint}", hint="it must have libx265 with 8 and 10 bit"
        )
    return done.stdout


def hevc_to_raw(stream: bytes, pixels: str, frame_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An Annex B stream to frames F x frame_shape, samples as ffmpeg's ``pixels`` says.

    Raises PayloadError if ffmpeg rejects the stream, EnvironmentFault if it does not run.
    """
    raw = decode_video(
        stream, HEVC_PROGRAM, pixel_format=pixels, size=None, ffmpeg=None, timeout=_TIMEOUT
    )
    depth = "<u2" if pixels.endswith("le") else np.uint8
    return np.frombuffer(raw, depth).reshape(-1, *frame_shape)


class Counted:
    """The counted bytes of one or more Annex B streams with the same parameter sets.

    slices     : bytes of each slice, start codes included, in the order of the streams.
    parameters : bytes of the distinct parameter sets, likewise.
    """

    def __init__(self) -> None:
        self.slices: list[int] = []
        self._parameters: set[bytes] = set()

    def add(self, stream: bytes) -> None:
        """Count a stream."""
        start = stream.find(b"\0\0\1")
        while start >= 0:
            begin = start + 3
            start = stream.find(b"\0\0\1", begin)
            unit = stream[begin : len(stream) if start < 0 else start].rstrip(b"\0")
            kind = unit[0] >> 1 & 63
            if kind < 32:
                self.slices.append(_START_CODE_BYTES + len(unit))
            elif kind <= 34:
                self._parameters.add(unit)

    @property
    def parameters(self) -> int:
        """Bytes of the distinct parameter sets."""
        return sum(_START_CODE_BYTES + len(one) for one in self._parameters)
