"""VVC payloads before ffmpeg sees them: the tables of clause 6.15, clause 9.10.1 and R8.3.12-2.

A line of a table is an element with its descriptor, as in ``hevc_syntax``, and the element that must not be 0
where it is present only then. The slices themselves (9.10.2) are left to the sample hash, as B.3 allows.
"""

from __future__ import annotations

from .bits import BitReader
from .constraints import constrain
from .frames import frame_size
from .hevc_syntax import Elements, read_table
from .nal import split
from .refusal import require
from .syntax import FeatureParameterSet

ANY = 4294967294
SPS_TABLE = f"""
sps_seq_parameter_set_id u 4
sps_video_parameter_set_id u 4
sps_max_sublayers_minus1 u 3
sps_chroma_format_idc u 2
sps_log2_ctu_size_minus5 u 2
sps_ptl_dpb_hrd_params_present_flag u 1
general_profile_idc u 7
general_tier_flag u 1
general_level_idc u 8
ptl_frame_only_constraint_flag u 1
ptl_multilayer_enabled_flag u 1
gci_present_flag u 1
gci_alignment_zero_bits u 5
ptl_num_sub_profiles u 8
sps_gdr_enabled_flag u 1
sps_ref_pic_resampling_enabled_flag u 1
sps_pic_width_max_in_luma_samples ue {ANY}
sps_pic_height_max_in_luma_samples ue {ANY}
sps_conformance_window_flag u 1
sps_conf_win_left_offset ue {ANY} if sps_conformance_window_flag
sps_conf_win_right_offset ue {ANY} if sps_conformance_window_flag
sps_conf_win_top_offset ue {ANY} if sps_conformance_window_flag
sps_conf_win_bottom_offset ue {ANY} if sps_conformance_window_flag
sps_subpic_info_present_flag u 1
sps_bitdepth_minus8 ue 8
sps_entropy_coding_sync_enabled_flag u 1
sps_entry_point_offsets_present_flag u 1
sps_log2_max_pic_order_cnt_lsb_minus4 u 4
sps_poc_msb_cycle_flag u 1
sps_num_extra_ph_bytes u 2
sps_num_extra_sh_bytes u 2
dpb_max_dec_pic_buffering_minus1 ue 15
dpb_max_num_reorder_pics ue {ANY}
dpb_max_latency_increase_plus1 ue {ANY}
sps_log2_min_luma_coding_block_size_minus2 ue 4
sps_partition_constraints_override_enabled_flag u 1
sps_log2_diff_min_qt_min_cb_intra_slice_luma ue 5
sps_max_mtt_hierarchy_depth_intra_slice_luma ue 10
sps_log2_diff_max_bt_min_qt_intra_slice_luma ue 5 if sps_max_mtt_hierarchy_depth_intra_slice_luma
sps_log2_diff_max_tt_min_qt_intra_slice_luma ue 5 if sps_max_mtt_hierarchy_depth_intra_slice_luma
sps_log2_diff_min_qt_min_cb_inter_slice ue 5
sps_max_mtt_hierarchy_depth_inter_slice ue 10
sps_log2_diff_max_bt_min_qt_inter_slice ue 5 if sps_max_mtt_hierarchy_depth_inter_slice
sps_log2_diff_max_tt_min_qt_inter_slice ue 5 if sps_max_mtt_hierarchy_depth_inter_slice
sps_max_luma_transform_size_64_flag u 1 if sps_log2_ctu_size_minus5
sps_transform_skip_enabled_flag u 1
sps_log2_transform_skip_max_size_minus2 ue 3 if sps_transform_skip_enabled_flag
sps_bdpcm_enabled_flag u 1 if sps_transform_skip_enabled_flag
sps_mts_enabled_flag u 1
sps_explicit_mts_intra_enabled_flag u 1 if sps_mts_enabled_flag
sps_explicit_mts_inter_enabled_flag u 1 if sps_mts_enabled_flag
sps_lfnst_enabled_flag u 1
sps_sao_enabled_flag u 1
sps_alf_enabled_flag u 1
sps_lmcs_enabled_flag u 1
sps_weighted_pred_flag u 1
sps_weighted_bipred_flag u 1
sps_long_term_ref_pics_flag u 1
sps_idr_rpl_present_flag u 1
sps_rpl1_same_as_rpl0_flag u 1
"""
SPS_TOOLS = """
sps_ref_wraparound_enabled_flag u 1
sps_temporal_mvp_enabled_flag u 1
sps_sbtmvp_enabled_flag u 1 if sps_temporal_mvp_enabled_flag
sps_amvr_enabled_flag u 1
sps_bdof_enabled_flag u 1
sps_bdof_control_present_in_ph_flag u 1 if sps_bdof_enabled_flag
sps_smvd_enabled_flag u 1
sps_dmvr_enabled_flag u 1
sps_dmvr_control_present_in_ph_flag u 1 if sps_dmvr_enabled_flag
sps_mmvd_enabled_flag u 1
sps_mmvd_fullpel_only_enabled_flag u 1 if sps_mmvd_enabled_flag
sps_six_minus_max_num_merge_cand ue 5
sps_sbt_enabled_flag u 1
sps_affine_enabled_flag u 1
sps_five_minus_max_num_subblock_merge_cand ue 5 if sps_affine_enabled_flag
sps_6param_affine_enabled_flag u 1 if sps_affine_enabled_flag
"""
SPS_MERGING = """
sps_affine_prof_enabled_flag u 1 if sps_affine_enabled_flag
sps_prof_control_present_in_ph_flag u 1 if sps_affine_prof_enabled_flag
sps_bcw_enabled_flag u 1
sps_ciip_enabled_flag u 1
"""
SPS_INTRA = """
sps_log2_parallel_merge_level_minus2 ue 5
sps_isp_enabled_flag u 1
sps_mrl_enabled_flag u 1
sps_mip_enabled_flag u 1
sps_palette_enabled_flag u 1
"""
SPS_END = """
sps_ibc_enabled_flag u 1
sps_six_minus_max_num_ibc_merge_cand ue 5 if sps_ibc_enabled_flag
sps_ladf_enabled_flag u 1
sps_explicit_scaling_list_enabled_flag u 1
sps_dep_quant_enabled_flag u 1
sps_sign_data_hiding_enabled_flag u 1
sps_virtual_boundaries_enabled_flag u 1
"""
PPS_TABLE = f"""
pps_pic_parameter_set_id u 6
pps_seq_parameter_set_id u 4
pps_mixed_nalu_types_in_pic_flag u 1
pps_pic_width_in_luma_samples ue {ANY}
pps_pic_height_in_luma_samples ue {ANY}
pps_conformance_window_flag u 1
pps_scaling_window_explicit_signalling_flag u 1
pps_output_flag_present_flag u 1
pps_no_pic_partition_flag u 1
pps_subpic_id_mapping_present_flag u 1
pps_cabac_init_present_flag u 1
pps_num_ref_idx_default_active_minus1_0 ue 14
pps_num_ref_idx_default_active_minus1_1 ue 14
pps_rpl1_idx_present_flag u 1
pps_weighted_pred_flag u 1
pps_weighted_bipred_flag u 1
pps_ref_wraparound_enabled_flag u 1
pps_init_qp_minus26 se -38 37
pps_cu_qp_delta_enabled_flag u 1
pps_chroma_tool_offsets_present_flag u 1
pps_deblocking_filter_control_present_flag u 1
pps_deblocking_filter_override_enabled_flag u 1 if pps_deblocking_filter_control_present_flag
pps_deblocking_filter_disabled_flag u 1 if pps_deblocking_filter_control_present_flag
"""
PPS_FILTER = "pps_luma_beta_offset_div2 se -12 12\npps_luma_tc_offset_div2 se -12 12"
PPS_END = """
pps_picture_header_extension_present_flag u 1
pps_slice_header_extension_present_flag u 1
"""
ZERO = """
sps_seq_parameter_set_id sps_video_parameter_set_id sps_max_sublayers_minus1
ptl_multilayer_enabled_flag gci_present_flag gci_alignment_zero_bits ptl_num_sub_profiles
sps_ref_pic_resampling_enabled_flag sps_subpic_info_present_flag
sps_entropy_coding_sync_enabled_flag sps_poc_msb_cycle_flag sps_num_extra_ph_bytes
sps_num_extra_sh_bytes dpb_max_num_reorder_pics sps_long_term_ref_pics_flag
sps_idr_rpl_present_flag sps_ladf_enabled_flag sps_explicit_scaling_list_enabled_flag
sps_virtual_boundaries_enabled_flag pps_pic_parameter_set_id pps_seq_parameter_set_id
pps_mixed_nalu_types_in_pic_flag pps_conformance_window_flag
pps_scaling_window_explicit_signalling_flag pps_output_flag_present_flag
pps_subpic_id_mapping_present_flag pps_ref_wraparound_enabled_flag pps_cu_qp_delta_enabled_flag
pps_chroma_tool_offsets_present_flag pps_picture_header_extension_present_flag
pps_slice_header_extension_present_flag
"""
SPS, PPS, APS = 15, 16, 17
IDR = (7, 8)
MAIN_10 = 1
MOST_CROPPED = 16


def units_of(stream: bytes) -> list[tuple[int, bytes]]:
    """Type and bytes of the NAL units of a byte stream (R8.3.12-1, R8.3.12-4)."""
    units = split(stream)
    for unit in units:
        bad = b"\0\0\0" in unit or b"\0\0\2" in unit
        require(not bad, "syntax", "R8.3.12-4", "a NAL unit holds 00 00 00 or 00 00 02")
    return [(unit[1] >> 3, unit) for unit in units]


def read_lines(read: BitReader, found: Elements, table: str) -> None:
    """Read the elements of a table that are present."""
    for line in filter(None, table.splitlines()):
        own, _, condition = line.partition(" if ")
        if not condition or found.get(condition):
            read_table(read, found, own)


def read_lists(read: BitReader) -> None:
    """Read num_ref_pic_lists, and as many lists without entries."""
    for _ in range(read.ue(64)):
        read.ue(0)


def parse_sps(data: bytes) -> Elements:
    """The beginning of seq_parameter_set()."""
    read, found = BitReader(data), Elements()
    read_lines(read, found, SPS_TABLE)
    read_lists(read)
    if not found["sps_rpl1_same_as_rpl0_flag"]:
        read_lists(read)
    read_lines(read, found, SPS_TOOLS)
    if found["sps_affine_enabled_flag"] and found["sps_amvr_enabled_flag"]:
        read_table(read, found, "sps_affine_amvr_enabled_flag u 1")
    read_lines(read, found, SPS_MERGING)
    candidates = 6 - found["sps_six_minus_max_num_merge_cand"]
    if candidates >= 2:
        read_table(read, found, "sps_gpm_enabled_flag u 1")
    if found.get("sps_gpm_enabled_flag") and candidates >= 3:
        read_table(read, found, "sps_max_num_merge_cand_minus_max_num_gpm_cand ue 4")
    read_lines(read, found, SPS_INTRA)
    if found["sps_transform_skip_enabled_flag"] or found["sps_palette_enabled_flag"]:
        read_table(read, found, "sps_min_qp_prime_ts ue 8")
    read_lines(read, found, SPS_END)
    return found


def parse_pps(data: bytes) -> Elements:
    """The beginning of pic_parameter_set()."""
    read, found = BitReader(data), Elements()
    read_lines(read, found, PPS_TABLE)
    if found.get("pps_deblocking_filter_disabled_flag") == 0:
        read_table(read, found, PPS_FILTER)
    read_lines(read, found, PPS_END)
    return found


def check_vvc_sets(fps: FeatureParameterSet) -> None:
    """Check the parameter sets of VVC payloads (9.10.1)."""
    units = units_of(fps.parameter_sets)
    kinds = [kind for kind, _ in units]
    plain = all(unit[0] == 0 and unit[1] & 7 == 1 for _, unit in units)
    constrain(kinds == [SPS, PPS] and plain, "R9.10.1-1", f"NAL units of types {kinds}")
    sps, pps = (unit.replace(b"\0\0\3", b"\0\0")[2:] for _, unit in units)
    found = parse_sps(sps) | parse_pps(pps)
    profile = found["general_profile_idc"]
    constrain(profile == MAIN_10, "R9.10.1-2", f"general_profile_idc is {profile}")
    columns = found.get("sps_conf_win_left_offset", 0) + found.get("sps_conf_win_right_offset", 0)
    rows = found.get("sps_conf_win_top_offset", 0) + found.get("sps_conf_win_bottom_offset", 0)
    width = found["sps_pic_width_max_in_luma_samples"]
    height = found["sps_pic_height_max_in_luma_samples"]
    own = found["pps_pic_width_in_luma_samples"], found["pps_pic_height_in_luma_samples"]
    for holds, what in (
        (found["sps_chroma_format_idc"] == 0, "sps_chroma_format_idc"),
        (found["sps_ptl_dpb_hrd_params_present_flag"] == 1, "no profile"),
        (found["sps_bitdepth_minus8"] == (0 if fps.bits <= 8 else 2), "sps_bitdepth_minus8"),
        ((width - columns, height - rows) == frame_size(fps), f"pictures of {width} x {height}"),
        (own == (width, height), "the picture size of the PPS"),
        (found["pps_no_pic_partition_flag"] == 1, "pps_no_pic_partition_flag"),
    ):
        constrain(holds, "R9.10.1-3", what)
    for name in ZERO.split():
        constrain(found[name] == 0, "R9.10.1-4", f"{name} is {found[name]}")
    constrain(max(rows, columns) < MOST_CROPPED, "R9.10.1-5", "the conformance window is too small")


def check_units(payload: bytes, frames: int) -> None:
    """Check the NAL units of a payload (R8.3.12-2)."""
    kinds = [kind for kind, _ in units_of(payload)]
    right = sum(kind in IDR for kind in kinds) == frames and kinds[-1] in IDR
    right = right and all(kind in (*IDR, APS) for kind in kinds)
    require(right, "payload", "R8.3.12-2", f"NAL units of types {kinds} for {frames} frames")
