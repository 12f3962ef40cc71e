"""Files: to read from, and to write so that they appear whole or not at all."""

from __future__ import annotations

import errno
import io
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from refcodec import leftovers
from refcodec.errors import CallerError, DFCError, EnvironmentFault

__all__ = ["atomic_file", "byte_source", "json_value", "storage_error"]

_File = TypeVar("_File", bound=BinaryIO)

_LONGEST_STEM = 100
"""Bytes of a name that its hidden name repeats: many file systems take names of 255 bytes, some of 143."""


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, exist_ok: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then the old file, if any, stays as it is, also when the process is killed; what was written
    stands beside it under a hidden name, which goes away with the block, with the process, and with SIGTERM.
    A link is followed; what is no regular file, such as a named pipe, is written directly.

    exist_ok : whether the file may replace another one.

    Raises CallerError where the place cannot be written, EnvironmentFault where the disk fails.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        try:
            device = io.BufferedWriter(_Storage(target, "wb", path))
        except OSError as error:
            raise storage_error(error, path) from None
        with _closing(device):
            yield device
        return
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not exist_ok:
            raise _exists(path)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=".tmp")
    except OSError as error:
        raise storage_error(error, path) from None
    hidden = Path(name)
    with leftovers.removed(hidden):
        with _closing(io.BufferedRandom(_Storage(handle, "w+b", path))) as file:
            yield file
            with _blaming(path):
                _finish(file, hidden, target)
        if target.exists() and not exist_ok:
            raise _exists(path)
        with _blaming(path):
            hidden.replace(target)


class _Storage(io.FileIO):
    """A file whose errors in writing are those of whoever can mend them."""

    def __init__(self, file: int | Path, mode: str, path: str | os.PathLike[str]) -> None:
        super().__init__(file, mode)
        self._path = path
        self._owner = os.getpid()

    def write(self, data: Any, /) -> int:
        if os.getpid() != self._owner:  # what is buffered is the parent's to write
            raise CallerError(f"{os.fspath(self._path)} was opened before this process was forked")
        try:
            return super().write(data)
        except BrokenPipeError:  # the reader has left: no fault
            raise
        except OSError as error:
            raise storage_error(error, self._path) from None


@contextmanager
def _closing(file: _File) -> Iterator[_File]:
    """Close a file at the end; after an error, whatever closing it may say."""
    try:
        yield file
    except BaseException:
        with suppress(OSError, DFCError):
            file.close()
        raise
    file.close()


def _prefix(target: Path) -> str:
    """The beginning of a hidden name, short enough to leave room for its end."""
    name = target.name
    while len(os.fsencode(name)) > _LONGEST_STEM:
        name = name[:-1]
    return f".{name}."


def _exists(path: str | os.PathLike[str]) -> CallerError:
    return CallerError(f"{os.fspath(path)} exists", hint="exist_ok=True replaces it")


@contextmanager
def _blaming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the operating system, as those of whoever can mend them."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from None


def _finish(file: BinaryIO, hidden: Path, target: Path) -> None:
    """Bring the file to the disk, and give it the mode that it was meant to have."""
    file.flush()
    os.fsync(file.fileno())
    if target.exists():
        hidden.chmod(target.stat().st_mode & 0o777)
    else:
        mask = os.umask(0)
        os.umask(mask)
        hidden.chmod(0o666 & ~mask)


@contextmanager
def byte_source(source: str | os.PathLike[str] | bytes) -> Iterator[BinaryIO]:
    """Bytes, or the file of that path, to read from. Raises CallerError where it cannot be read."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise storage_error(error, source) from None
    with file:
        yield file


def storage_error(error: OSError, path: str | os.PathLike[str]) -> DFCError:
    """An operating system's error about a file, as the error of whoever can mend it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
        return EnvironmentFault(f"cannot write {path}: {error.strerror}", hint="free some space")
    return CallerError(
        f"cannot open {path}: {error.strerror}", hint="check the path and its permissions"
    )


def json_value(value: Any) -> Any:
    """A document as JSON has it: numbers that JSON lacks become ``"inf"``, ``"-inf"`` or ``"nan"``."""
    match value:
        case dict():
            return {key: json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
    return value
