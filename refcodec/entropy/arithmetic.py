"""The binary arithmetic coder: a range of 32 bits, probabilities of 16 (clause 8.9.1).

Its state is an int64 array of :data:`CODER_SIZE` entries, named by the indices below. Probabilities are
those of a 1, in units of 2^-16, and lie in 1..65535.

The functions ``code_...`` work in both directions: they decode, or, if ``coder[DIRECTION]`` is 1, code the
value that they are given. Code that uses them is decoder and encoder in one.
"""

from __future__ import annotations

from refcodec.entropy.arrays import Int64, Uint8
from refcodec.kernel import inlined, kernel

__all__ = [
    "CODE",
    "CODER_SIZE",
    "DIRECTION",
    "MOST_OVERRUN",
    "OVERRUN",
    "POSITION",
    "RANGE",
    "code_bit",
    "code_bits",
    "code_golomb",
    "code_signed_golomb",
    "decode_bit",
    "decode_bits",
    "decode_golomb",
    "encode_bit",
    "encode_bits",
    "encode_golomb",
    "finish_decoding",
    "finish_encoding",
    "start_decoding",
    "start_encoding",
]

RANGE = 0
"""Width of the current interval: 2^24 <= range < 2^32 between decisions."""

CODE = 1
"""Decoder: the payload's number, minus the lower end of the interval. Encoder: that lower end."""

POSITION = 2
"""Bytes read or written."""

OVERRUN = 3
"""Decoder: bytes read beyond the end. Encoder: 1 if the output was too small, else 0."""

MOST_OVERRUN = 4
"""Most bytes beyond the end that a decoder reads of a valid payload. One that reads more may stop."""

DIRECTION = 4
"""0 to decode, 1 to encode, for the functions of both directions; set by whoever makes the array."""

CODER_SIZE = 5


# --- normative -------------------------------------------------------------------------------------


@kernel
def start_decoding(coder: Int64, data: Uint8) -> None:
    """(8.9.1) Begin: the first four bytes are the payload's number. Bytes beyond the end are 0."""
    coder[RANGE] = 0xFFFFFFFF
    coder[CODE] = 0
    coder[POSITION] = 0
    coder[OVERRUN] = 0
    for _ in range(4):
        coder[CODE] = (int(coder[CODE]) << 8) | next_byte(coder, data)


@kernel
def next_byte(coder: Int64, data: Uint8) -> int:
    """(8.9.1) The next byte of the payload; beyond the end 0, and counted."""
    position = int(coder[POSITION])
    coder[POSITION] = position + 1
    if position < data.shape[0]:
        return int(data[position]) & 0xFF
    coder[OVERRUN] = int(coder[OVERRUN]) + 1
    return 0


@inlined
def decode_bit(coder: Int64, data: Uint8, probability: int) -> int:
    """(8.9.1) One decision whose probability of being 1 is ``probability`` / 65536."""
    width = int(coder[RANGE])
    code = int(coder[CODE])
    split = (width * probability) >> 16  # below 2^48; 2^8 <= split < width
    bit = 0
    if code < split:
        bit = 1
        width = split
    else:
        code -= split
        width -= split
    while width < 0x1000000:
        width <<= 8
        code = (code << 8) | next_byte(coder, data)
    coder[RANGE] = width
    coder[CODE] = (
        code & 0xFFFFFFFFFF
    )  # in a valid payload code < range; in any other it stays bounded
    return bit


@kernel
def decode_bits(coder: Int64, data: Uint8, count: int) -> int:
    """(8.9.1) ``count`` equiprobable bits, most significant first; at most 32."""
    value = 0
    for _ in range(count):
        value = (value << 1) | decode_bit(coder, data, 32768)
    return value


@kernel
def decode_golomb(coder: Int64, data: Uint8, order: int) -> int:
    """(8.9.1) A non-negative number in Exp-Golomb code of an order; below 2^25."""
    length = order
    while length < 24 and decode_bit(coder, data, 32768) == 1:
        length += 1
    return (1 << length) - (1 << order) + decode_bits(coder, data, length)


@kernel
def finish_decoding(coder: Int64, data: Uint8) -> bool:
    """(8.9.1) Check that the payload ends with its last decision.

    "All bytes of the payload shall have been read, and at most four behind its end."
    """
    return int(coder[POSITION]) >= data.shape[0] and int(coder[OVERRUN]) <= MOST_OVERRUN


@inlined
def code_bit(coder: Int64, data: Uint8, probability: int, bit: int) -> int:
    """(8.9.1) One decision, in either direction; returns it."""
    if int(coder[DIRECTION]) == 0:
        return decode_bit(coder, data, probability)
    encode_bit(coder, data, probability, bit)
    return bit


@kernel
def code_bits(coder: Int64, data: Uint8, value: int, count: int) -> int:
    """(8.9.1) ``count`` equiprobable bits, in either direction; returns their value."""
    if int(coder[DIRECTION]) == 0:
        return decode_bits(coder, data, count)
    encode_bits(coder, data, value, count)
    return value


@kernel
def code_golomb(coder: Int64, data: Uint8, value: int, order: int) -> int:
    """(8.9.1) A non-negative number in Exp-Golomb code, in either direction; returns it."""
    if int(coder[DIRECTION]) == 0:
        return decode_golomb(coder, data, order)
    encode_golomb(coder, data, value, order)
    return value


@kernel
def code_signed_golomb(coder: Int64, data: Uint8, value: int, order: int) -> int:
    """(8.9.1) A number in Exp-Golomb code, 0, 1, -1, 2, -2 and so on; returns it."""
    folded = 2 * value - 1 if value > 0 else -2 * value
    folded = code_golomb(coder, data, folded, order)
    return (folded + 1) >> 1 if folded & 1 else -(folded >> 1)


# --- informative: the encoder's half ---------------------------------------------------------------


@kernel
def start_encoding(coder: Int64) -> None:
    """Begin with the largest interval."""
    coder[RANGE] = 0xFFFFFFFF
    coder[CODE] = 0
    coder[POSITION] = 0
    coder[OVERRUN] = 0


@kernel
def put_byte(coder: Int64, output: Uint8, byte: int) -> None:
    """Append a byte, or set OVERRUN if there is no room."""
    position = int(coder[POSITION])
    if position < output.shape[0]:
        output[position] = byte
        coder[POSITION] = position + 1
    else:
        coder[OVERRUN] = 1


@kernel
def carry(coder: Int64, output: Uint8) -> None:
    """Add 1 to the bytes written so far, taken as one number."""
    position = int(coder[POSITION]) - 1
    while position > 0 and int(output[position]) & 0xFF == 0xFF:
        output[position] = 0
        position -= 1
    if position >= 0:
        output[position] = ((int(output[position]) & 0xFF) + 1) & 0xFF


@inlined
def encode_bit(coder: Int64, output: Uint8, probability: int, bit: int) -> None:
    """Code one decision; the inverse of :func:`decode_bit`."""
    width = int(coder[RANGE])
    low = int(coder[CODE])
    split = (width * probability) >> 16
    if bit == 1:
        width = split
    else:
        low += split
        width -= split
        if low >= 0x100000000:
            low -= 0x100000000
            carry(coder, output)
    while width < 0x1000000:
        put_byte(coder, output, low >> 24)
        low = (low << 8) & 0xFFFFFFFF
        width <<= 8
    coder[RANGE] = width
    coder[CODE] = low


@kernel
def encode_bits(coder: Int64, output: Uint8, value: int, count: int) -> None:
    """Code ``count`` equiprobable bits, most significant first."""
    for shift in range(count - 1, -1, -1):
        encode_bit(coder, output, 32768, (value >> shift) & 1)


@kernel
def encode_golomb(coder: Int64, output: Uint8, value: int, order: int) -> None:
    """Code a number in Exp-Golomb code; the inverse of :func:`decode_golomb`."""
    length = order
    while length < 24 and value >= (2 << length) - (1 << order):
        encode_bit(coder, output, 32768, 1)
        length += 1
    if length < 24:
        encode_bit(coder, output, 32768, 0)
    encode_bits(coder, output, value - ((1 << length) - (1 << order)), length)


@kernel
def finish_encoding(coder: Int64, output: Uint8) -> int:
    """Write the shortest number in the interval; returns the size of the payload in bytes.

    Zero bytes at the end, at most four, are left out: a decoder reads bytes beyond the end as 0.
    """
    low = int(coder[CODE])
    high = low + int(coder[RANGE]) - 1
    kept = 32
    number = low
    while kept > 0:
        shorter = (high >> (32 - kept + 8)) << (32 - kept + 8)
        if shorter < low:
            break
        number = shorter
        kept -= 8
    if number >= 0x100000000:
        number -= 0x100000000
        carry(coder, output)
    for shift in range(24, 24 - kept, -8):
        put_byte(coder, output, (number >> shift) & 0xFF)
    return int(coder[POSITION])
