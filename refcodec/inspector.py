"""The whole syntax tree of a stream: every element with its position, width, value and clause.

A unit that cannot be parsed is shown as opaque, with the reason. Constraints are not checked, except those
that give payloads a meaning: on parameter sets and the parameters of a feature. Where they fail, the inside
of payloads is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from refcodec.coders import payload_coder
from refcodec.errors import OrderError, StreamError
from refcodec.sources import Anything, Front, byte_source
from refcodec.stream.features import check_parameters
from refcodec.stream.limits import limits_of
from refcodec.stream.models import show_model
from refcodec.stream.order import another_follows, bytes_follow, no_end
from refcodec.stream.parameter_sets import check_parameter_set
from refcodec.stream.parsing import ParameterSets, coded_unit, fps_id_of, parse_unit
from refcodec.syntax.bits import Element, Trace
from refcodec.syntax.codes import CODED_UNITS, UnitType
from refcodec.syntax.structures import (
    SIGNATURE,
    STREAM_HEADER_SIZE,
    UNIT_STRUCTURES,
    CodedFeature,
    FeatureParameterSet,
    ModelUnit,
    StreamHeader,
)
from refcodec.syntax.units import CRC_SIZE, Unit, parse_stream_header, read_unit

__all__ = ["InspectedUnit", "inspect", "inspect_units", "printable", "shown"]


_NAMES = {int(kind): kind.name.lower() for kind in UnitType}


@dataclass(frozen=True, slots=True)
class InspectedUnit:
    """A unit, or the stream header, with its elements.

    name     : name of its structure; ``unit 99`` for a type that this version does not define.
    offset   : position of its first byte.
    size     : number of bytes, header and CRC included.
    elements : in stream order.
    problem  : why elements are missing; '' if none are.
    """

    name: str
    offset: int
    size: int
    elements: tuple[Element, ...]
    problem: str = ""


def inspect(source: Anything) -> list[InspectedUnit]:
    """The syntax tree of a stream: of a path, bytes, a buffer of bytes, or a binary file object.

    Raises StreamError where not even the stream header can be read, CallerError for the source.
    """
    return list(inspect_units(source))


def inspect_units(source: Anything) -> Iterator[InspectedUnit]:
    """Yield the header and the units of a stream; stop where the framing is broken."""
    with byte_source(source) as front:
        yield from _units(front)


def _units(source: Front) -> Iterator[InspectedUnit]:
    trace: Trace = []
    header = parse_stream_header(source.read_whole(STREAM_HEADER_SIZE), trace)
    yield InspectedUnit("stream_header", 0, STREAM_HEADER_SIZE, tuple(trace))
    inspection = _Inspection(header)
    largest = limits_of(header).max_unit_size
    offset = STREAM_HEADER_SIZE
    while True:
        trace = []
        try:
            unit = read_unit(source, offset, largest, trace)
        except StreamError as error:
            yield InspectedUnit("unit", 8 * offset, 0, tuple(trace), str(error))
            return
        if unit is None:
            yield InspectedUnit("unit", 8 * offset, 0, (), str(no_end(offset)))
            return
        name, problem = inspection.parse(unit, trace)
        yield InspectedUnit(name, 8 * offset, unit.end - offset, tuple(trace), problem)
        offset = unit.end
        if unit.unit_type == UnitType.END:
            yield from _after(unit, source)
            return


def _after(end: Unit, source: Front) -> Iterator[InspectedUnit]:
    """Yield what follows the end unit, although nothing may."""
    head = source.read_whole(len(SIGNATURE))
    if head:
        error = another_follows(end.end) if head == SIGNATURE else bytes_follow(end)
        yield InspectedUnit("unit", 8 * end.end, 0, (), str(error))


class _Inspection:
    """The parameter sets of a stream, under which its units are parsed.

    parameter_sets : those that could be read.
    unsound        : identifiers of those of them that break a constraint or a limit of the level.
    lost           : true if one could not be read.
    """

    def __init__(self, header: StreamHeader) -> None:
        self.header = header
        self.parameter_sets: ParameterSets = {}
        self.unsound: set[int] = set()
        self.lost = False

    def parse(self, unit: Unit, trace: Trace) -> tuple[str, str]:
        """Parse a unit's payload into ``trace``; return its name, and the problem or ''."""
        problem = "" if unit.crc_matches else str(unit.damage())
        name = _NAMES.get(unit.unit_type, f"unit {unit.unit_type}")
        if unit.unit_type not in UNIT_STRUCTURES:
            place = 8 * unit.payload_offset
            _note(trace, name, "unit_payload", "b(v)", place, unit.payload, "7.3")
        else:
            try:
                self._parse_payload(unit, trace)
            except StreamError as error:
                if not problem:  # the content of a damaged unit says nothing
                    problem = self._reason(unit, error)
        _note(trace, "unit", "unit_crc", "u(32)", 8 * (unit.end - CRC_SIZE), unit.crc, "7.3", 32)
        return name, problem

    def _reason(self, unit: Unit, error: StreamError) -> str:
        """The reason why elements of a unit are missing: the error, unless it follows from another."""
        if self.lost and isinstance(error, OrderError):
            return "its feature parameter set could not be read"
        if unit.unit_type in CODED_UNITS:
            with suppress(StreamError):  # the error itself, then
                if fps_id_of(unit) in self.unsound:
                    return "its feature parameter set breaks a constraint"
        return str(error)

    def _parse_payload(self, unit: Unit, trace: Trace) -> None:
        """Parse a unit, and the inside of its payloads where they have a meaning. Raises StreamError."""
        try:
            content = parse_unit(unit, self.parameter_sets, trace)
        except StreamError:
            self.lost |= unit.unit_type == UnitType.FEATURE_PARAMETER_SET
            raise
        inside = trace[-1].offset if trace else None  # position of what a coder looks into, in bits
        try:
            if isinstance(content, FeatureParameterSet):
                self.parameter_sets[content.fps_id] = content
                self.unsound.add(content.fps_id)
                for error in check_parameter_set(content, self.header, trace):
                    raise error
                payload_coder(content.coder_id).show_parameter_set(content, trace)
                self.unsound.remove(content.fps_id)
            elif isinstance(content, ModelUnit):
                show_model(content, self.header, trace)
            elif isinstance(content, CodedFeature) and content.fps_id not in self.unsound:
                fps = self.parameter_sets[content.fps_id]
                limits = limits_of(self.header)
                for error in check_parameters(content.parameters, fps, limits, trace):
                    raise error  # a payload means nothing without them
                for payload in coded_unit(unit, content, fps).payloads:
                    inside = payload.bit_offset
                    payload_coder(fps.coder_id).show_payload(payload, trace)
        except StreamError as error:
            if error.bit_offset is None:
                error.bit_offset = inside
            raise


def _note(
    trace: Trace,
    parent: str,
    name: str,
    descriptor: str,
    offset: int,
    value: Any,
    clause: str,
    width: int | None = None,
) -> None:
    bits = 8 * len(value) if width is None else width
    trace.append(Element(f"{parent}.{name}", descriptor, offset, bits, value, clause))


_TEXTS = ("metadata.entries.key", "metadata.entries.value")


def shown(element: Element, limit: int = 48) -> str:
    """The value of an element as `printable` gives it; keys and values of metadata as texts."""
    if element.path in _TEXTS:
        with suppress(UnicodeDecodeError):
            text: str = element.value.decode("utf-8")
            quoted = json.dumps(text[:limit], ensure_ascii=False)
            return f"{quoted}… ({len(element.value)} bytes)" if len(text) > limit else quoted
    return printable(element.value, limit)


def printable(value: Any, limit: int = 48) -> str:
    """An element's value as a short text; bytes in hexadecimal, long values abbreviated."""
    if isinstance(value, bytes):
        text = value[: limit // 2].hex()
        return f"{text}… ({len(value)} bytes)" if len(value) > limit // 2 else text or "(empty)"
    if isinstance(value, np.ndarray):
        text = " ".join(
            f"{item:g}" if value.dtype.kind == "f" else str(item) for item in value[:12]
        )
        return f"{text} … ({value.size} values)" if value.size > 12 else text
    if hasattr(value, "name"):
        return f"{int(value)} ({value.name.lower()})"
    return str(value)
