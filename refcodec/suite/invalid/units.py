"""Defects of units: their headers, their order, and those without features."""

from __future__ import annotations

from refcodec.suite.assemble import Append, Copy, Cut, Drop, Edit, Extend, Insert, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, feature, flip
from refcodec.suite.vectors import END


@invalid(10, "raw-float32", "unsupported", "C.1", (2, ""))
def unit_unknown_mandatory() -> Edit:
    """a unit of type 99 has skippable_flag 0"""
    return Insert(2, 99, 0, "00")


@invalid(12, "raw-float32", "checksum", "8.2")
def unit_crc(stream: bytes) -> Edit:
    """unit_crc of the coded feature has a wrong bit"""
    return flip(stream, 2, "unit.unit_crc", 0)


@invalid(13, "metadata", "checksum", "8.2")
def unit_crc_skippable(stream: bytes) -> Edit:
    """unit_crc of a metadata unit has a wrong bit"""
    return flip(stream, 1, "unit.unit_crc", 31)


@invalid(14, "raw-float32", "unsupported", "A.3")
def unit_size_gigabytes() -> Edit:
    """unit_size promises three gigabytes"""
    return Set(2, "unit.unit_size", 3 << 30)


@invalid(15, "raw-float32", "syntax", "4.4")
def unit_size_overlong() -> Edit:
    """unit_size is coded in three bytes where two suffice"""
    return Set(2, "unit.unit_size", "818800")


@invalid(16, "raw-float32", "truncated", "6.3", END)
def unit_truncated() -> Edit:
    """the file ends inside the coded feature"""
    return Cut(500)


@invalid(17, "raw-float32", "truncated", "9.1", END)
def end_missing() -> Edit:
    """the end unit is missing"""
    return Drop(3)


@invalid(18, "raw-float32", "order", "9.1", END - 1)
def bytes_behind_end() -> Edit:
    """a byte follows the end unit"""
    return Append("00")


@invalid(19, "raw-float32", "syntax", "6.4", (1, "unit.unread"))
def bytes_left_in_unit() -> Edit:
    """a byte follows the parameter set, inside its unit"""
    return Extend(1, "00")


@invalid(234, "native-sequence-no-index", "order", "9.1", (4, "coded_feature.payload"))
def parameter_set_replaced_in_sequence() -> Edit:
    """a feature that is predicted follows a parameter set that replaces the one of its sequence"""
    return Copy(1, 3)


@invalid(21, "raw-float32", "order", "9.1")
def parameter_set_undefined() -> Edit:
    """the feature refers to parameter set 1, and only 0 is defined"""
    return feature("fps_id", 1)


@invalid(22, "raw-float32", "order", "9.1", (1, "unit.unread"))
def parameter_set_late() -> list[Edit]:
    """the feature precedes its parameter set"""
    return [Copy(2, 1), Drop(3)]


@invalid(23, "index", "order", "9.1")
def end_feature_count(stream: bytes) -> Edit:
    """feature_count of the end unit is 5 in a stream of 4 features"""
    return add(stream, 7, "end.feature_count", 1)


@invalid(24, "index", "order", "9.1", (7, ""))
def index_not_last() -> Edit:
    """a unit lies between the index and the end unit"""
    return Insert(7, 99, 1, "")


@invalid(25, "hash-units", "order", "9.1", (1, ""))
def hash_unit_misplaced() -> Edit:
    """a hash unit precedes every feature"""
    return Copy(3, 1)


@invalid(118, "index", "syntax", "6.10", (7, "end.feature_count", 64))
def end_too_long() -> Edit:
    """the end unit has a payload of 17 bytes"""
    return Extend(7, "00")


@invalid(107, "index", "truncated", "7.10", (7, "end.feature_count"))
def end_cut() -> Edit:
    """the end unit has a payload of 15 bytes"""
    return Set(7, "end.feature_count", "00" * 7)


@invalid(108, "hash-units", "unsupported", "C.1")
def hash_target_undefined() -> Edit:
    """hash_target is 9"""
    return Set(3, "hash.hash_target", 9)


@invalid(98, "hash-units", "order", "9.1", (4, ""))
def hash_unit_twice() -> Edit:
    """a second hash unit of the samples follows"""
    return Copy(3, 4)


@invalid(99, "metadata", "order", "9.1", (3, ""))
def metadata_late() -> Edit:
    """a copy of the metadata follows the parameter set"""
    return Copy(1, 3)


@invalid(26, "hash-units", "hash", "8.8")
def hash_unit_samples(stream: bytes) -> Edit:
    """a hash unit has a wrong hash of the samples"""
    return flip(stream, 3, "hash.sha256", 7)


@invalid(27, "hash-units", "hash", "8.8")
def hash_unit_reconstruction(stream: bytes) -> Edit:
    """a hash unit of the second feature has a wrong hash of the reconstruction"""
    return flip(stream, 7, "hash.sha256", 255)
