"""Reading: the features of a stream in order or by number.

with refcodec.open("features.dfc") as r:
    len(r), r[17], r.parameters, r.metadata
    for feature in r: ...
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy.typing as npt

from refcodec.coders.protocol import Machine, Violations
from refcodec.decoder import DecodedUnit, Sequences, check_unit_hashes, decode_window
from refcodec.errors import CallerError
from refcodec.files import StreamWindow, storage_error
from refcodec.stream.arriving import Arriving, windows_at_hand
from refcodec.stream.directory import Directory
from refcodec.stream.limits import check_level
from refcodec.stream.parsing import CodedUnit, UnitHash
from refcodec.stream.walk import Walk, arriving_units, coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.structures import STREAM_HEADER_SIZE, FeatureParameterSet
from refcodec.syntax.units import ByteSource, parse_stream_header
from refcodec.tables import HIGHEST_LEVEL

__all__ = ["Reader", "decode", "open_stream"]

Feature = npt.NDArray[Any]


class _PipeError(CallerError, TypeError):
    """A pipe was asked for what needs seeking; ``list()`` understands it as 'no length known'."""


class Reader:
    """The features of a stream, in order or by number.

    ``len(r)``, ``r[k]``, ``for f in r``; ``r.parameters`` lists the feature parameter sets,
    ``r.metadata`` holds the text stored with them. A source that cannot seek serves iteration only.

    Iteration passes over every unit, checks all of them and needs no index; ``r[k]`` reads what feature
    k needs. Both raise StreamError where the stream is at fault.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        max_level: int = HIGHEST_LEVEL,
        ffmpeg: str | None = None,
        timeout: float | None = None,
        owns: bool = False,
    ) -> None:
        self._source = source
        self._owns = owns
        self._machine = Machine(ffmpeg=ffmpeg, timeout=timeout)
        self._last: tuple[int, CodedUnit] | None = None  # the unit read last, by its entry
        self._sequence: dict[int, DecodedUnit] = {}  # units of the sequence decoded last, by entry
        self._arriving = None if source.seekable() else Arriving(source)
        self.header = parse_stream_header(_read_header(self._arriving or source))
        """The stream header: version, profile_idc, level_idc."""
        for error in check_level(self.header, max_level):
            raise error
        self._pipe = Walk(self.header) if self._arriving else None
        self._exhausted = False
        self._start = 0 if self._pipe else source.tell() - STREAM_HEADER_SIZE

    # -- looking around

    @property
    def parameters(self) -> list[FeatureParameterSet]:
        """The feature parameter sets in force at the end, by their ids; of a pipe, those in force so far."""
        return [fps for _, fps in sorted(self._walk.parameter_sets.items())]

    @property
    def metadata(self) -> dict[str, str]:
        """Text stored in the stream, by key; of a pipe, what was met so far."""
        return dict(self._walk.metadata)

    def __len__(self) -> int:
        return int(self._directory.first[-1])

    @property
    def _walk(self) -> Walk:
        return self._pipe or self._directory.walk

    @cached_property
    def _directory(self) -> Directory:
        if self._pipe:
            raise _PipeError(
                "this source cannot seek: it serves iteration only",
                hint="write the pipe to a file first",
            )
        return Directory.of(StreamWindow(self._source, self._start), self.header)

    # -- features in order

    def __iter__(self) -> Iterator[Feature]:
        if self._arriving is not None and self._pipe is not None:
            yield from self._as_they_come(self._arriving, self._pipe)
            return
        stream = StreamWindow(self._source, self._start, STREAM_HEADER_SIZE)
        sequences: Sequences = {}
        for window in windows_of(coded_units(Walk(self.header), stream)):
            for unit in decode_window(window, self._machine, sequences):
                yield from unit.features

    def _as_they_come(self, source: Arriving, walk: Walk) -> Iterator[Feature]:
        """The features of a pipe, each as soon as its unit is whole."""
        if self._exhausted:
            raise CallerError("a pipe can be read once", hint="write it to a file first")
        self._exhausted = True
        released = _Released(source.holds_unit)
        sequences: Sequences = {}
        for window in windows_at_hand(arriving_units(walk, source, arrival=released)):
            for unit in decode_window(window, self._machine, sequences):
                released.last = unit
                yield from unit.features

    # -- features by number

    def __getitem__(self, number: int) -> Feature:
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"feature {number} of {len(self)}")
        first = self._directory.first
        entry = bisect_right(first, number) - 1
        unit = self._unit(entry)
        if unit.fps.temporal_prediction_flag:
            return self._of_sequence(entry).features[0].copy()
        alone = replace(unit, payloads=(unit.payloads[number - int(first[entry])],))
        (decoded,) = decode_window([alone], self._machine, {})
        return decoded.features[0]

    def _unit(self, entry: int) -> CodedUnit:
        """A coded unit, which is kept until another one is asked for."""
        if self._last is None or self._last[0] != entry:
            self._last = entry, self._directory.unit(entry)
        return self._last[1]

    def _of_sequence(self, entry: int) -> DecodedUnit:
        """A unit of a sequence, which is decoded as a whole and kept until another one is."""
        if entry not in self._sequence:
            run = self._sequence_around(entry)
            decoded = decode_window(list(run.values()), self._machine, {})
            self._sequence = dict(zip(run, decoded, strict=True))
        return self._sequence[entry]

    def _sequence_around(self, entry: int) -> dict[int, CodedUnit]:
        """Units from the access point that a unit needs up to the next one, by their entries."""
        directory = self._directory
        unit = self._unit(entry)
        run, fps = {entry: unit}, unit.fps

        def others(entries: range) -> Iterator[tuple[int, CodedUnit]]:
            for other in entries:
                found = directory.unit(other)
                if found.fps.fps_id == fps.fps_id:
                    if found.fps != fps:  # another parameter set replaces this one, or was replaced
                        return
                    yield other, found

        if not unit.access_point:
            for other, found in others(range(entry - 1, -1, -1)):
                run = {other: found, **run}
                if found.access_point:
                    break
        for other, found in others(range(entry + 1, len(directory.offsets))):
            if found.access_point or len(run) == directory.walk.limits.max_sequence_length:
                break
            run[other] = found
        return run

    # -- closing

    def close(self) -> None:
        """Close the file, if this reader opened it."""
        if self._owns:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Released:
    """The last unit that was yielded of a stream that is still arriving.

    ready : tells whether the next unit is there.
    """

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready
        self.last: DecodedUnit | None = None

    def check_late(self, one: UnitHash) -> Violations:
        """Check a hash unit that came after its features were yielded."""
        assert self.last is not None
        return check_unit_hashes([one], self.last.samples, self.last.features)


def _read_header(source: ByteSource) -> bytes:
    data = b""
    while len(data) < STREAM_HEADER_SIZE and (more := source.read(STREAM_HEADER_SIZE - len(data))):
        data += more
    return data


def open_stream(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
) -> Reader:
    """Open a DFC file, or a binary file object, for reading.

    max_level : highest level to accept; bounds the memory that a stream can ask for.
    ffmpeg    : program that decodes HEVC payloads; None for the bundled one.
    timeout   : seconds for one run of it; None for a bound that grows with the work.

    Raises StreamError where the stream is at fault, CallerError where the path is.
    """
    if not isinstance(source, (str, os.PathLike)):
        return Reader(source, max_level=max_level, ffmpeg=ffmpeg, timeout=timeout)
    try:
        file = open(source, "rb")  # noqa: SIM115 - the reader closes it
    except OSError as error:
        raise storage_error(error, source) from None
    try:
        return Reader(file, max_level=max_level, ffmpeg=ffmpeg, timeout=timeout, owns=True)
    except BaseException:
        file.close()
        raise


def decode(
    data: bytes,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
) -> Feature:
    """Decode a stream of one feature.

    Returns an array of the feature's own shape and type (float32, float16, or ``ml_dtypes.bfloat16``):
    C x H x W for conv and pool, D for fc.

    Raises StreamError where the stream is at fault; CallerError where it does not hold one feature.
    """
    reader = Reader(io.BytesIO(data), max_level=max_level, ffmpeg=ffmpeg, timeout=timeout)
    features = iter(reader)
    first = next(features, None)
    if first is None or next(features, None) is not None:
        count = "no feature" if first is None else "several features"
        raise CallerError(f"the stream holds {count}", hint="use refcodec.open")
    return first
