"""Defects of native lossless payloads."""

from __future__ import annotations

from refcodec.suite.make.define import invalid_payload


@invalid_payload(144, "exact-float32", "8.3.8")
def exact_empty(_: bytes) -> bytes:
    """the payload is empty"""
    return b""


@invalid_payload(145, "exact-float32", "8.3.8")
def exact_cut(payload: bytes) -> bytes:
    """the last byte of the payload is missing"""
    return payload[:-1]


@invalid_payload(147, "exact-float32", "8.3.8")
def exact_mode(payload: bytes) -> bytes:
    """the mode is 3, which is not defined"""
    return bytes([payload[0] | 0xC0]) + payload[1:]


@invalid_payload(148, "exact-float32", "8.3.8")
def exact_reserved_bit(payload: bytes) -> bytes:
    """the reserved bit of the first byte is set"""
    return bytes([payload[0] | 0x08]) + payload[1:]


@invalid_payload(149, "exact-raw", "8.3.8")
def exact_raw_mode(payload: bytes) -> bytes:
    """the mode is raw, and other bits of the first byte are set"""
    return b"\x01" + payload[1:]


@invalid_payload(150, "exact-raw", "8.3.8")
def exact_raw_short(payload: bytes) -> bytes:
    """the raw mode with a byte too few"""
    return payload[:-1]


@invalid_payload(151, "exact-float32", "8.3.8")
def exact_header_cut(payload: bytes) -> bytes:
    """the payload ends within its header"""
    return payload[:1]


@invalid_payload(152, "exact-float16", "8.3.8")
def exact_exponent(payload: bytes) -> bytes:
    """float16 values with an exponent of 32"""
    return payload[:1] + b"\x20" + payload[2:]


@invalid_payload(153, "exact-fast-plain", "8.3.8")
def exact_fast_frequencies(payload: bytes) -> bytes:
    """the frequencies of a class add up to more than 256"""
    at = 2 + bool(payload[0] & 0x10) + bool(payload[0] & 0x20)
    while (ranks := int.from_bytes(payload[at : at + 2], "big").bit_count()) < 3:
        at += 2 + max(ranks - 1, 0)  # another class
    return payload[: at + 2] + b"\xff\xff" + payload[at + 4 :]


@invalid_payload(154, "exact-fast-plain", "8.3.8")
def exact_fast_cut(payload: bytes) -> bytes:
    """the fast mode with the last byte missing"""
    return payload[:-1]


@invalid_payload(155, "exact-fast-plain", "8.3.8")
def exact_fast_long(payload: bytes) -> bytes:
    """the fast mode with a byte too many"""
    return payload + b"\0"


@invalid_payload(156, "exact-trailing-zeros", "8.3.8")
def exact_trailing_bits(payload: bytes) -> bytes:
    """24 trailing zero bits of mantissas of 23"""
    assert payload[0] & 0x20, "no byte tells their number"
    at = 2 + bool(payload[0] & 0x10)
    return payload[:at] + bytes([24]) + payload[at + 1 :]
