"""Head: the parameters of a whole payload; and the steps of its channels (clause 8.3.7.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    code_bits,
    code_golomb,
    code_signed_golomb,
    start_decoding,
)
from refcodec.entropy.arrays import Int64, Uint8
from refcodec.kernel import kernel
from refcodec.pack import channel_qps
from refcodec.syntax.codes import FeatureType, Quantiser
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = [
    "BLOCK",
    "DEPENDENT_QUANTISATION",
    "FREQUENCY_SLOPE",
    "GAINED",
    "HEAD_SIZE",
    "LARGEST_SHIFT",
    "ORIGIN",
    "POINTS",
    "PREDICTED",
    "RESTORATION",
    "SHIFT_DOWN",
    "SHIFT_RIGHT",
    "Bounds",
    "block_side",
    "code_head",
    "empty_head",
    "named_elements",
    "read_head",
    "sample_bounds",
    "step_sizes",
]

# entries of a payload's head
BLOCK = 0
"""Coded in two bits: 0 for samples without a transform, else blocks of up to 4 << BLOCK samples."""
FREQUENCY_SLOPE = 1
POINTS = 2  # and 3, 4
ORIGIN = 5
RESTORATION = 6
PREDICTED = 7
"""Not coded: 1 if there is a reference feature, else 0."""
SHIFT_DOWN = 8
SHIFT_RIGHT = 9
DEPENDENT_QUANTISATION = 10
"""1 for dependent quantisation."""
GAINED = 11
"""1 if tokens have gains, in entries from HEAD_SIZE on."""
HEAD_SIZE = 12

LARGEST_SHIFT = 64
"""Greatest displacement, in samples."""

STEP_BITS = 10
"""Bits of the samples whose steps coefficients of a transform have."""


class Bounds(NamedTuple):
    """Least and largest sample."""

    least: int
    largest: int


_OCTAVE = np.array([round(2 ** (16 + j / 48)) for j in range(48)])


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_head(coder: Int64, data: Uint8, head: Int64) -> None:
    """(8.3.7.1) Code the parameters of the whole payload."""
    head[BLOCK] = code_bits(coder, data, int(head[BLOCK]), 2)
    if int(head[BLOCK]) > 0:
        slope = code_signed_golomb(coder, data, int(head[FREQUENCY_SLOPE]), 0)
        head[FREQUENCY_SLOPE] = min(max(slope, -7), 24)
    else:
        head[ORIGIN] = code_golomb(coder, data, int(head[ORIGIN]), 6) & 0xFFFF
    if int(head[PREDICTED]) == 1:
        for i in range(SHIFT_DOWN, SHIFT_RIGHT + 1):
            shift = code_signed_golomb(coder, data, int(head[i]), 0)
            head[i] = min(max(shift, -LARGEST_SHIFT), LARGEST_SHIFT)
    for i in range(3):
        head[POINTS + i] = code_bits(coder, data, int(head[POINTS + i]) + 8, 4) - 8
    dependent = int(head[DEPENDENT_QUANTISATION])
    gained = int(head[GAINED])
    mode = 3 if dependent + gained > 0 else int(head[RESTORATION])
    mode = code_bits(coder, data, mode, 2)
    if mode == 3 and head.shape[0] > HEAD_SIZE:
        tools = code_bits(coder, data, dependent + 2 * gained, 2)
        head[DEPENDENT_QUANTISATION] = (tools & 1) * int(int(head[BLOCK]) > 0)
        head[GAINED] = tools >> 1
        mode = code_bits(coder, data, int(head[RESTORATION]), 2)
    elif mode == 3 and int(head[BLOCK]) > 0:
        head[DEPENDENT_QUANTISATION] = 1
        mode = code_bits(coder, data, int(head[RESTORATION]), 2)
    head[RESTORATION] = mode


@clause("8.3.7.1")
def step_sizes(fps: FeatureParameterSet, parameters: FeatureParameters) -> Int64:
    """(8.3.7.1) The step of each channel, in units of 2^-16 samples.

    ``2^((QP - 4) / 6)`` samples of 8 bits, and twice that for each bit more; QP in eighths. Coefficients of a
    transform have the steps of samples of 10 bits, whatever the bits of their samples.
    """
    eighths = 8 * channel_qps(fps, parameters) + (parameters.qp_eighths or 0)
    bits = STEP_BITS if fps.quantiser == Quantiser.TRANSFORM else fps.bits
    place = eighths + 48 * (bits - 8) - 32
    octaves, rest = place // 48, place % 48
    steps = _OCTAVE[rest] << np.maximum(octaves, 0) >> np.maximum(-octaves, 0)
    return np.asarray(steps, np.int64)


@clause("8.3.7")
def sample_bounds(fps: FeatureParameterSet) -> Bounds:
    """(8.3.7) The bounds of samples: coefficients of a transform have a sign."""
    if fps.quantiser == Quantiser.TRANSFORM:
        return Bounds(-(1 << (fps.bits - 1)), (1 << (fps.bits - 1)) - 1)
    return Bounds(0, (1 << fps.bits) - 1)


@clause("8.3.7.1")
def empty_head(fps: FeatureParameterSet) -> Int64:
    """(8.3.7.1) A head of zeros: where tokens may have gains, with an entry for each."""
    gained = fps.feature_type == FeatureType.TOKENS and fps.quantiser == Quantiser.TRANSFORM
    return np.zeros(HEAD_SIZE + (fps.height if gained else 0), np.int64)


def block_side(head: Int64) -> int:
    """Longest side of a block, 8, 16 or 32; 4 if samples are coded without a transform."""
    return 4 << int(head[BLOCK])


# --- informative: inspection of a head -------------------------------------------------------------


def read_head(payload: bytes, fps: FeatureParameterSet, *, predicted: bool) -> Int64:
    """Decode only the head of a payload, without gains.

    predicted : true if there is a reference feature.
    """
    coder, head = np.zeros(CODER_SIZE, np.int64), empty_head(fps)
    data = np.frombuffer(bytearray(payload), np.uint8)  # writable: kernels work in both directions
    head[PREDICTED] = predicted
    start_decoding(coder, data)
    code_head(coder, data, head)
    return head


def named_elements(head: Int64) -> dict[str, int]:
    """The elements of a head, by name, in the order of the payload."""
    entries = {"block": BLOCK}
    if head[BLOCK]:
        entries["frequency_slope"] = FREQUENCY_SLOPE
    else:
        entries["origin"] = ORIGIN
    if head[PREDICTED]:
        entries |= {"shift_down": SHIFT_DOWN, "shift_right": SHIFT_RIGHT}
    entries |= {f"point_{level + 1}": POINTS + level for level in range(3)}
    if head[DEPENDENT_QUANTISATION]:
        entries["dependent"] = DEPENDENT_QUANTISATION
    entries["restoration"] = RESTORATION
    if head[GAINED]:
        entries["gains"] = GAINED
    return {name: int(head[entry]) for name, entry in entries.items()}
