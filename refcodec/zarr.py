"""Arrays of zarr, format 3, whose chunks are DFC streams: the codec ``dfc``.

    zarr.create_array(store, data=maps, chunks=..., **refcodec.zarr.encoding(coder="native", qp=30))
    dataset.to_zarr(store, encoding={"features": refcodec.zarr.encoding()})

zarr finds the codec by its name, so that nothing needs to be imported to read such an array. ``chunks`` says
which axes number features; `refcodec.numcodecs` has the codec of format 2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin
from zarr.abc.store import RangeByteRequest
from zarr.storage import StorePath

from refcodec.chunks import ChunkCoder, count_rows, rows_of_selection
from refcodec.errors import CallerError
from refcodec.origins import Source

if TYPE_CHECKING:
    from zarr.abc.store import ByteGetter
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

__all__ = ["DFC", "encoding"]

_NAME = "dfc"

_BLOCK = 1 << 16
"""Bytes that are asked for at once, at least, of a chunk that is read in part."""

_AHEAD = 16
"""Blocks that are asked for at once where a chunk is read on and on."""


class DFC(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """The codec: arrays of features to streams, and back, as a whole or feature by feature.

    Takes the options of `EncoderConfig` by name; without a coder, native-lossless. An option without effect
    is refused, and so are those that are of a machine, or name models. Raises CallerError.
    """

    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        self._coder = ChunkCoder(options)

    def __repr__(self) -> str:
        return f"DFC({self._coder})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DFC) and self._coder.options == other._coder.options

    def __hash__(self) -> int:
        return hash(repr(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec that metadata name: ``{"name": "dfc", "configuration": {"coder": "zlib"}}``."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """The name and the options, as metadata hold them."""
        return {"name": _NAME, "configuration": dict(self._coder.options)}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Raise CallerError where chunks of an array cannot be coded so."""
        chunk_shape = getattr(chunk_grid, "chunk_shape", shape)
        self._coder.check(chunk_shape, dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Refuse: how long a stream is depends on the values."""
        raise NotImplementedError

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = self._coder.encode(chunk_array.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(data)

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        dtype = chunk_spec.dtype.to_native_dtype()
        chunk = self._coder.decode(chunk_data.as_numpy_array(), chunk_spec.shape, dtype)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(chunk)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)

    async def _decode_partial_single(
        self, byte_getter: ByteGetter, selection: tuple[Any, ...], chunk_spec: ArraySpec
    ) -> NDBuffer | None:
        """The selected values of a chunk, of which only the features that they are in are decoded."""
        rows = rows_of_selection(selection, chunk_spec.shape)
        source = await _source_of(byte_getter, chunk_spec, len(rows))
        if source is None:
            return None
        dtype = chunk_spec.dtype.to_native_dtype()

        def decode() -> Any:
            return self._coder.decode(source, chunk_spec.shape, dtype, rows)[selection]

        chunk = await _in_a_thread(decode)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(np.asarray(chunk))


def encoding(**options: Any) -> dict[str, Any]:
    """Keywords for arrays whose chunks are streams: of ``zarr.create_array``, and of xarray's ``encoding``.

    Streams are compressed: a compressor after the codec would gain nothing, and make zarr read chunks whole.

    options : as `DFC` takes them.
    """
    return {"serializer": DFC(**options), "compressors": None, "filters": None}


# --- chunks read in part ---------------------------------------------------------------------------


async def _source_of(getter: ByteGetter, spec: ArraySpec, rows: int) -> Any:
    """A chunk to be read: its bytes, or where they are; None where there is no such chunk.

    rows : number of features that are wanted; of half the chunk or more, all bytes are fetched at once.
    """
    if isinstance(getter, StorePath) and 2 * rows < count_rows(spec.shape):
        try:
            size = await getter.store.getsize(getter.path)
        except FileNotFoundError:
            return None
        if size > 2 * _BLOCK:
            return _Remote(getter, size, spec, asyncio.get_running_loop())
    found = await getter.get(spec.prototype)
    return None if found is None else found.as_numpy_array()


async def _in_a_thread(function: Callable[[], Any]) -> Any:
    """Run a function that waits for the loop, in a thread that nobody else waits for."""
    pool = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, function)
    finally:
        pool.shutdown(wait=False)


class _Remote(Source):
    """A chunk in a store, of which a thread reads parts: in blocks, which are kept."""

    def __init__(
        self, getter: StorePath, size: int, spec: ArraySpec, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(str(getter))
        self._getter = getter
        self._length = size
        self._prototype = spec.prototype
        self._loop = loop
        self._blocks: dict[int, bytes] = {}
        self._ahead = 1

    def _size(self) -> int:
        return self._length

    def _read_at(self, position: int, size: int) -> bytes:
        stop = min(position + size, self._length)
        if stop <= position:
            return b""
        numbers = range(position // _BLOCK, (stop - 1) // _BLOCK + 1)
        missing = [number for number in numbers if number not in self._blocks]
        if missing:
            self._fetch(missing[0], missing[-1] + 1)
        data = b"".join(self._blocks[number] for number in numbers)
        skip = numbers.start * _BLOCK
        return data[position - skip : stop - skip]

    def _fetch(self, first: int, stop: int) -> None:
        """Fetch blocks by one request, and more at a time where one follows the other.

        Raises CallerError where the chunk has changed.
        """
        self._ahead = min(2 * self._ahead, _AHEAD) if first - 1 in self._blocks else 1
        stop = max(stop, first + self._ahead)
        start, end = first * _BLOCK, min(stop * _BLOCK, self._length)
        request = self._getter.get(self._prototype, RangeByteRequest(start, end))
        found = asyncio.run_coroutine_threadsafe(request, self._loop).result()
        data = b"" if found is None else found.to_bytes()
        if len(data) != end - start:
            raise CallerError(
                f"{self.name} has changed while it was read", hint="read the array again"
            )
        for place in range(0, len(data), _BLOCK):
            self._blocks[first + place // _BLOCK] = data[place : place + _BLOCK]
