"""Defects of native lossless payloads at the places where their parts meet."""

from __future__ import annotations

from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import invalid, invalid_payload
from refcodec.suite.make.edits import feature, parameter_set
from refcodec.suite.make.exact import raw_bits_at
from refcodec.suite.make.native import payloads


def _between(stream: bytes, change: bytes, removed: int = 0) -> Edit:
    """Insert bytes between the decisions and the raw bits of a payload, or remove some."""
    one = payloads(stream)[0]
    at = raw_bits_at(one)
    return feature("payload", (one.data[: at - removed] + change + one.data[at:]).hex())


@invalid(450, "exact-bfloat16", "payload", "8.3.8")
def exact_between(stream: bytes) -> Edit:
    """two bytes lie between the decisions, which end in one, and the raw bits"""
    return _between(stream, b"\0\0")


@invalid(451, "exact-bfloat16", "payload", "8.3.8")
def exact_overlap(stream: bytes) -> Edit:
    """the byte that ends the decisions is missing: raw bits decide as it would, and all values are right"""
    return _between(stream, b"", 1)


@invalid_payload(452, "exact-bfloat16", "8.3.8")
def exact_behind(payload: bytes) -> bytes:
    """a byte follows the raw bits, which begin at the end"""
    return payload + b"\0"


@invalid_payload(453, "exact-reference-equal", "8.3.8")
def exact_reference_cut(payload: bytes) -> bytes:
    """the payload ends before the reference exponent"""
    return payload[:2]


@invalid_payload(454, "exact-reference-equal", "8.3.8")
def exact_trailing_cut(payload: bytes) -> bytes:
    """the payload ends before the number of trailing zero bits"""
    return payload[:3]


@invalid_payload(455, "exact-subnormals-float16", "8.3.8")
def exact_header_alone(payload: bytes) -> bytes:
    """the payload ends after its header"""
    return payload[:2]


@invalid_payload(456, "exact-reference-equal", "8.3.8")
def exact_trailing_24(payload: bytes) -> bytes:
    """24 trailing zero bits of mantissas of 23"""
    return payload[:3] + b"\x18" + payload[4:]


@invalid_payload(457, "exact-fast-float8", "8.3.8")
def exact_reference_beyond(payload: bytes) -> bytes:
    """a reference exponent of 16 for exponents of four bits"""
    return payload[:2] + b"\x10" + payload[3:]


@invalid_payload(458, "exact-fast-one-rank", "8.3.8")
def exact_fast_reserved_bit(payload: bytes) -> bytes:
    """the reserved bit is set in the fast mode"""
    return bytes([payload[0] | 8]) + payload[1:]


@invalid_payload(459, "exact-raw", "8.3.8")
def exact_raw_long(payload: bytes) -> bytes:
    """the raw mode with a byte too many"""
    return payload + b"\0"


@invalid_payload(460, "exact-fast-plain", "8.3.8")
def exact_fast_frequencies_cut(payload: bytes) -> bytes:
    """the payload ends inside the frequencies of the first class"""
    return payload[: _tables(payload) + 3]


@invalid_payload(461, "exact-fast-plain", "8.3.8")
def exact_fast_masks_cut(payload: bytes) -> bytes:
    """the payload ends before the frequencies of the last classes"""
    return payload[: _tables(payload) + 12]


@invalid_payload(462, "exact-fast-one-rank", "8.3.8")
def exact_fast_three_bytes(payload: bytes) -> bytes:
    """three bytes follow the frequencies, one less than the state has"""
    return payload[: _tables(payload) + 16 + 3]


@invalid_payload(463, "exact-fast-one-rank", "8.3.8")
def exact_fast_unused_class(payload: bytes) -> bytes:
    """the frequencies of a class that no value has add up to 257"""
    at = _tables(payload) + 14
    assert payload[at : at + 2] == b"\0\0", "the last class is used"
    return payload[:at] + b"\xe0\x00" + b"\x81\x80" + payload[at + 2 :]


@invalid_payload(464, "exact-fast-one-rank", "8.3.8")
def exact_fast_frequency_zero(payload: bytes) -> bytes:
    """a rank of a class that no value has occurs with frequency 0"""
    at = _tables(payload) + 14
    return payload[:at] + b"\xe0\x00" + b"\x00\x80" + payload[at + 2 :]


@invalid_payload(465, "exact-fast-one-rank", "8.3.8")
def exact_fast_state(payload: bytes) -> bytes:
    """the state is one too large at the start, and no longer 2^16 at the end"""
    at = _state(payload)
    state = int.from_bytes(payload[at : at + 4], "big") + 1
    return payload[:at] + state.to_bytes(4, "big") + payload[at + 4 :]


@invalid(466, "exact-fast-float16-trailing", "payload", "8.3.8")
def exact_fast_between(stream: bytes) -> Edit:
    """a byte lies between ranks and raw bits"""
    return _between(stream, b"\0")


def _tables(payload: bytes) -> int:
    """Position of the frequencies of a payload in the fast mode."""
    return 2 + bool(payload[0] & 0x10) + bool(payload[0] & 0x20)


def _state(payload: bytes) -> int:
    """Position of the state of a payload in the fast mode, which follows the frequencies."""
    at = _tables(payload)
    for _ in range(8):
        ranks = int.from_bytes(payload[at : at + 2], "big").bit_count()
        at += 2 + max(ranks - 1, 0)
    return at


@invalid_payload(467, "exact-fast-plain", "8.3.8")
def exact_fast_state_alone(payload: bytes) -> bytes:
    """nothing follows the state: ranks and raw bits are missing"""
    return payload[: _state(payload) + 4]


@invalid(468, "native-samples", "payload", "8.3.7")
def native_samples_cut(stream: bytes) -> Edit:
    """the payload of samples without a transform ends after its head"""
    return feature("payload", payloads(stream)[0].data[:5].hex())


_ONE_RANK = b"\x60\x80\x0f" + 8 * b"\x80\x00"
"""The fast mode with a rank of frequency 256 in each class, and mantissas of eight bits."""


@invalid(469, "exact-fast-one-rank", "payload", "8.3.8", (2, "coded_feature.payload"))
def exact_fast_state_raw(_: bytes) -> list[Edit]:
    """a state of 2^16 + 1, in bytes that are raw bits, too: as many as there are"""
    return _words(4)


@invalid(470, "exact-fast-one-rank", "payload", "8.3.8", (2, "coded_feature.payload"))
def exact_fast_state_beyond(_: bytes) -> list[Edit]:
    """a state of 2^16 + 1, in bytes that are raw bits, too: one less than they need"""
    return _words(5)


def _words(width: int) -> list[Edit]:
    return [
        feature("payload", (_ONE_RANK + b"\0\1\0\1").hex()),
        parameter_set("height_minus1", 0),
        parameter_set("width_minus1", width - 1),
    ]


@invalid_payload(471, "exact-fast-plain", "8.3.8")
def exact_fast_state_and_byte(payload: bytes) -> bytes:
    """a byte follows the state, where two are read"""
    return payload[: _state(payload) + 5]


@invalid_payload(472, "exact-fast-float8", "8.3.8")
def exact_high_beyond(payload: bytes) -> bytes:
    """a highest exponent of 16 for exponents of four bits, and a reference exponent that is allowed"""
    return payload[:1] + b"\x10" + payload[2:]
