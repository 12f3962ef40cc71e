"""The side of the device: images to features, over a connection, and outputs back."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from threading import Lock
from time import perf_counter
from types import TracebackType
from typing import Self

import torch

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.reader import decode
from refcodec.splitting.frames import LARGEST_FRAME, Connection, Lost
from refcodec.splitting.halves import Halves, Inputs
from refcodec.splitting.link import Link, Request
from refcodec.splitting.rate import Control
from refcodec.splitting.stats import Stats
from refcodec.splitting.view import live
from refcodec.splitting.wire import Outgoing
from refcodec.writer import encode

__all__ = ["Client"]


class Client:
    """Runs the head of a network, and has a server run its tail. Made by :func:`refcodec.split`.

    ::

        with client.connect("server.example", 9000):
            logits = client(images)

    Threads may share it. ``stats`` has bytes, and milliseconds by stage: ``head``, ``encode``, ``hold``
    (waiting for the bit rate), ``network``, ``decode`` and ``tail`` of the server, ``answer`` (decoding the
    output).
    """

    def __init__(self, halves: Halves, config: EncoderConfig, control: Control) -> None:
        self.stats = Stats()
        self._halves, self._config, self._control = halves, config, control
        self._address: tuple[str, int] | None = None
        self._timeout, self._depth, self._largest = 10.0, 4, LARGEST_FRAME
        self._link: Link | None = None
        self._turn = Lock()

    def connect(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 10.0,
        depth: int = 4,
        largest: int = LARGEST_FRAME,
    ) -> Self:
        """Connect to a server; the client is closed by ``with``.

        timeout : seconds to wait for the connection, and for an answer.
        depth   : requests under way at most; `submit` waits where there are more.
        largest : bytes of a request, and of an answer, at most.

        Raises EnvironmentFault where no server answers.
        """
        if timeout <= 0 or depth < 1:
            raise CallerError(f"timeout is {timeout}, depth {depth}; both are above 0")
        self.close()
        self._address, self._timeout = (host, port), timeout
        self._depth, self._largest = depth, largest
        self._link = self._connected()
        return self

    def __call__(self, images: Inputs) -> torch.Tensor:
        """Run the network on images; returns its output on their device.

        images : N x channels x height x width, float32; or texts, T each, int64.

        A request whose connection is lost is sent once more, over another one. Raises CallerError for images
        that the network does not take, or what the server refuses; EnvironmentFault where it does not answer.
        """
        try:
            return self.submit(images).result()
        except Lost:
            return self.submit(images).result()

    def submit(self, images: Inputs) -> Future[torch.Tensor]:
        """Send images; the future gives the output. Waits while ``depth`` requests are under way.

        Outputs come in the order of the requests. Raises as a call does; a lost connection is made again by
        the next call.
        """
        begun = perf_counter()
        features = self._halves.head(images)
        seconds = {"head": perf_counter() - begun}
        request = Request(len(images), images[0].device, begun, seconds)
        with self._turn:
            link = self._connected()
        link.send(request, features)
        return request.answer

    def map(self, batches: Iterable[Inputs]) -> Iterator[torch.Tensor]:
        """Outputs of batches of images in order: the head works while the server does.

        Raises as a call does.
        """
        under_way: deque[Future[torch.Tensor]] = deque()
        for images in batches:
            under_way.append(self.submit(images))
            if len(under_way) >= self._depth:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def watch(self) -> AbstractContextManager[None]:
        """Show ``stats`` on the terminal while a block runs, if standard error is one."""
        return live(self.stats, "client")

    def encode(self, images: Inputs) -> bytes:
        """Images as a stream of its own, which `Server.answer` takes: for HTTP and other transports."""
        features = self._halves.head(images)
        if self._halves.tokens:
            request = Outgoing(self._config)
            return request.put(features) + request.end()
        return encode(dict(zip(self._halves.names, features, strict=True)), self._config)

    def decode(self, answer: bytes) -> torch.Tensor:
        """The output in what `Server.answer` gives. Raises StreamError."""
        output: torch.Tensor = decode(answer, like="torch")
        return output

    def close(self) -> None:
        """Let requests under way be answered, and close the connection."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _connected(self) -> Link:
        """The connection; a new one where there is none, or it was lost. Raises EnvironmentFault."""
        if self._link is not None and self._link.alive:
            return self._link
        if self._address is None:
            raise CallerError("the client has no server", hint="client.connect(host, port)")
        self.close()
        host, port = self._address
        peer = f"{host}:{port}"
        try:
            own = socket.create_connection(self._address, self._timeout)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot connect to {peer}: {error}", hint="is the server running?"
            ) from None
        connection = Connection(own, peer, timeout=self._timeout, largest=self._largest)
        self.stats.count(connections=1)
        self._link = Link(
            connection,
            self._config,
            self._control,
            self.stats,
            depth=self._depth,
            timeout=self._timeout,
        )
        return self._link
