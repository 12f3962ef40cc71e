"""Units that are empty, unknown, repeated or as large as can be, and elements that later units do not use."""

from __future__ import annotations

import numpy as np

from refcodec.suite.assemble import Copy, Drop, Edit, Insert, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import element, header, parameter
from refcodec.suite.valid.build import coded
from refcodec.suite.vectors import Features


@edited(
    350,
    "no-index",
    "units of the types 0, 6, 15, 19 and 126 with skippable_flag 1 are inserted",
    "C.1",
)
def unknown_units() -> list[Edit]:
    """units of unknown types, most of them empty, between all others"""
    return [
        Insert(5, 126, 1, ""),
        Insert(4, 6, 1, "00"),
        Insert(3, 15, 1, ""),
        Insert(2, 19, 1, 200 * "ab"),
        Insert(1, 0, 1, ""),
    ]


@edited(351, "hash-units", "the two hash units of each feature are exchanged", "9.1")
def hash_units_exchanged() -> list[Edit]:
    """the hash of the reconstruction precedes that of the samples"""
    return [Copy(4, 3), Drop(5), Copy(7, 6), Drop(8)]


@edited(352, "hash-units", "the hash units of the samples are left out", "9.1")
def hash_units_reconstruction() -> list[Edit]:
    """a hash of the reconstruction alone, and none after the second feature"""
    return [Drop(7), Drop(6), Drop(3)]


@edited(353, "metadata", "a unit of two further entries follows", "9.4")
def metadata_units() -> list[Edit]:
    """two metadata units, and one without an entry"""
    return [
        Insert(2, 16, 1, "02" + "0161" + "0162" + "0163" + "8001" + "64" * 128),
        Insert(1, 16, 1, "00"),
    ]


@edited(354, "no-index", "the end unit has a payload", "7.10")
def end_without_index() -> list[Edit]:
    """an end unit that counts features and points to no index"""
    return [Insert(5, 127, 0, f"{0:016x}{3:016x}"), Drop(6)]


@edited(355, "empty", "the end unit has a payload", "7.10")
def empty_with_count() -> list[Edit]:
    """a stream without a feature that counts none"""
    return [Insert(1, 127, 0, 32 * "0"), Drop(2)]


@edited(356, "raw-padding", "version_minor is 15", violation=("constraint", "7.2"))
def newest_minor_version() -> Edit:
    """the greatest version_minor"""
    return header("version_minor", 15)


@vector(349)
def index_small(_: Features) -> bytes:
    """three features of two values, and an index of them"""
    vectors = np.arange(6, dtype=np.uint8).reshape(3, 2)
    return coded(*vectors, coder="raw", batch=False)


@edited(357, "index-small", "reserved_ignored_4bits is 15", violation=("constraint", "9.6"))
def index_reserved_bits_all() -> Edit:
    """all bits of the index that a decoder ignores"""
    return Set(5, "index.reserved_ignored_4bits", 15)


@edited(358, "hash-units", "skippable_flag of a hash unit is 0", violation=("constraint", "9.1"))
def hash_unit_not_skippable() -> Edit:
    """a decoder ignores skippable_flag of a hash unit"""
    return Set(3, "unit.skippable_flag", 0)


@edited(359, "no-index", "skippable_flag of the end unit is 1", violation=("constraint", "9.1"))
def end_skippable() -> Edit:
    """a decoder ignores skippable_flag of the end unit"""
    return Set(5, "unit.skippable_flag", 1)


@edited(360, "raw-padding", "level_idc is 2", "A.3")
def level_too_high() -> Edit:
    """a level higher than the feature needs"""
    return header("level_idc", 2)


@edited(361, "raw-padding", "profile_idc is 3", "A.2")
def profile_native_raw() -> Edit:
    """a byte coder in a stream of the native profile"""
    return header("profile_idc", 3)


@edited(362, "zlib-7-bit", "profile_idc is 2", "A.2")
def profile_hevc_zlib() -> Edit:
    """a byte coder in a stream of the HEVC profile"""
    return header("profile_idc", 2)


@edited(363, "index-small", "entries of 63 bits", "7.9")
def index_wide(stream: bytes) -> list[Edit]:
    """an index whose entries have as many bits as are possible"""
    distances = element(stream, 5, "index.unit_distance").value
    return [
        Set(5, "index.unit_distance", "0b" + "".join(f"{int(one):063b}" for one in distances)),
        Set(5, "index.distance_bits", 63),
    ]


@edited(364, "raw-padding", "range_min is -0", "9.2")
def range_min_negative_zero() -> Edit:
    """a range that begins at -0"""
    return parameter("range_min", ["80000000"])


@edited(365, "hevc-order-explicit", "channel_at_bits is 31", "7.5.2")
def hevc_order_wide(stream: bytes) -> list[Edit]:
    """an explicit order in entries of 31 bits"""
    order = element(stream, 2, "coded_feature.parameters.channel_at").value
    return [
        parameter("channel_at", "0b" + "".join(f"{int(one):031b}" for one in order)),
        parameter("channel_at_bits", 31),
    ]


@edited(366, "native-qp-delta", "qp_delta_bits is 7", "7.5.2")
def native_qp_delta_wide(stream: bytes) -> list[Edit]:
    """differences of QPs in entries of seven bits"""
    deltas = element(stream, 2, "coded_feature.parameters.qp_delta").value
    return [
        parameter("qp_delta", "0b" + "".join(f"{int(one):07b}" for one in deltas)),
        parameter("qp_delta_bits", 7),
    ]


@edited(367, "batch-ranges-fine", "payload_size_bits is 15", "7.6")
def batch_sizes_wide() -> Edit:
    """sizes of payloads in entries of 15 bits, relative to a base of 8"""
    return Set(2, "coded_feature_batch.payload_size_bits", "0b1111" + "0" * 90)
