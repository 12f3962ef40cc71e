"""Bits and bytes of a stream as text, as in the worked examples of Annex J."""

from __future__ import annotations

from collections.abc import Iterator

from refcodec.syntax.bits import Element

__all__ = ["bits_of", "hex_rows"]

_ROW = 16
"""Bytes of a row of a dump."""

_MOST_BYTES = 8


def bits_of(data: bytes, element: Element, most: int = 24) -> str:
    """The bits of an element: binary digits, or the first bytes in hexadecimal where these are many.

    data : the whole stream.
    most : number of binary digits at most; where bits follow, an ellipsis does.
    """
    first, width = element.offset, element.width
    if width > most and first % 8 == width % 8 == 0:
        raw = bytes(data[first // 8 : (first + width) // 8][: _MOST_BYTES + 1])
        return raw[:_MOST_BYTES].hex(" ") + (" …" if len(raw) > _MOST_BYTES else "")
    shown = min(width, most)
    end = -(-(first + shown) // 8)
    value = int.from_bytes(data[first // 8 : end], "big") >> 8 * end - first - shown
    digits = f"{value & (1 << shown) - 1:0{shown}b}" if shown else ""
    return digits + (" …" if width > shown else "")


def hex_rows(data: bytes, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of 16 bytes, with the position of each, that hold the bytes ``first`` to ``last``."""
    for start in range(first // _ROW * _ROW, last + 1, _ROW):
        yield start, bytes(data[start : start + _ROW])
