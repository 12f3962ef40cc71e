"""Raw bits: coded without a model, taken from the end of a payload (clause 8.3.8.1)."""

from __future__ import annotations

from refcodec.entropy.arrays import Int64, Uint8
from refcodec.kernel import kernel

__all__ = [
    "RAW_BITS",
    "RAW_COUNT",
    "RAW_POSITION",
    "WORK_SIZE",
    "finish_raw",
    "put_raw",
    "raw_size",
    "take_raw",
]

# the work array: the five entries of the arithmetic coder, then those of the raw bits
RAW_POSITION = 5
RAW_BITS = 6
RAW_COUNT = 7
WORK_SIZE = 8


# --- normative -------------------------------------------------------------------------------------


@kernel
def take_raw(work: Int64, raw: Uint8, count: int) -> int:
    """(8.3.8.1) The next ``count`` raw bits, at most 23, as a number; beyond the last byte they are 0."""
    bits = int(work[RAW_BITS])  # fewer than 8 of them between calls
    held = int(work[RAW_COUNT])
    at = int(work[RAW_POSITION])
    while held < count:
        bits <<= 8
        if at < raw.shape[0]:
            bits |= int(raw[at]) & 0xFF
        at += 1
        held += 8
    held -= count
    work[RAW_BITS] = bits & ((1 << held) - 1)
    work[RAW_COUNT] = held
    work[RAW_POSITION] = at
    return bits >> held


@kernel
def raw_size(work: Int64) -> int:
    """(8.3.8.1) Bytes that the raw bits so far take up, the last one filled with zero bits."""
    return (8 * int(work[RAW_POSITION]) - int(work[RAW_COUNT]) + 7) >> 3


# --- informative: the encoder's half ---------------------------------------------------------------


@kernel
def put_raw(work: Int64, raw: Uint8, value: int, count: int) -> None:
    """Append ``count`` raw bits, at most 23; the inverse of :func:`take_raw`."""
    bits = (int(work[RAW_BITS]) << count) | value  # fewer than 32 of them between calls
    held = int(work[RAW_COUNT]) + count
    at = int(work[RAW_POSITION])
    if held >= 32:
        held -= 32
        for shift in range(24, -1, -8):
            if at < raw.shape[0]:
                raw[at] = (bits >> (held + shift)) & 0xFF
            at += 1
    work[RAW_BITS] = bits & ((1 << held) - 1)
    work[RAW_COUNT] = held
    work[RAW_POSITION] = at


@kernel
def finish_raw(work: Int64, raw: Uint8) -> int:
    """Fill the last byte of the raw bits with zeros; returns their size in bytes."""
    size = int(work[RAW_POSITION]) + ((int(work[RAW_COUNT]) + 7) >> 3)
    if int(work[RAW_COUNT]) > 0:
        put_raw(work, raw, 0, 32 - int(work[RAW_COUNT]))
    return size
