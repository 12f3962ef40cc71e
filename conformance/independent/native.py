"""The native coder: payload, head, step sizes and corrections (8.3.7, 8.3.7.1, 8.3.7.2, 8.3.7.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arithmetic import MOST_OVERRUN, ArithmeticDecoder
from .bits import Integers
from .blocks import BlockDecoder
from .codes import FeatureType, Quantiser
from .contexts import ContextModel
from .decisions import CORRECTION, LONGEST_UNARY, Decisions, bucket, sign_class
from .plain import decode_plain
from .refusal import Refusal, require
from .syntax import FeatureParameterSet, Parameters

OCTAVE = [round(2 ** (16 + r / 48)) for r in range(48)]
LARGEST_SHIFT = 64
LARGEST_CORRECTED = 1 << 24
OFFSETS, GAINS = 0, 1  # kinds of corrections


@dataclass(frozen=True)
class Head:
    """The parameters of a payload (8.3.7.1)."""

    block: int
    slope: int
    origin: int
    shift_down: int
    shift_right: int
    points: tuple[int, int, int]
    dependent: bool
    restoration: int
    token_gains: list[int]


def limited(value: int, least: int, most: int) -> int:
    """The value, limited to a range."""
    return min(max(value, least), most)


def decode_head(arithmetic: ArithmeticDecoder, predicted: bool, tokens: int) -> Head:
    """Decode the head of a payload (8.3.7.1), and the gains of *tokens* tokens (8.3.7.11); 0 has none."""
    block = arithmetic.bits(2)
    slope = origin = down = right = 0
    if block > 0:
        slope = limited(arithmetic.signed_golomb(), -7, 24)
    else:
        origin = arithmetic.golomb(6) & 0xFFFF
    if predicted:
        down = limited(arithmetic.signed_golomb(), -LARGEST_SHIFT, LARGEST_SHIFT)
        right = limited(arithmetic.signed_golomb(), -LARGEST_SHIFT, LARGEST_SHIFT)
    points = arithmetic.bits(4) - 8, arithmetic.bits(4) - 8, arithmetic.bits(4) - 8
    restoration, gains = arithmetic.bits(2), []
    dependent = gained = False
    if restoration == 3 and tokens > 0:
        tools = arithmetic.bits(2)
        dependent, gained = block > 0 and tools & 1 == 1, tools & 2 == 2
        restoration = arithmetic.bits(2)
    elif restoration == 3 and block > 0:
        dependent = True
        restoration = arithmetic.bits(2)
    require(restoration != 3, "payload", "R8.3.7.1-1", "restoration is 3")
    if gained:
        gains = [limited(arithmetic.signed_golomb(), -64, 64) for _ in range(tokens)]
    return Head(block, slope, origin, down, right, points, dependent, restoration, gains)


def step_sizes(fps: FeatureParameterSet, parameters: Parameters) -> list[int]:
    """The step of each channel, in units of 2^-16 samples (8.3.7.1)."""
    bits = 10 if fps.quantiser == Quantiser.TRANSFORM else fps.bits
    steps = []
    for qp in parameters.qps:
        place = 8 * int(qp) + parameters.qp_eighths + 48 * (bits - 8) - 32
        octave, rest = divmod(place, 48)
        steps.append(OCTAVE[rest] << octave if octave >= 0 else OCTAVE[rest] >> -octave)
    return steps


def bounds_of(fps: FeatureParameterSet) -> tuple[int, int]:
    """*least* and *largest*: coefficients of a transform have a sign (8.3.7)."""
    if fps.quantiser == Quantiser.TRANSFORM:
        return -(1 << (fps.bits - 1)), (1 << (fps.bits - 1)) - 1
    return 0, (1 << fps.bits) - 1


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
    is the context model, where there is one (8.3.13).
    """
    decisions = Decisions(payload, begun)
    gained = fps.feature_type == FeatureType.TOKENS and fps.quantiser == Quantiser.TRANSFORM
    head = decode_head(decisions.arithmetic, reference is not None, fps.shape[1] if gained else 0)
    steps, bounds = step_sizes(fps, parameters), bounds_of(fps)
    if head.block == 0:
        samples = decode_plain(decisions, fps.shape, steps, bounds, head.origin, head.points)
    else:
        blocks = BlockDecoder(decisions, fps.shape, 4 << head.block, bounds)
        blocks.slope, blocks.points, blocks.dependent = head.slope, head.points, head.dependent
        displaced = None if reference is None else displace(reference, head, bounds)
        samples = blocks.decode(steps, displaced)
    offsets, gains = decode_corrections(decisions, head.restoration, fps.channels)
    arithmetic = decisions.arithmetic
    if arithmetic.position < len(payload) or arithmetic.overrun > MOST_OVERRUN:
        raise Refusal("payload", "R8.3.7-1", "the decisions do not end where the payload does")
    if head.restoration > 0:
        samples = np.stack(
            [correct(*each) for each in zip(samples, steps, offsets, gains, strict=True)]
        )
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
            corrections[kind][channel] = limited(last, -24, 32) if kind == GAINS else last
    return corrections


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
