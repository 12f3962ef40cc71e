"""Samples without a transform (clause 8.3.7.8)."""

from __future__ import annotations

from refcodec.coders.native.decisions import (
    FAMILIES,
    LONGEST_UNARY,
    bucket,
    code_decision,
    code_magnitude,
    sign_class,
)
from refcodec.coders.native.reconstruction import dequantise_level
from refcodec.coders.native.workspace import ACTIVITY, LARGEST, LEAST, STEP, Workspace
from refcodec.entropy.arithmetic import MOST_OVERRUN, OVERRUN
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["code_samples"]

SAMPLE = FAMILIES["sample"]
SAMPLE_SIGN = FAMILIES["sample_sign"]


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_samples(
    coder: Int64, data: Uint8, w: Workspace, levels: Int32, samples: Int32, channel: int,
    origin: int,
) -> None:  # fmt: skip
    """(8.3.7.8) Code one channel sample by sample: levels of the difference from ``origin``."""
    height = levels.shape[1]
    width = levels.shape[2]
    alone = int(height * width == 1)
    least = int(w.channel[LEAST])
    largest = int(w.channel[LARGEST])
    step = int(w.channel[STEP])
    for y in range(height):
        if int(coder[OVERRUN]) > MOST_OVERRUN:
            return
        for x in range(width):
            left = int(levels[channel, y, x - 1]) if x > 0 else 0
            above = int(levels[channel, y - 1, x]) if y > 0 else 0
            before = int(levels[channel - 1, y, x]) if channel > 0 else 0
            second = int(levels[channel - 2, y, x]) if channel > 1 else 0
            near = bucket(abs(left) + abs(above))
            behind = bucket(abs(before))
            around = bucket(int(w.channel[ACTIVITY]) >> 4)
            field = bucket(int(w.field[y >> 2, x >> 2]) >> 4)
            contexts = (
                near * 12 + behind,
                near * 12 + around,
                behind * 12 + bucket(abs(second)),
                field * 12 + near,
                around * 12 + field,
                min(abs(left), 15) * 16 + min(abs(above), 15),
            )
            level = int(levels[channel, y, x])
            magnitude = code_magnitude(
                coder, data, w, SAMPLE, contexts, alone, abs(level), 0, LONGEST_UNARY, 1
            )
            level_was_negative = int(level < 0)
            level = min(magnitude, 1 << 25)
            if magnitude > 0:
                signs = sign_class(left) * 9 + sign_class(above) * 3 + sign_class(before)
                contexts = (
                    signs,
                    near * 3 + sign_class(left),
                    behind * 3 + sign_class(before),
                    around * 12 + bucket(magnitude),
                    field,
                    sign_class(before) * 3 + sign_class(second),
                )
                level_is_negative = code_decision(
                    coder, data, w, SAMPLE_SIGN, contexts, alone, 0, level_was_negative
                )
                if level_is_negative == 1:
                    level = -level
            levels[channel, y, x] = level
            value = origin + ((dequantise_level(w, level, step) + 8) >> 4)
            samples[channel, y, x] = min(max(value, least), largest)
            activity = min(16 * magnitude, 4095)
            w.channel[ACTIVITY] = int(w.channel[ACTIVITY]) + (
                (16 * activity - int(w.channel[ACTIVITY])) >> 4
            )
            w.field[y >> 2, x >> 2] = int(w.field[y >> 2, x >> 2]) + (
                (16 * activity - int(w.field[y >> 2, x >> 2])) >> 3
            )
