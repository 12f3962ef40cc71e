"""Short forms of the most frequent edits.

Units are numbered from 0, the stream header. In most streams of the suite, unit 1 is the only
parameter set, and unit 2 the first coded feature.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from refcodec.inspector import inspect
from refcodec.suite.assemble import (
    Edit,
    Patch,
    Set,
    Value,
    disassemble,
    encode,
    from_bits,
    to_bits,
)
from refcodec.syntax import vvc
from refcodec.syntax.bits import BitReader, Element, Trace
from refcodec.syntax.codes import Coder
from refcodec.syntax.hevc import (
    PPS,
    SLICE_HEADER,
    SPS,
    VPS,
    nal_type,
    parse_parameter_sets,
    split_nals,
)
from refcodec.syntax.records import Structure

__all__ = [
    "add",
    "change_payload",
    "element",
    "feature",
    "flip",
    "header",
    "inside",
    "parameter",
    "parameter_set",
    "replace_sets",
    "with_headers",
    "with_slice_header",
]


_SETS: dict[Coder, tuple[Structure[Any], ...]] = {
    Coder.HEVC: (VPS, SPS, PPS),
    Coder.VVC: (vvc.SPS, vvc.PPS),
}
"""Structures of the parameter sets of video coders."""


def header(name: str, value: Value) -> Set:
    """Set an element of the stream header."""
    return Set(0, f"stream_header.{name}", value)


def parameter_set(name: str, value: Value) -> Set:
    """Set an element of the first feature parameter set."""
    return Set(1, f"feature_parameter_set.{name}", value)


def feature(name: str, value: Value) -> Set:
    """Set an element of the first coded feature."""
    return Set(2, f"coded_feature.{name}", value)


def parameter(name: str, value: Value) -> Set:
    """Set an element of the first coded feature's parameters."""
    return feature(f"parameters.{name}", value)


def element(stream: bytes, unit: int, path: str) -> Element:
    """The first element of a path in a unit. Raises StopIteration if there is none."""
    return next(one for one in inspect(stream)[unit].elements if one.path == path)


def add(stream: bytes, unit: int, path: str, difference: int) -> Set:
    """Add to an integer."""
    return Set(unit, path, int(element(stream, unit, path).value) + difference)


def flip(stream: bytes, unit: int, path: str, bit: int) -> Patch:
    """Flip one bit of an element."""
    old = disassemble(stream)[unit].field(path).bits[bit]
    return Patch(unit, path, bit, "1" if old == "0" else "0")


def change_payload(stream: bytes, change: Callable[[bytes], bytes]) -> Set:
    """Change the payload of the first coded feature."""
    return feature("payload", change(element(stream, 2, "coded_feature.payload").value).hex())


def inside(stream: bytes, unit: int, outer: str, value: Value, *inner: str) -> list[Edit]:
    """Give elements inside another one, such as parameter sets, another value of the same width."""
    start = element(stream, unit, outer).offset
    found = [element(stream, unit, path) for path in inner]
    return [Patch(unit, outer, one.offset - start, encode(value, one.descriptor)) for one in found]


def with_headers(stream: bytes, number: int, **values: Value) -> list[Edit]:
    """Give elements of the VPS (0), SPS (1) or PPS (2), with VVC of the SPS (0) or PPS (1), other values.

    values : of any width.
    """
    sets = element(stream, 1, "feature_parameter_set.parameter_sets").value
    nals = [nal for _, nal in split_nals(sets)]
    structures = _SETS[element(stream, 1, "feature_parameter_set.coder_id").value]
    head, structure = nals[number][:2], structures[number]
    payload = nals[number][2:].replace(b"\0\0\3", b"\0\0")  # without emulation prevention
    trace: Trace = []
    structure.parse_stream(BitReader(payload, 0, trace, structure.title))
    bits = to_bits(payload).rstrip("0")[:-1]  # without the trailing bits
    for one in reversed(trace):
        if one.name in values:
            new = encode(values[one.name], one.descriptor)
            bits = bits[: one.offset] + new + bits[one.offset + one.width :]
    bits += "1"
    payload = from_bits(bits + "0" * (-len(bits) % 8))
    nals[number] = head + _protected(payload)
    return replace_sets(b"".join(b"\0\0\1" + nal for nal in nals))


def replace_sets(sets: bytes) -> list[Edit]:
    """Replace the parameter sets of a video standard."""
    return [
        parameter_set("parameter_sets", sets.hex()),
        parameter_set("parameter_sets_size", len(sets)),
    ]


def with_slice_header(stream: bytes, unit: int, **values: Value) -> Set:
    """Give elements of the header of the first slice of a coded feature other values, of any width."""
    sets = element(stream, 1, "feature_parameter_set.parameter_sets").value
    _, sps, pps = parse_parameter_sets(sets)
    payload = element(stream, unit, "coded_feature.payload").value
    (_, nal), *others = split_nals(payload)
    data = nal[2:].replace(b"\0\0\3", b"\0\0")
    trace: Trace = []
    reader = BitReader(data, 0, trace, SLICE_HEADER.title)
    parsed = SLICE_HEADER.parse_stream(reader, nal_unit_type=nal_type(nal), sps=sps, pps=pps)
    filtered = parsed.slice_sao_luma_flag or not pps.pps_deblocking_filter_disabled_flag
    across = pps.pps_loop_filter_across_slices_enabled_flag and filtered  # a flag behind the QP
    bits, end = to_bits(data), reader.position + int(bool(across))
    begin = end + 8 - end % 8  # of the coded picture, behind a one and zeros up to a byte
    head = bits[:end] + "1"
    for one in reversed(trace):
        if one.name in values:
            new = encode(values[one.name], one.descriptor)
            head = head[: one.offset] + new + head[one.offset + one.width :]
    data = from_bits(head + "0" * (-len(head) % 8) + bits[begin:])
    nals = [nal[:2] + _protected(data), *(other for _, other in others)]
    return Set(unit, "coded_feature.payload", b"".join(b"\0\0\1" + one for one in nals).hex())


def _protected(data: bytes) -> bytes:
    """The payload of a NAL unit with emulation prevention."""
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", data)
