"""Short payloads: an arithmetic decoder over static tables, for vectors that stay decodable alone (8.10.3).

It has no states to store: a payload is at most a byte longer than its symbols need, and a little. The number
of a payload is read 48 bits at a time, bytes beyond its end as 0.
"""

from __future__ import annotations

import numpy as np

from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.entropy.static import PRECISION, Tables, excess_order
from refcodec.kernel import kernel

__all__ = [
    "CODE",
    "CODER_BYTES",
    "CODER_SIZE",
    "POSITION",
    "WIDTH",
    "decode_vector",
    "decode_vectors",
    "encode_vector",
    "encode_vectors",
]

CODER_BYTES = 6
"""Bytes of the payload's number that a decoder holds: an interval has at most 48 bits."""

WIDTH = 0
"""Width of the current interval: at least 2^40 between symbols."""

CODE = 1
"""The number, less the lower end of the interval."""

POSITION = 2
"""Position of the next byte to read or to write."""

CODER_SIZE = 3


# --- normative -------------------------------------------------------------------------------------


@kernel
def read_byte(data: Uint8, position: int, end: int) -> int:
    """(8.10.3) A byte of the payload; 0 beyond its end."""
    return int(data[position]) & 0xFF if position < end else 0


@kernel
def narrow(coder: Int64, data: Uint8, end: int, low: int, width: int) -> None:
    """(8.10.3) Take a part of the interval, and read bytes until it has more than 40 bits again."""
    code = int(coder[CODE]) - low
    position = int(coder[POSITION])
    while width < 1 << 40:
        width <<= 8
        code = (code << 8) | read_byte(data, position, end)
        position += 1
    coder[WIDTH] = width
    coder[CODE] = code
    coder[POSITION] = position


@kernel
def decode_bits(coder: Int64, data: Uint8, end: int, count: int) -> int:
    """(8.10.3) Equiprobable bits, most significant first."""
    number = 0
    for _ in range(count):
        half = int(coder[WIDTH]) >> 1
        bit = int(int(coder[CODE]) >= half)
        narrow(coder, data, end, half * bit, half)
        number = 2 * number + bit
    return number


@kernel
def decode_vector(
    data: Uint8, start: int, end: int, index: Int32, tables: Tables, symbols: Int32
) -> bool:
    """(8.10.3) Decode the symbols of a payload; false where it has bytes that no symbol needs.

    start, end : where the payload begins in ``data``, and where it ends.
    index      : the table of each symbol.
    """
    coder = np.zeros(CODER_SIZE, np.int64)
    for i in range(CODER_BYTES):
        coder[CODE] = (int(coder[CODE]) << 8) | read_byte(data, start + i, end)
    coder[WIDTH] = 1 << 48
    coder[POSITION] = start + CODER_BYTES
    for i in range(index.shape[0]):
        table = int(index[i])
        begin = int(tables.begin[table])
        last = int(tables.begin[table + 1]) - begin - 2
        width = int(coder[WIDTH])
        code = int(coder[CODE])
        part = width >> PRECISION
        symbol = int(tables.mode[table])
        while symbol < last and part * int(tables.bounds[begin + symbol + 1]) <= code:
            symbol += 1
        while part * int(tables.bounds[begin + symbol]) > code:
            symbol -= 1
        low = part * int(tables.bounds[begin + symbol])
        high = part * int(tables.bounds[begin + symbol + 1]) if symbol < last else width
        narrow(coder, data, end, low, high - low)
        values = int(tables.values[table])
        if symbol >= values:
            order = excess_order(values)
            length = order
            while length < 18 and decode_bits(coder, data, end, 1) == 1:
                length += 1
            symbol = values + (1 << length) - (1 << order)
            symbol += decode_bits(coder, data, end, length)
        symbols[i] = symbol
    needed = int(coder[POSITION]) - CODER_BYTES + 1
    return end <= needed and (end == start or int(data[end - 1]) > 0)


@kernel
def decode_vectors(data: Uint8, ends: Int64, index: Int32, tables: Tables, symbols: Int32) -> int:
    """(8.10.3) Decode payloads that follow one another; returns the number of those that are sound.

    ends    : where each payload ends; the first begins at 0.
    symbols : payloads x symbols.
    """
    start = 0
    for i in range(ends.shape[0]):
        if not decode_vector(data, start, int(ends[i]), index, tables, symbols[i]):
            return i
        start = int(ends[i])
    return int(ends.shape[0])


# --- informative: the encoder's half ---------------------------------------------------------------

LOW = 1
"""Encoder: the lower end of the interval."""


@kernel
def _take(coder: Int64, output: Uint8, low: int, width: int) -> None:
    """Take a part of the interval, and write bytes until it has more than 40 bits again."""
    bottom = int(coder[LOW]) + low
    position = int(coder[POSITION])
    if bottom >= 1 << 48:
        bottom -= 1 << 48
        _carry(output, position)
    while width < 1 << 40:
        output[position] = bottom >> 40
        position += 1
        bottom = (bottom << 8) & 0xFFFFFFFFFFFF
        width <<= 8
    coder[WIDTH] = width
    coder[LOW] = bottom
    coder[POSITION] = position


@kernel
def _carry(output: Uint8, position: int) -> None:
    """Add 1 to the bytes before a position, taken as one number."""
    position -= 1
    while int(output[position]) & 0xFF == 0xFF:
        output[position] = 0
        position -= 1
    output[position] = (int(output[position]) & 0xFF) + 1


@kernel
def encode_bits(coder: Int64, output: Uint8, number: int, count: int) -> None:
    """Code equiprobable bits, most significant first."""
    for i in range(count - 1, -1, -1):
        half = int(coder[WIDTH]) >> 1
        _take(coder, output, half * ((number >> i) & 1), half)


@kernel
def encode_vector(output: Uint8, start: int, index: Int32, tables: Tables, symbols: Int32) -> int:
    """Code the symbols of a payload; returns where it ends.

    output : has room for 8 bytes a symbol, and 8 more, from ``start`` on.
    """
    coder = np.zeros(CODER_SIZE, np.int64)
    coder[WIDTH] = 1 << 48
    coder[POSITION] = start
    for i in range(index.shape[0]):
        table = int(index[i])
        begin = int(tables.begin[table])
        last = int(tables.begin[table + 1]) - begin - 2
        values = int(tables.values[table])
        symbol = min(int(symbols[i]), values)
        width = int(coder[WIDTH])
        part = width >> PRECISION
        low = part * int(tables.bounds[begin + symbol])
        high = part * int(tables.bounds[begin + symbol + 1]) if symbol < last else width
        _take(coder, output, low, high - low)
        if symbol == values:
            order = excess_order(values)
            number = int(symbols[i]) - values + (1 << order)
            length = order
            while number >= 2 << length:
                length += 1
            for _ in range(length - order):
                encode_bits(coder, output, 1, 1)
            if length < 18:
                encode_bits(coder, output, 0, 1)
            encode_bits(coder, output, number - (1 << length), length)
    return _finish(coder, output, start)


@kernel
def _finish(coder: Int64, output: Uint8, start: int) -> int:
    """Write the shortest number in the interval, without zero bytes at its end; returns where it ends."""
    low = int(coder[LOW])
    high = low + int(coder[WIDTH])  # at least 2^40 more
    position = int(coder[POSITION])
    top = (high - 1) >> 40 << 40
    if low == 0:
        top = 0
    elif low <= 1 << 48 < high:
        top = 1 << 48
    if top >= 1 << 48:
        top -= 1 << 48
        _carry(output, position)
    output[position] = top >> 40
    position += 1
    while position > start and int(output[position - 1]) & 0xFF == 0:
        position -= 1
    return position


@kernel
def encode_vectors(output: Uint8, ends: Int64, index: Int32, tables: Tables, symbols: Int32) -> int:
    """Code payloads one after the other; returns the number of those for which there was room."""
    start = 0
    for i in range(ends.shape[0]):
        if start + 8 * index.shape[0] + 8 > output.shape[0]:
            return i
        start = encode_vector(output, start, index, tables, symbols[i])
        ends[i] = start
    return int(ends.shape[0])
