"""Native lossless payloads with random headers and frequencies, in all modes (clause 8.3.8)."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.encoder.context import encode_context
from refcodec.coders.native_lossless.encoder.fast import (
    code_ranks,
    count_ranks,
    scale_frequencies,
    write_frequencies,
)
from refcodec.coders.native_lossless.encoder.survey import survey_floats
from refcodec.coders.native_lossless.fast import CLASSES, RANKS, spread_frequencies
from refcodec.coders.native_lossless.header import (
    CONTEXT_MODE,
    FAST_MODE,
    HAS_NEGATIVES,
    HAS_REFERENCE,
    HAS_REPEATS,
    HAS_TRAILING,
    HAS_ZEROS,
    KINDS,
    RAW_MODE,
)
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE, finish_raw
from refcodec.entropy.arrays import Int32, Int64
from refcodec.suite.drawn.chance import Chance
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["encode_exactly"]


def encode_exactly(chance: Chance, samples: Int32, fps: FeatureParameterSet) -> bytes:
    """The payload of samples, in a random mode, with any header that the words allow."""
    kind = KINDS[fps.source_type]
    words = np.require(samples, np.int32, ["C", "W"]).reshape(-1)
    shape = np.array(samples.shape, np.int64)
    mode = chance.choose([RAW_MODE, FAST_MODE, FAST_MODE, CONTEXT_MODE, CONTEXT_MODE, CONTEXT_MODE])
    size = (int(kind[1]) + 1) // 8
    if mode == RAW_MODE:
        return bytes([RAW_MODE]) + words.view(np.uint32).astype(f"<u{size}").tobytes()
    header = _draw_header(chance, words, shape, kind, mode)
    flags, high, reference, trailing = header.tolist()
    has_reference = reference != high or chance.one_in(4)
    has_trailing = trailing > 0 or chance.one_in(4)
    fields = mode | flags | HAS_REFERENCE * has_reference | HAS_TRAILING * has_trailing
    head = bytes([fields, high] + [reference] * has_reference + [trailing] * has_trailing)
    if mode == FAST_MODE:
        return head + _fast(chance, words, shape, kind, header)
    return head + encode_context(words, shape, kind, header, 64 * words.size + 64)


def _draw_header(chance: Chance, words: Int32, shape: Int64, kind: Int64, mode: int) -> Int64:
    """Flags, exponents and trailing bits: those of the words, or others that hold for them, too."""
    header = np.zeros(4, np.int64)
    survey_floats(words, shape, kind, header)
    largest = (1 << int(kind[1] - kind[0])) - 1
    flags, high, reference, trailing = header.tolist()
    if chance.one_in(2):
        flags |= chance.below(8)
        high = chance.number(high, largest)
        reference = chance.number(0, largest)
        trailing = chance.number(0, trailing)
    allowed = HAS_NEGATIVES if mode == FAST_MODE else HAS_NEGATIVES | HAS_ZEROS | HAS_REPEATS
    return np.array([flags & allowed, high, reference, trailing], np.int64)


def _fast(chance: Chance, words: Int32, shape: Int64, kind: Int64, header: Int64) -> bytes:
    """Frequencies, ranks and raw bits."""
    work, raw = np.zeros(WORK_SIZE, np.int64), np.empty(5 * words.size + 8, np.uint8)
    ranks, entries = (np.empty(words.size + 8, np.uint8) for _ in range(2))
    counts, frequencies, starts = (np.zeros(CLASSES * RANKS, np.int64) for _ in range(3))
    count_ranks(work, raw, words, ranks, entries, shape, kind, header, counts)
    rest = finish_raw(work, raw)
    scale_frequencies(counts, frequencies)
    for one in range(CLASSES):
        if chance.below(2):
            own = slice(one * RANKS, (one + 1) * RANKS)
            frequencies[own] = _draw_frequencies(chance, counts[own] > 0)
    spread_frequencies(frequencies, np.empty(CLASSES * 256, np.uint8), starts)
    data = np.empty(2 * words.size + 16, np.uint8)
    begin = code_ranks(data, entries[: words.size], frequencies, starts)
    tables = np.empty(CLASSES * (RANKS + 2), np.uint8)
    head = tables[: write_frequencies(tables, frequencies)]
    return head.tobytes() + data[begin:].tobytes() + raw[:rest][::-1].tobytes()


def _draw_frequencies(chance: Chance, needed: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Int64:
    """Frequencies of 16 ranks that add up to 256, of which those needed are not 0; or none at all."""
    chosen = needed | (chance.words(RANKS) % np.uint64(4) == 0)
    if not chosen.any():
        return np.zeros(RANKS, np.int64)
    found: Int64 = chosen.astype(np.int64)
    left = 256 - int(chosen.sum())
    for rank in chance.order(RANKS).tolist():
        if chosen[rank]:
            share = chance.number(0, left)
            found[rank] += share
            left -= share
    found[int(np.flatnonzero(chosen)[0])] += left
    return found
