"""The strict validator: every violation of the specification that it can find in a stream.

Separate from the decoder on purpose. A decoder stops at the first violation and needs only what keeps it
safe and right; the validator goes on behind each one, and also looks where no decoder has to: reserved
bits, the index, the hashes, the headers inside HEVC payloads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from refcodec.clauses import clause
from refcodec.coders import Machine, decode_payloads
from refcodec.coders.hevc import check_parameter_sets, check_slices
from refcodec.constraints import check_stream_header
from refcodec.decoder import (
    RUN_SAMPLES,
    CodedFeature,
    CodedUnit,
    Walker,
    behind_end,
    behind_index,
    check_access_point,
    check_sample_hash,
    check_unit_hashes,
    decoded_size,
    largest_unit,
    no_end,
    reconstruct,
    stray_hash,
    wrong_count,
)
from refcodec.errors import (
    ConstraintError,
    EnvironmentFault,
    OrderError,
    StreamError,
    SyntaxViolation,
)
from refcodec.files import byte_source
from refcodec.syntax.bits import Trace, position_of
from refcodec.syntax.codes import SKIPPABLE_UNITS, Coder, UnitType
from refcodec.syntax.structures import STREAM_HEADER_SIZE, UNIT_STRUCTURES
from refcodec.syntax.units import CRC_SIZE, VERSION_MINOR, Unit, parse_stream_header, read_unit
from refcodec.tables import HIGHEST_LEVEL, clause_titles

__all__ = ["Report", "validate"]

_CODED = (UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH)

_MOST = 1000
"""Violations that a report holds at most; it says where there were more."""


@dataclass
class Report:
    """What the validator found.

    violations  : in the order of their places in the stream.
    features    : number of features that the stream holds, as far as it could be read.
    units       : number of units.
    unverified  : what could not be checked, and why: never mistake it for conformity.
    """

    violations: list[StreamError] = field(default_factory=list)
    features: int = 0
    units: int = 0
    unverified: list[str] = field(default_factory=list)

    @property
    def conforming(self) -> bool:
        """Whether no violation was found and nothing was left unverified."""
        return not self.violations and not self.unverified

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        titles = clause_titles()
        return {
            "conforming": self.conforming,
            "features": self.features,
            "units": self.units,
            "unverified": self.unverified,
            "violations": [
                {
                    "class": error.reject,
                    "bit_offset": error.bit_offset,
                    "clause": error.clause,
                    "clause_title": titles.get(error.clause, ""),
                    "what": error.what,
                    "hint": error.hint,
                }
                for error in self.violations
            ],
        }


def validate(
    source: str | os.PathLike[str] | bytes,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
) -> Report:
    """Check a stream, given as a path or as bytes, against every clause.

    Returns a report; a stream that is no DFC at all is a violation like any other. Raises CallerError
    for a path that cannot be read.
    """
    validation = _Validation(Machine(ffmpeg=ffmpeg, timeout=timeout), max_level)
    with byte_source(source) as file:
        return validation.run(file)


@dataclass
class _Place:
    """A coded unit as it was met: what the index must say of it."""

    offset: int
    features: int
    access_point: bool


class _Validation:
    """One pass over one stream."""

    def __init__(self, machine: Machine, max_level: int) -> None:
        self._machine = machine
        self._max_level = max_level
        self._report = Report()
        self._places: list[_Place] = []
        self._parameter_set_offsets: list[int] = []
        self._index: tuple[Unit, Any, Trace] | None = None
        self._queues: dict[int, list[CodedUnit]] = {}
        self._pending: CodedUnit | None = None
        self._excused = False  # a hash unit may stand behind a damaged coded unit
        self._complete = True  # every coded unit and parameter set was read
        self._parameter_set_lost = False
        self._index_lost = False
        self._undecodable: set[int] = set()  # fps_ids whose HEVC parameter sets are at fault
        self._interrupted: set[int] = set()  # fps_ids of sequences that lack a feature

    def run(self, source: BinaryIO) -> Report:
        """Validate a stream from its first byte."""
        try:
            header = parse_stream_header(source.read(STREAM_HEADER_SIZE))
        except StreamError as error:
            self._found(error)
            return self._report
        errors = [*check_stream_header(header, self._max_level), *_check_version(header)]
        for found in errors:
            self._found(found)
        if any(found.reject == "unsupported" for found in errors):
            return self._report
        self._walker = Walker(header)
        self._units(source)
        for queue in self._queues.values():
            self._decode(queue)
        self._report.features = self._walker.feature_count
        self._report.violations.sort(key=lambda error: error.bit_offset or 0)
        return self._report

    def _found(self, error: StreamError) -> None:
        if len(self._report.violations) < _MOST:
            self._report.violations.append(error)
        elif (note := f"more than {_MOST} violations") not in self._report.unverified:
            self._report.unverified.append(note)

    # -- units

    def _units(self, source: BinaryIO) -> None:
        offset, previous = STREAM_HEADER_SIZE, None
        while True:
            try:
                unit = read_unit(source, offset, largest_unit(self._walker.header))
            except StreamError as error:
                self._found(error)
                self._flush()
                return
            if unit is None:
                break
            self._report.units += 1
            self._unit(unit, previous)
            offset, previous = unit.end, unit.unit_type
            if previous == UnitType.END:
                if source.read(1):
                    self._found(behind_end(unit))
                return
        self._flush()
        self._found(no_end(offset))

    @clause("9.1")
    def _unit(self, unit: Unit, previous: int | None) -> None:
        """(9.1) One unit: its framing, its place, its content."""
        if previous == UnitType.INDEX and unit.unit_type != UnitType.END:
            self._found(behind_index(unit))
        known = unit.unit_type in UNIT_STRUCTURES
        if known and unit.skippable_flag != (unit.unit_type in SKIPPABLE_UNITS):
            self._found(
                ConstraintError(
                    f"skippable_flag of a {UnitType(unit.unit_type).name.lower()} unit is "
                    f"{unit.skippable_flag}",
                    bit_offset=8 * unit.offset,
                    clause="9.1",
                )
            )
        try:
            unit.check()
        except StreamError as error:  # the content of a damaged unit says nothing
            self._found(error)
            self._flush()
            self._excused = unit.unit_type in _CODED or (
                self._excused and unit.unit_type == UnitType.HASH
            )
            self._lose(unit)
            return
        try:
            parsed = self._walker.parse_unit(unit)
        except StreamError as error:
            self._damaged(unit, error)
            return
        self._excused = self._excused and unit.unit_type == UnitType.HASH
        self._content(unit, parsed)

    def _damaged(self, unit: Unit, error: StreamError) -> None:
        """A unit that does not parse, or breaks a constraint that the decoder checks, too."""
        unknown = isinstance(error, OrderError) and unit.unit_type in _CODED
        if not (unknown and self._parameter_set_lost):  # else it is that one's fault
            self._found(error)
        self._flush()
        self._excused = unit.unit_type in (*_CODED, UnitType.HASH)
        self._lose(unit)

    def _lose(self, unit: Unit) -> None:
        """Remember what a unit that could not be read takes with it."""
        if unit.unit_type == UnitType.INDEX:
            self._index_lost = True
        if unit.unit_type in SKIPPABLE_UNITS:
            return
        self._complete = False
        if unit.unit_type == UnitType.FEATURE_PARAMETER_SET:
            self._parameter_set_lost = True
        elif unit.unit_type in _CODED:  # of which sequence it was a part, nobody knows
            self._interrupted.update(self._walker.parameter_sets)

    def _content(self, unit: Unit, parsed: Any) -> None:
        match unit.unit_type:
            case UnitType.FEATURE_PARAMETER_SET:
                self._flush()
                self._parameter_set_offsets.append(unit.offset)
                if parsed.coder_id == Coder.HEVC:
                    place = 8 * (unit.end - CRC_SIZE - parsed.parameter_sets_size)
                    if self._all(check_parameter_sets(parsed, place)):
                        self._undecodable.add(parsed.fps_id)
            case UnitType.CODED_FEATURE | UnitType.CODED_FEATURE_BATCH:
                self._flush()
                self._coded(parsed)
            case UnitType.HASH:
                try:
                    if self._pending is not None:
                        self._pending = self._pending.with_hash(parsed, unit)
                    elif not self._excused:
                        raise stray_hash(unit)
                except StreamError as error:
                    self._found(error)
            case UnitType.METADATA:
                self._flush()
                self._metadata(parsed)
            case UnitType.INDEX:
                self._flush()
                self._index = (unit, parsed, self._walker.trace)
            case UnitType.END:
                self._flush()
                self._end(unit, parsed)
            case _:
                self._flush()

    def _all(self, errors: Iterator[StreamError]) -> bool:
        """Note all of the errors; whether there were any."""
        found = list(errors)
        for error in found:
            self._found(error)
        return bool(found)

    # -- features

    def _coded(self, unit: CodedUnit) -> None:
        """A coded unit: look into its payload, then let it wait for its hash units."""
        first = unit.features[0]
        fps_id = first.fps.fps_id
        self._places.append(_Place(unit.offset, len(unit.features), first.access_point))
        if fps_id in self._undecodable:
            self._skip()
            return
        if first.fps.coder_id == Coder.HEVC and self._all(
            check_slices(
                first.payload, first.parameters, first.fps, first.access_point, first.bit_offset
            )
        ):
            self._interrupted.add(fps_id)
            self._skip()
            return
        if first.access_point:
            self._interrupted.discard(fps_id)
        elif fps_id in self._interrupted:
            self._skip()
            return
        self._pending = unit

    def _skip(self) -> None:
        """Say that samples were not looked at, because something that they need is at fault."""
        self._excused = True
        note = "samples that depend on what is at fault were not decoded"
        if note not in self._report.unverified:
            self._report.unverified.append(note)

    def _flush(self) -> None:
        """Queue the coded unit that waited for its hash units; decode a queue that is long enough."""
        unit, self._pending = self._pending, None
        if unit is None:
            return
        fps = unit.fps
        queue = self._queues.setdefault(fps.fps_id, [])
        waiting = sum(decoded_size(one) for other in queue for one in other.features)
        if waiting > RUN_SAMPLES and unit.features[0].access_point:
            self._decode(self._queues.pop(fps.fps_id))
            queue = self._queues.setdefault(fps.fps_id, [])
        queue.append(unit)

    def _decode(self, units: list[CodedUnit]) -> None:
        """Decode units of one parameter set together; where that fails, one by one."""
        features = [one for unit in units for one in unit.features]
        first = features[0]
        try:
            check_access_point(first)
            samples = list(decode_payloads(features, self._machine))
        except StreamError as error:
            if len(units) == 1 or first.fps.temporal_prediction_flag:
                self._found(error)
            else:
                for unit in units:
                    self._decode([unit])
            return
        except EnvironmentFault as error:
            self._report.unverified.append(f"samples of {len(features)} features: {error}")
            return
        self._check_hashes(units, features, samples)

    @clause("8.8")
    def _check_hashes(
        self, units: list[CodedUnit], features: list[CodedFeature], samples: list[Any]
    ) -> None:
        """(8.8) Compare the sample hash of every feature, and every hash unit."""
        for one, decoded in zip(features, samples, strict=True):
            try:
                check_sample_hash(one, decoded)
            except StreamError as error:
                self._found(error)
        start = 0
        for unit in units:
            stop = start + len(unit.features)
            own = zip(features[start:stop], samples[start:stop], strict=True)
            try:
                if unit.hashes:
                    check_unit_hashes(unit, [(s, reconstruct(one, s)) for one, s in own])
            except StreamError as error:
                self._found(error)
            start = stop

    # -- metadata, index, end

    @clause("9.4")
    def _metadata(self, parsed: Any) -> None:
        """(9.4) Keys are UTF-8, not empty, and stand once."""
        places = [element.offset for element in self._walker.trace if element.name == "key_size"]
        seen: set[bytes] = set()
        for place, entry in zip(places, parsed.entries, strict=True):
            for text in (entry.key, entry.value):
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError:
                    self._found(
                        SyntaxViolation(
                            f"the metadata text {text!r:.40} is not UTF-8",
                            bit_offset=place,
                            clause="9.4",
                        )
                    )
            if not entry.key or entry.key in seen:
                self._found(
                    ConstraintError(
                        f"the metadata key {entry.key!r:.40} is empty or stands twice",
                        bit_offset=place,
                        clause="9.4",
                    )
                )
            seen.add(entry.key)

    @clause("9.5")
    def _end(self, unit: Unit, end: Any) -> None:
        """(9.5) The index says what stands in the stream, and the end unit where the index is."""
        place = 8 * unit.payload_offset
        if end.index_offset is None:
            if self._index is not None:
                self._found(
                    ConstraintError(
                        "the end unit does not point to the index", bit_offset=place, clause="9.5"
                    )
                )
            return
        if end.feature_count != self._walker.feature_count and self._complete:
            self._found(wrong_count(unit, end, self._walker))
        actual = self._index[0].offset if self._index else 0
        if end.index_offset != actual and not self._index_lost:
            self._found(
                ConstraintError(
                    f"index_offset is {end.index_offset}; the index stands at byte {actual}",
                    bit_offset=place,
                    clause="9.5",
                )
            )
        if self._index is not None and self._complete:
            self._check_index(*self._index)

    def _check_index(self, unit: Unit, index: Any, trace: Trace) -> None:
        zeros = np.zeros(index.entry_count, dtype=np.int64)
        counts = index.features_minus1 if index.features_minus1 is not None else zeros
        access = index.access_point if index.access_point is not None else zeros + 1
        said = {
            "unit_distance": np.cumsum(index.unit_distance).tolist(),
            "features_minus1": (counts + 1).tolist(),
            "access_point": access.tolist(),
            "parameter_set_offset": list(index.parameter_set_offset),
        }
        true = {
            "unit_distance": [place.offset for place in self._places],
            "features_minus1": [place.features for place in self._places],
            "access_point": [int(place.access_point) for place in self._places],
            "parameter_set_offset": self._parameter_set_offsets,
        }
        for name in said:
            if said[name] != true[name]:
                self._found(
                    ConstraintError(
                        f"{name} of the index disagrees with the stream",
                        bit_offset=position_of(trace, name),
                        clause="9.5",
                    )
                )
        if index.reserved_ignored_4bits:
            self._found(
                ConstraintError(
                    "reserved_ignored_4bits of the index is not zero",
                    bit_offset=position_of(trace, "reserved_ignored_4bits"),
                    clause="9.6",
                )
            )


@clause("9.6")
def _check_version(header: Any) -> Iterator[StreamError]:
    """(9.6) What a decoder must ignore, a stream of this version must not use."""
    if header.version_minor != VERSION_MINOR:
        yield ConstraintError(
            f"version_minor is {header.version_minor}; this validator knows {VERSION_MINOR}",
            bit_offset=36,
            clause="7.2",
        )
    if header.reserved_ignored_2bits:
        yield ConstraintError(
            "reserved_ignored_2bits is not zero in a stream of this version",
            bit_offset=52,
            clause="9.6",
        )
