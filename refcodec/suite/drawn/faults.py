"""Invalid streams: one edit of a drawn stream each, whose class, clause and place both judges agree on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from refcodec.errors import DFCError, StreamError
from refcodec.suite.agreement import Verdicts, judge
from refcodec.suite.assemble import Edit, disassemble
from refcodec.suite.manifest import Violation
from refcodec.suite.mutations import draw_edit

__all__ = ["Fault", "Seen", "draw_fault", "require_agreement"]

_ATTEMPTS = 60
_CANDIDATES = 8
"""Edits of which the one with the rarest fault is taken."""

Seen = Counter[tuple[str, str, str]]
"""Number of faults so far by class, clause and element."""


@dataclass(frozen=True)
class Fault:
    """A stream with one violation.

    noticed : false for one that a decoder need not detect.
    what    : the violation in words.
    """

    stream: bytes
    edit: Edit
    violation: Violation
    noticed: bool
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
        verdicts = judge(stream, ffmpeg=ffmpeg)
        require_agreement(verdicts, seed)
        fault = _fault(stream, edit, verdicts)
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


def _fault(stream: bytes, edit: Edit, verdicts: Verdicts) -> Fault | None:
    """The fault of a stream, if it has one violation, of which both judges say the same."""
    if len(verdicts.report.violations) != 1:
        return None
    (error,) = verdicts.report.violations
    refusal = verdicts.decoded
    noticed = isinstance(refusal, StreamError)
    if isinstance(refusal, StreamError) and (
        (refusal.reject, refusal.clause, refusal.bit_offset)
        != (error.reject, error.clause, error.bit_offset)
    ):
        return None
    if error.bit_offset is None:
        return None
    violation = Violation(error.reject, error.clause, error.bit_offset)
    return Fault(stream, edit, violation, noticed, error.what)


def _kind(fault: Fault) -> tuple[str, str, str]:
    element = getattr(fault.edit, "element", type(fault.edit).__name__)
    return fault.violation.reject, fault.violation.clause, element
