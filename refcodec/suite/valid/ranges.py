"""Ranges that features do not share: in batches, per element of vectors, and in sequences."""

from __future__ import annotations

import numpy as np

from refcodec.suite.assemble import Edit, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import element
from refcodec.suite.valid.build import coded, native
from refcodec.suite.valid.values import BRAIN, Feature, hills
from refcodec.suite.vectors import Features

_SCALES = np.array([1, 300, 0.5, 1, 0.01, 70, 1, 2], np.float32)
"""Factors of the vectors of a batch, none of them a power of two of all others."""


def _scaled(vectors: Feature) -> Feature:
    return (vectors - np.float32(0.75)) * _SCALES[: len(vectors), None]


@vector(190)
def batch_ranges(f: Features) -> bytes:
    """vectors with a range each, some of them far beyond the others"""
    return coded(*_scaled(f.fc[:8]), coder="raw", quantiser="uniform", bits=8, hash_size=8)


@vector(191)
def batch_ranges_zero(f: Features) -> bytes:
    """lower bounds of zero among others, a constant vector, and one of zeros"""
    vectors = [f.fc[0], f.fc[1] - 1, 0 * f.fc[2], 0 * f.fc[3] - 2, -f.fc[4] - 0.25, f.fc[5] + 8]
    return coded(*vectors, coder="raw", quantiser="uniform", bits=6)


@vector(192)
def batch_ranges_channel(f: Features) -> bytes:
    """small maps with a range per feature and channel"""
    maps = f.pool[:4, :5] * np.array([1, 40, 0.3, 1], np.float32)[:, None, None, None] - np.float32(
        0.25
    )
    return coded(
        *maps, coder="zlib", quantiser="uniform", bits=7, range="channel", batch=True, index=False
    )


@vector(193)
def batch_ranges_log(f: Features) -> bytes:
    """steps and exponents of the logarithmic quantiser, one per feature"""
    vectors = f.fc[:6] * np.array([1, 1e-7, 50, 0, 1e-5, 3], np.float32)[:, None]
    return coded(*vectors, coder="raw", quantiser="log", bits=9)


@vector(194)
def batch_ranges_log_signed(f: Features) -> bytes:
    """logarithmic steps per feature and channel, with signs"""
    maps = (f.pool[:3, :4] - 0.5) * np.array([1, 5, 0.01], np.float32)[:, None, None, None]
    return coded(*maps, coder="zlib", quantiser="log", bits=6, range="channel", batch=True)


def _with_codes(stream: bytes, codes: str) -> bytes:
    """Give the batch in unit 2 codes of ranges, a text of bits that fill whole bytes."""
    payloads = element(stream, 2, "coded_feature_batch.payloads").value.hex()
    for edit in (
        Set(2, "coded_feature_batch.payloads", f"{int(codes, 2):0{len(codes) // 4}x}{payloads}"),
        Set(2, "coded_feature_batch.range_codes_flag", 1),
    ):
        stream = edit(stream)
    return stream


@vector(195)
def batch_ranges_wide(f: Features) -> bytes:
    """codes of 31 bits for shifts by 31: 0, and the greatest, which stands for 0"""
    vectors = np.abs(f.fc[:8]) - np.float32(1)
    stream = coded(*vectors, coder="raw", quantiser="uniform", bits=8, clip=(-3, 5), index=False)
    most = 2**31 - 1
    low, high = (0, most, most, 0, most, 0, most, most), (0, 0, most, most, 0, 0, most, 0)
    codes = 3 * "11111" + "".join(format(code, "031b") for code in (*low, *high)) + "0"
    return _with_codes(stream, codes)


@vector(196)
def fc_ranges(f: Features) -> bytes:
    """vectors of a batch with a range per element, some elements constant"""
    vectors = f.fc[:7].copy()
    vectors[:, 5] *= 1000
    vectors[:, 9] = -0.1
    return coded(*vectors, coder="raw", quantiser="uniform", bits=8, range="channel")


@vector(197)
def fc_ranges_log(f: Features) -> bytes:
    """vectors in units of their own, with a logarithmic step per element"""
    return coded(
        *f.fc[:2], coder="raw", quantiser="log", bits=5, range="channel", batch=False, index=False
    )


@vector(198)
def native_batch_ranges(f: Features) -> bytes:
    """native vectors with a range each"""
    return native(*_scaled(f.fc[:8]), qp=24)


@vector(199)
def native_fc_ranges(f: Features) -> bytes:
    """native vectors with a range per element"""
    return native(*f.fc[:6].astype(BRAIN), qp=24, range="channel")


@vector(200, "8.6.4")
def native_sequence_ranges(_: Features) -> bytes:
    """a sequence in which ranges change from feature to feature"""
    maps = [
        hills(2, 16, 16) * np.float32(factor) + np.float32(offset)
        for factor, offset in ((1, 0), (1.3, -4), (0.7, 2.5), (0.7, 2.5), (0, 3), (0.1, 0))
    ]
    return native(*maps, qp=20, gop=8, bits=10, hash_size=8, index=False)


@vector(201, "8.6.4")
def native_sequence_ranges_channel(_: Features) -> bytes:
    """a sequence whose ranges change in one of two channels"""
    maps = [hills(2, 16, 16) for _ in range(4)]
    for number, one in enumerate(maps):
        one[1] *= np.float32(1 + number / 7)
    return native(*maps, qp=22, gop=8, range="channel", index=False)


@vector(202, "8.6.4")
def native_sequence_steps(_: Features) -> bytes:
    """a sequence in which logarithmic steps change, with signs"""
    maps = [(hills(2, 16, 16) - 12) * np.float32(factor) for factor in (1, 1.7, 0.6)]
    return native(*maps, qp=20, gop=8, quantiser="log", bits=9, index=False)


@vector(203, "8.6.3")
def batch_ranges_fine(_: Features) -> bytes:
    """codes that are not shifted: bounds of odd words, the least negative number and zeros among them"""
    vectors = np.linspace(-3, 5, 96, dtype=np.float32).reshape(6, 16)
    stream = coded(*vectors, coder="raw", quantiser="uniform", bits=4, clip=(-3, 5), index=False)
    low, high = (0, 1, 2, 3, 4, 4), (0, 1, 2, 2, 0, 3)
    codes = "00000" + "00011" + "00011" + "".join(f"{code:03b}" for code in (*low, *high))
    codes += "0" * (-len(codes) % 8)
    stream = _with_codes(stream, codes)
    for bound, word in (("range_min", "80000003"), ("range_max", "40490fdb")):
        stream = Set(2, f"coded_feature_batch.parameters.{bound}", [word])(stream)
    return stream


@vector(204, "8.6.3")
def batch_ranges_from_zero(_: Features) -> bytes:
    """bounds of features relative to 0 and to a common upper bound"""
    vectors = np.linspace(0, 5, 64, dtype=np.float32).reshape(4, 16)
    stream = coded(*vectors, coder="raw", quantiser="uniform", bits=4, clip=(0, 5), index=False)
    low, high = (0, 1000000, 3, 0), (5, 0, 2, 1048575)
    codes = "00111" + "10100" + "10100" + "".join(f"{code:020b}" for code in (*low, *high))
    codes += "0" * (-len(codes) % 8)
    return _with_codes(stream, codes)


@vector(430, "8.6.3")
def batch_codes_of_one_bit(_: Features) -> bytes:
    """codes of one bit: each bound is the common one, or 0"""
    vectors = np.linspace(-3, 5, 64, dtype=np.float32).reshape(4, 16)
    stream = coded(*vectors, coder="raw", quantiser="uniform", bits=4, clip=(-3, 5), index=False)
    low, high = "0101", "0011"
    return _with_codes(stream, "00000" + "00001" + "00001" + low + high + "0")


@edited(431, "batch-ranges-log", "log_exponent and log_step are others", "9.2")
def batch_ranges_log_limits() -> list[Edit]:
    """a log_exponent of a feature of a batch is 128, and a log_step 1"""
    return [
        Set(2, "coded_feature_batch.parameters.log_exponent", 121),
        Set(2, "coded_feature_batch.parameters.log_step", [(4073 << 10) + 1]),
    ]


def _maps(offset: float, factor: float) -> list[Feature]:
    """Two features of three channels, the second of which is the first one moved and scaled."""
    first, second = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    return [first - np.float32(offset), second * np.float32(factor)]


@vector(437, "8.6.3")
def batch_ranges_channel_low(_: Features) -> bytes:
    """lower and upper bounds of their own for each feature and channel"""
    return coded(
        *_maps(5, 3), coder="raw", quantiser="uniform", bits=5, range="channel", batch=True
    )


@vector(438, "8.6.3")
def batch_ranges_channel_log(_: Features) -> bytes:
    """an exponent of its own for each feature, and a step for each feature and channel"""
    return coded(*_maps(0, 1e-7), coder="raw", quantiser="log", bits=5, range="channel", batch=True)
