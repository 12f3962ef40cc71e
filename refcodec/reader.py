"""Reading: the features of a stream in order or by number.

with refcodec.open("features.dfc") as r:
    len(r), r[17], r.parameters, r.metadata
    for feature in r: ...
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy.typing as npt

from refcodec.coders import Machine
from refcodec.constraints import check_stream_header
from refcodec.decoder import (
    RUN_SAMPLES,
    CodedUnit,
    Walker,
    decode_units,
    decoded_size,
    raise_first,
    walk,
)
from refcodec.directory import Directory, StreamWindow
from refcodec.errors import CallerError
from refcodec.files import storage_error
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header
from refcodec.tables import HIGHEST_LEVEL

__all__ = ["Reader", "decode", "open_stream"]

Feature = npt.NDArray[Any]

_WINDOW_UNITS = 1024
"""Coded units decoded at a time at most; their samples are bounded by ``RUN_SAMPLES``."""


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
        self._decoded: dict[int, Feature] = {}  # of the sequence decoded last, by entry
        self.header = parse_stream_header(_read_header(source))
        """The stream header: version, profile_idc, level_idc."""
        raise_first(check_stream_header(self.header, max_level))
        self._pipe = None if source.seekable() else Walker(self.header)
        self._exhausted = False
        self._start = 0 if self._pipe else source.tell() - STREAM_HEADER_SIZE

    # -- looking around

    @property
    def parameters(self) -> list[Any]:
        """The feature parameter sets in the order of their ids; of a pipe, those met so far."""
        return [fps for _, fps in sorted(self._walker.parameter_sets.items())]

    @property
    def metadata(self) -> dict[str, str]:
        """Text stored in the stream, by key; of a pipe, what was met so far."""
        return dict(self._walker.metadata)

    def __len__(self) -> int:
        return int(self._directory.first[-1])

    @property
    def _walker(self) -> Walker:
        return self._pipe or self._directory.walker

    @cached_property
    def _directory(self) -> Directory:
        if self._pipe:
            raise _PipeError(
                "this source cannot seek: it serves iteration only",
                hint="write the pipe to a file first",
            )
        return Directory.of(StreamWindow(self._source, self._start), self.header)

    # -- features

    def __iter__(self) -> Iterator[Feature]:
        before: dict[int, list[CodedUnit]] = {}
        for window in _windows(self._units()):
            yield from self._decode_window(window, before)

    def __getitem__(self, number: int) -> Feature:
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"feature {number} of {len(self)}")
        first = self._directory.first
        entry = bisect_right(first, number) - 1
        unit = self._unit_at(entry)
        one = unit.features[number - int(first[entry])]
        if one.access_point:
            return self._decode([CodedUnit(unit.offset, (one,))])[0][0]
        if entry not in self._decoded:
            chain = self._chain(entry)
            features = self._decode([self._unit_at(i) for i in chain])
            self._decoded = {i: own[0] for i, own in zip(chain, features, strict=True)}
        return self._decoded[entry]

    def _chain(self, entry: int) -> list[int]:
        """The entries of a sequence from the access point that ``entry`` needs up to itself."""
        fps_id = self._unit_at(entry).fps.fps_id
        chain = [entry]
        while not self._unit_at(chain[0]).features[0].access_point:
            before = chain[0] - 1
            while before >= 0 and self._unit_at(before).fps.fps_id != fps_id:
                before -= 1
            if before < 0:
                break  # decoding will say what is missing
            chain.insert(0, before)
        return chain

    def _decode_window(
        self, window: list[CodedUnit], before: dict[int, list[CodedUnit]]
    ) -> Iterator[Feature]:
        """Decode consecutive units, those of each parameter set together; yield in stream order.

        before : per fps_id, the units of a sequence since its last access point in earlier windows.
        """
        ready: dict[int, Iterator[list[Feature]]] = {}
        for fps_id in dict.fromkeys(unit.fps.fps_id for unit in window):
            own = [unit for unit in window if unit.fps.fps_id == fps_id]
            past = [] if own[0].features[0].access_point else before.get(fps_id, [])
            chain = [*past, *own]
            ready[fps_id] = iter(self._decode(chain, len(past)))
            if own[0].fps.temporal_prediction_flag:
                starts = [i for i, unit in enumerate(chain) if unit.features[0].access_point]
                before[fps_id] = chain[starts[-1] :]
        for unit in window:
            yield from next(ready[unit.fps.fps_id])

    def _decode(self, units: list[CodedUnit], skip: int = 0) -> list[list[Feature]]:
        """Decode units of one parameter set, the first an access point.

        Returns the features of all units but the first ``skip``, unit by unit.
        """
        decoded = decode_units(units, self._machine)
        return [[values for _, values in unit] for unit in islice(decoded, skip, None)]

    # -- units

    def _units(self) -> Iterator[CodedUnit]:
        """All coded units, from the front."""
        if self._pipe is None:
            stream = StreamWindow(self._source, self._start, STREAM_HEADER_SIZE)
            return walk(stream, Walker(self.header))
        if self._exhausted:
            raise CallerError("a pipe can be read once", hint="write it to a file first")
        self._exhausted = True
        return walk(self._source, self._pipe)

    def _unit_at(self, entry: int) -> CodedUnit:
        if self._last is None or self._last[0] != entry:
            self._last = entry, self._directory.unit(entry)
        return self._last[1]

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


def _windows(units: Iterator[CodedUnit]) -> Iterator[list[CodedUnit]]:
    """Consecutive units in portions of bounded size, to be decoded together."""
    window: list[CodedUnit] = []
    samples = 0
    for unit in units:
        size = sum(decoded_size(one) for one in unit.features)
        if window and (samples + size > RUN_SAMPLES or len(window) >= _WINDOW_UNITS):
            yield window
            window, samples = [], 0
        window.append(unit)
        samples += size
    if window:
        yield window


def _read_header(source: BinaryIO) -> bytes:
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
