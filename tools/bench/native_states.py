"""The native coder with other initial states: what it chose for features, coded again.

Levels, blocks and heads are recorded while a file is written, and coded once more with states and weights
of another origin. Decoded features are the same, so that rates can be compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from coding import write

from refcodec.coders.native import coder
from refcodec.coders.native.encoder import feature
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.forwards import encoding_coder, run_forwards
from refcodec.coders.native.head import Bounds
from refcodec.coders.native.payload import Content, Corrections, code_payload

__all__ = ["Item", "Model", "record", "size_of", "sizes"]

Array = npt.NDArray[Any]


class Model(NamedTuple):
    """Initial states, int32, and weights, int64."""

    states: Array
    weights: Array


class Item(NamedTuple):
    """What was coded for one feature."""

    choice: Choice
    corrections: Corrections
    size: int


def record(features: Iterable[Array], **choices: Any) -> list[Item]:
    """Write a file with the native coder; returns what it chose for each feature."""
    with _recording() as items:
        write(features, coder="native", **choices)
    return items


@contextmanager
def _recording() -> Iterator[list[Item]]:
    items: list[Item] = []
    forwards, encode = run_forwards, feature.encode_payload
    tried: dict[bytes, Item] = {}

    def run(exact: Array, choice: Choice, *rest: Any) -> Any:
        payload, coded = forwards(exact, choice, *rest)
        kept = Choice(choice.head.copy(), choice.levels.copy(), choice.sizes.copy(), 0.0)
        tried[payload] = Item(kept, coded.corrections, len(payload))
        return payload, coded

    def take(*arguments: Any) -> Any:
        payload, samples = encode(*arguments)
        items.append(tried[payload])
        tried.clear()
        return payload, samples

    with patch.object(feature, "run_forwards", run), patch.object(coder, "encode_payload", take):
        yield items


def size_of(item: Item, model: Model) -> int:
    """Bytes of an item with some initial states; these are adapted in place."""
    kept = item.choice
    head, levels, sizes = kept.head.copy(), kept.levels.copy(), kept.sizes.copy()
    output = np.zeros(8 * levels.size + 4096, np.uint8)
    steps = np.full(len(levels), 1 << 20)  # of no consequence for what is coded
    coded = code_payload(
        encoding_coder(), output, Content(head, levels, sizes), steps, Bounds(0, 4095),
        corrections=lambda samples: item.corrections, model=model,
    )  # fmt: skip
    return int(coded.size)


def sizes(items: Sequence[Item], model: Model) -> int:
    """Bytes of items, each of which begins with the same states."""
    return sum(size_of(one, Model(*(part.copy() for part in model))) for one in items)
