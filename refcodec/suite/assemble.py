"""The assembler: takes streams apart into syntax elements and puts them together again, legal or not.

    pieces = disassemble(stream)        # the stream header, then one piece per unit
    assemble(pieces) == stream
    Set(2, "coded_feature.parameters.qp", 63)(stream)

Each edit is a function from a stream to a stream, and a JSON object in the manifest. An element that an edit
sets has that value in the stream, legal or not. In a changed unit, the elements that depend on others are
computed again: unit_size, unit_crc, header_crc and alignment bits. Units are numbered as the inspector lists
them, 0 being the stream header.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from refcodec.inspector import inspect

__all__ = [
    "Append",
    "Copy",
    "Cut",
    "Drop",
    "Edit",
    "Extend",
    "Field",
    "Insert",
    "Patch",
    "Piece",
    "Set",
    "Value",
    "assemble",
    "disassemble",
    "edit_from_json",
    "edit_to_json",
    "own_elements",
]

Value = int | str | Sequence[int] | Sequence[str]
"""An integer; bytes in hexadecimal; ``0b`` and bits; a list of integers, or of words in hexadecimal."""


@dataclass
class Field:
    """One syntax element: its bits, as a text of 0 and 1.

    pinned : true if it was set by an edit and must not be computed again.
    """

    path: str
    descriptor: str
    bits: str
    pinned: bool = False


@dataclass
class Piece:
    """The stream header or a unit, with all of its elements."""

    fields: list[Field]

    def field(self, path: str, occurrence: int = 0) -> Field:
        """The element of a path; the first one, or a later ``occurrence``."""
        return [one for one in self.fields if one.path == path][occurrence]

    def align(self) -> None:
        """Compute the alignment bits, unless set."""
        before = 0
        for one in self.fields:
            if one.path.endswith(".alignment") and not one.pinned:
                one.bits = "0" * (-before % 8)
            before += len(one.bits)

    def settle(self) -> None:
        """Compute the elements that depend on others: alignment, size and CRC, unless set."""
        self.align()
        if self.fields[0].path.startswith("stream_header."):
            self._follow("stream_header.header_crc", f"{zlib.crc32(self.head) & 0xFFFF:016b}")
            return
        payload = sum(len(one.bits) for one in self.fields[3:-1]) // 8
        self._follow("unit.unit_size", encode(payload, "leb128"))
        self._follow("unit.unit_crc", f"{zlib.crc32(self.head):032b}")

    def _follow(self, path: str, bits: str) -> None:
        one = self.field(path)
        if not one.pinned:
            one.bits = bits

    @property
    def head(self) -> bytes:
        """All bytes but those of the CRC, which is the last element."""
        return from_bits("".join(one.bits for one in self.fields[:-1]))

    def __bytes__(self) -> bytes:
        return from_bits("".join(one.bits for one in self.fields))


def own_elements(elements: Sequence[Any]) -> list[Any]:
    """The elements of DFC itself, without those that the inspector shows inside a payload."""
    own: list[Any] = []
    for element in elements:
        if not own or element.offset >= own[-1].offset + own[-1].width:
            own.append(element)
    return own


def disassemble(stream: bytes) -> list[Piece]:
    """Split a stream into pieces. Raises StreamError if its header cannot be read."""
    bits = to_bits(stream)
    pieces = []
    for unit in inspect(stream):
        parts, place = [], unit.offset
        for one in own_elements(unit.elements):
            if one.offset > place:  # bytes that the inspector could not parse
                parts.append(Field("unit.unread", "b(v)", bits[place : one.offset]))
            place = one.offset + one.width
            parts.append(Field(one.path, one.descriptor, bits[one.offset : place]))
        pieces.append(Piece(parts))
    return pieces


def assemble(pieces: Sequence[Piece]) -> bytes:
    """Join pieces to a stream."""
    return b"".join(bytes(piece) for piece in pieces)


def to_bits(data: bytes) -> str:
    """Bytes as a text of 0 and 1."""
    return f"{int.from_bytes(data):0{8 * len(data)}b}" if data else ""


def from_bits(bits: str) -> bytes:
    """A text of 0 and 1, a whole number of bytes, as bytes."""
    assert len(bits) % 8 == 0, "a piece ends between two bytes"
    return int(bits, 2).to_bytes(len(bits) // 8) if bits else b""


def encode(value: Value, descriptor: str) -> str:
    """The bits of a value in the coding of a descriptor of clause 4.4, as the inspector prints it."""
    kind, _, rest = descriptor.partition("(")
    if isinstance(value, str):
        return value[2:] if value.startswith("0b") else to_bits(bytes.fromhex(value))
    if isinstance(value, int):
        if kind == "u":
            return f"{value:0{int(rest.rstrip(')'))}b}"
        if kind == "leb128":
            return to_bits(leb128(value))
        mapped = value if kind == "ue" else 2 * value - 1 if value > 0 else -2 * value
        return f"{mapped + 1:0{2 * (mapped + 1).bit_length() - 1}b}"
    width = int(rest.partition(")")[0])
    words = [int(word, 16) if isinstance(word, str) else word for word in value]
    return "".join(f"{word:0{width}b}" for word in words)


def leb128(value: int) -> bytes:
    """The shortest leb128 code of a number."""
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


# --- edits -----------------------------------------------------------------------------------------


class Edit(ABC):
    """A function from a stream to a stream that the manifest can represent."""

    def __call__(self, stream: bytes) -> bytes:
        """The edited stream. Raises StreamError if the stream cannot be disassembled."""
        pieces = disassemble(stream)
        self._change(pieces)
        return assemble(pieces)

    @abstractmethod
    def _change(self, pieces: list[Piece]) -> None: ...


@dataclass(frozen=True)
class Set(Edit):
    """Give an element another value, possibly of another width.

    occurrence : number of the element among those of the same path.
    times      : number of repetitions of the value.
    """

    unit: int
    element: str
    value: Value
    occurrence: int = 0
    times: int = 1

    def _change(self, pieces: list[Piece]) -> None:
        one = pieces[self.unit].field(self.element, self.occurrence)
        one.bits, one.pinned = encode(self.value, one.descriptor) * self.times, True
        pieces[self.unit].settle()


@dataclass(frozen=True)
class Patch(Edit):
    """Overwrite bits inside an element, from its bit number ``bit`` on."""

    unit: int
    element: str
    bit: int
    bits: str

    def _change(self, pieces: list[Piece]) -> None:
        one = pieces[self.unit].field(self.element)
        one.bits = one.bits[: self.bit] + self.bits + one.bits[self.bit + len(self.bits) :]
        one.pinned = True
        pieces[self.unit].settle()


@dataclass(frozen=True)
class Extend(Edit):
    """Insert bytes between the last element of a unit and its CRC."""

    unit: int
    data: str

    def _change(self, pieces: list[Piece]) -> None:
        pieces[self.unit].fields.insert(-1, _unread(self.data))
        pieces[self.unit].settle()


@dataclass(frozen=True)
class Drop(Edit):
    """Leave a unit out."""

    unit: int

    def _change(self, pieces: list[Piece]) -> None:
        del pieces[self.unit]


@dataclass(frozen=True)
class Copy(Edit):
    """Insert a copy of a unit before unit ``to``."""

    unit: int
    to: int

    def _change(self, pieces: list[Piece]) -> None:
        pieces.insert(self.to, pieces[self.unit])


@dataclass(frozen=True)
class Insert(Edit):
    """Insert a new unit before unit ``to``."""

    to: int
    unit_type: int
    skippable_flag: int
    payload: str

    def _change(self, pieces: list[Piece]) -> None:
        new = Piece(
            [
                Field("unit.skippable_flag", "u(1)", str(self.skippable_flag)),
                Field("unit.unit_type", "u(7)", f"{self.unit_type:07b}"),
                Field("unit.unit_size", "leb128", ""),
                _unread(self.payload),
                Field("unit.unit_crc", "u(32)", ""),
            ]
        )
        new.settle()
        pieces.insert(self.to, new)


@dataclass(frozen=True)
class Cut(Edit):
    """Keep the first ``size`` bytes of the stream."""

    size: int

    def _change(self, pieces: list[Piece]) -> None:
        pieces[:] = [Piece([_unread(assemble(pieces)[: self.size].hex())])]


@dataclass(frozen=True)
class Append(Edit):
    """Append bytes to the stream."""

    data: str

    def _change(self, pieces: list[Piece]) -> None:
        pieces.append(Piece([_unread(self.data)]))


_EDITS = {
    kind.__name__.lower(): kind for kind in (Set, Patch, Extend, Drop, Copy, Insert, Cut, Append)
}


def edit_to_json(edit: Any) -> dict[str, Any]:
    """An edit as it appears in the manifest, without fields that have their default values."""
    defaults = {one.name: one.default for one in fields(edit)}
    chosen = {name: value for name, value in asdict(edit).items() if value != defaults[name]}
    return {"edit": type(edit).__name__.lower(), **chosen}


def edit_from_json(entry: dict[str, Any]) -> Edit:
    """The inverse of :func:`edit_to_json`."""
    edit: Edit = _EDITS[entry["edit"]](**{name: entry[name] for name in entry if name != "edit"})
    return edit


def _unread(data: str) -> Field:
    """A field of bytes that are not a known element."""
    return Field("unit.unread", "b(v)", encode(data, "b(v)"))
