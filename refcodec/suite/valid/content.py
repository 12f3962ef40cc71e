"""Streams of native payloads of chosen content, down to single blocks and levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from refcodec.suite.assemble import Set
from refcodec.suite.make.edits import parameter
from refcodec.suite.make.native import Content, payloads
from refcodec.suite.valid.build import native

__all__ = ["checks", "content", "every_other"]


def content(*contents: Content, value: float = 0.0, eighths: int = 0, **options: Any) -> bytes:
    """A stream of payloads of chosen content; several form a sequence.

    value   : value of the feature whose payloads are replaced.
    eighths : added to its QP.
    """
    blank = np.full(contents[0].levels.shape, value, np.float32)
    if len(contents) > 1:
        options["gop"] = len(contents)
    blanks = [blank] * len(contents)
    stream = native(*blanks, clip=(-1, 7), batch=False, index=False, **options)
    if eighths:
        stream = parameter("qp_eighths", eighths)(stream)
    previous = None
    for number, one in enumerate(contents):
        coded = payloads(stream)[number]
        payload, previous = one.code(coded.fps, coded.parameters, previous)
        stream = Set(2 + number, "coded_feature.payload", payload.hex())(stream)
    return stream


def every_other(c: int, y: int, x: int, height: int, width: int) -> bool:
    """Split two blocks of three, pseudo-randomly, at every depth."""
    return (7 * c + 5 * y + 3 * x + height + 2 * width) % 3 > 0


def checks(c: int, y: int, x: int, height: int, width: int) -> bool:
    """Choose blocks in a checkerboard pattern."""
    return (c + y // 4 + x // 8) % 2 > 0
