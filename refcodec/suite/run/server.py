"""A decoder under test as a server: one process for many streams, a JSON line for each.

request   {"id": 7, "input": PATH, "output": PATH, "samples": PATH, "syntax": PATH}
response  {"id": 7, "status": "accept"}
          {"id": 7, "status": "reject", "class": "checksum"}
          {"id": 7, "status": "skip", "reason": "profile hevc"}
          {"id": 7, "status": "error", "reason": "out of memory"}

The process ends when its standard input does. One that hangs, crashes or breaks the protocol fails the vector
under way; the next vector gets a new process.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from refcodec.suite.run.contract import Outcome, Places
from refcodec.suite.run.process import POLL, Watch, end, last_line, scratch_folder, split, start

__all__ = ["Server", "open_server"]

_LONGEST_LINE = 1 << 16
"""Bytes of a response."""

_GRACE = 2.0
"""Seconds that a process has to end once its standard input has ended."""


class _Broken(Exception):
    """The process does not answer, or not as it should; the argument says why."""


@dataclass
class _Process:
    """A running server.

    errors : file that takes its standard error.
    rest   : bytes that it has written after its last response.
    """

    popen: subprocess.Popen[bytes]
    errors: Path
    rest: bytes = b""

    def ask(self, request: dict[str, Any], watch: Watch) -> dict[str, Any]:
        """Send a request and wait for the response. Raises _Broken."""
        assert self.popen.stdin is not None
        line = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogateescape")
        try:
            self.popen.stdin.write(line + b"\n")  # shorter than a pipe's buffer: nothing blocks
            self.popen.stdin.flush()
        except OSError:
            raise _Broken(self._death()) from None
        answer = _object(self._line(watch))
        if answer.get("id") != request["id"]:
            raise _Broken(f"a response to {answer.get('id')!r} came, not to {request['id']!r}")
        return answer

    def _line(self, watch: Watch) -> bytes:
        """The next line of standard output. Raises _Broken."""
        assert self.popen.stdout is not None
        pipe = self.popen.stdout.fileno()
        while b"\n" not in self.rest:
            if len(self.rest) > _LONGEST_LINE:
                raise _Broken(f"a response has more than {_LONGEST_LINE} bytes")
            if (problem := watch.objection()) is not None:
                raise _Broken(problem)
            if select.select([pipe], [], [], POLL)[0]:
                more = os.read(pipe, _LONGEST_LINE)
                if not more:
                    raise _Broken(self._death())
                self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _death(self) -> str:
        """The way in which the process ended, though it was not asked to."""
        try:
            status = self.popen.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "standard input or output was closed without a response"
        how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        return f"{how} without a response: {last_line(self.errors) or 'no message'}"

    def close(self, grace: float = 0.0) -> None:
        """End the process and its children; by itself if it does so in that many seconds."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        with suppress(OSError):
            self.popen.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace)
        end(self.popen)
        self.popen.stdout.close()


def _object(line: bytes) -> dict[str, Any]:
    """A response as a JSON object. Raises _Broken."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _Broken(f"a response is no JSON object: {line[:100].decode('utf-8', 'replace')!r}")
    return answer


@dataclass(frozen=True)
class Server:
    """A decoder that runs as a server, with one process for each vector at a time.

    folder : place for the standard error of its processes.
    memory : bytes of address space that each of its processes may have; None for no limit.
    """

    words: tuple[str, ...]
    folder: Path
    memory: int | None = None
    _idle: list[_Process] = field(default_factory=list, init=False, repr=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the decoder in reports."""
        return shlex.join(self.words)

    def run(self, stream: Path, expected: int, timeout: float) -> Outcome:
        """Ask an idle process, or a new one, to decode a stream; start-up counts as its time."""
        with scratch_folder() as folder:
            places, number = Places.inside(folder), next(self._numbers)
            try:
                process = self._idle.pop()
            except IndexError:
                process = self._start(number)
            os.truncate(process.errors, 0)
            request = {"id": number, "input": str(stream.resolve())}
            request |= {file.name: str(file) for file in places.files}
            watch = Watch.over(timeout, [*places.files, process.errors], 4 * expected)
            try:
                outcome = _outcome(process.ask(request, watch), places, expected)
            except _Broken as broken:
                process.close()
                return Outcome(str(broken))
            except BaseException:
                process.close()
                raise
            self._idle.append(process)
            return outcome

    def _start(self, number: int) -> _Process:
        errors = self.folder / f"stderr-{number}"
        with errors.open("ab") as file:
            popen = start(
                self.words,
                self.memory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
            )
        return _Process(popen, errors)

    def close(self) -> None:
        """End all processes."""
        for process in self._idle:
            process.close(_GRACE)
        self._idle.clear()


@contextmanager
def open_server(command: str, memory: int | None = None) -> Iterator[Server]:
    """A server for the vectors of a block; its processes end with it.

    memory : bytes of address space that each of its processes may have; None for no limit.

    Raises CallerError if the command cannot be split, EnvironmentFault without a place for files.
    """
    with scratch_folder() as folder:
        server = Server(split(command), folder, memory)
        try:
            yield server
        finally:
            server.close()


def _outcome(answer: dict[str, Any], places: Places, expected: int) -> Outcome:
    """The outcome that a response stands for. Raises _Broken."""
    match answer:
        case {"status": "accept"}:
            return places.collect(expected, "accepted")
        case {"status": "reject", "class": str(word)}:
            return Outcome(reject=word)
        case {"status": "skip"}:
            return Outcome(skip=str(answer.get("reason") or "not claimed"))
        case {"status": "error"}:
            return Outcome(str(answer.get("reason") or "the decoder reports an error"))
    raise _Broken(f"a response has no known status: {str(answer)[:100]}")
