"""Constraints on VVC payloads (clauses 8.3.12 and 9.10): NAL units, parameter sets, slices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from refcodec.clauses import clause
from refcodec.coders.protocol import Payload, Violations
from refcodec.coders.video.frames import frame_depth
from refcodec.errors import ConstraintError, PayloadError, StreamError
from refcodec.pack import frame_size, layout_of
from refcodec.registry import record_of
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.syntax.vvc import (
    NAL,
    PicParameterSet,
    SeqParameterSet,
    SliceHeader,
    is_plain,
    nal_type,
    parse_nal,
    parse_parameter_sets,
    split_nals,
)
from refcodec.tables import vvc_constraints

__all__ = ["check_parameter_sets", "check_slices", "check_units"]

_IDR = (NAL.IDR_W_RADL, NAL.IDR_N_LP)
_ALF, _LMCS = 0, 1  # aps_params_type

_PADDING = 16
"""Samples that a coded picture has beyond its frame, in either direction, fewer than."""


@clause("9.10.1")
def check_parameter_sets(fps: FeatureParameterSet, offset: int = 0) -> Violations:
    """(9.10.1) One SPS and PPS, of an accepted profile, that agree with the feature parameter set.

    offset : position of parameter_sets in the stream, in bits.
    """
    try:
        sps, pps = parse_parameter_sets(fps.parameter_sets or b"", offset)
    except StreamError as error:
        yield error
        return
    if fps.bits <= record_of(Coder.VVC).largest_bits:  # else there are no frames, which is reported
        yield from _check_headers(fps, sps, pps, offset)


def _check_headers(
    fps: FeatureParameterSet, sps: SeqParameterSet, pps: PicParameterSet, offset: int
) -> Violations:
    rules, tier = vvc_constraints(), sps.profile_tier_level

    def wrong(name: str, value: object, expected: object, requirement: str) -> ConstraintError:
        return ConstraintError(
            f"{name} in the VVC parameter sets is {value}; {expected} is expected",
            bit_offset=offset,
            requirement=requirement,
        )

    if tier.general_profile_idc not in rules["profiles"]:
        listed = " or ".join(str(one) for one in rules["profiles"])
        yield wrong("general_profile_idc", tier.general_profile_idc, listed, "9.10.1-2")
    frame_height, frame_width = frame_size(fps)
    beside = (sps.sps_conf_win_left_offset or 0) + (sps.sps_conf_win_right_offset or 0)
    above = (sps.sps_conf_win_top_offset or 0) + (sps.sps_conf_win_bottom_offset or 0)
    width, height = sps.sps_pic_width_max_in_luma_samples, sps.sps_pic_height_max_in_luma_samples
    for name, value, expected in (
        ("sps_chroma_format_idc", sps.sps_chroma_format_idc, 0),
        ("sps_ptl_dpb_hrd_params_present_flag", sps.sps_ptl_dpb_hrd_params_present_flag, 1),
        ("the frame width", width - beside, frame_width),
        ("the frame height", height - above, frame_height),
        ("the bit depth", sps.sps_bitdepth_minus8 + 8, frame_depth(fps.bits)),
        ("pps_no_pic_partition_flag", pps.pps_no_pic_partition_flag, 1),
    ):
        if value != expected:
            yield wrong(name, value, expected, "9.10.1-3")
    picture = pps.pps_pic_width_in_luma_samples, pps.pps_pic_height_in_luma_samples
    cropped = width - beside, height - above
    if cropped == (frame_width, frame_height) and picture != (width, height):
        yield wrong("the picture size of the PPS", picture, (width, height), "9.10.1-3")
    for name in rules["zero"]:
        owner = next(header for header in (sps, tier, pps) if name in vars(header))
        if owner[name] != 0:
            yield wrong(name, owner[name], 0, "9.10.1-4")
    if max(beside, above) >= _PADDING:
        yield ConstraintError(
            f"the VVC conformance window crops {beside} columns and {above} rows; fewer than {_PADDING} of "
            "each are expected",
            bit_offset=offset,
            requirement="9.10.1-5",
        )


@clause("8.3.12")
def check_units(payload: Payload, frames: int, *, first: bool) -> Violations:
    """(8.3.12) One slice per frame, of an IDR picture, and adaptation parameter sets before it.

    first : of no consequence, as every picture is an IDR picture.
    """
    kinds = [nal_type(nal) for _, nal in split_nals(payload.data, payload.bit_offset)]
    found = sum(kind in _IDR for kind in kinds)
    allowed = {*_IDR, NAL.PREFIX_APS}
    if found != frames or not allowed.issuperset(kinds) or kinds[-1] not in _IDR:
        yield PayloadError(
            f"a VVC payload has the NAL unit types {sorted(set(kinds))}, {found} of them slices; {frames} "
            "slices of IDR pictures (7, 8) are expected, parameter sets (17) before them, and nothing else",
            bit_offset=payload.bit_offset,
            requirement="8.3.12-2",
        )


_parse_once = lru_cache(maxsize=16)(parse_parameter_sets)
"""Parse parameter sets once for all slices that refer to them."""


@clause("9.10.2")
def check_slices(payload: Payload) -> Violations:
    """(9.10.2) Slices of IDR pictures, with the QP that the syntax signals and filters of their own."""
    offset = payload.bit_offset
    try:
        sps, pps = _parse_once(payload.fps.parameter_sets or b"")
        nals = split_nals(payload.data, offset)
    except StreamError:  # reported by check_parameter_sets, or by the decoder
        return
    qps = iter(layout_of(payload.fps, payload.parameters).qps)
    filters: set[tuple[int, int]] = set()
    for at, nal in nals:
        bit_offset = offset + 8 * at
        if not is_plain(nal):
            yield ConstraintError(
                f"a NAL unit has the header {nal[:2].hex()}, type {nal_type(nal)}, which is not of layer 0",
                bit_offset=bit_offset,
                requirement="9.10.2-1",
            )
        if nal_type(nal) not in (*_IDR, NAL.PREFIX_APS):
            continue  # the decoder reports it
        try:
            head = parse_nal(nal, bit_offset, sps=sps)
        except StreamError as error:
            yield error
            continue
        if not isinstance(head, SliceHeader):
            filters.add((head.aps_params_type, head.aps_adaptation_parameter_set_id))
            continue
        qp = next(qps, None)
        for requirement, what in _faults(head, pps, filters, qp):
            yield ConstraintError(what, bit_offset=bit_offset, requirement=requirement)
        filters.clear()


def _faults(
    head: SliceHeader, pps: PicParameterSet, filters: set[tuple[int, int]], qp: int | None
) -> Iterator[tuple[str, str]]:
    """The requirements that a slice breaks, and how.

    filters : type and number of the adaptation parameter sets of its frame.
    """
    expected = {
        "sh_picture_header_in_slice_header_flag": 1,
        "ph_gdr_or_irap_pic_flag": 1,
        "ph_gdr_pic_flag": 0,
        "ph_inter_slice_allowed_flag": 0,
        "ph_pic_parameter_set_id": 0,
    }
    for name, value in expected.items():
        if head[name] != value:
            yield "9.10.2-2", f"{name} of a slice is {head[name]}; {value} is expected"
            return
    wanted = {(_ALF, int(one)) for one in head.sh_alf_aps_id_luma}
    if head.ph_lmcs_aps_id is not None:
        wanted.add((_LMCS, head.ph_lmcs_aps_id))
    for kind, number in sorted(wanted - filters):
        yield (
            "9.10.2-4",
            f"a slice uses filter {number} of type {kind}, which its frame does not have",
        )
    slice_qp = 26 + pps.pps_init_qp_minus26 + head.sh_qp_delta
    if qp is not None and slice_qp != qp:
        yield "9.10.2-3", f"a frame is coded with QP {slice_qp}; {qp} is signalled"
