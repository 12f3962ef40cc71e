"""Units of a stream: walks along their declarations, with drawn values and those that follow from others."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from construct import Container

from refcodec.coders.protocol import Coded
from refcodec.hashes import sample_hash
from refcodec.quantise import PLAIN
from refcodec.stored_model import StoredModel
from refcodec.stream.index import CodedUnitTable
from refcodec.suite.assemble import leb128
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.parameter_sets import plain_value
from refcodec.suite.drawn.parameters import draw_range_codes
from refcodec.syntax.codes import MODEL_UNITS, UnitType
from refcodec.syntax.follow import Place, follow
from refcodec.syntax.structures import (
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    HASH,
    INDEX,
    METADATA,
    UNIT_STRUCTURES,
    CodedFeatureBatch,
    FeatureParameters,
    FeatureParameterSet,
)
from refcodec.syntax.units import build_unit

__all__ = [
    "batch_unit",
    "end_unit",
    "feature_unit",
    "hash_unit",
    "index_unit",
    "metadata_unit",
    "model_unit",
    "parameter_set_unit",
    "unknown_unit",
]

_NEXT_UNKNOWN = 6

_TEXTS = ("a", "layer", "Ähnlichkeit", "特徴", "\N{GRINNING FACE}", "0", " ", "\n", "x" * 130)


def parameter_set_unit(fps: FeatureParameterSet) -> bytes:
    """A feature parameter set."""
    payload = FEATURE_PARAMETER_SET.build_whole(fps)
    return build_unit(UnitType.FEATURE_PARAMETER_SET, payload)


def model_unit(model_id: int, kind: type[StoredModel], model: StoredModel | bytes) -> bytes:
    """A model of a kind, or the SHA-256 of the file that it is in."""
    what = {"sha256": model} if isinstance(model, bytes) else {kind.element: model.coded}
    elements = {"model_id": model_id, "external_flag": int("sha256" in what), **what}
    structure = UNIT_STRUCTURES[kind.unit_type]
    return build_unit(kind.unit_type, structure.build_whole(structure.make(elements)))


def feature_unit(
    chance: Chance,
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    coded: Coded,
    *,
    continues: bool = False,
) -> bytes:
    """A coded feature; of tokens, it may continue the one before it."""
    known = {
        "fps_id": fps.fps_id,
        "token_count_minus1": coded.samples.shape[1] - 1,
        "continuation_flag": int(continues),
        "access_point_flag": int(coded.access_point),
        **_inside("parameters", parameters),
        "sample_hash": sample_hash(coded.samples, fps.sample_hash_size),
        "substream_size": iter(coded.substreams),
        "payload": coded.data,
    }
    return _unit(chance, UnitType.CODED_FEATURE, known, fps=fps)


def batch_unit(
    chance: Chance,
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    features: Sequence[Coded],
    *,
    joint: bool = False,
) -> tuple[bytes, CodedFeatureBatch]:
    """A coded feature batch, with ranges of its features or without; and its elements.

    joint : true if the features have one payload, that of the first.
    """
    sizes = [0] if joint else [len(one.data) for one in features]
    most = max(sizes)
    base = chance.number(max(0, most - 0x7FFF), min(sizes))
    least_bits = (most - base).bit_length()
    bits = chance.number(least_bits, 15)
    hashes = [sample_hash(one.samples, fps.sample_hash_size) for one in features]
    codes: dict[str, Any] = {}
    if fps.quantiser not in PLAIN and chance.below(2):
        codes = draw_range_codes(chance, fps, parameters, len(features))
    known = {
        "fps_id": fps.fps_id,
        "feature_count_minus1": len(features) - 1,
        "joint_flag": int(joint),
        "payload_size_base": base,
        "range_codes_flag": int(bool(codes)),
        "payload_size_bits": bits,
        "payload_size_delta": np.array(sizes) - base,
        **_inside("parameters", parameters),
        **codes,
        "sample_hashes": b"".join(hashes),
        "payloads": b"".join(one.data for one in features),
    }
    unit = _unit(chance, UnitType.CODED_FEATURE_BATCH, known, fps=fps)
    return unit, CODED_FEATURE_BATCH.make({**known, "parameters": parameters}, fps=fps)


def metadata_unit(chance: Chance, used: set[str]) -> bytes:
    """Texts by keys that were not used before."""
    count = chance.choose([0, 1, 2, 3, 130]) if chance.one_in(8) else chance.below(4)
    texts: list[bytes] = []
    for _ in range(count):
        key = chance.choose(_TEXTS)
        if key in used:
            key = f"{key}{len(used)}"
        used.add(key)
        value = "".join(chance.choose(_TEXTS) for _ in range(chance.below(4)))
        texts += [key.encode(), value.encode()]
    sizes, rest = iter(map(len, texts)), iter(texts)

    def settle(place: Place) -> Any:
        if place.path.endswith("entry_count"):
            return count
        return next(sizes if place.path.endswith("_size") else rest)

    payload = METADATA.build_whole(follow(METADATA, settle, Container()))
    return build_unit(UnitType.METADATA, payload)


def hash_unit(target: int, sha256: bytes) -> bytes:
    """A hash unit."""
    return build_unit(UnitType.HASH, HASH.build_whole({"hash_target": target, "sha256": sha256}))


def unknown_unit(chance: Chance) -> bytes:
    """A unit of a type that this version does not know, or keeps for a later one, to be skipped."""
    kinds = [kind for kind in range(128) if kind not in UNIT_STRUCTURES]
    # 4 and 5 were unknown when seeds were first published: 6 is in their place, so that other streams stay
    kinds[1:1] = [_NEXT_UNKNOWN] * len(MODEL_UNITS)
    payload = chance.bytes(chance.choose([0, 1, 5, 130]))
    head = bytes([0x80 | chance.choose(kinds)]) + leb128(len(payload))
    return head + payload + zlib.crc32(head + payload).to_bytes(4, "big")


def index_unit(chance: Chance, table: CodedUnitTable) -> bytes:
    """The index of the units before it; widths and flags may be larger than they need be."""
    distances = np.diff(np.array(table.offsets, np.int64), prepend=0)
    counts = np.array(table.counts, np.int64) - 1
    access = np.frombuffer(bytes(table.access_points), np.uint8).astype(np.int64)
    offsets = iter(table.parameter_set_offsets)
    known = {
        "entry_count": len(table),
        "parameter_set_count": len(table.parameter_set_offsets),
        "distance_bits": chance.number(int(distances.max(initial=0)).bit_length(), 63),
        "features_bits": chance.number(int(counts.max(initial=0)).bit_length(), 31),
        "all_access_points_flag": chance.below(2) if access.all() else 0,
        "reserved_ignored_4bits": 0,
        "unit_distance": distances,
        "features_minus1": counts,
        "access_point": access,
    }

    def settle(place: Place) -> Any:
        name = place.path.rpartition(".")[2]
        if name == "parameter_set_offset":
            return next(offsets)
        return known.get(name, 0)

    return build_unit(UnitType.INDEX, INDEX.build_whole(follow(INDEX, settle, Container())))


def end_unit(chance: Chance, index_offset: int | None, feature_count: int) -> bytes:
    """The end unit; with its elements where there is an index, or now and then."""
    size = 16 * int(index_offset is not None or chance.below(2))
    elements = {"index_offset": index_offset or 0, "feature_count": feature_count}
    return build_unit(UnitType.END, END.build_whole(elements, unit_size=size))


def _inside(name: str, record: Any) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in vars(record).items()}


def _unit(chance: Chance, unit_type: UnitType, known: Mapping[str, Any], **outer: Any) -> bytes:
    """A unit with known values of elements, and drawn ones of others.

    known : by the path within the unit; an iterator gives those of a list, one after the other.
    """
    structure = UNIT_STRUCTURES[unit_type]

    def settle(place: Place) -> Any:
        name = place.path.partition(".")[2]
        if name not in known:
            return plain_value(chance, place)
        value = known[name]
        return next(value) if isinstance(value, Iterator) else value

    elements = follow(structure, settle, Container(outer))
    return build_unit(unit_type, structure.build_whole(elements, **outer))
