"""Coverage of the syntax by streams: values of elements at their bounds and between, branches of conditions.

A point is an element's path and one thing that may hold for it: ``smallest``, ``largest``, ``between``, the
name of a code point, ``absent``. Which points exist follows from the declarations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from refcodec.suite.assemble import Field
from refcodec.suite.text.disassembly import parts_of
from refcodec.suite.text.values import integer_of
from refcodec.syntax.codes import UnitType, is_kept
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Descriptor,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.follow import Place, declared
from refcodec.syntax.structures import STREAM_HEADER, UNIT_STRUCTURES

__all__ = ["Coverage", "Point", "all_points", "points_of"]

Point = tuple[str, str]
"""Path of an element, and what holds for it."""

_STRUCTURES = {
    structure.title: structure for structure in (STREAM_HEADER, *UNIT_STRUCTURES.values())
}


class Coverage:
    """Points that streams have reached, and how often."""

    def __init__(self) -> None:
        self.reached: Counter[Point] = Counter()
        self.labels: Counter[str] = Counter()

    def add(self, stream: bytes, labels: Iterable[str] = ()) -> None:
        """Count a stream, and its labels."""
        self.reached.update(set(points_of(stream)))
        self.labels.update(labels)

    @property
    def missing(self) -> list[Point]:
        """Points that were not reached, in the order of the declarations."""
        return [point for point in all_points() if not self.reached[point]]

    def as_markdown(self) -> str:
        """A page: each element with its points and the number of streams that reach them."""
        points, missing = all_points(), self.missing
        lines = [
            "# Elements and branches that these streams reach",
            "",
            f"{len(points) - len(missing)} of {len(points)} points; the numbers are those of streams.",
            "",
            "| element | reached | not reached |",
            "| --- | --- | --- |",
        ]
        for path in dict.fromkeys(path for path, _ in points):
            own = [what for one, what in points if one == path]
            counted = [(what, self.reached[path, what]) for what in own]
            reached = ", ".join(f"{what} {count}" for what, count in counted if count)
            absent = ", ".join(what for what, count in counted if not count)
            lines.append(f"| `{path}` | {reached} | {absent} |")
        lines += ["", "## Labels", "", "| label | streams |", "| --- | --- |"]
        lines += [f"| {label} | {count} |" for label, count in sorted(self.labels.items())]
        return "\n".join(lines) + "\n"


def all_points() -> list[Point]:
    """All points of the declarations."""
    points: list[Point] = [
        ("unit.unit_type", kind.name.lower()) for kind in UnitType if not is_kept(kind)
    ]
    points += [("unit.unit_type", "another"), ("unit.unit_size", "one byte")]
    points += [("unit.unit_size", "several bytes")]
    for structure in _STRUCTURES.values():
        for one in declared(structure):
            own = list(_possible(one.coding))
            points += [(one.path, what) for what in own + ["absent"] * one.conditional]
    return list(dict.fromkeys(points))


def points_of(stream: bytes) -> Iterator[Point]:
    """Points that a stream reaches."""
    for piece, places in parts_of(stream):
        if piece.fields[0].path == "unit.skippable_flag":
            kind = int(piece.fields[1].bits, 2)
            known = kind in UNIT_STRUCTURES
            yield "unit.unit_type", UnitType(kind).name.lower() if known else "another"
            yield "unit.unit_size", _length(piece.fields[2])
        present = {place.path for place in places if place is not None}
        for one, place in zip(piece.fields, places, strict=True):
            if place is not None:
                yield from ((place.path, what) for what in _reached(one, place))
        titles = {path.partition(".")[0] for path in present}
        for title in titles & _STRUCTURES.keys():
            for own in declared(_STRUCTURES[title]):
                if own.conditional and own.path not in present:
                    yield own.path, "absent"


def _length(one: Field) -> str:
    return "one byte" if len(one.bits) == 8 else "several bytes"


def _possible(coding: Descriptor) -> tuple[str, ...]:
    match coding:
        case U() if coding.values is not None:
            return tuple(code.name.lower() for code in coding.values if not is_kept(code))
        case U(width=1):
            return "smallest", "largest"
        case U() | UE() | SE():
            return "smallest", "between", "largest"
        case Array():
            return "smallest", "between", "largest", "no bits"
        case F32():
            return "zero", "subnormal", "negative", "positive", "largest"
        case Leb128():
            return "one byte", "several bytes"
        case Bytes() | Rest():
            return "empty", "some"
        case _:
            return "no bits", "some bits"


def _reached(one: Field, place: Place) -> Iterator[str]:
    coding = place.coding
    match coding:
        case U() if coding.values is not None:
            names = {int(code): code.name.lower() for code in coding.values}
            yield names.get(int(one.bits, 2), "another")
        case U():
            yield _side(int(one.bits, 2), 0, (1 << coding.width) - 1)
        case UE() | SE():
            value = integer_of(one.bits, one.descriptor)
            yield _side(value or 0, coding.minimum, coding.maximum)
        case Array():
            width = place.number(coding.width)
            words = {one.bits[i : i + width] for i in range(0, len(one.bits), width or 1)}
            yield from {_side(int(word, 2), 0, (1 << width) - 1) for word in words} or {"no bits"}
        case F32():
            words = {int(one.bits[i : i + 32], 2) for i in range(0, len(one.bits), 32)}
            yield from {kind for word in words for kind in _kinds(word)}
        case Leb128():
            yield _length(one)
        case AlignmentBits():
            yield "some bits" if one.bits else "no bits"
        case _:
            yield "some" if one.bits else "empty"


def _side(value: int, least: int, most: int) -> str:
    return {least: "smallest", most: "largest"}.get(value, "between")


def _kinds(word: int) -> Iterator[str]:
    magnitude = word & 0x7FFFFFFF
    if magnitude == 0:
        yield "zero"
    elif magnitude < 0x00800000:
        yield "subnormal"
    elif magnitude == int(np.float32(np.finfo(np.float32).max).view(np.uint32)):
        yield "largest"
    yield "negative" if word >> 31 else "positive"
