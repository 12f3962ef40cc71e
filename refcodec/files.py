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
from typing import Any, BinaryIO

from refcodec.errors import CallerError, DFCError, EnvironmentFault

__all__ = ["StreamWindow", "atomic_file", "byte_source", "json_value", "storage_error"]


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then the data are in a hidden file beside it and an old file stays as it is, even if the process is
    killed. A link is followed; what is not a regular file, such as a named pipe, is written directly.

    Raises CallerError if the path cannot be written, EnvironmentFault if the disk fails.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file() and not target.is_dir():
        try:
            device = target.open("wb")
        except OSError as error:
            raise storage_error(error, path) from None
        with device:
            yield device
        return
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise storage_error(error, path) from None
    hidden = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            try:
                _finish(file, hidden, target)
            except OSError as error:
                raise storage_error(error, path) from None
    except BaseException:
        with suppress(OSError):
            hidden.unlink()
        raise


def _finish(file: BinaryIO, hidden: Path, target: Path) -> None:
    """Flush the file to disk, and give it its final mode and name."""
    file.flush()
    os.fsync(file.fileno())
    if target.exists():
        hidden.chmod(target.stat().st_mode & 0o777)
    else:
        mask = os.umask(0)
        os.umask(mask)
        hidden.chmod(0o666 & ~mask)
    hidden.replace(target)


@contextmanager
def byte_source(source: str | os.PathLike[str] | bytes) -> Iterator[BinaryIO]:
    """Open bytes, or the file at a path, for reading. Raises CallerError if it cannot be read."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise storage_error(error, source) from None
    with file:
        yield file


class StreamWindow:
    """A stream inside a seekable file, with a reading position of its own.

    file  : the file, whose position others may move.
    start : position of the stream in the file, in bytes.
    """

    def __init__(self, file: BinaryIO, start: int, position: int = 0) -> None:
        self._file = file
        self._start = start
        self.position = position

    def at(self, position: int) -> StreamWindow:
        """The same stream, read from ``position`` on."""
        return StreamWindow(self._file, self._start, position)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        self._file.seek(self._start + self.position)
        data = self._file.read(size)
        self.position += len(data)
        return data

    def size(self) -> int:
        """Number of bytes from the start of the stream to the end of the file."""
        return self._file.seek(0, os.SEEK_END) - self._start


def storage_error(error: OSError, path: str | os.PathLike[str]) -> DFCError:
    """Turn an operating system's error about a file into CallerError or EnvironmentFault."""
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
