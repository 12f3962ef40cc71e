"""Features on HEVC frames."""

from __future__ import annotations

import io

import numpy as np

from refcodec.config import EncoderConfig
from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import hevc
from refcodec.suite.valid.values import HALF, Feature
from refcodec.suite.vectors import Features
from refcodec.writer import create

_STEPS = tuple(22 + 4 * (c % 4) for c in range(16))


def _sequence(feature: Feature) -> list[Feature]:
    """Seven features, each of them the preceding one shifted right by one sample and attenuated."""
    return [np.roll(feature, n, axis=2) * np.float32(1 - n / 16) for n in range(7)]


@vector(60)
def hevc_8_bit(f: Features) -> bytes:
    """channels tiled on one frame of 8 bits"""
    return hevc(f.conv[4], qp=30, bits=8, restoration="off")


@vector(61)
def hevc_10_bit(f: Features) -> bytes:
    """channels tiled on one frame of 10 bits"""
    return hevc(f.conv[4], qp=27, bits=10, restoration="off")


@vector(62)
def hevc_12_bit(f: Features) -> bytes:
    """channels tiled on one frame of 12 bits"""
    return hevc(f.conv[4], qp=24, bits=12, restoration="off")


@vector(63)
def hevc_6_bit(f: Features) -> bytes:
    """samples of 6 bits on frames of 8; decoded ones beyond 63 are clipped"""
    return hevc((f.conv[5] > 0.8).astype(np.float32), qp=34, bits=6, restoration="off")


@vector(64)
def hevc_lossless(f: Features) -> bytes:
    """quantised samples survive without further loss"""
    return hevc(f.pool[5], lossless=True, bits=8)


@vector(65, "8.4.1")
def hevc_frame_packing(f: Features) -> bytes:
    """one channel per frame, padded to the smallest frame"""
    return hevc(f.pool[6][:4], qp=30, bits=8, packing="frame", restoration="off")


@vector(66, "7.5.2")
def hevc_qp_channel(f: Features) -> bytes:
    """four QPs among the channels: four frames, ordered by QP"""
    return hevc(f.conv[6], qp=_STEPS, bits=8, restoration="off")


@vector(67, "7.5.2")
def hevc_qp_channel_frames(f: Features) -> bytes:
    """four QPs among the channels, one channel per frame"""
    return hevc(f.pool[7][:6], qp=_STEPS[:6], bits=8, packing="frame", restoration="off")


@vector(68)
def hevc_order_explicit(f: Features) -> bytes:
    """channels tiled in reverse order"""
    return hevc(f.conv[7], qp=34, bits=8, order=tuple(reversed(range(16))), restoration="off")


@vector(69)
def hevc_restoration_tensor(f: Features) -> bytes:
    """mean and deviation of the whole feature are restored"""
    return hevc(f.conv[0], qp=44, bits=10, restoration="tensor")


@vector(70)
def hevc_restoration_channel(f: Features) -> bytes:
    """mean and deviation of each channel are restored"""
    return hevc(f.conv[0], qp=46, bits=10, restoration="channel")


@vector(71)
def hevc_log(f: Features) -> bytes:
    """logarithmic samples on HEVC frames"""
    return hevc(f.conv[1], qp=28, bits=10, quantiser="log")


@vector(72)
def hevc_range_channel(f: Features) -> bytes:
    """a range per channel"""
    return hevc(f.conv[1], qp=30, bits=8, range="channel", restoration="off")


@vector(73)
def hevc_float16(f: Features) -> bytes:
    """float16 features coded with HEVC"""
    return hevc(f.conv[2].astype(HALF), qp=32, bits=10, restoration="off")


@vector(74)
def hevc_fc(f: Features) -> bytes:
    """an fc feature: every value a tile of one sample"""
    return hevc(f.fc[6], qp=20, bits=8, restoration="off")


@vector(75)
def hevc_several(f: Features) -> bytes:
    """several features, all intra, with an index"""
    return hevc(*f.pool[10:13], qp=30, bits=8, restoration="off")


@vector(76, "9.1")
def hevc_sequence(f: Features) -> bytes:
    """seven features predicted over time, with an access point every three, and an index"""
    return hevc(*_sequence(f.pool[14]), qp=30, bits=8, gop=3, restoration="off")


@vector(77)
def hevc_and_lossless(f: Features) -> bytes:
    """one stream with an HEVC and a lossless parameter set"""
    target = io.BytesIO()
    with create(
        target, coder="hevc", qp=30, bits=8, restoration="off", index=False, workers=1
    ) as writer:
        writer.write(f.pool[15])
        writer.write(f.fc[15], config=EncoderConfig(coder="zlib", batch=False))
    return target.getvalue()


@vector(79, "9.3.1")
def hevc_conformance_window(f: Features) -> bytes:
    """frames of 28 x 32, which HEVC codes as 32 x 32 and crops"""
    return hevc(f.conv[3][:, :, 1:], qp=30, bits=8, restoration="off")


@vector(80, "8.4.1")
def hevc_sequence_qps(f: Features) -> bytes:
    """a sequence with two QPs, hence two frames per feature"""
    return hevc(
        *_sequence(f.pool[3])[:4], qp=(24,) * 8 + (34,) * 8, bits=8, gop=4, restoration="off"
    )


@vector(78)
def hevc_sequence_no_index(f: Features) -> bytes:
    """a sequence with one access point, without an index"""
    return hevc(*_sequence(f.pool[0])[:3], qp=32, bits=8, gop=8, index=False, restoration="off")
