"""Native features: steps of quantisation, by QP, bits and frequency."""

from __future__ import annotations

from refcodec.suite.make.define import vector
from refcodec.suite.make.edits import parameter
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import extent, native
from refcodec.suite.valid.content import content, every_other
from refcodec.suite.vectors import Features


@vector(103)
def native_qp_eighths(f: Features) -> bytes:
    """a QP of 27 and five eighths"""
    return native(f.conv[5], qp=27.625)


@vector(104, "7.5.2")
def native_qp_channel(f: Features) -> bytes:
    """a QP per channel, all of them raised by seven eighths"""
    qps = tuple(12 + 5 * (c % 5) for c in range(16))
    return parameter("qp_eighths", 7)(native(f.conv[6], qp=qps, batch=False))


@vector(105)
def native_fc(f: Features) -> bytes:
    """one fc feature in a unit of its own"""
    return native(f.fc[3], qp=16, batch=False)


@vector(106)
def native_fc_batch(f: Features) -> bytes:
    """fc features in a batch, as by default"""
    return native(*f.fc[:8], qp=16, clip=extent(f.fc[:8]))


@vector(107)
def native_batch(f: Features) -> bytes:
    """small maps in a batch, each with a sample hash"""
    clip = extent(f.pool[:5])
    return native(*f.pool[:5], qp=22, feature_type="pool", clip=clip, hash_size=16)


@vector(108)
def native_1_bit(f: Features) -> bytes:
    """samples of one bit, with steps of a small fraction of one"""
    return native(f.pool[5], qp=2, bits=1)


@vector(109)
def native_16_bit(f: Features) -> bytes:
    """samples of sixteen bits at the finest step for them"""
    return native(f.pool[6][:4], qp=0, bits=16)


@vector(110)
def native_qp_51(f: Features) -> bytes:
    """a coarse step: QP 51, the coarsest of HEVC"""
    return native(f.conv[7], qp=51)


@vector(111)
def native_qp_51_16_bit(_: Features) -> bytes:
    """a coarse step of samples of sixteen bits"""
    return content(Content(pattern((2, 9, 10), 8, 2), split=every_other), qp=51, bits=16)


@vector(135)
def native_qp_63(_: Features) -> bytes:
    """the coarsest step of all: QP 63 and seven eighths, sixteen bits"""
    return content(Content(pattern((2, 6, 7), 4, 2), split=every_other), qp=63, eighths=7, bits=16)


@vector(112)
def native_slope_down(_: Features) -> bytes:
    """steps that grow smaller with frequency"""
    return content(Content(pattern((2, 13, 17), 5, 5), slope=-7, split=every_other), qp=20)


@vector(113)
def native_slope_up(_: Features) -> bytes:
    """steps that grow larger with frequency"""
    return content(Content(pattern((2, 17, 13), 5, 5), slope=24, split=every_other), qp=20)
