"""Source values and quantised samples, in the byte coders."""

from __future__ import annotations

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import coded
from refcodec.suite.valid.values import BRAIN, HALF, SPECIAL_16, SPECIAL_32, SPECIAL_BRAIN
from refcodec.suite.vectors import Features


@vector(1)
def raw_float32(f: Features) -> bytes:
    """float32 values stored as they are"""
    return coded(f.pool[0], coder="raw")


@vector(2)
def raw_float16(f: Features) -> bytes:
    """float16 values stored as they are"""
    return coded(f.pool[0].astype(HALF), coder="raw")


@vector(3)
def raw_bfloat16(f: Features) -> bytes:
    """bfloat16 values stored as they are"""
    return coded(f.pool[0].astype(BRAIN), coder="raw")


@vector(4, "8.6")
def special_float32(_: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 of float32 survive bit for bit"""
    return coded(SPECIAL_32, coder="raw", batch=False)


@vector(5, "8.6")
def special_float16(_: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 of float16 survive bit for bit"""
    return coded(SPECIAL_16, coder="raw", batch=False)


@vector(6, "8.6")
def special_bfloat16(_: Features) -> bytes:
    """NaN payloads, infinities, subnormals and -0.0 of bfloat16 survive bit for bit"""
    return coded(SPECIAL_BRAIN, coder="raw", batch=False)


@vector(7)
def raw_1_bit(f: Features) -> bytes:
    """samples of one bit, eight per byte"""
    return coded(f.pool[1], coder="raw", quantiser="uniform", bits=1)


@vector(8)
def raw_7_bit(f: Features) -> bytes:
    """samples of seven bits across byte borders"""
    return coded(f.pool[1], coder="raw", quantiser="uniform", bits=7)


@vector(9)
def raw_16_bit(f: Features) -> bytes:
    """samples of sixteen bits, most significant byte first"""
    return coded(f.pool[1], coder="raw", quantiser="uniform", bits=16)


@vector(10)
def raw_padding(_: Features) -> bytes:
    """one element of three bits: the smallest feature, and five padding bits"""
    feature = np.full((1, 1, 1), 2.5, np.float32)
    return coded(feature, coder="raw", quantiser="uniform", bits=3, clip=(-1, 4))


@vector(11)
def zlib_float32(f: Features) -> bytes:
    """float32 values under zlib"""
    return coded(f.pool[2], coder="zlib")


@vector(12)
def zlib_7_bit(f: Features) -> bytes:
    """quantised samples under zlib are whole bytes, not packed bits"""
    return coded(f.pool[2], coder="zlib", quantiser="uniform", bits=7)


@vector(13)
def gzip_10_bit(f: Features) -> bytes:
    """16-bit words, little-endian, in one gzip member"""
    return coded(f.pool[2], coder="gzip", quantiser="uniform", bits=10)


@vector(14)
def bzip2_8_bit(f: Features) -> bytes:
    """one bzip2 stream"""
    return coded(f.pool[2], coder="bzip2", quantiser="uniform", bits=8)


@vector(15)
def lzma_float16(f: Features) -> bytes:
    """one xz stream of float16 values"""
    return coded(f.pool[2].astype(HALF), coder="lzma")


@vector(16)
def zlib_shuffle(f: Features) -> bytes:
    """the bytes of float32 values grouped by significance"""
    return coded(f.pool[3], coder="zlib", shuffle=True)


@vector(17)
def lzma_shuffle_12_bit(f: Features) -> bytes:
    """the bytes of 16-bit sample words grouped by significance"""
    return coded(f.conv[3], coder="lzma", quantiser="uniform", bits=12, shuffle=True)
