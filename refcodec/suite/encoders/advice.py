"""Advice on the size and use of a stream: bytes that it spends on nothing, and what its readers will miss.

None of it is a violation. Each entry says where, what, and how many bytes it is about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from refcodec.registry import profile_coders, record_of
from refcodec.stream.walk import Visit
from refcodec.suite.encoders.survey import SetUse, Survey
from refcodec.syntax.codes import ChannelOrder, Coder, FeatureType, Profile, Quantiser, UnitType
from refcodec.syntax.structures import CodedFeature, CodedFeatureBatch

__all__ = ["Advice", "Adviser"]

_SMALL_UNITS = 4
"""Coded units of one feature from which on a batch is advised."""


class Advice(NamedTuple):
    """One piece of advice.

    clause : clause that describes the tool.
    where  : position in the stream, in bytes; None for the whole stream.
    bytes  : what could be saved, about; None where nothing is saved but something else is gained.
    """

    clause: str
    where: int | None
    what: str
    bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The advice as JSON types."""
        return self._asdict()


@dataclass(slots=True)
class Adviser:
    """Collects what coded units spend, while a stream is surveyed; `visit` is its visitor."""

    spent: Counter[tuple[int, str]] = field(default_factory=Counter)
    times: Counter[tuple[int, str]] = field(default_factory=Counter)

    def visit(self, use: SetUse, visit: Visit) -> None:
        """Look at a coded unit."""
        content = visit.content
        assert isinstance(content, CodedFeature | CodedFeatureBatch)
        for name, find in _IN_UNITS.items():
            bits = find(use, content)
            if bits:
                self.spent[use.offset, name] += bits
                self.times[use.offset, name] += 1

    def advise(self, survey: Survey, least_level: int) -> list[Advice]:
        """The advice on a stream that has been surveyed, in the order of its units.

        least_level : the least level that would admit the stream.
        """
        found = [*_on_stream(survey, least_level)]
        for use in survey.sets:
            found += _on_set(use)
            for name in _IN_UNITS:
                bits, times = self.spent[use.offset, name], self.times[use.offset, name]
                if times:
                    what = f"{name}, in {times:,} of {use.units:,} units"
                    found.append(Advice("7.5.2", use.offset, what, bits // 8))
        return found


# --- the whole stream ------------------------------------------------------------------------------


def _on_stream(survey: Survey, least_level: int) -> Iterator[Advice]:
    header, indexes = survey.header, survey.units[UnitType.INDEX]
    units = sum(use.units for use in survey.sets)
    if units > 1 and not indexes:
        yield Advice(
            "9.5",
            None,
            f"there is no index: readers go through {units:,} coded units to find a feature",
        )
    if units <= 1 and indexes:
        size = survey.sizes[UnitType.INDEX]
        yield Advice("9.5", None, "an index of one coded unit helps nobody", size)
    if survey.units[UnitType.METADATA] > 1:
        count = survey.units[UnitType.METADATA]
        yield Advice("9.4", None, f"{count:,} metadata units could be one", 6 * (count - 1))
    if least_level < header.level_idc:
        yield Advice(
            "A.3",
            None,
            f"level {header.level_idc} is declared, and level {least_level} would do: decoders of a "
            "lower level refuse the stream",
        )
    coders = {use.fps.coder_id for use in survey.sets if use.features}
    fitting = [profile for profile, own in profile_coders().items() if coders <= own]
    if coders and header.profile_idc != Profile.LOSSLESS and Profile.LOSSLESS in fitting:
        name = header.profile_idc.name.lower()
        yield Advice(
            "A.2",
            None,
            f"profile {name} is declared, and lossless would do: decoders of that alone refuse the "
            "stream",
        )


# --- parameter sets --------------------------------------------------------------------------------


def _on_set(use: SetUse) -> Iterator[Advice]:
    fps = use.fps
    if not use.features:
        yield Advice("9.1", use.offset, "no feature uses this parameter set", use.size)
        return
    if use.repeats:
        yield Advice("9.1", use.offset, "this parameter set is in force already", use.size)
    yield from _on_codes(use)
    several = use.units == use.features >= _SMALL_UNITS
    alone = fps.temporal_prediction_flag or fps.feature_type == FeatureType.TOKENS
    if several and record_of(fps.coder_id).batchable and not alone:
        around = use.coded_bytes - use.payload_bytes
        if 10 * around >= use.coded_bytes:
            yield Advice(
                "7.6",
                use.offset,
                f"{around:,} of {use.coded_bytes:,} bytes of coded units are headers and parameters: "
                "a batch shares them",
                around * (use.features - 1) // use.features,
            )


def _on_codes(use: SetUse) -> Iterator[Advice]:
    """Ranges that are wider than their samples, in bits."""
    if use.codes is None or use.fps.quantiser == Quantiser.NONE:
        return
    low, high = use.codes
    needed, bits = max(1, (high - low).bit_length()), use.fps.bits
    if needed < bits:
        raw = use.fps.coder_id == Coder.RAW
        yield Advice(
            "8.6",
            use.offset,
            f"samples are {low:,} to {high:,} of 0 to {(1 << bits) - 1:,}: a range as wide as the "
            f"values has the same step with {needed} of {bits} bits",
            use.elements * (bits - needed) // 8 if raw else None,
        )


# --- coded units -----------------------------------------------------------------------------------

Content = CodedFeature | CodedFeatureBatch


def _equal_ranges(use: SetUse, content: Content) -> int:
    own = content.parameters
    if not use.fps.range_per_channel_flag or use.fps.channels < 2 or own.range_max is None:
        return 0
    ends = [end for end in (own.range_min, own.range_max) if end is not None]
    batch = isinstance(content, CodedFeatureBatch) and content.range_codes_flag
    if batch or any((end != end[0]).any() for end in ends):
        return 0
    return 32 * (use.fps.channels - 1) * len(ends)


def _zero_minimum(use: SetUse, content: Content) -> int:
    low = content.parameters.range_min
    batch = isinstance(content, CodedFeatureBatch) and content.range_codes_flag
    return 32 * len(low) if low is not None and not batch and not low.any() else 0


def _wide_qps(use: SetUse, content: Content) -> int:
    own = content.parameters
    return _spare(own.qp_delta, own.qp_delta_bits)


def _wide_sizes(use: SetUse, content: Content) -> int:
    if not isinstance(content, CodedFeatureBatch) or content.payload_size_delta is None:
        return 0
    low = content.payload_size_delta - content.payload_size_delta.min()
    return _spare(low, content.payload_size_bits)


def _wide_order(use: SetUse, content: Content) -> int:
    own = content.parameters
    if own.channel_order != ChannelOrder.EXPLICIT or own.channel_at is None:
        return 0
    if np.array_equal(own.channel_at, np.arange(len(own.channel_at))):
        return 5 + len(own.channel_at) * (own.channel_at_bits or 0)
    return _spare(own.channel_at, own.channel_at_bits or 0)


def _spare(values: Any, bits: int) -> int:
    """Bits of an array beyond those of its largest value."""
    if values is None or not len(values):
        return 0
    return int(len(values) * (bits - int(max(values)).bit_length()))


_IN_UNITS: dict[str, Callable[[SetUse, Content], int]] = {
    "the ranges of all channels are equal: one for the feature would do": _equal_ranges,
    "range_min is 0 throughout: range_min_zero_flag says so": _zero_minimum,
    "qp_delta has more bits than its largest value": _wide_qps,
    "payload_size_delta has more bits than its values over their smallest": _wide_sizes,
    "channel_at is the identity, or has more bits than its largest value": _wide_order,
}
"""Bits that a coded unit spends on nothing."""
