"""Headers of HEVC payloads: clauses 6.11, 9.3.1 and 9.3.2.

The tables of 6.11 are lists of lines here. A line is an element with its descriptor: ``u`` and a number of
bits, ``ue`` and the greatest value, ``se`` and both bounds; or the name of another table.
"""

from __future__ import annotations

from .bits import BitReader
from .constraints import constrain
from .frames import frame_size
from .nal import IDR, TRAIL, NalUnit, nal_units
from .syntax import FeatureParameterSet

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
sps_seq_parameter_set_id ue 15
chroma_format_idc ue 3
"""
SPS_SIZE = """
pic_width_in_luma_samples ue 65536
pic_height_in_luma_samples ue 65536
conformance_window_flag u 1
"""
SPS_WINDOW = """
conf_win_left_offset ue 65536
conf_win_right_offset ue 65536
conf_win_top_offset ue 65536
conf_win_bottom_offset ue 65536
"""
SPS_REST = """
bit_depth_luma_minus8 ue 8
bit_depth_chroma_minus8 ue 8
log2_max_pic_order_cnt_lsb_minus4 ue 12
sps_sub_layer_ordering_info_present_flag u 1
max_dec_pic_buffering_minus1 ue 15
max_num_reorder_pics ue 15
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
num_short_term_ref_pic_sets ue 64
long_term_ref_pics_present_flag u 1
sps_temporal_mvp_enabled_flag u 1
strong_intra_smoothing_enabled_flag u 1
"""
PPS_BEGIN = """
pps_pic_parameter_set_id ue 63
pps_seq_parameter_set_id ue 15
dependent_slice_segments_enabled_flag u 1
output_flag_present_flag u 1
num_extra_slice_header_bits u 3
sign_data_hiding_enabled_flag u 1
cabac_init_present_flag u 1
num_ref_idx_l0_default_active_minus1 ue 14
num_ref_idx_l1_default_active_minus1 ue 14
init_qp_minus26 se -74 25
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

PROFILES = {
    (4, 0x08000000, constraints)
    for constraints in (
        0x9FE800000000, 0x9DE800000000, 0x99E800000000,
        0x9FC800000000, 0x9DC800000000, 0x99C800000000,
    )
}  # fmt: skip
MOST_CROPPED = 16

ZERO_IN_VPS = """
vps_video_parameter_set_id vps_max_layers_minus1 vps_max_sub_layers_minus1
"""
ZERO_IN_SPS = """
sps_video_parameter_set_id sps_max_sub_layers_minus1 sps_seq_parameter_set_id
scaling_list_enabled_flag pcm_enabled_flag num_short_term_ref_pic_sets
long_term_ref_pics_present_flag
"""
ZERO_IN_PPS = """
pps_pic_parameter_set_id pps_seq_parameter_set_id dependent_slice_segments_enabled_flag
output_flag_present_flag num_extra_slice_header_bits cu_qp_delta_enabled_flag weighted_pred_flag
weighted_bipred_flag tiles_enabled_flag entropy_coding_sync_enabled_flag
pps_scaling_list_data_present_flag lists_modification_present_flag
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
        read_table(read, elements, "diff_cu_qp_delta_depth ue 3")
    read_table(read, elements, PPS_MIDDLE)
    if elements["deblocking_filter_control_present_flag"]:
        read_table(read, elements, "deblocking_filter_override_enabled_flag u 1")
        read_table(read, elements, "pps_deblocking_filter_disabled_flag u 1")
        if not elements["pps_deblocking_filter_disabled_flag"]:
            read_table(read, elements, "pps_beta_offset_div2 se -6 6\npps_tc_offset_div2 se -6 6")
    read_table(read, elements, "pps_scaling_list_data_present_flag u 1")
    read_table(read, elements, "lists_modification_present_flag u 1")
    return elements


def parameter_sets_of(fps: FeatureParameterSet) -> tuple[Elements, Elements, Elements]:
    """VPS, SPS and PPS of a feature parameter set (R9.3.1-1)."""
    units = nal_units(fps.parameter_sets)
    found = [unit.nal_unit_type for unit in units]
    constrain(found == [32, 33, 34], "R9.3.1-1", f"NAL units of types {found}")
    for unit in units:
        plain = unit.forbidden_zero_bit == unit.nuh_layer_id == 0
        plain = plain and unit.nuh_temporal_id_plus1 == 1
        constrain(plain, "R9.3.1-1", "the header of a parameter set")
    return parse_vps(units[0].payload), parse_sps(units[1].payload), parse_pps(units[2].payload)


def check_parameter_sets(fps: FeatureParameterSet) -> None:
    """Check the parameter sets of HEVC payloads (9.3.1)."""
    vps, sps, pps = parameter_sets_of(fps)
    names = [line.split()[0] for line in filter(None, PROFILE_TIER_LEVEL.splitlines())]
    same = all(vps[name] == sps[name] for name in names)
    constrain(same, "R9.3.1-2", "the profiles of VPS and SPS differ")
    profile = (
        sps["general_profile_idc"],
        sps["general_profile_compatibility_flags"],
        sps["general_constraint_flags"],
    )
    constrain(profile in PROFILES, "R9.3.1-3", f"the profile is {profile}")
    columns = sps.get("conf_win_left_offset", 0) + sps.get("conf_win_right_offset", 0)
    rows = sps.get("conf_win_top_offset", 0) + sps.get("conf_win_bottom_offset", 0)
    width = sps["pic_width_in_luma_samples"] - columns
    height = sps["pic_height_in_luma_samples"] - rows
    for holds, what in (
        (sps["chroma_format_idc"] == 0, "chroma_format_idc"),
        (sps["bit_depth_luma_minus8"] == depth_of(fps) - 8, "bit_depth_luma_minus8"),
        ((width, height) == frame_size(fps), f"pictures of {width} x {height}"),
        (sps["max_num_reorder_pics"] == 0, "max_num_reorder_pics"),
        (pps["transquant_bypass_enabled_flag"] == fps.hevc_lossless_flag, "lossless"),
    ):
        constrain(holds, "R9.3.1-4", what)
    constrain(max(rows, columns) < MOST_CROPPED, "R9.3.1-6", "the conformance window is too small")
    for elements, zero in ((vps, ZERO_IN_VPS), (sps, ZERO_IN_SPS), (pps, ZERO_IN_PPS)):
        for name in zero.split():
            constrain(elements[name] == 0, "R9.3.1-5", f"{name} is {elements[name]}")


def depth_of(fps: FeatureParameterSet) -> int:
    """*depth*, the bit depth of frames (8.3.6)."""
    return next(depth for depth in (8, 10, 12) if depth >= fps.bits)


def parse_slice(unit: NalUnit, sps: Elements, pps: Elements) -> Elements:
    """slice_segment_header(), up to slice_qp_delta."""
    read, found = BitReader(unit.payload), Elements()
    idr = unit.nal_unit_type in IDR
    read_table(read, found, "first_slice_segment_in_pic_flag u 1")
    if idr:
        read_table(read, found, "no_output_of_prior_pics_flag u 1")
    read_table(read, found, "slice_pic_parameter_set_id ue 63\nslice_type ue 2")
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
    read_table(read, found, "slice_qp_delta se -74 77")
    return found


def skip_reference_pictures(read: BitReader) -> None:
    """Pass over st_ref_pic_set()."""
    count = read.ue(15)
    read.ue(0)  # num_positive_pics
    for _ in range(count):
        read.ue((1 << 15) - 1)
        read.u(1)


def check_slices(
    units: list[NalUnit], fps: FeatureParameterSet, frame_qps: list[int], access_point: bool
) -> None:
    """Check the slices of a payload, one for each frame (9.3.2)."""
    _, sps, pps = parameter_sets_of(fps)
    for i, (unit, qp) in enumerate(zip(units, frame_qps, strict=True)):
        plain = unit.forbidden_zero_bit == unit.nuh_layer_id == 0
        constrain(plain, "R9.3.2-7", "the header of a slice")
        sub_layer = unit.nuh_temporal_id_plus1
        constrain(sub_layer == 1, "R9.3.2-8", f"nuh_temporal_id_plus1 is {sub_layer}")
        first = not fps.temporal_prediction_flag or (access_point and i == 0)
        types = IDR if first else TRAIL
        kind = unit.nal_unit_type
        constrain(kind in types, "R9.3.2-2", f"nal_unit_type is {kind}, not of {types}")
        found = parse_slice(unit, sps, pps)
        whole = found["first_slice_segment_in_pic_flag"] == 1
        whole = whole and found["slice_pic_parameter_set_id"] == 0
        constrain(whole, "R9.3.2-1", "a slice is not the first of its picture")
        kind = found["slice_type"]
        constrain(kind == 2 if first else kind in (1, 2), "R9.3.2-5", f"slice_type is {kind}")
        own = 26 + pps["init_qp_minus26"] + found["slice_qp_delta"]
        right = fps.hevc_lossless_flag or own == qp
        constrain(right, "R9.3.2-6", f"the QP of a slice is {own}, that of its frame {qp}")
