"""Constraints on HEVC payloads: clauses 9.3.1 and 9.3.2."""

from __future__ import annotations

from .constraints import constrain
from .frames import frame_size
from .hevc_syntax import PROFILE_TIER_LEVEL, Elements, parse_pps, parse_slice, parse_sps, parse_vps
from .nal import IDR, TRAIL, NalUnit, nal_units
from .syntax import FeatureParameterSet

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
    space = sps["general_profile_space"]
    constrain(space == 0, "R9.3.1-7", f"general_profile_space is {space}")
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
