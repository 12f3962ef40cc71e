"""One pass over a conforming stream: its units and parameter sets in numbers, its features decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy.typing as npt

from refcodec.coders.protocol import Machine, Payload, Samples
from refcodec.decoder import DecodedUnit, Sequences, decode_window
from refcodec.errors import StreamError
from refcodec.sources import Anything, Front, byte_source
from refcodec.stream.limits import element_count
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.walk import Visit, Walk, coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import STREAM_HEADER_SIZE, FeatureParameterSet, StreamHeader
from refcodec.syntax.units import parse_stream_header

__all__ = ["Decoded", "SetUse", "Survey", "Visitor", "least_level", "survey"]


class Decoded(NamedTuple):
    """A feature of a stream.

    payload : coded samples, with the parameters of the feature.
    samples : int32, C x H x W.
    values  : the feature, in its source type.
    """

    payload: Payload
    samples: Samples
    values: npt.NDArray[Any]


@dataclass(slots=True)
class SetUse:
    """The use of a parameter set.

    offset      : position of its unit, in bytes; ``size`` is that of the unit.
    repeats     : true if a set of the same values was in force already.
    features    : number of features that refer to it; ``elements`` that of theirs, ``units`` of coded units.
    coded_bytes : bytes of its coded units; ``payload_bytes`` those of their payloads.
    codes       : smallest and largest sample, where there is a quantiser.
    """

    fps: FeatureParameterSet
    offset: int
    size: int
    repeats: bool = False
    features: int = 0
    elements: int = 0
    units: int = 0
    coded_bytes: int = 0
    payload_bytes: int = 0
    codes: tuple[int, int] | None = None

    def note_codes(self, decoded: DecodedUnit) -> None:
        """Widen ``codes`` to the samples of a unit."""
        if self.fps.quantiser != Quantiser.NONE:
            ends = [end for one in decoded.samples for end in (int(one.min()), int(one.max()))]
            ends += self.codes or ()
            self.codes = min(ends), max(ends)


@dataclass(slots=True)
class Survey:
    """The content of a stream in numbers.

    units : number of units by type; ``sizes`` their bytes.
    sets  : parameter sets, in their order.
    """

    header: StreamHeader
    units: Counter[int] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    sets: list[SetUse] = field(default_factory=list)

    @property
    def features(self) -> int:
        """Number of features."""
        return sum(use.features for use in self.sets)


Visitor = Callable[[SetUse, Visit], None]
"""Receives every coded unit, with the parameter set that it refers to."""


def survey(
    source: Anything, machine: Machine, visitor: Visitor, feature: Callable[[Decoded], None]
) -> Survey:
    """Go through a stream: a path, bytes, a buffer of bytes, or a binary file object.

    feature : receives every feature.

    Raises StreamError for a stream that is at fault, EnvironmentFault where it cannot be decoded here.
    """
    with byte_source(source) as front:
        found = Survey(parse_stream_header(front.read_whole(STREAM_HEADER_SIZE)))
        uses: dict[int, SetUse] = {}
        sequences: Sequences = {}
        for window in windows_of(_coded(found, front, uses, visitor)):
            for decoded in decode_window(window, machine, sequences):
                uses.pop(decoded.unit.offset).note_codes(decoded)
                parts = (decoded.unit.payloads, decoded.samples, decoded.features)
                for one in zip(*parts, strict=True):
                    feature(Decoded(*one))
    return found


def _coded(
    found: Survey, front: Front, uses: dict[int, SetUse], visitor: Visitor
) -> Iterator[CodedUnit]:
    """The coded units of a stream; all of its units are counted.

    uses : receives the use of the parameter set of each, by the unit's position.
    """
    walk = Walk(found.header)
    in_force: dict[int, SetUse] = {}
    for visit in walk.units(front):
        for error in walk.check(visit):
            raise error
        walk.accept(visit)
        unit, coded = visit.unit, visit.coded
        size = unit.end - unit.offset
        found.units[unit.unit_type] += 1
        found.sizes[unit.unit_type] += size
        if isinstance(visit.content, FeatureParameterSet):
            old = in_force.get(visit.content.fps_id)
            use = SetUse(visit.content, unit.offset, size)
            use.repeats = old is not None and old.fps == visit.content
            in_force[visit.content.fps_id] = use
            found.sets.append(use)
        elif coded is not None:
            use = in_force[coded.fps.fps_id]
            use.features += len(coded.payloads)
            use.elements += len(coded.payloads) * element_count(coded.payloads[0].fps)
            use.units += 1
            use.coded_bytes += size
            use.payload_bytes += sum(len(payload.data) for payload in coded.payloads)
            uses[coded.offset] = use
            visitor(use, visit)
            yield coded


def least_level(source: Anything, header: StreamHeader) -> int:
    """The least level_idc with which a conforming stream would still conform (A.3)."""
    for number in range(1, header.level_idc):
        with byte_source(source) as front:
            front.read_whole(STREAM_HEADER_SIZE)
            try:
                for _ in coded_units(Walk(replace(header, level_idc=number)), front):
                    pass
            except StreamError:
                continue
            return number
    return header.level_idc
