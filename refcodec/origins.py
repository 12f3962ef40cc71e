"""Origins of bytes: memory, plain files, other file objects, pipes; and how each can be shared.

Reading by position moves nothing that another thread or process sees. Errors of a file object become
refcodec's own.
"""

from __future__ import annotations

import errno
import io
import os
import pickle
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.files import storage_error

__all__ = [
    "Front",
    "Memory",
    "Pipe",
    "PlainFile",
    "SharedFile",
    "Source",
    "StreamWindow",
    "error_text",
]

_BY_POSITION = hasattr(os, "pread")


class Front(ABC):
    """A stream to be read from the front.

    position : where in the stream the next byte is read.
    """

    position: int

    @abstractmethod
    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""

    def read_whole(self, size: int) -> bytes:
        """``size`` bytes, or fewer at the end only."""
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        return data


class Origin:
    """An origin of bytes.

    name : for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def close(self) -> None:
        """Let go of what was opened; later reading raises CallerError."""
        self.closed = True

    def require_open(self) -> None:
        """Raise CallerError where the source was closed."""
        if self.closed:
            raise CallerError(f"the reader of {self.name} is closed", hint="open it again")


class Source(Origin, ABC):
    """A source with random access, to be shared by threads, and by processes as far as it can be."""

    @abstractmethod
    def _read_at(self, position: int, size: int) -> Any:
        """At most ``size`` bytes from ``position`` on, or whatever the file object gives."""

    @abstractmethod
    def _size(self) -> int:
        """Number of bytes from the start of the stream to the end of the source."""

    def read_at(self, position: int, size: int) -> bytes:
        """At most ``size`` bytes from ``position`` of the stream on; none at its end."""
        self.require_open()
        with _blaming(self):
            return _as_bytes(self._read_at(position, size), size, self.name)

    def size(self) -> int:
        """Number of bytes from the start of the stream to the end of the source."""
        self.require_open()
        with _blaming(self):
            return self._size()


class Memory(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes | memoryview) -> None:
        super().__init__(f"{len(data):,} bytes in memory")
        self._data = data

    def _read_at(self, position: int, size: int) -> bytes:
        return bytes(self._data[position : position + size])

    def _size(self) -> int:
        return len(self._data)

    def close(self) -> None:
        """Let go of what was opened; later reading raises CallerError."""
        super().close()
        self._data = b""

    def __reduce__(self) -> tuple[Any, ...]:
        return Memory, (bytes(self._data),)


class PlainFile(Source):
    """A file with a descriptor: reading by position moves nothing that others see.

    file  : opened without a buffer if it is this source's own.
    start : where in the file the stream begins, in bytes.
    """

    def __init__(self, file: Any, start: int, name: str, *, owned: bool) -> None:
        super().__init__(name)
        self._file = file
        self._start = start
        self._owned = owned
        self._lock = threading.Lock()

    def _read_at(self, position: int, size: int) -> bytes:
        number = self._file.fileno()
        if _BY_POSITION:
            return os.pread(number, size, self._start + position)
        with self._lock:
            os.lseek(number, self._start + position, os.SEEK_SET)
            return os.read(number, size)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size - self._start

    def close(self) -> None:
        """Let go of what was opened; later reading raises CallerError."""
        super().close()
        if self._owned:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self.require_open()
        here = os.fstat(self._file.fileno())
        path = self._file.name
        try:
            there = Path(os.fsdecode(path)).stat() if isinstance(path, (str, bytes)) else None
        except OSError:
            there = None
        if there is None or not os.path.samestat(here, there):
            raise CallerError(
                f"a reader of {self.name} cannot go to another process: the file has no path",
                hint="open it by its path",
            )
        return _reopened, (str(Path(os.fsdecode(path)).absolute()), self._start, _edition(here))


class SharedFile(Source):
    """A file object that seeks and reads in two steps: a lock keeps threads apart.

    Its position may be shared with a forked process, in which it is therefore refused; pickled, it
    goes along if it can be pickled.
    """

    def __init__(self, file: Any, start: int, name: str) -> None:
        super().__init__(name)
        self._file = file
        self._start = start
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _at(self, position: int, whence: int) -> int:
        found = self._file.seek(position, whence)
        return found if isinstance(found, int) else int(self._file.tell())

    def _read_at(self, position: int, size: int) -> Any:
        self._require_home()
        with self._lock:
            self._at(self._start + position, os.SEEK_SET)
            return self._file.read(size)

    def _size(self) -> int:
        self._require_home()
        with self._lock:
            return self._at(0, os.SEEK_END) - self._start

    def _require_home(self) -> None:
        if os.getpid() != self._process:
            raise CallerError(
                f"{self.name} was opened in another process, and its position may be shared with it",
                hint="open the stream by its path, or in each process",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        self.require_open()
        try:
            data = pickle.dumps(self._file)
        except Exception as error:
            raise CallerError(
                f"a reader of {self.name} cannot go to another process: {error_text(error)}",
                hint="open the stream by its path",
            ) from None
        return _unpickled, (data, self._start, self.name)


class Pipe(Origin, Front):
    """A source without random access, such as a pipe or a socket.

    file : the file object, which nobody else may read.
    """

    def __init__(self, file: Any, name: str, *, owned: bool = False) -> None:
        super().__init__(name)
        self.file = file
        self._owned = owned
        self._process = os.getpid()
        self.position = 0

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        return self._taken(self.file.read, size)

    def read1(self, size: int, /) -> bytes:
        """At most ``size`` bytes of those that are there, after waiting for the first; none at the end."""
        return self._taken(getattr(self.file, "read1", self.file.read), size)

    def read_all(self) -> bytes:
        """All bytes, after which the pipe is closed."""
        pieces = []
        while piece := self.read(1 << 20):
            pieces.append(piece)
        self.close()
        return b"".join(pieces)

    def _taken(self, take: Callable[[int], Any], size: int) -> bytes:
        self.require_open()
        if os.getpid() != self._process:
            raise CallerError(
                f"{self.name} was opened in another process, and can be read by one of them only",
                hint="open it in the process that reads it, or write the stream to a file first",
            )
        with _blaming(self):
            data = _as_bytes(take(size), size, self.name)
        self.position += len(data)
        return data

    def close(self) -> None:
        """Let go of what was opened; later reading raises CallerError."""
        super().close()
        if self._owned:
            self.file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        raise CallerError(
            f"{self.name} cannot go to another process", hint="write the stream to a file first"
        )


class StreamWindow(Front):
    """A stream of a source, with a reading position of its own.

    source   : positions in it are shared by nobody.
    start    : where in the source the stream begins, in bytes.
    position : where in the stream the next byte is read.
    """

    _AHEAD = 4096
    """Bytes that are read at least: most reads ask for a few bytes of a unit's header."""

    def __init__(self, source: Source, start: int = 0, position: int = 0) -> None:
        self.source = source
        self.start = start
        self.position = position
        self._buffer = b""
        self._buffer_at = 0

    def at(self, position: int) -> StreamWindow:
        """The same stream, to be read from ``position`` on."""
        return StreamWindow(self.source, self.start, position)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        skip = self.position - self._buffer_at
        data = self._buffer[skip : skip + size] if skip >= 0 else b""
        if not data and size > 0:
            found = self.source.read_at(self.start + self.position, max(size, self._AHEAD))
            self._buffer, self._buffer_at = found, self.position
            data = found[:size]
        self.position += len(data)
        return data

    def size(self) -> int:
        """Number of bytes from the start of the stream to the end of the source."""
        return self.source.size() - self.start


def _reopened(path: str, start: int, edition: tuple[int, int]) -> Source:
    """The file of that path in another process. Raises CallerError where it is no longer the same."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the source closes it
    except OSError as error:
        raise storage_error(error, path) from None
    if _edition(os.fstat(file.fileno())) != edition:
        file.close()
        raise CallerError(
            f"{path} has changed since the reader was opened", hint="open the stream again"
        )
    return PlainFile(file, start, path, owned=True)


def _edition(status: os.stat_result) -> tuple[int, int]:
    """Size and time of change of a file, in bytes and nanoseconds."""
    return status.st_size, status.st_mtime_ns


def _unpickled(data: bytes, start: int, name: str) -> Source:
    return SharedFile(pickle.loads(data), start, name)


def error_text(error: BaseException) -> str:
    """An error of a stranger's object in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _blaming(origin: Origin) -> Iterator[None]:
    """Turn what a file raises into an error of whoever can mend it."""
    try:
        yield
    except DFCError:
        raise
    except io.UnsupportedOperation as error:
        raise CallerError(f"cannot read {origin.name}: {error_text(error)}") from None
    except OSError as error:
        if error.errno == errno.EBADF:
            raise CallerError(f"cannot read {origin.name}: it was closed") from None
        reason = error.strerror or error_text(error)
        raise EnvironmentFault(f"cannot read {origin.name}: {reason}") from None
    except MemoryError:
        raise
    except Exception as error:
        raise CallerError(f"cannot read {origin.name}: {error_text(error)}") from error


def _as_bytes(data: Any, size: int, name: str) -> bytes:
    """What a file object gave, which may be anything. Raises CallerError."""
    if not isinstance(data, bytes):
        if data is None:
            raise CallerError(f"{name} does not wait for bytes", hint="make it a blocking one")
        if isinstance(data, str):
            raise CallerError(f"{name} was opened for text", hint="open it with mode 'rb'")
        if not isinstance(data, (bytearray, memoryview)):
            raise CallerError(f"{name} gives {type(data).__name__} instead of bytes")
    found = bytes(data)
    if len(found) > size:
        raise CallerError(f"{name} gives {len(found)} bytes where {size} were asked for")
    return found
