"""Features on VVC frames."""

from __future__ import annotations

import numpy as np

from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import change_payload
from refcodec.suite.valid.build import vvc
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features


@vector(620)
def vvc_8_bit(f: Features) -> bytes:
    """two features, channels tiled on one frame of 8 bits"""
    return vvc(f.pool[2][:4], f.pool[3][:4], qp=40, bits=8, restoration="off")


@vector(621)
def vvc_10_bit(f: Features) -> bytes:
    """channels tiled on one frame of 10 bits; statistics of channels"""
    return vvc(f.pool[9][:2], qp=45, bits=10, restoration="channel")


@vector(622, "8.4.1")
def vvc_frame_packing(f: Features) -> bytes:
    """one channel per frame, padded to the smallest frame, with QPs of their own"""
    return vvc(f.pool[6][:3], qp=(30, 44, 40), bits=8, packing="frame", restoration="off")


@vector(623)
def vvc_6_bit(f: Features) -> bytes:
    """samples of 6 bits on frames of 8; decoded ones beyond 63 are clipped"""
    return vvc((f.pool[5][:4] > 0.8).astype(np.float32), qp=34, bits=6, restoration="off")


@vector(624)
def vvc_filters(_: Features) -> bytes:
    """a frame with a loop filter of its own, in an adaptation parameter set"""
    return vvc(hills(1, 96, 96), qp=38, bits=10, restoration="off")


@vector(625)
def vvc_log_signed(f: Features) -> bytes:
    """logarithmic samples, with signs, at the greatest QP"""
    return vvc(f.pool[9][:2] - 1, qp=63, bits=9, quantiser="log")


@vector(626)
def vvc_window(f: Features) -> bytes:
    """frames of 17 x 19 samples, cropped from coded pictures"""
    return vvc(np.pad(f.pool[4][0], 8)[None, :19, :17], qp=44, bits=8, restoration="off")


@edited(627, "vvc-frame-packing", "all start codes have four bytes", "8.3.12")
def vvc_start_codes(stream: bytes) -> Edit:
    """start codes of four bytes"""
    return change_payload(stream, lambda payload: payload.replace(b"\0\0\1", b"\0\0\0\1"))
