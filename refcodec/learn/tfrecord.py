"""Records of TensorFlow, read without it: the framing of TFRecord files, and tf.train.Example messages.

A record is its length (8 bytes, little-endian), a masked CRC-32C of these, the data, and a masked CRC-32C of
the data. The data of an Example are protocol buffers::

    Example   { Features features = 1; }
    Features  { map<string, Feature> feature = 1; }        an entry has key = 1, value = 2
    Feature   { BytesList = 1 | FloatList = 2 | Int64List = 3 }, each with value = 1, packed or not

Every length is checked against what is there before anything is read or allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError
from refcodec.files import open_file

__all__ = ["crc32c", "find_records", "parse_example", "read_record"]

Value = npt.NDArray[Any] | list[bytes]

_LENGTH, _CRC = 8, 4
_LONGEST: Final = 1 << 28
"""Longest record that is read, in bytes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return tuple(found)


_TABLE: Final = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


# --- framing ---------------------------------------------------------------------------------------


def find_records(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the position and the length of the data of each record of a file.

    Raises CallerError if the file is not made of whole records.
    """
    with open_file(path) as file:
        size = file.seek(0, 2)
        place = 0
        while place < size:
            file.seek(place)
            head = file.read(_LENGTH + _CRC)
            if len(head) < _LENGTH + _CRC or _masked(head[:_LENGTH]) != head[_LENGTH:]:
                raise _damaged(path, place, "no length of a record")
            length = int.from_bytes(head[:_LENGTH], "little")
            end = place + _LENGTH + _CRC + length + _CRC
            if length > _LONGEST or end > size:
                raise _damaged(path, place, f"a record of {length:,} bytes, beyond its end")
            yield place + _LENGTH + _CRC, length
            place = end


def read_record(path: Path, place: int, length: int) -> bytes:
    """Read the data of a record that `find_records` has found. Raises CallerError if they are damaged."""
    with open_file(path) as file:
        file.seek(place)
        data = file.read(length + _CRC)
    if len(data) < length + _CRC or _masked(data[:length]) != data[length:]:
        raise _damaged(path, place, "a record whose checksum is wrong")
    return data[:length]


def _damaged(path: Path, place: int, what: str) -> CallerError:
    return CallerError(
        f"{path} has {what} at byte {place}", hint="is it a TFRecord file, and whole?"
    )


# --- messages --------------------------------------------------------------------------------------


def parse_example(data: bytes) -> dict[str, Value]:
    """The features of a tf.train.Example by name: float32 or int64 arrays, or lists of bytes.

    Raises CallerError if the data are no such message.
    """
    try:
        found: dict[str, Value] = {}
        for _, features in _fields(data, {1: _BYTES}):
            for _, entry in _fields(features, {1: _BYTES}):
                parts = dict(_fields(entry, {1: _BYTES, 2: _BYTES}))
                found[bytes(parts.get(1, b"")).decode()] = _feature(parts.get(2, b""))
        return found
    except (ValueError, UnicodeDecodeError) as error:
        raise CallerError(
            f"a record is no tf.train.Example: {error}",
            hint="records of SequenceExample are not read",
        ) from None


def _feature(data: Any) -> Value:
    value: Value = []
    for kind, content in _fields(data, {1: _BYTES, 2: _BYTES, 3: _BYTES}):
        match kind:
            case 1:
                value = [bytes(one) for _, one in _fields(content, {1: _BYTES})]
            case 2:
                value = _floats(content)
            case 3:
                value = _integers(content)
    return value


def _floats(data: Any) -> npt.NDArray[np.float32]:
    parts = []
    for _, one in _fields(data, {1: None}):
        if isinstance(one, int) or len(one) % 4:
            raise ValueError("a list of floats holds something else")
        parts.append(np.frombuffer(one, "<f4"))
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


def _integers(data: Any) -> npt.NDArray[np.int64]:
    values: list[int] = []
    for _, one in _fields(data, {1: None}):
        if isinstance(one, int):
            values.append(one)
            continue
        place = 0
        while place < len(one):
            value, place = _varint(one, place)
            values.append(value)
    return np.array(values, np.uint64).view(np.int64)


def _fields(data: Any, known: dict[int, int | None]) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message that are known, by number: an int, or a view of bytes.

    known : wire type of each field; None for any.
    """
    view, place = memoryview(data), 0
    while place < len(view):
        tag, place = _varint(view, place)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, place = _varint(view, place)
        else:
            if wire == _BYTES:
                length, place = _varint(view, place)
            elif wire in (_FIXED64, _FIXED32):
                length = 8 if wire == _FIXED64 else 4
            else:
                raise ValueError(f"field {number} has the wire type {wire}")
            if length > len(view) - place:
                raise ValueError(f"field {number} is cut off")
            value, place = view[place : place + length], place + length
        if number in known:
            if known[number] not in (None, wire):
                raise ValueError(f"field {number} has the wire type {wire}")
            yield number, value


def _varint(view: Any, place: int) -> tuple[int, int]:
    """A variable-length integer of at most 64 bits, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(view):
            raise ValueError("an integer is cut off")
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, place
    raise ValueError("an integer has more than 64 bits")
