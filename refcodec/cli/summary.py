"""Summary of a stream, from one pass over its units, and its description in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from refcodec.arrays import ARRAYS_KEY, ArrayEntry, entries_in
from refcodec.cli.terminal import many
from refcodec.quantise import NUMPY_TYPES
from refcodec.registry import coder_named, record_of
from refcodec.shapes import layer_shape
from refcodec.stream.limits import check_level, element_count
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.walk import Walk, coded_units
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import STREAM_HEADER_SIZE, FeatureParameterSet
from refcodec.syntax.units import parse_stream_header

__all__ = ["describe", "summarise"]

_SHOWN = 16
"""Parameter sets, and arrays, that are described in words at most."""

_Facts = list[tuple[str, str]]


@dataclass
class _Use:
    """Totals over the features of one parameter set."""

    features: int = 0
    elements: int = 0
    payload: int = 0
    qps: set[float] = field(default_factory=set)

    def add(self, unit: CodedUnit) -> None:
        self.features += len(unit.payloads)
        self.elements += len(unit.payloads) * element_count(unit.payloads[0].fps)
        self.payload += sum(len(payload.data) for payload in unit.payloads)
        parameters = unit.parameters
        if parameters.qp is not None:
            delta = parameters.qp_delta
            least = 0 if delta is None else int(delta.max())
            qp = parameters.qp + (parameters.qp_eighths or 0) / 8
            self.qps |= {qp - least, qp}


class _Tally:
    """A source that counts the bytes read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.size += len(data)
        return data


def summarise(source: BinaryIO) -> dict[str, Any]:
    """Summarise a stream as JSON types, without decoding payloads. Raises StreamError."""
    tally: Any = _Tally(source)
    header = parse_stream_header(tally.read(STREAM_HEADER_SIZE))
    for error in check_level(header):
        raise error
    walk = Walk(header)
    uses: dict[int, tuple[FeatureParameterSet, _Use]] = {}  # by identity: one may replace another
    units = 0
    for unit in coded_units(walk, tally):
        units += 1
        uses.setdefault(id(unit.fps), (unit.fps, _Use()))[1].add(unit)
    for _, fps in sorted(walk.parameter_sets.items()):
        uses.setdefault(id(fps), (fps, _Use()))
    sets = [_parameter_set(fps, use) for fps, use in uses.values()]
    elements = sum(one["elements"] for one in sets)
    original = sum(one["uncompressed_bytes"] for one in sets)
    return {
        "version": f"{header.version_major}.{header.version_minor}",
        "profile": header.profile_idc.name.lower(),
        "level": int(header.level_idc),
        "features": walk.feature_count,
        "coded_units": units,
        "bytes": tally.size,
        "uncompressed_bytes": original,
        "compression_rate": tally.size / original if original else None,
        "elements": elements,
        "bits_per_element": 8 * tally.size / elements if elements else None,
        "parameter_sets": sets,
        "metadata": dict(walk.metadata),
    }


def _parameter_set(fps: FeatureParameterSet, use: _Use) -> dict[str, Any]:
    record = record_of(fps.coder_id)
    columns, rows = fps.tile_columns_minus1, fps.tile_rows_minus1
    return {
        "fps_id": fps.fps_id,
        "feature_type": fps.feature_type.name.lower(),
        "shape": list(layer_shape(fps)),
        "source_type": fps.source_type.name.lower(),
        "features": use.features,
        "elements": use.elements,
        "uncompressed_bytes": use.elements * NUMPY_TYPES[fps.source_type].itemsize,
        "payload_bytes": use.payload,
        "quantiser": fps.quantiser.name.lower(),
        "bits": None if fps.quantiser == Quantiser.NONE else fps.bits,
        "range_per_channel": bool(fps.range_per_channel_flag),
        "coder": record.name,
        "shuffle": bool(fps.shuffle_flag),
        "lossless": not fps.qp_present,
        "temporal_prediction": bool(fps.temporal_prediction_flag),
        "restoration": bool(fps.restoration_enabled_flag),
        "tiles": None if columns is None or rows is None else [columns + 1, rows + 1],
        "qp": [min(use.qps), max(use.qps)] if use.qps else None,
        "sample_hash_bytes": fps.sample_hash_size,
    }


# --- description -----------------------------------------------------------------------------------


def describe(file: str, summary: dict[str, Any]) -> Iterator[tuple[str, _Facts]]:
    """Describe a summary as headings, each with names and values."""
    units = f"{many(summary['features'], 'feature')} in {many(summary['coded_units'], 'unit')}"
    facts = [
        (
            "stream",
            f"DFC {summary['version']}, profile {summary['profile']}, level {summary['level']}",
        ),
        ("holds", units),
        ("size", many(summary["bytes"], "byte")),
    ]
    if summary["elements"]:
        original = f"{summary['uncompressed_bytes']:,} bytes uncompressed"
        facts.append(("rate", f"{summary['compression_rate']:.2%} of {original}"))
        facts.append(("", f"{summary['bits_per_element']:.3f} bits per element"))
    yield file, facts
    sets = summary["parameter_sets"]
    for one in sets[:_SHOWN]:
        yield f"parameter set {one['fps_id']}", list(_parameter_set_facts(one))
    if len(sets) > _SHOWN:
        yield f"and {many(len(sets) - _SHOWN, 'parameter set')} more", []
    texts = dict(summary["metadata"])
    if named := entries_in(texts):
        del texts[ARRAYS_KEY]
        described = sum(one.count for one in named)
        whole = described == summary["features"] or any(
            one["feature_type"] == "tokens" for one in sets
        )
        facts = [("unknown", f"features were added to the {described:,} that were described")]
        yield "arrays", list(_array_facts(named)) if whole else facts
    if texts:
        yield "metadata", list(texts.items())


def _array_facts(entries: list[ArrayEntry]) -> Iterator[tuple[str, str]]:
    for entry in entries[:_SHOWN]:
        holds = "one feature" if entry.batch is None else f"a batch of {entry.batch:,}"
        yield entry.name or "unnamed", holds
    if len(entries) > _SHOWN:
        yield "and", f"{many(len(entries) - _SHOWN, 'array')} more"


def _parameter_set_facts(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shape = " x ".join(map(str, one["shape"]))
    yield "features", f"{one['features']:,}"
    yield "shape", f"{shape} ({one['feature_type']}), {one['source_type']}"
    if one["quantiser"] == "none":
        yield "quantiser", "none, bit for bit"
    else:
        ranges = "one range per channel" if one["range_per_channel"] else "one range per feature"
        if one["quantiser"] == "transform":
            ranges = "over the channels"
        yield "quantiser", f"{one['quantiser']}, {one['bits']} bits, {ranges}"
    yield "coder", ", ".join(_coder_words(one))
    if one["qp"]:
        low, high = one["qp"]
        yield "QP", f"{high:g}" if low == high else f"{low:g} to {high:g}"
    if one["features"]:
        rate = 8 * one["payload_bytes"] / one["elements"]
        yield "payloads", f"{one['payload_bytes']:,} bytes, {rate:.3f} bits per element"
    if one["sample_hash_bytes"]:
        yield "hash", f"{one['sample_hash_bytes']} bytes of SHA-256 with each feature"


def _coder_words(one: dict[str, Any]) -> Iterator[str]:
    yield one["coder"]
    if one["shuffle"]:
        yield "bytes shuffled"
    if one["tiles"]:
        columns, rows = one["tiles"]
        yield f"tiles {columns} x {rows}" if columns * rows > 1 else "one channel per frame"
    if one["tiles"] or coder_named(one["coder"]).signals_qp:
        yield "lossless" if one["lossless"] else "lossy"
        yield "predicted over time" if one["temporal_prediction"] else "all intra"
        if one["restoration"]:
            yield "statistics restoration allowed"
