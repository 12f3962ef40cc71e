"""Bytes to text: pieces of a stream by the declarations, whatever their values are, and their lines.

Nothing is refused. Values out of bounds, unknown code points, wrong CRCs and sizes are shown as they are;
bytes where no element can be are ``unread`` in a unit, and ``bytes`` between units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from construct import Container

from refcodec.suite.assemble import Field, Piece, encode, to_bits
from refcodec.suite.text.values import integer_of, text_of
from refcodec.syntax.codes import SKIPPABLE_UNITS, UnitType
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.follow import Declarations, Place, Stop, follow
from refcodec.syntax.structures import (
    SIGNATURE,
    STREAM_HEADER,
    STREAM_HEADER_SIZE,
    UNIT_STRUCTURES,
)
from refcodec.syntax.units import CRC_SIZE

__all__ = [
    "OUTSIDE",
    "UNREAD",
    "Places",
    "disasm",
    "implied",
    "parts_of",
    "pieces_of",
    "usual_flag",
]

UNREAD = "unit.unread"
"""Path of bytes of a unit that are no element."""

OUTSIDE = "bytes"
"""Path of bytes that are in no unit."""

_WIDTH = 90

_LONGEST_LEB128 = 8


def disasm(stream: bytes) -> str:
    """The text of a stream, or of any other bytes, of which ``asm`` makes the same bytes."""
    lines = ["# a DFC stream; refcodec asm makes it of this text"]
    at, unit = 0, 0
    for piece, places in parts_of(stream):
        size = len(bytes(piece))
        lines += ["", *_lines(piece, places, f"unit {unit}, byte {at}, {size} bytes")]
        at, unit = at + size, unit + 1
    return "\n".join(lines) + "\n"


def pieces_of(stream: bytes) -> list[Piece]:
    """The stream header and the units of a stream, legal or not; and bytes that are neither.

    In contrast to ``assemble.disassemble``, nothing is refused, and elements with values out of bounds are
    elements.
    """
    return [piece for piece, _ in parts_of(stream)]


# --- bytes to pieces -------------------------------------------------------------------------------

Places = list[Place | None]
"""The declaration of each field of a piece; None for one without."""


def parts_of(stream: bytes) -> Iterator[tuple[Piece, Places]]:
    """The pieces of a stream, each with the declarations of its fields."""
    at = 0
    while len(stream) - at >= STREAM_HEADER_SIZE and stream.startswith((SIGNATURE, stream[:4]), at):
        reader = _Reader(stream[at : at + STREAM_HEADER_SIZE])
        follow(STREAM_HEADER, reader.settle, Container())
        yield Piece(reader.fields), reader.places
        at += STREAM_HEADER_SIZE
        declarations, unit_type = Declarations(), 0
        while unit_type != UnitType.END and (found := _unit(stream, at, declarations)) is not None:
            yield found
            at += len(bytes(found[0]))
            unit_type = int(found[0].fields[1].bits, 2)
    if at < len(stream):
        yield Piece([Field(OUTSIDE, "b(v)", to_bits(stream[at:]))]), [None]


def _unit(stream: bytes, at: int, declarations: Declarations) -> tuple[Piece, Places] | None:
    """The unit at byte ``at``; None if there is no whole one."""
    coded_size = stream[at + 1 : at + 1 + _LONGEST_LEB128]
    size = next((n for n, byte in enumerate(coded_size, 1) if byte < 0x80), 0)
    number = integer_of(to_bits(coded_size[:size]), "leb128") or 0
    begin, end = at + 1 + size, at + 1 + size + number
    if not size or end + CRC_SIZE > len(stream):
        return None
    unit_type, payload = stream[at] & 0x7F, stream[begin:end]
    reader = _Reader(payload)
    if unit_type in UNIT_STRUCTURES:
        try:
            declarations.follow(unit_type, reader.settle, len(payload))
        except Stop:
            reader.add(UNREAD, "b(v)", reader.left)
    else:
        reader.add(f"unit_{unit_type}.unit_payload", "b(v)", reader.left)
    if reader.left:
        reader.add(UNREAD, "b(v)", reader.left)
    fields = [
        Field("unit.skippable_flag", "u(1)", str(stream[at] >> 7)),
        Field("unit.unit_type", "u(7)", f"{unit_type:07b}"),
        Field("unit.unit_size", "leb128", to_bits(coded_size[:size])),
        *reader.fields,
        Field("unit.unit_crc", "u(32)", to_bits(stream[end : end + CRC_SIZE])),
    ]
    return Piece(fields), [None, None, None, *reader.places, None]


class _Reader:
    """Reads elements from bytes as they are: no bound, no code point and no padding is wrong."""

    def __init__(self, data: bytes) -> None:
        self._bits = to_bits(data)
        self._at = 0
        self.fields: list[Field] = []
        self.places: Places = []

    @property
    def left(self) -> int:
        """Bits that were not read."""
        return len(self._bits) - self._at

    def settle(self, place: Place) -> int | None:
        """Read an element; returns its number, if it has one. Raises Stop where the bits do not suffice."""
        width = _WIDTHS[type(place.coding)](self._bits, self._at, place)
        if width > self.left:
            raise Stop
        notation = place.notation
        self.add(place.path, notation, width, place)
        return integer_of(self.fields[-1].bits, notation)

    def add(self, path: str, notation: str, width: int, place: Place | None = None) -> None:
        """Add a field of the next bits."""
        self.fields.append(Field(path, notation, self._bits[self._at : self._at + width]))
        self.places.append(place)
        self._at += width


def _golomb_width(bits: str, at: int, place: Place) -> int:
    one = bits.find("1", at)
    if one < 0:
        raise Stop
    return 2 * (one - at) + 1


def _leb128_width(bits: str, at: int, place: Place) -> int:
    for n in range(_LONGEST_LEB128):
        if bits[at + 8 * n : at + 8 * n + 1] == "0":
            return 8 * n + 8
    raise Stop


_WIDTHS: dict[type[Any], Callable[[str, int, Any], int]] = {
    U: lambda bits, at, place: place.coding.width,
    UE: _golomb_width,
    SE: _golomb_width,
    Leb128: _leb128_width,
    F32: lambda bits, at, place: 32 * place.number(place.coding.count),
    Array: lambda bits, at, place: (
        place.number(place.coding.count) * place.number(place.coding.width)
    ),
    Bytes: lambda bits, at, place: 8 * place.number(place.coding.size),
    Rest: lambda bits, at, place: len(bits) - at,
    AlignmentBits: lambda bits, at, place: -at % 8,
}
"""Number of bits of an element at a place in bits, by its descriptor."""


# --- pieces to text --------------------------------------------------------------------------------


def usual_flag(unit_type: int) -> int:
    """The skippable_flag of a type: that of a known one; 1 for others, which only a skipped unit may have."""
    return int(unit_type in SKIPPABLE_UNITS or unit_type not in UNIT_STRUCTURES)


def implied(path: str, later: Callable[[str], list[str]]) -> str | None:
    """The bits of a size or count that follows from what it measures, for elements that are such.

    later : the bits of the elements of a path, after this one and in the same unit.
    """
    if path == "metadata.entry_count":
        keys = later("metadata.entries.key")
        return encode(len(keys), "leb128") if keys else None
    measured = later(path.removesuffix("_size")) if path in _MEASURES else []
    return encode(len(measured[0]) // 8, _MEASURES[path]) if measured else None


_MEASURES = {
    "metadata.entries.key_size": "leb128",
    "metadata.entries.value_size": "leb128",
    "feature_parameter_set.parameter_sets_size": "ue(v)",
}
"""Sizes in bytes of the element that is named without ``_size``, and their codings."""


def _lines(piece: Piece, places: Places, where: str) -> Iterator[str]:
    """The lines of a piece, without elements that follow from the others."""
    fields, first = piece.fields, piece.fields[0].path
    if first == OUTSIDE:
        yield from _line("", OUTSIDE, text_of(fields[0].bits, "b(v)"))
        return
    follows = _computed(piece)
    if first.startswith("stream_header."):
        yield "stream_header"
    else:
        unit_type = int(fields[1].bits, 2)
        name = UnitType(unit_type).name.lower() if unit_type in UNIT_STRUCTURES else str(unit_type)
        yield f"unit {name}  # {where}"
    for number, (one, place) in enumerate(zip(fields, places, strict=True)):
        if one.bits in (follows.get(number), implied(one.path, _later(fields, number))):
            continue
        codes = place.coding.values if place and isinstance(place.coding, U) else None
        quoted = one.path.startswith("metadata.")
        own_name = one.path.partition(".")[2]
        yield from _line("    ", own_name, text_of(one.bits, one.descriptor, codes, quoted=quoted))


def _later(fields: list[Field], number: int) -> Callable[[str], list[str]]:
    return lambda path: [one.bits for one in fields[number + 1 :] if one.path == path]


_FOLLOWING = (".alignment", ".header_crc", ".unit_size", ".unit_crc")
"""Elements that a text leaves out where they are as they should be."""


def _computed(piece: Piece) -> dict[int, str]:
    """Bits that the elements above, and type and flag of a unit, should have, by number of the field."""
    found = {}
    for number, one in enumerate(piece.fields):
        if one.path.endswith(_FOLLOWING):
            fields = [
                Field(f.path, f.descriptor, f.bits, pinned=f is not one) for f in piece.fields
            ]
            Piece(fields).settle()
            found[number] = fields[number].bits
    if not piece.fields[0].path.startswith("stream_header."):
        unit_type = int(piece.fields[1].bits, 2)
        found |= {0: str(usual_flag(unit_type)), 1: piece.fields[1].bits}
    return found


def _line(indent: str, name: str, text: str) -> Iterator[str]:
    """``name = value``, on several lines if the value is long."""
    line = f"{indent}{name} = {text}".rstrip()
    if len(line) <= _WIDTH or text.startswith('"'):
        yield line
        return
    yield f"{indent}{name} ="
    deeper = f"{indent}   "
    line = deeper
    for word in text.split(" "):
        if len(line) + len(word) >= _WIDTH and line != deeper:
            yield line
            line = deeper
        line += f" {word}"
    yield line
