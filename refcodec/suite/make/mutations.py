"""Edits drawn at random that a reader of the syntax would think of: for fuzzing, and for invalid vectors.

Sizes, CRCs and alignment bits are computed again after each, so that what is wrong lies deeper.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from refcodec.suite.assemble import (
    Append,
    Copy,
    Cut,
    Drop,
    Edit,
    Extend,
    Field,
    Insert,
    Patch,
    Piece,
    Set,
    disassemble,
    from_bits,
)

__all__ = ["draw_edit"]


def draw_edit(pieces: list[Piece], chance: random.Random, donors: Sequence[bytes]) -> Edit:
    """Draw an edit of a stream.

    donors : streams whose units may be inserted.

    Raises IndexError or ValueError where there is nothing to edit.
    """

    def splice(pieces: list[Piece], chance: random.Random) -> Edit:
        return _splice(pieces, chance, donors)

    kinds: dict[Callable[[list[Piece], random.Random], Edit], int] = {
        _set_number: 12,
        _set_bytes: 6,
        _patch: 8,
        _move: 3,
        splice: 2,
        _extend: 2,
        _end_early: 1,
    }
    (kind,) = chance.choices(list(kinds), list(kinds.values()))
    return kind(pieces, chance)


def _set_number(pieces: list[Piece], chance: random.Random) -> Edit:
    """Give a number, or all numbers of an array, a value at some bound or near the old one."""
    at, one, occurrence = _field(pieces, chance, lambda field: field.descriptor[0] in "usl")
    if "[" in one.descriptor:
        width, count = _dimensions(one.descriptor)
        values = [chance.choice(_numbers(width, chance)) for _ in range(min(count, 64))]
        times = max(1, count // max(1, len(values)))
        return Set(at, one.path, values or [0], occurrence, times)
    if one.descriptor.startswith("u("):
        width = len(one.bits)
        near = [(int(one.bits, 2) + step) % (1 << width) for step in (-1, 1)]
        return Set(at, one.path, chance.choice([*_numbers(width, chance), *near]), occurrence)
    width = chance.choice([1, 4, 8, 12, 16, 24, 31, 55])
    return Set(at, one.path, chance.choice(_numbers(width, chance)), occurrence)


def _set_bytes(pieces: list[Piece], chance: random.Random) -> Edit:
    """Cut, repeat, blank or exchange a text of bytes."""
    at, one, occurrence = _field(pieces, chance, lambda field: field.descriptor[0] in "bf")
    data = _whole_bytes(one.bits)
    place = chance.randrange(len(data) + 1)
    data = chance.choice(
        [
            data[:place],
            data[place:],
            data + data[place:],
            data[:place] + chance.randbytes(chance.choice([1, 2, 8])) + data[place:],
            bytes(len(data)),
            b"\xff" * len(data),
            chance.randbytes(len(data)),
            b"",
        ]
    )
    return Set(at, one.path, data.hex(), occurrence)


def _patch(pieces: list[Piece], chance: random.Random) -> Edit:
    """Overwrite some bits of an element."""
    at, one, _ = _field(pieces, chance, lambda field: bool(field.bits))
    bit = chance.randrange(len(one.bits))
    count = min(chance.choice([1, 1, 1, 3, 8, 32]), len(one.bits) - bit)
    return Patch(at, one.path, bit, f"{chance.getrandbits(count):0{count}b}")


def _move(pieces: list[Piece], chance: random.Random) -> Edit:
    """Leave a unit out, or say it twice."""
    unit = chance.randrange(1, len(pieces))
    return chance.choice([Drop(unit), Copy(unit, chance.randrange(1, len(pieces) + 1))])


def _splice(pieces: list[Piece], chance: random.Random, donors: Sequence[bytes]) -> Edit:
    """Insert a unit of another stream, or one of an unknown type."""
    to = chance.randrange(1, len(pieces) + 1)
    if chance.random() < 0.3:
        return Insert(to, chance.randrange(128), chance.randrange(2), chance.randbytes(8).hex())
    other = disassemble(chance.choice(donors))
    unit = chance.choice(other[1:]).fields
    payload = "".join(one.bits for one in unit[3:-1])
    data = _whole_bytes(payload)
    return Insert(to, int(unit[1].bits, 2), int(unit[0].bits), data.hex())


def _extend(pieces: list[Piece], chance: random.Random) -> Edit:
    """Lengthen a unit, or the stream."""
    data = chance.randbytes(chance.choice([1, 4, 64])).hex()
    return chance.choice([Extend(chance.randrange(1, len(pieces)), data), Append(data)])


def _end_early(pieces: list[Piece], chance: random.Random) -> Edit:
    """Cut the stream."""
    return Cut(chance.randrange(sum(len(bytes(piece)) for piece in pieces)))


def _field(
    pieces: list[Piece], chance: random.Random, suits: Callable[[Field], bool]
) -> tuple[int, Field, int]:
    """Some element that suits: its unit, itself, and which of that path it is."""
    at = chance.randrange(len(pieces))
    one = chance.choice([field for field in pieces[at].fields if suits(field)])
    same = [field for field in pieces[at].fields if field.path == one.path]
    return at, one, next(i for i, field in enumerate(same) if field is one)


def _whole_bytes(bits: str) -> bytes:
    """The bytes of a text of bits, of which some at its end may make none."""
    return from_bits(bits[: len(bits) // 8 * 8])


def _dimensions(descriptor: str) -> tuple[int, int]:
    """Width and count of ``u(8)[4]``."""
    width, _, count = descriptor.partition(")[")
    return int(width.partition("(")[2]), int(count.rstrip("]"))


def _numbers(width: int, chance: random.Random) -> list[int]:
    """Numbers of so many bits, the bounds above all."""
    most = (1 << width) - 1
    powers = [1 << chance.randrange(width), (1 << chance.randrange(width)) - 1] if width else []
    return [0, most, most >> 1, min(1, most), chance.randint(0, most), *powers]
