"""A client of a server: one thread decodes its requests, another one runs the tail and answers."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic, perf_counter
from typing import Any, BinaryIO, NamedTuple

import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, DFCError, StreamError
from refcodec.files import atomic_file
from refcodec.splitting.frames import (
    HEADER_SIZE,
    LARGEST_FRAME,
    Connection,
    Frame,
    Kind,
    Lost,
    error_frame,
)
from refcodec.splitting.halves import Halves
from refcodec.splitting.stats import Stats
from refcodec.splitting.wire import CUT_KEY, WEIGHTS_KEY, Incoming, Outgoing, cut_text

__all__ = ["Limits", "Session"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a session, and its outputs; `Server.start` documents them."""

    depth: int = 4
    images: int = 256
    timeout: float = 10.0
    idle: float = 300.0
    largest: int = LARGEST_FRAME
    max_level: int = 3
    output: EncoderConfig = field(default_factory=lambda: EncoderConfig(coder="raw"))
    record: Path | None = None


class _Job(NamedTuple):
    """A decoded request.

    error : why it has no features, after which the session ends.
    """

    number: int
    images: int = 0
    features: dict[str, npt.NDArray[Any] | list[npt.NDArray[Any]]] | None = None
    decode: float = 0.0
    error: DFCError | None = None


class Session:
    """A connection of a server.

    number : of its record.
    """

    def __init__(
        self, connection: Connection, halves: Halves, limits: Limits, stats: Stats, *, number: int
    ) -> None:
        self._connection, self._halves = connection, halves
        self._limits, self._stats, self._number = limits, stats, number
        self._jobs: Queue[_Job | None] = Queue(limits.depth)
        self._heard = monotonic()

    def run(self) -> None:
        """Serve the client until it leaves, or breaks a rule."""
        answering = Thread(target=self._answer_all, daemon=True)
        answering.start()
        number = 0
        try:
            with ExitStack() as stack:
                record = self._record(stack)
                incoming = Incoming(self._limits.max_level, tokens=self._halves.tokens)
                while (frame := self._next()).kind != Kind.END:
                    number = frame.number
                    record.write(frame.body)
                    self._jobs.put(self._decoded(incoming, frame))
                incoming.finish(frame.body)
                record.write(frame.body)
        except Lost:
            pass
        except DFCError as error:
            self._jobs.put(_Job(number, error=error))
        finally:
            self._jobs.put(None)
            answering.join()
            self._connection.close(after_last=True)

    def close(self) -> None:
        """End the connection, from another thread."""
        self._connection.close()

    def _record(self, stack: ExitStack) -> BinaryIO:
        """The file that keeps the stream, if it ends as it should; or none."""
        folder = self._limits.record
        if folder is None:
            return stack.enter_context(open(os.devnull, "wb"))
        return stack.enter_context(atomic_file(folder / f"{self._number:05}.dfc"))

    # -- requests

    def _next(self) -> Frame:
        """The next frame. Raises Lost at the end of the connection."""
        frame = self._connection.receive(self._patient)
        if frame is None:
            raise Lost("the client has left")
        self._heard = monotonic()
        self._stats.count(bytes_received=len(frame.body) + HEADER_SIZE)
        return frame

    def _patient(self) -> bool:
        return monotonic() - self._heard < self._limits.idle

    def _decoded(self, incoming: Incoming, frame: Frame) -> _Job:
        """Decode a request. Raises StreamError, CallerError where the client has another cut."""
        if frame.kind != Kind.UNITS or not 1 <= frame.images <= self._limits.images:
            raise StreamError(
                f"a request has 1 to {self._limits.images} images, not {frame.images}"
            )
        start = perf_counter()
        names = self._halves.names
        features = incoming.take(frame.body, names, frame.images)
        if incoming.metadata.get(CUT_KEY) != cut_text(names):
            theirs = incoming.metadata.get(CUT_KEY, "nothing")
            raise CallerError(
                f"the client sends {theirs:.200}, and this network is cut at {cut_text(names)}",
                hint="split the same network at the same layers",
            )
        ours = self._halves.weights
        if incoming.metadata.get(WEIGHTS_KEY, ours) != ours:
            raise CallerError(
                "the head of the client's network has other weights than the server's",
                hint="load the same weights on both sides",
            )
        return _Job(frame.number, frame.images, features, perf_counter() - start)

    # -- answers

    def _answer_all(self) -> None:
        """The thread that runs the tail; after a failure it goes on to take requests, and drops them."""
        outgoing = Outgoing(self._limits.output)
        working = True
        while (job := self._jobs.get()) is not None:
            if working:
                working = self._answered(job, outgoing)
        if working:
            with suppress(DFCError):
                self._send(Frame(Kind.END, 0, outgoing.end()))
        outgoing.abandon()

    def _answered(self, job: _Job, outgoing: Outgoing) -> bool:
        """Answer a request; false where the session cannot go on."""
        try:
            if job.features is None:
                raise job.error or StreamError("there is no request")
            try:
                start = perf_counter()
                output = self._halves.tail(job.features)
                ended = perf_counter()
            except DFCError as error:
                self._stats.count(failed=1)
                self._send(error_frame(job.number, error))
                return True
            body = outgoing.put([output])
            micro = [round(1e6 * one) for one in (job.decode, ended - start)]
            self._send(Frame(Kind.UNITS, job.number, body, job.images, *micro))
            seconds = {
                "decode": job.decode,
                "tail": ended - start,
                "answer": perf_counter() - ended,
            }
            self._stats.answered(job.images, seconds)
            return True
        except Lost:
            self._connection.close()
        except DFCError as error:
            self._stats.count(failed=1)
            with suppress(DFCError):
                self._send(error_frame(job.number, error))
            self._connection.close(after_last=True)
        return False

    def _send(self, frame: Frame) -> None:
        self._connection.send(frame)
        self._stats.count(bytes_sent=len(frame.body) + HEADER_SIZE)
