"""Short forms of the most frequent edits.

Units are numbered from 0, the stream header. In most streams of the suite, unit 1 is the only
parameter set, and unit 2 the first coded feature.
"""

from __future__ import annotations

from collections.abc import Callable

from refcodec.inspector import inspect
from refcodec.suite.assemble import Patch, Set, Value, disassemble
from refcodec.syntax.bits import Element

__all__ = [
    "add",
    "change_payload",
    "element",
    "feature",
    "flip",
    "header",
    "parameter",
    "parameter_set",
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
