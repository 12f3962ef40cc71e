"""ffmpeg as a filter from bytes to bytes: no shell, no files, fixed formats, bounded time and output.

Where decoding fails, a picture that is known to be sound says whose fault it is: a program that does not
decode that one is no ffmpeg, or a broken one.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from typing import Any

from refcodec.coders.process import run_filter
from refcodec.errors import CallerError, EnvironmentFault, PayloadError

__all__ = ["VARIABLE", "decode_hevc", "encode_hevc", "find_ffmpeg"]

VARIABLE = "REFCODEC_FFMPEG"
"""The environment variable that names another ffmpeg."""

_PROBE = bytes.fromhex(
    "0000000140010c01ffff0408000003009fe800000300001eba0240000000014201010408000003009fe80000030000"
    "1ec221165baabcae6c08000003000800000300c840000000014401c17181120000012801ae1cc0deae"
)
"""A monochrome picture of 16 x 16 samples, all 128."""

_PROBE_SECONDS = 60.0

_ANY_SIZE = 1 << 60

_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error", "-xerror")


def find_ffmpeg(preferred: str | None = None) -> str:
    """Path of the ffmpeg to run: ``preferred``, else ``$REFCODEC_FFMPEG``, else imageio-ffmpeg's.

    Raises CallerError if the named program does not exist, EnvironmentFault if there is no ffmpeg.
    """
    named = preferred or os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise CallerError(
                f"there is no program {named!r}",
                hint=f"correct the ffmpeg option or the variable {VARIABLE}, or leave both out",
            )
        return found
    return _bundled_ffmpeg()


@cache
def _bundled_ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise EnvironmentFault(
            f"no ffmpeg: {error}", hint=f"pip install imageio-ffmpeg, or set {VARIABLE}"
        ) from None


def encode_hevc(
    frames: bytes,
    *,
    pixel_format: str,
    size: tuple[int, int],
    preset: str,
    x265: str,
    ffmpeg: str | None,
    timeout: float,
) -> bytes:
    """Encode raw monochrome frames to an Annex B stream by libx265.

    pixel_format : ``gray``, ``gray10le`` or ``gray12le``.
    size         : width, height.
    x265         : the value of ``-x265-params``.

    Raises EnvironmentFault.
    """
    from ffmpeg import input as source

    graph = source(
        "pipe:0",
        format="rawvideo",
        pixel_format=pixel_format,
        video_size=size,
        framerate=25,
        protocol_whitelist="pipe",
    ).output("pipe:1", format="hevc", vcodec="libx265", preset=preset, **{"x265-params": x265})
    program, most = find_ffmpeg(ffmpeg), 2 * len(frames) + (1 << 20)
    output, complaint = _run(graph, frames, program, most, timeout)
    if complaint or not 0 < len(output) <= most:
        raise EnvironmentFault(
            f"ffmpeg could not encode {size[0]}x{size[1]} {pixel_format} frames: "
            f"{complaint or f'it wrote {len(output)} bytes'}",
            hint=f"it must have libx265 with 8, 10 and 12 bit; point {VARIABLE} to one that has",
        )
    return bytes(output)


def decode_hevc(
    stream: bytes, *, pixel_format: str, size: int | None, ffmpeg: str | None, timeout: float
) -> bytes | bytearray:
    """An Annex B stream to raw monochrome frames, in coding order.

    size : bytes that are expected; a program that writes more is ended. None for a stream of one's own.

    Raises PayloadError where ffmpeg rejects the stream or decodes it to another size, EnvironmentFault where
    it does not run, or is no ffmpeg that decodes HEVC.
    """
    program = find_ffmpeg(ffmpeg)
    most = _ANY_SIZE if size is None else size
    output, complaint = _run(_decoding(pixel_format), stream, program, most, timeout)
    if not complaint and size in (None, len(output)):
        return output
    _require_decoder(program)
    if complaint:
        raise PayloadError(f"ffmpeg rejects the HEVC payload: {complaint}", clause="8.3.6")
    found = f"{len(output)}" if len(output) < most else "more"
    raise PayloadError(
        f"the HEVC payload decodes to {found} bytes; {size} are expected", clause="8.3.6"
    )


def _decoding(pixel_format: str) -> Any:
    from ffmpeg import input as source

    return source(
        "pipe:0", format="hevc", protocol_whitelist="pipe", threads=1, err_detect="explode"
    ).output("pipe:1", format="rawvideo", pix_fmt=pixel_format, fps_mode="passthrough")


@cache
def _require_decoder(program: str) -> None:
    """Raise EnvironmentFault unless the program decodes a sound picture."""
    output, complaint = _run(_decoding("gray"), _PROBE, program, 256, _PROBE_SECONDS)
    if output != bytes([128]) * 256:
        raise EnvironmentFault(
            f"{program} does not decode HEVC: a sound picture gives {len(output)} bytes"
            + (f", and {complaint}" if complaint else ""),
            hint=f"check {VARIABLE}: it must name an ffmpeg with a decoder of HEVC",
        )


def _run(
    graph: Any, data: bytes, program: str, largest: int, timeout: float
) -> tuple[bytes | bytearray, str]:
    """Standard output, and what ffmpeg complained of ('' where it was content).

    largest : most bytes of output; of more, one byte more is returned.

    Raises EnvironmentFault where the program does not run to its end.
    """
    command = graph.global_args(*_QUIET).compile(cmd=program)
    try:
        done = run_filter(command, data, largest=largest, timeout=timeout)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot run {program}: {error.strerror}", hint=f"check {VARIABLE}"
        ) from None
    if done.stopped == "time":
        raise EnvironmentFault(
            f"ffmpeg was stopped after {timeout:.0f} s", hint="raise the timeout option"
        )
    if done.stopped == "output":
        return done.output, ""
    complaint = done.errors.decode("utf-8", "replace").strip()
    if done.status < 0 or (done.status and not complaint):
        raise EnvironmentFault(
            f"{program} ended with status {done.status} without a message on the stream",
            hint=f"is there enough memory? check {VARIABLE}",
        )
    return done.output, complaint.partition("\n")[0] if done.status else ""
