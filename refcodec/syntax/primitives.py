"""Descriptors on plain numbers: the calls of which the functions compiled from declarations are made.

Readers take bytes and a position in bits, and return a value and the next position; writers append to a
number of so many bits. None explains an error: each raises Refused, and the declarations, interpreted, say
what is wrong and where.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.syntax.bits import pack_integers, unpack_integers

__all__ = [
    "COMPILED",
    "Refused",
    "bytes_of",
    "floats_of",
    "integers_of",
    "leb128_of",
    "number_of_floats",
    "number_of_integers",
    "read_floats",
    "read_integers",
    "read_leb128",
    "read_se",
    "read_ue",
    "se_number",
    "within",
]

COMPILED = not os.environ.get("REFCODEC_INTERPRET_SYNTAX")
"""False if the declarations are to be interpreted alone: a test of them, or of their mutants."""

_FEW = 64
"""Integers of an array up to which Python handles them faster than numpy does."""

_LONGEST_CODE = 65
"""Bits of the longest Exp-Golomb code."""


class Refused(LookupError):
    """The declarations do not allow this; a LookupError, as reading beyond the last byte is."""


# --- reading ---------------------------------------------------------------------------------------


def read_ue(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Read an unsigned Exp-Golomb code of at most ``most``."""
    first = at >> 3
    window = int.from_bytes(data[first : first + 9].ljust(9, b"\0"), "big")
    left = 72 - (at & 7)
    window &= (1 << left) - 1
    length = 2 * (left - window.bit_length()) + 1
    if length > _LONGEST_CODE:
        raise Refused
    value = (window >> (left - length)) - 1
    if value > most:
        raise Refused
    return value, at + length


def read_se(data: bytes, at: int, least: int, most: int) -> tuple[int, int]:
    """Read a signed Exp-Golomb code."""
    code, at = read_ue(data, at, 2 * max(most, -least))
    value = (code + 1) // 2 if code & 1 else -(code // 2)
    if not least <= value <= most:
        raise Refused
    return value, at


def read_leb128(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Read seven bits per byte, least significant group first."""
    first = at >> 3
    byte = data[first]
    value = byte & 0x7F
    length = 1
    while byte >= 0x80:
        if length == 8:
            raise Refused
        byte = data[first + length]
        value |= (byte & 0x7F) << 7 * length
        length += 1
    if value > most or (byte == 0 and length > 1):
        raise Refused
    return value, at + 8 * length


def read_floats(data: bytes, at: int, end: int, count: int) -> tuple[npt.NDArray[np.float32], int]:
    """Read ``count`` numbers of 32 bits as a float32 array."""
    stop = at + 32 * count
    if stop > end:
        raise Refused
    raw = data[at >> 3 : (stop + 7) >> 3]
    if at & 7:
        number = int.from_bytes(raw, "big") >> (-stop & 7) & ((1 << 32 * count) - 1)
        raw = number.to_bytes(4 * count, "big")
    return np.frombuffer(raw, ">u4").astype(np.uint32).view(np.float32), stop


def read_integers(
    data: bytes, at: int, end: int, count: int, width: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Read ``count`` integers of ``width`` bits as an int64 array."""
    stop = at + count * width
    if stop > end or (width == 0 and count > 1):
        raise Refused
    if count > _FEW:
        return unpack_integers(data, at, count, width), stop
    number = int.from_bytes(data[at >> 3 : (stop + 7) >> 3], "big") >> (-stop & 7)
    mask = (1 << width) - 1
    shifts = range((count - 1) * width, -1, -width) if width else [0] * count
    return np.array([number >> shift & mask for shift in shifts], np.int64), stop


# --- writing ---------------------------------------------------------------------------------------


def se_number(value: int) -> int:
    """The number whose unsigned Exp-Golomb code is the signed code of a value."""
    return 2 * value - 1 if value > 0 else -2 * value


def leb128_of(value: int) -> bytes:
    """The shortest leb128 code of a number."""
    if value < 0:
        raise Refused
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def number_of_floats(values: Any, count: int) -> int:
    """The bits of ``count`` numbers of 32 bits, as one number."""
    words = floats_of(values, count)
    if words.shape != (count,):
        raise Refused
    return int.from_bytes(words.view(np.uint32).astype(">u4").tobytes(), "big")


def number_of_integers(values: Any, count: int, width: int) -> int:
    """The bits of ``count`` integers of ``width`` bits, as one number."""
    words = np.asarray(values)
    if words.shape != (count,):
        raise Refused
    number = 0
    for packed, bits in pack_integers(words, width):
        number = number << bits | int.from_bytes(packed, "big") >> (-bits & 7)
    return number


# --- checking --------------------------------------------------------------------------------------


def floats_of(values: Any, count: int) -> npt.NDArray[np.float32]:
    """Numbers as a float32 array of ``count`` items."""
    found = np.ascontiguousarray(values, dtype=np.float32)
    if len(found) != count:
        raise Refused
    return found


def integers_of(values: Any, count: int, width: int) -> npt.NDArray[np.int64]:
    """Integers of ``width`` bits as an int64 array of ``count`` items."""
    found = np.asarray(values, dtype=np.int64)
    if len(found) != count:
        raise Refused
    if count and (int(found.min()) < 0 or int(found.max()) >> width):
        raise Refused
    return found


def bytes_of(value: Any, size: int) -> bytes:
    """Bytes of a size."""
    if len(value) != size:
        raise Refused
    return bytes(value)


def within(value: int, least: int, most: int) -> int:
    """A number that lies in a range."""
    if not least <= value <= most:
        raise Refused
    return value
