"""Payload: start, head, levels, corrections and end, in both directions (clause 8.3.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native.channels import Planes, Setting, code_levels, displace, geometry
from refcodec.coders.native.gains import code_gains, scale_tokens
from refcodec.coders.native.head import (
    GAINED,
    PREDICTED,
    RESTORATION,
    Bounds,
    block_side,
    code_head,
    empty_head,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.restoration import code_restoration, restore
from refcodec.coders.native.transform import LARGEST_BLOCK
from refcodec.coders.native.tree import STACK_SIZE
from refcodec.coders.native.workspace import CHANNEL_SIZE, EDGES, Workspace
from refcodec.coders.protocol import Payload
from refcodec.contexts import Initial
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    MOST_OVERRUN,
    OVERRUN,
    POSITION,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.errors import PayloadError
from refcodec.tables import native_model

__all__ = [
    "Coded",
    "Content",
    "Corrections",
    "code_payload",
    "decode_payload",
    "displaced_samples",
    "no_corrections",
]


class Corrections(NamedTuple):
    """Changes that restoration makes to each channel, int64, C each.

    offsets : added to its mean, in fractions of the step.
    gains   : factors on its deviation, minus 1, in units of 1/32.
    """

    offsets: Int64
    gains: Int64


class Content(NamedTuple):
    """Content of a payload: input of encoding, output of decoding.

    head   : HEAD_SIZE entries, of which PREDICTED is an input in both directions; then those of gains.
    levels : C x H x W.
    sizes  : of blocks, at their first samples, C x H x W; 1 x H x W to decode.
    """

    head: Int64
    levels: Int32
    sizes: Int32


class Coded(NamedTuple):
    """Result in both directions: size of the payload in bytes, samples C x H x W, and their corrections."""

    size: int
    samples: Int32
    corrections: Corrections


def no_corrections(samples: Int32) -> Corrections:
    """Corrections that change nothing; arrays for those that a decoder reads."""
    return Corrections(*np.zeros((2, len(samples)), np.int64))


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.7")
def decode_payload(
    payload: Payload, reference_feature: Int32 | None = None, initial: Initial | None = None
) -> Int32:
    """(8.3.7) Decode one payload to samples, int32, C x H x W.

    reference_feature : samples of the preceding feature, for one that is no access point.
    initial           : states and weights of a context model; None for those of the tables.

    Raises PayloadError.
    """
    fps = payload.fps
    shape = (fps.channels, fps.height, fps.width)
    head = empty_head(fps)
    head[PREDICTED] = reference_feature is not None
    content = Content(head, np.zeros(shape, np.int32), np.zeros((1, *shape[1:]), np.int32))
    coder = np.zeros(CODER_SIZE, np.int64)
    # writable: kernels work in both directions
    data = np.frombuffer(bytearray(payload.data), np.uint8)
    steps, bounds = step_sizes(fps, payload.parameters), sample_bounds(fps)
    try:
        return code_payload(
            coder, data, content, steps, bounds, reference_feature, no_corrections,
            initial and initial.copy(),
        ).samples  # fmt: skip
    except PayloadError as error:
        error.bit_offset = payload.bit_offset
        raise


@clause("8.3.7")
def code_payload(
    coder: Int64,
    data: Uint8,
    content: Content,
    steps: Int64,
    bounds: Bounds,
    reference_feature: Int32 | None = None,
    corrections: Callable[[Int32], Corrections] = no_corrections,
    model: tuple[Int32, Int64] | None = None,
) -> Coded:
    """(8.3.7) Decode a payload; or encode it, if ``coder[DIRECTION]`` is 1.

    steps             : step of each channel, in units of 2^-16 samples.
    bounds            : least and largest sample value.
    reference_feature : samples of the preceding feature, C x H x W; None for an access point.
    corrections       : from reconstructed samples to their corrections; when decoding, to arrays for them.
    model             : initial states and weights, which are adapted; None for those of the tables.

    Raises PayloadError when decoding.
    """
    head = content.head
    _start(coder, data)
    code_head(coder, data, head)
    if int(coder[DIRECTION]) == 0 and head[RESTORATION] > 2:
        raise PayloadError("restoration mode 3 is not defined", clause="8.3.7.1")
    if head[GAINED]:
        code_gains(coder, data, head)
    shape = content.levels.shape
    w, ys, xs = workspace(shape[1], shape[2], block_side(head), model)
    samples = np.zeros(shape, np.int32)
    displaced = displaced_samples(reference_feature, head, bounds, shape)
    planes = Planes(content.levels, content.sizes, samples, displaced)
    code_levels(coder, data, w, Setting(head, steps, *bounds, ys, xs), planes)
    offsets, gains = corrections(samples)
    code_restoration(coder, data, w, head, offsets, gains)
    size = _finish(coder, data)
    restore(samples, head, steps, offsets, gains)
    scale_tokens(samples, head)
    return Coded(size, samples, Corrections(offsets, gains))


def workspace(
    height: int, width: int, block: int, model: tuple[Int32, Int64] | None = None
) -> tuple[Workspace, Int64, Int64]:
    """(8.3.7) The initial arrays of a payload, and the boundaries of rows and columns."""
    ys, xs, scans, scan_at = geometry(height, width, block)
    if model is None:
        states, weights = native_model()
        model = states.copy(), weights.copy()
    w = Workspace(
        states=model[0],
        weights=model[1],
        edges=np.zeros((EDGES, max(height, width)), np.int64),
        field=np.zeros(((height + 3) // 4, (width + 3) // 4), np.int64),
        channel=np.zeros(CHANNEL_SIZE, np.int64),
        scans=scans,
        scan_at=scan_at,
        rows=np.zeros((LARGEST_BLOCK + 2, LARGEST_BLOCK), np.int64),
        stack=np.zeros((STACK_SIZE, 4), np.int64),
    )
    return w, ys, xs


def displaced_samples(
    reference_feature: Int32 | None, head: Int64, bounds: Bounds, shape: tuple[int, ...]
) -> Int32:
    """(8.3.7.2) The displaced samples to predict from, C x H x W; C x 0 x 0 without a reference feature."""
    if reference_feature is None:
        return np.zeros((shape[0], 0, 0), np.int32)
    displaced = np.zeros(shape, np.int32)
    displace(reference_feature, head, bounds, displaced)
    return displaced


def _start(coder: Int64, data: Uint8) -> None:
    """(8.3.7) Begin, in both directions."""
    if int(coder[DIRECTION]) == 0:
        start_decoding(coder, data)
    else:
        start_encoding(coder)


def _finish(coder: Int64, data: Uint8) -> int:
    """(8.3.7) End; returns the size of the payload in bytes. Raises PayloadError for a wrong end."""
    if int(coder[DIRECTION]) == 1:
        return int(finish_encoding(coder, data))
    if not finish_decoding(coder, data):
        unread = data.size - int(coder[POSITION])
        raise PayloadError(
            "the payload is cut"
            if coder[OVERRUN] > MOST_OVERRUN
            else f"{unread} bytes follow the last decision of the payload",
            clause="8.3.7",
            hint="it is corrupt: code the feature again",
        )
    return data.size
