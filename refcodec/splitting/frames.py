"""Frames on a connection: pieces of a DFC stream, each of whole units, with their length in front.

    kind      u(8)     1 units, 2 error, 3 end
    number    u(32)    of the request, from 0; of an answer, that of its request
    images    u(32)    of a request; of an answer, rows of the output
    decode    u(32)    microseconds that the server took to decode; 0 in requests
    tail      u(32)    microseconds that it took for the tail
    size      u(32)    bytes that follow

Big-endian. The bytes of all frames of units, and of the end, are one stream. Those of an error are text: a
word for whose fault it is, and the error.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from threading import Lock
from time import monotonic
from typing import NamedTuple

from refcodec.errors import CallerError, DFCError, EnvironmentFault, StreamError

__all__ = [
    "HEADER_SIZE",
    "LARGEST_FRAME",
    "Connection",
    "Frame",
    "Kind",
    "Lost",
    "error_frame",
    "error_in",
]

_HEADER = struct.Struct(">BIIIII")
HEADER_SIZE = _HEADER.size

LARGEST_FRAME = 64 << 20
"""Bytes of a frame at most, where nothing else is said."""

_PIECE = 1 << 20
"""Bytes that room is made for at a time: a size that is a lie costs no more."""

_FAREWELL = 1.0
"""Seconds that the other end has to read the last frame."""

_FAULTS: dict[str, type[DFCError]] = {
    "stream": StreamError,
    "caller": CallerError,
    "server": EnvironmentFault,
}


class Lost(EnvironmentFault):
    """The connection is no longer there."""


class Kind(IntEnum):
    """Kinds of frames."""

    UNITS = 1
    ERROR = 2
    END = 3


class Frame(NamedTuple):
    """A frame; the header of this module has its fields. Times are in microseconds."""

    kind: Kind
    number: int
    body: bytes
    images: int = 0
    decode: int = 0
    tail: int = 0


def error_frame(number: int, error: DFCError) -> Frame:
    """A frame that tells of an error."""
    fault = next((name for name, kind in _FAULTS.items() if isinstance(error, kind)), "server")
    return Frame(Kind.ERROR, number, f"{fault}\n{error}".encode()[:_PIECE])


def error_in(frame: Frame, who: str) -> DFCError:
    """The error that a frame tells of; ``who`` has sent it."""
    fault, _, text = frame.body.decode("utf-8", "replace").partition("\n")
    return _FAULTS.get(fault, EnvironmentFault)(f"{who} refuses: {text}")


class Connection:
    """One end of a connection. A thread may send while another one receives.

    peer    : the other end, in messages.
    timeout : seconds that the other end may take to accept a piece, or to finish a frame that it has begun.
    largest : bytes of a frame at most.
    """

    def __init__(self, own: socket.socket, peer: str, *, timeout: float, largest: int) -> None:
        own.settimeout(timeout)
        with suppress(OSError):  # not of every family of sockets
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self.peer = own, peer
        self._timeout, self._largest = timeout, largest
        self._sending = Lock()

    def send(self, frame: Frame) -> None:
        """Send a frame; returns when the system has taken all of it.

        Raises CallerError for a frame that is too large, EnvironmentFault where the other end takes nothing,
        `Lost` where the connection is.
        """
        size = len(frame.body)
        if size > self._largest:
            raise CallerError(
                f"a request of {size:,} bytes; a frame has at most {self._largest:,}",
                hint="send fewer images at a time, or raise largest at both ends",
            )
        head = _HEADER.pack(frame.kind, frame.number, frame.images, frame.decode, frame.tail, size)
        with self._sending:
            try:
                self._socket.sendall(head + frame.body)
            except TimeoutError:
                raise EnvironmentFault(
                    f"{self.peer} takes nothing for {self._timeout:g} s",
                    hint="it is overloaded, or the network is; raise timeout",
                ) from None
            except OSError as error:
                raise _lost(self.peer, error) from None

    def receive(self, patient: Callable[[], bool]) -> Frame | None:
        """Wait for a frame; None at the end of the connection.

        patient : is asked after each ``timeout`` without a frame; false gives up.

        Raises StreamError for what is no frame, EnvironmentFault where the other end is too slow, `Lost`
        where the connection is.
        """
        first = self._wait(patient)
        if not first:
            return None
        deadline = monotonic() + self._timeout
        head = first + self._exactly(_HEADER.size - 1, deadline)
        kind, number, images, decode, tail, size = _HEADER.unpack(head)
        if kind not in list(Kind):
            raise StreamError(f"{self.peer} sends no frames of split inference, but byte {kind:#x}")
        if size > self._largest:
            raise StreamError(
                f"{self.peer} announces {size:,} bytes; a frame has at most {self._largest:,}"
            )
        return Frame(Kind(kind), number, self._exactly(size, deadline), images, decode, tail)

    def close(self, *, after_last: bool = False) -> None:
        """End the connection; whoever waits at either end is woken.

        after_last : first let the other end read what was sent, for a while; what it sends is thrown away.
        """
        with suppress(OSError):
            if after_last:
                self._socket.shutdown(socket.SHUT_WR)
                until = monotonic() + _FAREWELL
                self._socket.settimeout(_FAREWELL)
                while monotonic() < until and self._socket.recv(_PIECE):
                    pass
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _wait(self, patient: Callable[[], bool]) -> bytes:
        """The first byte of a frame; none at the end."""
        while True:
            try:
                return self._socket.recv(1)
            except TimeoutError:
                if not patient():
                    raise EnvironmentFault(
                        f"{self.peer} sends nothing for {self._timeout:g} s or more",
                        hint="it is overloaded, or the network is; raise timeout",
                    ) from None
            except OSError as error:
                raise _lost(self.peer, error) from None

    def _exactly(self, size: int, deadline: float) -> bytes:
        """So many bytes, within the time."""
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._socket.recv(min(size - len(data), _PIECE))
            except TimeoutError:
                piece = None
            except OSError as error:
                raise _lost(self.peer, error) from None
            if piece == b"":
                raise _lost(self.peer, "it ends within a frame")
            if piece is None or monotonic() > deadline:
                raise EnvironmentFault(
                    f"{self.peer} does not finish a frame within {self._timeout:g} s",
                    hint="raise timeout, or send less at a time",
                )
            data += piece
        return bytes(data)


def _lost(peer: str, reason: object) -> Lost:
    return Lost(f"the connection to {peer} is lost: {reason}", hint="the next call connects again")
