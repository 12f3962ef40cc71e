"""Values at every limit: of levels, parameter sets, identifiers, batches and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import feature, header, parameter, parameter_set
from refcodec.suite.make.native import pattern
from refcodec.suite.valid.build import coded, native
from refcodec.suite.valid.values import SINGLE, hills
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import Coder, FeatureType, Quantiser, SourceType, UnitType
from refcodec.syntax.structures import FEATURE_PARAMETER_SET

_SIZES: dict[int, tuple[tuple[int, int, int], ...]] = {
    1: ((65536, 1, 1), (1, 65536, 1), (1, 1, 65536), (256, 16, 16)),
    2: ((131072, 1, 8), (16, 65536, 1), (16, 1, 65536), (1, 1024, 1024)),
    3: ((1048576, 4, 4), (256, 1, 65536), (1, 4096, 4096)),
    4: ((16777216, 4, 4), (1, 65536, 4096), (16, 4096, 4096)),
}
"""Sizes of features with as many channels, rows, columns or elements as a level admits."""


def unused(*sizes: tuple[int, int, int], **elements: Any) -> list[Edit]:
    """Edits that insert parameter sets, of these channels, heights and widths, in front of all units."""
    return [
        Insert(1, UnitType.FEATURE_PARAMETER_SET, 0, _parameter_set(number, *size, **elements))
        for number, size in reversed(list(enumerate(sizes, 1)))
    ]


def _parameter_set(number: int, channels: int, height: int, width: int, **elements: Any) -> str:
    given = {
        "fps_id": number,
        "feature_type": FeatureType.POOL,
        "source_type": SourceType.FLOAT16,
        "channels_minus1": channels - 1,
        "height_minus1": height - 1,
        "width_minus1": width - 1,
        "quantiser": Quantiser.NONE,
        "sample_hash_size_code": 3,
        "coder_id": Coder.GZIP,
        "shuffle_flag": 1,
    }
    record = FEATURE_PARAMETER_SET.make({**given, **elements})
    return FEATURE_PARAMETER_SET.build_whole(record).hex()


def _level(number: int) -> list[Edit]:
    return [header("level_idc", number), *unused(*_SIZES[number])]


@edited(280, "raw-padding", "parameter sets precede all units", "7.4", "A.3")
def level_1_sizes() -> list[Edit]:
    """parameter sets that nothing uses, of the largest sizes of level 1"""
    return _level(1)


@edited(281, "raw-padding", "level_idc is 2; parameter sets precede all units", "7.4", "A.3")
def level_2_sizes() -> list[Edit]:
    """parameter sets that nothing uses, of the largest sizes of level 2"""
    return _level(2)


@edited(282, "raw-padding", "level_idc is 3; parameter sets precede all units", "7.4", "A.3")
def level_3_sizes() -> list[Edit]:
    """parameter sets that nothing uses, of the largest sizes of level 3"""
    return _level(3)


@edited(283, "raw-padding", "level_idc is 4; parameter sets precede all units", "7.4", "A.3")
def level_4_sizes() -> list[Edit]:
    """parameter sets that nothing uses, of the largest sizes of level 4"""
    return _level(4)


@edited(284, "fc-batch", "parameter sets of every coder precede all units", "7.4")
def parameter_sets_unused() -> list[Edit]:
    """parameter sets of many coders, quantisers and source types, in a profile that has them"""
    sets = [_parameter_set(number, 3, 5, 7, **one) for number, one in enumerate(_KINDS, 1)]
    inserted = [Insert(1, UnitType.FEATURE_PARAMETER_SET, 0, one) for one in sets]
    return [header("profile_idc", 3), *inserted]


_UNIFORM: dict[str, Any] = {
    "quantiser": Quantiser.UNIFORM,
    "range_per_channel_flag": 1,
    "restoration_enabled_flag": 1,
}
_LOGARITHMIC: dict[str, Any] = {
    "quantiser": Quantiser.LOGARITHMIC,
    "range_per_channel_flag": 1,
    "log_signed_flag": 1,
}
_KINDS: tuple[dict[str, Any], ...] = (
    {"coder_id": Coder.RAW, "source_type": SourceType.UINT8},
    {"coder_id": Coder.ZLIB, **_UNIFORM, "bits_minus1": 15},
    {"coder_id": Coder.BZIP2, **_LOGARITHMIC, "bits_minus1": 1},
    {"coder_id": Coder.LZMA, **_UNIFORM, "bits_minus1": 0},
    {
        "coder_id": Coder.NATIVE,
        **_LOGARITHMIC,
        "bits_minus1": 15,
        "temporal_prediction_flag": 1,
        "source_type": SourceType.FLOAT8_E5M2,
    },
    {"coder_id": Coder.NATIVE_LOSSLESS, "source_type": SourceType.FLOAT8_E4M3FN},
    {"coder_id": Coder.RAW, "source_type": SourceType.INT8, "feature_type": FeatureType.FC},
    {**_LOGARITHMIC, "log_signed_flag": 0, "bits_minus1": 0, "fps_id": 255},
)


@edited(285, "raw-7-bit", "fps_id is 255", "7.4")
def fps_id_largest() -> list[Edit]:
    """the greatest identifier of a parameter set"""
    return [feature("fps_id", 255), parameter_set("fps_id", 255)]


@vector(286, "A.3")
def level_1_elements(_: Features) -> bytes:
    """as many elements as level 1 admits"""
    return coded(pattern((1, 256, 256), 200, 1).astype(np.int8), coder="zlib")


@vector(287)
def raw_1_bit_alone(_: Features) -> bytes:
    """one element of one bit, and seven padding bits"""
    return coded(np.ones((1, 1, 1), np.float32), coder="raw", quantiser="uniform", bits=1)


@vector(288)
def raw_9_bit(f: Features) -> bytes:
    """samples of nine bits: 81 bits in eleven bytes"""
    return coded(f.conv[0, :1, :9, :9][:, :3, :3], coder="raw", quantiser="uniform", bits=9)


@vector(289)
def raw_8_times_9_bit(f: Features) -> bytes:
    """samples of nine bits that fill their bytes"""
    return coded(f.conv[0, :2, :2, :2], coder="raw", quantiser="uniform", bits=9)


@vector(290)
def zlib_9_bit(f: Features) -> bytes:
    """samples of nine bits under zlib are 16-bit words"""
    return coded(f.conv[0, :3], coder="zlib", quantiser="uniform", bits=9)


@vector(291)
def zlib_8_bit_shuffle(f: Features) -> bytes:
    """samples of one byte, of which there is nothing to group"""
    return coded(f.conv[0, :3], coder="zlib", quantiser="uniform", bits=8, shuffle=True)


@vector(292, "9.2")
def batch_elements(_: Features) -> bytes:
    """a batch of 65,536 elements, as many as are allowed"""
    vectors = [(pattern((2048,), 500, 1) == n % 3 - 1).astype(np.float32) for n in range(32)]
    return coded(*vectors, coder="zlib", quantiser="uniform", bits=1, clip=(0, 1), index=False)


@vector(293, "9.2")
def batch_bytes(_: Features) -> bytes:
    """a batch of 65,536 bytes, as many as are allowed"""
    values = (np.arange(65531) * 37 % 251).astype(np.uint8)
    stream = coded(values[:5], coder="raw", batch=True, index=False)
    for edit in (
        parameter_set("channels_minus1", len(values) - 1),
        Set(2, "coded_feature_batch.payloads", values.tobytes().hex()),
        Set(2, "coded_feature_batch.payload_size_base", len(values)),
    ):
        stream = edit(stream)
    return stream


@vector(294)
def log_limits(_: Features) -> bytes:
    """the greatest log_step and log_exponent: results beyond float32 saturate"""
    blank = np.linspace(0, 9, 70, dtype=np.float32).reshape(1, 7, 10)
    stream = coded(blank, coder="raw", quantiser="log", bits=6)
    for edit in (parameter("log_step", [(130 << 24) // 63]), parameter("log_exponent", 128)):
        stream = edit(stream)
    return stream


@vector(295)
def log_least(_: Features) -> bytes:
    """the least log_step and log_exponent: results below float32 are zero"""
    blank = np.linspace(-9, 9, 72, dtype=np.float32).reshape(2, 6, 6)
    stream = coded(blank, coder="zlib", quantiser="log", bits=16)
    for edit in (parameter("log_step", [1]), parameter("log_exponent", -160)):
        stream = edit(stream)
    return stream


@vector(296)
def log_signed_limits(_: Features) -> bytes:
    """signed logarithmic samples from the least to the greatest, of two bits"""
    values = np.array([-3, -1, 0, 1, 3, 2], np.float32)
    stream = coded(values, coder="raw", quantiser="log", bits=2, batch=False)
    for edit in (
        parameter("log_step", [130 << 24]),
        feature("payload", "1b80"),
    ):
        stream = edit(stream)
    return stream


@vector(297)
def log_1_bit(_: Features) -> bytes:
    """unsigned logarithmic samples of one bit"""
    values = np.arange(9, dtype=np.float32) % 2
    return coded(values, coder="raw", quantiser="log", bits=1, batch=False)


@vector(298, "8.6.1")
def uniform_widest(_: Features) -> bytes:
    """a range from the least to the greatest float32 number"""
    largest = float(np.finfo(SINGLE).max)
    values = np.linspace(-1, 1, 50, dtype=np.float32).reshape(2, 5, 5) * np.float32(largest)
    return coded(values, coder="raw", quantiser="uniform", bits=16, clip=(-largest, largest))


@vector(299)
def native_qp_delta(_: Features) -> bytes:
    """QPs from 63 down to 0: differences of six bits"""
    qps = tuple(range(63, -1, -9))
    return native(hills(8, 5, 6) * 40, qp=qps, batch=False, restoration="off")


@vector(311)
def batch_of_one(_: Features) -> bytes:
    """a batch of one feature"""
    return coded(np.arange(5, dtype=np.uint8), coder="raw", batch=True, index=False)
