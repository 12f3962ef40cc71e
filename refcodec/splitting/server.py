"""The side of the server: accepts connections, and runs the tail of a network for them."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from refcodec.arrays import gather
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.reader import Reader
from refcodec.splitting.frames import LARGEST_FRAME, Connection, error_frame
from refcodec.splitting.halves import Halves
from refcodec.splitting.session import Limits, Session
from refcodec.splitting.stats import Stats
from refcodec.splitting.view import live
from refcodec.writer import encode

__all__ = ["Server"]

_REFUSALS = 16
"""Clients that are told at a time that there is no room; more are sent away without a word."""

_GLANCE = 0.2
"""Seconds from one look whether the server shall close to the next."""

_PATIENCE = 10.0
"""Seconds that sessions have to end, whose tail may be running."""


class Server:
    """Runs the tail of a network for clients. Made by :func:`refcodec.split`.

    ::

        with server.start() as running: client.connect(*running.address)
        server.serve("0.0.0.0", 9000)                                      # until it is interrupted

    Each client has two threads, one that decodes and one that runs the tail and answers; the tail runs for
    one client at a time. ``stats`` has bytes, and milliseconds by stage: ``decode``, ``tail``, ``answer``.
    """

    def __init__(self, halves: Halves) -> None:
        self.stats = Stats()
        self._halves = halves
        self._limits = Limits()
        self._listener: socket.socket | None = None
        self._threads: dict[Thread, Session | None] = {}
        self._recorded = 0
        self._closing = Event()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port on which it listens. Raises CallerError where it does not."""
        if self._listener is None:
            raise CallerError("the server does not listen", hint="server.start(host, port)")
        host, port, *_ = self._listener.getsockname()
        return host, port

    def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clients: int = 8,
        depth: int = 4,
        images: int = 256,
        timeout: float = 10.0,
        idle: float = 300.0,
        largest: int = LARGEST_FRAME,
        max_level: int = 3,
        output: EncoderConfig | None = None,
        record: Path | None = None,
    ) -> Self:
        """Listen, and serve clients in threads until `close`, or the end of ``with``.

        host, port : where to listen; port 0 for a free one. Whoever reaches it may use it: keep it within a
                     network, or behind a tunnel.
        clients    : connections at a time at most; a further one is refused.
        depth      : decoded requests of a client that wait for the tail at most; then none are read.
        images     : of a request at most.
        timeout    : seconds that a client may take to send a frame, or to accept an answer.
        idle       : seconds without a request after which a client is sent away.
        largest    : bytes of a frame at most.
        max_level  : highest level of streams; bounds the memory that a request can ask for.
        output     : encoding of outputs; None for raw.
        record     : folder in which the stream of each connection is kept, ``00001.dfc``, once it has ended.

        Raises CallerError where it listens already, EnvironmentFault where it cannot.
        """
        if self._listener is not None:
            raise CallerError(f"the server listens on {self.address[0]}:{self.address[1]} already")
        self._limits = Limits(
            depth,
            images,
            timeout,
            idle,
            largest,
            max_level,
            output or EncoderConfig(coder="raw"),
            record,
        )
        if record is not None:
            record.mkdir(parents=True, exist_ok=True)
            self._recorded = sum(1 for _ in record.glob("*.dfc"))
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family)
        except OSError as error:
            raise EnvironmentFault(f"cannot listen on {host}:{port}: {error}") from None
        self._listener.settimeout(_GLANCE)
        self._closing.clear()
        self._accepting = Thread(
            target=self._accept_all, args=[self._listener, clients], daemon=True
        )
        self._accepting.start()
        return self

    def serve(self, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        """Serve until interrupted, or closed by another thread; takes the options of `start`."""
        with self.start(host, port, **options):
            self.wait()

    def wait(self) -> None:
        """Wait until interrupted, or closed by another thread."""
        try:
            self._closing.wait()
        except KeyboardInterrupt:
            return

    def answer(self, data: bytes, *, max_level: int = 3, images: int = 256) -> bytes:
        """The output, as a stream, for a request of `Client.encode`: for HTTP and other transports.

        data : untrusted.

        Raises StreamError where it is no such request.
        """
        most = images * len(self._halves.names)
        with Reader(data, max_level=max_level) as reader:
            rows = list(islice(reader, most + 1))
            if len(rows) > most:
                raise StreamError(f"a request has at most {images} images")
            if self._halves.tokens:
                return encode(
                    self._halves.tail(dict.fromkeys(self._halves.names, rows)), coder="raw"
                )
            try:
                found = gather(iter(rows), reader.met.metadata)
            except CallerError as error:
                raise StreamError(f"the request is none: {error.what}") from None
        features = found if isinstance(found, dict) else dict.fromkeys(self._halves.names, found)
        return encode(self._halves.tail(features), coder="raw")

    def watch(self) -> AbstractContextManager[None]:
        """Show ``stats`` on the terminal while a block runs, if standard error is one."""
        return live(self.stats, "server")

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self._closing.set()
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self._accepting.join()  # no session begins from now on
        listener.close()
        for session in self._threads.values():
            if session is not None:
                session.close()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- connections

    def _accept_all(self, listener: socket.socket, clients: int) -> None:
        while not self._closing.is_set():
            try:
                own, place = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # the client has left again, or the system has no sockets left
                self._closing.wait(_GLANCE)
                continue
            peer = f"the client {place[0]}:{place[1]}"
            limits = self._limits
            connection = Connection(own, peer, timeout=limits.timeout, largest=limits.largest)
            alive = [of for one, of in self._threads.items() if one.is_alive()]
            if len(alive) >= clients + _REFUSALS:  # as many are being refused already
                connection.close()
                continue
            if sum(of is not None for of in alive) >= clients:
                fault = EnvironmentFault(
                    f"it has {clients} clients already", hint="try again later"
                )
                self._run(Thread(target=_refuse, args=[connection, fault], daemon=True), None)
                continue
            self.stats.count(connections=1)
            self._recorded += 1
            session = Session(connection, self._halves, limits, self.stats, number=self._recorded)
            self._run(Thread(target=session.run, daemon=True), session)

    def _run(self, thread: Thread, session: Session | None) -> None:
        """Start a thread, and forget those that have ended."""
        self._threads = {one: of for one, of in self._threads.items() if one.is_alive()}
        self._threads[thread] = session
        thread.start()


def _refuse(connection: Connection, fault: EnvironmentFault) -> None:
    """Tell a client why it is sent away."""
    with suppress(EnvironmentFault):
        connection.send(error_frame(0, fault))
    connection.close(after_last=True)
