"""HEVC headers whose elements are at the bounds of clause 6.11, and rarer features of them."""

from __future__ import annotations

import numpy as np

from refcodec.hashes import sample_hash
from refcodec.suite.assemble import Drop, Edit, Insert, Set, Value, encode
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import (
    change_payload,
    element,
    feature,
    parameter_set,
    with_headers,
    with_slice_header,
)
from refcodec.suite.make.native import payloads
from refcodec.suite.valid.build import coded_samples, hevc
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import CODED_FEATURE, FEATURE_PARAMETERS

_SPS, _PPS = 1, 2


def _with_headers(stream: bytes, header: int, **values: Value) -> bytes:
    """A stream whose SPS or PPS has other values of elements."""
    for edit in with_headers(stream, header, **values):
        stream = edit(stream)
    return stream


def _deblocked(stream: bytes, beta: int, tc: int) -> bytes:
    """A stream whose PPS has offsets of deblocking; those of chroma QPs are twice the first one."""
    deblocking = "0b100" + encode(beta, "se(v)") + encode(tc, "se(v)")
    stream = _with_headers(
        stream,
        _PPS,
        pps_cb_qp_offset=2 * beta,
        pps_cr_qp_offset=2 * beta,
        deblocking_filter_control_present_flag=deblocking,
    )
    samples = coded_samples(stream)  # filtered in another way
    return feature("sample_hash", sample_hash(samples, 8).hex())(stream)


@vector(417, "7.11")
def hevc_headers_greatest(_: Features) -> bytes:
    """elements of the SPS and the PPS at their greatest values"""
    stream = hevc(hills(1, 64, 64), qp=45, bits=8, restoration="off")
    stream = _with_headers(
        stream,
        _SPS,
        bit_depth_chroma_minus8=8,
        log2_max_pic_order_cnt_lsb_minus4=12,
        max_dec_pic_buffering_minus1=15,
        max_latency_increase_plus1=2**32 - 2,
        max_transform_hierarchy_depth_inter=4,
    )
    stream = _with_headers(
        stream,
        _PPS,
        num_ref_idx_l0_default_active_minus1=14,
        num_ref_idx_l1_default_active_minus1=14,
    )
    return _deblocked(stream, 6, 6)


@vector(418, "7.11")
def hevc_headers_least(_: Features) -> bytes:
    """elements of the PPS at their least values"""
    return _deblocked(hevc(hills(1, 32, 32), qp=40, bits=8, restoration="off"), -6, 0)


@vector(419, "7.11", "9.3.2")
def hevc_initial_qp_least(_: Features) -> bytes:
    """init_qp_minus26 is -50, and slice_qp_delta 75, in frames of 12 bits"""
    stream = hevc(hills(1, 16, 16), qp=51, bits=12, restoration="off")
    stream = with_slice_header(stream, 2, slice_qp_delta=75)(stream)
    return _with_headers(stream, _PPS, init_qp_minus26=-50)


@edited(420, "hevc-initial-qp-least", "init_qp_minus26 is 25, and slice_qp_delta 0", "7.11")
def hevc_initial_qp_greatest(stream: bytes) -> list[Edit]:
    """init_qp_minus26 is 25"""
    return [
        with_slice_header(stream, 2, slice_qp_delta=0),
        *with_headers(stream, _PPS, init_qp_minus26=25),
    ]


@edited(421, "hevc-sequence-no-index", "slices have cabac_init_flag", "7.11")
def hevc_cabac_init_flag(stream: bytes) -> list[Edit]:
    """predicted slices have a cabac_init_flag of 0"""
    return [
        with_slice_header(stream, 3, five_minus_max_num_merge_cand="0b0" + encode(2, "ue(v)")),
        with_slice_header(stream, 4, collocated_ref_idx="0b0" + encode(0, "ue(v)")),
        *with_headers(stream, _PPS, cabac_init_present_flag=1),
    ]


@edited(422, "hevc-sequence-no-index", "more references than pictures", "7.11")
def hevc_references_15(stream: bytes) -> Edit:
    """a slice with 15 references to two pictures, the last of them collocated, and one merging candidate"""
    return with_slice_header(
        stream,
        4,
        num_ref_idx_l0_active_minus1=14,
        collocated_ref_idx=14,
        five_minus_max_num_merge_cand=4,
    )


@edited(455, "hevc-frame-packing", "00 00 03 follows each slice", "8.3.6")
def hevc_zero_words_short(stream: bytes) -> Edit:
    """slices end in cabac_zero_words, before start codes of three bytes"""
    return change_payload(
        stream, lambda payload: payload.replace(b"\0\0\1", b"\0\0\3\0\0\1")[3:] + b"\0\0\3"
    )


@edited(423, "hevc-frame-packing", "00 00 03 follows each slice", "8.3.6")
def hevc_zero_words(stream: bytes) -> Edit:
    """slices end in cabac_zero_words, before start codes of four bytes"""

    def padded(payload: bytes) -> bytes:
        slices = payload.split(b"\0\0\1")[1:]
        return b"".join(b"\0\0\0\1" + one + b"\0\0\3" for one in slices)

    return change_payload(stream, padded)


def _tiled(*shape: int, columns: int, rows: int) -> bytes:
    """A stream of one map, declared as a grid of tiles of one sample."""
    steps = (np.arange(4096, dtype=np.float32) // 700) % 3
    stream = hevc(steps.reshape(1, *shape), qp=40, bits=8, restoration="off")
    for edit in (
        parameter_set("channels_minus1", 4095),
        parameter_set("height_minus1", 0),
        parameter_set("width_minus1", 0),
        parameter_set("tile_columns_minus1", columns - 1),
        parameter_set("tile_rows_minus1", rows - 1),
    ):
        stream = edit(stream)
    return stream


@vector(424, "7.4", "8.4.1")
def hevc_columns_4096(_: Features) -> bytes:
    """a grid of 4,096 columns, as many as there can be"""
    return _tiled(1, 4096, columns=4096, rows=1)


@vector(425, "7.4", "8.4.1")
def hevc_rows_4096(_: Features) -> bytes:
    """a grid of 4,096 rows, as many as there can be"""
    return _tiled(4096, 1, columns=1, rows=4096)


@edited(429, "hevc-restoration-tensor", "restoration_mode is 0, and there are no moments", "7.5.2")
def hevc_restoration_mode_off(stream: bytes) -> list[Edit]:
    """a feature without moments under a parameter set that allows them"""
    one = payloads(stream)[0]
    elements = {
        "fps_id": one.fps.fps_id,
        "parameters": FEATURE_PARAMETERS.make(
            {**one.parameters, "restoration_mode": 0}, fps=one.fps
        ),
        "sample_hash": one.sample_hash,
        "payload": one.data,
    }
    unit = CODED_FEATURE.build_whole(elements, fps=one.fps)
    return [Drop(2), Insert(2, UnitType.CODED_FEATURE, 0, unit.hex())]


@edited(
    435,
    "hevc-sequence-no-index",
    "the first picture is repeated as a trailing one",
    "7.11",
    "9.3.2",
)
def hevc_trailing_intra(stream: bytes) -> list[Edit]:
    """an intra picture within a sequence, under a default of two references"""
    intra = with_slice_header(
        stream,
        2,
        no_output_of_prior_pics_flag="0b",
        slice_type="0b"
        + encode(2, "ue(v)")
        + "00000010"
        + "0"
        + "11"
        + "1",  # POC 2, no references, motion
    )
    payload = bytes.fromhex(str(intra.value))
    trailing = payload.replace(b"\0\0\1\x28", b"\0\0\1\x02", 1)  # nal_unit_type 1
    sample_hash = element(stream, 2, "coded_feature.sample_hash").value
    return [
        Set(4, "coded_feature.payload", trailing.hex()),
        Set(4, "coded_feature.sample_hash", sample_hash.hex()),
        with_slice_header(stream, 3, num_ref_idx_active_override_flag="0b1" + encode(0, "ue(v)")),
        *with_headers(stream, _PPS, num_ref_idx_l0_default_active_minus1=1),
    ]
