"""Streams that are still arriving: a feature can be decoded as soon as its unit is whole.

Units that are there already are decoded together; a window ends where one would have to wait for the next.
"""

from __future__ import annotations

import io
import os
import select
import socket
import stat
from collections.abc import Iterator
from typing import Any

from refcodec.errors import StreamError
from refcodec.sources import Pipe
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.windows import windows_of
from refcodec.syntax.bits import BitReader
from refcodec.syntax.structures import UNIT_HEADER
from refcodec.syntax.units import CRC_SIZE

__all__ = ["Arriving", "windows_at_hand"]

_PIECE = 1 << 16
"""Bytes taken at a time: more than a buffered file holds back, so that none stay where nobody sees them."""


def windows_at_hand(units: Iterator[CodedUnit | None]) -> Iterator[list[CodedUnit]]:
    """Split coded units into windows; each None, before which one would have to wait, ends a window."""
    ended = False

    def at_hand() -> Iterator[CodedUnit]:
        nonlocal ended
        for unit in units:
            if unit is None:
                return
            yield unit
        ended = True

    while not ended:
        yield from windows_of(at_hand())


class Arriving:
    """A source of bytes, pipe or socket, that can tell whether a whole unit has come.

    It takes what is there, more than was asked for: nobody else reads from the source afterwards. Of a source
    that is neither, nothing is known in advance: no unit is ever there.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._buffer = bytearray()
        self._descriptor = _descriptor_of(source)
        self._take = getattr(source, "read1", source.read)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._buffer:
            if self._descriptor is None:
                own: bytes = self._source.read(size)
                return own
            self._buffer += self._take(_PIECE)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def holds_unit(self) -> bool:
        """True if the next unit, or the end, can be read without waiting."""
        while not self._is_whole():
            if self._descriptor is None or not _is_readable(self._descriptor):
                return False
            piece = self._take(_PIECE)
            if not piece:
                return True
            self._buffer += piece
        return True

    def _is_whole(self) -> bool:
        """True if the buffer begins with a whole unit, or with what can be none."""
        head = bytes(self._buffer[:9])
        reader = BitReader(head, 0)
        try:
            size = UNIT_HEADER.parse_stream(reader).unit_size
        except StreamError:
            return len(head) == 9
        return len(self._buffer) - reader.position // 8 >= int(size) + CRC_SIZE


def _descriptor_of(source: Any) -> int | None:
    """The descriptor of a pipe or a socket that the operating system can be asked about."""
    source = source.file if isinstance(source, Pipe) else source
    raw = source.raw if isinstance(source, io.BufferedReader) else source
    if not isinstance(raw, (io.FileIO, socket.SocketIO)):
        return None
    try:
        descriptor = raw.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _is_readable(descriptor: int) -> bool:
    try:
        poll = select.poll()
    except AttributeError:  # no such call on this system
        return False
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(0))
