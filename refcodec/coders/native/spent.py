"""Bits that the channels of a payload take: the decoder, asked between channels how far it has come."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.channels import Planes, Setting, code_levels
from refcodec.coders.native.gains import code_gains
from refcodec.coders.native.head import (
    BLOCK,
    GAINED,
    block_side,
    code_head,
    empty_head,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.payload import displaced_samples, workspace
from refcodec.coders.protocol import Payload
from refcodec.contexts import Initial
from refcodec.entropy.arithmetic import CODER_SIZE, POSITION, RANGE, start_decoding
from refcodec.entropy.arrays import Int64

__all__ = ["bits_of_channels"]


def bits_of_channels(
    payload: Payload, initial: Initial | None = None
) -> npt.NDArray[np.float64] | None:
    """Bits of each channel, C; the head, and what restores statistics, are in none of them.

    initial : states and weights of its context model; None for those of the tables.

    None for a feature that is predicted, and for one without blocks, whose channels depend on each other.
    """
    if not payload.access_point or not payload.data:
        return None
    fps = payload.fps
    data = np.frombuffer(bytearray(payload.data), np.uint8)  # writable: as decode_payload needs it
    coder, head = np.zeros(CODER_SIZE, np.int64), empty_head(fps)
    start_decoding(coder, data)
    code_head(coder, data, head)
    if head[GAINED]:
        code_gains(coder, data, head)
    if head[BLOCK] == 0:
        return None
    shape, bounds = (1, fps.height, fps.width), sample_bounds(fps)
    begun = initial and initial.copy()
    w, ys, xs = workspace(fps.height, fps.width, block_side(head), begun)
    steps = step_sizes(fps, payload.parameters)
    undisplaced = displaced_samples(None, head, bounds, shape)
    passed = [_passed(coder)]
    for channel in range(fps.channels):
        levels, sizes, samples = np.zeros((3, *shape), np.int32)
        setting = Setting(head, steps[channel : channel + 1], *bounds, ys, xs)
        code_levels(coder, data, w, setting, Planes(levels, sizes, samples, undisplaced))
        passed.append(_passed(coder))
    return np.diff(passed)


def _passed(coder: Int64) -> float:
    """Bits of the payload that decoding has used up, with fractions."""
    return 8 * int(coder[POSITION]) - math.log2(int(coder[RANGE]))
