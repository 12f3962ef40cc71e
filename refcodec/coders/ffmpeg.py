"""Runs of ffmpeg as a filter from bytes to bytes: no shell, no files, fixed formats, always a time-out."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from refcodec.errors import CallerError, EnvironmentFault, PayloadError

__all__ = ["VARIABLE", "decode_hevc", "encode_hevc", "find_ffmpeg"]

VARIABLE = "REFCODEC_FFMPEG"
"""The environment variable that names another ffmpeg."""

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
    output, complaint = _run(graph, frames, ffmpeg, timeout)
    if complaint or not output:
        raise EnvironmentFault(
            f"ffmpeg could not encode {size[0]}x{size[1]} {pixel_format} frames: {complaint}",
            hint=f"it must have libx265 with 8, 10 and 12 bit; point {VARIABLE} to one that has",
        )
    return output


def decode_hevc(stream: bytes, *, pixel_format: str, ffmpeg: str | None, timeout: float) -> bytes:
    """Decode an Annex B stream to raw monochrome frames, in coding order.

    Raises PayloadError if ffmpeg rejects the stream, EnvironmentFault if it does not run.
    """
    from ffmpeg import input as source

    graph = source(
        "pipe:0", format="hevc", protocol_whitelist="pipe", threads=1, err_detect="explode"
    ).output("pipe:1", format="rawvideo", pix_fmt=pixel_format, fps_mode="passthrough")
    output, complaint = _run(graph, stream, ffmpeg, timeout)
    if complaint:
        raise PayloadError(f"ffmpeg rejects the HEVC payload: {complaint}", clause="8.3.6")
    return output


def _run(graph: object, data: bytes, ffmpeg: str | None, timeout: float) -> tuple[bytes, str]:
    """Run ffmpeg; returns its standard output and its error messages, '' if there are none."""
    program = find_ffmpeg(ffmpeg)
    command = graph.global_args(*_QUIET).compile(cmd=program)  # type: ignore[attr-defined]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise EnvironmentFault(
            f"ffmpeg was stopped after {timeout:.0f} s", hint="raise the timeout option"
        ) from None
    except OSError as error:
        raise EnvironmentFault(
            f"cannot run {program}: {error.strerror}", hint=f"check {VARIABLE}"
        ) from None
    complaint = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode < 0 or (done.returncode and not complaint):
        raise EnvironmentFault(
            f"{program} ended with status {done.returncode} without a message on the stream",
            hint=f"is there enough memory? check {VARIABLE}",
        )
    return done.stdout, complaint.partition("\n")[0] if done.returncode else ""
