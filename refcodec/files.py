"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from refcodec.errors import CallerError, DFCError, EnvironmentFault

__all__ = ["atomic_file", "storage_error"]


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    Until then the old file, if any, stays as it is, also when the process is killed; what was written
    stands beside it under a hidden name.

    Raises CallerError where the place cannot be written, EnvironmentFault where the disk fails.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise storage_error(error, target) from None
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException as error:
        with suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError) and not isinstance(error, DFCError):
            raise storage_error(error, target) from None
        raise


def storage_error(error: OSError, path: str | os.PathLike[str]) -> DFCError:
    """An operating system's error about a file, as the error of whoever can mend it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
        return EnvironmentFault(f"cannot write {path}: {error.strerror}", hint="free some space")
    return CallerError(
        f"cannot open {path}: {error.strerror}", hint="check the path and its permissions"
    )
