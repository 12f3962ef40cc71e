"""Arrays of zarr, format 2, whose chunks are DFC streams: the codec ``dfc`` of numcodecs.

    zarr.create_array(store, zarr_format=2, ..., compressors=refcodec.numcodecs.DFC(coder="native", qp=30))

It is a compressor, of arrays that no filter has changed. ``chunks`` says which axes number features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ndarray_copy

from refcodec.chunks import ChunkCoder
from refcodec.errors import CallerError
from refcodec.reader import decode

__all__ = ["DFC"]


class DFC(Codec):
    """The codec: takes the options that `refcodec.zarr.DFC` does, without ``narrow``. Raises CallerError."""

    codec_id = "dfc"

    def __init__(self, **options: Any) -> None:
        self._coder = ChunkCoder(options)
        if "narrow" in options:
            raise CallerError(
                "narrow is no option here: format 2 gives chunks the type of the array",
                hint="make an array of float32",
            )

    def __repr__(self) -> str:
        return f"DFC({self._coder})"

    def get_config(self) -> dict[str, Any]:
        """The name and the options, as metadata hold them."""
        return {"id": self.codec_id, **self._coder.options}

    def encode(self, buf: Any) -> bytes:
        """The stream of a chunk, a numpy array. Raises CallerError."""
        if not isinstance(buf, np.ndarray):
            raise CallerError(
                f"the codec dfc takes arrays, not {type(buf).__name__}",
                hint="let it be the only codec of its array, as its compressor",
            )
        if not buf.dtype.isnative:
            raise CallerError(
                f"the array has type {buf.dtype.str}, not of this machine's byte order"
            )
        if buf.flags.f_contiguous and not buf.flags.c_contiguous:
            raise CallerError("the array has order F", hint="make it with order C")
        return self._coder.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The features of a stream, one array; zarr gives it the shape of the chunk. Raises StreamError."""
        found = decode(memoryview(buf).cast("B"))
        return found if out is None else ndarray_copy(found, out)
