"""The head of a payload of the native coders, and the steps of channels: clauses 8.3.7.1 and 8.3.11.5."""

from __future__ import annotations

from dataclasses import dataclass, field

from .arithmetic import ArithmeticDecoder
from .codes import Quantiser
from .refusal import require
from .symbols import Symbols
from .syntax import FeatureParameterSet, Parameters

OCTAVE = [round(2 ** (16 + r / 48)) for r in range(48)]
STEP_BITS = 10  # of coefficients of a transform
LARGEST_SHIFT = 64
LARGEST_TOKEN_GAIN = 64


@dataclass(frozen=True)
class Head:
    """The parameters of a payload; those that a coder lacks change nothing."""

    block: int
    slope: int
    points: tuple[int, int, int]
    restoration: int
    origin: int = 0
    shift_down: int = 0
    shift_right: int = 0
    dependent: bool = False
    token_gains: list[int] = field(default_factory=list)


def limited(value: int, least: int, most: int) -> int:
    """The value, limited to a range."""
    return min(max(value, least), most)


def symmetric(value: int, most: int) -> int:
    """The value, its magnitude limited."""
    return limited(value, -most, most)


def decode_head(arithmetic: ArithmeticDecoder, predicted: bool, tokens: int) -> Head:
    """Decode the head of a payload (8.3.7.1), and the gains of *tokens* tokens (8.3.7.11); 0 has none."""
    block = arithmetic.bits(2)
    slope = origin = down = right = 0
    if block > 0:
        slope = limited(arithmetic.signed_golomb(), -7, 24)
    else:
        origin = arithmetic.golomb(6) & 0xFFFF
    if predicted:
        down = symmetric(arithmetic.signed_golomb(), LARGEST_SHIFT)
        right = symmetric(arithmetic.signed_golomb(), LARGEST_SHIFT)
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
        gains = [symmetric(arithmetic.signed_golomb(), LARGEST_TOKEN_GAIN) for _ in range(tokens)]
    return Head(block, slope, points, restoration, origin, down, right, dependent, gains)


def decode_static_head(symbols: Symbols) -> Head:
    """Decode the head of a payload with static tables (8.3.11.5)."""
    block = symbols.bits(2)
    slope = symbols.bits(5) - 7
    points = symbols.bits(4) - 8, symbols.bits(4) - 8, symbols.bits(4) - 8
    restoration = symbols.bits(2)
    require(block != 0, "payload", "R8.3.11.5-1", "block is 0")
    require(restoration != 3, "payload", "R8.3.11.5-2", "restoration is 3")
    return Head(block, slope, points, restoration)


def step_sizes(fps: FeatureParameterSet, parameters: Parameters) -> list[int]:
    """The step of each channel, in units of 2^-16 samples (8.3.7.1)."""
    bits = STEP_BITS if fps.quantiser == Quantiser.TRANSFORM else fps.bits
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
