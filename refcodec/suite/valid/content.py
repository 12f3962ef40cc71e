"""Streams of native payloads of chosen content, down to single blocks and levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refcodec.coders.protocol import Reference
from refcodec.ranges import convert_reference
from refcodec.suite.assemble import Set, Value
from refcodec.suite.make.edits import parameter
from refcodec.suite.make.native import Content, payloads
from refcodec.suite.valid.build import native

__all__ = ["checks", "content", "every_other"]


def content(
    *contents: Content,
    value: float = 0.0,
    eighths: int = 0,
    ranges: Sequence[Mapping[str, Value]] = (),
    **options: Any,
) -> bytes:
    """A stream of payloads of chosen content; several form a sequence.

    value   : value of the feature whose payloads are replaced.
    eighths : added to its QP.
    ranges  : elements of the parameters of each feature, where they are not those of the first.
    """
    blank = np.full(contents[0].levels.shape, value, np.float32)
    if len(contents) > 1:
        options["gop"] = len(contents)
    blanks = [blank] * len(contents)
    stream = native(*blanks, clip=(-1, 7), batch=False, index=False, **options)
    if eighths:
        stream = parameter("qp_eighths", eighths)(stream)
    for number, elements in enumerate(ranges):
        for name, element in elements.items():
            stream = Set(2 + number, f"coded_feature.parameters.{name}", element)(stream)
    previous: Reference | None = None
    for number, one in enumerate(contents):
        coded = payloads(stream)[number]
        given = None
        if previous is not None:
            given = convert_reference(
                previous.samples, previous.parameters, coded.parameters, coded.fps
            )
        payload, samples = one.code(coded.fps, coded.parameters, given)
        previous = Reference(samples, coded.parameters)
        stream = Set(2 + number, "coded_feature.payload", payload.hex())(stream)
    return stream


def every_other(c: int, y: int, x: int, height: int, width: int) -> bool:
    """Split two blocks of three, pseudo-randomly, at every depth."""
    return (7 * c + 5 * y + 3 * x + height + 2 * width) % 3 > 0


def checks(c: int, y: int, x: int, height: int, width: int) -> bool:
    """Choose blocks in a checkerboard pattern."""
    return (c + y // 4 + x // 8) % 2 > 0
