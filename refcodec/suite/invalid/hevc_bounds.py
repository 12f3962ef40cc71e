"""Elements of HEVC headers one beyond each bound of clause 6.11, and at bounds that no picture can use."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Value, encode
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import with_headers, with_slice_header
from refcodec.suite.vectors import Definition, Place

_SPS, _PPS = 1, 2
_STRUCTURES = {_SPS: "seq_parameter_set", _PPS: "pic_parameter_set"}

# --- parameter sets ------------------------------------------------------------------------------------


def _beyond(number: int, header: int, path: str, value: int, title: str) -> Definition:
    """A vector whose SPS or PPS has an element beyond a bound."""
    name = path.rpartition(".")[2]

    def change(stream: bytes) -> list[Edit]:
        return with_headers(stream, header, **{name: value})

    change.__name__, change.__doc__ = f"hevc_{title}", f"{name} is {value}"
    place = (1, f"{_STRUCTURES[header]}.{path}")
    return invalid(number, "hevc-1-bit", "syntax", "7.11", place)(change)


_TRANSFORM = "luma_transform_block_size"
_CODING = "luma_coding_block_size"
_ORDERING = "sub_layer_ordering."

chroma_depth = _beyond(510, _SPS, "bit_depth_chroma_minus8", 9, "chroma_depth_beyond")
order_bits = _beyond(511, _SPS, "log2_max_pic_order_cnt_lsb_minus4", 13, "order_bits_beyond")
buffering = _beyond(512, _SPS, _ORDERING + "max_dec_pic_buffering_minus1", 16, "buffering_beyond")
latency = _beyond(513, _SPS, _ORDERING + "max_latency_increase_plus1", 2**32 - 1, "latency_beyond")
least_coding = _beyond(514, _SPS, f"log2_min_{_CODING}_minus3", 4, "least_coding_beyond")
coding = _beyond(515, _SPS, f"log2_diff_max_min_{_CODING}", 4, "coding_beyond")
least_transform = _beyond(516, _SPS, f"log2_min_{_TRANSFORM}_minus2", 4, "least_transform_beyond")
transform = _beyond(517, _SPS, f"log2_diff_max_min_{_TRANSFORM}", 4, "transform_beyond")
depth_inter = _beyond(518, _SPS, "max_transform_hierarchy_depth_inter", 5, "depth_inter_beyond")
depth_intra = _beyond(519, _SPS, "max_transform_hierarchy_depth_intra", 5, "depth_intra_beyond")
default_l0 = _beyond(520, _PPS, "num_ref_idx_l0_default_active_minus1", 15, "default_l0_beyond")
initial_qp_low = _beyond(522, _PPS, "init_qp_minus26", -51, "initial_qp_below")
initial_qp_high = _beyond(523, _PPS, "init_qp_minus26", 26, "initial_qp_beyond")
cb_low = _beyond(524, _PPS, "pps_cb_qp_offset", -13, "cb_qp_below")
cb_high = _beyond(525, _PPS, "pps_cb_qp_offset", 13, "cb_qp_beyond")


def _deblocked(number: int, beta: int, title: str) -> Definition:
    """A vector whose PPS has offsets of deblocking, the first of which lies beyond a bound."""

    def change(stream: bytes) -> list[Edit]:
        bits = "0b100" + encode(beta, "se(v)") + encode(0, "se(v)")  # not overridden, and on
        return with_headers(stream, _PPS, deblocking_filter_control_present_flag=bits)

    change.__name__, change.__doc__ = f"hevc_{title}", f"pps_beta_offset_div2 is {beta}"
    place = (1, "pic_parameter_set.deblocking_filter_control_present_flag", 3)
    return invalid(number, "hevc-1-bit", "syntax", "7.11", place)(change)


beta_low = _deblocked(528, -7, "beta_below")
beta_high = _deblocked(529, 7, "beta_beyond")

_PAYLOAD = (2, "coded_feature.payload")


def _unusable(number: int, name: str, value: int, title: str) -> Definition:
    """A vector whose SPS has an element at its bound, which the others forbid."""

    def change(stream: bytes) -> list[Edit]:
        return with_headers(stream, _SPS, **{name: value})

    change.__name__ = f"hevc_{title}"
    change.__doc__ = f"{name} is {value}, for coding blocks of 8 to 16 samples"
    return invalid(number, "hevc-1-bit", "payload", "8.3.6", _PAYLOAD)(change)


coding_64 = _unusable(532, f"log2_min_{_CODING}_minus3", 3, "least_coding_64")
transform_32 = _unusable(533, f"log2_min_{_TRANSFORM}_minus2", 3, "least_transform_32")
intra_4 = _unusable(534, "max_transform_hierarchy_depth_intra", 4, "depth_intra_4")

# --- slices --------------------------------------------------------------------------------------------

_SEQUENCE = "hevc-sequence-no-index"
_HEADER = "slice_segment_header."


def _slice(
    number: int,
    unit: int,
    path: str,
    value: Value,
    title: str,
    violation: tuple[str, str, Place] | None = None,
) -> Definition:
    """A vector whose P slice of a unit has another value of an element.

    violation : class, clause and position; by default, the value lies beyond a bound.
    """
    name = path.rpartition(".")[2]

    def change(stream: bytes) -> Edit:
        return with_slice_header(stream, unit, **{name: value})

    change.__name__, change.__doc__ = f"hevc_{title}", f"{name} of a slice is {value}"
    reject, clause, place = violation or ("syntax", "7.11", (unit, _HEADER + path))
    also = tuple(one for one in ("payload", "hash") if one != reject)
    return invalid(number, _SEQUENCE, reject, clause, place, also=also)(change)


references = _slice(535, 4, "num_ref_idx_l0_active_minus1", 15, "references_beyond")
qp_high = _slice(538, 3, "slice_qp_delta", 76, "slice_qp_beyond")
qp_low = _slice(539, 3, "slice_qp_delta", -76, "slice_qp_below")
negative = _slice(540, 3, "st_ref_pic_set.num_negative_pics", 16, "negative_beyond")
positive = _slice(541, 3, "st_ref_pic_set.num_positive_pics", 1, "positive_beyond")
_DELTA = "st_ref_pic_set.references.delta_poc_minus1"
delta = _slice(542, 3, _DELTA, 32768, "distance_beyond")

_QP = ("constraint", "9.3.2", (3, "coded_feature.payload", 24))
qp_75 = _slice(543, 3, "slice_qp_delta", 75, "slice_qp_75", _QP)
qp_minus_75 = _slice(544, 3, "slice_qp_delta", -75, "slice_qp_minus_75", _QP)


@invalid(545, _SEQUENCE, *_QP, also=("payload", "hash"))
def hevc_far_references(stream: bytes) -> Edit:
    """a slice of another QP names 15 pictures, as many as it may, of which the last is as far as it may be"""
    nearer = 14 * (encode(0, "ue(v)") + "0")  # each one picture further, and not used
    return with_slice_header(
        stream,
        3,
        num_negative_pics=15,
        num_positive_pics="0b" + encode(0, "ue(v)") + nearer,
        delta_poc_minus1=32767,
        slice_qp_delta=7,
    )


@invalid(536, _SEQUENCE, *_QP, also=("payload", "hash"))
def hevc_trailing_b(stream: bytes) -> Edit:
    """a slice of a trailing picture is of type B"""
    return with_slice_header(stream, 3, slice_type=0)
