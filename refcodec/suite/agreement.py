"""Agreement of the decoder and the validator on a stream: two judges that share a grammar, not a verdict."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

from refcodec.errors import StreamError
from refcodec.reader import open_stream
from refcodec.suite.manifest import load_manifest
from refcodec.tables import HIGHEST_LEVEL
from refcodec.validator import Report, validate

__all__ = ["Verdicts", "disagreements", "judge", "unnoticed"]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on a stream.

    decoded : number of features, or the error for which the decoder refuses the stream.
    """

    report: Report
    decoded: int | StreamError

    @property
    def disagreements(self) -> list[str]:
        """Contradictions between the two; none where all is well."""
        return disagreements(self.report, self.decoded)


def judge(stream: bytes, *, max_level: int = HIGHEST_LEVEL, ffmpeg: str | None = None) -> Verdicts:
    """Validate a stream, and decode it as from a pipe. Raises EnvironmentFault."""
    report = validate(stream, max_level=max_level, ffmpeg=ffmpeg)
    decoded: int | StreamError = 0
    try:
        with open_stream(io.BytesIO(stream), max_level=max_level, ffmpeg=ffmpeg) as reader:
            decoded = sum(1 for _ in reader)
    except StreamError as error:
        decoded = error
    return Verdicts(report, decoded)


def disagreements(report: Report, decoded: int | StreamError) -> list[str]:
    """Contradictions between a report and a decoder's result: a number of features, or its error."""
    found = [(one.reject, one.bit_offset) for one in report.violations]
    if isinstance(decoded, StreamError):
        if not found:
            return [f"validator: nothing wrong; decoder: {decoded}"]
        whole = not report.unverified  # nothing was left out for the sake of another error
        if whole and (decoded.reject, decoded.bit_offset) not in found:
            return [f"the decoder's error is none of the validator's: {decoded}"]
        return []
    noticed = [one for one in report.violations if (one.reject, one.clause) not in unnoticed()]
    if noticed:
        return [f"decoder: nothing wrong; validator: {noticed[0]}"]
    if report.conforming and report.features != decoded:
        return [f"the validator counts {report.features} features of {decoded}"]
    return []


@cache
def unnoticed() -> frozenset[tuple[str, str]]:
    """Classes and clauses of defects that a decoder need not notice: those of the suite's vectors."""
    return frozenset(
        (one.violation.reject, one.violation.clause)
        for one in load_manifest().vectors
        if one.violation is not None and one.decoder != "reject"
    )
