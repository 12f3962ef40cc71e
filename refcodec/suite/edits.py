"""Short forms of the most frequent edits.

Units are numbered from 0, the stream header. In most streams of the suite, unit 1 is the only
parameter set, and unit 2 the first coded feature.
"""

from __future__ import annotations

import re
from collections.abc import Callable

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
from refcodec.syntax.bits import BitReader, Element, Trace
from refcodec.syntax.hevc import PPS, SPS, VPS, split_nals

__all__ = [
    "add",
    "change_payload",
    "element",
    "feature",
    "flip",
    "header",
    "parameter",
    "parameter_set",
    "replace_sets",
    "with_headers",
]


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


def with_headers(stream: bytes, number: int, **values: Value) -> list[Edit]:
    """Give elements of the VPS (0), SPS (1) or PPS (2) other values, of any width."""
    sets = element(stream, 1, "feature_parameter_set.parameter_sets").value
    nals = [nal for _, nal in split_nals(sets)]
    head, structure = nals[number][:2], (VPS, SPS, PPS)[number]
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
    nals[number] = head + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
    return replace_sets(b"".join(b"\0\0\1" + nal for nal in nals))


def replace_sets(sets: bytes) -> list[Edit]:
    """Replace the HEVC parameter sets."""
    return [
        parameter_set("parameter_sets", sets.hex()),
        parameter_set("parameter_sets_size", len(sets)),
    ]
