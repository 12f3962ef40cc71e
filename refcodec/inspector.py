"""The whole syntax tree of a stream: every element with its position, width, value and clause.

Constraints are not checked; a unit that cannot be parsed is shown as opaque, with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from refcodec.coders import payload_coder
from refcodec.errors import StreamError
from refcodec.files import byte_source
from refcodec.stream.features import check_parameters
from refcodec.stream.parsing import ParameterSets, coded_unit, parse_unit
from refcodec.syntax.bits import Element, Trace
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import (
    STREAM_HEADER_SIZE,
    UNIT_STRUCTURES,
    CodedFeature,
    FeatureParameterSet,
)
from refcodec.syntax.units import CRC_SIZE, Unit, parse_stream_header, read_unit
from refcodec.tables import HIGHEST_LEVEL, levels

__all__ = ["InspectedUnit", "inspect", "inspect_units", "printable"]

_NO_LIMIT = 1 << 56

_LIMITS = levels()[HIGHEST_LEVEL]


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


def inspect(source: str | os.PathLike[str] | bytes) -> list[InspectedUnit]:
    """The syntax tree of a stream, given as a path or as bytes.

    Raises StreamError where not even the stream header can be read, CallerError for the path.
    """
    with byte_source(source) as file:
        return list(inspect_units(file))


def inspect_units(source: BinaryIO) -> Iterator[InspectedUnit]:
    """Yield the header and the units of a stream; stop where the framing is broken."""
    trace: Trace = []
    parse_stream_header(source.read(STREAM_HEADER_SIZE), trace)
    yield InspectedUnit("stream_header", 0, STREAM_HEADER_SIZE, tuple(trace))
    parameter_sets: ParameterSets = {}
    offset = STREAM_HEADER_SIZE
    while True:
        trace = []
        try:
            unit = read_unit(source, offset, _NO_LIMIT, trace)
        except StreamError as error:
            yield InspectedUnit("unit", 8 * offset, 0, tuple(trace), str(error))
            return
        if unit is None:
            return
        name, problem = _parse(unit, parameter_sets, trace)
        yield InspectedUnit(name, 8 * offset, unit.end - offset, tuple(trace), problem)
        offset = unit.end


def _parse(unit: Unit, parameter_sets: ParameterSets, trace: Trace) -> tuple[str, str]:
    """Parse a unit's payload into ``trace``; return its name, and the problem or ''."""
    problem = "" if unit.crc_matches else "the CRC-32 does not match"
    bit_offset = 8 * unit.payload_offset
    known = {int(kind): kind.name.lower() for kind in UnitType}
    name = known.get(unit.unit_type, f"unit {unit.unit_type}")
    if unit.unit_type not in UNIT_STRUCTURES:
        _note(trace, name, "unit_payload", "b(v)", bit_offset, unit.payload, "7.3")
    else:
        try:
            content = parse_unit(unit, parameter_sets, trace)
            if isinstance(content, FeatureParameterSet):
                parameter_sets[content.fps_id] = content
                payload_coder(content.coder_id).show_parameter_set(content, trace)
            elif isinstance(content, CodedFeature):
                fps = parameter_sets[content.fps_id]
                for error in check_parameters(content.parameters, fps, _LIMITS, trace):
                    raise error  # a payload means nothing without them
                for payload in coded_unit(unit, content, fps, trace).payloads:
                    payload_coder(fps.coder_id).show_payload(payload, trace)
        except StreamError as error:
            problem = str(error)
    _note(trace, "unit", "unit_crc", "u(32)", 8 * (unit.end - CRC_SIZE), unit.crc, "7.3", 32)
    return name, problem


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
