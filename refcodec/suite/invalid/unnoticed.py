"""Defects that a decoder need not detect; the strict validator does."""

from __future__ import annotations

from refcodec.inspector import inspect
from refcodec.suite.assemble import Drop, Edit, Insert, Patch, Set
from refcodec.suite.make.define import unnoticed
from refcodec.suite.make.edits import add, element, parameter


@unnoticed(91, "index", "constraint", "9.5")
def index_elsewhere(stream: bytes) -> Edit:
    """an entry of the index points a byte too far"""
    distances = [int(one) for one in element(stream, 6, "index.unit_distance").value]
    distances[1:3] = [distances[1] + 1, distances[2] - 1]
    return Set(6, "index.unit_distance", distances)


@unnoticed(123, "index", "constraint", "9.5", (7, "unit.unit_size", 8))
def index_without_end() -> list[Edit]:
    """the end unit has no payload, though there is an index"""
    return [Insert(7, 127, 0, ""), Drop(8)]


@unnoticed(124, "index", "constraint", "9.5", (6, "end.index_offset"))
def index_missing() -> Edit:
    """index_offset is set, and there is no index"""
    return Drop(6)


@unnoticed(125, "index", "constraint", "9.5")
def index_twice() -> Edit:
    """the index lists a coded unit twice"""
    return Set(6, "index.unit_distance", [21, 0, 177, 182])


@unnoticed(235, "parameter-sets-alternate", "constraint", "9.5", (7, "index.parameter_set_offset"))
def index_parameter_sets_swapped(stream: bytes) -> list[Edit]:
    """the index lists the two parameter sets out of their order"""
    places = [
        one.value for one in inspect(stream)[7].elements if one.name == "parameter_set_offset"
    ]
    return [
        Set(7, "index.parameter_set_offset", places[1]),
        Set(7, "index.parameter_set_offset", places[0], occurrence=1),
    ]


@unnoticed(92, "index", "constraint", "9.5")
def index_offset(stream: bytes) -> Edit:
    """index_offset points a byte too far"""
    return add(stream, 7, "end.index_offset", 1)


@unnoticed(94, "metadata", "constraint", "9.4", (1, "metadata.entries.key_size", 120))
def metadata_key_twice() -> Edit:
    """a metadata key occurs twice"""
    return Set(1, "metadata.entries.key", b"network".hex(), occurrence=1)


@unnoticed(95, "metadata", "syntax", "9.4", (1, "metadata.entries.key_size", 120))
def metadata_not_utf_8() -> Edit:
    """a metadata key is not UTF-8"""
    return Set(1, "metadata.entries.key", "ff" * 7, occurrence=1)


@unnoticed(96, "hevc-8-bit", "constraint", "9.3.2", (2, "coded_feature.payload", 24))
def hevc_slice_qp() -> Edit:
    """qp is 31; the slice has QP 30"""
    return parameter("qp", 31)


@unnoticed(114, "hevc-8-bit", "constraint", "9.3.2", (2, "coded_feature.payload", 24))
def hevc_sub_layer() -> Edit:
    """nuh_temporal_id_plus1 is 2"""
    return Patch(2, "coded_feature.payload", 37, "010")


@unnoticed(
    97,
    "hevc-sequence-no-index",
    "constraint",
    "9.3.2",
    (3, "coded_feature.payload", 24),
    also=("payload",),
)
def hevc_false_access_point() -> Edit:
    """a feature that is predicted from another is marked as an access point"""
    return Set(3, "coded_feature.access_point_flag", 1)
