"""Properties derived from a stream: labels, hashes of every stage, and the features that may be released.

A manifest holds nothing typed by hand that can be read from the stream: labels come from here, and a
test derives them again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from refcodec.coders import CodedFeature, Machine
from refcodec.constraints import element_count
from refcodec.decoder import (
    CodedUnit,
    Walker,
    decode_units,
    largest_unit,
    little_endian_bytes,
    sample_hash,
)
from refcodec.errors import StreamError
from refcodec.inspector import inspect, read_head
from refcodec.suite.assemble import own_elements
from refcodec.suite.manifest import Feature
from refcodec.syntax.codes import ChannelOrder, Coder, HashTarget, Quantiser, Restoration, UnitType
from refcodec.syntax.structures import HASH, STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header, read_unit

__all__ = ["Labels", "labels", "released_features", "syntax_hash", "syntax_lines"]

_MACHINE = Machine()


# --- stages ----------------------------------------------------------------------------------------


def syntax_lines(stream: bytes) -> Iterator[str]:
    """Every syntax element as ``path=value``: integers in decimal, bytes and binary32 words in hex."""
    for unit in inspect(stream):
        for element in own_elements(unit.elements):
            yield f"{element.path}={_canonical(element.value)}"


def _canonical(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:
            return " ".join(f"{word:08x}" for word in value.view(np.uint32).tolist())
        return " ".join(map(str, value.tolist()))
    return str(int(value))


def syntax_hash(stream: bytes) -> str:
    """SHA-256 over :func:`syntax_lines`, each ended by a line feed."""
    text = "".join(f"{line}\n" for line in syntax_lines(stream))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def released_features(stream: bytes, stop: int | None = None) -> list[Feature]:
    """The features that a decoder may release of a stream: those that end before bit ``stop``.

    stop : position of the defect; None for a stream without one, of which all features are released.

    Raises StreamError for a defect where none is announced.
    """
    try:
        units = list(_coded_units(stream, stop))
    except StreamError:
        if stop is None:
            raise
        return []
    runs: dict[int, Iterator[list[Feature]]] = {}
    for unit in units:
        if unit.fps.fps_id not in runs:
            runs[unit.fps.fps_id] = _decode([u for u in units if u.fps is unit.fps])
    return [one for unit in units for one in next(runs[unit.fps.fps_id])]


def _coded_units(stream: bytes, stop: int | None) -> Iterator[CodedUnit]:
    """The coded units that end at bit ``stop`` or before, with the hash units that follow them."""
    source = io.BytesIO(stream)
    walker = Walker(parse_stream_header(source.read(STREAM_HEADER_SIZE)))
    offset = STREAM_HEADER_SIZE
    found: list[CodedUnit] = []
    while stop is None or 8 * offset < stop:
        unit = read_unit(source, offset, largest_unit(walker.header))
        if unit is None or (stop is not None and 8 * unit.end > stop):
            break
        parsed = walker.parse_unit(unit)
        if isinstance(parsed, CodedUnit):
            found.append(parsed)
        elif unit.unit_type == UnitType.HASH:
            found[-1] = found[-1].with_hash(parsed, unit)
        offset = unit.end
    yield from found


def _decode(units: list[CodedUnit]) -> Iterator[list[Feature]]:
    """Decode the units of one parameter set, in one go."""
    for decoded in decode_units(units, _MACHINE):
        yield [
            Feature(
                shape=values.shape,
                dtype=str(values.dtype),
                samples=sample_hash(samples).hex(),
                reconstruction=hashlib.sha256(little_endian_bytes(values)).hexdigest(),
            )
            for samples, values in decoded
        ]


# --- labels ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Labels:
    """The contents of a stream.

    clauses : those that decoding it needs.
    tags    : its tools, one word each.
    """

    profile: str
    level: int
    clauses: frozenset[str]
    tags: tuple[str, ...]


_CLAUSES = {
    "coder:raw": ("8.3.1",),
    "coder:zlib": ("8.3.1", "8.3.2"),
    "coder:gzip": ("8.3.1", "8.3.3"),
    "coder:bzip2": ("8.3.1", "8.3.4"),
    "coder:lzma": ("8.3.1", "8.3.5"),
    "coder:hevc": ("8.3.6", "8.4.1", "8.4.2", "9.3.1", "9.3.2"),
    "coder:native": ("8.3.7",),
    "coder:native-lossless": ("8.3.8",),
    "quantiser:uniform": ("8.6.1", "8.7"),
    "quantiser:logarithmic": ("8.6.2", "8.7"),
    "restoration:tensor": ("8.5",),
    "restoration:channel": ("8.5",),
    "sample-hash": ("8.8",),
    "hash-unit:samples": ("8.8",),
    "hash-unit:reconstruction": ("8.8",),
    "metadata": ("9.4",),
    "index": ("9.5",),
}


_EXACT_MODES = {"0": "exact:raw", **dict.fromkeys("4567", "exact:fast")}
"""Modes of native lossless payloads, by their first hexadecimal digit."""

_NATIVE = {Coder.NATIVE, Coder.NATIVE_LOSSLESS}

_SMALL = 2048
"""Elements up to which a stream of a native coder is decoded without a compiler in some seconds."""


def labels(stream: bytes) -> Labels:
    """Derive the labels of a valid stream."""
    header = parse_stream_header(stream[:STREAM_HEADER_SIZE])
    tags: set[str] = set()
    clauses = {"7.2", "8.2", "9.1"}
    source = io.BytesIO(stream)
    source.seek(STREAM_HEADER_SIZE)
    walker, offset, elements, hashes = Walker(header), STREAM_HEADER_SIZE, 0, set()
    while (unit := read_unit(source, offset, largest_unit(header))) is not None:
        parsed, offset = walker.parse_unit(unit), unit.end
        if isinstance(parsed, CodedUnit):
            tags |= set(_tags_of_unit(parsed, unit.unit_type))
            elements += sum(element_count(one.fps) for one in parsed.features)
        elif unit.unit_type == UnitType.HASH:
            hashes.add(HASH.parse_whole(unit.payload).hash_target)
        elif unit.unit_type in (UnitType.METADATA, UnitType.INDEX):
            tags.add(UnitType(unit.unit_type).name.lower())
        elif parsed is None:
            tags.add("unknown-unit")
    tags |= {f"hash-unit:{HashTarget(target).name.lower()}" for target in hashes}
    tags |= {tag for fps in walker.parameter_sets.values() for tag in _tags_of_parameter_set(fps)}
    coders = {fps.coder_id for fps in walker.parameter_sets.values()}
    if not _NATIVE.isdisjoint(coders) and elements <= _SMALL:
        tags.add("small")
    if len(walker.parameter_sets) > 1:
        tags.add("several-parameter-sets")
    if walker.feature_count != 1:
        tags.add("several-features" if walker.feature_count else "empty")
    if header.version_minor:
        tags.add("newer-minor-version")
    if header.reserved_ignored_2bits:
        tags.add("reserved-bits")
    for unit_shown in inspect(stream):
        clauses |= {element.clause for element in own_elements(unit_shown.elements)}
    clauses |= {number for tag in tags for number in _CLAUSES.get(tag, ())}
    profile = header.profile_idc.name.lower()
    return Labels(profile, header.level_idc, frozenset(clauses), tuple(sorted(tags)))


def _tags_of_head(one: CodedFeature) -> Iterator[str]:
    """Tags of a native payload, from its head."""
    head = read_head(one.payload, predicted=not one.access_point)
    block = head["head_block"]
    yield f"native:blocks-{4 << block}" if block else "native:samples"
    if head.get("head_frequency_slope"):
        yield "native:slope"
    if head.get("head_shift_down") or head.get("head_shift_right"):
        yield "native:displaced"
    yield f"native:restoration-{head['head_restoration']}"


def _tags_of_parameter_set(fps: Any) -> Iterator[str]:
    yield f"feature:{fps.feature_type.name.lower()}"
    yield f"source:{fps.source_type.name.lower()}"
    yield f"coder:{fps.coder_id.name.lower().replace('_', '-')}"
    yield f"quantiser:{fps.quantiser.name.lower()}"
    if fps.quantiser != Quantiser.NONE:
        yield f"bits:{fps.bits_minus1 + 1}"
    if fps.range_per_channel_flag:
        yield "range:channel"
    if fps.log_signed_flag:
        yield "log:signed"
    if fps.sample_hash_size:
        yield "sample-hash"
    if fps.shuffle_flag:
        yield "shuffle"
    if fps.coder_id == Coder.HEVC:
        tiles = (fps.tile_columns_minus1 + 1) * (fps.tile_rows_minus1 + 1)
        yield "packing:tile" if tiles > 1 else "packing:frame"
    if fps.hevc_lossless_flag:
        yield "hevc-lossless"
    if fps.temporal_prediction_flag:
        yield "temporal-prediction"


def _tags_of_unit(unit: CodedUnit, unit_type: int) -> Iterator[str]:
    if unit_type == UnitType.CODED_FEATURE_BATCH:
        yield "batch"
    parameters = unit.features[0].parameters
    if parameters.restoration_mode:
        yield f"restoration:{Restoration(parameters.restoration_mode).name.lower()}"
    if parameters.qp_delta is not None:
        yield "qp:channel"
    if parameters.qp_eighths:
        yield "qp:eighths"
    for one in unit.features:
        if one.fps.coder_id == Coder.NATIVE:
            yield from _tags_of_head(one)
        elif one.fps.coder_id == Coder.NATIVE_LOSSLESS:
            yield _EXACT_MODES.get(one.payload[:1].hex()[:1], "exact:context")
    if parameters.channel_order:
        yield f"order:{ChannelOrder(parameters.channel_order).name.lower()}"
    if parameters.range_max is not None:
        low = 0.0 if parameters.range_min is None else parameters.range_min
        if (parameters.range_max == low).any():
            yield "range:constant"
