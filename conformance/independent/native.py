"""The native coder: payload, reference feature, corrections, gains (8.3.7, 8.3.7.2, 8.3.7.9, 8.3.7.11)."""

from __future__ import annotations

import numpy as np

from .arithmetic import MOST_OVERRUN
from .bits import Integers
from .codes import FeatureType, Quantiser
from .contexts import ContextModel
from .decisions import CORRECTION, LONGEST_UNARY, Decisions, bucket, sign_class
from .head import Head, bounds_of, decode_head, limited, step_sizes
from .native_blocks import NativeBlocks
from .plain import decode_plain
from .refusal import Refusal
from .syntax import FeatureParameterSet, Parameters

LARGEST_CORRECTED = 1 << 24
LEAST_GAIN, LARGEST_GAIN = -24, 32
OFFSETS, GAINS = 0, 1  # kinds of corrections


def displace(reference: Integers, head: Head, bounds: tuple[int, int]) -> Integers:
    """The displaced reference: its outermost samples are repeated beyond the borders (8.3.7.2)."""
    _, height, width = reference.shape
    rows = np.clip(np.arange(height) + head.shift_down, 0, height - 1)
    columns = np.clip(np.arange(width) + head.shift_right, 0, width - 1)
    return np.clip(reference[:, rows][:, :, columns], *bounds)


def decode_native(
    payload: bytes,
    fps: FeatureParameterSet,
    parameters: Parameters,
    reference: Integers | None,
    begun: ContextModel | None = None,
) -> Integers:
    """Decode a payload to samples, C x H x W (8.3.7).

    ``reference`` holds the converted samples of the reference feature; None for an access point. ``begun``
    is the context model, where there is one (8.3.14).
    """
    decisions = Decisions(payload, begun)
    gained = fps.feature_type == FeatureType.TOKENS and fps.quantiser == Quantiser.TRANSFORM
    head = decode_head(decisions.arithmetic, reference is not None, fps.shape[1] if gained else 0)
    steps, bounds = step_sizes(fps, parameters), bounds_of(fps)
    if head.block == 0:
        samples = decode_plain(decisions, fps.shape, steps, bounds, head.origin, head.points)
    else:
        displaced = None if reference is None else displace(reference, head, bounds)
        samples = NativeBlocks(decisions, fps.shape, head, bounds, displaced).decode(steps)
    offsets, gains = decode_corrections(decisions, head.restoration, fps.channels)
    arithmetic = decisions.arithmetic
    if arithmetic.position < len(payload) or arithmetic.overrun > MOST_OVERRUN:
        raise Refusal("payload", "R8.3.7-1", "the decisions do not end where the payload does")
    samples = restore(samples, head, steps, offsets, gains)
    for row, gain in enumerate(head.token_gains):
        samples[:, row] = scaled(samples[:, row], gain)
    return samples


def scaled(samples: Integers, gain: int) -> Integers:
    """Multiply the samples of a token by 2^(gain / 4) (8.3.7.11)."""
    octave, quarter = divmod(gain, 4)
    products = samples.astype(np.int64) * round(2 ** (16 + quarter / 4))
    products = products << octave if octave >= 0 else products
    shift = 16 if octave >= 0 else 16 - octave
    found: Integers = np.clip(
        (products + (1 << (shift - 1))) >> shift, -LARGEST_CORRECTED, LARGEST_CORRECTED
    )
    return found


def decode_corrections(
    decisions: Decisions, restoration: int, channels: int
) -> tuple[list[int], list[int]]:
    """Decode the offset and the gain of each channel, as *restoration* says (8.3.7.9)."""
    corrections = [0] * channels, [0] * channels
    for kind in range(restoration):
        fine = 2 if kind == OFFSETS else 0  # bits of an offset that no model predicts
        last = second = 0
        for channel in range(channels):
            near, far, base = bucket(abs(last)), bucket(abs(second)), kind * 32
            contexts = (
                base + near,
                base + near + far,
                base + sign_class(last) * 3 + sign_class(second),
                base + min(channel, 31),
                base + bucket((abs(last) + abs(second)) >> 1),
                base,
            )
            magnitude = decisions.magnitude(CORRECTION, kind, contexts, LONGEST_UNARY, 2)
            magnitude = magnitude << fine | decisions.arithmetic.bits(fine)
            second, last = last, decisions.sign(magnitude)
            corrections[kind][channel] = (
                limited(last, LEAST_GAIN, LARGEST_GAIN) if kind == GAINS else last
            )
    return corrections


def restore(
    samples: Integers, head: Head, steps: list[int], offsets: list[int], gains: list[int]
) -> Integers:
    """Apply the corrections of each channel, C x H x W, where there are any (8.3.7.9)."""
    if head.restoration == 0:
        return samples
    return np.stack([correct(*each) for each in zip(samples, steps, offsets, gains, strict=True)])


def correct(samples: Integers, step: int, offset: int, gain: int) -> Integers:
    """Shift a channel by its offset, and scale it about its mean by its gain (8.3.7.9)."""
    count = samples.size
    shift = 2 + (count.bit_length() >> 1)
    mean = (int(samples.sum()) << 16) // count
    target = mean + ((offset * step) >> shift)
    distance = (samples << 16) - mean
    values = (target + ((distance * (32 + gain)) >> 5) + 32768) >> 16
    corrected: Integers = np.clip(values, -LARGEST_CORRECTED, LARGEST_CORRECTED)
    return corrected
