"""Payload: from start to end, in both directions (clause 8.3.11)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native.channels import Setting
from refcodec.coders.native.head import (
    BLOCK,
    HEAD_SIZE,
    RESTORATION,
    Bounds,
    block_side,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.payload import Corrections, no_corrections, workspace
from refcodec.coders.native.restoration import restore
from refcodec.coders.native_static.channels import (
    code_changes,
    code_corrections,
    code_head,
    code_levels,
)
from refcodec.coders.native_static.coefficients import NEAR_SIDE
from refcodec.coders.native_static.contexts import (
    CHANGEABLE,
    first_tables,
    table_limits,
    tables,
)
from refcodec.coders.native_static.symbols import CURSOR_SIZE, POSITION, Symbols
from refcodec.coders.protocol import Payload
from refcodec.coders.substreams import decode_substreams
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.symbols import close_payload, open_payload
from refcodec.errors import PayloadError

__all__ = ["code_feature", "decode_head", "decode_payload", "decode_substream", "open_symbols"]

NO_SYMBOLS = np.zeros(0, np.int32)
NO_CHANGES = np.zeros(CHANGEABLE, np.int32)
NO_PLANE = np.zeros((1, 0, 0), np.int32)
NO_MODEL = np.zeros(0, np.int32), np.zeros(0, np.int64)
"""Room that a decoder has no use for."""


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.11")
def decode_payload(payload: Payload, workers: int = 1) -> Int32:
    """(8.3.11) Decode one payload to samples, int32, C x H x W; its substreams by several threads.

    Raises PayloadError.
    """
    decode = partial(decode_substream, payload)
    if payload.substreams:
        return decode_substreams(payload, range(payload.fps.substream_count), workers, decode)
    fps = payload.fps
    samples = np.empty((fps.channels, fps.height, fps.width), np.int32)
    try:
        decode(payload.data, range(fps.channels), samples)
    except PayloadError as error:
        error.bit_offset = payload.bit_offset
        raise
    return samples


@clause("8.3.11")
def decode_substream(payload: Payload, data: bytes, channels: range, samples: Int32) -> None:
    """(8.3.11) Decode one substream of a payload to the samples of its channels. Raises PayloadError."""
    fps = payload.fps
    steps = step_sizes(fps, payload.parameters)[channels.start : channels.stop]
    symbols, last = open_symbols(data)
    head = decode_head(symbols)
    code_changes(symbols, NO_CHANGES, table_limits())
    code_feature(symbols, head, NO_PLANE, NO_PLANE, samples, steps, sample_bounds(fps))
    close_payload(symbols.states, symbols.words[int(symbols.cursor[POSITION]) :], last)


@clause("8.3.11.5")
def decode_head(symbols: Symbols) -> Int64:
    """(8.3.11.5) Decode the head of a payload. Raises PayloadError for values that are not defined."""
    head = np.zeros(HEAD_SIZE, np.int64)
    code_head(symbols, head)
    if head[BLOCK] == 0:
        raise PayloadError("a largest block of 0 is not defined", requirement="8.3.11.5-1")
    if head[RESTORATION] > 2:
        raise PayloadError("restoration mode 3 is not defined", requirement="8.3.11.5-2")
    return head


@clause("8.3.11")
def open_symbols(data: bytes) -> tuple[Symbols, int]:
    """(8.3.11) The symbols of a payload, and the state that each lane ends with. Raises PayloadError."""
    states, words, last = open_payload(data)
    cursor = np.zeros(CURSOR_SIZE, np.int64)
    table_of = first_tables().copy()
    return Symbols(cursor, states, words, tables(), table_of, NO_SYMBOLS, NO_SYMBOLS), last


@clause("8.3.11")
def code_feature(
    symbols: Symbols,
    head: Int64,
    levels: Int32,
    sizes: Int32,
    samples: Int32,
    steps: Int64,
    bounds: Bounds,
    corrections: Callable[[Int32], Corrections] = no_corrections,
) -> None:
    """(8.3.11) Code the levels and the corrections of a feature.

    levels      : C x H x W; of no effect in decoding.
    sizes       : of blocks, at their first samples, likewise.
    samples     : C x H x W, receives those that are decoded.
    steps       : step of each channel, in units of 2^-16 samples.
    corrections : from reconstructed samples to their corrections; when decoding, to arrays for them.
    """
    height, width = samples.shape[1:]
    w, ys, xs = workspace(height, width, block_side(head), NO_MODEL)
    near = np.zeros((NEAR_SIDE, NEAR_SIDE), np.int64)
    setting = Setting(head, steps, *bounds, ys, xs)
    code_levels(symbols, w, near, setting, levels, sizes, samples)
    offsets, gains = corrections(samples)
    code_corrections(symbols, head, offsets, gains)
    restore(samples, head, steps, offsets, gains)
