"""Feature parameter sets: every element drawn from its declaration, within the constraints on it (9.2, A)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from construct import Container

from refcodec.registry import CoderRecord
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.floats import Floats, draw_floats
from refcodec.syntax.codes import FeatureType, Quantiser, SourceType, is_kept
from refcodec.syntax.descriptors import SE, UE, AlignmentBits, U
from refcodec.syntax.follow import Place, follow
from refcodec.syntax.structures import FEATURE_PARAMETER_SET, FeatureParameterSet
from refcodec.tables import SUBSTREAMS, levels

__all__ = ["Budget", "draw_parameter_set", "plain_value"]

_SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 24, 31, 32, 33, 47, 64, 65)
"""Sides at and beside the limits of blocks."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds of what a stream may cost, beside those of its level.

    elements : of a feature, as a rule; rarely those of the level.
    level    : the highest.
    """

    elements: int
    level: int


def plain_value(chance: Chance, place: Place) -> int:
    """A value of an element by its declaration alone: a code point, or a number within its bounds.

    Raises TypeError for a coding whose values are no numbers.
    """
    coding = place.coding
    match coding:
        case U() if coding.values is not None:
            return int(chance.choose([code for code in coding.values if not is_kept(code)]))
        case U():
            return chance.number(0, (1 << coding.width) - 1)
        case UE() | SE():
            return chance.number(coding.minimum, coding.maximum)
        case AlignmentBits():
            return 0
        case _:
            raise TypeError(f"{place.path} is no number")


def draw_parameter_set(
    chance: Chance,
    record: CoderRecord,
    budget: Budget,
    fps_id: int,
    *,
    tokens: bool = False,
    transform: bool = False,
) -> FeatureParameterSet:
    """Draw a parameter set for a coder; of tokens, or of other features.

    transform : true for coefficients of a transform over channels.

    One of a video coder has a byte in place of the parameter sets to come; one that names a model has any
    model_id.
    """
    quantiser = Quantiser.TRANSFORM
    if not transform:
        quantiser = chance.choose(sorted(record.quantisers - {Quantiser.TRANSFORM}))
    if tokens:
        feature_type = FeatureType.TOKENS
        shape = chance.number(1, max(1, budget.elements >> 3)), 1, 1
    else:
        feature_type = chance.choose([FeatureType.CONV, FeatureType.POOL, FeatureType.FC])
        shape = _shape(chance, record, budget, flat=feature_type == FeatureType.FC)
    decided: Mapping[str, Callable[[Any], Any]] = {
        "fps_id": lambda known: fps_id,
        "feature_type": lambda known: feature_type,
        "source_type": lambda known: chance.choose(_source_types(record, quantiser)),
        "channels_minus1": lambda known: shape[0] - 1,
        "height_minus1": lambda known: shape[1] - 1,
        "width_minus1": lambda known: shape[2] - 1,
        "head_count": lambda known: _heads(chance, known.channels_minus1 + 1),
        "quantiser": lambda known: quantiser,
        "bits_minus1": lambda known: chance.number(0, record.largest_bits - 1),
        "restoration_enabled_flag": lambda known: chance.below(1 + record.restorable),
        "log_signed_flag": lambda known: chance.below(2) if known.bits > 1 else 0,
        "substream_count_minus1": lambda known: _substreams(chance, known.channels) - 1,
        "lattice_step": lambda known: _steps(chance, known.ranges),
        "lattice_offset": lambda known: draw_floats(chance, known.ranges),
        "sample_hash_size_code": lambda known: chance.between(int(record.needs_hash), 3),
        "coder_id": lambda known: record.coder_id,
        "tile_columns_minus1": lambda known: _columns(chance, known, budget) - 1,
        "tile_rows_minus1": lambda known: _rows(chance, known, budget) - 1,
        "parameter_sets_size": lambda known: 1,
        "parameter_sets": lambda known: b"\0",
    }

    def settle(place: Place) -> Any:
        own = decided.get(place.path.rpartition(".")[2])
        return own(place.context) if own else plain_value(chance, place)

    return FEATURE_PARAMETER_SET.make(follow(FEATURE_PARAMETER_SET, settle, Container()))


def _heads(chance: Chance, channels: int) -> int:
    """A number of heads that divides the channels, or 0."""
    return chance.choose([0, *(heads for heads in range(1, channels + 1) if channels % heads == 0)])


def _substreams(chance: Chance, channels: int) -> int:
    """A number of substreams: one more often than not."""
    return 1 if chance.below(3) else chance.number(1, min(channels, SUBSTREAMS))


def _steps(chance: Chance, count: int) -> Floats:
    """Steps of a lattice, above 0."""
    drawn = abs(draw_floats(chance, count))
    return np.where(drawn > 0, drawn, np.float32(1))


def _source_types(record: CoderRecord, quantiser: Quantiser) -> list[SourceType]:
    integers = record.integers and quantiser == Quantiser.NONE
    floats = not (record.has_model and quantiser == Quantiser.NONE)
    return [kind for kind in SourceType if (integers if kind.is_integer else floats)]


def _shape(
    chance: Chance, record: CoderRecord, budget: Budget, *, flat: bool
) -> tuple[int, int, int]:
    """Channels, height and width; one side of the greatest length now and then."""
    whole = budget.elements
    most = chance.number(1, chance.choose([max(1, whole >> 6), max(1, whole >> 3), whole]))
    limits = levels()[1]
    cheap = not (record.compiled or record.video)
    if cheap and whole > 1 and chance.one_in(96):
        most = limits.max_elements
        if budget.level > 1 and chance.one_in(2):
            most += chance.between(1, 4096)  # a feature of level 2
        long = min(most, 1 << 16)
        shapes = [(most, 1, 1)] if flat else [(1, long, 1), (1, 1, long), (most, 1, 1)]
        return chance.choose(shapes)
    if flat:
        return most, 1, 1
    height = chance.choose([side for side in _SIDES if side <= most])
    width = chance.choose([side for side in _SIDES if side <= most // height] or [1])
    left = most // (height * width)
    return chance.number(1, left), height, width


def _columns(chance: Chance, known: Any, budget: Budget) -> int:
    limit = levels()[budget.level].max_frame_side
    return chance.number(1, max(1, min(known.channels, limit // known.width)))


def _rows(chance: Chance, known: Any, budget: Budget) -> int:
    limit = levels()[budget.level].max_frame_side
    columns = known.tile_columns_minus1 + 1
    most = min(-(-known.channels // columns), limit // known.height)
    return chance.number(1, max(1, most))
