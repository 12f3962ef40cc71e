"""Headers inside a VVC payload, as far as clause 9.10 constrains them (Rec. ITU-T H.266, 7.3).

Declared with the same descriptors as DFC's own syntax, under the names of that Recommendation. If 9.10 fixes
the value of an element, the declarations assume that value, and set no bound of their own: the checks report
any other. Slices are those of IDR pictures, whose picture header is part of the slice header.
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
    "APS",
    "NAL",
    "NAL_UNIT_HEADER",
    "PPS",
    "SLICE_HEADER",
    "SPS",
    "VVC",
    "AdaptationParameterSet",
    "PicParameterSet",
    "SeqParameterSet",
    "SliceHeader",
    "is_plain",
    "nal_type",
    "parse_nal",
    "parse_parameter_sets",
    "split_nals",
]

VVC = Standard("VVC", "a", "8.3.12")


class NAL:
    """nal_unit_type values that may occur (Table 5 of Rec. ITU-T H.266)."""

    IDR_W_RADL = 7
    IDR_N_LP = 8
    SPS = 15
    PPS = 16
    PREFIX_APS = 17


class NalUnitHeader(Record):
    """Header of a NAL unit (7.3.1.2)."""

    forbidden_zero_bit: int = element(U(1))
    nuh_reserved_zero_bit: int = element(U(1))
    nuh_layer_id: int = element(U(6))
    nal_unit_type: int = element(U(5))
    nuh_temporal_id_plus1: int = element(U(3))


NAL_UNIT_HEADER = Structure(NalUnitHeader, "6.15")


class ProfileTierLevel(Record):
    """Profile, tier and level (7.3.3.1)."""

    general_profile_idc: int = element(U(7))
    general_tier_flag: int = element(U(1))
    general_level_idc: int = element(U(8))
    ptl_frame_only_constraint_flag: int = element(U(1))
    ptl_multilayer_enabled_flag: int = element(U(1))
    gci_present_flag: int = element(U(1))
    gci_alignment_zero_bits: int = element(U(5))
    ptl_num_sub_profiles: int = element(U(8))


PROFILE_TIER_LEVEL = Structure(ProfileTierLevel, "6.15")


class RefPicListStruct(Record):
    """List of reference pictures, which has none (7.3.10)."""

    num_ref_entries: int = element(UE(0))


REF_PIC_LIST_STRUCT = Structure(RefPicListStruct, "6.15")


class SeqParameterSet(Record):
    """Sequence parameter set, as far as 9.10 constrains it (7.3.2.4)."""

    sps_seq_parameter_set_id: int = element(U(4))
    sps_video_parameter_set_id: int = element(U(4))
    sps_max_sublayers_minus1: int = element(U(3))
    sps_chroma_format_idc: int = element(U(2))
    sps_log2_ctu_size_minus5: int = element(U(2))
    sps_ptl_dpb_hrd_params_present_flag: int = element(U(1))
    profile_tier_level: ProfileTierLevel = element(PROFILE_TIER_LEVEL)
    sps_gdr_enabled_flag: int = element(U(1))
    sps_ref_pic_resampling_enabled_flag: int = element(U(1))
    sps_pic_width_max_in_luma_samples: int = element(UE())
    sps_pic_height_max_in_luma_samples: int = element(UE())
    sps_conformance_window_flag: int = element(U(1))
    sps_conf_win_left_offset: int | None = element(If(this.sps_conformance_window_flag == 1, UE()))
    sps_conf_win_right_offset: int | None = element(If(this.sps_conformance_window_flag == 1, UE()))
    sps_conf_win_top_offset: int | None = element(If(this.sps_conformance_window_flag == 1, UE()))
    sps_conf_win_bottom_offset: int | None = element(
        If(this.sps_conformance_window_flag == 1, UE())
    )
    sps_subpic_info_present_flag: int = element(U(1))
    sps_bitdepth_minus8: int = element(UE(8))
    sps_entropy_coding_sync_enabled_flag: int = element(U(1))
    sps_entry_point_offsets_present_flag: int = element(U(1))
    sps_log2_max_pic_order_cnt_lsb_minus4: int = element(U(4))
    sps_poc_msb_cycle_flag: int = element(U(1))
    sps_num_extra_ph_bytes: int = element(U(2))
    sps_num_extra_sh_bytes: int = element(U(2))
    dpb_max_dec_pic_buffering_minus1: int = element(UE(15))
    dpb_max_num_reorder_pics: int = element(UE())
    dpb_max_latency_increase_plus1: int = element(UE())
    sps_log2_min_luma_coding_block_size_minus2: int = element(UE(4))
    sps_partition_constraints_override_enabled_flag: int = element(U(1))
    sps_log2_diff_min_qt_min_cb_intra_slice_luma: int = element(UE(5))
    sps_max_mtt_hierarchy_depth_intra_slice_luma: int = element(UE(10))
    sps_log2_diff_max_bt_min_qt_intra_slice_luma: int | None = element(
        If(this.sps_max_mtt_hierarchy_depth_intra_slice_luma != 0, UE(5))
    )
    sps_log2_diff_max_tt_min_qt_intra_slice_luma: int | None = element(
        If(this.sps_max_mtt_hierarchy_depth_intra_slice_luma != 0, UE(5))
    )
    sps_log2_diff_min_qt_min_cb_inter_slice: int = element(UE(5))
    sps_max_mtt_hierarchy_depth_inter_slice: int = element(UE(10))
    sps_log2_diff_max_bt_min_qt_inter_slice: int | None = element(
        If(this.sps_max_mtt_hierarchy_depth_inter_slice != 0, UE(5))
    )
    sps_log2_diff_max_tt_min_qt_inter_slice: int | None = element(
        If(this.sps_max_mtt_hierarchy_depth_inter_slice != 0, UE(5))
    )
    sps_max_luma_transform_size_64_flag: int | None = element(
        If(this.sps_log2_ctu_size_minus5 > 0, U(1))
    )
    sps_transform_skip_enabled_flag: int = element(U(1))
    sps_log2_transform_skip_max_size_minus2: int | None = element(
        If(this.sps_transform_skip_enabled_flag == 1, UE(3))
    )
    sps_bdpcm_enabled_flag: int | None = element(
        If(this.sps_transform_skip_enabled_flag == 1, U(1))
    )
    sps_mts_enabled_flag: int = element(U(1))
    sps_explicit_mts_intra_enabled_flag: int | None = element(
        If(this.sps_mts_enabled_flag == 1, U(1))
    )
    sps_explicit_mts_inter_enabled_flag: int | None = element(
        If(this.sps_mts_enabled_flag == 1, U(1))
    )
    sps_lfnst_enabled_flag: int = element(U(1))
    sps_sao_enabled_flag: int = element(U(1))
    sps_alf_enabled_flag: int = element(U(1))
    sps_lmcs_enabled_flag: int = element(U(1))
    sps_weighted_pred_flag: int = element(U(1))
    sps_weighted_bipred_flag: int = element(U(1))
    sps_long_term_ref_pics_flag: int = element(U(1))
    sps_idr_rpl_present_flag: int = element(U(1))
    sps_rpl1_same_as_rpl0_flag: int = element(U(1))
    sps_num_ref_pic_lists_0: int = element(UE(64))
    ref_pic_lists_0: list[RefPicListStruct] = element(
        Repeat(this.sps_num_ref_pic_lists_0, REF_PIC_LIST_STRUCT)
    )
    sps_num_ref_pic_lists_1: int = element(
        IfThenElse(this.sps_rpl1_same_as_rpl0_flag == 0, UE(64), Computed(0))
    )
    ref_pic_lists_1: list[RefPicListStruct] = element(
        Repeat(this.sps_num_ref_pic_lists_1, REF_PIC_LIST_STRUCT)
    )
    sps_ref_wraparound_enabled_flag: int = element(U(1))
    sps_temporal_mvp_enabled_flag: int = element(U(1))
    sps_sbtmvp_enabled_flag: int | None = element(If(this.sps_temporal_mvp_enabled_flag == 1, U(1)))
    sps_amvr_enabled_flag: int = element(U(1))
    sps_bdof_enabled_flag: int = element(U(1))
    sps_bdof_control_present_in_ph_flag: int | None = element(
        If(this.sps_bdof_enabled_flag == 1, U(1))
    )
    sps_smvd_enabled_flag: int = element(U(1))
    sps_dmvr_enabled_flag: int = element(U(1))
    sps_dmvr_control_present_in_ph_flag: int | None = element(
        If(this.sps_dmvr_enabled_flag == 1, U(1))
    )
    sps_mmvd_enabled_flag: int = element(U(1))
    sps_mmvd_fullpel_only_enabled_flag: int | None = element(
        If(this.sps_mmvd_enabled_flag == 1, U(1))
    )
    sps_six_minus_max_num_merge_cand: int = element(UE(5))
    sps_sbt_enabled_flag: int = element(U(1))
    sps_affine_enabled_flag: int = element(U(1))
    sps_five_minus_max_num_subblock_merge_cand: int | None = element(
        If(this.sps_affine_enabled_flag == 1, UE(5))
    )
    sps_6param_affine_enabled_flag: int | None = element(
        If(this.sps_affine_enabled_flag == 1, U(1))
    )
    sps_affine_amvr_enabled_flag: int | None = element(
        If((this.sps_affine_enabled_flag == 1) & (this.sps_amvr_enabled_flag == 1), U(1))
    )
    sps_affine_prof_enabled_flag: int | None = element(If(this.sps_affine_enabled_flag == 1, U(1)))
    sps_prof_control_present_in_ph_flag: int | None = element(
        If(this.sps_affine_prof_enabled_flag == 1, U(1))
    )
    sps_bcw_enabled_flag: int = element(U(1))
    sps_ciip_enabled_flag: int = element(U(1))
    sps_gpm_enabled_flag: int | None = element(If(this.sps_six_minus_max_num_merge_cand < 5, U(1)))
    sps_max_num_merge_cand_minus_max_num_gpm_cand: int | None = element(
        If((this.sps_gpm_enabled_flag == 1) & (this.sps_six_minus_max_num_merge_cand < 4), UE(4))
    )
    sps_log2_parallel_merge_level_minus2: int = element(UE(5))
    sps_isp_enabled_flag: int = element(U(1))
    sps_mrl_enabled_flag: int = element(U(1))
    sps_mip_enabled_flag: int = element(U(1))
    sps_palette_enabled_flag: int = element(U(1))
    sps_min_qp_prime_ts: int | None = element(
        If(
            (this.sps_transform_skip_enabled_flag == 1) | (this.sps_palette_enabled_flag == 1),
            UE(8),
        )
    )
    sps_ibc_enabled_flag: int = element(U(1))
    sps_six_minus_max_num_ibc_merge_cand: int | None = element(
        If(this.sps_ibc_enabled_flag == 1, UE(5))
    )
    sps_ladf_enabled_flag: int = element(U(1))
    sps_explicit_scaling_list_enabled_flag: int = element(U(1))
    sps_dep_quant_enabled_flag: int = element(U(1))
    sps_sign_data_hiding_enabled_flag: int = element(U(1))
    sps_virtual_boundaries_enabled_flag: int = element(U(1))


SPS = Structure(SeqParameterSet, "6.15")


class PicParameterSet(Record):
    """Picture parameter set, as far as 9.10 constrains it (7.3.2.5)."""

    pps_pic_parameter_set_id: int = element(U(6))
    pps_seq_parameter_set_id: int = element(U(4))
    pps_mixed_nalu_types_in_pic_flag: int = element(U(1))
    pps_pic_width_in_luma_samples: int = element(UE())
    pps_pic_height_in_luma_samples: int = element(UE())
    pps_conformance_window_flag: int = element(U(1))
    pps_scaling_window_explicit_signalling_flag: int = element(U(1))
    pps_output_flag_present_flag: int = element(U(1))
    pps_no_pic_partition_flag: int = element(U(1))
    pps_subpic_id_mapping_present_flag: int = element(U(1))
    pps_cabac_init_present_flag: int = element(U(1))
    pps_num_ref_idx_default_active_minus1_0: int = element(UE(14))
    pps_num_ref_idx_default_active_minus1_1: int = element(UE(14))
    pps_rpl1_idx_present_flag: int = element(U(1))
    pps_weighted_pred_flag: int = element(U(1))
    pps_weighted_bipred_flag: int = element(U(1))
    pps_ref_wraparound_enabled_flag: int = element(U(1))
    pps_init_qp_minus26: int = element(SE(-38, 37))
    pps_cu_qp_delta_enabled_flag: int = element(U(1))
    pps_chroma_tool_offsets_present_flag: int = element(U(1))
    pps_deblocking_filter_control_present_flag: int = element(U(1))
    pps_deblocking_filter_override_enabled_flag: int | None = element(
        If(this.pps_deblocking_filter_control_present_flag == 1, U(1))
    )
    pps_deblocking_filter_disabled_flag: int | None = element(
        If(this.pps_deblocking_filter_control_present_flag == 1, U(1))
    )
    pps_luma_beta_offset_div2: int | None = element(
        If(this.pps_deblocking_filter_disabled_flag == 0, SE(-12, 12))
    )
    pps_luma_tc_offset_div2: int | None = element(
        If(this.pps_deblocking_filter_disabled_flag == 0, SE(-12, 12))
    )
    pps_picture_header_extension_present_flag: int = element(U(1))
    pps_slice_header_extension_present_flag: int = element(U(1))


PPS = Structure(PicParameterSet, "6.15")


class AdaptationParameterSet(Record):
    """Adaptation parameter set: which filter it has, and its number (7.3.2.6)."""

    aps_params_type: int = element(U(3))
    aps_adaptation_parameter_set_id: int = element(U(5))
    aps_chroma_present_flag: int = element(U(1))


APS = Structure(AdaptationParameterSet, "6.15")


class SliceHeader(Record):
    """Slice header of an IDR picture, with its picture header, up to its QP (7.3.7, 7.3.2.8)."""

    sh_picture_header_in_slice_header_flag: int = element(U(1))
    ph_gdr_or_irap_pic_flag: int = element(U(1))
    ph_non_ref_pic_flag: int = element(U(1))
    ph_gdr_pic_flag: int | None = element(If(this.ph_gdr_or_irap_pic_flag == 1, U(1)))
    ph_inter_slice_allowed_flag: int = element(U(1))
    ph_pic_parameter_set_id: int = element(UE(63))
    ph_pic_order_cnt_lsb: Integers = element(
        Array(1, this._params.sps.sps_log2_max_pic_order_cnt_lsb_minus4 + 4)
    )
    ph_lmcs_enabled_flag: int | None = element(
        If(this._params.sps.sps_lmcs_enabled_flag == 1, U(1))
    )
    ph_lmcs_aps_id: int | None = element(If(this.ph_lmcs_enabled_flag == 1, U(2)))
    ph_partition_constraints_override_flag: int | None = element(
        If(this._params.sps.sps_partition_constraints_override_enabled_flag == 1, U(1))
    )
    ph_log2_diff_min_qt_min_cb_intra_slice_luma: int | None = element(
        If(this.ph_partition_constraints_override_flag == 1, UE(5))
    )
    ph_max_mtt_hierarchy_depth_intra_slice_luma: int = element(
        IfThenElse(this.ph_partition_constraints_override_flag == 1, UE(10), Computed(0))
    )
    ph_log2_diff_max_bt_min_qt_intra_slice_luma: int | None = element(
        If(this.ph_max_mtt_hierarchy_depth_intra_slice_luma != 0, UE(5))
    )
    ph_log2_diff_max_tt_min_qt_intra_slice_luma: int | None = element(
        If(this.ph_max_mtt_hierarchy_depth_intra_slice_luma != 0, UE(5))
    )
    sh_no_output_of_prior_pics_flag: int = element(U(1))
    sh_alf_enabled_flag: int | None = element(If(this._params.sps.sps_alf_enabled_flag == 1, U(1)))
    sh_num_alf_aps_ids_luma: int = element(
        IfThenElse(this.sh_alf_enabled_flag == 1, U(3), Computed(0))
    )
    sh_alf_aps_id_luma: Integers = element(Array(this.sh_num_alf_aps_ids_luma, 3))
    sh_qp_delta: int = element(SE(-101, 101))


SLICE_HEADER = Structure(SliceHeader, "6.15")

_STRUCTURES: dict[int, Structure[Any]] = {NAL.SPS: SPS, NAL.PPS: PPS, NAL.PREFIX_APS: APS}


def nal_type(nal: bytes) -> int:
    """nal_unit_type of a NAL unit (without its start code)."""
    return nal[1] >> 3


def is_plain(nal: bytes) -> bool:
    """True for a NAL unit of layer 0 and sub-layer 0, whose header is fixed but for the type."""
    return nal[0] == 0 and nal[1] & 7 == 1


def split_nals(stream: bytes, offset: int | None = None) -> list[tuple[int, bytes]]:
    """Split an Annex B byte stream into NAL units; see `annexb.split_units`."""
    return split_units(stream, VVC, offset)


def parse_nal(nal: bytes, offset: int = 0, trace: Trace | None = None, **parameters: Any) -> Any:
    """Parse the constrained head of a parameter set, or of a slice (given ``sps``).

    offset : position of the NAL unit's first byte in the stream, in bits.

    Returns the record of its nal_unit_type. Raises TruncatedError or SyntaxViolation.
    """
    structure = _STRUCTURES.get(nal_type(nal), SLICE_HEADER)
    return parse_unit(nal, structure, NAL_UNIT_HEADER, offset, trace, **parameters)


def parse_parameter_sets(
    stream: bytes, offset: int | None = None
) -> tuple[SeqParameterSet, PicParameterSet]:
    """Parse a byte stream that consists of one SPS and one PPS (9.10.1).

    offset : position of the byte stream in the DFC stream, in bits, for messages.

    Raises ConstraintError for other NAL units, TruncatedError or SyntaxViolation within them.
    """
    nals = split_nals(stream, offset)
    kinds = [nal_type(nal) for _, nal in nals]
    if kinds != [NAL.SPS, NAL.PPS] or not all(is_plain(nal) for _, nal in nals):
        raise ConstraintError(
            f"parameter_sets holds NAL unit types {kinds}; SPS and PPS (15, 16) are expected, once each, "
            "of layer 0",
            bit_offset=offset,
            requirement="9.10.1-1",
        )
    sps, pps = (parse_nal(nal, (offset or 0) + 8 * at) for at, nal in nals)
    return sps, pps
