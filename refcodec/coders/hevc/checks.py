"""Constraints on HEVC payloads (clauses 8.3.6 and 9.3): NAL units, parameter sets, slices."""

from __future__ import annotations

from functools import lru_cache

from refcodec.clauses import clause
from refcodec.coders.protocol import Payload, Violations
from refcodec.coders.video.frames import PIXEL_FORMATS, frame_depth
from refcodec.errors import ConstraintError, PayloadError, StreamError
from refcodec.pack import frame_size, layout_of
from refcodec.syntax.hevc import (
    NAL,
    PicParameterSet,
    SeqParameterSet,
    VideoParameterSet,
    is_plain,
    nal_type,
    parse_parameter_sets,
    parse_slice,
    split_nals,
)
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.tables import hevc_constraints

__all__ = ["check_parameter_sets", "check_slices", "check_units"]

_P, _I = 1, 2  # slice_type
_IDR, _TRAIL = (NAL.IDR_W_RADL, NAL.IDR_N_LP), (NAL.TRAIL_N, NAL.TRAIL_R)

_PADDING = 16
"""Samples that a coded picture has beyond its frame, in either direction, fewer than: room for what the
smallest coding blocks of 8 or 16 ask."""


@clause("9.3.1")
def check_parameter_sets(fps: FeatureParameterSet, offset: int = 0) -> Violations:
    """(9.3.1) One VPS, SPS and PPS, of an accepted profile, that agree with the feature parameter set.

    offset : position of parameter_sets in the stream, in bits.
    """
    try:
        vps, sps, pps = parse_parameter_sets(fps.parameter_sets or b"", offset)
    except StreamError as error:
        yield error
        return
    yield from _check_headers(fps, vps, sps, pps, offset)


_REQUIREMENTS = {
    "general_profile_space": "9.3.1-7",
    "profile_tier_level() of the VPS": "9.3.1-2",
}
"""Requirements on elements of the parameter sets, other than those on values and zeros."""


def _check_headers(
    fps: FeatureParameterSet,
    vps: VideoParameterSet,
    sps: SeqParameterSet,
    pps: PicParameterSet,
    offset: int,
) -> Violations:
    rules = hevc_constraints()
    if fps.bits > max(PIXEL_FORMATS):
        return  # no frames: check_grid reports it
    depth = frame_depth(fps.bits)
    frame_height, frame_width = frame_size(fps)
    beside = (sps.conf_win_left_offset or 0) + (sps.conf_win_right_offset or 0)
    above = (sps.conf_win_top_offset or 0) + (sps.conf_win_bottom_offset or 0)
    tier = sps.profile_tier_level
    flags = f"{tier.general_profile_compatibility_flags:08x}:{tier.general_constraint_flags:012x}"
    profile = f"{tier.general_profile_idc}:{flags}"
    found: dict[str, tuple[object, object]] = {
        "chroma_format_idc": (sps.chroma_format_idc, 0),
        "the frame width": (sps.pic_width_in_luma_samples - beside, frame_width),
        "the frame height": (sps.pic_height_in_luma_samples - above, frame_height),
        "the luma bit depth": (sps.bit_depth_luma_minus8 + 8, depth),
        "general_profile_space": (tier.general_profile_space, 0),
        "max_num_reorder_pics": (sps.sub_layer_ordering.max_num_reorder_pics, 0),
        "profile_tier_level() of the VPS": (vps.profile_tier_level, tier),
        "transquant_bypass_enabled_flag": (
            pps.transquant_bypass_enabled_flag,
            fps.hevc_lossless_flag,
        ),
    }
    zeros: list[str] = rules["zero"]
    for name in zeros:
        owner = next(header for header in (vps, sps, pps) if name in vars(header))
        found[name] = (owner[name], 0)
    for name, (value, expected) in found.items():
        if value != expected:
            yield ConstraintError(
                f"{name} in the HEVC parameter sets is {value}; {expected} is expected",
                bit_offset=offset,
                requirement="9.3.1-5" if name in zeros else _REQUIREMENTS.get(name, "9.3.1-4"),
            )
    if max(beside, above) >= _PADDING:
        yield ConstraintError(
            f"the HEVC conformance window crops {beside} columns and {above} rows; fewer than "
            f"{_PADDING} of each are expected",
            bit_offset=offset,
            requirement="9.3.1-6",
        )
    if profile not in rules["profiles"]:
        yield ConstraintError(
            f"the HEVC profile, compatibility and constraint flags {profile} are not among those listed",
            bit_offset=offset,
            requirement="9.3.1-3",
        )


_parse_once = lru_cache(maxsize=16)(parse_parameter_sets)
"""Parse parameter sets once for all slices that refer to them."""


def _wrong_picture(number: int, nal: bytes, bit_offset: int, *, idr: bool) -> ConstraintError:
    """Error for a frame whose NAL unit is not of the type that its place asks for."""
    return ConstraintError(
        f"frame {number} has the NAL unit header {nal[:2].hex()}, type {nal_type(nal)}; "
        f"{'an IDR picture (19, 20)' if idr else 'a trailing picture (0, 1)'} of layer 0 is expected",
        bit_offset=bit_offset,
        clause="9.3.2",
    )


@clause("8.3.6")
def check_units(payload: Payload, frames: int, *, first: bool) -> Violations:
    """(8.3.6) One slice per frame, and where decoding begins an IDR picture."""
    nals = split_nals(payload.data, payload.bit_offset)
    kinds = [nal_type(nal) for _, nal in nals]
    if len(kinds) != frames or max(kinds) >= NAL.VPS:
        yield _wrong_count(len(kinds), frames, payload.bit_offset)
    elif first and kinds[0] not in _IDR:  # ffmpeg would miss its reference
        yield _wrong_picture(0, nals[0][1], payload.bit_offset, idr=True)


@clause("9.3.2")
def check_slices(payload: Payload) -> Violations:
    """(9.3.2) One slice per frame, of an accepted type, with the QP that the syntax signals."""
    fps, offset = payload.fps, payload.bit_offset
    try:
        _, sps, pps = _parse_once(fps.parameter_sets or b"")
    except StreamError:  # reported by check_parameter_sets
        return
    try:
        nals = split_nals(payload.data, offset)
    except StreamError as error:
        yield error
        return
    qps = layout_of(fps, payload.parameters).qps
    if len(nals) != len(qps):
        yield _wrong_count(len(nals), len(qps), offset)
    for number, ((at, nal), qp) in enumerate(zip(nals, qps, strict=False)):
        bit_offset = offset + 8 * at
        kind = nal_type(nal)
        idr = payload.access_point and (number == 0 or not fps.temporal_prediction_flag)
        if kind not in (_IDR if idr else _TRAIL) or not is_plain(nal):
            yield _wrong_picture(number, nal, bit_offset, idr=idr)
            continue
        try:
            head = parse_slice(nal, bit_offset, sps, pps)
        except StreamError as error:
            yield error
            continue
        slice_qp = 26 + pps.init_qp_minus26 + head.slice_qp_delta
        whole = head.first_slice_segment_in_pic_flag and not head.slice_pic_parameter_set_id
        if not whole or head.slice_type not in ((_I,) if idr else (_P, _I)):
            yield ConstraintError(
                f"frame {number} is not one slice of the expected type",
                bit_offset=bit_offset,
                requirement="9.3.2-1" if not whole else "9.3.2-5" if idr else "9.3.2-9",
            )
        elif not fps.hevc_lossless_flag and slice_qp != qp:
            yield ConstraintError(
                f"frame {number} is coded with QP {slice_qp}; {qp} is signalled",
                bit_offset=bit_offset,
                requirement="9.3.2-6",
            )


def _wrong_count(found: int, expected: int, offset: int) -> PayloadError:
    """The error of a payload whose number of NAL units is not the number of frames."""
    return PayloadError(
        f"an HEVC payload has {found} NAL units; {expected} slices are expected",
        bit_offset=offset,
        requirement="8.3.6-2",
    )
