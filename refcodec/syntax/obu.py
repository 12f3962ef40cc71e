"""Byte streams of AV1's open bitstream units (OBUs), in the low-overhead format of its clause 5.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from refcodec.errors import StreamError, SyntaxViolation
from refcodec.syntax.bits import BitReader
from refcodec.syntax.descriptors import Leb128, U
from refcodec.syntax.records import Record, Structure, element

__all__ = ["OBU_HEADER", "Obu", "split_obus"]

_SIZE = Leb128(2**32 - 1)
_SIZE_BYTES = 8

_FIXED, _PLAIN = 0b10000111, 0b00000010
"""Bits of the first byte other than those of the type, and their values: a size field, no extension."""


class ObuHeader(Record):
    """Header of an OBU without an extension, and its size (5.3.1, 5.3.2)."""

    obu_forbidden_bit: int = element(U(1))
    obu_type: int = element(U(4))
    obu_extension_flag: int = element(U(1))
    obu_has_size_field: int = element(U(1))
    obu_reserved_1bit: int = element(U(1))
    obu_size: int = element(_SIZE)


OBU_HEADER = Structure(ObuHeader, "6.16")


class Obu(NamedTuple):
    """One OBU.

    at          : position of its first byte in the byte stream.
    data        : its bytes.
    header_size : bytes of its header and its size field.
    """

    at: int
    data: bytes
    header_size: int

    @property
    def kind(self) -> int:
        """obu_type."""
        return self.data[0] >> 3


def split_obus(stream: bytes, clause: str, offset: int | None = None) -> Iterator[Obu]:
    """Split a byte stream into OBUs, as they are asked for: two bytes can be one.

    clause : of the coder, whose first requirement is that on byte streams.
    offset : position of the byte stream in the DFC stream, in bits, for messages.

    Raises SyntaxViolation unless the stream is a sequence of whole OBUs, each with its size, in the shortest
    form, and without an extension.
    """
    at = 0
    while at < len(stream):
        reader = BitReader(stream[at + 1 : at + 1 + _SIZE_BYTES])
        try:
            size = _SIZE.read(reader, None, "obu_size")
        except StreamError:
            size = len(stream)  # more than there is
        begin = 1 + reader.position // 8
        data = stream[at : at + begin + size]
        if data[0] & _FIXED != _PLAIN or len(data) != begin + size:
            raise SyntaxViolation(
                "an AV1 byte stream has an OBU that is cut, has an extension, or lacks its size in the "
                "shortest form",
                bit_offset=None if offset is None else offset + 8 * at,
                requirement=f"{clause}-1",
            )
        yield Obu(at, data, begin)
        at += len(data)
