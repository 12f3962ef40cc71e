"""The protocol of payload coders: integer samples to payload bytes and back (clause 8.3).

A coder is a module with a ``PAYLOAD_CODER``, an instance of :class:`PayloadCoder`; the record of
``registry`` names the module. Checks are generators of errors: a decoder raises the first, a validator
collects them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import StreamError
from refcodec.syntax.bits import Trace
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet
from refcodec.tables import Level

__all__ = [
    "Coded",
    "Encoded",
    "Job",
    "Machine",
    "Payload",
    "PayloadCoder",
    "Reference",
    "Samples",
    "Violations",
]

_LONGEST_RUN = 3600.0
"""Seconds of one run of ffmpeg at most, unless the caller allows more."""

Samples = npt.NDArray[np.int32]
Violations = Iterator[StreamError]


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of the machine; no effect on what a payload decodes to.

    ffmpeg  : program for HEVC; None for the bundled one.
    workers : threads, or ffmpeg processes, at a time.
    timeout : seconds for one run of ffmpeg; None for a bound that grows with its work, up to an hour.
    """

    ffmpeg: str | None = None
    workers: int = 1
    timeout: float | None = None

    def seconds(self, samples: int) -> float:
        """The time-out of a run over that many samples."""
        if self.timeout is not None:
            return self.timeout
        return min(60.0 + samples / 20_000, _LONGEST_RUN)


@dataclass(frozen=True, slots=True)
class Payload:
    """The payload of one feature, with everything needed to decode it.

    fps          : feature parameter set that its coded unit refers to.
    parameters   : feature_parameters() of its unit, with the feature's own ranges.
    sample_hash  : leading bytes of the SHA-256 of its samples; may be empty.
    access_point : true if decoding can begin here.
    data         : coded samples.
    bit_offset   : position of the payload in the stream, in bits.
    """

    fps: FeatureParameterSet
    parameters: FeatureParameters
    sample_hash: bytes
    access_point: bool
    data: bytes
    bit_offset: int = 0


class Reference(NamedTuple):
    """The preceding feature of a sequence: its samples, int32, C x H x W, and its parameters."""

    samples: Samples
    parameters: FeatureParameters


@dataclass(frozen=True, slots=True)
class Job:
    """One feature to code.

    samples    : after rounding, int32, C x H x W.
    exact      : before rounding, float64, C x H x W; None if there is nothing but rounded samples.
    parameters : feature_parameters() that will be signalled.
    advice     : hints of the caller on the feature, for coders that use them.
    """

    samples: Samples
    exact: npt.NDArray[np.float64] | None
    parameters: FeatureParameters
    advice: Any = None


@dataclass(frozen=True, slots=True)
class Coded:
    """One feature, coded.

    data         : its payload.
    samples      : decoded samples, int32, C x H x W.
    access_point : true if decoding can begin here.
    """

    data: bytes
    samples: Samples
    access_point: bool = True


@dataclass(frozen=True, slots=True)
class Encoded:
    """Consecutive features of one parameter set, coded.

    features       : one per job, in order.
    parameter_sets : HEVC parameter sets, for the feature parameter set.
    """

    features: list[Coded]
    parameter_sets: bytes = b""


class PayloadCoder(ABC):
    """The interface of a payload coder."""

    def check_parameter_set(
        self, fps: FeatureParameterSet, limits: Level, trace: Trace
    ) -> Violations:
        """Yield violations of the constraints on parameter sets of this coder."""
        return iter(())

    def check_payload(self, payload: Payload) -> Violations:
        """Yield violations inside a payload that a decoder need not detect."""
        return iter(())

    def show_parameter_set(self, fps: FeatureParameterSet, trace: Trace) -> None:  # noqa: B027
        """Add elements inside a parameter set, the last element of ``trace``, to it. Raises StreamError."""

    def show_payload(self, payload: Payload, trace: Trace) -> None:  # noqa: B027
        """Add elements inside a payload, the last element of ``trace``, to it. Raises StreamError."""

    def label_payload(self, payload: Payload) -> Iterator[str]:
        """Yield labels of the tools that a payload uses, such as ``native:blocks-16``."""
        return iter(())

    @abstractmethod
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        """(8.3) Decode consecutive features of one parameter set.

        previous : the preceding feature, for coders that resume; if None, the first feature of the run is an
                   access point.

        Yields int32 samples, C x H x W. Raises PayloadError, SyntaxViolation or ConstraintError with the
        position of the payload; EnvironmentFault if another program fails.
        """

    @abstractmethod
    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        """Code consecutive features of one parameter set; the first becomes an access point.

        Raises EnvironmentFault if another program fails.
        """
