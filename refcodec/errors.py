"""The errors of refcodec, by whose fault they are.

::

    DFCError
    |-- StreamError                 the stream is at fault               exit status 1
    |   |-- MalformedError          no conforming decoder accepts it
    |   |   |-- SignatureError      it is no DFC stream                  REJECT signature
    |   |   |-- TruncatedError      it ends before it should             REJECT truncated
    |   |   |-- ChecksumError       a CRC does not match                 REJECT checksum
    |   |   |-- SyntaxViolation     an element cannot be read            REJECT syntax
    |   |   |-- OrderError          the order of units is forbidden      REJECT order
    |   |   |-- ConstraintError     a value breaks a constraint          REJECT constraint
    |   |   |-- PayloadError        a payload does not decode            REJECT payload
    |   |   `-- HashError           the decoded samples are not those    REJECT hash
    |   `-- UnsupportedError        valid, but beyond this version,
    |                               profile, level or build              REJECT unsupported
    |-- CallerError                 the call is at fault                 exit status 2
    `-- EnvironmentFault            ffmpeg, the disk, the platform       exit status 2

The ``REJECT`` classes are those of Annex D; conformance vectors name the class that they expect.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CallerError",
    "ChecksumError",
    "ConstraintError",
    "DFCError",
    "EnvironmentFault",
    "HashError",
    "MalformedError",
    "OrderError",
    "PayloadError",
    "SignatureError",
    "StreamError",
    "SyntaxViolation",
    "TruncatedError",
    "UnsupportedError",
    "reject_classes",
]


class DFCError(Exception):
    """Anything that refcodec reports on purpose.

    what : the problem, in one sentence.
    hint : what to do next; may be empty.
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} ({self.hint})" if self.hint else self.what


class CallerError(DFCError, ValueError):
    """The arguments of a call cannot be served: shape, dtype, QP, an unwritable path."""


class EnvironmentFault(DFCError, RuntimeError):
    """The machine failed, not the stream and not the caller: no ffmpeg, a full disk, a time-out."""


class StreamError(DFCError):
    """The stream is at fault.

    bit_offset  : position of the offending element in the stream, in bits; None where unknown.
    clause      : the clause of the specification that the stream does not obey; that of the requirement where
                  none is given.
    requirement : the number of the requirement, ``9.2-7``; '' where it is not known.
    """

    reject: ClassVar[str] = ""

    def __init__(
        self,
        what: str,
        *,
        bit_offset: int | None = None,
        clause: str = "",
        requirement: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, hint=hint)
        self.bit_offset = bit_offset
        self.clause = clause or requirement.rpartition("-")[0]
        self.requirement = requirement

    def __str__(self) -> str:
        named = f", R{self.requirement}" if self.requirement else ""
        where = [f"clause {self.clause}{named}"] if self.clause else []
        if self.bit_offset is not None:
            where.insert(0, f"bit {self.bit_offset}, byte {self.bit_offset // 8}")
        text = f"{self.what} [{'; '.join(where)}]" if where else self.what
        return f"{text} ({self.hint})" if self.hint else text


class MalformedError(StreamError):
    """No conforming decoder accepts the stream."""


class SignatureError(MalformedError):
    """The file is not a DFC stream."""

    reject = "signature"


class TruncatedError(MalformedError):
    """The stream, a unit, or a structure in it ends before its syntax does."""

    reject = "truncated"


class ChecksumError(MalformedError):
    """A CRC does not match the bytes that it covers."""

    reject = "checksum"


class SyntaxViolation(MalformedError):
    """An element cannot be parsed, or bytes follow the last one."""

    reject = "syntax"


class OrderError(MalformedError):
    """Units are in a forbidden order (9.1), or missing."""

    reject = "order"


class ConstraintError(MalformedError):
    """An element parses, but its value breaks a constraint (clause 9, Annex A)."""

    reject = "constraint"


class PayloadError(MalformedError):
    """A payload does not decode to what the syntax announces."""

    reject = "payload"


class HashError(MalformedError):
    """The decoded samples, or the reconstruction, are not the ones that the encoder hashed."""

    reject = "hash"


class UnsupportedError(StreamError):
    """The stream may be valid, but lies beyond this version, profile, level or build."""

    reject = "unsupported"


def reject_classes() -> dict[str, type[StreamError]]:
    """The classes of Annex D: the name on a ``REJECT`` line, and the error that bears it."""
    found: dict[str, type[StreamError]] = {}
    queue: list[type[StreamError]] = [StreamError]
    for error in queue:
        queue.extend(error.__subclasses__())
        if error.reject:
            found[error.reject] = error
    return found
