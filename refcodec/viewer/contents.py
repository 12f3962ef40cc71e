"""The data of a page: units with their elements, violations, sizes, QPs and pictures, as JSON types."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

from refcodec.errors import StreamError
from refcodec.inspector import InspectedUnit, inspect_units, shown
from refcodec.pack import channel_qps
from refcodec.stream.walk import Walk, coded_units
from refcodec.syntax.bits import Element
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header
from refcodec.tables import clause_titles
from refcodec.validator import validate
from refcodec.viewer.pictures import pictures_of

__all__ = ["contents_of"]

Document = dict[str, Any]

_MOST_UNITS = 100_000
_MOST_ELEMENTS = 200_000
_MOST_BYTES = 16 << 20
"""Units, elements and bytes that a page holds at most; it says what is left out."""

_MOST_CHANNELS = 512
"""Channels of a coded feature whose QPs are listed one by one, at most."""


def contents_of(data: bytes, name: str, progress: Callable[[int], None]) -> Document:
    """The contents of a page. Raises StreamError where not even the stream header can be read."""
    units, left_out = _units(data)
    progress(1)
    report = validate(data).as_json()
    progress(2)
    pictures, reason = pictures_of(data)
    progress(3)
    coded = list(_coded(data))
    progress(4)
    return {
        "name": name,
        "size": len(data),
        "clauses": clause_titles(),
        "units": units,
        "left_out": left_out,
        "report": report,
        "coded": coded,
        "pictures": pictures,
        "no_pictures": reason,
        "bytes": base64.b64encode(data[:_MOST_BYTES]).decode("ascii"),
    }


def _units(data: bytes) -> tuple[list[Document], Document]:
    """The units of a stream, and the numbers of units and elements that are left out."""
    units: list[Document] = []
    elements = 0
    left_out = {"units": 0, "elements": 0, "bytes": max(0, len(data) - _MOST_BYTES)}
    for unit in inspect_units(data):
        if len(units) >= _MOST_UNITS:
            left_out["units"] += 1
            continue
        shown = elements + len(unit.elements) <= _MOST_ELEMENTS or bool(unit.problem)
        units.append(_unit(unit, shown))
        if shown:
            elements += len(unit.elements)
        else:
            left_out["elements"] += len(unit.elements)
    return units, left_out


def _unit(unit: InspectedUnit, shown: bool) -> Document:
    return {
        "name": unit.name,
        "offset": unit.offset,
        "size": unit.size,
        "problem": unit.problem,
        "elements": [_element(one) for one in unit.elements] if shown else [],
    }


def _element(one: Element) -> list[Any]:
    return [one.path, one.descriptor, one.offset, one.width, shown(one), one.clause]


def _coded(data: bytes) -> Iterator[Document]:
    """Sizes and QPs of coded units, up to the first that is in error."""
    header = parse_stream_header(data[:STREAM_HEADER_SIZE])
    try:
        for unit in coded_units(Walk(header), io.BytesIO(data[STREAM_HEADER_SIZE:])):
            found: Document = {
                "offset": 8 * unit.offset,
                "features": len(unit.payloads),
                "bytes": sum(len(one.data) for one in unit.payloads),
                "elements": unit.samples,
                "access_point": unit.access_point,
            }
            if unit.parameters.qp is not None:
                eighths = unit.parameters.qp_eighths or 0
                qps = channel_qps(unit.fps, unit.parameters) + eighths / 8
                found["qp"] = [float(qps.min()), float(qps.max())]
                found["qps"] = qps[:_MOST_CHANNELS].tolist()
            yield found
    except StreamError:  # the report has it
        return
