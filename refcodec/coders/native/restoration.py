"""Restoration: corrections of the mean and the deviation of each channel (clause 8.3.7.9)."""

from __future__ import annotations

from refcodec.coders.native.decisions import (
    FAMILIES,
    LONGEST_UNARY,
    bit_length,
    bucket,
    code_magnitude,
    sign_class,
)
from refcodec.coders.native.head import RESTORATION
from refcodec.coders.native.workspace import Workspace
from refcodec.entropy.arithmetic import code_bit, code_bits
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["code_restoration", "restore"]

CORRECTION = FAMILIES["correction"]


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_restoration(
    coder: Int64, data: Uint8, w: Workspace, head: Int64, offsets: Int64, gains: Int64
) -> None:
    """(8.3.7.9) Code the corrections of each channel: of its mean, and with mode 2 of its deviation."""
    for kind in range(int(head[RESTORATION])):
        last = 0
        second = 0
        for c in range(offsets.shape[0]):
            value = int(offsets[c]) if kind == 0 else int(gains[c])
            half = kind * 32
            contexts = (
                half + bucket(abs(last)),
                half + bucket(abs(last)) + bucket(abs(second)),
                half + sign_class(last) * 3 + sign_class(second),
                half + min(c, 31),
                half + bucket((abs(last) + abs(second)) >> 1),
                half,
            )
            fine = 2 - 2 * kind  # low bits of an offset, coded without a model
            magnitude = code_magnitude(
                coder, data, w, CORRECTION, contexts, kind, abs(value) >> fine, 0, LONGEST_UNARY, 2
            )
            magnitude = (magnitude << fine) + code_bits(
                coder, data, abs(value) & ((1 << fine) - 1), fine
            )
            if magnitude > 0:
                negative = code_bit(coder, data, 32768, int(value < 0))
                value = -magnitude if negative == 1 else magnitude
            else:
                value = 0
            second = last
            last = value
            if kind == 0:
                offsets[c] = value
            else:
                gains[c] = min(max(value, -24), 32)


@kernel
def restore(samples: Int32, head: Int64, steps: Int64, offsets: Int64, gains: Int64) -> None:
    """(8.3.7.9) Shift and scale each channel: offsets in fractions of the step, gains 1 + k / 32.

    The unit of offsets is 2^-shift steps, with shift = 2 + b // 2 for a channel whose number of samples has
    b bits.

    Samples stay within 2^24; they may be below 0 or above the largest, as clipping would change the moments.
    """
    if int(head[RESTORATION]) == 0:
        return
    height = samples.shape[1]
    width = samples.shape[2]
    count = height * width
    shift = 2 + (bit_length(count) >> 1)
    for c in range(samples.shape[0]):
        total = 0
        for y in range(height):
            for x in range(width):
                total += int(samples[c, y, x])
        mean = (total * 65536) // count  # at most 2^28 elements of 2^16, in units of 2^-16
        target = mean + ((int(offsets[c]) * int(steps[c])) >> shift)
        gain = 32 + int(gains[c])
        for y in range(height):
            for x in range(width):
                distance = 65536 * int(samples[c, y, x]) - mean
                value = (target + ((distance * gain) >> 5) + 32768) >> 16
                samples[c, y, x] = min(max(value, -(1 << 24)), 1 << 24)
