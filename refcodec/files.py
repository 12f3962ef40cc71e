"""Files: sources to read from, and atomic writing."""

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

__all__ = ["atomic_file", "json_value", "open_file", "storage_error"]

_File = TypeVar("_File", bound=BinaryIO)

_LONGEST_STEM = 100
"""Bytes of a name that its hidden name repeats: many file systems take names of 255 bytes, some of 143."""


@contextmanager
def atomic_file(path: str | os.PathLike[str], *, exist_ok: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then the data are in a hidden file beside it and an old file stays as it is, even if the process is
    killed; the hidden file is removed with the block, with the process, and by SIGTERM. A link is followed;
    what is not a regular file, such as a named pipe, is written directly.

    exist_ok : true if the file may replace another one.

    Raises CallerError if the path cannot be written, EnvironmentFault if the disk fails.
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError as error:
        raise storage_error(error, path) from None
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
    """Flush the file to disk, and give it its final mode."""
    file.flush()
    os.fsync(file.fileno())
    if target.exists():
        hidden.chmod(target.stat().st_mode & 0o777)
    else:
        mask = os.umask(0)
        os.umask(mask)
        hidden.chmod(0o666 & ~mask)


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open the file at a path for reading. Raises CallerError if it cannot be opened."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise storage_error(error, path) from None
    with file:
        yield file


def storage_error(error: OSError | ValueError, path: str | os.PathLike[str]) -> DFCError:
    """Turn an error about a file, or a path that no file can have, into CallerError or EnvironmentFault."""
    if isinstance(error, ValueError):
        return CallerError(f"there can be no file {os.fspath(path)!r}: {error}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
        return EnvironmentFault(f"cannot write {path}: {error.strerror}", hint="free some space")
    return CallerError(
        f"cannot open {path}: {error.strerror}", hint="check the path and its permissions"
    )


def json_value(value: Any) -> Any:
    """Convert a document to JSON types: infinities and NaN become ``"inf"``, ``"-inf"``, ``"nan"``."""
    match value:
        case dict():
            return {key: json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
    return value
