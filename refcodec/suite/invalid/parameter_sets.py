"""Defects of feature parameter sets, those of HEVC inside them included."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Value, encode
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import header, inside, parameter, parameter_set, with_headers

_SETS = (1, "feature_parameter_set.parameter_sets")


@invalid(119, "raw-float32", "truncated", "7.4", (1, "feature_parameter_set.channels_minus1", 21))
def structure_cut() -> Edit:
    """channels_minus1 is a code longer than the rest of the unit"""
    return parameter_set("channels_minus1", "0b00000000")


@invalid(120, "hevc-8-bit", "constraint", "9.2")
def hevc_empty_columns() -> Edit:
    """17 columns of tiles for 16 channels"""
    return parameter_set("tile_columns_minus1", 16)


@invalid(121, "hevc-8-bit", "unsupported", "A.3")
def hevc_level_channels() -> Edit:
    """5,000,001 channels in a stream of level 1"""
    return parameter_set("channels_minus1", 5_000_000)


@invalid(30, "raw-float32", "syntax", "7.4")
def fps_id_too_large() -> Edit:
    """fps_id is 256"""
    return parameter_set("fps_id", 256)


@invalid(31, "raw-float32", "unsupported", "A.3", (1, "feature_parameter_set.channels_minus1"))
def level_exceeded_elements() -> Edit:
    """4,194,304 elements in a stream of level 1"""
    return parameter_set("height_minus1", 65535)


@invalid(32, "hevc-8-bit", "constraint", "A.2", (1, "feature_parameter_set.coder_id"))
def profile_lacks_coder() -> Edit:
    """an HEVC feature in a stream of the lossless profile"""
    return header("profile_idc", 1)


@invalid(34, "raw-float32", "unsupported", "C.1")
def coder_undefined() -> Edit:
    """coder_id is 12"""
    return parameter_set("coder_id", 12)


@invalid(35, "raw-float32", "unsupported", "C.1")
def feature_type_kept() -> Edit:
    """feature_type is 3, which is kept for a later version"""
    return parameter_set("feature_type", 3)


@invalid(37, "raw-float32", "syntax", "4.4")
def alignment_bits() -> Edit:
    """the last alignment bit of the feature parameters is set"""
    return parameter("alignment", "0b0000001")


@invalid(39, "log-signed", "constraint", "9.2", (1, "feature_parameter_set.log_signed_flag"))
def log_signed_1_bit() -> Edit:
    """signed logarithmic samples have one bit"""
    return parameter_set("bits_minus1", 0)


@invalid(40, "hevc-12-bit", "constraint", "9.2")
def hevc_13_bit() -> Edit:
    """HEVC samples have 13 bits"""
    return parameter_set("bits_minus1", 12)


@invalid(41, "hevc-8-bit", "constraint", "9.3")
def hevc_no_sample_hash() -> Edit:
    """the sample hash of an HEVC feature is left out"""
    return parameter_set("sample_hash_size_code", 0)


@invalid(42, "hevc-8-bit", "constraint", "9.2", (1, "feature_parameter_set.tile_columns_minus1"))
def hevc_grid_empty_rows() -> Edit:
    """the tile grid has empty rows"""
    return parameter_set("tile_rows_minus1", 7)


@invalid(43, "hevc-8-bit", "constraint", "9.3", (1, "feature_parameter_set.parameter_sets_size"))
def hevc_no_parameter_sets() -> list[Edit]:
    """the HEVC parameter sets are missing"""
    return [parameter_set("parameter_sets", ""), parameter_set("parameter_sets_size", 0)]


@invalid(44, "hevc-8-bit", "constraint", "9.3.1")
def hevc_frame_size(stream: bytes) -> list[Edit]:
    """the SPS has frames 40 samples wide; the tiles make 32"""
    return inside(stream, *_SETS, 40, "seq_parameter_set.pic_width_in_luma_samples")


@invalid(210, "hevc-8-bit", "constraint", "9.3.1")
def hevc_cropped_columns(stream: bytes) -> list[Edit]:
    """the SPS has pictures 48 samples wide, of which a conformance window crops 16"""
    return _with_sps(
        stream, pic_width_in_luma_samples=48, conformance_window_flag="0b1" + _window(right=16)
    )


@invalid(211, "hevc-8-bit", "constraint", "9.3.1")
def hevc_cropped_rows(stream: bytes) -> list[Edit]:
    """the SPS has pictures of 2048 rows, of which a conformance window crops all but 32"""
    return _with_sps(
        stream,
        pic_height_in_luma_samples=2048,
        conformance_window_flag="0b1" + _window(top=1000, bottom=1016),
    )


@invalid(474, "log-signed", "unsupported", "C.1", (1, "feature_parameter_set.coder_id"))
def coder_and_bits() -> list[Edit]:
    """coder_id is not defined, and the bits that precede it break a constraint"""
    return [parameter_set("bits_minus1", 0), parameter_set("coder_id", 15)]


@invalid(45, "hevc-8-bit", "constraint", "9.3.1")
def hevc_profile(stream: bytes) -> list[Edit]:
    """VPS and SPS name the HEVC profile 5, which is not listed"""
    profile = "profile_tier_level.general_profile_idc"
    return inside(
        stream, *_SETS, 5, f"video_parameter_set.{profile}", f"seq_parameter_set.{profile}"
    )


def _window(left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> str:
    """The bits of the offsets of a conformance window."""
    return "".join(encode(offset, "ue(v)") for offset in (left, right, top, bottom))


def _with_sps(stream: bytes, **values: Value) -> list[Edit]:
    """Give elements of the SPS other values, of any width."""
    return with_headers(stream, 1, **values)
