"""Writing: features into a stream, in order, to a file or a pipe.

    with refcodec.create("features.dfc", coder="hevc", qp=27) as w:
        for feature in features:
            w.write(feature)

The writer gathers features that can share a run of ffmpeg or a batch unit (``gathering``), has them coded
together, and hands them to the ``sink`` of units. A path receives its file whole or not at all.

    refcodec.concat("all.dfc", ["a.dfc", "b.dfc"])     payloads as they are: ``copying``
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from refcodec.config import EncoderConfig
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
    **options: Any,
) -> Writer:
    """Open a stream for writing.

    target   : a path, written atomically, or a binary file object, a pipe included.
    config   : choices; ``options`` change single ones: ``create("f.dfc", coder="zlib")``.
    mode     : ``w`` for a new stream; ``a`` to add features to the one at the path, if there is one. It is
               copied: the old file stays until the new one is whole.
    exist_ok : whether a new stream may replace a file: True, or False; None for yes, with a warning.
    progress : called now and then with the number of features coded.

    Raises CallerError for a choice that does not exist, or a path that cannot be written; StreamError where
    the stream to add to is at fault.
    """
    chosen = (config or EncoderConfig()).but(**options)
    return Writer(target, chosen, progress, mode=mode, exist_ok=exist_ok)


def encode(feature: Any, config: EncoderConfig | None = None, **options: Any) -> bytes:
    """Code one feature as a stream of its own: ``encode(x, coder="hevc", qp=32)``.

    feature : numpy array or torch tensor, C x H x W or D.

    Returns the bytes of the stream. Raises CallerError, EnvironmentFault.
    """
    target = io.BytesIO()
    with Writer(target, (config or EncoderConfig()).but(**options), alone=True) as writer:
        writer.write(feature)
    return target.getvalue()
