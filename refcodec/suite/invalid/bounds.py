"""Values one beyond a bound, in the stream header, in units and in parameter sets."""

from __future__ import annotations

from refcodec.suite.assemble import Cut, Edit, Insert, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import element, flip, header, parameter_set
from refcodec.suite.valid.limits import unused
from refcodec.suite.vectors import END
from refcodec.syntax.codes import Quantiser, SourceType

_FPS = "feature_parameter_set."

# --- the stream header -------------------------------------------------------------------------------


@invalid(240, "raw-padding", "unsupported", "7.2")
def version_major_zero() -> Edit:
    """version_major is 0"""
    return header("version_major", 0)


@invalid(241, "raw-padding", "unsupported", "7.2")
def reserved_zero_bits_high() -> Edit:
    """reserved_zero_2bits is 2"""
    return header("reserved_zero_2bits", 2)


@invalid(242, "raw-padding", "unsupported", "C.1")
def profile_zero() -> Edit:
    """profile_idc is 0"""
    return header("profile_idc", 0)


@invalid(243, "raw-padding", "unsupported", "A.3")
def level_zero() -> Edit:
    """level_idc is 0"""
    return header("level_idc", 0)


@invalid(244, "raw-padding", "unsupported", "A.3")
def level_five() -> Edit:
    """level_idc is 5"""
    return header("level_idc", 5)


@invalid(245, "raw-padding", "checksum", "8.2")
def header_crc_high(stream: bytes) -> Edit:
    """the first bit of header_crc is wrong"""
    return flip(stream, 0, "stream_header.header_crc", 0)


@invalid(246, "raw-padding", "truncated", "6.2", END)
def header_cut_by_one() -> Edit:
    """the file ends a byte before the stream header does"""
    return Cut(8)


@invalid(247, "raw-padding", "truncated", "6.2", END)
def signature_cut() -> Edit:
    """the file has three bytes, those of the signature"""
    return Cut(3)


@invalid(248, "raw-padding", "signature", "6.2")
def signature_last_byte() -> Edit:
    """the last byte of the signature is wrong"""
    return header("signature", "89444644")


@invalid(249, "raw-padding", "truncated", "9.1", END)
def header_alone() -> Edit:
    """the file has a stream header and no unit"""
    return Cut(9)


@invalid(250, "raw-padding", "truncated", "7.3", END)
def unit_header_cut() -> Edit:
    """the file ends after the first byte of a unit"""
    return Cut(10)


# --- units -------------------------------------------------------------------------------------------


@invalid(251, "raw-padding", "syntax", "4.4")
def unit_size_two_bytes_for_one() -> Edit:
    """unit_size is coded in two bytes where one suffices"""
    return Set(1, "unit.unit_size", "8400")


@invalid(252, "raw-padding", "syntax", "4.4")
def unit_size_nine_bytes() -> Edit:
    """unit_size has more than eight bytes"""
    return Set(1, "unit.unit_size", "84" + 7 * "80" + "00")


@invalid(253, "raw-padding", "truncated", "6.3", END)
def unit_size_level_1() -> Edit:
    """unit_size is the greatest of level 1, and the file ends"""
    return Set(2, "unit.unit_size", 1048576)


@invalid(254, "raw-padding", "unsupported", "A.3")
def unit_size_beyond_level_1() -> Edit:
    """unit_size is one more than level 1 admits"""
    return Set(2, "unit.unit_size", 1048577)


@invalid(255, "level-4-sizes", "truncated", "6.3", END)
def unit_size_level_4() -> Edit:
    """unit_size is the greatest of level 4, and the file ends"""
    return Set(1, "unit.unit_size", 2**32 - 1)


@invalid(256, "level-4-sizes", "unsupported", "A.3")
def unit_size_beyond_level_4() -> Edit:
    """unit_size is one more than level 4 admits"""
    return Set(1, "unit.unit_size", 2**32)


@invalid(257, "level-2-sizes", "unsupported", "A.3")
def unit_size_beyond_level_2() -> Edit:
    """unit_size is one more than level 2 admits"""
    return Set(1, "unit.unit_size", 16777217)


@invalid(258, "level-3-sizes", "unsupported", "A.3")
def unit_size_beyond_level_3() -> Edit:
    """unit_size is one more than level 3 admits"""
    return Set(1, "unit.unit_size", 268435457)


@invalid(259, "raw-padding", "unsupported", "C.1", (2, ""))
def unit_type_zero() -> Edit:
    """a unit of type 0 has skippable_flag 0"""
    return Insert(2, 0, 0, "")


@invalid(261, "raw-padding", "checksum", "8.2")
def unit_crc_of_parameter_set(stream: bytes) -> Edit:
    """unit_crc of the parameter set has a wrong bit"""
    return flip(stream, 1, "unit.unit_crc", 17)


@invalid(262, "raw-padding", "checksum", "8.2")
def unit_crc_of_end(stream: bytes) -> Edit:
    """unit_crc of the end unit has a wrong bit"""
    return flip(stream, 3, "unit.unit_crc", 31)


@invalid(263, "raw-padding", "checksum", "8.2", (1, "unit.unit_crc"))
def unit_type_damaged(stream: bytes) -> list[Edit]:
    """skippable_flag is wrong, which unit_crc covers"""
    crc = element(stream, 1, "unit.unit_crc").value
    return [Set(1, "unit.skippable_flag", 1), Set(1, "unit.unit_crc", int(crc))]


# --- parameter sets ----------------------------------------------------------------------------------


@invalid(264, "raw-padding", "syntax", "7.4")
def channels_beyond() -> Edit:
    """channels_minus1 is 2^24"""
    return parameter_set("channels_minus1", 1 << 24)


@invalid(265, "raw-padding", "syntax", "7.4")
def height_beyond() -> Edit:
    """height_minus1 is 65,536"""
    return parameter_set("height_minus1", 65536)


@invalid(266, "raw-padding", "syntax", "7.4")
def width_beyond() -> Edit:
    """width_minus1 is 65,536"""
    return parameter_set("width_minus1", 65536)


def _too_large(level: int, *size: int) -> list[Edit]:
    one = (size[0], size[1], size[2])
    return [header("level_idc", level), *unused(one)]


_CHANNELS = (1, _FPS + "channels_minus1")


@invalid(267, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_1_elements_beyond() -> list[Edit]:
    """65,552 elements of a parameter set that nothing uses, in a stream of level 1"""
    return _too_large(1, 16, 17, 241)


@invalid(268, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_2_elements_beyond() -> list[Edit]:
    """1,048,577 elements of a parameter set that nothing uses, in a stream of level 2"""
    return _too_large(2, 1, 17, 61681)


@invalid(269, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_2_channels_beyond() -> list[Edit]:
    """131,073 channels, in a stream of level 2"""
    return _too_large(2, 131073, 1, 1)


@invalid(270, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_3_elements_beyond() -> list[Edit]:
    """16,777,217 elements, in a stream of level 3"""
    return _too_large(3, 673, 97, 257)


@invalid(271, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_3_channels_beyond() -> list[Edit]:
    """1,048,577 channels, in a stream of level 3"""
    return _too_large(3, 1048577, 1, 1)


@invalid(272, "raw-padding", "unsupported", "A.3", _CHANNELS)
def level_4_elements_beyond() -> list[Edit]:
    """268,435,457 elements, in a stream of level 4"""
    return _too_large(4, 17, 61681, 256)


@invalid(273, "raw-padding", "unsupported", "C.1")
def quantiser_kept() -> Edit:
    """quantiser is 3, which is kept for a later version"""
    return parameter_set("quantiser", Quantiser.DEAD_ZONE)


@invalid(274, "raw-padding", "unsupported", "C.1")
def quantiser_undefined() -> Edit:
    """quantiser is 4"""
    return parameter_set("quantiser", 4)


@invalid(276, "raw-padding", "unsupported", "C.1")
def feature_type_undefined() -> Edit:
    """feature_type is 5"""
    return parameter_set("feature_type", 5)


@invalid(277, "log-unsigned", "constraint", "9.2")
def integer_logarithmic() -> Edit:
    """int16 features with a logarithmic quantiser"""
    return parameter_set("source_type", SourceType.INT16)


@invalid(278, "native-conv", "constraint", "9.2")
def integer_native() -> Edit:
    """uint8 features in the native coder"""
    return parameter_set("source_type", SourceType.UINT8)


@invalid(279, "exact-zero", "constraint", "A.2", (1, _FPS + "coder_id"))
def exact_profile_hevc() -> Edit:
    """a native lossless feature in a stream of the HEVC profile"""
    return header("profile_idc", 2)


@invalid(280, "native-zero", "constraint", "A.2", (1, _FPS + "coder_id"))
def native_profile_lossless() -> Edit:
    """a native feature in a stream of the lossless profile"""
    return header("profile_idc", 1)


@invalid(281, "raw-padding", "syntax", "4.4")
def alignment_bits_of_parameter_set(stream: bytes) -> Edit:
    """the first alignment bit of the parameter set is set"""
    return flip(stream, 1, _FPS + "alignment", 0)


@invalid(282, "raw-padding", "syntax", "6.4", (1, "unit.unread"))
def bytes_left_in_parameter_set() -> Edit:
    """two bytes follow the parameter set, inside its unit"""
    return Set(1, _FPS + "alignment", "0b" + "0" * 23)


@invalid(318, "raw-7-bit", "truncated", "7.3", END)
def unit_size_cut() -> Edit:
    """the file ends between the two bytes of a unit_size"""
    return Cut(23)


@invalid(319, "raw-padding", "syntax", "7.4")
def channels_of_70_bits() -> Edit:
    """channels_minus1 has 71 bits"""
    return parameter_set("channels_minus1", "0b" + "0" * 70 + "1" + "0" * 70)
