"""The protocol of payload coders: integer samples to payload bytes and back (clause 8.3).

A coder is a module with a ``PAYLOAD_CODER``, an instance of :class:`PayloadCoder`; the record of
``registry`` names the module. Checks are generators of errors: a decoder raises the first, a validator
collects them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import StreamError
from refcodec.probability.store import ModelReference, ModelStore
from refcodec.syntax.bits import Elements, Trace
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet
from refcodec.tables import Level

__all__ = [
    "BatchPayloads",
    "BatchPlace",
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

    ffmpeg  : program for video; None for the bundled one.
    workers : threads, or ffmpeg processes, at a time.
    timeout : seconds for one run of ffmpeg; None for a bound that grows with its work, up to an hour.
    models  : where models are found that a stream names without holding them.
    """

    ffmpeg: str | None = None
    workers: int = 1
    timeout: float | None = None
    models: ModelStore = field(default_factory=ModelStore)

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
    model        : model of the parameter set, where it names one.
    place        : of a payload in a batch, by a coder with a model: which of the batch it is.
    substreams   : sizes of all substreams of ``data`` but the last; () where there is one.
    contexts     : context model of the parameter set, where it names one.
    """

    fps: FeatureParameterSet
    parameters: FeatureParameters
    sample_hash: bytes
    access_point: bool
    data: bytes
    bit_offset: int = 0
    model: ModelReference | None = None
    place: BatchPlace | None = None
    substreams: tuple[int, ...] = ()
    contexts: ModelReference | None = None


class BatchPlace(NamedTuple):
    """Which payload of a batch it is: the first is 0.

    features : number of features of the batch.
    joint    : true if ``data`` are those of the whole batch, which is decoded as one.
    """

    number: int
    features: int
    joint: bool


class BatchPayloads(Sequence[Payload]):
    """The payloads of a batch whose features have everything else in common; made when they are asked for.

    fps, parameters, model : of all features.
    data   : all payloads, one after the other.
    ends   : where each of them ends in ``data``; None for a joint batch.
    """

    def __init__(
        self,
        first: Payload,
        features: int,
        ends: npt.NDArray[np.int64] | None,
        hashes: bytes,
    ) -> None:
        """Divide ``first``, which has the data of the whole batch.

        features : their number.
        hashes   : sample hashes of the features, one after the other.
        """
        self.fps, self.parameters, self.model = first.fps, first.parameters, first.model
        self.data, self.bit_offset = first.data, first.bit_offset
        self.ends = ends
        self._first, self._features, self._hashes = first, features, hashes

    def __len__(self) -> int:
        return self._features

    @overload
    def __getitem__(self, number: int) -> Payload: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Payload]: ...

    def __getitem__(self, number: int | slice) -> Payload | Sequence[Payload]:
        if isinstance(number, slice):
            return [self._at(i) for i in range(self._features)[number]]
        return self._at(range(self._features)[number])

    def _at(self, number: int) -> Payload:
        """A payload by its number, 0 to N - 1."""
        size = self.fps.sample_hash_size
        start, stop = 0, len(self.data)
        if self.ends is not None:
            start, stop = int(self.ends[number - 1]) if number else 0, int(self.ends[number])
        return replace(
            self._first,
            sample_hash=self._hashes[number * size : (number + 1) * size],
            data=self.data[start:stop],
            bit_offset=self.bit_offset + 8 * start,
            place=BatchPlace(number, self._features, self.ends is None),
        )


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
    substreams   : as of a :class:`Payload`.
    latents      : of a feature under a hyperprior: what a joint payload is made of.
    """

    data: bytes
    samples: Samples
    access_point: bool = True
    substreams: tuple[int, ...] = ()
    latents: Any = None


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
        self, fps: FeatureParameterSet, limits: Level, trace: Elements
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

    def decode_unit(
        self, payloads: Sequence[Payload], machine: Machine
    ) -> npt.NDArray[np.int32] | None:
        """Decode the features of a batch at once, N x C x H x W; None for a coder that decodes one by one."""
        return None

    def decode_channels(
        self, payload: Payload, machine: Machine, channels: range
    ) -> tuple[Samples, int] | None:
        """Decode some channels of a feature without the others, where the payload allows it.

        Returns samples of consecutive channels, those asked for among them, and the number of the first;
        None where all have to be decoded.
        """
        return None

    @abstractmethod
    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        """Code consecutive features of one parameter set; the first becomes an access point.

        Raises EnvironmentFault if another program fails.
        """
