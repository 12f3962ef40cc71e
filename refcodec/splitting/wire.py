"""The streams of a connection: arrays to bytes of whole units, and bytes to arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, StreamError, TruncatedError
from refcodec.reader import Reader
from refcodec.writer import Writer

__all__ = ["CUT_KEY", "WEIGHTS_KEY", "Incoming", "Outgoing", "cut_text", "wire_config"]

Array = npt.NDArray[Any]

CUT_KEY = "refcodec.split"
"""Key of the metadata entry that names the layers, a list in JSON: ``["layer2"]``."""

WEIGHTS_KEY = "refcodec.split.weights"
"""Key of the entry with the fingerprint of the head's weights, if there is one."""

_DEFAULT = "native-static"
"""Coder of requests that name none: that of the profile for real time."""

_NOT_OF_CONNECTIONS = {
    "metadata": "they name the layers of the cut",
    "index": "a connection is read from the front",
    "low_latency": "each request leaves at once, as a whole",
    "hashes": "hash units would come after their features were used",
    "model_apart": "the server takes models from the stream alone",
}
"""Options of an encoder that requests do not take, and why."""


def wire_config(
    names: Sequence[str], options: Mapping[str, Any], *, tokens: bool = False, weights: str = ""
) -> EncoderConfig:
    """The configuration of requests, whose stream names the layers, and the weights. Raises CallerError."""
    for name, reason in _NOT_OF_CONNECTIONS.items():
        if name in options:
            raise CallerError(f"{name} is no option of a split: {reason}")
    metadata = {CUT_KEY: cut_text(names), **({WEIGHTS_KEY: weights} if weights else {})}
    kind = {"feature_type": "tokens"} if tokens else {}
    choices = {"coder": _DEFAULT, **kind, **options}
    return EncoderConfig().but(**choices, metadata=metadata, index=False)


def cut_text(names: Sequence[str]) -> str:
    """The metadata entry that names the layers."""
    return json.dumps(list(names), ensure_ascii=False)


class Outgoing:
    """A stream that leaves in pieces of whole units."""

    def __init__(self, config: EncoderConfig) -> None:
        self._pieces = _Pieces()
        self._writer = Writer(self._pieces, config)

    def put(self, batches: Sequence[Any], qp: float | None = None) -> bytes:
        """Code batches, N x C x H x W or N x D each, or lists of T x D; returns the bytes to send.

        qp : of these features; None for the configuration's.

        Raises CallerError, after which the stream cannot go on.
        """
        for batch in batches:
            if isinstance(batch, list):
                for one in batch:
                    self._writer.write(one, qp=qp)
            else:
                self._writer.write_batch(batch, qp=qp)
        self._writer.flush()
        return self._pieces.take()

    def end(self) -> bytes:
        """Close the stream; returns its last bytes."""
        self._writer.close()
        return self._pieces.take()

    def abandon(self) -> None:
        """Give up the stream, if it has not ended."""
        error = CallerError("the connection is closed")
        self._writer.__exit__(type(error), error, None)


class Incoming:
    """A stream that comes in pieces of whole units. The bytes are untrusted.

    max_level : highest level to accept.
    tokens    : true where features are sequences of tokens, which have no common shape.
    """

    def __init__(self, max_level: int, *, tokens: bool = False) -> None:
        self._max_level, self._tokens = max_level, tokens
        self._pieces = _Received()
        self._reader: Reader | None = None
        self._features: Iterator[Array] = iter(())

    @property
    def metadata(self) -> dict[str, str]:
        """Text stored in the stream."""
        return {} if self._reader is None else self._reader.met.metadata

    def take(self, data: bytes, names: Sequence[str], count: int) -> dict[str, Array | list[Array]]:
        """Decode a piece; returns a batch of ``count`` features for each name, of tokens a list.

        Raises StreamError where the piece does not hold just these.
        """
        self._put(data)
        found = {name: self._batch(name, count) for name in names}
        if self._pieces.left:
            raise StreamError(f"{self._pieces.left} bytes follow the features of a request")
        return found

    def finish(self, data: bytes) -> None:
        """Take the last bytes of the stream. Raises StreamError where it does not end with them."""
        self._put(data)
        if next(self._features, None) is not None:
            raise StreamError("features follow the last request")

    def _put(self, data: bytes) -> None:
        self._pieces.put(data)
        if self._reader is None:
            self._reader = Reader(self._pieces, max_level=self._max_level)
            self._features = iter(self._reader)

    def _batch(self, name: str, count: int) -> Array | list[Array]:
        try:
            rows = list(islice(self._features, count))
        except TruncatedError as error:
            raise TruncatedError(
                f"the request ends within features of {name}: {error.what}"
            ) from None
        if len(rows) != count:
            raise TruncatedError(f"the stream ends within features of {name}")
        if self._tokens:
            return rows
        if len({(one.shape, one.dtype) for one in rows}) != 1:
            raise StreamError(f"features of {name} have different shapes or types")
        return np.stack(rows)


class _Pieces(io.BytesIO):
    """A pipe for a writer, whose end takes what has come."""

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data


class _Received:
    """A pipe for a reader, which holds what was received and ends there until more is."""

    name = "the request"

    def __init__(self) -> None:
        self._data = memoryview(b"")

    @property
    def left(self) -> int:
        return len(self._data)

    def put(self, data: bytes) -> None:
        self._data = memoryview(bytes(self._data) + data)

    def read(self, size: int) -> bytes:
        data = bytes(self._data[:size])
        self._data = self._data[size:]
        return data

    def seekable(self) -> bool:
        return False
