"""Defects of HEVC parameter sets, each of an element that 9.3.1 fixes, and of slices."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Set, Value
from refcodec.suite.make.define import invalid, unnoticed
from refcodec.suite.make.edits import (
    change_payload,
    element,
    parameter_set,
    replace_sets,
    with_headers,
    with_slice_header,
)
from refcodec.suite.vectors import Definition
from refcodec.syntax.hevc import split_nals

_SETS = "feature_parameter_set.parameter_sets"
_ORIGIN = "hevc-1-bit"


def _fixed(number: int, header: int, name: str, value: Value, title: str = "") -> Definition:
    """A vector whose VPS (0), SPS (1) or PPS (2) has another value of an element."""
    owner = ("VPS", "SPS", "PPS")[header]

    def change(stream: bytes) -> list[Edit]:
        return with_headers(stream, header, **{name: value})

    change.__name__ = f"hevc_{title or name}"
    change.__doc__ = f"{name} of the {owner} is {value}"
    return invalid(number, _ORIGIN, "constraint", "9.3.1")(change)


hevc_vps_id = _fixed(330, 0, "vps_video_parameter_set_id", 1, "vps_id")
hevc_vps_layers = _fixed(331, 0, "vps_max_layers_minus1", 1, "vps_layers")
hevc_vps_sub_layers = _fixed(332, 0, "vps_max_sub_layers_minus1", 1, "vps_sub_layers")
hevc_sps_vps_id = _fixed(333, 1, "sps_video_parameter_set_id", 1, "sps_vps_id")
hevc_sps_sub_layers = _fixed(334, 1, "sps_max_sub_layers_minus1", 1, "sps_sub_layers")
hevc_sps_id = _fixed(335, 1, "sps_seq_parameter_set_id", 1, "sps_id")
hevc_scaling_lists = _fixed(336, 1, "scaling_list_enabled_flag", 1, "scaling_lists")
hevc_pcm = _fixed(337, 1, "pcm_enabled_flag", 1, "pcm")
hevc_short_term_sets = _fixed(338, 1, "num_short_term_ref_pic_sets", 1, "short_term_sets")
hevc_long_term = _fixed(339, 1, "long_term_ref_pics_present_flag", 1, "long_term")
hevc_pps_id = _fixed(340, 2, "pps_pic_parameter_set_id", 1, "pps_id")
hevc_pps_sps_id = _fixed(341, 2, "pps_seq_parameter_set_id", 1, "pps_sps_id")
hevc_dependent = _fixed(342, 2, "dependent_slice_segments_enabled_flag", 1, "dependent")
hevc_output_flag = _fixed(343, 2, "output_flag_present_flag", 1, "output_flag")
hevc_extra_bits = _fixed(344, 2, "num_extra_slice_header_bits", 1, "extra_bits")
hevc_qp_deltas = _fixed(345, 2, "cu_qp_delta_enabled_flag", "0b11", "qp_deltas")
hevc_weighted = _fixed(346, 2, "weighted_pred_flag", 1, "weighted")
hevc_weighted_bi = _fixed(347, 2, "weighted_bipred_flag", 1, "weighted_bi")
hevc_tiles = _fixed(348, 2, "tiles_enabled_flag", 1, "tiles")
hevc_wavefronts = _fixed(349, 2, "entropy_coding_sync_enabled_flag", 1, "wavefronts")
hevc_pps_scaling = _fixed(350, 2, "pps_scaling_list_data_present_flag", 1, "pps_scaling")
hevc_lists = _fixed(351, 2, "lists_modification_present_flag", 1, "lists")
hevc_chroma = _fixed(352, 1, "chroma_format_idc", 1, "chroma")
hevc_width = _fixed(353, 1, "pic_width_in_luma_samples", 24, "width")
hevc_height = _fixed(354, 1, "pic_height_in_luma_samples", 24, "height")
hevc_depth = _fixed(355, 1, "bit_depth_luma_minus8", 2, "depth")
hevc_reorder = _fixed(356, 1, "max_num_reorder_pics", 1, "reorder")
hevc_bypass = _fixed(357, 2, "transquant_bypass_enabled_flag", 1, "bypass")
hevc_sps_level = _fixed(358, 1, "general_level_idc", 33, "sps_level")
hevc_vps_constraints = _fixed(359, 0, "general_constraint_flags", 1 << 40, "vps_constraints")
hevc_colour_planes = _fixed(392, 1, "chroma_format_idc", "0b001001", "colour_planes")

hevc_joint_colour_planes = _fixed(554, 1, "chroma_format_idc", "0b001000", "joint_colour_planes")


@invalid(360, "hevc-1-bit", "constraint", "9.3.1")
def hevc_profile_flags(stream: bytes) -> list[Edit]:
    """VPS and SPS have compatibility flags that are not listed"""
    return _tier(stream, general_profile_compatibility_flags=0x0C000000)


@invalid(361, "hevc-1-bit", "constraint", "9.3.1")
def hevc_constraint_flags(stream: bytes) -> list[Edit]:
    """VPS and SPS have constraint flags that are not listed"""
    return _tier(stream, general_constraint_flags=0x9FE800000001)


@invalid(473, "hevc-1-bit", "constraint", "9.3.1")
def hevc_profile_space(stream: bytes) -> list[Edit]:
    """VPS and SPS have general_profile_space 1"""
    return _tier(stream, general_profile_space=1)


def _tier(stream: bytes, **values: int) -> list[Edit]:
    """Change the profile of the VPS and of the SPS alike."""
    for edit in with_headers(stream, 0, **values):
        stream = edit(stream)
    return with_headers(stream, 1, **values)


def _sets(stream: bytes) -> list[bytes]:
    return [nal for _, nal in split_nals(element(stream, 1, _SETS).value)]


def _joined(*nals: bytes) -> list[Edit]:
    return replace_sets(b"".join(b"\0\0\1" + nal for nal in nals))


@invalid(362, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_delimiter(stream: bytes) -> list[Edit]:
    """an access unit delimiter follows VPS, SPS and PPS"""
    return _joined(*_sets(stream), b"\x46\x01\x50")


@invalid(363, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_order(stream: bytes) -> list[Edit]:
    """the PPS precedes the SPS"""
    vps, sps, pps = _sets(stream)
    return _joined(vps, pps, sps)


@invalid(364, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_twice(stream: bytes) -> list[Edit]:
    """the PPS occurs twice"""
    sets = _sets(stream)
    return _joined(*sets, sets[2])


@invalid(365, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_no_pps(stream: bytes) -> list[Edit]:
    """there is no PPS"""
    return _joined(*_sets(stream)[:2])


@invalid(366, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_layer(stream: bytes) -> list[Edit]:
    """the PPS belongs to layer 32, whose bit is in the first byte"""
    vps, sps, pps = _sets(stream)
    return _joined(vps, sps, bytes([pps[0] | 1]) + pps[1:])


@invalid(367, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_sub_layer(stream: bytes) -> list[Edit]:
    """the SPS belongs to sub-layer 1"""
    vps, sps, pps = _sets(stream)
    return _joined(vps, sps[:1] + b"\2" + sps[2:], pps)


@invalid(368, "hevc-1-bit", "constraint", "9.3.1")
def hevc_sets_forbidden_bit(stream: bytes) -> list[Edit]:
    """forbidden_zero_bit of the VPS is 1"""
    vps, sps, pps = _sets(stream)
    return _joined(bytes([vps[0] | 0x80]) + vps[1:], sps, pps)


@invalid(369, "hevc-1-bit", "syntax", "8.3.6", (1, _SETS))
def hevc_sets_no_start_code(stream: bytes) -> list[Edit]:
    """a byte precedes the first start code of the parameter sets"""
    sets = element(stream, 1, _SETS).value
    return replace_sets(b"\1" + sets)


@invalid(370, "hevc-1-bit", "truncated", "7.4", (1, _SETS))
def hevc_sets_cut(stream: bytes) -> list[Edit]:
    """parameter_sets_size exceeds what the unit has"""
    sets = element(stream, 1, _SETS).value
    return [parameter_set("parameter_sets_size", len(sets) + 1)]


@invalid(557, "hevc-1-bit", "truncated", "7.4", (1, _SETS, 8))
def hevc_sets_size_4096() -> Edit:
    """parameter_sets_size is 4,096, more than the unit has"""
    return parameter_set("parameter_sets_size", 4096)


@invalid(371, "hevc-1-bit", "syntax", "7.4")
def hevc_sets_size_beyond() -> Edit:
    """parameter_sets_size is 4,097"""
    return parameter_set("parameter_sets_size", 4097)


@invalid(372, "hevc-1-bit", "syntax", "7.4")
def hevc_columns_beyond() -> Edit:
    """tile_columns_minus1 is 4,096"""
    return parameter_set("tile_columns_minus1", 4096)


@invalid(373, "hevc-1-bit", "syntax", "7.4")
def hevc_rows_beyond() -> Edit:
    """tile_rows_minus1 is 4,096"""
    return parameter_set("tile_rows_minus1", 4096)


@invalid(374, "hevc-1-bit", "constraint", "9.2", (1, "feature_parameter_set.tile_columns_minus1"))
def hevc_empty_row(stream: bytes) -> Edit:
    """three rows of two tiles for four channels"""
    return parameter_set("tile_rows_minus1", 2)


@invalid(
    375, "hevc-wide-1024", "unsupported", "A.3", (1, "feature_parameter_set.tile_columns_minus1")
)
def hevc_too_wide() -> Edit:
    """frames of 1,025 columns in a stream of level 1"""
    return parameter_set("width_minus1", 1024)


@invalid(376, "hevc-tall-4097", "unsupported", "A.3", (1, "feature_parameter_set.tile_rows_minus1"))
def hevc_too_tall() -> Edit:
    """frames of 8,193 rows"""
    return parameter_set("height_minus1", 8192)


@invalid(
    377, "hevc-wide-8192", "unsupported", "A.3", (1, "feature_parameter_set.tile_columns_minus1")
)
def hevc_too_wide_8193() -> Edit:
    """frames of 8,193 columns"""
    return parameter_set("width_minus1", 8192)


@invalid(378, "hevc-frame-samples", "unsupported", "A.3", (2, "coded_feature.parameters.qp"))
def hevc_too_many_frames() -> Edit:
    """seventeen frames of 1,024 x 16 in a stream of level 1"""
    return parameter_set("channels_minus1", 16)


# --- slices --------------------------------------------------------------------------------------------

_SLICE = (2, "coded_feature.payload", 24)


def _slices(stream: bytes, unit: int = 2) -> list[bytes]:
    return [nal for _, nal in split_nals(element(stream, unit, "coded_feature.payload").value)]


def _with_slices(*nals: bytes, unit: int = 2) -> Edit:
    payload = b"".join(b"\0\0\1" + nal for nal in nals)
    return Set(unit, "coded_feature.payload", payload.hex())


_PAYLOAD = (2, "coded_feature.payload")

_SECOND = (2, "coded_feature.payload", 224)
"""The second slice of hevc-frame-packing."""


@invalid(379, "hevc-1-bit", "payload", "8.3.6", _PAYLOAD)
def hevc_delimiter(stream: bytes) -> Edit:
    """an access unit delimiter follows the slice"""
    return _with_slices(*_slices(stream), b"\x46\x01\x50")


@invalid(380, "hevc-1-bit", "payload", "8.3.6", _PAYLOAD)
def hevc_slice_twice(stream: bytes) -> Edit:
    """the slice occurs twice"""
    return _with_slices(*2 * _slices(stream))


@invalid(381, "hevc-frame-packing", "constraint", "9.3.2", _SECOND, also=("payload",))
def hevc_message_for_slice(stream: bytes) -> Edit:
    """a message (SEI) stands in place of the second slice"""
    first, _, *rest = _slices(stream)
    return _with_slices(first, b"\x4e\x01\x05\x01\x80", *rest)


@invalid(382, "hevc-1-bit", "syntax", "8.3.6", _PAYLOAD)
def hevc_no_start_code(stream: bytes) -> Edit:
    """the payload begins with a byte that is no start code"""
    return change_payload(stream, lambda payload: b"\1" + payload)


@invalid(383, "hevc-1-bit", "syntax", "8.3.6", _PAYLOAD)
def hevc_start_code_long(stream: bytes) -> Edit:
    """two zero bytes precede the start code of three"""
    return change_payload(stream, lambda payload: b"\0\0" + payload)


@invalid(384, "hevc-1-bit", "syntax", "8.3.6", _PAYLOAD)
def hevc_payload_empty(stream: bytes) -> Edit:
    """the payload is empty"""
    return change_payload(stream, lambda payload: b"")


@invalid(385, "hevc-1-bit", "syntax", "8.3.6", _SLICE)
def hevc_slice_of_a_byte(stream: bytes) -> Edit:
    """a NAL unit of one byte precedes the slice"""
    return _with_slices(b"\x28", *_slices(stream))


@invalid(386, "hevc-1-bit", "syntax", "8.3.6", _SLICE)
def hevc_three_zeros(stream: bytes) -> Edit:
    """the slice holds three zero bytes in turn"""
    return change_payload(stream, lambda payload: payload + b"\0\0\0\4")


@invalid(387, "hevc-sequence-no-index", "constraint", "9.3.2", _SLICE)
def hevc_trailing_first(stream: bytes) -> Edit:
    """an access point is a trailing picture"""
    return _with_slices(*_slices(stream, 3))


@invalid(388, "hevc-frame-packing", "constraint", "9.3.2", _SECOND, also=("payload",))
def hevc_slice_not_first(stream: bytes) -> Edit:
    """first_slice_segment_in_pic_flag of the second slice is 0"""
    slices = _slices(stream)
    slices[1] = slices[1][:2] + bytes([slices[1][2] & 0x7F]) + slices[1][3:]
    return _with_slices(*slices)


@unnoticed(389, "hevc-sequence-no-index", "constraint", "9.3.2", (4, "coded_feature.payload", 24))
def hevc_idr_in_sequence(stream: bytes) -> list[Edit]:
    """the last feature of a sequence, no access point, is an IDR picture: the first one again"""
    sample_hash = element(stream, 2, "coded_feature.sample_hash").value
    return [
        _with_slices(*_slices(stream), unit=4),
        Set(4, "coded_feature.sample_hash", sample_hash.hex()),
    ]


@invalid(
    390, "hevc-1-bit", "truncated", "7.11", (2, "coded_feature.payload", 47), also=("payload",)
)
def hevc_slice_cut(stream: bytes) -> Edit:
    """the slice ends inside its header"""
    return _with_slices(_slices(stream)[0][:3])


@invalid(391, "hevc-window-15", "constraint", "9.2")
def hevc_empty_column() -> Edit:
    """two columns of tiles for one channel"""
    return parameter_set("tile_columns_minus1", 1)


@invalid(393, "hevc-8-bit", "unsupported", "A.3", (1, "feature_parameter_set.tile_columns_minus1"))
def hevc_grid_too_wide() -> Edit:
    """four columns of tiles of 257 samples in a stream of level 1"""
    return parameter_set("width_minus1", 256)


@invalid(394, "hevc-8-bit", "unsupported", "A.3", (1, "feature_parameter_set.tile_rows_minus1"))
def hevc_grid_too_tall() -> Edit:
    """four rows of tiles of 257 samples in a stream of level 1"""
    return parameter_set("height_minus1", 256)


@invalid(395, "hevc-lossless-12-bit", "constraint", "9.3.1")
def hevc_12_bit_pcm(stream: bytes) -> list[Edit]:
    """pcm_enabled_flag of the SPS of frames of 12 bits is 1"""
    return with_headers(stream, 1, pcm_enabled_flag=1)


@invalid(396, "hevc-8-bit", "constraint", "9.3.2", _SLICE, also=("payload", "hash"))
def hevc_slice_pps_id(stream: bytes) -> Edit:
    """the slice refers to a picture parameter set that there is none of"""
    return with_slice_header(stream, 2, slice_pic_parameter_set_id=1)


@invalid(397, "hevc-8-bit", "constraint", "9.3.2", _SLICE, also=("payload", "hash"))
def hevc_slice_type_b(stream: bytes) -> Edit:
    """the slice of an IDR picture is of type B"""
    return with_slice_header(stream, 2, slice_type=0)


@invalid(567, "hevc-1-bit", "constraint", "9.2", (1, "feature_parameter_set.tile_columns_minus1"))
def hevc_empty_column_same_frame() -> list[Edit]:
    """four columns of tiles for three channels, on frames of the same size"""
    return [
        parameter_set("channels_minus1", 2),
        parameter_set("tile_columns_minus1", 3),
        parameter_set("tile_rows_minus1", 0),
    ]
