"""Encoding in the context mode."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.context import code_floats
from refcodec.coders.native_lossless.models import initial_model
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, finish_raw
from refcodec.entropy.arithmetic import CODE, POSITION, RANGE, carry, put_byte, start_encoding
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import announce_compilation, kernel

__all__ = ["encode_context"]


def encode_context(words: Int32, shape: Int64, kind: Int64, header: Int64, size: int) -> bytes:
    """Encode decisions and raw bits; returns b'' if they take more than ``size`` bytes."""
    announce_compilation("context.code_floats")
    work = np.zeros(WORK_SIZE, np.int64)
    data, raw = np.empty(size + 8, np.uint8), np.empty(size + 8, np.uint8)
    start_encoding(work)
    code_floats(work, data, raw, False, words, shape, kind, header, *initial_model())
    coded, rest = finish_floats(work, data), finish_raw(work, raw)
    return data[:coded].tobytes() + raw[:rest][::-1].tobytes() if coded + rest <= size else b""


@kernel
def finish_floats(work: Int64, data: Uint8) -> int:
    """Write the fewest bytes, at most two, that give a number in the interval whatever bytes follow.

    Returns the size of what was coded, in bytes; raw bits may follow at once.
    """
    low = int(work[CODE])
    high = low + int(work[RANGE]) - 1
    free = 24
    number = ((low + (1 << free) - 1) >> free) << free
    if number + (1 << free) - 1 > high:
        free = 16
        number = ((low + (1 << free) - 1) >> free) << free
    if number >= 0x100000000:
        carry(work, data)
    for shift in range(24, free - 1, -8):
        put_byte(work, data, (number >> shift) & 0xFF)
    return int(work[POSITION])
