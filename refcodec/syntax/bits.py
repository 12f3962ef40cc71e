"""Readers and writers of bits, for the syntax declarations (clause 4.4).

construct is given a :class:`BitReader` in place of a byte stream. It counts bits from the start of the DFC
stream, refuses to read past its end, and can record every element that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from sys import intern
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from bitstring import BitArray, Bits, Dtype, Reader, ReadError

from refcodec.errors import StreamError, SyntaxViolation, TruncatedError

__all__ = [
    "BitReader",
    "BitWriter",
    "Element",
    "Elements",
    "LateTrace",
    "Trace",
    "pack_integers",
    "position_of",
    "unpack_integers",
]


@dataclass(frozen=True, slots=True)
class Element:
    """One syntax element of a stream.

    path       : names of the enclosing structures and of the element, joined by dots.
    descriptor : coding of the element, in the notation of clause 4.4: ``u(4)``, ``ue(v)``, ``b(64)``.
    offset     : position of its first bit in the stream.
    width      : number of bits.
    value      : value read: int, float, bytes, or a list of these for an array.
    clause     : semantics clause of the structure that it belongs to.
    """

    path: str
    descriptor: str
    offset: int
    width: int
    value: Any
    clause: str

    @property
    def name(self) -> str:
        """The element's own name, without its structures."""
        return self.path.rpartition(".")[2]


Trace = list[Element]
"""Elements that are recorded as they are read."""

Elements = Sequence[Element]
"""Elements that were read."""

_PIECE = 1 << 16
"""Integers that are packed or unpacked at a time."""


class LateTrace(Elements):
    """Elements that are recorded only where somebody looks at them: to say where an error lies, as a rule.

    record : reads again what was read, and records it; its errors have been reported then.
    """

    def __init__(self, record: Callable[[Trace], object]) -> None:
        self._record = record

    @cached_property
    def _elements(self) -> Trace:
        trace: Trace = []
        with suppress(StreamError):
            self._record(trace)
        return trace

    @overload
    def __getitem__(self, number: int) -> Element: ...

    @overload
    def __getitem__(self, number: slice) -> Trace: ...

    def __getitem__(self, number: int | slice) -> Element | Trace:
        return self._elements[number]

    def __len__(self) -> int:
        return len(self._elements)


def position_of(trace: Elements, name: str) -> int | None:
    """Position in bits of the first element of a name; else that of its structure."""
    for element in trace:
        if element.name == name:
            return element.offset
    return trace[0].offset if trace else None


def unpack_integers(
    data: bytes, first: int, count: int, width: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Unpack unsigned integers of ``width`` bits (at most 63), which begin at bit ``first`` of the data."""
    values = np.zeros(count, dtype=np.int64)
    for start in range(0, count if width else 0, _PIECE):
        stop = min(start + _PIECE, count)
        begin, end = first + start * width, first + stop * width
        raw = data[begin // 8 : (end + 7) // 8] + bytes(8)
        words = np.ndarray(len(raw) - 7, ">u8", raw, strides=(1,))  # one begins at each byte
        places = np.arange(begin % 8, begin % 8 + end - begin, width)
        values[start:stop] = _fields(words, places, width)
    return values


def _fields(
    words: npt.NDArray[np.uint64], places: npt.NDArray[np.int64], width: int
) -> npt.NDArray[np.uint64]:
    """The ``width`` bits that begin at each place, of words of 64 bits that begin at each byte."""
    if width > 32:  # they may end beyond the word
        high = _fields(words, places, width - 32)
        high <<= np.uint64(32)
        high |= _fields(words, places + (width - 32), 32)
        return high
    found: npt.NDArray[np.uint64] = words[places >> 3].astype(np.uint64)
    found <<= (places & 7).astype(np.uint64)
    found >>= np.uint64(64 - width)
    return found


def pack_integers(values: np.ndarray[Any, Any], width: int) -> Iterator[tuple[bytes, int]]:
    """Pack unsigned integers of ``width`` bits; yields pieces, padded bytes and the number of their bits."""
    for start in range(0, len(values) if width else 0, _PIECE):
        part = np.ascontiguousarray(values[start : start + _PIECE], dtype=">u8")
        bits = np.unpackbits(part.view(np.uint8).reshape(-1, 8), axis=1)[:, 64 - width :]
        yield np.packbits(bits).tobytes(), bits.size


class BitReader:
    """Reads the bits of one piece of a stream, in order.

    data   : the bytes to read.
    offset : position of the first of these bits in the whole stream.
    trace  : a list that receives every element read, or None.
    root   : name of the structure that is read, with which the paths in the trace begin.
    """

    def __init__(
        self, data: bytes, offset: int = 0, trace: Trace | None = None, root: str = ""
    ) -> None:
        self._data = data
        self._reader = Reader(Bits.from_bytes(data))
        self._offset = offset
        self.trace = trace
        self.root = root
        self.clause = ""

    @property
    def position(self) -> int:
        """Position in the whole stream, in bits."""
        return self._offset + self._reader.pos

    @property
    def remaining(self) -> int:
        """Bits left."""
        return self._reader.remaining

    @property
    def aligned(self) -> bool:
        """True if the next bit is the first of a byte."""
        return self._reader.pos % 8 == 0

    def need(self, bits: int, what: str) -> None:
        """Raise TruncatedError unless ``bits`` more bits are left; called before any allocation."""
        if bits > self.remaining:
            raise TruncatedError(
                f"{what} needs {bits} bits and {self.remaining} are left",
                bit_offset=self.position,
                clause=self.clause,
                requirement="4.4-4",
                hint="the stream was cut, or an element before this one is wrong",
            )

    def value(self, dtype: Dtype, what: str) -> Any:
        """The next value of a bitstring dtype such as ``u7``, ``ue`` or ``f32``."""
        if dtype.bitlength is not None:
            self.need(dtype.bitlength, what)
        try:
            return self._reader.read_value(dtype)
        except (ReadError, ValueError):
            kind = TruncatedError if self.remaining < 64 else SyntaxViolation
            raise kind(
                f"{what}: no valid {dtype.name} code here",
                bit_offset=self.position,
                clause=self.clause,
            ) from None

    def array(self, count: int, width: int, what: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """``count`` unsigned integers of ``width`` bits (at most 63), back to back."""
        if width == 0 and count > 1:  # a few bytes could ask for any amount of memory
            raise SyntaxViolation(
                f"{what} has {count} entries of no bits",
                bit_offset=self.position,
                clause=self.clause,
                requirement="4.4-6",
            )
        self.need(count * width, what)
        first = self._reader.pos
        self._reader.pos = first + count * width
        return unpack_integers(self._data, first, count, width)

    def take(self, size: int, what: str) -> bytes:
        """The next ``size`` bytes; the position must be aligned."""
        self.need(8 * size, what)
        begin = self._reader.pos // 8
        self._reader.pos += 8 * size
        return self._data[begin : begin + size]

    def note(self, path: str, descriptor: str, start: int, value: Any) -> None:
        """Record an element that began at ``start`` and ends here."""
        if self.trace is not None:
            names = [self.root, *path.split(" -> ")[1:]]
            name = intern(".".join(names))  # thousands of elements may bear it
            width = self.position - start
            self.trace.append(Element(name, descriptor, start, width, value, self.clause))


class BitWriter:
    """Collects bits; the inverse of :class:`BitReader`."""

    def __init__(self) -> None:
        self._bits = BitArray()

    @property
    def position(self) -> int:
        """Number of bits written."""
        return len(self._bits)

    @property
    def aligned(self) -> bool:
        """True if a whole number of bytes has been written."""
        return len(self._bits) % 8 == 0

    def value(self, dtype: Dtype, value: Any) -> None:
        """Append one value of a bitstring dtype."""
        self._bits.append(dtype.pack(value))

    def array(self, values: np.ndarray[Any, Any], width: int) -> None:
        """Append unsigned integers of ``width`` bits each, back to back."""
        for packed, bits in pack_integers(values, width):
            self._bits.append(Bits.from_bytes(packed)[:bits])

    def take(self, data: bytes) -> None:
        """Append whole bytes."""
        self._bits.append(Bits.from_bytes(data))

    def getvalue(self) -> bytes:
        """Everything written; the length must be a whole number of bytes."""
        assert self.aligned, "a structure ends between two bytes"
        return self._bits.to_bytes()
