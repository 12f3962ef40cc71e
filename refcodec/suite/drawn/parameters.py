"""Ranges, moments, QPs and channel orders of a feature, and ranges of the features of a batch (9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from construct import Container

from refcodec.ranges import rank_of
from refcodec.registry import record_of
from refcodec.stream.features import largest_step
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.floats import Floats, draw_floats
from refcodec.suite.drawn.parameter_sets import plain_value
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.follow import Place, follow
from refcodec.syntax.structures import FEATURE_PARAMETERS, FeatureParameters, FeatureParameterSet

__all__ = ["draw_parameters", "draw_range_codes"]

Integers = npt.NDArray[np.int64]


def draw_parameters(chance: Chance, fps: FeatureParameterSet) -> FeatureParameters:
    """Draw the parameters of a feature, or of a batch."""
    low, high = _bounds(chance, fps.ranges)
    record = record_of(fps.coder_id)

    def settle(place: Place) -> Any:
        match place.path.rpartition(".")[2], place.context:
            case "range_min", _:
                return low
            case "range_max", known:
                return np.where(low > high, low, high) if known.range_min is not None else abs(high)
            case "log_step", _:
                return chance.numbers(fps.ranges, 1, largest_step(fps))
            case (("restoration_mean" | "restoration_deviation"), known):
                return chance.numbers(known.restored, 0, 0xFFFF)
            case "qp", _:
                return chance.number(0, record.largest_qp or 0)
            case "qp_delta", known:
                most = min((1 << known.qp_delta_bits) - 1, known.qp)
                return chance.numbers(fps.channels, 0, most)
            case "channel_at_bits", _:
                return chance.number((fps.channels - 1).bit_length(), 31)
            case "channel_at", _:
                return chance.order(fps.channels)
        return plain_value(chance, place)

    return FEATURE_PARAMETERS.make(follow(FEATURE_PARAMETERS, settle, Container(fps=fps)), fps=fps)


def _bounds(chance: Chance, count: int) -> tuple[Floats, Floats]:
    """Two finite bounds of each range, in order."""
    pairs = draw_floats(chance, 2 * count).reshape(2, count)
    ordered = pairs[0] <= pairs[1]
    return np.where(ordered, pairs[0], pairs[1]), np.where(ordered, pairs[1], pairs[0])


def draw_range_codes(
    chance: Chance, fps: FeatureParameterSet, parameters: FeatureParameters, count: int
) -> dict[str, Any]:
    """Elements of a batch that code the range of each of its features; ranges stay in order."""
    shift, low_bits, high_bits = (chance.number(0, 31) for _ in range(3))
    if fps.quantiser == Quantiser.LOGARITHMIC:
        assert parameters.log_step is not None
        assert parameters.log_exponent is not None
        low = np.array([parameters.log_exponent])
        room = np.repeat(128 - low[None], count, axis=0)
        low_code = _codes(chance, low_bits, room)
        if low_bits:
            low_code[chance.words(count) % np.uint64(4) == 0] = (1 << low_bits) - 1  # exponent 0
        room = np.repeat(parameters.log_step[None] - 1 >> shift, count, axis=0)
        high_code = _codes(chance, high_bits, room)
    else:
        assert parameters.range_max is not None
        high = rank_of(parameters.range_max)
        given = parameters.range_min
        low = np.zeros_like(high) if given is None else rank_of(given)
        low_code = _codes(chance, low_bits, np.repeat((high - low)[None] >> shift, count, axis=0))
        high_code = _codes(chance, high_bits, (high - low - (low_code << shift)) >> shift)
        _put_zeros(chance, (low, low_code, low_bits), (high, high_code, high_bits), shift)
    return {
        "code_shift": shift,
        "low_code_bits": low_bits,
        "high_code_bits": high_bits,
        "low_code": low_code.reshape(-1),
        "high_code": high_code.reshape(-1),
    }


def _codes(chance: Chance, bits: int, room: Integers) -> Integers:
    """Codes of so many bits, features x ranges, at most ``room`` and not the greatest."""
    most = np.clip(room, 0, max(0, (1 << bits) - 2))
    drawn = chance.numbers(room.size, 0, 1 << 32).reshape(room.shape)
    codes: Integers = drawn % (most + 1)
    return codes


_Side = tuple[Integers, Integers, int]
"""Ranks of the common bounds, codes of those of each feature, and their bits."""


def _put_zeros(chance: Chance, low: _Side, high: _Side, shift: int) -> None:
    """Let the greatest code stand for a bound of 0, where the other one allows it."""
    for own, other, sign in ((low, high, 1), (high, low, -1)):
        ranks, codes, bits = other
        greatest = (1 << bits) - 1 if bits else -1
        opposite = np.where(codes == greatest, 0, ranks - sign * (codes << shift))
        fits = sign * opposite >= 0
        chosen = chance.words(codes.size).reshape(codes.shape) % np.uint64(4) == 0
        if own[2]:
            own[1][fits & chosen] = (1 << own[2]) - 1
