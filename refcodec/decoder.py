"""Decoding: units to features, in the order of clause 8.

    units --parse, check--> coded features --payload coder--> integer samples --hash--> feature values

:func:`walk` goes through the units of a stream, :func:`check_sample_hash` and
:func:`reconstruct` take a coded feature the rest of the way. ``reader`` makes files of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders import CodedFeature, Machine, decode_payloads
from refcodec.coders.hevc import check_parameter_sets
from refcodec.constraints import (
    check_batch,
    check_parameter_set,
    check_parameters,
    element_count,
)
from refcodec.errors import (
    HashError,
    OrderError,
    StreamError,
    TruncatedError,
    UnsupportedError,
)
from refcodec.pack import layout_of
from refcodec.quantise import dequantise
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.codes import Coder, FeatureType, HashTarget, UnitType
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
from refcodec.syntax.units import CRC_SIZE, ByteSource, Unit, read_unit
from refcodec.tables import level

__all__ = [
    "RUN_SAMPLES",
    "CodedFeature",
    "CodedUnit",
    "Walker",
    "behind_end",
    "behind_index",
    "check_access_point",
    "check_sample_hash",
    "check_unit_hashes",
    "decode_units",
    "decoded_size",
    "largest_unit",
    "little_endian_bytes",
    "no_end",
    "raise_first",
    "reconstruct",
    "sample_hash",
    "stray_hash",
    "unit_hash",
    "walk",
    "wrong_count",
]

Samples = npt.NDArray[np.int32]

RUN_SAMPLES = 1 << 24
"""Samples decoded at a time, where features share a run of ffmpeg."""


@dataclass(frozen=True, slots=True)
class CodedUnit:
    """A coded feature or a batch of them, with the hash units behind it.

    offset : position of the unit's first byte.
    hashes : what is hashed of all features of the unit, the SHA-256, and where that stands, in bits.
    """

    offset: int
    features: tuple[CodedFeature, ...]
    hashes: tuple[tuple[HashTarget, bytes, int], ...] = ()

    @property
    def fps(self) -> Any:
        """The feature parameter set of its features."""
        return self.features[0].fps

    @clause("9.1")
    def with_hash(self, parsed: Any, unit: Unit) -> CodedUnit:
        """(9.1) This unit with a hash unit behind it. Raises OrderError for a second of one target."""
        if any(parsed.hash_target == target for target, _, _ in self.hashes):
            raise OrderError(
                f"a second hash unit of the {parsed.hash_target.name.lower()} stands behind one "
                "coded unit",
                bit_offset=8 * unit.offset,
                clause="9.1",
            )
        place = 8 * unit.payload_offset + 8
        return replace(self, hashes=(*self.hashes, (parsed.hash_target, parsed.sha256, place)))


def decoded_size(one: CodedFeature) -> int:
    """Samples that decoding a feature makes: of its frames where the coder is HEVC, else elements."""
    if one.fps.coder_id != Coder.HEVC:
        return element_count(one.fps)
    layout = layout_of(one.fps, one.parameters)
    return len(layout.qps) * layout.frame_height * layout.frame_width


@clause("8.8")
def sample_hash(samples: Samples, size: int = 32) -> bytes:
    """(8.8) Leading ``size`` bytes of the SHA-256 of samples, as little-endian int32 in C order."""
    return hashlib.sha256(little_endian_bytes(samples)).digest()[:size]


# --- units -----------------------------------------------------------------------------------------


@dataclass
class Walker:
    """The state that parsing carries from unit to unit.

    parameter_sets : by fps_id.
    metadata       : text by key.
    feature_count  : features met so far.
    trace          : the elements of the unit parsed last.
    """

    header: Any
    parameter_sets: dict[int, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    feature_count: int = 0
    trace: Trace = field(default_factory=list)

    @clause("8.2")
    def parse_unit(self, unit: Unit) -> Any:
        """(8.2) Check and parse one unit.

        Returns a CodedUnit, or the parsed structure, or None for a unit that is passed over.
        """
        unit.check()
        offset = 8 * unit.payload_offset
        trace: Trace = []
        self.trace = trace
        match unit.unit_type:
            case UnitType.FEATURE_PARAMETER_SET:
                fps = FEATURE_PARAMETER_SET.parse_whole(unit.payload, offset, trace)
                if fps.fps_id in self.parameter_sets:
                    raise OrderError(
                        f"feature parameter set {fps.fps_id} stands in the stream twice",
                        bit_offset=offset,
                        clause="9.1",
                    )
                raise_first(check_parameter_set(fps, self.header, trace))
                self.parameter_sets[fps.fps_id] = fps
                return fps
            case UnitType.CODED_FEATURE:
                return self._coded_feature(unit, offset, trace)
            case UnitType.CODED_FEATURE_BATCH:
                return self._coded_feature_batch(unit, offset, trace)
            case UnitType.METADATA:
                if self.parameter_sets:
                    raise OrderError(
                        "metadata stands behind a feature parameter set",
                        bit_offset=8 * unit.offset,
                        clause="9.1",
                    )
                parsed = METADATA.parse_whole(unit.payload, offset, trace)
                for entry in parsed.entries:
                    key, value = (
                        text.decode("utf-8", "replace") for text in (entry.key, entry.value)
                    )
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
        raise_first(check_parameters(coded.parameters, fps, self.header, trace))
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
        raise_first(check_batch(batch, fps, len(unit.payload), trace))
        raise_first(check_parameters(batch.parameters, fps, self.header, trace))
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


def raise_first(errors: Iterator[StreamError]) -> None:
    """Raise the first of the errors, if there is one."""
    for error in errors:
        raise error


def largest_unit(header: Any) -> int:
    """The level's limit on the payload of a unit, in bytes."""
    limits = level(header.level_idc)
    assert limits is not None
    return limits.max_unit_size


@clause("8.1")
def walk(
    source: ByteSource, walker: Walker, offset: int = STREAM_HEADER_SIZE
) -> Iterator[CodedUnit]:
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
            raise behind_index(unit)
        parsed = walker.parse_unit(unit)
        if kind == UnitType.FEATURE_PARAMETER_SET and parsed.coder_id == Coder.HEVC:
            place = 8 * (unit.end - CRC_SIZE - parsed.parameter_sets_size)
            raise_first(check_parameter_sets(parsed, place))
        if kind == UnitType.HASH:
            if pending is None:
                raise stray_hash(unit)
            pending = pending.with_hash(parsed, unit)
        else:
            if pending is not None:
                yield pending
            pending = parsed if isinstance(parsed, CodedUnit) else None
        previous = kind
        if kind == UnitType.END:
            _check_end(source, parsed, walker, unit)
            return
    if pending is not None:
        yield pending
    raise no_end(offset)


def _check_end(source: ByteSource, end: Any, walker: Walker, unit: Unit) -> None:
    if end.feature_count is not None and end.feature_count != walker.feature_count:
        raise wrong_count(unit, end, walker)
    if source.read(1):
        raise behind_end(unit)


# Violations of 9.1 that the decoder raises and the validator collects.


def behind_index(unit: Unit) -> OrderError:
    """Another unit than the end follows the index."""
    return OrderError(
        "only the end unit follows the index", bit_offset=8 * unit.offset, clause="9.1"
    )


def stray_hash(unit: Unit) -> OrderError:
    """A hash unit that belongs to no coded unit."""
    return OrderError(
        "a hash unit stands behind a coded feature or batch, directly",
        bit_offset=8 * unit.offset,
        clause="9.1",
    )


def no_end(offset: int) -> TruncatedError:
    """The stream stops at byte ``offset`` without an end unit."""
    return TruncatedError(
        "the stream has no end unit", bit_offset=8 * offset, clause="9.1", hint="it was cut"
    )


def behind_end(unit: Unit) -> OrderError:
    """Bytes follow the end unit."""
    return OrderError("bytes stand behind the end unit", bit_offset=8 * unit.end, clause="9.1")


def wrong_count(unit: Unit, end: Any, walker: Walker) -> OrderError:
    """The end unit counts other features than the stream has."""
    return OrderError(
        f"the end unit counts {end.feature_count} features; the stream has {walker.feature_count}",
        bit_offset=8 * unit.payload_offset + 64,
        clause="9.1",
    )


# --- features --------------------------------------------------------------------------------------


def decode_units(
    units: Sequence[CodedUnit], machine: Machine
) -> Iterator[list[tuple[Samples, npt.NDArray[Any]]]]:
    """Decode consecutive units of one parameter set, the first an access point; check every hash.

    Yields, unit by unit, the samples (int32, C x H x W) and the reconstruction of each feature.
    """
    features = [one for unit in units for one in unit.features]
    check_access_point(features[0])
    samples = decode_payloads(features, machine)
    for unit in units:
        decoded = []
        for one in unit.features:
            own = next(samples)
            check_sample_hash(one, own)
            decoded.append((own, reconstruct(one, own)))
        check_unit_hashes(unit, decoded)
        yield decoded


@clause("9.1")
def check_access_point(first: CodedFeature) -> None:
    """(9.1) Raise OrderError unless decoding can begin at a feature."""
    if not first.access_point:
        raise OrderError(
            "a sequence begins without an access point", bit_offset=first.bit_offset, clause="9.1"
        )


@clause("8.8")
def check_sample_hash(one: CodedFeature, samples: Samples) -> None:
    """(8.8) Raise HashError unless the samples are those that the coded feature has the hash of."""
    if one.sample_hash and sample_hash(samples, len(one.sample_hash)) != one.sample_hash:
        raise HashError(
            "the decoded samples are not those that were encoded: their SHA-256 differs",
            bit_offset=one.bit_offset,
            clause="8.8",
            hint="the payload is corrupt, or the HEVC decoder at work here is wrong",
        )


@clause("8.6")
def reconstruct(one: CodedFeature, samples: Samples) -> npt.NDArray[Any]:
    """(8.6) Samples (int32, C x H x W) to the feature, in its source type and its own shape."""
    values = dequantise(samples, one.fps, one.parameters)
    return values.reshape(-1) if one.fps.feature_type == FeatureType.FC else values


@clause("8.8")
def check_unit_hashes(unit: CodedUnit, decoded: Sequence[tuple[Samples, npt.NDArray[Any]]]) -> None:
    """(8.8) Compare hash units with what was decoded."""
    for target, expected, place in unit.hashes:
        if unit_hash(target, decoded) != expected:
            raise HashError(
                f"the SHA-256 of the {target.name.lower()} is not the one in the hash unit",
                bit_offset=place,
                clause="8.8",
            )


@clause("8.8")
def unit_hash(target: HashTarget, decoded: Iterable[tuple[Samples, npt.NDArray[Any]]]) -> bytes:
    """(8.8) The SHA-256 over the samples, or the reconstructions, of the features of a coded unit."""
    found = hashlib.sha256()
    for samples, values in decoded:
        found.update(little_endian_bytes(samples if target == HashTarget.SAMPLES else values))
    return found.digest()


def little_endian_bytes(values: npt.NDArray[Any]) -> bytes:
    """The bytes of samples or of a feature in C order, least significant byte of each value first."""
    word = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    return word.astype(word.dtype.newbyteorder("<"), copy=False).tobytes()
