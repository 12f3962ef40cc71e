"""The interface of a decoder under test, which runs in this process, as a command, or as a server.

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

Two more holes are optional. They never decide; they show the stage in which a wrong decoder goes wrong:
{samples} holds the integer samples of all features (8.3), little-endian int32 in C order, one after the
other; {syntax} the syntax elements as the lines of ``refcodec.suite.derive.syntax_lines``.

A server (:mod:`refcodec.suite.run.server`) is one process for many streams.
"""

from __future__ import annotations

import io
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from refcodec.errors import CallerError, DFCError, EnvironmentFault, StreamError
from refcodec.suite.run.process import (
    MOST_OUTPUT,
    POLL,
    Watch,
    end,
    file_size,
    last_line,
    scratch_folder,
    split,
    start,
)

__all__ = ["SKIP_STATUS", "BuiltIn", "Command", "Decoder", "Outcome", "Places"]

SKIP_STATUS = 77
"""Exit status of a decoder that skips a vector, as in Automake's tests."""

_WIDEST = 8
"""Bytes that a decoder may take for one expected byte, and that are still read to see what it did."""

_MARGIN = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a decoder's run; of the first four fields, the first that is not None holds.

    problem : why the decoder failed.
    skip    : why it skipped the stream.
    reject  : class for which it rejected the stream.
    output  : the bytes of the features; where there are far too many, the first of them.
    beyond  : number of bytes of the features that ``output`` leaves out.
    samples : bytes of the integer samples; None if the decoder does not say them.
    syntax  : the lines of syntax elements; None if it does not.
    """

    problem: str | None = None
    skip: str | None = None
    reject: str | None = None
    output: bytes = b""
    beyond: int = 0
    samples: bytes | None = None
    syntax: str | None = None

    @property
    def size(self) -> int:
        """Number of bytes of the features."""
        return len(self.output) + self.beyond


class Decoder(Protocol):
    """A decoder under test."""

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        ...

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Decode a stream.

        expected : bytes of output of a correct decoder; of much more, only the first are read.
        timeout  : seconds.
        """
        ...


# --- in this process -------------------------------------------------------------------------------


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


# --- as a command ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Places:
    """The files into which a decoder writes, in a folder of their own."""

    output: Path
    samples: Path
    syntax: Path

    @classmethod
    def inside(cls, folder: Path) -> Places:
        """The files of that folder."""
        return cls(*(folder / name for name in cls.__slots__))

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [self.output, self.samples, self.syntax]

    def collect(self, expected: int, how: str) -> Outcome:
        """The outcome of a decoder that has accepted a stream.

        expected : bytes of output of a correct decoder.
        how      : sign of the acceptance, for a message.
        """
        if not self.output.is_file():
            return Outcome(f"{how}, and no output file")
        most = _WIDEST * expected + _MARGIN
        with self.output.open("rb") as file:
            output = file.read(most)
        samples, syntax = None, None
        if self.samples.is_file():
            with self.samples.open("rb") as file:
                samples = file.read(most)
        if self.syntax.is_file():
            with self.syntax.open("rb") as file:
                syntax = file.read(MOST_OUTPUT).decode("utf-8", "replace")
        beyond = max(0, file_size(self.output) - len(output))
        return Outcome(output=output, beyond=beyond, samples=samples, syntax=syntax)


@dataclass(frozen=True)
class Command:
    """A decoder that runs as a command, one process for each stream.

    memory : bytes of address space that each of its processes may have; None for no limit.
    """

    words: tuple[str, ...]
    memory: int | None = None

    @classmethod
    def parse(cls, template: str, memory: int | None = None) -> Command:
        """Make a command from a template. Raises CallerError unless it has {input} and {output}."""
        words = split(template)
        for hole in ("{input}", "{output}"):
            if not any(hole in word for word in words):
                raise CallerError(
                    f"the decoder command {template!r} has no {hole}",
                    hint="write, for instance, 'mydec {input} {output}'",
                )
        return cls(words, memory)

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        return shlex.join(self.words)

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Run the command with a folder for its output, and with nothing on its standard input."""
        with scratch_folder() as folder:
            places = Places.inside(folder)
            holes = {"{input}": str(stream.resolve())}
            holes |= {f"{{{file.name}}}": str(file) for file in places.files}
            words = [_filled(word, holes) for word in self.words]
            stdout, stderr = folder / "stdout", folder / "stderr"
            watch = Watch.over(timeout, [*places.files, stdout, stderr], 4 * expected)
            with stdout.open("wb") as out, stderr.open("wb") as err:
                process = start(
                    words, self.memory, stdin=subprocess.DEVNULL, stdout=out, stderr=err
                )
                problem = _stopped(process, watch)
            if problem is not None:
                return Outcome(problem)
            return _ended(
                process.returncode, places, expected, last_line(stdout), last_line(stderr)
            )


def _filled(word: str, holes: dict[str, str]) -> str:
    for hole, path in holes.items():
        word = word.replace(hole, path)
    return word


def _stopped(process: subprocess.Popen[bytes], watch: Watch) -> str | None:
    """Wait for a process, or stop it and return the reason."""
    try:
        while True:
            try:
                process.wait(POLL)
                return None
            except subprocess.TimeoutExpired:
                if (problem := watch.objection()) is not None:
                    return problem
    finally:
        end(process)


def _ended(status: int, places: Places, expected: int, said: str, complained: str) -> Outcome:
    """The outcome of a command that has ended by itself.

    said, complained : last lines of standard output and standard error.
    """
    if status == SKIP_STATUS:
        return Outcome(skip=said or "not claimed")
    if status == 0:
        return places.collect(expected, "exit status 0")
    words = said.split()
    if status == 1 and len(words) == 2 and words[0] == "REJECT":
        return Outcome(reject=words[1])
    how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    if complained.startswith("REJECT "):
        return Outcome(
            f"{how}, and {complained!r} on standard error; it belongs on standard output"
        )
    if words[:1] == ["REJECT"]:
        what = "must be REJECT and one class" if status == 1 else "goes with exit status 1"
        return Outcome(f"{how}, and {said!r} on standard output; that line {what}")
    found = complained or (f"the last line is {said!r}" if said else "no message")
    return Outcome(f"{how} without a REJECT line: {found}")
