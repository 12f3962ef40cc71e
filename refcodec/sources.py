"""Sources: whatever a stream can be read from, as one thing that threads and processes can share.

    a path                      read by position, reopened where the source is unpickled
    bytes, bytearray, ...       held in memory
    a binary file object        read by position where it is a plain file, else under a lock
    a pipe                      read once, from the front, by the process that opened it

:func:`open_source` tells which.
"""

from __future__ import annotations

import glob
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refcodec.errors import CallerError, DFCError
from refcodec.files import storage_error
from refcodec.origins import (
    Front,
    Memory,
    Pipe,
    PlainFile,
    SharedFile,
    Source,
    StreamWindow,
    error_text,
)

__all__ = ["Anything", "Front", "Pipe", "Source", "StreamWindow", "byte_source", "open_source"]

Anything = Any
"""What a stream is read from: ``str``, ``os.PathLike``, a buffer of bytes, or a binary file object."""

_KINDS = "a path, bytes, bytearray, memoryview, or a binary file object"


@contextmanager
def byte_source(source: Anything) -> Iterator[Front]:
    """The stream in anything that `open_source` takes, to be read once. Raises CallerError."""
    origin = open_source(source)
    try:
        yield origin if isinstance(origin, Pipe) else StreamWindow(origin)
    finally:
        origin.close()


def open_source(source: Anything) -> Source | Pipe:
    """Open a path, bytes, or a binary file object, whose stream begins where it stands.

    Raises CallerError where it is none of these, or cannot be opened or read.
    """
    kind = type(source).__name__
    try:
        if isinstance(source, str):
            return _of_path(source)
        if not isinstance(source, type) and callable(getattr(source, "read", None)):
            return _of_file(source)
        if isinstance(source, os.PathLike):
            return _of_path(os.fsdecode(source))
        return _of_buffer(source)
    except DFCError:
        raise
    except Exception as error:
        raise CallerError(
            f"a stream cannot be read from {kind!r}: {error_text(error)}", hint=f"give {_KINDS}"
        ) from None


def _of_path(path: str) -> Source | Pipe:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the source closes it
    except OSError as error:
        fault = storage_error(error, path)
        if left := _left_by_writers(path):
            fault.hint = f"a writer that did not end has left {left}: salvage that one"
        raise fault from None
    try:
        if file.seekable():
            return PlainFile(file, 0, path, owned=True)
        return Pipe(io.BufferedReader(file), path, owned=True)
    except BaseException:
        file.close()
        raise


def _left_by_writers(path: str) -> str:
    """The hidden files of writers of a file that is not there; see `atomic_file`."""
    target = Path(path)
    try:
        found = sorted(target.parent.glob(f".{glob.escape(target.name)}.*.tmp"))
        return "" if target.exists() else ", ".join(map(str, found[:3]))
    except (OSError, ValueError):
        return ""


def _of_buffer(source: Any) -> Source:
    if isinstance(source, bytes):
        return Memory(source)
    view = memoryview(source)
    if view.itemsize != 1:
        raise CallerError(
            f"a buffer of items of {view.itemsize} bytes is no stream", hint=f"give {_KINDS}"
        )
    if isinstance(source, bytearray) or not view.c_contiguous:  # an export would stop its growth
        return Memory(view.tobytes())
    return Memory(view.cast("B") if view.nbytes else b"")


def _of_file(file: Any) -> Source | Pipe:
    if isinstance(file, io.TextIOBase):
        raise CallerError("the file was opened for text", hint="open it with mode 'rb'")
    name = _name(file)
    if getattr(file, "closed", False) is True:
        raise CallerError(f"{name} is closed", hint="open it again")
    seekable = getattr(file, "seekable", None)
    if not (seekable() if callable(seekable) else hasattr(file, "seek") and hasattr(file, "tell")):
        return Pipe(file, name)
    start = file.tell()
    if type(file) is io.BytesIO:
        return Memory(file.getbuffer()[start:].tobytes())
    plain = getattr(file, "raw", file)
    if type(file) in (io.FileIO, io.BufferedReader, io.BufferedRandom) and type(plain) is io.FileIO:
        if type(file) is io.BufferedRandom:
            file.flush()
        if not file.readable():
            raise CallerError(f"{name} was opened for writing alone", hint="open it with mode 'rb'")
        return PlainFile(file, start, name, owned=False)
    return SharedFile(file, start, name)


def _name(file: Any) -> str:
    """A file object in messages: its path, or its kind."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else f"a {type(file).__name__}"
