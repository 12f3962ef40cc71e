"""Payload: from start to end, in both directions (clause 8.3.11)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.native.channels import Planes, Setting
from refcodec.coders.native.head import HEAD_SIZE, RESTORATION, BLOCK, block_side, step_sizes
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
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.symbols import close_payload, open_payload
from refcodec.errors import PayloadError

__all__ = ["code_feature", "decode_payload", "open_symbols"]

NO_SYMBOLS = np.zeros(0, np.int32)


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.11")
def decode_payload(payload: Payload) -> Int32:
    """(8.3.11) Decode one payload to samples, int32, C x H x W. Raises PayloadError."""
    fps = payload.fps
    shape = (fps.channels, fps.height, fps.width)
    steps, largest = step_sizes(fps, payload.parameters), (1 << fps.bits) - 1
    plane = np.zeros((1, *shape[1:]), np.int32)
    try:
        symbols, last = open_symbols(payload.data)
        head = np.zeros(HEAD_SIZE, np.int64)
        code_head(symbols, head)
        _check(head)
        code_changes(symbols, NO_CHANGES, table_limits())
        samples, _ = code_feature(symbols, head, plane, NO_SIZES, steps, largest)
        close_payload(symbols.states, symbols.words[int(symbols.cursor[POSITION]) :], last)
    except PayloadError as error:
        error.bit_offset = payload.bit_offset
        raise
    return samples


NO_SIZES = np.zeros((1, 0, 0), np.int32)
NO_CHANGES = np.zeros(CHANGEABLE, np.int32)


@clause("8.3.11")
def code_feature(
    symbols: Symbols,
    head: Int64,
    levels: Int32,
    sizes: Int32,
    steps: Int64,
    largest: int,
    corrections: Callable[[Int32], Corrections] = no_corrections,
) -> tuple[Int32, Corrections]:
    """(8.3.11) Code levels and corrections; returns samples, int32, C x H x W, and the corrections.

    levels      : C x H x W; to decode, room for those of a channel, 1 x H x W.
    sizes       : of blocks, at their first samples, likewise; of no effect in decoding.
    steps       : step of each channel, in units of 2^-16 samples.
    corrections : from reconstructed samples to their corrections; when decoding, to arrays for them.
    """
    height, width = levels.shape[1:]
    samples = np.zeros((len(steps), height, width), np.int32)
    w, ys, xs = workspace(height, width, block_side(head), NO_MODEL)
    near = np.zeros((NEAR_SIDE, NEAR_SIDE), np.int64)
    displaced = np.zeros((len(levels), 0, 0), np.int32)
    planes = Planes(levels, sizes, samples, displaced)
    code_levels(symbols, w, near, Setting(head, steps, largest, ys, xs), planes)
    found = corrections(samples)
    code_corrections(symbols, head, *found)
    restore(samples, head, steps, *found)
    return samples, found


NO_MODEL = np.zeros(0, np.int32), np.zeros(0, np.int64)


def open_symbols(data: bytes) -> tuple[Symbols, int]:
    """(8.3.11) The symbols of a payload, and the state that each lane ends with. Raises PayloadError."""
    states, words, last = open_payload(data)
    cursor = np.zeros(CURSOR_SIZE, np.int64)
    mine = first_tables().copy()
    return Symbols(cursor, states, words, tables(), mine, NO_SYMBOLS, NO_SYMBOLS), last


def _check(head: Int64) -> None:
    if head[RESTORATION] > 2:
        raise PayloadError("restoration mode 3 is not defined", clause="8.3.11.5")
    if head[BLOCK] == 0:
        raise PayloadError("block size 0 is not defined", clause="8.3.11.5")
