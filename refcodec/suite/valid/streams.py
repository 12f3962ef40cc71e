"""Batches, parameter sets, indices, metadata and hashes, with byte coders."""

from __future__ import annotations

from refcodec.suite.define import vector
from refcodec.suite.valid.build import coded, extent
from refcodec.suite.vectors import Features


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
