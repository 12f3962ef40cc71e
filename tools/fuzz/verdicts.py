"""Verdict on one input: what decoder, validator and inspector make of it, and what that costs."""

from __future__ import annotations

import io
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from memory import peak, reset_peak

import refcodec
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.hashes import little_endian_bytes
from refcodec.suite.agreement import disagreements
from refcodec.tables import levels

__all__ = ["HIGHEST", "SECONDS", "Verdict", "judge", "memory_budget"]

HIGHEST = 2
"""Highest level of inputs; streams of higher ones are refused before they cost anything."""

SECONDS = {1: 20.0, 2: 120.0, 3: 1800.0, 4: 28800.0}
"""Seconds that an input may take, by level; more are a hang."""

_BESIDES = 64 << 20
"""Bytes that interpreter and libraries may take beside what a level explains."""

_WINDOW = 1 << 22
"""Samples that are decoded together; see ``refcodec.stream.windows``."""

_BYTES_PER_ELEMENT = 20
"""Output of 4 bytes, and 16 beyond (Annex G)."""

_MOST_ITEMS = 6


@dataclass
class Verdict:
    """Findings about an input, and what it cost.

    findings : one line each; none where all is well.
    seconds  : of the three passes together.
    peak     : most bytes beyond those at the start.
    refused  : class of Annex D where the decoder refused it.
    """

    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak: int = 0
    refused: str = ""


def memory_budget(size: int, level: int) -> int:
    """Bytes that an input of that size may take."""
    samples = levels()[level].max_elements + _WINDOW
    return _BESIDES + 8 * size + _BYTES_PER_ELEMENT * samples


def judge(stream: bytes, highest: int = HIGHEST) -> Verdict:
    """Decode, validate and inspect a stream; compare what they say."""
    verdict = Verdict()
    base, start = reset_peak(), time.perf_counter()

    def attempt(what: str, call: Callable[[], Any]) -> Any:
        """The result of a call, or the error that it may raise; another one is a finding."""
        try:
            return call()
        except (StreamError, EnvironmentFault) as error:
            return error
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
            verdict.findings.append(f"{what}: {type(error).__name__} at {place}: {error}")
            return None

    report = attempt("validate", lambda: refcodec.validate(stream, max_level=highest))
    decoded = attempt("decode", lambda: _decode(stream, highest))
    attempt("inspect", lambda: refcodec.inspect(stream))
    if isinstance(decoded, StreamError):
        verdict.refused = decoded.reject
    if isinstance(report, refcodec.Report) and decoded is not None:
        if isinstance(decoded, (list, StreamError)):
            result = len(decoded) if isinstance(decoded, list) else decoded
            verdict.findings += disagreements(report, result)
        wanted = decoded if isinstance(decoded, list) else None
        items = attempt("by number", lambda: _differences(stream, highest, wanted))
        if report.conforming and wanted is not None and items:
            verdict.findings.append(f"by number: {items}")
    verdict.seconds, verdict.peak = time.perf_counter() - start, max(0, peak() - base)
    if verdict.peak > (budget := memory_budget(len(stream), highest)):
        verdict.findings.append(f"memory: {verdict.peak} bytes; {budget} are allowed")
    if verdict.seconds > SECONDS[highest]:
        verdict.findings.append(f"time: {verdict.seconds:.1f} s")
    return verdict


def _decode(stream: bytes, highest: int) -> list[int]:
    """A number for each feature: equal ones are equal bit by bit, but for chance."""
    with refcodec.open(io.BytesIO(stream), max_level=highest) as reader:
        return [_fingerprint(feature) for feature in reader]


def _fingerprint(feature: npt.NDArray[Any]) -> int:
    return hash((feature.shape, str(feature.dtype), little_endian_bytes(feature)))


def _differences(stream: bytes, highest: int, wanted: list[int] | None) -> str:
    """Compare some features by number with those in order; '' where they are the same."""
    with refcodec.open(io.BytesIO(stream), max_level=highest) as reader:
        count = len(reader)
        if wanted is not None and count != len(wanted):
            return f"{count} features, {len(wanted)} in order"
        for number in range(0, count, max(1, count // _MOST_ITEMS)):
            feature = reader[number]
            if wanted is not None and _fingerprint(feature) != wanted[number]:
                return f"feature {number} is another one in order"
    return ""
