"""Defects of latents, and of entropy models.

Unit 1 of the streams that are edited is the entropy model, unit 2 the parameter set, unit 3 the first
coded unit.
"""

from __future__ import annotations

import numpy as np

from refcodec.inspector import inspect
from refcodec.probability.coding import TableChoice, encode_tables
from refcodec.suite.assemble import Copy, Drop, Edit, Insert, Set, disassemble
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, element, flip
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import ENTROPY_MODEL_UNIT, FEATURE_PARAMETER_SET
from refcodec.syntax.units import CRC_SIZE

_PAYLOAD = "coded_feature.payload"
_PAYLOADS = "coded_feature_batch.payloads"
_MODEL = "entropy_model_unit"
_TABLES = f"{_MODEL}.tables"
_FPS = "feature_parameter_set"


def _changed(stream: bytes, unit: int, path: str, change: slice | bytes) -> Set:
    """Cut an element of bytes, or append to it."""
    old = element(stream, unit, path).value
    new = old[change] if isinstance(change, slice) else old + change
    return Set(unit, path, new.hex())


# --- payloads --------------------------------------------------------------------------------------


@invalid(475, "latents-int16", "payload", "8.3.9", (3, _PAYLOADS))
def latent_too_large() -> Edit:
    """a latent is 300, and the source type int8"""
    return Set(2, f"{_FPS}.source_type", 4)


@invalid(476, "latents-alone", "payload", "8.10.2")
def latents_flipped(stream: bytes) -> Edit:
    """a bit of the payload is wrong: the last state is another one"""
    return flip(stream, 3, _PAYLOAD, 37)


@invalid(477, "latents-alone", "payload", "8.10.2")
def latents_word_left(stream: bytes) -> Edit:
    """a word is left when all latents are decoded"""
    return _changed(stream, 3, _PAYLOAD, b"\1\1")


@invalid(478, "latents-alone", "payload", "8.10.2")
def latents_word_missing(stream: bytes) -> Edit:
    """the last word is missing"""
    return _changed(stream, 3, _PAYLOAD, slice(None, -2))


@invalid(479, "latents-alone", "payload", "8.10.2")
def latents_state_low(stream: bytes) -> Edit:
    """the first state is less than 65536, and words follow"""
    old = element(stream, 3, _PAYLOAD).value
    head = 4 - len(old) % 2
    return Set(3, _PAYLOAD, (b"\1\1" + bytes(head - 2) + old[head:]).hex())


@invalid(480, "latents-constant", "payload", "8.10.2")
def latents_state_long(stream: bytes) -> Edit:
    """the last byte of a payload that is a state alone is 0"""
    return _changed(stream, 3, _PAYLOAD, b"\0")


@invalid(481, "latents-constant", "payload", "8.10.2")
def latents_state_missing() -> Edit:
    """the payload is empty"""
    return Set(3, _PAYLOAD, "")


@invalid(482, "latents-four-lanes", "payload", "8.10.2")
def latents_odd(stream: bytes) -> Edit:
    """a payload of four lanes has an odd number of bytes"""
    return _changed(stream, 3, _PAYLOAD, b"\1")


@invalid(483, "latents-four-lanes", "payload", "8.10.2")
def latents_lane_low(stream: bytes) -> Edit:
    """the first state of the third of four lanes is less than 65536"""
    old = element(stream, 3, _PAYLOAD).value
    return Set(3, _PAYLOAD, (old[:10] + b"\0\0" + old[12:]).hex())


@invalid(484, "latents-four-lanes", "payload", "8.10.2")
def latents_lane_flipped(stream: bytes) -> Edit:
    """a bit in the middle of a payload of four lanes is wrong"""
    return flip(stream, 3, _PAYLOAD, 50_000)


@invalid(485, "latents-joint", "payload", "8.10.2")
def latents_joint_cut(stream: bytes) -> Edit:
    """the last word of a joint batch is missing"""
    return _changed(stream, 3, _PAYLOADS, slice(None, -2))


@invalid(486, "latents-lattice-channel", "payload", "8.10.3", (3, _PAYLOADS))
def latents_separate_long(stream: bytes) -> list[Edit]:
    """a payload that is decodable alone has a byte that no latent needs"""
    return [
        add(stream, 3, "coded_feature_batch.payload_size_base", 1),
        _changed(stream, 3, _PAYLOADS, b"\1"),
    ]


@invalid(487, "latents-lattice-channel", "payload", "8.10.3", (3, _PAYLOADS))
def latents_separate_zero(stream: bytes) -> list[Edit]:
    """the last byte of a payload that is decodable alone is 0"""
    old = element(stream, 3, _PAYLOADS).value
    return [Set(3, _PAYLOADS, (old[:-1] + b"\0").hex())]


# --- entropy models --------------------------------------------------------------------------------


@invalid(488, "latents-several-models", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_table_unused(stream: bytes) -> Edit:
    """no context has the second table"""
    return add(stream, 1, f"{_TABLES}.table_count_minus1", 1)


@invalid(489, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_table_missing(stream: bytes) -> Edit:
    """a context has a table beyond their number"""
    return add(stream, 1, f"{_TABLES}.table_count_minus1", -1)


@invalid(490, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_levels_many(stream: bytes) -> Edit:
    """level_count is greater than the number of levels"""
    return add(stream, 1, f"{_TABLES}.level_count", 1)


@invalid(491, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_levels_few(stream: bytes) -> Edit:
    """level_count is less than the number of levels"""
    return add(stream, 1, f"{_TABLES}.level_count", -1)


@invalid(492, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_level_large() -> Edit:
    """a level exceeds 255"""
    return Set(1, f"{_TABLES}.level_step", 3)


@invalid(493, "latents-alone", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_symbols_many() -> list[Edit]:
    """a table has more symbols than frequencies of at least 1 allow"""
    levels = np.concatenate([[255, 255], np.zeros(10_000, np.int64)])
    coded = encode_tables([0], [0], [TableChoice(-1, levels)], 0)
    return [
        Set(1, f"{_TABLES}.level_count", coded.level_count),
        Set(1, f"{_TABLES}.coded_tables", coded.coded_tables.hex()),
    ]


@invalid(494, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_long(stream: bytes) -> Edit:
    """five bytes follow the tables of a model"""
    return _changed(stream, 1, f"{_TABLES}.coded_tables", b"\1" * 5)


@invalid(495, "latents-separate", "payload", "8.10.5", (1, f"{_TABLES}.coded_tables"))
def model_empty() -> Edit:
    """the tables of a model have no bytes"""
    return Set(1, f"{_TABLES}.coded_tables", "")


@invalid(496, "latents-alone", "unsupported", "A.3", (1, f"{_TABLES}.context_count_minus1"))
def model_contexts_many() -> Edit:
    """4097 contexts at level 1"""
    return Set(1, f"{_TABLES}.context_count_minus1", 4096)


@invalid(497, "latents-alone", "unsupported", "A.3", (1, f"{_TABLES}.context_count_minus1"))
def model_tables_many() -> Edit:
    """257 tables at level 1"""
    return Set(1, f"{_TABLES}.table_count_minus1", 256)


@invalid(498, "latents-alone", "unsupported", "A.3", (1, f"{_TABLES}.context_count_minus1"))
def model_level_count() -> Edit:
    """16385 levels at level 1"""
    return Set(1, f"{_TABLES}.level_count", 16_385)


@invalid(499, "latents-alone", "unsupported", "A.3", (1, f"{_TABLES}.context_count_minus1"))
def model_size() -> Edit:
    """65537 bytes of tables at level 1"""
    return Set(1, f"{_TABLES}.coded_tables", bytes(65_537).hex())


@invalid(500, "latents-separate", "order", "7.4", (2, f"{_FPS}.model_id"))
def model_unknown() -> Edit:
    """a parameter set names a model that the stream does not have"""
    return Set(2, f"{_FPS}.model_id", 1)


@invalid(501, "latents-separate", "constraint", "9.7", (2, f"{_MODEL}.model_id"))
def model_twice() -> Edit:
    """two entropy models have the same model_id"""
    return Copy(1, 2)


@invalid(502, "raw-float32", "constraint", "A.2", (1, f"{_MODEL}.model_id"))
def model_elsewhere() -> Edit:
    """a stream of the lossless profile has an entropy model"""
    coded = encode_tables([0], [0], [TableChoice(-1, np.array([9, 0], np.int64))], 0)
    unit = {"model_id": 0, "external_flag": 0, "tables": coded}
    return Insert(1, 4, 0, ENTROPY_MODEL_UNIT.build_whole(unit).hex())


@invalid(503, "latents-separate", "constraint", "9.7", (2, f"{_FPS}.model_id"))
def model_contexts() -> Edit:
    """a model of 64 contexts for vectors of 63 elements"""
    return Set(2, f"{_FPS}.channels_minus1", 62)


# --- parameter sets --------------------------------------------------------------------------------


@invalid(504, "latents-int16", "constraint", "9.2", (2, f"{_FPS}.quantiser"))
def latents_without_lattice() -> Edit:
    """latents of float32 without a quantiser"""
    return Set(2, f"{_FPS}.source_type", 0)


@invalid(505, "latents-lattice", "constraint", "9.2", (2, f"{_FPS}.quantiser"))
def lattice_of_raw(stream: bytes) -> list[Edit]:
    """the raw coder with the quantiser of latents"""
    fps = FEATURE_PARAMETER_SET.parse_whole(bytes(disassemble(stream)[2])[2:-CRC_SIZE])
    changed = FEATURE_PARAMETER_SET.build_whole({**fps, "coder_id": Coder.RAW})
    return [Drop(2), Insert(2, 1, 0, changed.hex())]


@invalid(506, "latents-lattice", "constraint", "9.2", (2, f"{_FPS}.lattice_step"))
def lattice_step_zero() -> Edit:
    """the step of the lattice is 0"""
    return Set(2, f"{_FPS}.lattice_step", ["00000000"])


@invalid(507, "latents-lattice", "constraint", "9.2", (2, f"{_FPS}.lattice_step"))
def lattice_step_infinite() -> Edit:
    """the step of the lattice is infinite"""
    return Set(2, f"{_FPS}.lattice_step", ["7f800000"])


@invalid(508, "latents-lattice", "constraint", "9.2", (2, f"{_FPS}.lattice_offset"))
def lattice_offset_nan() -> Edit:
    """the offset of the lattice is NaN"""
    return Set(2, f"{_FPS}.lattice_offset", ["7fc00000"])


@invalid(509, "latents-separate", "constraint", "9.2", (3, "coded_feature_batch.range_codes_flag"))
def latents_range_codes(stream: bytes) -> list[Edit]:
    """range_codes_flag is 1 with the lattice, which has no ranges"""
    payloads = element(stream, 3, _PAYLOADS).value.hex()
    return [
        Set(3, _PAYLOADS, "0000" + payloads),  # code_shift and no codes
        Set(3, "coded_feature_batch.range_codes_flag", 1),
    ]


# --- substreams ------------------------------------------------------------------------------------


@invalid(640, "latents-substream-each", "constraint", "9.2", (2, f"{_FPS}.substream_count_minus1"))
def substreams_beyond_channels() -> Edit:
    """eight substreams of a vector of 7 elements"""
    return Set(2, f"{_FPS}.substream_count_minus1", 7)


@invalid(645, "latents-64-substreams", "syntax", "7.4", (2, f"{_FPS}.substream_count_minus1"))
def substreams_65() -> Edit:
    """substream_count_minus1 is 64"""
    return Set(2, f"{_FPS}.substream_count_minus1", 64)


@invalid(641, "latents-separate", "constraint", "9.2", (3, "coded_feature_batch.fps_id"))
def substreams_batched() -> Edit:
    """vectors of two substreams in a batch"""
    return Set(2, f"{_FPS}.substream_count_minus1", 1)


_SIZE = "coded_feature.substream_size"


@invalid(642, "latents-substreams", "constraint", "9.2", (3, _SIZE))
def substreams_too_long(stream: bytes) -> Edit:
    """the first two substreams have a byte more than the payload"""
    first = _sizes(stream)[0]
    size = len(element(stream, 3, _PAYLOAD).value)
    return Set(3, _SIZE, size - first + 1, occurrence=1)


@invalid(643, "latents-substreams", "payload", "8.10.2", (3, _PAYLOAD))
def substreams_displaced(stream: bytes) -> list[Edit]:
    """the second substream begins two bytes early"""
    first, second = _sizes(stream)
    return [Set(3, _SIZE, first - 2), Set(3, _SIZE, second + 2, occurrence=1)]


def _sizes(stream: bytes) -> list[int]:
    return [one.value for one in inspect(stream)[3].elements if one.name == "substream_size"]
