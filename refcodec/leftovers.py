"""Hidden files of this process: removed when it is done with them, when it ends, and when it is told to end.

A file that is being written has a hidden name until it is whole (``files.atomic_file``). An error removes
it, and so do the end of the interpreter and a signal to terminate, which then has its usual effect. SIGKILL
leaves the file: what was written can be salvaged by its name.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["removed"]

_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]

_owners: dict[Path, int] = {}
"""Hidden files, and the process that writes each: a forked child leaves them alone."""


@contextmanager
def removed(path: Path) -> Iterator[None]:
    """Remove a file, if it is still there, when the block ends, or the process does."""
    _owners[path] = os.getpid()
    _watch()
    try:
        yield
    finally:
        _remove(path)
        if not _owners:
            _unwatch()


def _remove(path: Path) -> None:
    if _owners.pop(path, None) == os.getpid():
        with suppress(OSError):
            path.unlink(missing_ok=True)


@atexit.register
def _remove_all() -> None:
    for path in list(_owners):
        _remove(path)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Remove the files, and end as the signal would have ended the process."""
    _remove_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _watch() -> None:
    """Handle the signals that nobody else handles; only the main thread may."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:
                with suppress(ValueError):  # not the main interpreter
                    signal.signal(number, _terminate)


def _unwatch() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is _terminate:
                with suppress(ValueError):
                    signal.signal(number, signal.SIG_DFL)
