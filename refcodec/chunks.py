"""Chunks of arrays as streams: what the codecs of zarr and numcodecs have in common.

A chunk is one stream. Its first axes number the features, its last ones are those of a feature:

    D                    a feature
    N x D                N features
    N x T x D            N times T features, one for each token
    N x C x H x W        N features
    N x T x C x H x W    N times T features, one for each moment of a sequence
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, StreamError
from refcodec.reader import Reader
from refcodec.sources import Anything
from refcodec.writer import Writer, encode

__all__ = ["ChunkCoder", "count_rows", "rows_of_selection"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

_FEATURE_RANKS = {1: 1, 2: 1, 3: 1, 4: 3, 5: 3}
"""Number of axes that a feature has, by the rank of a chunk."""

_DEFAULT = "native-lossless"
"""Coder of an array that names none: arrays keep what is written to them, unless they say otherwise."""

_NOT_OF_ARRAYS = {
    **dict.fromkeys(("workers", "ffmpeg", "timeout"), "it is of a machine, not of an array"),
    **dict.fromkeys(
        ("model", "model_apart", "contexts", "analysis"), "an array cannot hold a model"
    ),
    "low_latency": "a chunk is written whole",
    "index": "a chunk has an index where it serves",
    "metadata": "an array has attributes",
}
"""Options of an encoder that the configuration of an array does not take, and why."""


class ChunkCoder:
    """The configuration of an array, checked, which codes its chunks.

    options : options of an encoder that were chosen, by name, as JSON holds them; the coder always is.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Check the options, of which ``coder`` is native-lossless by default. Raises CallerError."""
        for name, reason in _NOT_OF_ARRAYS.items():
            if name in options:
                raise CallerError(f"{name} is no option of an array: {reason}")
        chosen = {"coder": _DEFAULT, **options}
        config = EncoderConfig().but(**chosen)
        self._config = config.but(workers=1)  # chunks are coded side by side
        self.options = {
            name: _as_json(value) for name, value in config.given.items() if name in chosen
        }

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())

    def check(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        """Raise CallerError where a chunk of that shape and type cannot be coded."""
        _, own = _split(shape)
        with suppress(_Checked), Writer(io.BytesIO(), self._config, alone=True) as writer:
            writer.write(np.zeros(own, dtype))  # is checked, and would be coded at the end
            raise _Checked

    def encode(self, chunk: Array) -> bytes:
        """The stream of a chunk. Raises CallerError."""
        lead, own = _split(chunk.shape)
        return encode(chunk.reshape(-1, *own) if lead else chunk, self._config)

    def decode(
        self,
        source: Anything,
        shape: Shape,
        dtype: np.dtype[Any],
        rows: Sequence[int] | None = None,
    ) -> Array:
        """The chunk of that shape and type in a stream.

        rows : numbers of the features that are decoded, the others being left undefined; None for all.

        Raises StreamError where the stream does not hold such a chunk.
        """
        _, own = _split(shape)
        chunk = np.empty((count_rows(shape), *own), dtype)
        stored = self._stored(dtype)
        with Reader(source) as reader:
            if len(reader) != len(chunk):
                raise StreamError(f"the chunk has {len(reader)} features, not {len(chunk)}")
            numbers = range(len(chunk)) if rows is None else rows
            for number, one in zip(numbers, reader if rows is None else reader[rows], strict=True):
                if one.shape != own or one.dtype != stored:
                    found, asked = _described(one.shape, one.dtype), _described(own, stored)
                    raise StreamError(f"feature {number} of the chunk is {found}, not {asked}")
                chunk[number] = one
        return chunk.reshape(shape)

    def _stored(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The type in the stream of values of that type."""
        native = dtype.newbyteorder("=")
        return np.dtype(np.float32) if self._config.narrow and native == np.float64 else native


class _Checked(Exception):
    """End of a check that has found nothing wrong."""


def _split(shape: Shape) -> tuple[Shape, Shape]:
    """The axes of a chunk that number its features, and those of a feature.

    Raises CallerError for a rank that no array of features has.
    """
    own = _FEATURE_RANKS.get(len(shape))
    if own is None:
        raise CallerError(
            f"an array of rank {len(shape)} (chunks of shape {shape}) holds no features",
            hint="features are D, N x D, N x T x D, N x C x H x W or N x T x C x H x W; one map is "
            "1 x C x H x W",
        )
    return shape[:-own], shape[-own:]


def count_rows(shape: Shape) -> int:
    """Number of features of a chunk. Raises CallerError."""
    return math.prod(_split(shape)[0])


def rows_of_selection(selection: tuple[Any, ...], shape: Shape) -> list[int]:
    """Numbers of the features that a selection of a chunk touches, ascending.

    selection : an index of numpy for each axis: slices, integers, or arrays that broadcast.
    """
    lead, _ = _split(shape)
    numbers = np.arange(math.prod(lead)).reshape(lead)
    found: list[int] = np.unique(numbers[selection[: len(lead)]]).tolist()
    return found


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _described(shape: Shape, dtype: np.dtype[Any]) -> str:
    return f"{' x '.join(map(str, shape))} of {dtype}"
