"""Batches, parameter sets, indices, metadata and hashes, with byte coders."""

from __future__ import annotations

import io

import numpy as np

from refcodec.suite.assemble import Copy, Edit, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.valid.build import coded, extent, native
from refcodec.suite.vectors import Features
from refcodec.writer import concat


@vector(30)
def empty(_: Features) -> bytes:
    """a stream without a feature"""
    return coded(coder="raw")


@vector(31)
def fc_single(f: Features) -> bytes:
    """one fc feature in a unit of its own"""
    return coded(f.fc[0], coder="raw", batch=False)


@vector(32)
def fc_batch(f: Features) -> bytes:
    """a batch of payloads of one size"""
    return coded(*f.fc[:12], coder="raw", quantiser="uniform", bits=8, clip=extent(f.fc[:12]))


@vector(33)
def fc_batch_sizes(f: Features) -> bytes:
    """a batch of payloads of different sizes, each with a sample hash"""
    clip = extent(f.fc[:6])
    return coded(*f.fc[:6], coder="zlib", quantiser="uniform", bits=6, clip=clip, hash_size=16)


@vector(34)
def batch_conv(f: Features) -> bytes:
    """a batch of pool features that share a range"""
    return coded(
        *f.pool[:4],
        coder="zlib",
        quantiser="uniform",
        bits=8,
        clip=extent(f.pool[:4]),
        batch=True,
        feature_type="pool",
    )


@vector(35)
def pyramid(f: Features) -> bytes:
    """the features of three layers of one image: three parameter sets"""
    return coded(
        f.conv[7],
        f.pool[7],
        f.fc[7],
        coder="zlib",
        quantiser="uniform",
        bits=8,
        batch=False,
        index=False,
    )


@vector(36)
def parameter_sets_alternate(f: Features) -> bytes:
    """features of two parameter sets in turn, with an index"""
    features = [layer[n] for n in (8, 9) for layer in (f.pool, f.fc)]
    return coded(
        *features,
        coder="gzip",
        quantiser="uniform",
        bits=8,
        batch=False,
    )


@edited(230, "raw-float32", "a copy of the parameter set follows it", "7.4", "9.1")
def parameter_set_repeated() -> Edit:
    """a parameter set replaces one that says the same"""
    return Copy(1, 2)


@vector(231, "7.4", "9.1")
def parameter_set_replaced(f: Features) -> bytes:
    """three parameter sets, each of which replaces the one that precedes it"""
    stream = coded(f.pool[8], f.fc[8], f.conv[6], coder="zlib", batch=False, index=False)
    for unit in (3, 5):
        stream = Set(unit + 1, "coded_feature.fps_id", 0)(stream)
        stream = Set(unit, "feature_parameter_set.fps_id", 0)(stream)
    return stream


@vector(232, "7.4", "7.9", "9.1")
def parameter_sets_many(f: Features) -> bytes:
    """300 parameter sets, 256 of them in force at the end, with an index"""
    features = [np.resize(f.fc, length) for length in range(1, 301)]
    return coded(*features, coder="raw", quantiser="uniform", bits=1, batch=False)


@vector(233, "7.4", "9.1")
def parameter_set_replaced_at_access_point(f: Features) -> bytes:
    """a parameter set replaces the one of a sequence, and an access point follows"""
    stream = native(*f.pool[4:8], qp=30, gop=2, index=False)
    return Copy(1, 4)(stream)


@vector(37)
def index(f: Features) -> bytes:
    """several features with an index"""
    return coded(*f.pool[10:14], coder="bzip2", quantiser="uniform", bits=4)


@vector(38)
def no_index(f: Features) -> bytes:
    """several features without an index"""
    return coded(*f.pool[10:13], coder="raw", quantiser="uniform", bits=4, index=False)


@vector(39)
def metadata(f: Features) -> bytes:
    """metadata in three languages, one value of it empty, precedes a feature"""
    return coded(
        f.fc[1],
        coder="raw",
        batch=False,
        metadata={"network": "digits", "Schicht": "Ähnlichkeit", "説明": "特徴", "note": ""},
    )


@vector(40)
def hash_units(f: Features) -> bytes:
    """hash units of samples and of reconstruction follow each of two features"""
    return coded(*f.pool[13:15], coder="raw", quantiser="uniform", bits=5, hashes=True, index=False)


@vector(41)
def hash_units_batch(f: Features) -> bytes:
    """hash units of a whole batch"""
    clip = extent(f.fc[14:18])
    return coded(*f.fc[14:18], coder="zlib", quantiser="log", bits=6, clip=clip, hashes=True)


@vector(42)
def sample_hash_32(f: Features) -> bytes:
    """a sample hash of all 32 bytes with a byte coder"""
    return coded(f.pool[15], coder="zlib", quantiser="uniform", bits=3, hash_size=32)


@vector(440, "9.5")
def index_of_pairs(f: Features) -> bytes:
    """an index of a batch of two features and one of one: a bit for each number of features"""
    vectors, target = f.fc[:3, :4], io.BytesIO()
    parts = (vectors[:2], vectors[2:])
    concat(target, [coded(*part, coder="raw", batch=True) for part in parts])
    return target.getvalue()
