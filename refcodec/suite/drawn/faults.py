"""Invalid streams: one edit of a drawn stream each, whose class, clause and place both judges agree on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from refcodec.errors import ChecksumError, DFCError, EnvironmentFault, StreamError
from refcodec.inspector import inspect_units
from refcodec.suite.agreement import Verdicts, judge
from refcodec.suite.assemble import Edit, Piece, disassemble
from refcodec.suite.make.mutations import draw_edit
from refcodec.suite.manifest import Violation
from refcodec.syntax.codes import UnitType

__all__ = ["Fault", "Seen", "draw_fault", "require_agreement"]

_ATTEMPTS = 60
_CANDIDATES = 8
"""Edits of which the one with the rarest fault is taken."""

Seen = Counter[tuple[str, str, str]]
"""Number of faults so far by class, clause and element."""


@dataclass(frozen=True)
class Fault:
    """A stream with one violation.

    optional : true if a decoder need not detect it.
    what     : the violation in words.
    """

    stream: bytes
    edit: Edit
    violation: Violation
    optional: bool
    what: str


def draw_fault(
    origin: bytes, seed: str, donors: Sequence[bytes], seen: Seen, *, ffmpeg: str | None = None
) -> Fault | None:
    """Draw edits until some break one clause each, and take the rarest; None where none does.

    seed : names the choices.
    seen : faults so far, to which this one is added.

    Raises DFCError where decoder and validator disagree.
    """
    chance = random.Random(seed)
    pieces, found = disassemble(origin), list[Fault]()
    for _ in range(_ATTEMPTS):
        try:
            edit = draw_edit(pieces, chance, donors)
            stream = edit(origin)
        except (StreamError, AssertionError, IndexError, ValueError):
            continue  # nothing to edit, or bits that make no whole bytes
        try:
            verdicts = judge(stream, ffmpeg=ffmpeg)
        except EnvironmentFault:
            continue  # features under an entropy model that nobody has
        require_agreement(verdicts, seed)
        fault = _fault(stream, edit, verdicts, pieces)
        if fault is not None:
            found.append(fault)
        if len(found) == _CANDIDATES:
            break
    if not found:
        return None
    rarest = min(found, key=lambda one: (seen[_kind(one)], len(one.stream)))
    seen[_kind(rarest)] += 1
    return rarest


def require_agreement(verdicts: Verdicts, seed: str) -> None:
    """Raise DFCError, with the seed, where decoder and validator disagree."""
    for one in verdicts.disagreements:
        raise DFCError(
            f"{seed}: {one}", hint="this is a defect of refcodec: report it with the seed"
        )


def _fault(stream: bytes, edit: Edit, verdicts: Verdicts, pieces: Sequence[Piece]) -> Fault | None:
    """The fault of a stream, if it has one violation, of which both judges say the same.

    pieces : of the stream before the edit.
    """
    if len(verdicts.report.violations) != 1:
        return None
    (error,) = verdicts.report.violations
    refusal = verdicts.decoded
    if isinstance(refusal, StreamError) and (
        (refusal.reject, refusal.clause, refusal.bit_offset)
        != (error.reject, error.clause, error.bit_offset)
    ):
        return None
    if error.bit_offset is None:
        return None
    violation = Violation(error.reject, error.clause, error.bit_offset)
    unit = "" if error.reject == ChecksumError.reject else _inside(stream, error.bit_offset)
    passed = unit in _PASSED
    if passed and not _may_be_passed_over(pieces, edit):
        return None  # other violations may be waiting for a decoder that does not parse this unit
    if unit and getattr(edit, "element", "") == "unit.unit_type":
        return None  # so may that of its order
    optional = passed or not isinstance(refusal, StreamError)
    return Fault(stream, edit, violation, optional, error.what)


_PASSED = (UnitType.METADATA.name.lower(), UnitType.INDEX.name.lower())
""""A decoder may pass over metadata units and index units without parsing them" (8.2)."""


def _may_be_passed_over(pieces: Sequence[Piece], edit: Edit) -> bool:
    """True for an edit of the payload alone of a metadata or index unit."""
    at, element = getattr(edit, "unit", None), getattr(edit, "element", "")
    if at is None or element.startswith("unit."):
        return False
    return any(one.path.partition(".")[0] in _PASSED for one in pieces[at].fields)


def _inside(stream: bytes, place: int) -> str:
    """The name of the unit whose payload or CRC holds a bit; '' where none does."""
    with suppress(StreamError):  # without a header there is no unit
        for unit in inspect_units(stream):
            sizes = [one for one in unit.elements if one.path == "unit.unit_size"]
            if sizes and sizes[0].offset + sizes[0].width <= place < unit.offset + 8 * unit.size:
                return unit.name
    return ""


def _kind(fault: Fault) -> tuple[str, str, str]:
    element = getattr(fault.edit, "element", type(fault.edit).__name__)
    return fault.violation.reject, fault.violation.clause, element
