"""Reading: the features of a stream in order or by number, through its index.

with refcodec.open("features.dfc") as r:
    len(r), r[17], r.parameters, r.metadata
    for feature in r: ...
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from refcodec.coders import Machine
from refcodec.constraints import check_stream_header, element_count
from refcodec.decoder import (
    RUN_ELEMENTS,
    CodedUnit,
    Walker,
    check_access_point,
    check_sample_hash,
    check_unit_hashes,
    decode_samples,
    largest_unit,
    raise_first,
    reconstruct,
    walk,
)
from refcodec.errors import CallerError, OrderError, TruncatedError
from refcodec.files import storage_error
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import END, STREAM_HEADER_SIZE
from refcodec.syntax.units import CRC_SIZE, parse_stream_header, read_unit
from refcodec.tables import HIGHEST_LEVEL

__all__ = ["Reader", "decode", "open_stream"]

Feature = npt.NDArray[Any]

_WINDOW_UNITS = 1024
"""Coded units decoded at a time at most; their elements are bounded by ``RUN_ELEMENTS``."""


class Reader:
    """The features of a stream, in order or by number.

    ``len(r)``, ``r[k]``, ``for f in r``; ``r.parameters`` lists the feature parameter sets,
    ``r.metadata`` holds the text stored at the front. A source that cannot seek serves iteration only.

    Iteration passes over every unit and checks all of them; ``r[k]`` reads what feature k needs.
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
        self._walker = Walker(None)
        self._last: tuple[int, CodedUnit] | None = None  # the unit read last, by its entry
        self._decoded: dict[int, Feature] = {}  # of the sequence decoded last, by entry
        self._started = False
        header = parse_stream_header(_read_header(source))
        raise_first(check_stream_header(header, max_level))
        self._walker.header = header
        self._seekable = source.seekable()
        if self._seekable:
            self._start = source.tell() - STREAM_HEADER_SIZE
            self._locate()

    # -- looking around

    @property
    def header(self) -> Any:
        """The stream header: version, profile_idc, level_idc."""
        return self._walker.header

    @property
    def parameters(self) -> list[Any]:
        """The feature parameter sets, in the order of their ids (all that were met, for a pipe)."""
        return [fps for _, fps in sorted(self._walker.parameter_sets.items())]

    @property
    def metadata(self) -> dict[str, str]:
        """Text stored in the stream, by key."""
        return dict(self._walker.metadata)

    def __len__(self) -> int:
        self._need_seeking("len()")
        return int(self._first[-1])

    # -- features

    def __iter__(self) -> Iterator[Feature]:
        before: dict[int, list[CodedUnit]] = {}
        for window in _windows(self._units()):
            yield from self._decode_window(window, before)

    def __getitem__(self, number: int) -> Feature:
        self._need_seeking("indexing")
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"feature {number} of {len(self)}")
        entry = bisect_right(self._first, number) - 1
        unit = self._unit_at(entry)
        one = unit.features[number - int(self._first[entry])]
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
            ready[fps_id] = iter(self._decode([*past, *own])[len(past) :])
            if own[0].fps.temporal_prediction_flag:
                chain = [*past, *own]
                starts = [i for i, unit in enumerate(chain) if unit.features[0].access_point]
                before[fps_id] = chain[starts[-1] :]
        for unit in window:
            yield from next(ready[unit.fps.fps_id])

    def _decode(self, units: list[CodedUnit]) -> list[list[Feature]]:
        """Decode units of one parameter set, the first an access point; features by unit."""
        features = [one for unit in units for one in unit.features]
        check_access_point(features[0])
        samples = decode_samples(features, self._machine)
        decoded = []
        for unit in units:
            own = []
            for one in unit.features:
                sample = next(samples)
                check_sample_hash(one, sample)
                own.append((sample, reconstruct(one, sample)))
            check_unit_hashes(unit, own)
            decoded.append([values for _, values in own])
        return decoded

    # -- units

    def _units(self) -> Iterator[CodedUnit]:
        """All coded units, from the front."""
        if not self._seekable:
            if self._started:
                raise CallerError("a pipe can be read once", hint="write it to a file first")
            self._started = True
            return walk(self._source, self._walker)
        return walk(_At(self._source, self._start + STREAM_HEADER_SIZE), Walker(self.header))

    def _unit_at(self, entry: int) -> CodedUnit:
        if self._last is not None and self._last[0] == entry:
            return self._last[1]
        offset = int(self._offsets[entry])
        self._source.seek(self._start + offset)
        unit = read_unit(self._source, offset, largest_unit(self.header))
        if unit is None:
            raise TruncatedError("the stream was cut", bit_offset=8 * offset, clause="6.3")
        parsed = self._walker.parse_unit(unit)
        if not isinstance(parsed, CodedUnit):
            raise OrderError(
                "the index points to a unit that is no coded feature",
                bit_offset=8 * offset,
                clause="9.5",
            )
        self._last = entry, parsed
        return parsed

    def _locate(self) -> None:
        """Find every coded unit: by the index where there is one, else by passing over the units."""
        index_offset = self._find_index()
        if index_offset is None:
            self._scan()
        else:
            self._read_index(index_offset)

    def _find_index(self) -> int | None:
        """Position of the index, from an end unit of 16 payload bytes; None where there is none."""
        size = 2 + 16 + CRC_SIZE
        end = self._source.seek(0, os.SEEK_END) - self._start
        if end < STREAM_HEADER_SIZE + size:
            return None
        self._source.seek(self._start + end - size)
        tail = self._source.read(size)
        if tail[:2] != bytes([UnitType.END, 16]):
            return None
        unit = read_unit(io.BytesIO(tail), end - size, 16)
        if unit is None or not unit.crc_matches:
            return None
        parsed = END.parse_whole(unit.payload, 8 * unit.payload_offset, unit_size=16)
        return int(parsed.index_offset) or None

    def _read_index(self, offset: int) -> None:
        self._source.seek(self._start + offset)
        unit = read_unit(self._source, offset, largest_unit(self.header))
        if unit is None or unit.unit_type != UnitType.INDEX:
            raise OrderError(
                "index_offset does not point to an index unit", bit_offset=8 * offset, clause="9.5"
            )
        index = self._walker.parse_unit(unit)
        self._offsets = np.cumsum(index.unit_distance)
        if not ((self._offsets > 0) & (self._offsets < offset)).all():
            raise OrderError(
                "the index points outside the stream", bit_offset=8 * offset, clause="9.5"
            )
        counts = index.features_minus1 if index.features_minus1 is not None else 0
        self._first = np.concatenate([[0], np.cumsum(np.ones_like(index.unit_distance) + counts)])
        places = list(index.parameter_set_offset)
        first_coded = int(self._offsets[0]) if len(self._offsets) else offset
        self._read_front(min(places, default=first_coded))
        for place in places:
            self._source.seek(self._start + place)
            one = read_unit(self._source, place, largest_unit(self.header))
            if one is None or one.unit_type != UnitType.FEATURE_PARAMETER_SET:
                raise OrderError(
                    "the index points to a unit that is no feature parameter set",
                    bit_offset=8 * place,
                    clause="9.5",
                )
            self._walker.parse_unit(one)

    def _read_front(self, stop: int) -> None:
        """Read the units in front of the first parameter set or coded one: the metadata."""
        source, offset = _At(self._source, self._start + STREAM_HEADER_SIZE), STREAM_HEADER_SIZE
        while offset < stop and (unit := read_unit(source, offset, largest_unit(self.header))):
            offset = unit.end
            if unit.unit_type == UnitType.METADATA:
                self._walker.parse_unit(unit)

    def _scan(self) -> None:
        offsets, counts = [], []
        source = _At(self._source, self._start + STREAM_HEADER_SIZE)
        for unit in walk(source, self._walker):
            offsets.append(unit.offset)
            counts.append(len(unit.features))
        self._offsets = np.array(offsets, dtype=np.int64)
        self._first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def _need_seeking(self, what: str) -> None:
        if not self._seekable:
            raise CallerError(
                f"{what} needs a source that can seek; this one serves iteration only",
                hint="write the pipe to a file first",
            )

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
    elements = 0
    for unit in units:
        size = len(unit.features) * element_count(unit.fps)
        if window and (elements + size > RUN_ELEMENTS or len(window) >= _WINDOW_UNITS):
            yield window
            window, elements = [], 0
        window.append(unit)
        elements += size
    if window:
        yield window


class _At:
    """A reading position of its own over a file that others move."""

    def __init__(self, source: BinaryIO, position: int) -> None:
        self._shared = source
        self._position = position

    def read(self, size: int, /) -> bytes:
        self._shared.seek(self._position)
        data = self._shared.read(size)
        self._position += len(data)
        return data


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
    reader = Reader(_Once(data), max_level=max_level, ffmpeg=ffmpeg, timeout=timeout)
    features = iter(reader)
    first = next(features, None)
    if first is None or next(features, None) is not None:
        count = "no feature" if first is None else "several features"
        raise CallerError(f"the stream holds {count}", hint="use refcodec.open")
    return first


class _Once(io.BytesIO):
    """Bytes that are read once, front to back: nothing needs to be located first."""

    def seekable(self) -> bool:
        return False
