"""Writing: features into a stream, in order, to a file or a pipe.

    with refcodec.create("features.dfc", coder="hevc", qp=27) as w:
        for feature in features:
            w.write(feature)
        w.write_batch(array)                           an array of features at once
        w.append(tokens)                               tokens that follow those before them

The writer gathers features that can share a run of ffmpeg or a batch unit (``gathering``), has them coded
together, and passes them to the ``sink`` of units. A file appears under its path whole or not at all.

    refcodec.concat("all.dfc", ["a.dfc", "b.dfc"])     copies payloads: ``copying``
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from refcodec.arrays import described, is_batch, with_entries
from refcodec.config import EncoderConfig
from refcodec.inputs import arrays_of
from refcodec.writer.copying import concat
from refcodec.writer.writer import Writer

__all__ = ["Writer", "concat", "create", "encode"]


def create(
    target: str | os.PathLike[str] | BinaryIO,
    config: EncoderConfig | None = None,
    *,
    mode: str = "w",
    exist_ok: bool | None = None,
    progress: Callable[[int], None] | None = None,
    names: Sequence[str] = (),
    **options: Any,
) -> Writer:
    """Open a stream for writing.

    target   : a path, written atomically, or a binary file object, a pipe included.
    config   : configuration; ``options`` change single fields: ``create("f.dfc", coder="zlib")``.
    mode     : ``w`` for a new stream; ``a`` to add features to the one at the path, if there is one. It is
               copied: the old file stays until the new one is complete.
    exist_ok : true if a new stream may replace a file; None for yes, with a warning.
    progress : called from time to time with the number of features coded.
    names    : of the sequences of tokens that `Writer.append` will begin, in that order: ``("k", "v")``.

    Raises CallerError for an invalid option, or a path that cannot be written; StreamError if the stream to
    add to is at fault.
    """
    chosen = (config or EncoderConfig()).but(**options)
    return Writer(target, chosen, progress, mode=mode, exist_ok=exist_ok, names=names)


def encode(feature: Any, config: EncoderConfig | None = None, **options: Any) -> bytes:
    """Code a feature, a batch or several by name as a stream of its own: ``encode(x, coder="hevc", qp=32)``.

    feature : numpy array or torch tensor: one feature, C x H x W or D, or a batch, N x C x H x W or N x D; or
              a dict of those, such as the layers of a pyramid. With ``feature_type="tokens"``, T x D or
              heads x T x D, or a batch N x heads x T x D.

    Returns the bytes of the stream, of which ``decode`` makes the same again. Raises CallerError,
    EnvironmentFault.
    """
    target = io.BytesIO()
    chosen = (config or EncoderConfig()).but(**options)
    arrays = arrays_of(feature, chosen.fill)
    entries = [described(array.shape, name, tokens=chosen.tokens) for name, array in arrays]
    metadata = with_entries(chosen.metadata, entries)
    if metadata != chosen.metadata:
        chosen = chosen.but(metadata=metadata)
    alone = sum(entry.count for entry in entries) == 1
    with Writer(target, chosen, alone=alone) as writer:
        for _, array in arrays:
            if is_batch(array.ndim, tokens=chosen.tokens):
                writer.write_batch(array)
            else:
                writer.write(array)
    return target.getvalue()
