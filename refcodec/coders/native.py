"""The native coder: one payload a feature, without another program (clause 8.3.7).

    payload --entropy--> levels --blocks or none--> samples

``native_encoder`` goes the other way, through the very same functions of ``entropy.native``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.coded import CodedFeature
from refcodec.entropy import native as model
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    MOST_OVERRUN,
    OVERRUN,
    POSITION,
    finish_decoding,
    start_decoding,
)
from refcodec.errors import PayloadError
from refcodec.kernel import announce_compilation
from refcodec.pack import channel_qps
from refcodec.tables import native_model
from refcodec.transform import LARGEST_BLOCK

__all__ = [
    "ROOTS",
    "cuts",
    "decode",
    "decode_payload",
    "geometry",
    "reference",
    "scan",
    "step_sizes",
    "workspace",
]

Samples = npt.NDArray[np.int32]

_OCTAVE = np.array([round(2 ** (16 + j / 48)) for j in range(48)])
ROOTS = np.array([round(16 * n**0.5) for n in range(LARGEST_BLOCK**2 + 1)])


@clause("8.3.7.1")
def step_sizes(fps: Any, parameters: Any) -> npt.NDArray[np.int64]:
    """(8.3.7.1) The step of each channel, in units of 2^-16 samples.

    ``2^((QP - 4) / 6)`` samples of 8 bits, and twice that for each bit more; QP in eighths.
    """
    eighths = 8 * channel_qps(fps, parameters) + parameters.qp_eighths
    place = eighths + 48 * (int(fps.bits) - 8) - 32
    octaves, rest = place // 48, place % 48
    steps = _OCTAVE[rest] << np.maximum(octaves, 0) >> np.maximum(-octaves, 0)
    return np.asarray(steps, np.int64)


@clause("8.3.7.2")
def cuts(length: int, block: int) -> npt.NDArray[np.int64]:
    """(8.3.7.2) Boundaries of the fewest parts of nearly equal length, none longer than ``block``."""
    count = -(-length // block)
    return np.array([i * length // count for i in range(count + 1)])


@clause("8.3.7.6")
@cache
def scan(height: int, width: int) -> npt.NDArray[np.int64]:
    """(8.3.7.6) The coefficients of a block by rising frequency, each with its classes.

    Ordered by ``u * width + v * height``, then by u. An entry is ``u | v << 5 | place << 10 | ring << 16``,
    with ``place = 8 * down + right``, where *down* is u, in eighths of a height above 8, and *right* is v
    likewise; ring is their sum, at most 9.
    """
    order = sorted(
        ((u * width + v * height, u, v) for u in range(height) for v in range(width)),
    )
    entries = []
    for _, u, v in order:
        down = u if height <= 8 else u * 8 // height
        right = v if width <= 8 else v * 8 // width
        entries.append(u | v << 5 | (down * 8 + right) << 10 | min(down + right, 9) << 16)
    return np.array(entries)


@lru_cache(16)
def _scans(heights: frozenset[int], widths: frozenset[int]) -> tuple[Any, Any]:
    at = np.zeros((LARGEST_BLOCK + 1, LARGEST_BLOCK + 1), np.int64)
    parts, position = [], 0
    for height in sorted(heights):
        for width in sorted(widths):
            at[height, width] = position
            parts.append(scan(height, width))
            position += height * width
    return np.concatenate(parts), at


def _lengths(boundaries: npt.NDArray[np.int64]) -> frozenset[int]:
    """All lengths that blocks can have between these boundaries, splits included."""
    found: set[int] = set()
    new = {int(n) for n in np.diff(boundaries)}
    while new:
        found |= new
        new = {
            part for n in new if n >= model.SPLIT_FROM for part in ((n + 1) // 2, n // 2)
        } - found
    return frozenset(found)


@lru_cache(64)
def geometry(height: int, width: int, block: int) -> tuple[Any, Any, Any, Any]:
    """(8.3.7.2) Cuts of rows and columns into largest blocks; the scans of all sizes of block within."""
    ys, xs = cuts(height, block), cuts(width, block)
    return ys, xs, *_scans(_lengths(ys), _lengths(xs))


def workspace(
    height: int, width: int, block: int
) -> tuple[model.Workspace, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(8.3.7.2) The arrays of a decoder as a payload finds them, and the cuts of rows and columns."""
    ys, xs, scans, scan_at = geometry(height, width, block)
    states, weights = native_model()
    return (
        model.Workspace(
            states=states.copy(),
            weights=weights.copy(),
            contexts=np.zeros(model.INPUTS, np.int64),
            chosen=np.zeros(model.INPUTS, np.int64),
            inputs=np.zeros(model.INPUTS, np.int64),
            edges=np.zeros((model.EDGES, max(height, width)), np.int64),
            field=np.zeros(((height + 3) // 4, (width + 3) // 4), np.int64),
            channel=np.zeros(model.CHANNEL_SIZE, np.int64),
            scans=scans,
            scan_at=scan_at,
            block=np.zeros((LARGEST_BLOCK, LARGEST_BLOCK), np.int64),
            rows=np.zeros((LARGEST_BLOCK, LARGEST_BLOCK), np.int64),
            stack=np.zeros((model.STACK_SIZE, 4), np.int64),
        ),
        ys,
        xs,
    )


@clause("8.3.7")
def decode_payload(one: CodedFeature, previous: Samples | None = None) -> Samples:
    """(8.3.7) Decode one payload to samples, int32, C x H x W.

    previous : samples of the feature before, for one that is no access point.

    Raises PayloadError.
    """
    announce_compilation()
    fps = one.fps
    shape = (int(fps.channels), int(fps.height), int(fps.width))
    largest = (1 << int(fps.bits)) - 1
    coder = np.zeros(CODER_SIZE, np.int64)
    data = np.frombuffer(bytearray(one.payload), np.uint8)  # writable: kernels go both ways
    head = np.zeros(model.HEAD_SIZE, np.int64)
    head[model.PREDICTED] = previous is not None
    start_decoding(coder, data)
    model.code_head(coder, data, head)
    if head[model.RESTORATION] > 2:
        raise PayloadError(
            "restoration mode 3 is not defined", bit_offset=one.bit_offset, clause="8.3.7.1"
        )
    room, ys, xs = workspace(shape[1], shape[2], 4 << int(head[model.BLOCK]))
    steps = step_sizes(fps, one.parameters)
    samples = np.zeros(shape, np.int32)
    model.code_levels(
        coder, data, room, head, steps, ys, xs, ROOTS, largest, np.zeros(shape, np.int32),
        np.zeros((1, *shape[1:]), np.int32), samples, reference(previous, head, largest, shape),
    )  # fmt: skip
    offsets, gains = np.zeros((2, shape[0]), np.int64)
    model.code_restoration(coder, data, room, head, offsets, gains)
    if not finish_decoding(coder, data):
        raise PayloadError(
            "the payload is cut"
            if coder[OVERRUN] > MOST_OVERRUN
            else f"{data.size - int(coder[POSITION])} bytes stand behind the last decision of the payload",
            bit_offset=one.bit_offset,
            clause="8.3.7",
            hint="it is corrupt: code the feature again",
        )
    model.restore(samples, head, steps, offsets, gains)
    return samples


def reference(
    previous: Samples | None, head: npt.NDArray[np.int64], largest: int, shape: tuple[int, ...]
) -> Samples:
    """(8.3.7.2) The samples to predict from, C x H x W; C x 0 x 0 where there are none."""
    if previous is None:
        return np.zeros((shape[0], 0, 0), np.int32)
    moved = np.zeros(shape, np.int32)
    model.displace(previous, head, largest, moved)
    return moved


@clause("8.3.7")
def decode(run: Sequence[CodedFeature]) -> Iterator[Samples]:
    """(8.3.7) Decode a sequence whose features may be predicted, the first an access point."""
    previous: Samples | None = None
    for one in run:
        previous = decode_payload(one, None if one.access_point else previous)
        yield previous
