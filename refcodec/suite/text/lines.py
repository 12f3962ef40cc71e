"""Lines of a text: ``name = value``, grouped under the stream header, a unit, or none of them.

    unit coded_feature
        parameters.qp = 30             # in the coding of the declaration
        parameters.qp: u(9) = 300      # in another coding
        + more: u(3) = 1               # an element that is not declared
        payload =
            00112233 44556677
            8899aabb

A line without ``=`` goes on with the value above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from refcodec.errors import CallerError

__all__ = ["Block", "Line", "blocks_of", "fault"]

_ELEMENT = re.compile(r"(\+?)\s*([a-z_][\w.]*)\s*(?::\s*([^=\"]+?))?\s*=(.*)")
_HEADING = re.compile(r"(stream_header|unit\s+(\w+))")
_COMMENT = re.compile(r'((?:[^#"]|"(?:[^"\\]|\\.)*")*)(?:#.*)?')


@dataclass
class Line:
    """One element.

    number : of the line in the text.
    coding : if it is stated.
    added  : true if it has the sign ``+``.
    """

    number: int
    name: str
    coding: str | None
    value: str
    added: bool = False


@dataclass
class Block:
    """Lines under a heading.

    kind : ``stream_header``; the type of a unit, by name or number; '' for bytes outside of both.
    """

    number: int
    kind: str
    lines: list[Line] = field(default_factory=list)


def fault(number: int, what: str, hint: str = "") -> CallerError:
    """The error of a line."""
    return CallerError(f"line {number}: {what}", hint=hint)


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text, in order. Raises CallerError with the number of the line at fault."""
    blocks: list[Block] = []
    last: Line | None = None
    for number, whole in enumerate(text.splitlines(), 1):
        plain = _COMMENT.fullmatch(whole)
        if plain is None:
            raise fault(number, "a quotation mark has no partner")
        line = plain[1].strip()
        if heading := _HEADING.fullmatch(line):
            blocks.append(Block(number, heading[2] or heading[1]))
            last = None
        elif element := _ELEMENT.fullmatch(line):
            last = Line(number, element[2], element[3], element[4].strip(), bool(element[1]))
            if last.name == "bytes":
                blocks.append(Block(number, ""))
            elif not blocks or not blocks[-1].kind:
                raise fault(number, f"{last.name} is in no unit", "write unit and its type above")
            blocks[-1].lines.append(last)
        elif line and last is not None:
            last.value = f"{last.value} {line}".strip()
        elif line:
            raise fault(
                number,
                f"{line[:40]!r} is no line of a stream",
                "stream_header, unit TYPE or name = value",
            )
    return blocks
