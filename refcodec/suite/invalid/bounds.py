"""Values one beyond a bound, in every structure."""

from __future__ import annotations

from refcodec.suite.assemble import Cut, Drop, Edit, Extend, Insert, Set
from refcodec.suite.define import invalid
from refcodec.suite.edits import element, feature, flip, header, parameter, parameter_set
from refcodec.suite.native import payloads
from refcodec.suite.valid.limits import unused
from refcodec.suite.vectors import END
from refcodec.syntax.codes import Coder, FeatureType, Quantiser, SourceType
from refcodec.syntax.structures import CODED_FEATURE_BATCH

_FPS = "feature_parameter_set."
_BATCH = "coded_feature_batch."

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


@invalid(260, "raw-padding", "unsupported", "C.1", (1, ""))
def unit_kept_network() -> Edit:
    """a network model unit, kept for a later version, is present"""
    return Insert(1, 5, 0, "")


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


@invalid(275, "raw-padding", "unsupported", "C.1")
def feature_type_tokens() -> Edit:
    """feature_type is 4, which is kept for a later version"""
    return parameter_set("feature_type", FeatureType.TOKENS)


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


# --- coded features ----------------------------------------------------------------------------------


@invalid(283, "raw-padding", "syntax", "7.5")
def feature_fps_id_beyond() -> Edit:
    """fps_id of a coded feature is 256"""
    return feature("fps_id", 256)


@invalid(284, "uniform-range-min", "constraint", "9.2", (2, "coded_feature.parameters.range_max"))
def range_min_nan() -> Edit:
    """range_min is NaN"""
    return parameter("range_min", ["7fc00000"])


@invalid(285, "uniform-range-min", "constraint", "9.2", (2, "coded_feature.parameters.range_max"))
def range_min_infinite() -> Edit:
    """range_min is minus infinity"""
    return parameter("range_min", ["ff800000"])


@invalid(286, "uniform-range-channel", "constraint", "9.2")
def range_channel_reversed(stream: bytes) -> Edit:
    """range_max of the last of sixteen channels is less than its range_min"""
    given = element(stream, 2, "coded_feature.parameters.range_max").value
    return parameter("range_max", [f"{word:08x}" for word in given.view("u4")[:15]] + ["ff7fffff"])


@invalid(287, "log-range-channel", "constraint", "9.2")
def log_step_channel_zero(stream: bytes) -> Edit:
    """log_step of the last of sixteen channels is 0"""
    given = element(stream, 2, "coded_feature.parameters.log_step").value
    return parameter("log_step", [*map(int, given[:15]), 0])


@invalid(288, "log-limits", "constraint", "9.2")
def log_step_beyond() -> Edit:
    """log_step is one more than the greatest"""
    return parameter("log_step", [(130 << 24) // 63 + 1])


@invalid(289, "log-signed-limits", "constraint", "9.2")
def log_step_signed_beyond() -> Edit:
    """log_step of signed samples is one more than the greatest"""
    return parameter("log_step", [(130 << 24) + 1])


@invalid(290, "log-limits", "syntax", "7.5.2")
def log_exponent_beyond() -> Edit:
    """log_exponent is 129"""
    return parameter("log_exponent", 129)


@invalid(291, "log-least", "syntax", "7.5.2")
def log_exponent_below() -> Edit:
    """log_exponent is -161"""
    return parameter("log_exponent", -161)


@invalid(292, "raw-padding", "truncated", "7.5.2", (2, "coded_feature.parameters.range_max"))
def range_cut() -> list[Edit]:
    """the unit ends inside range_max"""
    return [feature("payload", ""), parameter("range_max", "0b" + "0" * 24)]


@invalid(293, "sample-hash-32", "truncated", "7.5", 28)
def sample_hash_cut() -> list[Edit]:
    """the unit ends inside the sample hash"""
    return [feature("payload", ""), feature("sample_hash", 31 * "00")]


@invalid(294, "native-qp-delta", "constraint", "9.2", (2, "coded_feature.parameters.qp"))
def native_qp_below_zero() -> Edit:
    """qp is 62, and a qp_delta is 63"""
    return parameter("qp", 62)


# --- batches -----------------------------------------------------------------------------------------


@invalid(295, "batch-of-one", "syntax", "7.6")
def batch_fps_id_beyond() -> Edit:
    """fps_id of a batch is 256"""
    return Set(2, _BATCH + "fps_id", 256)


@invalid(296, "batch-of-one", "syntax", "7.6")
def batch_feature_count_beyond() -> Edit:
    """feature_count_minus1 is 65,536"""
    return Set(2, _BATCH + "feature_count_minus1", 65536)


@invalid(297, "batch-of-one", "syntax", "7.6")
def batch_payload_size_beyond() -> Edit:
    """payload_size_base is 2^32 - 1"""
    return Set(2, _BATCH + "payload_size_base", 2**32 - 1)


@invalid(298, "batch-ranges-fine", "constraint", "9.2", (2, _BATCH + "parameters.range_max"))
def batch_range_nan() -> Edit:
    """range_max of a batch is NaN"""
    return Set(2, _BATCH + "parameters.range_max", ["7fc00000"])


@invalid(299, "batch-ranges", "constraint", "9.2", (2, _BATCH + "parameters.range_max"))
def batch_ranges_infinite() -> Edit:
    """range_max of a batch of ranges is infinite"""
    return Set(2, _BATCH + "parameters.range_max", ["7f800000"])


@invalid(300, "fc-batch", "constraint", "9.2", (2, _BATCH + "parameters.range_max"))
def batch_range_reversed() -> Edit:
    """range_max of a batch is less than its range_min"""
    return Set(2, _BATCH + "parameters.range_max", ["ff7fffff"])


@invalid(301, "batch-ranges-fine", "constraint", "9.2")
def batch_sizes_small(stream: bytes) -> Edit:
    """the payload sizes of a batch add up to less than its payloads"""
    base = int(element(stream, 2, _BATCH + "payload_size_base").value)
    return Set(2, _BATCH + "payload_size_base", base - 1)


@invalid(303, "batch-of-one", "constraint", "9.2", (2, _BATCH + "feature_count_minus1"))
def batch_elements_beyond() -> list[Edit]:
    """a batch of 65,537 elements"""
    return [parameter_set("channels_minus1", 65536), header("level_idc", 2)]


@invalid(304, "batch-ranges", "syntax", "4.4")
def batch_alignment_bits(stream: bytes) -> Edit:
    """the last alignment bit of a batch is set"""
    bits = element(stream, 2, _BATCH + "alignment").width
    return flip(stream, 2, _BATCH + "alignment", bits - 1)


# --- other units -------------------------------------------------------------------------------------


@invalid(305, "metadata", "syntax", "7.7", (1, "metadata.entry_count"))
def metadata_entries_beyond() -> Edit:
    """entry_count of a metadata unit is 4,097"""
    return Set(1, "metadata.entry_count", 4097)


@invalid(306, "metadata", "truncated", "7.7.2", (1, "metadata.entries.value"))
def metadata_cut() -> Edit:
    """a metadata unit ends inside a text"""
    return Set(1, "metadata.entries.value_size", 127)


@invalid(307, "metadata", "syntax", "6.7", (1, "unit.unread"))
def metadata_too_long() -> Edit:
    """a byte follows the last text of a metadata unit"""
    return Set(1, "metadata.entry_count", 3)


@invalid(308, "hash-units", "truncated", "7.8", (3, "hash.sha256"))
def hash_cut() -> Edit:
    """a hash unit has a hash of 31 bytes"""
    return Set(3, "hash.sha256", 31 * "00")


@invalid(309, "hash-units", "syntax", "6.8", (3, "unit.unread"))
def hash_too_long() -> Edit:
    """a hash unit has a hash of 33 bytes"""
    return Set(3, "hash.sha256", 33 * "00")


@invalid(310, "hash-units", "unsupported", "C.1")
def hash_target_next() -> Edit:
    """hash_target is 2"""
    return Set(3, "hash.hash_target", 2)


@invalid(311, "hash-units-reconstruction", "order", "9.1", (4, ""))
def hash_unit_behind_unknown() -> Edit:
    """a unit that is skipped lies between a coded feature and its hash unit"""
    return Insert(3, 99, 1, "")


@invalid(312, "index-small", "constraint", "9.5")
def index_entries_beyond() -> Edit:
    """entry_count of the index is more than units fit in front of it"""
    return Set(5, "index.entry_count", 1000)


@invalid(313, "index-small", "constraint", "9.5", (5, "index.entry_count"))
def index_parameter_sets_beyond() -> Edit:
    """parameter_set_count of the index is more than units fit in front of it"""
    return Set(5, "index.parameter_set_count", 1000)


@invalid(314, "index-small", "syntax", "7.9", (5, "index.unit_distance"))
def index_without_bits() -> Edit:
    """distance_bits is 0 for four entries"""
    return Set(5, "index.distance_bits", 0)


@invalid(315, "index-small", "truncated", "7.9", (5, "index.unit_distance"))
def index_cut() -> Edit:
    """distance_bits is 63, more than the unit has"""
    return Set(5, "index.distance_bits", 63)


@invalid(316, "empty", "order", "9.1", (1, "end.feature_count"))
def empty_counts_one() -> list[Edit]:
    """the end unit counts a feature in a stream without one"""
    return [Insert(1, 127, 0, f"{0:016x}{1:016x}"), Drop(2)]


@invalid(317, "hevc-1-bit", "constraint", "9.2", (1, _FPS + "quantiser"))
def hevc_quantiser_none(stream: bytes) -> list[Edit]:
    """an HEVC parameter set without a quantiser"""
    sets = element(stream, 1, _FPS + "parameter_sets").value
    elements = {
        "coder_id": Coder.HEVC,
        "hevc_lossless_flag": 1,
        "temporal_prediction_flag": 0,
        "tile_columns_minus1": 1,
        "tile_rows_minus1": 1,
        "parameter_sets_size": len(sets),
        "parameter_sets": sets,
    }
    return unused((4, 4, 4), **elements)


@invalid(318, "raw-7-bit", "truncated", "7.3", END)
def unit_size_cut() -> Edit:
    """the file ends between the two bytes of a unit_size"""
    return Cut(23)


@invalid(319, "raw-padding", "syntax", "7.4")
def channels_of_70_bits() -> Edit:
    """channels_minus1 has 71 bits"""
    return parameter_set("channels_minus1", "0b" + "0" * 70 + "1" + "0" * 70)


@invalid(320, "hevc-1-bit", "constraint", "9.2", (3, "coded_feature_batch.fps_id"))
def batch_of_hevc(stream: bytes) -> Edit:
    """a batch of HEVC features"""
    one = payloads(stream)[0]
    batch = {
        "fps_id": 0,
        "feature_count_minus1": 0,
        "payload_size_base": len(one.data),
        "range_codes_flag": 0,
        "payload_size_bits": 0,
        "parameters": one.parameters,
        "sample_hashes": one.sample_hash,
        "payloads": one.data,
    }
    record = CODED_FEATURE_BATCH.make(batch, fps=one.fps)
    return Insert(3, 3, 0, CODED_FEATURE_BATCH.build_whole(record, fps=one.fps).hex())


@invalid(321, "metadata", "syntax", "4.4")
def metadata_count_overlong() -> Edit:
    """entry_count of a metadata unit is coded in two bytes where one suffices"""
    return Set(1, "metadata.entry_count", "8400")


@invalid(322, "index-small", "syntax", "4.4", (5, "index.entry_count"))
def index_count_overlong() -> Edit:
    """entry_count of the index is coded in two bytes where one suffices"""
    return Set(5, "index.entry_count", "8300")


@invalid(323, "metadata", "syntax", "4.4")
def metadata_key_size_overlong() -> Edit:
    """key_size of a metadata unit is coded in two bytes where one suffices"""
    return Set(1, "metadata.entries.key_size", "8700")


@invalid(324, "index-small", "syntax", "6.9", (5, "unit.unread"))
def index_too_long() -> Edit:
    """a byte follows the index, inside its unit"""
    return Extend(5, "00")


@invalid(325, "raw-padding", "payload", "8.3.1", (2, "coded_feature.payload"))
def payload_empty() -> Edit:
    """a coded feature without a payload"""
    return feature("payload", "")
