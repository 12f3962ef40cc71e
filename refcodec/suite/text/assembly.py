"""Text to bytes: each line has the coding of its declaration, or the one that it states.

The declarations are followed with the values of the lines. What follows from other elements may be left out:
sizes, alignment bits and CRCs; given, it is as given. A coded unit that refers to a parameter set that is not
there has the elements of the last one. A line with ``+`` is an element that no declaration
asks for; the value ``absent`` leaves one out; ``unread`` stands for all the elements that remain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import IntEnum

from construct import Container

from refcodec.errors import CallerError
from refcodec.suite.assemble import Field, Piece, assemble
from refcodec.suite.text.disassembly import OUTSIDE, UNREAD, implied, usual_flag
from refcodec.suite.text.lines import Block, Line, blocks_of, fault
from refcodec.suite.text.values import bits_of, integer_of
from refcodec.syntax.codes import UnitType
from refcodec.syntax.descriptors import AlignmentBits, Rest, U
from refcodec.syntax.follow import Declarations, Place, Stop, follow
from refcodec.syntax.structures import STREAM_HEADER, UNIT_STRUCTURES

__all__ = ["asm"]

_FRAME = {"skippable_flag": "u(1)", "unit_type": "u(7)", "unit_size": "leb128", "unit_crc": "u(32)"}
"""Elements around the payload of a unit, which follow from its type and its content."""

_ABSENT = "absent"
"""Value of an element that is left out although its declaration asks for it."""


def asm(text: str) -> bytes:
    """The bytes of a text. Raises CallerError with the number of the line at fault."""
    return assemble(list(_pieces(text)))


def _pieces(text: str) -> Iterator[Piece]:
    declarations = Declarations()
    for block in blocks_of(text):
        if block.kind == "stream_header":
            declarations = Declarations()
            yield _header(block)
        elif block.kind:
            yield _unit(block, declarations)
        else:
            yield Piece([_field(block.lines[0], OUTSIDE, "b(v)")])


def _header(block: Block) -> Piece:
    written = _Written(block, STREAM_HEADER.title)
    follow(STREAM_HEADER, written.settle, Container())
    written.finish()
    return _settled(block, written.fields)


def _unit(block: Block, declarations: Declarations) -> Piece:
    unit_type = _unit_type(block)
    frame = {line.name: line for line in block.lines if line.name in _FRAME}
    content = Block(block.number, block.kind)
    content.lines = [line for line in block.lines if line.name not in _FRAME]
    structure = UNIT_STRUCTURES.get(unit_type)
    written = _Written(content, structure.title if structure else f"unit_{unit_type}")
    why = ""
    try:
        if structure is None:
            written.settle(Place(f"unit_{unit_type}.unit_payload", Rest(), Container()))
        else:
            size = len(content.lines)
            declarations.follow(
                unit_type,
                written.settle,
                size,
                lambda: None if written.ends else declarations.last,
            )
    except Stop as stop:
        why = str(stop)
    written.finish(why)
    usual = {
        "skippable_flag": str(usual_flag(unit_type)),
        "unit_type": f"{unit_type:07b}",
        "unit_size": "",
        "unit_crc": "0" * 32,
    }
    around = [
        _field(frame[name], f"unit.{name}", coding)
        if name in frame
        else Field(f"unit.{name}", coding, usual[name])
        for name, coding in _FRAME.items()
    ]
    return _settled(block, [*around[:3], *written.fields, around[3]])


def _unit_type(block: Block) -> int:
    known = {kind.name.lower(): int(kind) for kind in UnitType}
    if block.kind in known:
        return known[block.kind]
    if not block.kind.isdigit() or int(block.kind) > 127:
        raise fault(block.number, f"unit {block.kind}: no type", f"0..127, {', '.join(known)}")
    return int(block.kind)


def _settled(block: Block, fields: list[Field]) -> Piece:
    """A piece with the elements that follow from others. Raises CallerError if it ends within a byte."""
    piece = Piece(fields)
    piece.align()
    if beyond := sum(len(one.bits) for one in fields) % 8:
        raise fault(
            block.number,
            f"the elements below make no whole bytes, {8 - beyond} bits are missing",
            f"add them, as in: + filler: u({8 - beyond}) = 0",
        )
    piece.settle()
    return piece


def _field(line: Line, path: str, coding: str, codes: type[IntEnum] | None = None) -> Field:
    """The element of a line, which stays as it is given."""
    try:
        return Field(path, coding, bits_of(line.value, coding, codes), pinned=True)
    except CallerError as error:
        raise fault(line.number, f"{line.name}: {error.what}", error.hint) from None


class _Written:
    """The lines of a block as elements, in the order of the declarations."""

    def __init__(self, block: Block, title: str) -> None:
        self._block = block
        self._title = title
        self._left = deque(block.lines)
        self.fields: list[Field] = []

    @property
    def ends(self) -> bool:
        """True if unread bytes come next, or nothing does."""
        return not self._left or self._left[0].name == "unread"

    def settle(self, place: Place) -> int | None:
        """The element of a declaration; returns its number, if it has one. Raises Stop, CallerError."""
        self._copy_added()
        name = place.path.removeprefix(f"{self._title}.")
        if not self._left or self._left[0].name != name:
            return self._left_out(place, name)
        line = self._left.popleft()
        if line.value == _ABSENT:
            return None
        codes = place.coding.values if isinstance(place.coding, U) else None
        return self._add(_field(line, place.path, line.coding or place.notation, codes))

    def finish(self, why: str = "") -> None:
        """Take the lines after the last declaration. Raises CallerError for one that is none of them.

        why : reason why there were no more declarations.
        """
        self._copy_added()
        while self._left and self._left[0].name == "unread":
            line = self._left.popleft()
            self._add(_field(line, UNREAD, line.coding or "b(v)"))
            self._copy_added()
        if self._left:
            line = self._left[0]
            reason = f": {why}" if why else ", as its condition is false, or it is out of order"
            raise fault(
                line.number,
                f"{line.name} has no place here{reason}",
                f"to write it nevertheless, state its coding: + {line.name}: u(8) = 1",
            )

    def _left_out(self, place: Place, name: str) -> int | None:
        """An element without a line: one that follows from others, or a fault."""
        if isinstance(place.coding, AlignmentBits):
            self.fields.append(Field(place.path, place.notation, ""))
            return None
        if name == "header_crc":
            self.fields.append(Field(place.path, place.notation, "0" * 16))
            return None
        bits = implied(place.path, self._later)
        if bits is not None:
            return self._add(Field(place.path, place.notation, bits))
        if self._left and self._left[0].name == "unread":
            raise Stop
        number = self._left[0].number if self._left else self._block.number
        where = f"before {self._left[0].name}" if self._left else "at its end"
        raise fault(
            number,
            f"{self._title} has no {name}, {place.notation}, {where}",
            f"give it a value, or write {name} = {_ABSENT}",
        )

    def _later(self, path: str) -> list[str]:
        own = [line for line in self._left if f"{self._title}.{line.name}" == path]
        return [_field(line, path, line.coding or "b(v)").bits for line in own]

    def _copy_added(self) -> None:
        while self._left and self._left[0].added:
            line = self._left.popleft()
            if line.coding is None:
                raise fault(line.number, f"+ {line.name} has no coding", "as in: + name: u(8) = 1")
            self._add(_field(line, f"{self._title}.{line.name}", line.coding))

    def _add(self, one: Field) -> int | None:
        self.fields.append(one)
        return integer_of(one.bits, one.descriptor)
