"""Headers inside an HEVC payload, as far as clause 9.3 constrains them (Rec. ITU-T H.265, 7.3).

Declared with the same descriptors as DFC's own syntax, under the names of that Recommendation. If 9.3 fixes
the value of an element, the declarations assume that value, and set no bound of their own: the checks report
any other. Bounds of QPs are those of frames of 12 bits, the deepest.
"""

from __future__ import annotations

from typing import Any

from construct import Array as Repeat
from construct import Computed, If, IfThenElse, this

from refcodec.errors import ConstraintError
from refcodec.syntax.annexb import parse_unit, split_units
from refcodec.syntax.bits import Trace
from refcodec.syntax.descriptors import SE, UE, Array, Integers, U
from refcodec.syntax.records import Record, Structure, element
from refcodec.syntax.standard import Standard

__all__ = [
    "HEVC",
    "NAL",
    "NAL_UNIT_HEADER",
    "PPS",
    "SLICE_HEADER",
    "SPS",
    "VPS",
    "PicParameterSet",
    "SeqParameterSet",
    "SliceSegmentHeader",
    "VideoParameterSet",
    "is_plain",
    "nal_type",
    "parse_nal",
    "parse_parameter_sets",
    "parse_slice",
    "split_nals",
]

HEVC = Standard("HEVC", "an", "8.3.6")

_REFERENCES_MINUS1, _CHROMA_QP_OFFSET, _DEBLOCKING_OFFSET = UE(14), SE(-12, 12), SE(-6, 6)


class NAL:
    """nal_unit_type values that may occur (Table 7-1 of Rec. ITU-T H.265)."""

    TRAIL_N = 0
    TRAIL_R = 1
    IDR_W_RADL = 19
    IDR_N_LP = 20
    VPS = 32
    SPS = 33
    PPS = 34


class NalUnitHeader(Record):
    """Header of a NAL unit (7.3.1.2)."""

    forbidden_zero_bit: int = element(U(1))
    nal_unit_type: int = element(U(6))
    nuh_layer_id: int = element(U(6))
    nuh_temporal_id_plus1: int = element(U(3))


NAL_UNIT_HEADER = Structure(NalUnitHeader, "6.11")


class ProfileTierLevel(Record):
    """Profile, tier and level (7.3.3)."""

    general_profile_space: int = element(U(2))
    general_tier_flag: int = element(U(1))
    general_profile_idc: int = element(U(5))
    general_profile_compatibility_flags: int = element(U(32))
    general_constraint_flags: int = element(U(48))
    general_level_idc: int = element(U(8))


PROFILE_TIER_LEVEL = Structure(ProfileTierLevel, "6.11")


class SubLayerOrdering(Record):
    """Sizes of the decoded picture buffer (7.3.2.2)."""

    max_dec_pic_buffering_minus1: int = element(UE(15))
    max_num_reorder_pics: int = element(UE())
    max_latency_increase_plus1: int = element(UE())


SUB_LAYER_ORDERING = Structure(SubLayerOrdering, "6.11")


class VideoParameterSet(Record):
    """Video parameter set, as far as 9.3 constrains it (7.3.2.1)."""

    vps_video_parameter_set_id: int = element(U(4))
    vps_base_layer_flags: int = element(U(2))
    vps_max_layers_minus1: int = element(U(6))
    vps_max_sub_layers_minus1: int = element(U(3))
    vps_temporal_id_nesting_flag: int = element(U(1))
    vps_reserved_0xffff_16bits: int = element(U(16))
    profile_tier_level: ProfileTierLevel = element(PROFILE_TIER_LEVEL)


VPS = Structure(VideoParameterSet, "6.11")


class SeqParameterSet(Record):
    """Sequence parameter set, as far as 9.3 constrains it (7.3.2.2)."""

    sps_video_parameter_set_id: int = element(U(4))
    sps_max_sub_layers_minus1: int = element(U(3))
    sps_temporal_id_nesting_flag: int = element(U(1))
    profile_tier_level: ProfileTierLevel = element(PROFILE_TIER_LEVEL)
    sps_seq_parameter_set_id: int = element(UE())
    chroma_format_idc: int = element(UE())
    separate_colour_plane_flag: int | None = element(If(this.chroma_format_idc == 3, U(1)))
    pic_width_in_luma_samples: int = element(UE())
    pic_height_in_luma_samples: int = element(UE())
    conformance_window_flag: int = element(U(1))
    conf_win_left_offset: int | None = element(If(this.conformance_window_flag == 1, UE()))
    conf_win_right_offset: int | None = element(If(this.conformance_window_flag == 1, UE()))
    conf_win_top_offset: int | None = element(If(this.conformance_window_flag == 1, UE()))
    conf_win_bottom_offset: int | None = element(If(this.conformance_window_flag == 1, UE()))
    bit_depth_luma_minus8: int = element(UE())
    bit_depth_chroma_minus8: int = element(UE(8))
    log2_max_pic_order_cnt_lsb_minus4: int = element(UE(12))
    sps_sub_layer_ordering_info_present_flag: int = element(U(1))
    sub_layer_ordering: SubLayerOrdering = element(SUB_LAYER_ORDERING)
    log2_min_luma_coding_block_size_minus3: int = element(UE(3))
    log2_diff_max_min_luma_coding_block_size: int = element(UE(3))
    log2_min_luma_transform_block_size_minus2: int = element(UE(3))
    log2_diff_max_min_luma_transform_block_size: int = element(UE(3))
    max_transform_hierarchy_depth_inter: int = element(UE(4))
    max_transform_hierarchy_depth_intra: int = element(UE(4))
    scaling_list_enabled_flag: int = element(U(1))
    amp_enabled_flag: int = element(U(1))
    sample_adaptive_offset_enabled_flag: int = element(U(1))
    pcm_enabled_flag: int = element(U(1))
    num_short_term_ref_pic_sets: int = element(UE())
    long_term_ref_pics_present_flag: int = element(U(1))
    sps_temporal_mvp_enabled_flag: int = element(U(1))
    strong_intra_smoothing_enabled_flag: int = element(U(1))


SPS = Structure(SeqParameterSet, "6.11")


class PicParameterSet(Record):
    """Picture parameter set (7.3.2.3)."""

    pps_pic_parameter_set_id: int = element(UE())
    pps_seq_parameter_set_id: int = element(UE())
    dependent_slice_segments_enabled_flag: int = element(U(1))
    output_flag_present_flag: int = element(U(1))
    num_extra_slice_header_bits: int = element(U(3))
    sign_data_hiding_enabled_flag: int = element(U(1))
    cabac_init_present_flag: int = element(U(1))
    num_ref_idx_l0_default_active_minus1: int = element(_REFERENCES_MINUS1)
    num_ref_idx_l1_default_active_minus1: int = element(_REFERENCES_MINUS1)
    init_qp_minus26: int = element(SE(-50, 25))
    constrained_intra_pred_flag: int = element(U(1))
    transform_skip_enabled_flag: int = element(U(1))
    cu_qp_delta_enabled_flag: int = element(U(1))
    diff_cu_qp_delta_depth: int | None = element(If(this.cu_qp_delta_enabled_flag == 1, UE()))
    pps_cb_qp_offset: int = element(_CHROMA_QP_OFFSET)
    pps_cr_qp_offset: int = element(_CHROMA_QP_OFFSET)
    pps_slice_chroma_qp_offsets_present_flag: int = element(U(1))
    weighted_pred_flag: int = element(U(1))
    weighted_bipred_flag: int = element(U(1))
    transquant_bypass_enabled_flag: int = element(U(1))
    tiles_enabled_flag: int = element(U(1))
    entropy_coding_sync_enabled_flag: int = element(U(1))
    pps_loop_filter_across_slices_enabled_flag: int = element(U(1))
    deblocking_filter_control_present_flag: int = element(U(1))
    deblocking_filter_override_enabled_flag: int | None = element(
        If(this.deblocking_filter_control_present_flag == 1, U(1))
    )
    pps_deblocking_filter_disabled_flag: int | None = element(
        If(this.deblocking_filter_control_present_flag == 1, U(1))
    )
    pps_beta_offset_div2: int | None = element(
        If(this.pps_deblocking_filter_disabled_flag == 0, _DEBLOCKING_OFFSET)
    )
    pps_tc_offset_div2: int | None = element(
        If(this.pps_deblocking_filter_disabled_flag == 0, _DEBLOCKING_OFFSET)
    )
    pps_scaling_list_data_present_flag: int = element(U(1))
    lists_modification_present_flag: int = element(U(1))


PPS = Structure(PicParameterSet, "6.11")


class ReferencePicture(Record):
    """One reference picture of a short-term set (7.3.7)."""

    delta_poc_minus1: int = element(UE(2**15 - 1))
    used_by_curr_pic_flag: int = element(U(1))


REFERENCE_PICTURE = Structure(ReferencePicture, "6.11")


class StRefPicSet(Record):
    """Short-term reference picture set (7.3.7)."""

    num_negative_pics: int = element(UE(15))
    num_positive_pics: int = element(UE(0))
    references: list[ReferencePicture] = element(Repeat(this.num_negative_pics, REFERENCE_PICTURE))


ST_REF_PIC_SET = Structure(StRefPicSet, "6.11")

_IS_IDR = (this._params.nal_unit_type == NAL.IDR_W_RADL) | (
    this._params.nal_unit_type == NAL.IDR_N_LP
)


class SliceSegmentHeader(Record):
    """Slice segment header up to its QP (7.3.6)."""

    is_idr: int = element(IfThenElse(_IS_IDR, Computed(1), Computed(0)))
    first_slice_segment_in_pic_flag: int = element(U(1))
    no_output_of_prior_pics_flag: int | None = element(If(this.is_idr == 1, U(1)))
    slice_pic_parameter_set_id: int = element(UE())
    slice_type: int = element(UE())
    slice_pic_order_cnt_lsb: Integers | None = element(
        If(this.is_idr == 0, Array(1, this._params.sps.log2_max_pic_order_cnt_lsb_minus4 + 4))
    )
    short_term_ref_pic_set_sps_flag: int | None = element(If(this.is_idr == 0, U(1)))
    st_ref_pic_set: StRefPicSet | None = element(
        If(this.short_term_ref_pic_set_sps_flag == 0, ST_REF_PIC_SET)
    )
    slice_temporal_mvp_enabled_flag: int | None = element(
        If((this.is_idr == 0) & (this._params.sps.sps_temporal_mvp_enabled_flag == 1), U(1))
    )
    slice_sao_luma_flag: int | None = element(
        If(this._params.sps.sample_adaptive_offset_enabled_flag == 1, U(1))
    )
    num_ref_idx_active_override_flag: int | None = element(If(this.slice_type != 2, U(1)))
    num_ref_idx_l0_active_minus1: int = element(
        IfThenElse(
            this.num_ref_idx_active_override_flag == 1,
            _REFERENCES_MINUS1,
            Computed(this._params.pps.num_ref_idx_l0_default_active_minus1),
        )
    )
    cabac_init_flag: int | None = element(
        If((this.slice_type != 2) & (this._params.pps.cabac_init_present_flag == 1), U(1))
    )
    collocated_ref_idx: int | None = element(
        If(
            (this.slice_type != 2)
            & (this.slice_temporal_mvp_enabled_flag == 1)
            & (this.num_ref_idx_l0_active_minus1 > 0),
            _REFERENCES_MINUS1,
        )
    )
    five_minus_max_num_merge_cand: int | None = element(If(this.slice_type != 2, UE(4)))
    slice_qp_delta: int = element(SE(-75, 75))


SLICE_HEADER = Structure(SliceSegmentHeader, "6.11")

_STRUCTURES: dict[int, Structure[Any]] = {NAL.VPS: VPS, NAL.SPS: SPS, NAL.PPS: PPS}


def nal_type(nal: bytes) -> int:
    """nal_unit_type of a NAL unit (without its start code)."""
    return (nal[0] >> 1) & 0x3F


def is_plain(nal: bytes) -> bool:
    """True for a NAL unit of layer 0 and sub-layer 0, whose header is fixed but for the type."""
    return nal[0] & 0x81 == 0 and nal[1] == 1


def split_nals(stream: bytes, offset: int | None = None) -> list[tuple[int, bytes]]:
    """Split an Annex B byte stream into NAL units; see `annexb.split_units`."""
    return split_units(stream, HEVC, offset)


def parse_nal(nal: bytes, offset: int = 0, trace: Trace | None = None, **parameters: Any) -> Any:
    """Parse the constrained head of a parameter set, or of a slice (given ``sps`` and ``pps``).

    offset : position of the NAL unit's first byte in the stream, in bits.

    Returns the record of its nal_unit_type. Raises TruncatedError or SyntaxViolation.
    """
    kind = nal_type(nal)
    structure = _STRUCTURES.get(kind, SLICE_HEADER)
    return parse_unit(
        nal, structure, NAL_UNIT_HEADER, offset, trace, nal_unit_type=kind, **parameters
    )


def parse_slice(
    nal: bytes, offset: int, sps: SeqParameterSet, pps: PicParameterSet
) -> SliceSegmentHeader:
    """The slice segment header of a NAL unit at bit ``offset``. Raises as `parse_nal` does."""
    parsed: SliceSegmentHeader = parse_nal(nal, offset, sps=sps, pps=pps)
    return parsed


def parse_parameter_sets(
    stream: bytes, offset: int | None = None
) -> tuple[VideoParameterSet, SeqParameterSet, PicParameterSet]:
    """Parse a byte stream that consists of one VPS, one SPS and one PPS (9.3.1).

    offset : position of the byte stream in the DFC stream, in bits, for messages.

    Raises ConstraintError for other NAL units, TruncatedError or SyntaxViolation within them.
    """
    nals = split_nals(stream, offset)
    kinds = [nal_type(nal) for _, nal in nals]
    if kinds != [NAL.VPS, NAL.SPS, NAL.PPS] or not all(is_plain(nal) for _, nal in nals):
        raise ConstraintError(
            f"parameter_sets holds NAL unit types {kinds}; VPS, SPS and PPS (32, 33, 34) are expected, "
            "once each, of layer 0",
            bit_offset=offset,
            requirement="9.3.1-1",
        )
    vps, sps, pps = (parse_nal(nal, (offset or 0) + 8 * at) for at, nal in nals)
    return vps, sps, pps
