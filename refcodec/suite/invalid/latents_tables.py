"""Defects of entropy models, and of the latents under them, one beyond what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refcodec.entropy.arithmetic import CODER_SIZE, DIRECTION, finish_encoding, start_encoding
from refcodec.entropy.arrays import Int64, Uint8
from refcodec.entropy.model_bits import (
    AT_ESCAPE,
    AT_MEMBER,
    AT_NEW,
    AT_PLACE,
    AT_REPEAT,
    AT_SHIFT,
    AT_VALUES,
    MODEL_CHANCES,
    NEW_CHANCE,
    code_adaptive,
    code_difference,
    code_number,
    code_tables,
)
from refcodec.entropy.static import LARGEST_EXCESS, frequencies_of
from refcodec.entropy.symbols import encode_symbols_of, make_tables
from refcodec.probability.coding import encode_tables
from refcodec.suite.assemble import Edit, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, element
from refcodec.suite.valid.latents import learned, model, peak
from refcodec.suite.vectors import Definition
from refcodec.syntax.codes import SourceType

_TABLES = "entropy_model_unit.tables"
_PAYLOADS = "coded_feature_batch.payloads"

_FIRST = np.zeros(1, np.int32)
"""The first table for all symbols."""


@invalid(546, "latents-excess-largest", "payload", "8.3.9", (3, "coded_feature.payload"))
def latents_excess_beyond() -> list[Edit]:
    """the excess of a latent is 2^18 - 1, which stands for 2^18 - 2 and thus for another latent"""
    shifts = (98304, -98305)
    coded = encode_tables((0, 0), shifts, [peak(200)], 0)
    tables = model([peak(200)], (0, 0), shifts).distributions.tables
    symbols = np.array([1 + LARGEST_EXCESS + 1, 1 + LARGEST_EXCESS], np.int32)
    payload = encode_symbols_of(symbols, _FIRST, tables)
    return [
        Set(3, "coded_feature.payload", payload.hex()),
        Set(1, f"{_TABLES}.coded_tables", coded.coded_tables.hex()),
    ]


def _latent(number: int, source_type: SourceType, value: int, title: str) -> Definition:
    """A vector one latent of which lies beyond the values of its type."""

    def change() -> list[Edit]:
        stream = learned(np.array([0, value, 1], np.int16), quantiser="none", batch=False)
        payload = element(stream, 3, "coded_feature.payload").value
        return [
            Set(3, "coded_feature.payload", payload.hex()),
            Set(2, "feature_parameter_set.source_type", source_type),
        ]

    change.__name__ = f"latents_{title}"
    change.__doc__ = f"a latent of {source_type.name.lower()} is {value}"
    return invalid(number, "latents-uint8-limits", "payload", "8.3.9")(change)


int8_low = _latent(521, SourceType.INT8, -129, "int8_below")
int8_high = _latent(526, SourceType.INT8, 128, "int8_beyond")
uint8_low = _latent(527, SourceType.UINT8, -1, "uint8_below")
uint8_high = _latent(530, SourceType.UINT8, 256, "uint8_beyond")


@invalid(547, "latents-level-255", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_level_256() -> list[Edit]:
    """a level is 256; a decoder that allows it can decode the latents"""
    coded = encode_tables([0], [0], [peak(0, 128, 64, escape=96)], 0)
    frequencies = np.zeros(4, np.int64)
    frequencies_of(np.array([0, 256, 128, 192]), frequencies)
    tables = make_tables([frequencies], [3])
    payload = encode_symbols_of(np.array([1, 2, 0, 1, 1, 2, 1], np.int32), _FIRST, tables)
    return [
        Set(3, "coded_feature.payload", payload.hex()),
        Set(1, f"{_TABLES}.level_step", 1),
        Set(1, f"{_TABLES}.coded_tables", coded.coded_tables.hex()),
    ]


def _by_hand(write: Callable[[Int64, Uint8, Int64], object]) -> bytes:
    """Coded tables of decisions that are written one by one: with coder, output and chances."""
    coder, output = np.zeros(CODER_SIZE, np.int64), np.zeros(64, np.uint8)
    start_encoding(coder)
    coder[DIRECTION] = 1
    write(coder, output, np.full(MODEL_CHANCES, NEW_CHANCE))
    return output[: finish_encoding(coder, output)].tobytes()


@invalid(548, "latents-uint8-limits", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_place_beyond() -> list[Edit]:
    """the third context has the table in the third place of a list of two, where a 0 may lie"""
    levels = np.array([9, 0, 9, 30], np.int64)

    def write(coder: Int64, output: Uint8, chances: Int64) -> None:
        code_adaptive(coder, output, chances, AT_SHIFT, 0)  # the first context has a new table
        for kind, new in ((1, 1), (1, 0)):
            code_adaptive(coder, output, chances, AT_REPEAT + 3 + kind, 0)
            code_adaptive(coder, output, chances, AT_NEW + kind, new)
            if not new:
                code_number(coder, output, chances, AT_PLACE, 13, 1)
            code_adaptive(coder, output, chances, AT_SHIFT, 0)
        own = np.full(2, -1, np.int64)
        code_tables(coder, output, chances, 0, own, own + 3, own + 1, levels)

    frequencies = np.zeros((2, 2), np.int64)
    for one, of in zip(levels.reshape(2, 2), frequencies, strict=True):
        frequencies_of(one, of)
    tables = make_tables(list(frequencies), [2, 2])
    index = np.array([0, 1, 0], np.int32)
    payload = encode_symbols_of(np.array([0, 1, 1], np.int32), index, tables)
    return [
        Set(3, "coded_feature.payload", payload.hex()),
        Set(2, "feature_parameter_set.source_type", SourceType.INT8),
        Set(1, f"{_TABLES}.context_count_minus1", 2),
        Set(1, f"{_TABLES}.table_count_minus1", 1),
        Set(1, f"{_TABLES}.level_count", 4),
        Set(1, f"{_TABLES}.coded_tables", _by_hand(write).hex()),
    ]


@invalid(531, "latents-uint8-limits", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_level_negative() -> list[Edit]:
    """the second of two levels is -1"""

    def write(coder: Int64, output: Uint8, chances: Int64) -> None:
        code_adaptive(coder, output, chances, AT_SHIFT, 0)
        code_adaptive(coder, output, chances, AT_MEMBER, 0)
        code_number(coder, output, chances, AT_VALUES, 13, 1)
        code_adaptive(coder, output, chances, AT_ESCAPE, 0)
        code_difference(coder, output, chances, code_difference(coder, output, chances, 0, 0), -1)

    return [
        Set(1, f"{_TABLES}.level_count", 2),
        Set(1, f"{_TABLES}.coded_tables", _by_hand(write).hex()),
    ]


@invalid(569, "latents-lanes-4096", "payload", "8.10.2")
def latents_lanes_word_left(stream: bytes) -> Edit:
    """a word is left in a payload of four lanes, none of which takes it"""
    old = element(stream, 3, "coded_feature.payload").value
    return Set(3, "coded_feature.payload", (old + b"\1\1").hex())


@invalid(549, "latents-separate", "payload", "8.10.3", (3, _PAYLOADS, 96))
def latents_separate_second(stream: bytes) -> list[Edit]:
    """the payloads of a batch are sound but for the second, which has a byte that no latent needs"""
    sizes = [
        int(size) for size in element(stream, 3, "coded_feature_batch.payload_size_delta").value
    ]
    base = int(element(stream, 3, "coded_feature_batch.payload_size_base").value)
    payloads = element(stream, 3, _PAYLOADS).value
    end = 2 * base + sizes[0] + sizes[1]
    sizes[1] += 1
    return [
        Set(3, _PAYLOADS, (payloads[:end] + b"\1" + payloads[end:]).hex()),
        Set(3, "coded_feature_batch.payload_size_delta", sizes),
    ]


@invalid(566, "latents-several-models", "payload", "8.10.5")
def model_byte_left(stream: bytes) -> list[Edit]:
    """tables that end at a width of 2^24, for which four bytes are read, have five"""
    path = f"{_TABLES}.coded_tables"
    tables = element(stream, 6, path).value
    longer = tables.ljust(5, b"\0")
    added = len(longer) - len(tables)
    return [Set(6, path, longer.hex()), add(stream, 10, "end.index_offset", added)]


# --- numbers of tables, and of models ----------------------------------------------------------------


@invalid(555, "latents-alone", "syntax", "7.4")
def model_id_of_set_beyond() -> Edit:
    """a parameter set names the entropy model 256"""
    return Set(2, "feature_parameter_set.model_id", 256)


@invalid(556, "latents-alone", "syntax", "7.12")
def model_id_beyond() -> Edit:
    """an entropy model has the number 256"""
    return Set(1, "entropy_model_unit.model_id", 256)


def _count(number: int, name: str, most: int, title: str, *, beyond: bool) -> Definition:
    """A vector with the greatest count that the syntax admits, at a level that does not, or one more."""
    value = most + int(beyond)

    def change() -> Edit:
        return Set(1, f"{_TABLES}.{name}", value)

    change.__name__ = f"model_{title}_{'beyond' if beyond else 'greatest'}"
    change.__doc__ = f"{name} is {value}"
    if beyond:
        return invalid(number, "latents-alone", "syntax", "7.12.2")(change)
    place = (1, f"{_TABLES}.context_count_minus1")
    return invalid(number, "latents-alone", "unsupported", "A.3", place)(change)


contexts = _count(558, "context_count_minus1", 2**16 - 1, "contexts", beyond=False)
contexts_beyond = _count(559, "context_count_minus1", 2**16 - 1, "contexts", beyond=True)
tables = _count(560, "table_count_minus1", 2**12 - 1, "tables", beyond=False)
tables_beyond = _count(561, "table_count_minus1", 2**12 - 1, "tables", beyond=True)
levels = _count(562, "level_count", 2**18 - 1, "levels", beyond=False)
levels_beyond = _count(563, "level_count", 2**18 - 1, "levels", beyond=True)


@invalid(568, "latents-alone", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_levels_16384() -> Edit:
    """level_count is 16384, as much as level 1 allows, and more than there are"""
    return Set(1, f"{_TABLES}.level_count", 16384)
