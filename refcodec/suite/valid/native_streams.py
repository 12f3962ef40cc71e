"""Native features: sequences, several features, source types and hashes."""

from __future__ import annotations

import io

import numpy as np

from refcodec.config import EncoderConfig
from refcodec.suite.make.define import vector
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import extent, native
from refcodec.suite.valid.content import checks, content, every_other
from refcodec.suite.valid.values import BRAIN, HALF, hills
from refcodec.suite.vectors import Features
from refcodec.writer import create


@vector(120, "9.1")
def native_sequence(_: Features) -> bytes:
    """seven features that move, an access point every four, an index"""
    return native(*[hills(2, 24, 20, n) for n in range(7)], qp=26, gop=4)


@vector(121)
def native_sequence_no_index(_: Features) -> bytes:
    """a sequence of three with one access point"""
    return native(*[hills(2, 16, 16, n) for n in range(3)], qp=30, gop=8, index=False, hash_size=8)


@vector(122)
def native_displaced_far(_: Features) -> bytes:
    """blocks with and without prediction from a feature displaced as far as is legal"""
    return content(
        Content(pattern((2, 19, 22), 5, 6), split=every_other, mode=2, offsets=(900,)),
        Content(pattern((2, 19, 22), 9, 3), split=every_other, temporal=checks, shift=(-5, 64)),
        Content(pattern((2, 19, 22), 9, 2), block=4, shift=(3, 3), origin=12),
        Content(pattern((2, 19, 22), 12, 2), temporal=checks, shift=(-64, 1)),
        qp=36,
    )


@vector(123)
def native_zero(_: Features) -> bytes:
    """a feature of zeros"""
    return native(np.zeros((5, 9, 8), np.float32))


@vector(124)
def native_log(f: Features) -> bytes:
    """logarithmic samples with a sign"""
    return native(f.conv[1] - 0.5, qp=20, quantiser="log", bits=10)


@vector(125)
def native_range_channel(f: Features) -> bytes:
    """a range per channel"""
    return native(f.conv[2], qp=26, range="channel")


@vector(126)
def native_weights(f: Features) -> bytes:
    """channels of different weights, which the stream does not hold"""
    weights = np.array([1 + 3 * (c % 4) for c in range(16)], np.float32)
    target = io.BytesIO()
    with create(target, coder="native", qp=30, bits=12, workers=1) as writer:
        writer.write(f.conv[3], weights=weights)
    return target.getvalue()


@vector(127)
def native_several(f: Features) -> bytes:
    """several features in units of their own, with an index"""
    return native(*f.pool[8:11], qp=28, batch=False, speed="fast")


@vector(157, "A.3")
def native_sequence_longest(f: Features) -> bytes:
    """the longest sequence of level 1, and the access point that follows it"""
    moving = (f.pool[n % 8, :2] for n in range(33))
    return native(*moving, qp=34, gop=32)


@vector(158, "A.3")
def native_sequence_largest(f: Features) -> bytes:
    """a sequence of as many samples as level 1 admits, and the access point that follows it"""
    return native(*[np.zeros((1, 256, 256), np.float32)] * 17, gop=16, index=False)


@vector(128)
def native_float16(f: Features) -> bytes:
    """float16 features coded with native"""
    return native(f.pool[11].astype(HALF), qp=20)


@vector(129)
def native_bfloat16(f: Features) -> bytes:
    """bfloat16 features coded with native"""
    return native(f.pool[12].astype(BRAIN), qp=20)


@vector(130)
def native_hash_units(f: Features) -> bytes:
    """hash units of a batch of native features"""
    clip = extent(f.pool[13:15])
    return native(*f.pool[13:15], qp=24, clip=clip, hashes=True, feature_type="pool")


@vector(132)
def native_sample_hash(f: Features) -> bytes:
    """a sample hash with a native feature"""
    return native(f.pool[7], qp=24, hash_size=32, batch=False)


@vector(131)
def native_and_others(f: Features) -> bytes:
    """one stream with a byte coder and both native coders"""
    target = io.BytesIO()
    with create(target, coder="native", index=False, workers=1) as writer:
        writer.write(f.fc[15], config=EncoderConfig(coder="zlib", batch=False))
        writer.write(f.pool[15], config=EncoderConfig(coder="native", qp=30, bits=16, batch=False))
        writer.write(f.pool[15], config=EncoderConfig(coder="native-lossless"))
    return target.getvalue()


@vector(444)
def native_temporal_mixed(_: Features) -> bytes:
    """blocks of all sizes, three in five of them predicted, whose levels are dense or sparse"""
    shape = (2, 24, 28)
    chosen = pattern(shape, 1, 40) % 5 < 3
    later = pattern(shape, 2, 3)
    later[1] //= 2

    def split(c: int, y: int, x: int, height: int, width: int) -> bool:
        return (3 * c + y + x + height) % 3 > 0

    def temporal(c: int, y: int, x: int, height: int, width: int) -> bool:
        return bool(chosen[c, y, x])

    first = Content(pattern(shape, 3, 6), split=every_other)
    return content(first, Content(later, split=split, temporal=temporal), qp=34, bits=10)


@vector(450)
def native_65_samples(_: Features) -> bytes:
    """blocks of 65 samples, one more than the second class of sizes has"""
    return content(Content(pattern((3, 5, 13), 2, 9)), qp=30, bits=10)


@vector(451)
def native_17_samples(_: Features) -> bytes:
    """blocks of 17 samples, one more than the first class of sizes has"""
    return content(Content(pattern((3, 1, 17), 2, 9), block=32), qp=30, bits=10)


@vector(452, "9.1", "A.3")
def native_sequences_long(_: Features) -> bytes:
    """two sequences of twenty features, in a stream of level 1, which allows 32 in each"""
    values = [np.full((1, 1, 1), n % 5, np.float32) for n in range(40)]
    return native(*values, qp=20, gop=20, bits=8, clip=(0, 8), index=False)


@vector(456)
def native_qp_delta_1(_: Features) -> bytes:
    """QPs of channels that differ by one: differences of one bit"""
    return native(hills(3, 4, 5), qp=(24, 25, 24))
