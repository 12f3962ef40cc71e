"""Properties derived from a stream: labels, hashes of every stage, and the features that may be released.

Everything in a manifest that can be read from a stream is derived from it, never typed by hand; a test
derives it again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders import payload_coder
from refcodec.coders.protocol import Machine
from refcodec.decoder import decode_window
from refcodec.errors import StreamError
from refcodec.hashes import little_endian_bytes, sample_hash
from refcodec.inspector import inspect
from refcodec.probability.hyperprior import HyperpriorModel, cost_of
from refcodec.registry import CODERS, record_of
from refcodec.stream.limits import element_count
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.walk import Walk, coded_units
from refcodec.suite.assemble import own_elements
from refcodec.suite.manifest import Decision, Feature
from refcodec.syntax.codes import Quantiser, UnitType
from refcodec.syntax.structures import (
    STREAM_HEADER_SIZE,
    FeatureParameterSet,
    Hash,
    Index,
    Metadata,
    ModelUnit,
)
from refcodec.syntax.units import parse_stream_header

__all__ = [
    "Labels",
    "expectation",
    "feature_of",
    "labels",
    "released_features",
    "syntax_hash",
    "syntax_lines",
]

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
    """Features of a stream that a decoder may release: those that precede bit ``stop``.

    stop : position of the defect; None for a stream without one, of which all features are released.

    Raises StreamError for a defect that precedes ``stop``.
    """
    source = io.BytesIO(stream if stop is None else stream[: stop // 8])
    units: list[CodedUnit] = []
    try:
        walk = Walk(parse_stream_header(source.read(STREAM_HEADER_SIZE)))
        units.extend(coded_units(walk, source))
    except StreamError:
        if stop is None:
            raise
    return [
        feature_of(samples, values)
        for unit in decode_window(units, Machine(), {})
        for samples, values in zip(unit.samples, unit.features, strict=True)
    ]


def feature_of(samples: npt.NDArray[Any], values: npt.NDArray[Any]) -> Feature:
    """The entry of a feature in a manifest, from its integer samples and its reconstruction."""
    return Feature(
        shape=values.shape,
        dtype=str(values.dtype),
        samples=sample_hash(samples).hex(),
        reconstruction=hashlib.sha256(little_endian_bytes(values)).hexdigest(),
    )


def expectation(
    stream: bytes, decision: Decision, stop: int | None, origin: bytes
) -> tuple[str, tuple[Feature, ...]]:
    """Hash of the syntax of a stream, '' where it is rejected, and the features that decoders release.

    decision : required of a decoder.
    stop     : position of the defect of a stream that must be rejected, in bits.
    origin   : the stream that was edited. Its features are expected of those who accept a defect that this
               decoder refuses: one in a unit that a decoder may pass over (8.2).
    """
    if decision == "reject":
        return "", tuple(released_features(stream, stop))
    try:
        return syntax_hash(stream), tuple(released_features(stream))
    except StreamError:
        if decision == "accept":
            raise
        return "", tuple(released_features(origin))


# --- labels ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Labels:
    """The contents of a stream.

    clauses : clauses that decoding it involves.
    tags    : its tools, one word each.
    """

    profile: str
    level: int
    clauses: frozenset[str]
    tags: tuple[str, ...]


_CLAUSES = {
    **{f"coder:{name}": record.clauses for name, record in CODERS.items()},
    "quantiser:uniform": ("8.6.1", "8.7"),
    "quantiser:logarithmic": ("8.6.2", "8.7"),
    "quantiser:lattice": ("8.6.5", "8.7"),
    "latents:alone": ("8.10.2",),
    "latents:joint": ("8.10.2",),
    "latents:separate": ("8.10.3",),
    "entropy_model": ("8.10.5", "9.7"),
    "quantiser:transform": ("8.6.6", "8.7"),
    "channel_transform": ("8.6.7", "9.9"),
    "context_model": ("8.3.14.1", "8.3.14.2", "8.3.14.3", "9.12"),
    "network_model": ("8.10.4", "8.10.5", "8.11.1", "8.11.2", "8.11.3", "9.8"),
    "hyperprior:means": ("8.3.10",),
    "hyperprior:scales": ("8.3.10",),
    "range:feature": ("8.6.3",),
    "restoration:tensor": ("8.5",),
    "restoration:channel": ("8.5",),
    "sample-hash": ("8.8",),
    "hash-unit:samples": ("8.8",),
    "hash-unit:reconstruction": ("8.8",),
    "metadata": ("9.4",),
    "index": ("9.5",),
}


_SMALL = 2048
"""Most elements of a stream of a native coder that decodes in some seconds without a compiler."""

_WORK = 1000
"""Multiply-accumulates of a network that take as long as an element of a native coder."""


def labels(stream: bytes) -> Labels:
    """Derive the labels of a valid stream."""
    source = io.BytesIO(stream)
    header = parse_stream_header(source.read(STREAM_HEADER_SIZE))
    walk, tags, elements = Walk(header), set[str](), 0
    sets: list[FeatureParameterSet] = []
    for visit in walk.units(source):
        for error in walk.check(visit):
            raise error
        walk.accept(visit)
        if visit.coded is not None:
            tags |= set(_tags_of_unit(visit.coded, visit.unit.unit_type))
            elements += len(visit.coded.payloads) * _effort(visit.coded)
        match visit.content:
            case Hash():
                tags.add(f"hash-unit:{visit.content.hash_target.name.lower()}")
            case FeatureParameterSet():
                sets.append(visit.content)
            case Metadata() | Index() | ModelUnit():
                tags.add(UnitType(visit.unit.unit_type).name.lower())
            case None:
                tags.add("unknown-unit")
    tags |= {tag for fps in sets for tag in _tags_of_parameter_set(fps)}
    if any(record_of(fps.coder_id).compiled for fps in sets) and elements <= _SMALL:
        tags.add("small")
    if len(sets) > 1:
        tags.add("several-parameter-sets")
    if walk.feature_count != 1:
        tags.add("several-features" if walk.feature_count else "empty")
    if header.version_minor:
        tags.add("newer-minor-version")
    if header.reserved_ignored_2bits:
        tags.add("reserved-bits")
    clauses = {"7.2", "8.2", "9.1"}
    for unit in inspect(stream):
        clauses |= {element.clause for element in own_elements(unit.elements)}
    clauses |= {number for tag in tags for number in _CLAUSES.get(tag, ())}
    profile = header.profile_idc.name.lower()
    return Labels(profile, header.level_idc, frozenset(clauses), tuple(sorted(tags)))


def _effort(unit: CodedUnit) -> int:
    """The time that a feature of a unit takes without a compiler, as a number of elements."""
    elements = element_count(unit.payloads[0].fps)
    model = None if unit.payloads[0].model is None else unit.payloads[0].model.model
    if not isinstance(model, HyperpriorModel):
        return elements
    work, _ = cost_of(model.coded, unit.fps)
    return elements + elements * work // _WORK


def _tags_of_parameter_set(fps: FeatureParameterSet) -> Iterator[str]:
    yield f"feature:{fps.feature_type.name.lower()}"
    yield f"source:{fps.source_type.name.lower()}"
    yield f"coder:{record_of(fps.coder_id).name}"
    yield f"quantiser:{fps.quantiser.name.lower()}"
    if fps.quantiser != Quantiser.NONE:
        yield f"bits:{fps.bits}"
    if fps.range_per_channel_flag:
        yield "range:channel"
    if fps.log_signed_flag:
        yield "log:signed"
    if fps.head_count:
        yield "tokens:heads"
    if fps.sample_hash_size:
        yield "sample-hash"
    if fps.shuffle_flag:
        yield "shuffle"
    if fps.tile_columns_minus1 is not None and fps.tile_rows_minus1 is not None:
        tiles = (fps.tile_columns_minus1 + 1) * (fps.tile_rows_minus1 + 1)
        yield "packing:tile" if tiles > 1 else "packing:frame"
    if fps.hevc_lossless_flag:
        yield "hevc-lossless"
    if fps.temporal_prediction_flag:
        yield "temporal-prediction"


def _tags_of_unit(unit: CodedUnit, unit_type: int) -> Iterator[str]:
    if unit_type == UnitType.CODED_FEATURE_BATCH:
        yield "batch"
    if unit.continues:
        yield "tokens:continued"
    parameters = unit.parameters
    if parameters.restoration_mode:
        yield f"restoration:{parameters.restoration_mode.name.lower()}"
    if any(payload.parameters is not parameters for payload in unit.payloads):
        yield "range:feature"
    if parameters.qp_delta is not None:
        yield "qp:channel"
    if parameters.qp_eighths:
        yield "qp:eighths"
    for payload in unit.payloads:
        yield from payload_coder(unit.fps.coder_id).label_payload(payload)
    if parameters.channel_order:
        yield f"order:{parameters.channel_order.name.lower()}"
    if parameters.range_max is not None:
        low = 0.0 if parameters.range_min is None else parameters.range_min
        if (parameters.range_max == low).any():
            yield "range:constant"
