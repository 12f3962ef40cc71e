"""HEVC headers whose elements are at the bounds of clause 6.11, and rarer features of them."""

from __future__ import annotations

import numpy as np

from refcodec.hashes import sample_hash
from refcodec.suite.assemble import Edit, encode
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import (
    change_payload,
    feature,
    parameter_set,
    with_headers,
    with_slice_header,
)
from refcodec.suite.valid.build import coded_samples, hevc
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features

_SPS, _PPS = 1, 2


def _deblocked(stream: bytes, offset: int) -> bytes:
    """A stream whose PPS has offsets of deblocking and of chroma QPs at a bound of either sign.

    offset : of deblocking, both; those of the QPs are twice as much.
    """
    deblocking = "0b100" + 2 * encode(offset, "se(v)")
    for edit in with_headers(
        stream,
        _PPS,
        pps_cb_qp_offset=2 * offset,
        pps_cr_qp_offset=2 * offset,
        deblocking_filter_control_present_flag=deblocking,
    ):
        stream = edit(stream)
    samples = coded_samples(stream)  # filtered in another way
    return feature("sample_hash", sample_hash(samples, 8).hex())(stream)


@vector(417, "7.11")
def hevc_headers_greatest(_: Features) -> bytes:
    """elements of the SPS and the PPS at their greatest values"""
    stream = hevc(hills(1, 64, 64), qp=45, bits=8, restoration="off")
    values = {
        "bit_depth_chroma_minus8": 8,
        "log2_max_pic_order_cnt_lsb_minus4": 12,
        "max_dec_pic_buffering_minus1": 15,
        "max_latency_increase_plus1": 2**32 - 2,
        "max_transform_hierarchy_depth_inter": 4,
    }
    references = {
        "num_ref_idx_l0_default_active_minus1": 14,
        "num_ref_idx_l1_default_active_minus1": 14,
    }
    for edit in (
        *with_headers(stream, _SPS, **values),
        *with_headers(stream, _PPS, **references),
    ):
        stream = edit(stream)
    return _deblocked(stream, 6)


@vector(418, "7.11")
def hevc_headers_least(_: Features) -> bytes:
    """elements of the PPS at their least values"""
    return _deblocked(hevc(hills(1, 32, 32), qp=40, bits=8, restoration="off"), -6)


@vector(419, "7.11", "9.3.2")
def hevc_initial_qp_least(_: Features) -> bytes:
    """init_qp_minus26 is -50, and slice_qp_delta 75, in frames of 12 bits"""
    stream = hevc(hills(1, 16, 16), qp=51, bits=12, restoration="off")
    for edit in (
        with_slice_header(stream, 2, slice_qp_delta=75),
        *with_headers(stream, _PPS, init_qp_minus26=-50),
    ):
        stream = edit(stream)
    return stream


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
