"""Defects of VVC parameter sets and slices."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Patch, Value
from refcodec.suite.make.define import invalid, unnoticed
from refcodec.suite.make.edits import (
    change_payload,
    element,
    parameter,
    replace_sets,
    with_headers,
)
from refcodec.suite.vectors import Definition
from refcodec.syntax.vvc import split_nals

_ORIGIN = "vvc-10-bit"
_SETS, _PAYLOAD = (1, "feature_parameter_set.parameter_sets"), (2, "coded_feature.payload")
_SLICE = (*_PAYLOAD, 24)


def _fixed(number: int, header: int, name: str, value: Value, title: str) -> Definition:
    """A vector whose SPS (0) or PPS (1) has another value of an element."""

    def change(stream: bytes) -> list[Edit]:
        return with_headers(stream, header, **{name: value})

    change.__name__ = f"vvc_{title}"
    change.__doc__ = f"{name} of the {('SPS', 'PPS')[header]} is {value}"
    return invalid(number, _ORIGIN, "constraint", "9.10.1")(change)


vvc_width = _fixed(780, 0, "sps_pic_width_max_in_luma_samples", 65_528, "width")
vvc_chroma = _fixed(781, 0, "sps_chroma_format_idc", 1, "chroma")
vvc_profile = _fixed(782, 0, "general_profile_idc", 33, "profile")
vvc_long_term = _fixed(783, 0, "sps_long_term_ref_pics_flag", 1, "long_term")
vvc_partitions = _fixed(784, 1, "pps_no_pic_partition_flag", 0, "partitions")


@invalid(785, _ORIGIN, "constraint", "9.10.1", _SETS)
def vvc_sets_order(stream: bytes) -> list[Edit]:
    """the PPS precedes the SPS"""
    sets = element(stream, *_SETS).value
    return replace_sets(b"".join(b"\0\0\1" + nal for _, nal in reversed(split_nals(sets))))


@invalid(786, _ORIGIN, "payload", "8.3.12", _PAYLOAD)
def vvc_sets_in_payload(stream: bytes) -> Edit:
    """the SPS is repeated in a payload"""
    sets = element(stream, *_SETS).value
    return change_payload(stream, lambda payload: b"\0\0\1" + split_nals(sets)[0][1] + payload)


@invalid(787, "vvc-frame-packing", "payload", "8.3.12", _PAYLOAD)
def vvc_slice_missing(stream: bytes) -> Edit:
    """a payload lacks the slice of the last frame"""
    return change_payload(stream, lambda payload: payload[: payload.rindex(b"\0\0\1")])


@unnoticed(788, _ORIGIN, "constraint", "9.10.2", _SLICE)
def vvc_slice_qp() -> Edit:
    """qp is 46; the slice has QP 45"""
    return parameter("qp", 46)


@unnoticed(789, _ORIGIN, "constraint", "9.10.2", _SLICE, also=("payload", "hash"))
def vvc_sub_layer() -> Edit:
    """nuh_temporal_id_plus1 is 2"""
    return Patch(*_PAYLOAD, 37, "010")
