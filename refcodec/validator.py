"""The strict validator: every violation of the specification that can be found in a stream.

It reads a stream as the reader does, but collects errors instead of raising the first. It also checks what a
decoder may ignore: reserved bits, the index, the headers inside video payloads (``stream.strict``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from refcodec.asked import asked_level, asked_machine
from refcodec.coders.protocol import Machine
from refcodec.decoder import Sequences, decode_window
from refcodec.errors import DFCError, StreamError
from refcodec.sources import Anything, Front, byte_source
from refcodec.stream.limits import check_level
from refcodec.stream.order import another_follows
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.strict import StrictWalk
from refcodec.stream.versions import check_version
from refcodec.stream.walk import coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header
from refcodec.tables import HIGHEST_LEVEL, clause_titles

__all__ = ["Report", "validate"]

_MOST = 1000
"""Most violations in a report; it says so if there are more."""


@dataclass
class Report:
    """Findings of the validator.

    violations  : in stream order.
    features    : number of features in the stream, as far as it could be read.
    units       : number of units.
    unverified  : what could not be checked, and why; a stream with such an entry is not known to conform.
    """

    violations: list[StreamError] = field(default_factory=list)
    features: int = 0
    units: int = 0
    unverified: list[str] = field(default_factory=list)

    @property
    def conforming(self) -> bool:
        """True if no violation was found and nothing was left unverified."""
        return not self.violations and not self.unverified

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        titles = clause_titles()
        return {
            "conforming": self.conforming,
            "features": self.features,
            "units": self.units,
            "unverified": self.unverified,
            "violations": [
                {
                    "class": error.reject,
                    "bit_offset": error.bit_offset,
                    "clause": error.clause,
                    "clause_title": titles.get(error.clause, ""),
                    "requirement": error.requirement,
                    "what": error.what,
                    "hint": error.hint,
                }
                for error in self.violations
            ],
        }


def validate(
    source: Anything,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
    models: Any = None,
) -> Report:
    """Check a stream against every clause: a path, bytes, a buffer of bytes, or a binary file object.

    models : entropy models that the stream names without holding them, as of `open_stream`.

    Returns a report; for a source that is no DFC stream, that is the violation. Raises CallerError for a
    source that cannot be read.
    """
    level = asked_level(max_level)
    machine = asked_machine(ffmpeg, timeout, models, source)
    with byte_source(source) as file:
        return _validate(file, level, machine)


def _validate(source: Front, max_level: int, machine: Machine) -> Report:
    report = Report()
    faults: Counter[str] = Counter()  # features that the machine could not decode, by its error

    def found(error: StreamError) -> None:
        if len(report.violations) < _MOST:
            report.violations.append(error)
        elif (note := f"more than {_MOST} violations") not in report.unverified:
            report.unverified.append(note)

    def failed(unit: CodedUnit, error: DFCError) -> None:
        if isinstance(error, StreamError):
            found(error)
        else:
            faults[str(error)] += len(unit.payloads)

    try:
        header = parse_stream_header(source.read_whole(STREAM_HEADER_SIZE))
    except StreamError as error:
        found(error)
        return report
    for violation in (*check_level(header, max_level), *check_version(header)):
        found(violation)
    if any(one.reject == "unsupported" for one in report.violations):
        return report
    walk = StrictWalk(header)
    sequences: Sequences = {}
    for window in windows_of(coded_units(walk, source, found)):
        for _ in decode_window(window, machine, sequences, failed):
            pass
    if walk.following is not None:
        found(another_follows(walk.following))
    if walk.unchecked:
        report.unverified.append("features that depend on faulty units were not decoded")
    report.unverified += [f"samples of {count} features: {text}" for text, count in faults.items()]
    report.features, report.units = walk.feature_count, walk.unit_count
    report.violations.sort(key=lambda error: error.bit_offset or 0)
    return report
