"""The native lossless coder: floats of any bit pattern, smaller than any general compressor (8.3.8).

A payload begins with a byte that names its mode and says what stands in the header behind it::

    0x00            00000000  raw: the sample bytes follow
    0x40 | fields   01......  fast (8.3.8.3): frequencies, ranks, then raw bits from the end
    0x80 | fields   10......  context (8.3.8.2): decisions, then raw bits from the end

    0x20  ..1.....  a byte follows: trailing zero bits common to all mantissas
    0x10  ...1....  a byte follows: the reference exponent, which is else the highest one
    0x08  ....0...  reserved
    0x04  .....1..  words may repeat their neighbours (context)
    0x02  ......1.  there are negative words
    0x01  .......1  there are words of magnitude zero (context)

The second byte is the highest exponent of a word that is not zero.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.coded import CodedFeature
from refcodec.entropy.arithmetic import POSITION, start_decoding, start_encoding
from refcodec.entropy.fast_floats import (
    CLASSES,
    RANKS,
    code_ranks,
    count_ranks,
    decode_fast,
    scale_frequencies,
    spread_frequencies,
    write_frequencies,
)
from refcodec.entropy.floats import (
    HAS_REPEATS,
    HAS_ZEROS,
    STATES,
    WORK_SIZE,
    code_floats,
    finish_floats,
    finish_raw,
    raw_size,
    survey_floats,
)
from refcodec.errors import PayloadError
from refcodec.kernel import announce_compilation
from refcodec.syntax.codes import SourceType

__all__ = ["decode_payload", "encode_payload", "initial_model"]

Samples = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

RAW, FAST, CONTEXT = 0x00, 0x40, 0x80
HAS_TRAILING, HAS_REFERENCE = 0x20, 0x10

_KINDS = {
    SourceType.FLOAT32: np.array([23, 31]),
    SourceType.FLOAT16: np.array([10, 15]),
    SourceType.BFLOAT16: np.array([7, 15]),
}
"""Bits of the mantissa, and position of the sign bit."""


# --- normative -------------------------------------------------------------------------------------


@cache
def _trained_model() -> tuple[Samples, Integers]:
    text = (files("refcodec.tables") / "floats.txt").read_text(encoding="ascii")
    lines = (line for line in text.split("\n") if not line.startswith("#"))
    numbers = np.array(" ".join(lines).split(), dtype=np.int64)
    states, weights = numbers[:STATES], numbers[STATES:]
    probabilities, counts = states >> 6, states & 63
    return ((2 * probabilities + 1) << 17 | counts).astype(np.int32), weights


@clause("8.3.8.2")
def initial_model() -> tuple[Samples, Integers]:
    """(8.3.8.2) Fresh copies of the states and weights with which every feature begins.

    In ``tables/floats.txt`` a state is its probability of a 1 in units of 2^-12, rounded down, times 64,
    plus its count; its probability begins in the middle of that unit. Weights are in units of 2^-16.
    """
    states, weights = _trained_model()
    return states.copy(), weights.copy()


@clause("8.3.8")
def decode_payload(one: CodedFeature) -> Samples:
    """(8.3.8) Decode one payload to samples, int32, C x H x W: the bit patterns of the source type.

    Raises PayloadError for a header that breaks a constraint, and for bytes missing or left over.
    """
    try:
        return _decode(one.payload, one.fps)
    except PayloadError as error:
        error.bit_offset = one.bit_offset
        raise


def _decode(payload: bytes, fps: Any) -> Samples:
    shape = np.array([fps.channels, fps.height, fps.width], np.int64)
    count = int(shape.prod())
    kind = _KINDS[SourceType(fps.source_type)]
    if not payload:
        raise _error("the payload is empty")
    mode = payload[0] & 0xC0
    if payload[0] == RAW:
        size = (int(kind[1]) + 1) // 8
        if len(payload) != 1 + count * size:
            raise _error(f"the payload has {len(payload) - 1} raw bytes, not {count * size}")
        words = np.frombuffer(payload, f"<u{size}", offset=1).astype(np.uint32).view(np.int32)
    elif mode in (FAST, CONTEXT) and not payload[0] & 0x08:
        header, begin = _read_header(payload, kind)
        words = np.empty(count, np.int32)
        data = np.frombuffer(
            payload, np.uint8, offset=begin
        ).copy()  # kernels take one type of array
        decode = _decode_fast if mode == FAST else _decode_context
        decode(data, words, shape, kind, header)
    else:
        raise _error(f"the payload begins with {payload[0]:#04x}, which names no mode")
    return words.reshape(fps.channels, fps.height, fps.width)


def _read_header(payload: bytes, kind: Integers) -> tuple[Integers, int]:
    """Flags, highest exponent, reference exponent and trailing zero bits; and the header's size."""
    fields = payload[0]
    size = 2 + bool(fields & HAS_REFERENCE) + bool(fields & HAS_TRAILING)
    if len(payload) < size:
        raise _error("the payload ends within its header")
    high = reference = payload[1]
    trailing = 0
    if fields & HAS_REFERENCE:
        reference = payload[2]
    if fields & HAS_TRAILING:
        trailing = payload[size - 1]
    if max(high, reference) >> int(kind[1] - kind[0]) or trailing > kind[0]:
        raise _error(
            f"exponents {high} and {reference}, or {trailing} trailing bits, are too large"
        )
    return np.array([fields & 7, high, reference, trailing]), size


def _decode_context(
    data: Bytes, words: Samples, shape: Integers, kind: Integers, header: Integers
) -> None:
    """Decisions from the front, raw bits from the end; between them nothing is left."""
    announce_compilation("floats.code_floats")
    work = np.zeros(WORK_SIZE, np.int64)
    words.fill(0)
    start_decoding(work, data)
    code_floats(work, data, data[::-1].copy(), True, words, shape, kind, header, *initial_model())
    # four bytes are read ahead, of which the encoder wrote one or two
    rest = data.size - raw_size(work) - (int(work[POSITION]) - 4)
    if not 1 <= rest <= 2:
        raise _error("the payload does not end where its decisions meet its raw bits")


def _decode_fast(
    data: Bytes, words: Samples, shape: Integers, kind: Integers, header: Integers
) -> None:
    """Frequencies and ranks from the front, raw bits from the end; between them nothing is left."""
    announce_compilation("fast_floats.decode_fast")
    frequencies, begin = _read_frequencies(data.tobytes()[: CLASSES * (RANKS + 2)])
    data = data[begin:]
    if data.size < 4:
        raise _error("the payload ends within its frequencies")
    slots, starts = np.zeros(CLASSES * 256, np.uint8), np.zeros(CLASSES * RANKS, np.int64)
    spread_frequencies(frequencies, slots, starts)
    work, ranks = np.zeros(WORK_SIZE, np.int64), np.empty(words.size, np.uint8)
    read = decode_fast(
        work, data, data[::-1].copy(), words, ranks, shape, kind, header, frequencies, slots, starts
    )
    if read < 0 or read + raw_size(work) != data.size:
        raise _error("the payload does not end where its ranks meet its raw bits")


def _read_frequencies(data: bytes) -> tuple[Integers, int]:
    """For each class 16 bits that say which ranks occur, then the frequency of each but the last."""
    frequencies: list[int] = []
    at = 0
    for one in range(CLASSES):
        mask = int.from_bytes(data[at : at + 2], "big")
        at += 2
        left, last = 256, mask & -mask  # the last rank of a class has what the others leave
        for rank in range(RANKS):
            bit = 0x8000 >> rank & mask
            frequency = 0
            if bit and bit == last:
                frequency = left
            elif bit:
                frequency = data[at] if at < len(data) else 0
                at += 1
                left -= frequency
            if bit and frequency < 1:
                raise _error(f"the frequencies of class {one} are cut, or do not add up to 256")
            frequencies.append(frequency if bit else 0)
    return np.array(frequencies), at


def _error(what: str) -> PayloadError:
    return PayloadError(what, clause="8.3.8")


# --- informative: the encoder's half ---------------------------------------------------------------

_SMALLEST_FAST = 1024
"""Elements below which frequencies cost more than they gain, and speed does not matter."""


def encode_payload(samples: Samples, fps: Any, effort: str = "default") -> bytes:
    """Code samples (int32, C x H x W bit patterns); the inverse of :func:`decode_payload`.

    effort : ``default`` for the smallest payload, ``fast`` for speed.
    """
    kind = _KINDS[SourceType(fps.source_type)]
    shape = np.array(samples.shape, np.int64)
    words = np.require(samples, np.int32, ["C", "W"]).reshape(-1)  # kernels take one type of array
    size = words.size * (int(kind[1]) + 1) // 8
    header = np.zeros(4, np.int64)
    survey_floats(words, shape, kind, header)
    flags, high, reference, trailing = header.tolist()
    fields = flags | HAS_REFERENCE * (reference != high) | HAS_TRAILING * (trailing > 0)
    if effort == "fast" and words.size >= _SMALLEST_FAST:
        fields = fields & ~(HAS_ZEROS | HAS_REPEATS) | FAST
        coded = _encode_fast(words, shape, kind, header, size)
    else:
        fields |= CONTEXT
        coded = _encode_context(words, shape, kind, header, size)
    optional = [reference] * (reference != high) + [trailing] * (trailing > 0)
    payload = bytes([fields, high, *optional]) + coded
    if coded and len(payload) <= size:
        return payload
    return bytes([RAW]) + words.view(np.uint32).astype(f"<u{size // words.size}").tobytes()


def _encode_context(
    words: Samples, shape: Integers, kind: Integers, header: Integers, size: int
) -> bytes:
    """Decisions and raw bits, or nothing where they take more than ``size`` bytes."""
    announce_compilation("floats.code_floats")
    work = np.zeros(WORK_SIZE, np.int64)
    data, raw = np.empty(size + 8, np.uint8), np.empty(size + 8, np.uint8)
    start_encoding(work)
    code_floats(work, data, raw, False, words, shape, kind, header, *initial_model())
    coded, rest = finish_floats(work, data), finish_raw(work, raw)
    return data[:coded].tobytes() + raw[:rest][::-1].tobytes() if coded + rest <= size else b""


def _encode_fast(
    words: Samples, shape: Integers, kind: Integers, header: Integers, size: int
) -> bytes:
    """Frequencies, ranks and raw bits, or nothing where they take more than ``size`` bytes."""
    announce_compilation("fast_floats.code_ranks")
    work, raw = np.zeros(WORK_SIZE, np.int64), np.empty(size + 8, np.uint8)
    ranks, entries, data = (np.empty(words.size + 8, np.uint8) for _ in range(3))
    counts, frequencies, starts = (np.zeros(CLASSES * RANKS, np.int64) for _ in range(3))
    count_ranks(work, raw, words, ranks, entries, shape, kind, header, counts)
    rest = finish_raw(work, raw)
    scale_frequencies(counts, frequencies)
    spread_frequencies(frequencies, np.empty(CLASSES * 256, np.uint8), starts)
    begin = code_ranks(data, entries[: words.size], frequencies, starts)
    tables = np.empty(CLASSES * (RANKS + 2), np.uint8)
    head = tables[: write_frequencies(tables, frequencies)]
    return head.tobytes() + data[begin:].tobytes() + raw[:rest][::-1].tobytes()
