"""The interface of a decoder under test, which runs in this process or as a command.

A command is a template such as ``mydec --quiet {input} {output}``, split as a shell would and run
without one. It reads the stream {input} and ends in one of these ways:

========================================  =====================================================
exit status 0                             {output} holds all features, one after the other, each in
                                          C order, every value little-endian in its source type
exit status 1, last line of standard      the stream is rejected, for a reason of that class of
output ``REJECT <class>``                 Annex D; {output} is ignored
exit status 77                            the decoder does not claim this stream's profile or level
anything else                             a failure
========================================  =====================================================
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from refcodec.errors import CallerError, DFCError, EnvironmentFault, StreamError

__all__ = ["SKIP_STATUS", "BuiltIn", "Command", "Decoder", "Outcome"]

SKIP_STATUS = 77
"""Exit status of a decoder that skips a vector, as in Automake's tests."""

_MOST_OUTPUT = 64 << 20
"""Bytes of a file or of standard output at which a command is stopped, unless more are expected."""

_TAIL = 4096
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a decoder's run; of the four fields, the first that is not None holds.

    problem : why the decoder failed.
    skip    : why it skipped the stream.
    reject  : class for which it rejected the stream.
    output  : the bytes of the features; at most one more than expected.
    """

    problem: str | None = None
    skip: str | None = None
    reject: str | None = None
    output: bytes = b""


class Decoder(Protocol):
    """A decoder under test."""

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        ...

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Decode a stream.

        expected : bytes of output of a correct decoder; more than one beyond are not read.
        timeout  : seconds.
        """
        ...


@dataclass(frozen=True)
class BuiltIn:
    """The decoder of refcodec itself, in this process, reading as from a pipe."""

    ffmpeg: str | None = None

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        import refcodec

        return f"refcodec {refcodec.__version__}"

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Decode a stream; only ffmpeg is bound by the time-out."""
        from refcodec.hashes import little_endian_bytes
        from refcodec.reader import open_stream

        output = io.BytesIO()
        try:
            source = _Pipe(stream.read_bytes())
            for feature in open_stream(source, ffmpeg=self.ffmpeg, timeout=timeout):
                output.write(little_endian_bytes(feature))
                if output.tell() > expected:
                    break
        except StreamError as error:
            return Outcome(reject=error.reject)
        except EnvironmentFault as error:
            return Outcome(skip=str(error))
        except (DFCError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            return Outcome(problem=f"{type(error).__name__}: {error}")
        return Outcome(output=output.getvalue())


class _Pipe(io.BytesIO):
    """Bytes that are read once, front to back."""

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True)
class Command:
    """A decoder that runs as a command."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, template: str) -> Command:
        """Make a command from a template. Raises CallerError unless it has {input} and {output}."""
        try:
            words = tuple(shlex.split(template))
        except ValueError as error:
            raise CallerError(
                f"the decoder command {template!r} cannot be split: {error}"
            ) from None
        for hole in ("{input}", "{output}"):
            if not any(hole in word for word in words):
                raise CallerError(
                    f"the decoder command {template!r} has no {hole}",
                    hint="write, for instance, 'mydec {input} {output}'",
                )
        return cls(words)

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        return shlex.join(self.words)

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Run the command in a folder of its own, with nothing on its standard input."""
        try:
            scratch = tempfile.TemporaryDirectory(prefix="dfc-")
        except OSError as error:
            raise EnvironmentFault(
                f"there is no place for temporary files: {error.strerror}",
                hint="set TMPDIR to a folder that can be written",
            ) from None
        with scratch as folder:
            place = Path(folder)
            holes = {"{input}": str(stream.resolve()), "{output}": str(place / "output")}
            words = list(self.words)
            for hole, path in holes.items():
                words = [word.replace(hole, path) for word in words]
            watched = [place / name for name in ("output", "stdout", "stderr")]
            with watched[1].open("wb") as stdout, watched[2].open("wb") as stderr:
                try:
                    process = subprocess.Popen(
                        words,
                        stdin=subprocess.DEVNULL,
                        stdout=stdout,
                        stderr=stderr,
                        start_new_session=True,  # so that its children end with it
                    )
                except OSError as error:
                    raise CallerError(
                        f"cannot run the decoder {words[0]}: {error.strerror}"
                    ) from None
                problem = _watch(process, watched, max(expected, _MOST_OUTPUT), timeout)
            return Outcome(problem) if problem else _outcome(process.returncode, watched, expected)


def _watch(
    process: subprocess.Popen[bytes], files: list[Path], most: int, timeout: float
) -> str | None:
    """Wait for a process, and stop it if it takes too long or writes too much; returns the reason."""
    end = time.monotonic() + timeout
    try:
        while True:
            try:
                process.wait(_POLL)
                return None
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    return f"stopped after {timeout:g} s"
                if any(_size(file) > most for file in files):
                    return f"stopped after writing more than {most} bytes"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and its children too where the system has groups of processes."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _outcome(status: int, files: list[Path], expected: int) -> Outcome:
    output, stdout, stderr = files
    if status == SKIP_STATUS:
        return Outcome(skip=_last_line(stdout) or "not claimed")
    if status == 0:
        if not output.is_file():
            return Outcome("exit status 0, and no output file")
        with output.open("rb") as file:
            return Outcome(output=file.read(expected + 1))
    words = _last_line(stdout).split()
    if status == 1 and len(words) == 2 and words[0] == "REJECT":
        return Outcome(reject=words[1])
    how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    return Outcome(f"{how} without a REJECT line: {_last_line(stderr) or 'no message'}")


def _last_line(file: Path) -> str:
    with file.open("rb") as lines:
        lines.seek(max(0, _size(file) - _TAIL))
        text = lines.read().decode("utf-8", "replace").strip()
    return text.rpartition("\n")[2].strip()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
