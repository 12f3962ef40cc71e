"""Processes of decoders under test: bounded in time, memory and output, and ended with their children."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from refcodec.errors import CallerError, EnvironmentFault

__all__ = [
    "MOST_OUTPUT",
    "POLL",
    "Watch",
    "end",
    "file_size",
    "last_line",
    "scratch_folder",
    "split",
    "start",
]

MOST_OUTPUT = 64 << 20
"""Bytes of a file or of standard output at which a decoder is stopped, unless more are expected."""

POLL = 0.02
"""Seconds between two looks at a decoder's time and output."""

_TAIL = 4096

_LIMIT = Path(__file__).with_name("limit.py")


def split(template: str) -> tuple[str, ...]:
    """Words of a command, split as a shell would. Raises CallerError."""
    try:
        words = tuple(shlex.split(template))
    except ValueError as error:
        raise CallerError(f"the decoder command {template!r} cannot be split: {error}") from None
    if not words:
        raise CallerError("the decoder command is empty")
    return words


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed when the block ends. Raises EnvironmentFault if none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="dfc-", ignore_cleanup_errors=True)
    except OSError as error:
        raise EnvironmentFault(
            f"there is no place for temporary files: {error.strerror}",
            hint="set TMPDIR to a folder that can be written",
        ) from None
    with folder as name:
        yield Path(name)


def start(
    words: Sequence[str],
    memory: int | None,
    *,
    stdin: int | IO[bytes],
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a group of processes.

    memory : bytes of address space that each of its processes may have; None for no limit.

    Raises CallerError if there is no such program, EnvironmentFault where memory cannot be limited.
    """
    own = [*_limiter(memory), *words] if memory is not None else list(words)
    try:
        if memory is not None and shutil.which(words[0]) is None:
            raise FileNotFoundError(2, os.strerror(2))
        return subprocess.Popen(
            own, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    except OSError as error:
        raise CallerError(f"cannot run the decoder {words[0]}: {error.strerror}") from None


def _limiter(memory: int) -> list[str]:
    """The words before a command that limit its memory."""
    if not sys.platform.startswith("linux"):
        raise EnvironmentFault(
            f"memory cannot be limited on {sys.platform}", hint="leave --memory out"
        )
    return [sys.executable, "-I", "-S", str(_LIMIT), str(memory)]


@dataclass(slots=True)
class Watch:
    """Bounds on the time of a decoder and on the files that it writes.

    end   : time of ``time.monotonic()`` at which it is stopped.
    files : files that grow.
    most  : bytes that each may have.
    """

    timeout: float
    files: list[Path]
    most: int
    end: float

    @classmethod
    def over(cls, timeout: float, files: list[Path], expected: int) -> Watch:
        """A watch that begins now, over files of which the largest has so many bytes."""
        return cls(timeout, files, max(expected, MOST_OUTPUT), time.monotonic() + timeout)

    def objection(self) -> str | None:
        """Reason to stop the decoder now, if there is one."""
        if time.monotonic() > self.end:
            return f"stopped after {self.timeout:g} s"
        if any(file_size(file) > self.most for file in self.files):
            return f"stopped after writing more than {self.most} bytes"
        return None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and its children too where the system has groups of processes."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def last_line(file: Path) -> str:
    """The last line of a file of text, of which only the end is read."""
    with file.open("rb") as lines:
        lines.seek(max(0, file_size(file) - _TAIL))
        text = lines.read().decode("utf-8", "replace").strip()
    return text.rpartition("\n")[2].strip()


def file_size(file: Path) -> int:
    """Bytes of a file; 0 if it does not exist."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
