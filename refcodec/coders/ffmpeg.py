"""ffmpeg as a filter from bytes to bytes: no shell, no files, fixed formats, bounded time and output.

Where decoding fails, a picture that is known to be sound says whose fault it is: a program that does not
decode that one is no ffmpeg, or a broken one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from refcodec.coders.process import run_filter
from refcodec.errors import CallerError, EnvironmentFault, PayloadError
from refcodec.syntax.av1 import AV1
from refcodec.syntax.hevc import HEVC
from refcodec.syntax.standard import Standard
from refcodec.syntax.vvc import VVC

__all__ = [
    "AV1_PROGRAM",
    "HEVC_PROGRAM",
    "VARIABLE",
    "VVC_PROGRAM",
    "Program",
    "decode_video",
    "encode_video",
    "find_ffmpeg",
]

VARIABLE = "REFCODEC_FFMPEG"
"""The environment variable that names another ffmpeg."""


@dataclass(frozen=True, slots=True)
class Program:
    """A video standard as ffmpeg knows it.

    standard : the standard.
    muxer    : ffmpeg's name of its byte streams.
    encoder  : ffmpeg's name of the encoder.
    needs    : what the encoder must be capable of, for messages.
    probe    : a monochrome picture of 16 x 16 samples of 8 bits, all 128.
    tries    : runs of the encoder, of which the first that gives any output, or an error, counts.
    decoder  : ffmpeg's name of the decoder; None for the one that it chooses.
    """

    standard: Standard
    muxer: str
    encoder: str
    needs: str
    probe: bytes
    tries: int = 1
    decoder: str | None = None


HEVC_PROGRAM = Program(
    HEVC,
    muxer="hevc",
    encoder="libx265",
    needs="libx265 with 8, 10 and 12 bit",
    probe=bytes.fromhex(
        "0000000140010c01ffff0408000003009fe800000300001eba0240000000014201010408000003009fe80000030000"
        "1ec221165baabcae6c08000003000800000300c840000000014401c17181120000012801ae1cc0deae"
    ),
)

VVC_PROGRAM = Program(
    VVC,
    muxer="vvc",
    encoder="libvvenc",
    needs="libvvenc, which takes no frame of more bytes than samples",
    probe=bytes.fromhex(
        "000000010079000302108000822112a03ffac60aa19821c5000003000100000300193100000001008100011088980c02"
        "0000010041c4001780ca3c"
    ),
    tries=6,  # in ffmpeg 9.0.2, one run in some fifty ends well and writes nothing
)

AV1_PROGRAM = Program(
    AV1,
    muxer="obu",
    encoder="libaom-av1",
    needs="libaom with 8, 10 and 12 bit",
    probe=bytes.fromhex("12000a05180cffd95432061a000001100c"),
    decoder="libdav1d",  # by itself, ffmpeg may choose one in hardware
)

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


def encode_video(
    frames: bytes,
    program: Program,
    *,
    pixel_format: str,
    size: tuple[int, int],
    options: Mapping[str, Any],
    ffmpeg: str | None,
    timeout: float,
) -> bytes:
    """Encode raw frames to a byte stream of the standard.

    pixel_format : ffmpeg's name, such as ``gray10le``.
    size         : width, height.
    options      : those of ffmpeg for its encoder.

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
    ).output("pipe:1", format=program.muxer, vcodec=program.encoder, **options)
    path, most = find_ffmpeg(ffmpeg), 2 * len(frames) + (1 << 20)
    for _ in range(program.tries):
        output, complaint = _run(graph, frames, path, most, timeout)
        if output or complaint:
            break
    if complaint or not 0 < len(output) <= most:
        raise EnvironmentFault(
            f"ffmpeg could not encode {size[0]}x{size[1]} {pixel_format} frames: "
            f"{complaint or f'it wrote {len(output)} bytes'}",
            hint=f"it must have {program.needs}; point {VARIABLE} to one that has",
        )
    return bytes(output)


def decode_video(
    stream: bytes,
    program: Program,
    *,
    pixel_format: str,
    size: int | None,
    ffmpeg: str | None,
    timeout: float,
) -> bytes | bytearray:
    """A byte stream of the standard to raw monochrome frames, in coding order.

    size : bytes that are expected; a program that writes more is ended. None for a stream of one's own.

    Raises PayloadError where ffmpeg rejects the stream or decodes it to another size, EnvironmentFault where
    it does not run, or is no ffmpeg that decodes the standard.
    """
    path = find_ffmpeg(ffmpeg)
    most = _ANY_SIZE if size is None else size
    output, complaint = _run(_decoding(program, pixel_format), stream, path, most, timeout)
    if not complaint and size in (None, len(output)):
        return output
    _require_decoder(program, path)
    standard = program.standard
    if complaint:
        raise PayloadError(
            f"ffmpeg rejects the {standard.name} payload: {complaint}", clause=standard.clause
        )
    found = f"{len(output)}" if len(output) < most else "more"
    raise PayloadError(
        f"the {standard.name} payload decodes to {found} bytes; {size} are expected",
        clause=standard.clause,
    )


def _decoding(program: Program, pixel_format: str) -> Any:
    """The graph of a decoder, of one thread: with two, that of VVC in ffmpeg 9.0.2 gives other pictures."""
    from ffmpeg import input as source

    named = {"vcodec": program.decoder} if program.decoder else {}
    return source(
        "pipe:0",
        format=program.muxer,
        protocol_whitelist="pipe",
        threads=1,
        err_detect="explode",
        **named,
    ).output("pipe:1", format="rawvideo", pix_fmt=pixel_format, fps_mode="passthrough")


@cache
def _require_decoder(program: Program, path: str) -> None:
    """Raise EnvironmentFault unless the program at ``path`` decodes a sound picture."""
    output, complaint = _run(_decoding(program, "gray"), program.probe, path, 256, _PROBE_SECONDS)
    if output != bytes([128]) * 256:
        name = program.standard.name
        raise EnvironmentFault(
            f"{path} does not decode {name}: a sound picture gives {len(output)} bytes"
            + (f", and {complaint}" if complaint else ""),
            hint=f"check {VARIABLE}: it must name an ffmpeg with a decoder of {name}",
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
