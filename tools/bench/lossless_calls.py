"""Measures lossless coding as a user calls it: one feature at a time, or many in a row."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, Final

import numpy as np
from page import table

import refcodec

__all__ = ["ALONE", "IN_A_ROW", "call_table", "decode_row", "encode_row", "seconds"]

ALONE: Final = 100
"""Calls of a function, of which the median counts."""

IN_A_ROW: Final = 100
"""Features that are written and read in a row."""

_ROUNDS: Final = 5

_CODERS: Final = {
    "native-lossless": {"coder": "native-lossless"},
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
    "zlib": {"coder": "zlib"},
}


def encode_row(features: Iterable[Any], **choices: Any) -> bytes:
    """One stream with all features, on one thread."""
    target = io.BytesIO()
    with refcodec.create(target, workers=1, **choices) as writer:
        for one in features:
            writer.write(one)
    return target.getvalue()


def decode_row(data: bytes) -> list[Any]:
    """All features of a stream."""
    with refcodec.open(io.BytesIO(data)) as reader:
        return list(reader)


def seconds(action: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Processor time of a call, and its result."""
    start = time.process_time()
    result = action(*arguments)
    return time.process_time() - start, result


def call_table(features: dict[str, Any]) -> str:
    """Microseconds a feature of every way to code it, for features by name."""
    rows = [
        [name, coder, *(f"{1e6 * one:,.0f}" for one in _measure(feature, choices))]
        for name, feature in features.items()
        for coder, choices in _CODERS.items()
    ]
    heads = ("feature", "coder", "encode", "decode", "write in a row", "read in a row")
    return table(heads, rows)


def _measure(feature: Any, choices: dict[str, Any]) -> Sequence[float]:
    """Seconds a feature: encode, decode, write in a row, read in a row."""
    data = refcodec.encode(feature, **choices)
    row = encode_row([feature] * IN_A_ROW, **choices)
    assert refcodec.decode(data).tobytes() == feature.tobytes()
    assert np.array_equal(decode_row(row)[-1], feature)
    return (
        _median(lambda: refcodec.encode(feature, **choices), ALONE),
        _median(lambda: refcodec.decode(data), ALONE),
        _median(lambda: encode_row([feature] * IN_A_ROW, **choices), _ROUNDS) / IN_A_ROW,
        _median(lambda: decode_row(row), _ROUNDS) / IN_A_ROW,
    )


def _median(action: Callable[[], Any], rounds: int) -> float:
    return median(seconds(action)[0] for _ in range(rounds))
