"""Processes that judge mutants: each is a fork of one that has imported everything but refcodec."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Job = TypeVar("Job")

_MEMORY = 6 << 30
"""Bytes of address space of a process."""

_PATIENCE = 300.0
"""Seconds that a process may take, whatever it waits for."""


@dataclass
class _Child:
    pid: int
    pipe: int
    began: float
    text: bytes = b""


def run(
    jobs: Iterator[Job], work: Callable[[Job], str], workers: int
) -> Iterator[tuple[Job, str | None]]:
    """Run ``work`` of each job in a process of its own; yields jobs and texts as they come.

    The text is None where the process ended without one: by a limit on its time or its memory, or by a crash.
    """
    running: dict[int, tuple[Job, _Child]] = {}
    left = True
    while left or running:
        while left and len(running) < workers:
            job = next(jobs, None)
            if job is None:
                left = False
                break
            child = _start(job, work)
            running[child.pipe] = job, child
        if not running:
            break
        ready, _, _ = select.select(list(running), [], [], 1.0)
        for pipe in list(running):
            job, child = running[pipe]
            late = time.monotonic() - child.began > _PATIENCE
            if pipe in ready:
                piece = os.read(pipe, 1 << 16)
                child.text += piece
                if piece:
                    continue
            elif not late:
                continue
            del running[pipe]
            yield job, _end(child, late)


def _start(job: Job, work: Callable[[Job], str]) -> _Child:
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return _Child(pid, read, time.monotonic())
    status = 1
    try:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.write(write, work(job).encode())
        status = 0
    except BaseException:
        os.write(write, b"!" + traceback.format_exc(limit=-3).encode()[-900:])
    finally:
        os._exit(status)


def _end(child: _Child, late: bool) -> str | None:
    if late:
        os.kill(child.pid, signal.SIGKILL)
    os.close(child.pipe)
    _, status = os.waitpid(child.pid, 0)
    return child.text.decode() if os.WIFEXITED(status) else None
