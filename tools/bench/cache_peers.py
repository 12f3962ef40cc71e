"""Coders of tokens that caches of keys and values use: integers in groups, zstd behind them, and CacheGen.

Arrays are T x D, those of all heads side by side; sizes are in bits. What a container would add is left out.

- KIVI (Liu et al. 2024, arXiv 2402.02750): integers with a minimum and a scale of 16 bits for each group,
  keys by channel over groups of tokens, values by token over groups of channels.
- llama.cpp: ``q8_0`` and ``q4_0``, 32 values with a scale of 16 bits.
- CacheGen (Liu et al. 2024, arXiv 2310.07240): the first of ten tokens is an anchor of 8 bits a value; the
  others are differences to it, rounded to steps, and coded with a distribution for each channel of each
  layer, which other texts have given. What is counted is the ideal length of its arithmetic code.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CacheGen", "Coded", "grouped", "llama", "zstd"]

Array = npt.NDArray[Any]

_SCALE_BITS = 16


class Coded(NamedTuple):
    """Tokens, coded: their size in bits, what is decoded, and the bytes that zstd is given."""

    bits: float
    decoded: Array
    stored: bytes


def zstd(data: bytes) -> int:
    """Bits of ``zstd -19``."""
    packed = subprocess.run(
        ["zstd", "-19", "-c", "-q"], input=data, capture_output=True, check=True
    )
    return 8 * len(packed.stdout)


def _half(numbers: Array) -> Array:
    """Numbers as 16 bits keep them."""
    return numbers.astype(np.float16).astype(np.float32)


def grouped(tokens: Array, bits: int, group: int | None, *, by_channel: bool = False) -> Coded:
    """Integers with a minimum and a scale for each group.

    group      : values of a token, or tokens of a channel, that share a scale; None for all of them.
    by_channel : true for groups of tokens of one channel.
    """
    rows = tokens.T if by_channel else tokens
    decoded = np.empty_like(rows)
    codes: list[Array] = []
    scales: list[Array] = []
    for start in range(0, rows.shape[1], group or rows.shape[1]):
        part = slice(start, start + (group or rows.shape[1]))
        low = _half(rows[:, part].min(axis=1, keepdims=True))
        step = _half((rows[:, part].max(axis=1, keepdims=True) - low) / ((1 << bits) - 1))
        step[step == 0] = 1
        code = np.clip(np.rint((rows[:, part] - low) / step), 0, (1 << bits) - 1)
        decoded[:, part] = low + code * step
        codes.append(code.astype(np.uint8))
        scales += [low.astype(np.float16), step.astype(np.float16)]
    size = tokens.size * bits + _SCALE_BITS * sum(one.size for one in scales)
    stored = b"".join(one.tobytes() for one in (np.concatenate(codes, axis=1), *scales))
    return Coded(size, decoded.T if by_channel else decoded, stored)


def llama(tokens: Array, bits: int) -> Coded:
    """``q8_0`` or ``q4_0`` of llama.cpp: a scale for 32 values, of which the greatest is -8 with 4 bits."""
    rows = tokens.reshape(-1, 32)
    if bits == 8:
        scale = _half(np.abs(rows).max(axis=1, keepdims=True) / 127)
    else:
        at = np.abs(rows).argmax(axis=1)
        scale = _half(rows[np.arange(len(rows)), at][:, None] / -8)
    safe = np.where(scale == 0, 1, scale)
    least, most = (-127, 127) if bits == 8 else (-8, 7)
    code = np.clip(np.rint(rows / safe), least, most)
    stored = code.astype(np.int8).tobytes() + scale.astype(np.float16).tobytes()
    size = bits * tokens.size + _SCALE_BITS * scale.size
    return Coded(size, (code * scale).reshape(tokens.shape), stored)


class CacheGen:
    """CacheGen with one step for all channels, in units of the deviation of each.

    known : tokens of other texts, which give deviations and distributions.
    step  : in those units.
    """

    GROUP = 10
    MOST = 255

    def __init__(self, known: Sequence[Array], step: float) -> None:
        differences = np.concatenate([self._split(one)[1] for one in known])
        self._step = step * np.maximum(differences.std(axis=0), 1e-6)
        levels = self._levels(differences)
        counts = np.full((levels.shape[1], 2 * self.MOST + 1), 0.01)
        for channel, column in enumerate(levels.T):
            counts[channel] += np.bincount(column + self.MOST, minlength=2 * self.MOST + 1)
        self._lengths = -np.log2(counts / counts.sum(axis=1, keepdims=True))

    def _split(self, tokens: Array) -> tuple[Array, Array, Array]:
        """Anchors as they are decoded, differences of the other tokens, and which these are."""
        anchor_of = np.arange(len(tokens)) // self.GROUP * self.GROUP
        scale = _half(np.abs(tokens).max(axis=1, keepdims=True) / 127)
        anchors = (np.rint(tokens / scale) * scale)[anchor_of]
        others = np.arange(len(tokens)) != anchor_of
        return anchors, (tokens - anchors)[others], others

    def _levels(self, differences: Array) -> Array:
        levels: Array = np.clip(np.rint(differences / self._step), -self.MOST, self.MOST)
        return levels.astype(np.int64)

    def code(self, tokens: Array) -> Coded:
        """Code tokens; there are no bytes for zstd."""
        anchors, differences, others = self._split(tokens)
        levels = self._levels(differences)
        decoded = anchors.copy()
        decoded[others] += levels * self._step
        channels = np.arange(tokens.shape[1])
        length = float(self._lengths[channels, levels + self.MOST].sum())
        whole = int((~others).sum())
        return Coded(length + whole * (8 * tokens.shape[1] + _SCALE_BITS), decoded, b"")
