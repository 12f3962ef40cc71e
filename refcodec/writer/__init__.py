"""Writing: features into a stream, in order, to a file or a pipe.

    with refcodec.create("features.dfc", coder="hevc", qp=27) as w:
        for feature in features:
            w.write(feature)

The writer gathers features that can share a run of ffmpeg or a batch unit (``gathering``), has them coded
together, and passes them to the ``sink`` of units. A file appears under its path whole or not at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from refcodec.config import EncoderConfig
from refcodec.writer.writer import Writer

__all__ = ["Writer", "create", "encode"]


def create(
    target: str | os.PathLike[str] | BinaryIO,
    config: EncoderConfig | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Writer:
    """Open a stream for writing.

    target   : a path, written atomically, or a binary file object, a pipe included.
    config   : configuration; ``options`` change single fields: ``create("f.dfc", coder="zlib")``.
    progress : called from time to time with the number of features coded.

    Raises CallerError for an invalid option, or a path that cannot be written.
    """
    return Writer(target, (config or EncoderConfig()).but(**options), progress)


def encode(feature: Any, config: EncoderConfig | None = None, **options: Any) -> bytes:
    """Code one feature as a stream of its own: ``encode(x, coder="hevc", qp=32)``.

    feature : numpy array or torch tensor, C x H x W or D.

    Returns the bytes of the stream. Raises CallerError, EnvironmentFault.
    """
    target = io.BytesIO()
    with create(target, config, **options) as writer:
        writer.write(feature)
    return target.getvalue()
