"""The report on an encoder: violations, distortion and advice of each stream, and what none of them uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from refcodec.coders.protocol import Machine
from refcodec.errors import CallerError, DFCError
from refcodec.suite.encoders.advice import Advice, Adviser
from refcodec.suite.encoders.coverage import Coverage
from refcodec.suite.encoders.distortion import Distortion
from refcodec.suite.encoders.survey import Decoded, least_level, survey
from refcodec.suite.manifest import Manifest
from refcodec.validator import Report, validate

__all__ = ["Bounds", "EncoderReport", "Sources", "StreamReport", "check_stream"]

Sources = Callable[[], AbstractContextManager[Iterator[npt.NDArray[Any]]]]
"""Opens the source features of a stream."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits that the user of an encoder relies on, beyond what its streams declare.

    max_error : largest difference of a value; None for any.
    min_snr   : least SNR of a stream in dB; None for any.
    """

    max_error: float | None = None
    min_snr: float | None = None


@dataclass(slots=True)
class StreamReport:
    """The report on one stream.

    validation : findings of the strict validator; None where the file could not be read.
    distortion : None where no source was given, or the stream does not conform.
    problems   : why it does not pass, beyond violations.
    """

    file: str
    size: int = 0
    validation: Report | None = None
    distortion: Distortion | None = None
    advice: list[Advice] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True if the stream conforms and is as near to its source as it declares."""
        return bool(self.validation and self.validation.conforming) and not self.problems

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "file": self.file,
            "bytes": self.size,
            "passed": self.passed,
            "problems": self.problems,
            "validation": self.validation.as_json() if self.validation else None,
            "distortion": self.distortion.as_json() if self.distortion else None,
            "advice": [one.as_json() for one in self.advice],
        }


@dataclass(slots=True)
class EncoderReport:
    """The report on an encoder, over all the streams that it was given."""

    suite: Manifest
    streams: list[StreamReport] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def passed(self) -> bool:
        """True if there are streams, and all pass."""
        return bool(self.streams) and all(one.passed for one in self.streams)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "passed": self.passed,
            "suite": {"version": self.suite.version, "manifest_sha256": self.suite.sha256},
            "streams": [one.as_json() for one in self.streams],
            "coverage": self.coverage.as_json(self.suite),
        }


def check_stream(
    file: str,
    coverage: Coverage,
    *,
    sources: Sources | None = None,
    bounds: Bounds | None = None,
    ffmpeg: str | None = None,
) -> StreamReport:
    """Check a stream of an encoder.

    coverage : receives what the stream uses, if it conforms.
    sources  : the features that it was encoded from; None if they are not at hand.
    """
    found = StreamReport(file)
    try:
        data = Path(file).read_bytes()
        found.size = len(data)
        found.validation = validate(data, ffmpeg=ffmpeg)
    except OSError as error:
        found.problems.append(f"cannot be read: {error.strerror}")
        return found
    found.problems += [f"not verified: {why}" for why in found.validation.unverified]
    if found.validation.conforming:
        coverage.add(data)
        _look_inside(found, data, sources, bounds or Bounds(), Machine(ffmpeg))
    return found


def _look_inside(
    found: StreamReport, data: bytes, sources: Sources | None, bounds: Bounds, machine: Machine
) -> None:
    """Survey a conforming stream, beside its source if there is one."""
    adviser = Adviser()
    if sources is None:
        seen = survey(data, machine, adviser.visit, lambda one: None)
    else:
        distortion = found.distortion = Distortion()
        try:
            with sources() as originals:

                def compare(one: Decoded) -> None:
                    original = next(originals, None)
                    if original is None:
                        raise _Unlike(f"the source has {distortion.features} features only")
                    if problem := distortion.compare(one, original):
                        raise _Unlike(problem)

                seen = survey(data, machine, adviser.visit, compare)
                if next(originals, None) is not None:
                    raise _Unlike(f"the source has more than {distortion.features} features")
        except _Unlike as error:
            found.problems.append(error.what)
            seen = survey(data, machine, adviser.visit, lambda one: None)
        except DFCError as error:
            found.problems.append(str(error))
            return
        found.problems += _judged(distortion, bounds)
        if distortion.farther:
            found.advice.append(
                Advice(
                    "8.6",
                    None,
                    f"{distortion.farther:,} of {distortion.values:,} values are not at the "
                    "level of their quantiser that fits best",
                )
            )
    found.advice += adviser.advise(seen, least_level(data, seen.header))


class _Unlike(CallerError):
    """A stream and its source cannot be compared."""


def _judged(distortion: Distortion, bounds: Bounds) -> Iterator[str]:
    """The ways in which a stream is farther from its source than it may be."""
    if distortion.not_exact:
        numbers = ", ".join(map(str, distortion.not_exact))
        yield f"declared lossless, and features {numbers} are not the source bit for bit"
    if bounds.max_error is not None and not distortion.max_error <= bounds.max_error:
        yield f"the largest error is {distortion.max_error:g}, above {bounds.max_error:g}"
    if bounds.min_snr is not None and not distortion.snr >= bounds.min_snr:
        yield f"the SNR is {distortion.snr:.2f} dB, below {bounds.min_snr:g} dB"
