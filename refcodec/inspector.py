"""The whole syntax tree of a stream: every element with its place, width, value and clause.

It looks and does not judge: what cannot be parsed is shown as an opaque unit with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from refcodec.errors import OrderError, StreamError
from refcodec.files import byte_source
from refcodec.syntax.bits import BitReader, Element, Trace
from refcodec.syntax.codes import Coder, UnitType
from refcodec.syntax.descriptors import UE
from refcodec.syntax.hevc import NAL, nal_type, parse_nal, parse_parameter_sets, split_nals
from refcodec.syntax.structures import STREAM_HEADER_SIZE, UNIT_STRUCTURES
from refcodec.syntax.units import CRC_SIZE, Unit, parse_stream_header, read_unit

__all__ = ["InspectedUnit", "inspect", "inspect_units", "read_head"]

_NO_LIMIT = 1 << 56


@dataclass(frozen=True, slots=True)
class InspectedUnit:
    """A unit, or the stream header, with its elements.

    name     : ``coded_feature``; ``unit 99`` for a type that this version does not define.
    offset   : position of its first bit.
    size     : number of bytes, header and CRC included.
    elements : in the order of the stream.
    problem  : why the elements end early; '' where they do not.
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
    """Go through a stream unit by unit; stops where the framing breaks."""
    trace: Trace = []
    parse_stream_header(source.read(STREAM_HEADER_SIZE), trace)
    yield InspectedUnit("stream_header", 0, STREAM_HEADER_SIZE, tuple(trace))
    parameter_sets: dict[int, Any] = {}
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


def _parse(unit: Unit, parameter_sets: dict[int, Any], trace: Trace) -> tuple[str, str]:
    """Parse a unit's payload into ``trace``; returns its name, and what went wrong."""
    problem = "" if unit.crc_matches else "the CRC-32 does not match"
    place = 8 * unit.payload_offset
    try:
        name = UnitType(unit.unit_type).name.lower()
        structure = UNIT_STRUCTURES.get(UnitType(unit.unit_type))
    except ValueError:
        name, structure = f"unit {unit.unit_type}", None
    if structure is None:
        _note(trace, name, "unit_payload", "b(v)", place, unit.payload, "7.3")
    else:
        try:
            parameters: dict[str, Any] = {"unit_size": len(unit.payload)}
            if unit.unit_type in (UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH):
                fps_id = UE(255).read(BitReader(unit.payload, place), None, "fps_id")
                if fps_id not in parameter_sets:
                    raise OrderError(f"feature parameter set {fps_id} is not in the stream")
                parameters["fps"] = parameter_sets[fps_id]
            parsed = structure.parse_whole(unit.payload, place, trace, **parameters)
            if unit.unit_type == UnitType.FEATURE_PARAMETER_SET:
                parameter_sets[parsed.fps_id] = parsed
                _inspect_hevc(parsed.parameter_sets, trace)
            elif unit.unit_type == UnitType.CODED_FEATURE:
                fps = parameters["fps"]
                if fps.coder_id == Coder.HEVC:
                    _inspect_hevc(parsed.payload, trace, fps)
                elif fps.coder_id == Coder.NATIVE and parsed.payload:
                    _inspect_head(parsed.payload, parsed.access_point_flag == 0, trace)
        except StreamError as error:
            problem = str(error)
    _note(trace, "unit", "unit_crc", "u(32)", 8 * (unit.end - CRC_SIZE), unit.crc, "7.3", 32)
    return name, problem


def _inspect_hevc(stream: bytes | None, trace: Trace, fps: Any = None) -> None:
    """Add the headers of the NAL units in ``stream``, whose element stands last in ``trace``."""
    if stream is None:
        return
    start = trace[-1].offset
    headers: dict[str, Any] = {}
    if fps is not None:
        _, headers["sps"], headers["pps"] = parse_parameter_sets(fps.parameter_sets)
    for at, nal in split_nals(stream):
        place = start + 8 * at
        if headers or nal_type(nal) in (NAL.VPS, NAL.SPS, NAL.PPS):
            parse_nal(nal, place, trace, **headers)


def read_head(payload: bytes, *, predicted: bool) -> dict[str, int]:
    """What the head of a native payload says, by the names of elements that it has.

    predicted : whether the feature is no access point.
    """
    from refcodec.coders.native import head  # here: kernels take their time

    found = head.named_elements(head.read_head(payload, predicted=predicted))
    return {f"head_{name}": value for name, value in found.items()}


def _inspect_head(payload: bytes, predicted: bool, trace: Trace) -> None:
    """Add what is coded at the front of a native payload, whose element stands last in ``trace``.

    An arithmetic coder's decisions have no bits of their own: all stand where the payload begins.
    """
    start = trace[-1].offset
    for name, value in read_head(payload, predicted=predicted).items():
        _note(trace, "native_payload", name, "ae", start, value, "8.3.7.1", 0)


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
    """An element's value as a short text; bytes in hexadecimal, long ones cut."""
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
