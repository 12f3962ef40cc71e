"""One connection of a client: a stream there, a stream back, and the requests under way."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock, Thread
from time import perf_counter, sleep
from typing import Any

import torch

from refcodec.config import EncoderConfig
from refcodec.errors import DFCError, EnvironmentFault, StreamError
from refcodec.splitting.frames import HEADER_SIZE, Connection, Frame, Kind, Lost, error_in
from refcodec.splitting.rate import Control
from refcodec.splitting.stats import Stats
from refcodec.splitting.wire import Incoming, Outgoing
from refcodec.tables import HIGHEST_LEVEL
from refcodec.tensors import to_torch

__all__ = ["Link", "Request"]

_OUTPUT = "output"
"""Name of the output in messages."""


@dataclass(eq=False)
class Request:
    """Images on their way.

    count   : number of images.
    device  : of the images, to which the output goes.
    begun   : time when the head began to run.
    seconds : by stage, so far.
    answer  : receives the output.
    """

    count: int
    device: torch.device
    begun: float
    seconds: dict[str, float]
    sent: float = 0.0
    answer: Future[torch.Tensor] = field(default_factory=Future)


class Link:
    """A connection with its two streams.

    depth : requests under way at most; a further one waits until one of them is answered.
    """

    def __init__(
        self,
        connection: Connection,
        config: EncoderConfig,
        control: Control,
        stats: Stats,
        *,
        depth: int,
        timeout: float,
    ) -> None:
        self._connection, self._control, self._stats = connection, control, stats
        self._timeout = timeout
        self._outgoing, self._incoming = Outgoing(config), Incoming(HIGHEST_LEVEL)
        self._room = BoundedSemaphore(depth)
        self._coding, self._turn = Lock(), Lock()
        self._number = 0
        self._waiting: dict[int, Request] = {}
        self._error: DFCError | None = None
        self._thread = Thread(target=self._receive_all, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """True as long as requests can be sent."""
        return self._error is None

    def send(self, request: Request, features: Sequence[Any]) -> None:
        """Code features and send them; the request is answered later.

        Raises CallerError for what cannot be coded, EnvironmentFault where the connection fails.
        """
        self._room.acquire()  # an answer that does not come in time fails the link, and makes room
        with self._coding:
            number = self._enter(request)
            try:
                self._put(number, request, features)
            except Lost as error:
                self._fail(error)
                raise self._error or error from None
            except BaseException as error:
                self._fail(Lost(f"the stream ends here: {error}"))
                raise

    def _enter(self, request: Request) -> int:
        """Give a request its number. Raises the error of a connection that has failed."""
        with self._turn:
            if self._error is not None:
                self._room.release()
                raise self._error
            number, self._number = self._number, self._number + 1
            self._waiting[number] = request
        return number

    def _put(self, number: int, request: Request, features: Sequence[Any]) -> None:
        start = perf_counter()
        qp = self._control.choose(start)
        body = self._outgoing.put(features, qp)
        size = len(body) + HEADER_SIZE
        coded = perf_counter()
        pause = self._control.wait(8 * size, coded)
        if pause > 0:
            sleep(pause)
        leaves = perf_counter()
        request.seconds |= {"encode": coded - start, "hold": leaves - coded}
        request.sent = leaves
        self._connection.send(Frame(Kind.UNITS, number, body, request.count))
        self._stats.count(bytes_sent=size)
        self._stats.qp = qp

    # -- answers

    def _receive_all(self) -> None:
        """The thread that takes answers."""
        try:
            while True:
                frame = self._connection.receive(self._patient)
                if frame is None:
                    raise Lost(
                        f"{self._connection.peer} has closed the connection",
                        hint="the next call connects again",
                    )
                self._stats.count(bytes_received=len(frame.body) + HEADER_SIZE)
                if frame.kind == Kind.END:
                    self._incoming.finish(frame.body)
                    raise Lost("the connection is closed")
                self._take(frame)
        except DFCError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(EnvironmentFault(f"answers cannot be read: {error!r}"))
            raise

    def _patient(self) -> bool:
        """False once a request has waited for too long."""
        with self._turn:
            sent = [one.sent for one in self._waiting.values() if one.sent]
        return not sent or perf_counter() - min(sent) < self._timeout

    def _take(self, frame: Frame) -> None:
        """Take an answer, or an error in place of one."""
        request = self._waiting.get(frame.number)
        if frame.kind == Kind.ERROR:
            error = error_in(frame, self._connection.peer)
            if request is None:
                raise error
            self._end(frame.number, error)
            return
        if request is None or frame.images != request.count:
            raise StreamError(f"{self._connection.peer} answers what was not asked")
        arrived = perf_counter()
        (output,) = self._incoming.take(frame.body, [_OUTPUT], frame.images).values()
        assert not isinstance(output, list)  # outputs of a request have one shape
        found = to_torch(output).to(request.device)
        done = perf_counter()
        decode, tail = frame.decode / 1e6, frame.tail / 1e6
        between = max(arrived - request.sent - decode - tail, 0.0)
        request.seconds |= {"network": between, "decode": decode, "tail": tail}
        request.seconds["answer"] = done - arrived
        self._stats.answered(request.count, request.seconds)
        self._control.learn(done - request.begun)
        self._end(frame.number, found)

    def _end(self, number: int, outcome: torch.Tensor | DFCError) -> None:
        """Settle a request, and let another one take its room."""
        with self._turn:
            request = self._waiting.pop(number, None)
        if request is None:  # the connection failed meanwhile
            return
        self._room.release()
        if isinstance(outcome, DFCError):
            self._stats.count(failed=1)
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome)

    def _fail(self, error: DFCError) -> None:
        """End the connection, and with it all requests under way."""
        with self._turn:
            self._error = self._error or error
            numbers = list(self._waiting)
        self._connection.close()
        for number in numbers:
            self._end(number, error)

    def close(self) -> None:
        """Let requests under way be answered, end both streams, and the connection."""
        with self._coding, suppress(DFCError):
            if self._error is None:
                self._connection.send(Frame(Kind.END, self._number, self._outgoing.end()))
                self._thread.join(self._timeout)
        self._fail(Lost("the client is closed"))
        self._thread.join(self._timeout)
        with self._coding:
            self._outgoing.abandon()
