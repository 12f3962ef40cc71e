"""Native features: blocks of all sizes, and maps whose sides are not multiples of a block."""

from __future__ import annotations

from refcodec.suite.make.define import vector
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import native
from refcodec.suite.valid.content import content, every_other
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features


@vector(90)
def native_conv(f: Features) -> bytes:
    """channels coded as blocks of cosine coefficients"""
    return native(f.conv[4], qp=24, batch=False)


@vector(91)
def native_large(_: Features) -> bytes:
    """maps of 40 x 44, coded at the slowest speed"""
    return native(hills(2, 40, 44), qp=22, speed="best")


@vector(92)
def native_blocks_8(_: Features) -> bytes:
    """blocks of up to 8 x 8, some of them split"""
    return content(Content(pattern((3, 12, 20), 6, 3), block=8, split=every_other), qp=22)


@vector(93)
def native_blocks_16(_: Features) -> bytes:
    """blocks of up to 16 x 16, some of them split once or twice"""
    return content(
        Content(pattern((3, 31, 18), 6, 3), split=every_other, points=(-3, -1, 2)), qp=25
    )


@vector(94)
def native_blocks_32(_: Features) -> bytes:
    """blocks of up to 32 x 32, some of them split up to three times"""
    return content(Content(pattern((2, 33, 32), 9, 2), block=32, split=every_other), qp=25)


@vector(95)
def native_block_whole(_: Features) -> bytes:
    """one block of 32 x 32, whole, its last coefficient not 0"""
    levels = pattern((1, 32, 32), 9, 1)
    levels[..., -1, -1] = 1
    return content(Content(levels, block=32), qp=25)


@vector(96)
def native_samples(_: Features) -> bytes:
    """samples without a transform, relative to an origin that is not 0"""
    return content(
        Content(pattern((4, 7, 9), 3, 20), block=4, origin=700, points=(-8, 7, -4)), qp=20
    )


@vector(97)
def native_samples_origin(_: Features) -> bytes:
    """an origin beyond all samples of 12 bits"""
    return content(Content(-abs(pattern((2, 5, 5), 2, 30)), block=4, origin=65535), qp=44)


@vector(98)
def native_7x7(f: Features) -> bytes:
    """maps of 7 x 7, which a video coder would have to pad"""
    return native(*f.conv[:2, :6, 1:, 1:], qp=20, batch=False, index=False)


@vector(99)
def native_13x14(_: Features) -> bytes:
    """maps of 13 x 14"""
    return native(hills(3, 13, 14), qp=26)


@vector(100)
def native_1x1(f: Features) -> bytes:
    """channels of one sample"""
    return native(f.fc[2].reshape(64, 1, 1), qp=20)


@vector(101)
def native_1x33(_: Features) -> bytes:
    """channels of one row: blocks of 17 and 16"""
    return native(hills(4, 1, 33), qp=20)


@vector(102)
def native_5x1(_: Features) -> bytes:
    """channels of one column, too short to be split"""
    return native(hills(4, 5, 1), qp=20)
