"""Headers of HEVC payloads: the tables of clause 6.11.

They are lists of lines here. A line is an element with its descriptor: ``u`` and a number of bits, ``ue``
and the greatest value, ``se`` and both bounds.
"""

from __future__ import annotations

from .bits import BitReader
from .nal import IDR, NalUnit

Elements = dict[str, int]

PROFILE_TIER_LEVEL = """
general_profile_space u 2
general_tier_flag u 1
general_profile_idc u 5
general_profile_compatibility_flags u 32
general_constraint_flags u 48
general_level_idc u 8
"""
VPS = f"""
vps_video_parameter_set_id u 4
vps_base_layer_flags u 2
vps_max_layers_minus1 u 6
vps_max_sub_layers_minus1 u 3
vps_temporal_id_nesting_flag u 1
vps_reserved_0xffff_16bits u 16
{PROFILE_TIER_LEVEL}"""
SPS_BEGIN = f"""
sps_video_parameter_set_id u 4
sps_max_sub_layers_minus1 u 3
sps_temporal_id_nesting_flag u 1
{PROFILE_TIER_LEVEL}
sps_seq_parameter_set_id ue 4294967294
chroma_format_idc ue 4294967294
"""
SPS_SIZE = """
pic_width_in_luma_samples ue 4294967294
pic_height_in_luma_samples ue 4294967294
conformance_window_flag u 1
"""
SPS_WINDOW = """
conf_win_left_offset ue 4294967294
conf_win_right_offset ue 4294967294
conf_win_top_offset ue 4294967294
conf_win_bottom_offset ue 4294967294
"""
SPS_REST = """
bit_depth_luma_minus8 ue 4294967294
bit_depth_chroma_minus8 ue 8
log2_max_pic_order_cnt_lsb_minus4 ue 12
sps_sub_layer_ordering_info_present_flag u 1
max_dec_pic_buffering_minus1 ue 15
max_num_reorder_pics ue 4294967294
max_latency_increase_plus1 ue 4294967294
log2_min_luma_coding_block_size_minus3 ue 3
log2_diff_max_min_luma_coding_block_size ue 3
log2_min_luma_transform_block_size_minus2 ue 3
log2_diff_max_min_luma_transform_block_size ue 3
max_transform_hierarchy_depth_inter ue 4
max_transform_hierarchy_depth_intra ue 4
scaling_list_enabled_flag u 1
amp_enabled_flag u 1
sample_adaptive_offset_enabled_flag u 1
pcm_enabled_flag u 1
num_short_term_ref_pic_sets ue 4294967294
long_term_ref_pics_present_flag u 1
sps_temporal_mvp_enabled_flag u 1
strong_intra_smoothing_enabled_flag u 1
"""
PPS_BEGIN = """
pps_pic_parameter_set_id ue 4294967294
pps_seq_parameter_set_id ue 4294967294
dependent_slice_segments_enabled_flag u 1
output_flag_present_flag u 1
num_extra_slice_header_bits u 3
sign_data_hiding_enabled_flag u 1
cabac_init_present_flag u 1
num_ref_idx_l0_default_active_minus1 ue 14
num_ref_idx_l1_default_active_minus1 ue 14
init_qp_minus26 se -50 25
constrained_intra_pred_flag u 1
transform_skip_enabled_flag u 1
cu_qp_delta_enabled_flag u 1
"""
PPS_MIDDLE = """
pps_cb_qp_offset se -12 12
pps_cr_qp_offset se -12 12
pps_slice_chroma_qp_offsets_present_flag u 1
weighted_pred_flag u 1
weighted_bipred_flag u 1
transquant_bypass_enabled_flag u 1
tiles_enabled_flag u 1
entropy_coding_sync_enabled_flag u 1
pps_loop_filter_across_slices_enabled_flag u 1
deblocking_filter_control_present_flag u 1
"""
SLICE_BEGIN = """
slice_pic_parameter_set_id ue 4294967294
slice_type ue 4294967294
"""


def read_table(read: BitReader, elements: Elements, table: str) -> None:
    """Read the elements of a table."""
    for line in filter(None, table.splitlines()):
        name, descriptor, *numbers = line.split()
        bounds = [int(number) for number in numbers]
        if descriptor == "u":
            elements[name] = read.u(bounds[0])
        elif descriptor == "ue":
            elements[name] = read.ue(bounds[0])
        else:
            elements[name] = read.se(bounds[0], bounds[1])


def parse_vps(data: bytes) -> Elements:
    """The beginning of video_parameter_set()."""
    elements: Elements = {}
    read_table(BitReader(data), elements, VPS)
    return elements


def parse_sps(data: bytes) -> Elements:
    """The beginning of seq_parameter_set(), of one sub-layer."""
    read, elements = BitReader(data), Elements()
    read_table(read, elements, SPS_BEGIN)
    if elements["chroma_format_idc"] == 3:
        read_table(read, elements, "separate_colour_plane_flag u 1")
    read_table(read, elements, SPS_SIZE)
    if elements["conformance_window_flag"]:
        read_table(read, elements, SPS_WINDOW)
    read_table(read, elements, SPS_REST)
    return elements


def parse_pps(data: bytes) -> Elements:
    """The beginning of pic_parameter_set()."""
    read, elements = BitReader(data), Elements()
    read_table(read, elements, PPS_BEGIN)
    if elements["cu_qp_delta_enabled_flag"]:
        read_table(read, elements, "diff_cu_qp_delta_depth ue 4294967294")
    read_table(read, elements, PPS_MIDDLE)
    if elements["deblocking_filter_control_present_flag"]:
        read_table(read, elements, "deblocking_filter_override_enabled_flag u 1")
        read_table(read, elements, "pps_deblocking_filter_disabled_flag u 1")
        if not elements["pps_deblocking_filter_disabled_flag"]:
            read_table(read, elements, "pps_beta_offset_div2 se -6 6\npps_tc_offset_div2 se -6 6")
    read_table(read, elements, "pps_scaling_list_data_present_flag u 1")
    read_table(read, elements, "lists_modification_present_flag u 1")
    return elements


def parse_slice(unit: NalUnit, sps: Elements, pps: Elements) -> Elements:
    """slice_segment_header(), up to slice_qp_delta."""
    read, found = BitReader(unit.payload), Elements()
    idr = unit.nal_unit_type in IDR
    read_table(read, found, "first_slice_segment_in_pic_flag u 1")
    if idr:
        read_table(read, found, "no_output_of_prior_pics_flag u 1")
    read_table(read, found, SLICE_BEGIN)
    predicted = found["slice_type"] != 2
    if not idr:
        read.u(sps["log2_max_pic_order_cnt_lsb_minus4"] + 4)
        read_table(read, found, "short_term_ref_pic_set_sps_flag u 1")
        if not found["short_term_ref_pic_set_sps_flag"]:
            skip_reference_pictures(read)
    temporal = not idr and sps["sps_temporal_mvp_enabled_flag"] == 1 and read.flag()
    if sps["sample_adaptive_offset_enabled_flag"]:
        read_table(read, found, "slice_sao_luma_flag u 1")
    references = pps["num_ref_idx_l0_default_active_minus1"]
    if predicted and read.flag():  # num_ref_idx_active_override_flag
        references = read.ue(14)
    if predicted and pps["cabac_init_present_flag"]:
        read_table(read, found, "cabac_init_flag u 1")
    if predicted and temporal and references > 0:
        read_table(read, found, "collocated_ref_idx ue 14")
    if predicted:
        read_table(read, found, "five_minus_max_num_merge_cand ue 4")
    read_table(read, found, "slice_qp_delta se -75 75")
    return found


def skip_reference_pictures(read: BitReader) -> None:
    """Pass over st_ref_pic_set()."""
    count = read.ue(15)
    read.ue(0)  # num_positive_pics
    for _ in range(count):
        read.ue((1 << 15) - 1)
        read.u(1)
