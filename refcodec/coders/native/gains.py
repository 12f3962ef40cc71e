"""Gains of tokens: a scale for each, in steps of 1.5 dB, under a transform (clause 8.3.7.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.head import GAINED, HEAD_SIZE
from refcodec.entropy.arithmetic import code_signed_golomb
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.kernel import kernel

__all__ = ["code_gains", "divided", "gains_in", "gains_of", "scale_tokens"]

LARGEST_GAIN = 64

QUARTERS = np.array([round(2 ** (16 + j / 4)) for j in range(4)])
"""Quarters of an octave: 2^(j / 4) in units of 2^-16."""

_LEAST_GAIN = -8
"""Least gain that an encoder chooses: a token of small values may be far from the mean of all."""


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_gains(coder: Int64, data: Uint8, head: Int64) -> None:
    """(8.3.7.11) Code the gain of each token, the entries of a head that follow HEAD_SIZE others."""
    for i in range(HEAD_SIZE, head.shape[0]):
        gain = code_signed_golomb(coder, data, int(head[i]), 0)
        head[i] = min(max(gain, -LARGEST_GAIN), LARGEST_GAIN)


@kernel
def scale_tokens(samples: Int32, head: Int64) -> None:
    """(8.3.7.11) Multiply the samples of each token by 2^(gain / 4); they stay within 2^24.

    A sample is at most 2^24, a quarter below 2^17, and the shift at most 16: products stay below 2^57.
    """
    if int(head[GAINED]) == 0:
        return
    for y in range(samples.shape[1]):
        gain = int(head[HEAD_SIZE + y])
        octave = gain >> 2
        factor = int(QUARTERS[gain & 3]) << max(octave, 0)
        shift = 16 + max(-octave, 0)
        for c in range(samples.shape[0]):
            value = (int(samples[c, y, 0]) * factor + (1 << (shift - 1))) >> shift
            samples[c, y, 0] = min(max(value, -(1 << 24)), 1 << 24)


# --- informative: the encoder's half ---------------------------------------------------------------


def gains_of(values: npt.NDArray[Any]) -> Int64:
    """Gains of tokens by their size, T, relative to the usual one of their feature.

    values : C x T x 1, before any transform.
    """
    sizes = np.sqrt((values[:, :, 0].astype(np.float64) ** 2).mean(axis=0))
    usual = np.median(sizes)
    if not usual > 0:
        return np.zeros(len(sizes), np.int64)
    octaves = np.log2(np.maximum(sizes / usual, 2.0**-LARGEST_GAIN))
    found: Int64 = np.rint(4 * octaves).clip(_LEAST_GAIN, LARGEST_GAIN).astype(np.int64)
    return found


def gains_in(head: Int64) -> Int64 | None:
    """The gains in a head; None where it has none."""
    return head[HEAD_SIZE:] if head[GAINED] else None


def divided(exact: npt.NDArray[Any], gains: Int64 | None) -> npt.NDArray[Any]:
    """Samples before rounding, C x T x 1, as they are before their gains."""
    return exact if gains is None else exact / np.exp2(gains / 4)[:, None]
