"""Features on HEVC frames: the longest and the most frames, QPs at their limits, statistics at theirs."""

from __future__ import annotations

import numpy as np

from refcodec.hashes import sample_hash
from refcodec.suite.assemble import Edit, encode
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import (
    change_payload,
    feature,
    parameter,
    parameter_set,
    with_headers,
    with_slice_header,
)
from refcodec.suite.valid.build import coded_samples, hevc
from refcodec.suite.valid.values import Feature, hills
from refcodec.suite.vectors import Features


def _steps(height: int, width: int) -> Feature:
    """A map of a few long steps, which HEVC codes in few bytes."""
    y, x = np.ogrid[:height, :width]
    heights: Feature = ((x // 700 + y // 700) % 3 + 1).astype(np.float32)
    return heights[None]


@vector(370, "8.4.1", "A.3")
def hevc_wide_1024(_: Features) -> bytes:
    """frames of 1,024 columns, as many as level 1 admits"""
    return hevc(_steps(3, 1024), qp=30, bits=8, restoration="off")


@vector(371, "8.4.1", "9.3.1")
def hevc_wide_4096(_: Features) -> bytes:
    """frames of 4,096 columns have 16 rows at least"""
    return hevc(_steps(8, 4096), qp=40, bits=8, restoration="off")


@vector(372, "8.4.1", "9.3.1")
def hevc_wide_4097(_: Features) -> bytes:
    """frames of 4,097 columns have 32 rows at least"""
    return hevc(_steps(8, 4097), qp=40, bits=8, restoration="off")


@vector(373, "8.4.1", "9.3.1")
def hevc_tall_4097(_: Features) -> bytes:
    """frames of 4,097 rows have 32 columns at least"""
    return hevc(_steps(4097, 9), qp=40, bits=8, restoration="off")


@vector(374, "8.4.1", "A.3")
def hevc_frame_samples(_: Features) -> bytes:
    """sixteen frames of 1,024 x 16: as many samples as level 1 admits"""
    return hevc(
        np.repeat(_steps(1, 1024), 16, axis=0), qp=40, bits=8, packing="frame", restoration="off"
    )


@vector(375, "7.5.2")
def hevc_qp_limits(f: Features) -> bytes:
    """QPs 0 and 51, and one between them: differences of six bits"""
    return hevc(f.pool[2][:3], qp=(0, 51, 13), bits=8, restoration="off")


@vector(376, "8.4.1")
def hevc_order_runs(f: Features) -> bytes:
    """an explicit order in which QPs alternate: a frame begins wherever the QP changes, or is full"""
    qps = (20, 40, 20, 20, 40, 40, 40, 20)
    return hevc(f.pool[2][:8], qp=qps, bits=8, order=(3, 0, 1, 6, 4, 5, 2, 7), restoration="off")


@vector(377, "8.4.1")
def hevc_identity_qps(f: Features) -> bytes:
    """two QPs, of which the first channels have the lower one"""
    return hevc(
        f.pool[2][:5], qp=(20, 20, 40, 40, 40), bits=8, order=(0, 1, 2, 3, 4), restoration="off"
    )


@vector(378, "8.5")
def hevc_constant_channel(_: Features) -> bytes:
    """a channel without deviation among others keeps its samples, whatever its moments say"""
    maps = hills(4, 16, 16)
    maps[2] = 7
    return hevc(maps, qp=30, bits=10, restoration="channel", packing="frame")


@vector(379)
def hevc_11_bit(f: Features) -> bytes:
    """samples of 11 bits on frames of 12"""
    return hevc(f.pool[9][:4], qp=20, bits=11, restoration="off")


@vector(380)
def hevc_9_bit_log_signed(f: Features) -> bytes:
    """signed logarithmic samples of 9 bits on frames of 10"""
    return hevc(f.pool[9][:4] - 1, qp=20, bits=9, quantiser="log")


@vector(381)
def hevc_1_bit(f: Features) -> bytes:
    """samples of one bit on frames of 8: all beyond 1 are clipped"""
    return hevc((f.pool[9][:4] > 1).astype(np.float32), qp=0, bits=1, restoration="off")


@vector(382)
def hevc_lossless_12_bit(f: Features) -> bytes:
    """lossless coding of 12 bits, in several frames of two channels"""
    return hevc(f.pool[5][:5], lossless=True, bits=12, packing="frame")


@vector(383, "8.4.1")
def hevc_grid_rows(f: Features) -> bytes:
    """more channels than a grid of three columns has in full rows"""
    return hevc(f.pool[2][:7], qp=30, bits=8, restoration="off")


@edited(384, "hevc-restoration-channel", "moments at their limits", "8.5")
def hevc_moments_limits() -> list[Edit]:
    """means and deviations of 0, 1 and 65,535, some of which ask for a gain above 16"""
    mean = [0, 65535, 1, 32768, 65535, 0, 40000, 20000] * 2
    deviation = [65535, 0, 1, 65535, 65535, 0, 30000, 60000] * 2
    return [parameter("restoration_mean", mean), parameter("restoration_deviation", deviation)]


@edited(385, "hevc-restoration-tensor", "moments at their limits", "8.5")
def hevc_moments_tensor() -> list[Edit]:
    """a mean of 65,535 and a deviation of 65,535 for the whole feature"""
    return [parameter("restoration_mean", [65535]), parameter("restoration_deviation", [65535])]


@edited(386, "hevc-8-bit", "the start code of the slice has four bytes", "8.3.6")
def hevc_start_code(stream: bytes) -> Edit:
    """a start code of four bytes in front of the slice"""
    return change_payload(stream, lambda payload: b"\0" + payload)


@edited(387, "hevc-frame-packing", "all start codes have four bytes", "8.3.6")
def hevc_start_codes(stream: bytes) -> Edit:
    """start codes of four bytes between slices, too"""
    return change_payload(stream, lambda payload: payload.replace(b"\0\0\1", b"\0\0\0\1"))


@vector(388, "8.4.1", "A.3")
def hevc_wide_8192(_: Features) -> bytes:
    """frames of 8,192 columns, as many as any level admits"""
    return hevc(_steps(1, 8192), qp=40, bits=8, restoration="off")


@vector(389, "8.5")
def hevc_restoration_odd(f: Features) -> bytes:
    """moments of channels of 35 samples, whose means are no binary fractions"""
    return hevc(f.conv[0][:, :5, :7], qp=40, bits=8, restoration="channel")


@vector(390, "8.5")
def hevc_restoration_steep(_: Features) -> bytes:
    """channels that are all but constant, with deviations that ask for gains about and above 16"""
    maps = np.zeros((6, 5, 7), np.float32)
    for c in range(6):
        maps[c, 2, 3] = 0.02 * (c + 1)
    maps[0, 0, 0] = 1
    stream = hevc(maps, qp=4, bits=8, restoration="channel")
    return parameter("restoration_deviation", [65535, 4000, 9000, 14000, 20000, 65535])(stream)


@edited(
    391, "hevc-restoration-odd", "moments that make products halfway between two positions", "8.5"
)
def hevc_moments_ties() -> list[Edit]:
    """products of a gain that lie halfway between two units of 2^-16 samples, or a unit below"""
    deviation = [1079, 16009, 40559, 29995, 56304, 27221, 33078, 11868]
    deviation += [18689, 32184, 41957, 6576, 10123, 4814, 1145, 23418]
    return [parameter("restoration_mean", [0] * 16), parameter("restoration_deviation", deviation)]


@edited(392, "hevc-wide-1024", "an explicit order of one channel, in entries of no bits", "7.5.2")
def hevc_order_of_one() -> Edit:
    """an explicit order whose only entry has no bits"""
    return parameter("channel_order", "0b10" + "00000")


@vector(393, "9.3.1")
def hevc_window_15(_: Features) -> bytes:
    """pictures of 32 columns and rows, of which a conformance window crops 15: 7 and 8, 14 and 1"""
    stream = hevc(hills(1, 32, 32), qp=20, bits=8, restoration="off")
    samples = coded_samples(stream)
    window = "0b1" + "".join(encode(side, "ue(v)") for side in (7, 8, 14, 1))
    for edit in (
        *with_headers(stream, 1, conformance_window_flag=window),
        parameter_set("width_minus1", 16),
        parameter_set("height_minus1", 16),
        feature("sample_hash", sample_hash(samples[:, 14:31, 7:24], 8).hex()),
    ):
        stream = edit(stream)
    return stream


@edited(394, "hevc-8-bit", "init_qp_minus26 is 4, and slice_qp_delta 0", "9.3.2")
def hevc_initial_qp(stream: bytes) -> list[Edit]:
    """the QP of a slice comes from the picture parameter set alone"""
    return [
        with_slice_header(stream, 2, slice_qp_delta=0),
        *with_headers(stream, 2, init_qp_minus26=4),
    ]
