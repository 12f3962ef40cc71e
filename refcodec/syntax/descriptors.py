"""Descriptors: codings of single syntax elements (clause 4.4).

Each is a construct ``Construct``, so that a structure is an ordinary construct declaration, read and
written from the same lines; each knows its notation, so that the same lines print as a syntax table.
Widths and counts may be numbers or construct expressions on earlier elements.
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from bitstring import Dtype
from construct import Construct, evaluate

from refcodec.errors import CallerError, SyntaxViolation, UnsupportedError
from refcodec.syntax import primitives
from refcodec.syntax.bits import BitReader, BitWriter
from refcodec.syntax.codes import is_kept

__all__ = [
    "F32",
    "SE",
    "UE",
    "AlignmentBits",
    "Array",
    "Bytes",
    "Descriptor",
    "Expression",
    "Floats",
    "Integers",
    "Leb128",
    "Rest",
    "U",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

Expression = Any
"""A number, or a construct expression such as ``this.channels``."""


class Descriptor(Construct):  # type: ignore[misc]  # construct is untyped
    """Coding of one element; ``read`` and ``write`` are inverse to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.flagbuildnone = True  # an element under a false condition may be absent

    def notation(self, context: Any = None) -> str:
        """The descriptor as syntax tables print it; symbolic without a context."""
        raise NotImplementedError

    def read(self, reader: BitReader, context: Any, what: str) -> Any:
        """Read the element's value."""
        raise NotImplementedError

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        """Write the element's value."""
        raise NotImplementedError

    def checked(self, value: Any, context: Any, what: str) -> Any:
        """Normalise a value to be written to the form in which it is read.

        Raises CallerError for a value outside the bounds of the declaration.
        """
        raise NotImplementedError

    def _parse(self, stream: BitReader, context: Any, path: str) -> Any:
        start = stream.position
        value = self.read(stream, context, path.rpartition(" -> ")[2])
        stream.note(path, self.notation(context), start, value)
        return value

    def _build(self, obj: Any, stream: BitWriter, context: Any, path: str) -> Any:
        if obj is None and not isinstance(self, AlignmentBits):
            raise ValueError(f"no value for {path}")
        self.write(stream, obj, context)
        return obj


class U(Descriptor):
    """``u(n)``: an unsigned integer of n bits, most significant first.

    values : the code points, if the element has them; any other value, and a *kept* one, raises
             UnsupportedError on reading, since a later version of the format may define it.
    """

    def __init__(self, width: int, values: type[IntEnum] | None = None) -> None:
        super().__init__()
        self.width = width
        self.values = values
        self._dtype = Dtype(f"u{width}")

    def notation(self, context: Any = None) -> str:
        return f"u({self.width})"

    def read(self, reader: BitReader, context: Any, what: str) -> Any:
        start = reader.position
        value = reader.value(self._dtype, what)
        if self.values is None:
            return value
        known = {int(code): code for code in self.values if not is_kept(code)}
        if value not in known:
            raise UnsupportedError(
                f"{what} is {value}, which this version does not define",
                bit_offset=start,
                clause="C.1",
                requirement="7.1-1",
                hint="the stream needs a newer decoder, or is corrupt",
            )
        return known[value]

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        writer.value(self._dtype, int(value))

    def checked(self, value: Any, context: Any, what: str) -> Any:
        if self.values is None:
            return _within(int(value), 0, (1 << self.width) - 1, what)
        return self.values(value)


class _ExpGolomb(Descriptor):
    """Exp-Golomb codes, as in clause 9.2 of Rec. ITU-T H.265, with a bound on the value."""

    code = ""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__()
        self.minimum = minimum
        self.maximum = maximum
        self._dtype = Dtype(self.code)

    def notation(self, context: Any = None) -> str:
        return f"{self.code}(v)"

    def read(self, reader: BitReader, context: Any, what: str) -> int:
        start = reader.position
        value = int(reader.value(self._dtype, what))
        if not self.minimum <= value <= self.maximum:
            shown = value if value.bit_length() <= 64 else f"of {value.bit_length()} bits"
            raise SyntaxViolation(
                f"{what} is {shown}; it lies in {self.minimum}..{self.maximum}",
                bit_offset=start,
                clause=reader.clause,
                requirement="4.4-1",
            )
        return value

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        writer.value(self._dtype, int(value))

    def checked(self, value: Any, context: Any, what: str) -> int:
        return _within(int(value), self.minimum, self.maximum, what)


class UE(_ExpGolomb):
    """``ue(v)``: an unsigned Exp-Golomb code of at most ``maximum``, by default that of 32 bits."""

    code = "ue"

    def __init__(self, maximum: int = 2**32 - 2) -> None:
        super().__init__(0, maximum)

    def first(self, data: bytes, offset: int, clause: str, what: str) -> int:
        """Read the element that data begin with, as `read` does.

        offset : position of the data in the stream, in bits.
        clause : of the structure that it belongs to.
        """
        if primitives.COMPILED:
            with suppress(LookupError):
                value, end = primitives.read_ue(data, 0, self.maximum)
                if end <= 8 * len(data):
                    return value
        reader = BitReader(data, offset)
        reader.clause = clause
        return self.read(reader, None, what)


class SE(_ExpGolomb):
    """``se(v)``: a signed Exp-Golomb code in ``minimum..maximum``."""

    code = "se"


class F32(Descriptor):
    """``f(32)[count]``: IEEE 754 binary32 numbers, most significant byte first.

    The value is a float32 array of ``count`` items; NaN and infinities are for the constraints to refuse.
    """

    def __init__(self, count: Expression) -> None:
        super().__init__()
        self.count = count

    def notation(self, context: Any = None) -> str:
        count = self.count if context is None else evaluate(self.count, context)
        return f"f(32)[{count}]"

    def read(self, reader: BitReader, context: Any, what: str) -> Floats:
        raw = reader.array(evaluate(self.count, context), 32, what)
        return raw.astype(np.uint32).view(np.float32)

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        values = np.ascontiguousarray(value, dtype=np.float32)
        assert values.shape == (evaluate(self.count, context),)
        writer.array(values.view(np.uint32), 32)

    def checked(self, value: Any, context: Any, what: str) -> Floats:
        values = np.ascontiguousarray(value, dtype=np.float32)
        _require_count(len(values), evaluate(self.count, context), what)
        return values


class Array(Descriptor):
    """``u(n)[count]``: unsigned integers of one width (at most 63 bits), back to back; an int64 array."""

    def __init__(self, count: Expression, width: Expression) -> None:
        super().__init__()
        self.count = count
        self.width = width

    def notation(self, context: Any = None) -> str:
        if context is None:
            return f"u({self.width})[{self.count}]"
        return f"u({evaluate(self.width, context)})[{evaluate(self.count, context)}]"

    def read(self, reader: BitReader, context: Any, what: str) -> Integers:
        return reader.array(evaluate(self.count, context), evaluate(self.width, context), what)

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        values = np.asarray(value)
        assert values.shape == (evaluate(self.count, context),)
        writer.array(values, evaluate(self.width, context))

    def checked(self, value: Any, context: Any, what: str) -> Integers:
        values = np.asarray(value, dtype=np.int64)
        _require_count(len(values), evaluate(self.count, context), what)
        most = (1 << evaluate(self.width, context)) - 1
        for bound in (values.min(initial=0), values.max(initial=0)):
            _within(int(bound), 0, most, what)
        return values


class Leb128(Descriptor):
    """``leb128``: seven bits per byte, least significant group first; the top bit is 1 if more bytes follow.

    At most eight bytes; only the shortest form is valid. A value above ``maximum`` is a violation.
    """

    def __init__(self, maximum: int = 2**56 - 1) -> None:
        super().__init__()
        self.maximum = maximum

    def notation(self, context: Any = None) -> str:
        return "leb128"

    def read(self, reader: BitReader, context: Any, what: str) -> int:
        start, value = reader.position, 0
        for i in range(8):
            byte = reader.take(1, what)[0]
            value |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                if byte == 0 and i > 0:
                    break
                if value > self.maximum:
                    raise SyntaxViolation(
                        f"{what} is {value}; it lies in 0..{self.maximum}",
                        bit_offset=start,
                        clause=reader.clause,
                        requirement="4.4-1",
                    )
                return value
        raise SyntaxViolation(
            f"{what}: not the shortest leb128 code of at most eight bytes",
            bit_offset=start,
            requirement="4.4-2",
        )

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        groups = [int(value) & 0x7F]
        while (value := int(value) >> 7) > 0:
            groups.append(value & 0x7F)
        writer.take(bytes([g | 0x80 for g in groups[:-1]] + groups[-1:]))

    def checked(self, value: Any, context: Any, what: str) -> int:
        return _within(int(value), 0, self.maximum, what)


class Bytes(Descriptor):
    """``b(8 * size)``: whole bytes, at an aligned position."""

    def __init__(self, size: Expression) -> None:
        super().__init__()
        self.size = size

    def notation(self, context: Any = None) -> str:
        size = self.size if context is None else 8 * evaluate(self.size, context)
        return f"b({size})" if context is not None else f"b(8 * {size})"

    def read(self, reader: BitReader, context: Any, what: str) -> bytes:
        return reader.take(evaluate(self.size, context), what)

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        assert len(value) == evaluate(self.size, context)
        writer.take(value)

    def checked(self, value: Any, context: Any, what: str) -> bytes:
        _require_count(len(value), evaluate(self.size, context), what)
        return bytes(value)


class Rest(Descriptor):
    """``b(v)``: all bytes that are left in the unit."""

    def notation(self, context: Any = None) -> str:
        return "b(v)"

    def read(self, reader: BitReader, context: Any, what: str) -> bytes:
        return reader.take(reader.remaining // 8, what)

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        writer.take(value)

    def checked(self, value: Any, context: Any, what: str) -> bytes:
        return bytes(value)


class AlignmentBits(Descriptor):
    """``byte_alignment()``: zero bits up to the next byte; another value is a violation."""

    def notation(self, context: Any = None) -> str:
        return "z(v)"

    def read(self, reader: BitReader, context: Any, what: str) -> int:
        start = reader.position
        value = int(reader.array(1, -start % 8, what)[0]) if not reader.aligned else 0
        if value:
            raise SyntaxViolation(
                f"alignment bits are {value:#b}; they are zero",
                bit_offset=start,
                requirement="4.4-3",
            )
        return value

    def write(self, writer: BitWriter, value: Any, context: Any) -> None:
        writer.array(np.zeros(1, dtype=np.int64), -writer.position % 8)

    def checked(self, value: Any, context: Any, what: str) -> int:
        return 0


def _within(value: int, minimum: int, maximum: int, what: str) -> int:
    if not minimum <= value <= maximum:
        raise CallerError(f"{what} is {value}; it lies in {minimum}..{maximum}")
    return value


def _require_count(found: int, count: int, what: str) -> None:
    if found != count:
        raise CallerError(f"{what} has {found} entries; it needs {count}")
