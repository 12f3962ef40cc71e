"""Features on AV1 frames."""

from __future__ import annotations

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import av1
from refcodec.suite.vectors import Features


@vector(640)
def av1_8_bit(f: Features) -> bytes:
    """two features, channels tiled on one frame of 8 bits"""
    return av1(f.pool[2][:4], f.pool[3][:4], qp=40, bits=8, restoration="off")


@vector(641)
def av1_10_bit(f: Features) -> bytes:
    """channels tiled on one frame of 10 bits; statistics of channels"""
    return av1(f.pool[9][:2], qp=45, bits=10, restoration="channel")


@vector(642)
def av1_12_bit(f: Features) -> bytes:
    """samples of 11 bits on frames of 12, of the Professional profile"""
    return av1(f.pool[9][:2], qp=30, bits=11, restoration="off")


@vector(643, "8.4.1")
def av1_frame_packing(f: Features) -> bytes:
    """one channel per frame, padded to the smallest frame, with QPs of their own"""
    return av1(f.pool[6][:3], qp=(30, 44, 40), bits=8, packing="frame", restoration="off")


@vector(644)
def av1_lossless(f: Features) -> bytes:
    """frames without loss, of samples of 6 bits"""
    return av1(f.pool[4][:2], qp=0, bits=6, restoration="off")


@vector(645)
def av1_6_bit(f: Features) -> bytes:
    """samples of 6 bits on frames of 8; decoded ones beyond 63 are clipped"""
    return av1((f.pool[5][:4] > 0.8).astype(np.float32), qp=34, bits=6, restoration="off")


@vector(646)
def av1_log_signed(f: Features) -> bytes:
    """logarithmic samples, with signs, at the greatest QP"""
    return av1(f.pool[9][:2] - 1, qp=51, bits=9, quantiser="log")


@vector(647)
def av1_odd_sides(f: Features) -> bytes:
    """frames of 17 x 19 samples, the size at which they are coded"""
    return av1(np.pad(f.pool[4][0], 8)[None, :19, :17], qp=44, bits=8, restoration="off")


@vector(648)
def av1_screen_content(_: Features) -> bytes:
    """equal channels on one frame, of whose blocks some are copies of others"""
    one = np.kron(np.random.default_rng(648).integers(0, 4, (8, 8)), np.ones((4, 4)))
    return av1(np.stack([one] * 4).astype(np.float32), qp=20, bits=8, restoration="off")


@vector(649, "8.3.13")
def av1_long_frame(_: Features) -> bytes:
    """a frame of more than 127 bytes, whose obu_size takes two"""
    noise = np.random.default_rng(649).normal(size=(1, 16, 16)).astype(np.float32)
    return av1(noise, qp=18, bits=8, restoration="off")
