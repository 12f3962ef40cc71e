"""Parsing of single units (clause 8.2): payload bytes to records, and coded units to payloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.protocol import BatchPayloads, Payload
from refcodec.errors import ConstraintError, OrderError, UnsupportedError
from refcodec.memory import memory_for
from refcodec.probability.store import ModelReference
from refcodec.ranges import own_parameters
from refcodec.shapes import parameter_set_of
from refcodec.stream.limits import decoded_size
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.codes import CODED_UNITS, HashTarget, UnitType
from refcodec.syntax.descriptors import UE, Leb128
from refcodec.syntax.records import Record
from refcodec.syntax.structures import (
    FPS_IDS,
    STREAM_HEADER_SIZE,
    UNIT_STRUCTURES,
    CodedFeature,
    CodedFeatureBatch,
    FeatureParameters,
    FeatureParameterSet,
)
from refcodec.syntax.units import SMALLEST_UNIT, Unit

__all__ = ["CodedUnit", "ParameterSets", "UnitHash", "coded_unit", "fps_id_of", "parse_unit"]

ParameterSets = dict[int, FeatureParameterSet]
"""Feature parameter sets by fps_id."""


_FPS_ID = UE(FPS_IDS - 1)


class UnitHash(NamedTuple):
    """A hash unit: its target, the SHA-256, and the position of the latter in the stream, in bits."""

    target: HashTarget
    sha256: bytes
    bit_offset: int


@dataclass(frozen=True, slots=True)
class CodedUnit:
    """A coded feature or coded feature batch, with the hash units that follow it.

    offset       : position of the unit's first byte.
    fps          : feature parameter set that it refers to.
    parameters   : feature_parameters() of its features; ranges may differ from payload to payload.
    access_point : true if decoding can begin here.
    samples      : number of samples to decode, padding included.
    payloads     : one per feature; its parameter set has the height of the feature.
    continues    : true if its tokens follow those of the preceding feature of the parameter set.
    """

    offset: int
    fps: FeatureParameterSet
    parameters: FeatureParameters
    access_point: bool
    samples: int
    payloads: Sequence[Payload]
    continues: bool = False
    hashes: tuple[UnitHash, ...] = ()


@clause("8.2")
def parse_unit(
    unit: Unit, parameter_sets: ParameterSets, trace: Trace | None = None
) -> Record | None:
    """(8.2) Parse the payload of a unit into its structure; None for a unit that is skipped.

    trace : receives its elements, if there is one; if one cannot be read, those that precede it.

    Raises StreamError; OrderError for a coded unit whose parameter set is missing.
    """
    offset = 8 * unit.payload_offset
    structure = UNIT_STRUCTURES.get(unit.unit_type)
    if structure is None:
        if unit.skippable_flag:
            return None  # "A decoder shall pass over a unit of unknown type whose skippable_flag is 1."
        raise UnsupportedError(
            f"unit type {unit.unit_type} is not defined by this version and must not be skipped",
            bit_offset=8 * unit.offset,
            clause="C.1",
            requirement="8.2-5",
            hint="use a newer decoder",
        )
    parameters: dict[str, Any] = {}
    if unit.unit_type in CODED_UNITS:
        fps_id = fps_id_of(unit)
        if fps_id not in parameter_sets:
            raise OrderError(
                f"feature parameter set {fps_id} is used before it occurs in the stream",
                bit_offset=offset,
                requirement="9.1-2",
            )
        parameters["fps"] = parameter_sets[fps_id]
    elif unit.unit_type == UnitType.INDEX:
        check_entry_count(unit)
    elif unit.unit_type == UnitType.END:
        parameters["unit_size"] = len(unit.payload)
    with memory_for(f"to parse the unit of {len(unit.payload)} bytes at byte {unit.offset}"):
        parsed: Record = structure.parse_whole(unit.payload, offset, trace, **parameters)
    return parsed


@clause("9.5")
def check_entry_count(unit: Unit) -> None:
    """(9.5) Refuse an index of more units than fit in front of it, before its arrays are reserved.

    Raises ConstraintError; StreamError where a count cannot be read.
    """
    place = 8 * unit.payload_offset
    reader = BitReader(unit.payload[:16], place)
    most = (unit.offset - STREAM_HEADER_SIZE) // SMALLEST_UNIT
    for name in ("entry_count", "parameter_set_count"):
        count = Leb128().read(reader, None, name)
        if count > most:
            raise ConstraintError(
                f"{name} of the index is {count}; at most {most} units fit in front of it",
                bit_offset=place,
                requirement="9.5-7",
            )


def fps_id_of(unit: Unit) -> int:
    """The fps_id that a coded unit begins with. Raises StreamError."""
    clause_number = UNIT_STRUCTURES[unit.unit_type].semantics
    return _FPS_ID.first(unit.payload, 8 * unit.payload_offset, clause_number, "fps_id")


def coded_unit(
    unit: Unit,
    content: CodedFeature | CodedFeatureBatch,
    fps: FeatureParameterSet,
    model: ModelReference | None = None,
    contexts: ModelReference | None = None,
) -> CodedUnit:
    """Split a parsed coded feature, or a batch whose sizes have been checked, into payloads.

    model, contexts : those that the parameter set names.
    """
    last = content.payload if isinstance(content, CodedFeature) else content.payloads
    bit_offset = unit.offset_of_last(last)
    if isinstance(content, CodedFeature):
        access_point = content.access_point_flag is None or bool(content.access_point_flag)
        hashed = content.sample_hash or b""
        own = parameter_set_of(content, fps)
        one = Payload(
            own,
            content.parameters,
            hashed,
            access_point,
            content.payload,
            bit_offset,
            model,
            substreams=tuple(content.substream_size or ()),
            contexts=contexts,
        )
        size = decoded_size(own, content.parameters)
        continues = bool(content.continuation_flag)
        return CodedUnit(
            unit.offset, fps, content.parameters, access_point, size, (one,), continues
        )
    size, hashes = fps.sample_hash_size, content.sample_hashes or b""
    samples = content.feature_count * decoded_size(fps, content.parameters)
    places = None if content.joint_flag else _ends_of(content)
    if model is not None:
        whole = Payload(
            fps,
            content.parameters,
            b"",
            True,
            content.payloads,
            bit_offset,
            model,
            contexts=contexts,
        )
        batch = BatchPayloads(whole, content.feature_count, places, hashes)
        return CodedUnit(unit.offset, fps, content.parameters, True, samples, batch)
    ends = [] if places is None else places.tolist()
    payloads = (
        Payload(
            fps,
            parameters,
            hashes[i * size : (i + 1) * size],
            True,
            content.payloads[start:end],
            bit_offset + 8 * start,
            contexts=contexts,
        )
        for i, (start, end, parameters) in enumerate(
            zip([0, *ends], ends, own_parameters(content, fps), strict=False)
        )
    )
    return CodedUnit(unit.offset, fps, content.parameters, True, samples, tuple(payloads))


def _ends_of(batch: CodedFeatureBatch) -> npt.NDArray[np.int64]:
    """Where each payload of a batch ends."""
    sizes = np.full(batch.feature_count, batch.payload_size_base, dtype=np.int64)
    if batch.payload_size_delta is not None:
        sizes += batch.payload_size_delta
    return sizes.cumsum()
