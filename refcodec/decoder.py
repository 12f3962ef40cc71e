"""Decoding: a stream of bytes to features, in the order of clause 8.

    units --parse, check--> coded features --payload coder--> integer samples --hash--> feature values

:class:`Reader` gives the features of a file one by one or by number; :func:`walk` is the decoding
process's own way through the units, also for those who only want to look.
"""

from __future__ import annotations

import hashlib
import io
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders import Machine, decode_payloads
from refcodec.constraints import (
    check_batch,
    check_parameter_set,
    check_parameters,
    check_stream_header,
    element_count,
)
from refcodec.errors import (
    CallerError,
    HashError,
    OrderError,
    PayloadError,
    StreamError,
    TruncatedError,
    UnsupportedError,
)
from refcodec.files import storage_error
from refcodec.quantise import dequantise
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.codes import FeatureType, HashTarget, UnitType
from refcodec.syntax.descriptors import UE
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    HASH,
    INDEX,
    METADATA,
    STREAM_HEADER_SIZE,
)
from refcodec.syntax.units import CRC_SIZE, Unit, parse_stream_header, read_unit
from refcodec.tables import HIGHEST_LEVEL, level

__all__ = ["CodedFeature", "CodedUnit", "Reader", "Walker", "check_unit_hashes", "decode", "decode_run", "open_stream", "sample_hash", "walk"]

Samples = npt.NDArray[np.int32]

_RUN_ELEMENTS = 1 << 24
"""Elements decoded at a time, where features share a run of ffmpeg."""

_RUN_FEATURES = 1024


@dataclass(frozen=True, slots=True)
class CodedFeature:
    """One feature as its unit carries it.

    fps          : the feature parameter set that it refers to.
    parameters   : its feature_parameters(), its own or its batch's.
    sample_hash  : leading bytes of the SHA-256 of its samples; may be empty.
    access_point : whether decoding can begin here.
    payload      : coded samples.
    bit_offset   : position of its unit's payload in the stream.
    """

    fps: Any
    parameters: Any
    sample_hash: bytes
    access_point: bool
    payload: bytes
    bit_offset: int


@dataclass(frozen=True, slots=True)
class CodedUnit:
    """A coded feature or a batch of them, with the hash units behind it.

    offset : position of the unit's first byte.
    hashes : (what is hashed, SHA-256) of all features of the unit, one after the other.
    """

    offset: int
    features: tuple[CodedFeature, ...]
    hashes: tuple[tuple[HashTarget, bytes], ...] = ()

    def with_hash(self, target: HashTarget, sha256: bytes) -> CodedUnit:
        """This unit with one more hash unit behind it."""
        return replace(self, hashes=(*self.hashes, (target, sha256)))


@clause("8.8")
def sample_hash(samples: Samples, size: int = 32) -> bytes:
    """(8.8) Leading ``size`` bytes of the SHA-256 of samples, as little-endian int32 in C order."""
    return hashlib.sha256(np.ascontiguousarray(samples, "<i4").tobytes()).digest()[:size]


# --- units -----------------------------------------------------------------------------------------


@dataclass
class Walker:
    """The state that parsing carries from unit to unit.

    parameter_sets : by fps_id.
    metadata       : text by key.
    feature_count  : features met so far.
    """

    header: Any
    parameter_sets: dict[int, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    feature_count: int = 0

    @clause("8.2")
    def parse_unit(self, unit: Unit) -> Any:
        """(8.2) Check and parse one unit.

        Returns a CodedUnit, or the parsed structure, or None for a unit that is passed over.
        """
        unit.check()
        offset = 8 * unit.payload_offset
        trace: Trace = []
        match unit.unit_type:
            case UnitType.FEATURE_PARAMETER_SET:
                fps = FEATURE_PARAMETER_SET.parse_whole(unit.payload, offset, trace)
                if fps.fps_id in self.parameter_sets:
                    raise OrderError(
                        f"feature parameter set {fps.fps_id} stands in the stream twice",
                        bit_offset=offset,
                        clause="9.1",
                    )
                _raise_first(check_parameter_set(fps, self.header, trace))
                self.parameter_sets[fps.fps_id] = fps
                return fps
            case UnitType.CODED_FEATURE:
                return self._coded_feature(unit, offset, trace)
            case UnitType.CODED_FEATURE_BATCH:
                return self._coded_feature_batch(unit, offset, trace)
            case UnitType.METADATA:
                parsed = METADATA.parse_whole(unit.payload, offset, trace)
                for entry in parsed.entries:
                    key, value = (text.decode("utf-8", "replace") for text in (entry.key, entry.value))
                    self.metadata[key] = value
                return parsed
            case UnitType.HASH:
                return HASH.parse_whole(unit.payload, offset, trace)
            case UnitType.INDEX:
                return INDEX.parse_whole(unit.payload, offset, trace)
            case UnitType.END:
                return END.parse_whole(unit.payload, offset, trace, unit_size=len(unit.payload))
        if unit.skippable_flag:
            return None  # "A decoder shall pass over a unit of unknown type whose skippable_flag is 1."
        raise UnsupportedError(
            f"unit type {unit.unit_type} is not defined by this version and must not be skipped",
            bit_offset=8 * unit.offset,
            clause="C.1",
            hint="use a newer decoder",
        )

    def _parameter_set_of(self, payload: bytes, offset: int) -> Any:
        fps_id = UE(255).read(BitReader(payload, offset), None, "fps_id")
        fps = self.parameter_sets.get(fps_id)
        if fps is None:
            raise OrderError(
                f"feature parameter set {fps_id} is used before it stands in the stream",
                bit_offset=offset,
                clause="9.1",
            )
        return fps

    def _coded_feature(self, unit: Unit, offset: int, trace: Trace) -> CodedUnit:
        fps = self._parameter_set_of(unit.payload, offset)
        coded = CODED_FEATURE.parse_whole(unit.payload, offset, trace, fps=fps)
        _raise_first(check_parameters(coded.parameters, fps, self.header, trace))
        self.feature_count += 1
        access_point = coded.access_point_flag is None or bool(coded.access_point_flag)
        place = trace[-1].offset
        one = CodedFeature(
            fps, coded.parameters, coded.sample_hash or b"", access_point, coded.payload, place
        )
        return CodedUnit(unit.offset, (one,))

    def _coded_feature_batch(self, unit: Unit, offset: int, trace: Trace) -> CodedUnit:
        fps = self._parameter_set_of(unit.payload, offset)
        batch = CODED_FEATURE_BATCH.parse_whole(unit.payload, offset, trace, fps=fps)
        _raise_first(check_batch(batch, fps, len(unit.payload), trace))
        _raise_first(check_parameters(batch.parameters, fps, self.header, trace))
        self.feature_count += batch.feature_count
        sizes = np.full(batch.feature_count, batch.payload_size_base, dtype=np.int64)
        if batch.payload_size_delta is not None:
            sizes += batch.payload_size_delta
        ends = sizes.cumsum()
        size, hashes = fps.sample_hash_size, batch.sample_hashes or b""
        place = trace[-1].offset
        features = (
            CodedFeature(
                fps,
                batch.parameters,
                hashes[i * size : (i + 1) * size],
                True,
                batch.payloads[end - own : end],
                place + 8 * int(end - own),
            )
            for i, (own, end) in enumerate(zip(sizes, ends, strict=True))
        )
        return CodedUnit(unit.offset, tuple(features))


def _raise_first(errors: Iterator[StreamError]) -> None:
    for error in errors:
        raise error


def largest_unit(header: Any) -> int:
    """The level's limit on the payload of a unit, in bytes."""
    limits = level(header.level_idc)
    assert limits is not None
    return limits.max_unit_size


@clause("8.1")
def walk(source: BinaryIO, walker: Walker, offset: int = STREAM_HEADER_SIZE) -> Iterator[CodedUnit]:
    """(8.1) Go through the units of a stream, up to and including its end; yield the coded ones.

    source : positioned behind the stream header.
    walker : gathers parameter sets and metadata on the way.

    Raises what :meth:`Walker.parse_unit` raises; OrderError for units out of order or behind the end;
    TruncatedError where the end unit is missing.
    """
    pending: CodedUnit | None = None
    previous: int | None = None
    while (unit := read_unit(source, offset, largest_unit(walker.header))) is not None:
        offset = unit.end
        kind = unit.unit_type
        if previous == UnitType.INDEX and kind != UnitType.END:
            raise OrderError(
                "only the end unit follows the index", bit_offset=8 * unit.offset, clause="9.1"
            )
        parsed = walker.parse_unit(unit)
        if kind == UnitType.HASH:
            if pending is None:
                raise OrderError(
                    "a hash unit stands behind a coded feature or batch, directly",
                    bit_offset=8 * unit.offset,
                    clause="9.1",
                )
            pending = pending.with_hash(parsed.hash_target, parsed.sha256)
        else:
            if pending is not None:
                yield pending
            pending = parsed if isinstance(parsed, CodedUnit) else None
        previous = kind
        if kind == UnitType.END:
            _check_end(source, parsed, walker, offset)
            return
    if pending is not None:
        yield pending
    raise TruncatedError(
        "the stream has no end unit", bit_offset=8 * offset, clause="9.1", hint="it was cut"
    )


def _check_end(source: BinaryIO, end: Any, walker: Walker, offset: int) -> None:
    if end.feature_count is not None and end.feature_count != walker.feature_count:
        raise OrderError(
            f"the end unit counts {end.feature_count} features; the stream has {walker.feature_count}",
            bit_offset=8 * offset,
            clause="9.1",
        )
    if source.read(1):
        raise OrderError("bytes stand behind the end unit", bit_offset=8 * offset, clause="9.1")


# --- features --------------------------------------------------------------------------------------


@clause("8.3")
def decode_run(
    run: Sequence[CodedFeature], machine: Machine
) -> Iterator[tuple[Samples, npt.NDArray[Any]]]:
    """(8.3) Decode consecutive features of one parameter set, the first of them an access point.

    Yields the integer samples (int32, C x H x W) and the feature (source type; conv and pool:
    C x H x W, fc: D) of each. Raises PayloadError, HashError, EnvironmentFault.
    """
    fps = run[0].fps
    samples = decode_payloads(
        [one.payload for one in run], [one.parameters for one in run], fps, machine
    )
    for one in run:
        try:
            decoded = next(samples)
        except PayloadError as error:
            error.bit_offset = one.bit_offset if error.bit_offset is None else error.bit_offset
            raise
        if one.sample_hash and sample_hash(decoded, len(one.sample_hash)) != one.sample_hash:
            raise HashError(
                "the decoded samples are not those that were encoded: their SHA-256 differs",
                bit_offset=one.bit_offset,
                clause="8.8",
                hint="the payload is corrupt, or this decoder's HEVC decoder is wrong",
            )
        values = dequantise(decoded, fps, one.parameters)
        yield decoded, values.reshape(-1) if fps.feature_type == FeatureType.FC else values


@clause("8.8")
def check_unit_hashes(unit: CodedUnit, decoded: Sequence[tuple[Samples, npt.NDArray[Any]]]) -> None:
    """(8.8) Compare hash units with what was decoded."""
    for target, expected in unit.hashes:
        found = hashlib.sha256()
        for samples, values in decoded:
            if target == HashTarget.SAMPLES:
                found.update(np.ascontiguousarray(samples, "<i4").tobytes())
            else:
                found.update(little_endian_bytes(values))
        if found.digest() != expected:
            raise HashError(
                f"the SHA-256 of the {target.name.lower()} is not the one in the hash unit",
                bit_offset=8 * unit.offset,
                clause="8.8",
            )


def little_endian_bytes(values: npt.NDArray[Any]) -> bytes:
    """The bytes of a feature in C order, least significant byte of each value first."""
    word = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    return word.astype(word.dtype.newbyteorder("<"), copy=False).tobytes()


def _runs(units: Iterator[CodedUnit], limit: int = _RUN_FEATURES) -> Iterator[list[CodedUnit]]:
    """Group consecutive units that one call of a payload coder decodes together.

    All of one parameter set; a run begins at an access point, except where an earlier run of the same
    sequence was cut, which only a corrupt stream brings about.
    """
    run: list[CodedUnit] = []
    elements = 0
    for unit in units:
        first = unit.features[0]
        size = len(unit.features) * element_count(first.fps)
        full = elements + size > _RUN_ELEMENTS or len(run) >= limit
        if run and (first.fps is not run[0].features[0].fps or (full and first.access_point)):
            yield run
            run, elements = [], 0
        run.append(unit)
        elements += size
    if run:
        yield run


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
        self._cache: tuple[int, list[npt.NDArray[Any]]] = (0, [])
        self._started = False
        header = parse_stream_header(_read_header(source))
        _raise_first(check_stream_header(header, max_level))
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

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for run in _runs(self._units()):
            yield from self._decode(run)

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        self._need_seeking("indexing")
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"feature {number} of {len(self)}")
        first, features = self._cache
        if not first <= number < first + len(features):
            self._cache = first, features = self._decode_around(number)
        return features[number - first]

    def _decode_around(self, number: int) -> tuple[int, list[npt.NDArray[Any]]]:
        """Decode from the access point that feature ``number`` needs up to the end of its unit."""
        entry = bisect_right(self._first, number) - 1
        units = [self._unit_at(entry)]
        fps = units[0].features[0].fps
        before = entry
        while not units[0].features[0].access_point:
            before -= 1
            if before < 0:
                raise OrderError("a sequence begins without an access point", clause="9.1")
            candidate = self._unit_at(before)
            if candidate.features[0].fps is fps:
                units.insert(0, candidate)
        last = self._decode(units)[-len(units[-1].features) :]
        return int(self._first[entry]), last

    def _decode(self, units: list[CodedUnit]) -> list[npt.NDArray[Any]]:
        features = [one for unit in units for one in unit.features]
        if not features[0].access_point:
            raise OrderError(
                "a sequence begins without an access point",
                bit_offset=features[0].bit_offset,
                clause="9.1",
            )
        decoded = list(decode_run(features, self._machine))
        first = 0
        for unit in units:
            check_unit_hashes(unit, decoded[first : first + len(unit.features)])
            first += len(unit.features)
        return [values for _, values in decoded]

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


class _At(io.RawIOBase):
    """A reading position of its own over a file that others move."""

    def __init__(self, source: BinaryIO, position: int) -> None:
        self._shared = source
        self._position = position

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
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
) -> npt.NDArray[Any]:
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
