"""Symbols of static tables as payloads, and tables as the kernels take them (clauses 8.10.1 to 8.10.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.rans import (
    LAST_STATE,
    LAST_STATE_ALONE,
    LOWEST,
    decode_each,
    decode_same,
    encode_symbols,
)
from refcodec.entropy.static import (
    BUCKET_BITS,
    LARGEST_EXCESS,
    PRECISION,
    Tables,
    fill_buckets,
    fill_slots,
)
from refcodec.entropy.vectors import decode_vectors, encode_vectors
from refcodec.errors import PayloadError

__all__ = [
    "LANES",
    "LANES_SIZE",
    "Symbols",
    "close_payload",
    "decode_apart",
    "decode_symbols",
    "encode_apart",
    "encode_parts",
    "encode_symbols_of",
    "make_tables",
    "offsets_of",
    "open_payload",
    "slots_of",
    "symbols_at",
]

LANES = 4
"""Lanes of a long payload."""

LANES_SIZE = 4096
"""Bytes of a payload from which on it has several lanes."""


# --- normative -------------------------------------------------------------------------------------


@clause("8.10.2")
def decode_symbols(
    payload: bytes, count: int, index: Int32, tables: Tables, slots: Int64 | None = None
) -> Int32:
    """(8.10.2) Decode the symbols of a payload, int32.

    index : the table of each symbol; of no effect where ``slots`` are given.
    slots : those of the first table, where all symbols have that one.

    Raises PayloadError.
    """
    states, words, last = open_payload(payload)
    symbols = np.empty(count, np.int32)
    if slots is not None:
        taken = decode_same(states, words, slots, tables, symbols)
    else:
        taken = decode_each(states, words, index, tables, symbols)
    close_payload(states, words[taken:], last)
    return symbols


@clause("8.10.2")
def close_payload(states: Int64, words: Int32, last: int) -> None:
    """(8.10.2) Check that a payload ends with its last symbol.

    words : those that no symbol has taken, with the one more.

    Raises PayloadError where words are left, or a last state is not the one that every payload ends with.
    """
    if len(words) > 1 or (states != last).any():
        raise PayloadError(
            "the symbols do not end where the payload does, in the state that all end in",
            clause="8.10.2",
        )


@clause("8.10.2")
def open_payload(payload: bytes) -> tuple[Int64, Int32, int]:
    """(8.10.2) The states of the lanes, the words with one more, and the last state of each lane.

    A payload of less than 4096 bytes has one lane, whose state takes its first 4 bytes, or 3 where their
    number is odd, or all where there are no more; any other payload has four lanes, of 4 bytes each.

    Raises PayloadError for a state that is not in its shortest form, or an odd number of bytes.
    """
    size = len(payload)
    lanes = LANES if size >= LANES_SIZE else 1
    head = 4 * lanes if lanes > 1 else min(size, 4 - size % 2 if size > 4 else 4)
    if size - head & 1:
        raise PayloadError("the payload ends within a word", requirement="8.10.2-1")
    padded = payload[:head] + bytes(4 * lanes - head)
    states = np.frombuffer(padded, "<u4").astype(np.int64)
    words = np.zeros((size - head) // 2 + 1, np.int32)
    words[:-1] = np.frombuffer(payload, "<u2", offset=head)
    lowest = LOWEST if len(words) > 1 or lanes > 1 else 1 << 8 * max(head - 1, 0)
    if (states < lowest).any():
        raise PayloadError("a state of the payload is not in its shortest form", clause="8.10.2")
    return states, words, LAST_STATE if lanes > 1 else LAST_STATE_ALONE


@clause("8.10.3")
def decode_apart(data: bytes, ends: Int64, index: Int32, tables: Tables) -> Int32:
    """(8.10.3) Decode payloads that stay decodable alone, int32, payloads x symbols.

    ends  : where each payload ends in ``data``; the first begins at 0.
    index : the table of each symbol of a payload.

    Raises PayloadError, with the position in bits within ``data``.
    """
    symbols = np.empty((len(ends), len(index)), np.int32)
    source = np.frombuffer(bytearray(data), np.uint8)  # kernels want it writable
    sound = decode_vectors(source, ends, index, tables, symbols)
    if sound < len(ends):
        raise PayloadError(
            "the payload has bytes that no symbol needs",
            bit_offset=8 * int(ends[sound - 1]) if sound else 0,
            clause="8.10.3",
        )
    return symbols


@clause("8.10.1")
def offsets_of(symbols: Int32, values: Int64) -> Int32:
    """(8.10.1) The offset of each symbol, ``offset_of`` of many: int32, of the shape of ``symbols``.

    values : number of values of the table of each symbol, one entry or as many as the last axis has.
    """
    offsets = symbols.copy()
    escapes = symbols >= values
    if escapes.any():
        excess = (symbols - values)[escapes]
        above = np.broadcast_to(values, symbols.shape)[escapes] + (excess >> 1)
        offsets[escapes] = np.where(excess & 1, -((excess + 1) >> 1), above)
    return offsets


def make_tables(
    frequencies: Sequence[npt.ArrayLike],
    values: Sequence[int],
    modes: Sequence[int | None] | None = None,
) -> Tables:
    """Tables of these frequencies, as the kernels take them.

    frequencies : of the symbols of each table, the escape last; each adds up to 2^14.
    values      : number of values of each table: that of its symbols, less 1 where there is an escape.
    modes       : the main symbol of each table; None for the most frequent one, the first of several.
    """
    modes = modes or [None] * len(values)
    bounds = [np.concatenate([[0], np.cumsum(one)]) for one in frequencies]
    begin = np.cumsum([0, *map(len, bounds)])
    tables = Tables(
        np.concatenate(bounds).astype(np.int32),
        begin.astype(np.int64),
        np.array(values, np.int64),
        np.array(
            [
                int(np.argmax(one)) if mode is None else mode
                for one, mode in zip(frequencies, modes, strict=True)
            ],
            np.int64,
        ),
        np.zeros(len(bounds) << BUCKET_BITS, np.int32),
    )
    fill_buckets(tables)
    return tables


def slots_of(tables: Tables, table: int = 0) -> Int64:
    """The slots of a table, for symbols that all have it."""
    slots = np.zeros(1 << PRECISION, np.int64)
    fill_slots(tables, table, slots)
    return slots


# --- informative: the encoder's half ---------------------------------------------------------------


def symbols_at(offsets: Int64, values: Int64) -> Int32:
    """The symbol of each offset, int32: the inverse of `offsets_of`."""
    symbols = offsets.astype(np.int32)
    outside = (offsets < 0) | (offsets >= values)
    if outside.any():
        far, most = offsets[outside], np.broadcast_to(values, offsets.shape)[outside]
        beyond = np.where(far < 0, -2 * far - 1, 2 * (far - most))
        assert int(beyond.max()) <= LARGEST_EXCESS
        symbols[outside] = most + beyond
    return symbols


class Symbols(NamedTuple):
    """Symbols that are coded together.

    table_of : the table of each symbol; a single entry is that of all.
    """

    symbols: Int32
    table_of: Int32
    tables: Tables


def encode_symbols_of(symbols: Int32, index: Int32, tables: Tables) -> bytes:
    """Code symbols as one payload.

    index : the table of each symbol; a single entry is that of all.
    """
    return encode_parts([Symbols(symbols, index, tables)])


def encode_parts(parts: Sequence[Symbols]) -> bytes:
    """Code symbols, part after part, as one payload: with one lane where it becomes short, else with four."""
    states = np.array([LAST_STATE_ALONE])
    words = np.zeros(LANES_SIZE // 2 + 8, np.int32)
    first = _encode_backwards(states, words, parts)
    if first >= 0:
        state = int(states[0])
        head = state.to_bytes((state.bit_length() + 7) // 8, "little")
        payload = head + words[first:].astype("<u2").tobytes()
        if len(payload) < LANES_SIZE:
            return payload
    states = np.full(LANES, LAST_STATE)
    words = np.zeros(4 * sum(len(one.symbols) for one in parts) + 16 * LANES, np.int32)
    first = _encode_backwards(states, words, parts)
    payload = states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes()
    assert len(payload) >= LANES_SIZE  # four lanes never take fewer bytes than one
    return payload


def _encode_backwards(states: Int64, words: Int32, parts: Sequence[Symbols]) -> int:
    """Code the last part first; returns the position of the first word, -1 where room ends."""
    first = len(words)
    for part in reversed(parts):
        if first >= 0:
            first = encode_symbols(states, words[:first], part.table_of, part.tables, part.symbols)
    return first


def encode_apart(symbols: Int32, index: Int32, tables: Tables) -> tuple[bytes, Int64]:
    """Code the rows of ``symbols`` as payloads of their own; returns them, and where each ends."""
    rows, count = symbols.shape
    output = np.zeros(8 * (rows + 1) * (count + 1), np.uint8)
    ends = np.zeros(rows, np.int64)
    done = encode_vectors(output, ends, index, tables, symbols)
    assert done == rows
    return output[: ends[-1]].tobytes(), ends
