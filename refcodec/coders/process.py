"""A program as a filter from bytes to bytes, in bounded time and with bounded output.

The program leads a process group of its own, which ends with the call: also what a wrapper has started. Three
threads serve its pipes, so that neither side waits for the other.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import IO, Literal, NamedTuple

__all__ = ["Outcome", "run_filter"]

_PIECE = 1 << 16

_GRACE = 5.0
"""Seconds for the pipes of a group that was ended to close."""


class Outcome(NamedTuple):
    """End of a program.

    output  : standard output; one byte more than was allowed where there was more.
    errors  : beginning of standard error.
    status  : exit status; negative for a signal.
    stopped : why it was ended early: its ``time`` was over, or its ``output`` too long; else ''.
    """

    output: bytes | bytearray
    errors: bytes
    status: int
    stopped: Literal["", "time", "output"]


def run_filter(command: Sequence[str], data: bytes, *, largest: int, timeout: float) -> Outcome:
    """Run a program on bytes.

    largest : most bytes of output; beyond them the program is ended.
    timeout : seconds, after which it is ended too.

    Raises OSError where it cannot be started.
    """
    deadline = time.monotonic() + timeout
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None
    assert stdout is not None
    assert stderr is not None
    output, errors = bytearray(), bytearray()
    threads = [
        Thread(target=_feed, args=(stdin, data), daemon=True),
        Thread(target=_collect, args=(stdout, output, largest + 1), daemon=True),
        Thread(target=_collect, args=(stderr, errors, _PIECE, True), daemon=True),
    ]
    stopped: Literal["", "time", "output"] = ""
    try:
        for thread in threads:
            thread.start()
        for thread in threads[1:]:
            thread.join(max(0.0, deadline - time.monotonic()))
            if len(output) > largest:
                stopped = "output"
                break
        else:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        stopped = "time"
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None  # the system has no thread left
    finally:
        if process.returncode is None:
            _end_group(process)
        for thread, file in zip(threads, (stdin, stdout, stderr), strict=True):
            if thread.ident is not None:
                thread.join(_GRACE)
            if not thread.is_alive():  # else somebody outside the group holds the pipe
                with suppress(OSError):
                    file.close()
    return Outcome(output, bytes(errors), process.returncode, stopped)


def _feed(file: IO[bytes], data: bytes) -> None:
    """Write the input; a program that ends early does not want it all."""
    with suppress(OSError, ValueError), file:
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            file.write(view[start : start + _PIECE])


def _collect(file: IO[bytes], into: bytearray, most: int, drain: bool = False) -> None:
    """Read up to ``most`` bytes; let the rest wait, or read it for nothing."""
    with suppress(OSError, ValueError):
        while piece := os.read(file.fileno(), _PIECE):
            into += piece[: most - len(into)]
            if len(into) == most and not drain:
                return


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program that runs, with all that it has started, and wait for it."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            # the group has the number of its leader, until that is waited for
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
