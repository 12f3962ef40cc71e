"""Defects of streams of integers, and of floating-point numbers of 8 bits."""

from __future__ import annotations

from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import invalid, invalid_payload
from refcodec.suite.make.edits import parameter_set
from refcodec.syntax.codes import SourceType


@invalid(170, "raw-7-bit", "constraint", "9.2")
def integer_quantiser() -> Edit:
    """int8 features with a uniform quantiser"""
    return parameter_set("source_type", SourceType.INT8)


@invalid(171, "exact-float16", "constraint", "9.2")
def integer_exact() -> Edit:
    """int16 features in the native lossless coder"""
    return parameter_set("source_type", SourceType.INT16)


@invalid_payload(172, "raw-int8", "8.3.1")
def int8_short(payload: bytes) -> bytes:
    """a byte too few for the int8 values"""
    return payload[:-1]


@invalid_payload(173, "exact-float8-e4m3fn", "8.3.8")
def exact_float8_exponent(payload: bytes) -> bytes:
    """float8_e4m3fn values with an exponent of 16"""
    return payload[:1] + b"\x10" + payload[2:]
