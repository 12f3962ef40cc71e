"""Values one beyond a bound, in coded features, batches and the units without features."""

from __future__ import annotations

from refcodec.suite.assemble import Cut, Drop, Edit, Extend, Insert, Set
from refcodec.suite.make.define import invalid, unnoticed
from refcodec.suite.make.edits import element, feature, flip, header, parameter, parameter_set
from refcodec.suite.make.native import payloads
from refcodec.suite.valid.limits import unused
from refcodec.suite.vectors import END
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import CODED_FEATURE_BATCH

_FPS = "feature_parameter_set."
_BATCH = "coded_feature_batch."

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


@unnoticed(305, "metadata", "syntax", "7.7", (1, "metadata.entry_count"))
def metadata_entries_beyond() -> Edit:
    """entry_count of a metadata unit is 4,097"""
    return Set(1, "metadata.entry_count", 4097)


@unnoticed(306, "metadata", "truncated", "7.7.2", (1, "metadata.entries.value"))
def metadata_cut() -> Edit:
    """a metadata unit ends inside a text"""
    return Set(1, "metadata.entries.value_size", 127)


@unnoticed(307, "metadata", "syntax", "6.7", (1, "unit.unread"))
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


@unnoticed(312, "index-small", "constraint", "9.5")
def index_entries_beyond() -> Edit:
    """entry_count of the index is more than units fit in front of it"""
    return Set(5, "index.entry_count", 1000)


@unnoticed(313, "index-small", "constraint", "9.5", (5, "index.entry_count"))
def index_parameter_sets_beyond() -> Edit:
    """parameter_set_count of the index is more than units fit in front of it"""
    return Set(5, "index.parameter_set_count", 1000)


@unnoticed(314, "index-small", "syntax", "7.9", (5, "index.unit_distance"))
def index_without_bits() -> Edit:
    """distance_bits is 0 for four entries"""
    return Set(5, "index.distance_bits", 0)


@unnoticed(315, "index-small", "truncated", "7.9", (5, "index.unit_distance"))
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


@unnoticed(321, "metadata", "syntax", "4.4")
def metadata_count_overlong() -> Edit:
    """entry_count of a metadata unit is coded in two bytes where one suffices"""
    return Set(1, "metadata.entry_count", "8400")


@unnoticed(322, "index-small", "syntax", "4.4", (5, "index.entry_count"))
def index_count_overlong() -> Edit:
    """entry_count of the index is coded in two bytes where one suffices"""
    return Set(5, "index.entry_count", "8300")


@unnoticed(323, "metadata", "syntax", "4.4")
def metadata_key_size_overlong() -> Edit:
    """key_size of a metadata unit is coded in two bytes where one suffices"""
    return Set(1, "metadata.entries.key_size", "8700")


@unnoticed(324, "index-small", "syntax", "6.9", (5, "unit.unread"))
def index_too_long() -> Edit:
    """a byte follows the index, inside its unit"""
    return Extend(5, "00")


@invalid(325, "raw-padding", "payload", "8.3.1", (2, "coded_feature.payload"))
def payload_empty() -> Edit:
    """a coded feature without a payload"""
    return feature("payload", "")


@invalid(552, "batch-of-one", "constraint", "9.2")
def batch_of_65536() -> list[Edit]:
    """feature_count_minus1 is 65,535, in a batch without a byte of payloads"""
    return [
        Set(2, _BATCH + "feature_count_minus1", 65535),
        Set(2, _BATCH + "payload_size_base", 0),
        Set(2, _BATCH + "payloads", ""),
    ]


@invalid(553, "raw-padding", "truncated", "6.3", END)
def unit_crc_cut(stream: bytes) -> Edit:
    """the file ends within the CRC of the end unit"""
    return Cut(len(stream) - 2)


@invalid(564, "batch-of-one", "constraint", "9.2")
def batch_payload_size_greatest() -> Edit:
    """payload_size_base is 2^32 - 2, more than the unit has"""
    return Set(2, _BATCH + "payload_size_base", 2**32 - 2)


@unnoticed(565, "metadata", "truncated", "7.7.2", 69)
def metadata_entries_4096() -> Edit:
    """entry_count of a metadata unit is 4,096, more than the unit has"""
    return Set(1, "metadata.entry_count", 4096)


@invalid(537, "batch-ranges", "hash", "8.8", (2, _BATCH + "payloads", 512))
def batch_sample_hash(stream: bytes) -> Edit:
    """a bit of the sample hash of the second feature of a batch is wrong"""
    return flip(stream, 2, _BATCH + "sample_hashes", 64)
