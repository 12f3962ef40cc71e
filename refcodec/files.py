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
from typing import Any, BinaryIO

from refcodec.errors import CallerError, DFCError, EnvironmentFault

__all__ = ["atomic_file", "byte_source", "json_value", "storage_error"]


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then the old file, if any, stays as it is, also when the process is killed; what was written
    stands beside it under a hidden name. A link is followed; what is no regular file, such as a named
    pipe, is written directly.

    Raises CallerError where the place cannot be written, EnvironmentFault where the disk fails.
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
    """Bring the file to the disk, and give it the mode and the name that it was meant to have."""
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
