"""Source types of 8 bits, and integers."""

from __future__ import annotations

import numpy as np

from refcodec.suite.make.define import vector
from refcodec.suite.valid.build import coded, exact, native, samples
from refcodec.suite.valid.values import E4M3, E5M2, ONCE_E4M3, ONCE_E5M2, every_pattern, hills
from refcodec.suite.vectors import Features


@vector(170, "8.6")
def raw_int16(_: Features) -> bytes:
    """int16 values of both signs, the least and the greatest among them"""
    feature = (1000 * hills(3, 8, 9) - 20000).astype(np.int16)
    feature[0, 0, :2] = -32768, 32767
    return coded(feature, coder="raw")


@vector(171, "8.6")
def raw_int8(_: Features) -> bytes:
    """every int8 value"""
    return coded(every_pattern(np.dtype(np.int8)), coder="raw")


@vector(172, "8.6")
def zlib_uint8(_: Features) -> bytes:
    """uint8 values under zlib"""
    return coded((5 * hills(3, 8, 9)).astype(np.uint8), coder="zlib")


@vector(173)
def lzma_shuffle_int16(_: Features) -> bytes:
    """the bytes of int16 values grouped by significance"""
    return coded((300 * hills(3, 8, 9) - 9000).astype(np.int16), coder="lzma", shuffle=True)


@vector(174)
def int8_fc_batch(_: Features) -> bytes:
    """int8 vectors in a batch, with sample hashes and hash units"""
    features = (hills(6, 1, 20) - 30).astype(np.int8).reshape(6, 20)
    return coded(*features, coder="bzip2", hash_size=16, hashes=True)


@vector(175, "8.6")
def raw_float8_e4m3fn(_: Features) -> bytes:
    """every float8_e4m3fn number, both NaNs included"""
    return coded(every_pattern(E4M3), coder="raw")


@vector(176, "8.6")
def raw_float8_e5m2(_: Features) -> bytes:
    """every float8_e5m2 number, infinities and NaNs included"""
    return coded(every_pattern(E5M2), coder="raw")


@vector(177, "8.7")
def uniform_float8_e4m3fn_saturates(_: Features) -> bytes:
    """what exceeds the range of float8_e4m3fn is 448 or -448, and no NaN"""
    return samples(E4M3, (-1000, 1000), range(0, 65536, 257))


@vector(178, "8.7")
def uniform_float8_e5m2_saturates(_: Features) -> bytes:
    """what exceeds the range of float8_e5m2 is 57344 or -57344, and no infinity"""
    return samples(E5M2, (-131072, 131072), range(0, 65536, 257))


@vector(179, "8.7")
def uniform_float8_e4m3fn_ties(_: Features) -> bytes:
    """values halfway between two float8_e4m3fn numbers, subnormal ones among them"""
    return samples(E4M3, (0, 65535 * 2.0**-10), range(256))


@vector(180, "8.7")
def uniform_float8_e5m2_ties(_: Features) -> bytes:
    """values halfway between two float8_e5m2 numbers, subnormal ones among them"""
    return samples(E5M2, (0, 65535 * 2.0**-17), range(256))


@vector(181, "8.7")
def uniform_float8_e4m3fn_rounds_once(_: Features) -> bytes:
    """values near the middle of two float8_e4m3fn numbers, where rounding through float32 errs"""
    return samples(E4M3, ONCE_E4M3, range(32704, 32832))


@vector(182, "8.7")
def uniform_float8_e5m2_rounds_once(_: Features) -> bytes:
    """values near the middle of two float8_e5m2 numbers, where rounding through float32 errs"""
    return samples(E5M2, ONCE_E5M2, range(32704, 32832))


@vector(183, "8.6")
def exact_float8_e4m3fn(f: Features) -> bytes:
    """float8_e4m3fn values in the context mode, every pattern among them"""
    return exact(f.pool[0].astype(E4M3), every_pattern(E4M3))


@vector(184, "8.6")
def exact_float8_e5m2(f: Features) -> bytes:
    """float8_e5m2 values in the context mode, every pattern among them"""
    return exact(f.pool[0].astype(E5M2), every_pattern(E5M2))


@vector(185)
def exact_fast_float8_e4m3fn(f: Features) -> bytes:
    """float8_e4m3fn values in the fast mode"""
    return exact((np.concatenate(f.conv[2:5]) - 1).astype(E4M3), speed="fast")


@vector(186)
def exact_fast_float8_e5m2(f: Features) -> bytes:
    """float8_e5m2 values in the fast mode"""
    return exact((np.concatenate(f.conv[2:5]) - 1).astype(E5M2), speed="fast")


@vector(187)
def native_float8(_: Features) -> bytes:
    """float8_e4m3fn features coded with native"""
    return native(hills(2, 16, 16).astype(E4M3), qp=20)


@vector(188)
def log_float8(_: Features) -> bytes:
    """logarithmic samples that become float8_e5m2"""
    return coded((hills(2, 8, 9) - 20).astype(E5M2), coder="zlib", quantiser="log", bits=8)
