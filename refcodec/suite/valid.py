"""The vectors that every decoder of their profile must decode, in the order of their numbers."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from refcodec.inspector import inspect
from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.vectors import Definition, Edits, Encode, words
from refcodec.writer import create

__all__ = ["VALID"]

Feature = npt.NDArray[Any]

_HALF = np.dtype(np.float16)
_BRAIN = np.dtype(ml_dtypes.bfloat16)


def _stream(features: Iterable[Feature], **options: Any) -> bytes:
    """A stream of features under one configuration."""
    target = io.BytesIO()
    with create(target, workers=1, **options) as writer:
        for feature in features:
            writer.write(feature)
    return target.getvalue()


def _one(feature: Feature, **options: Any) -> bytes:
    return _stream([feature], **options)


def _samples(dtype: np.dtype[Any], span: tuple[float, float], samples: range) -> bytes:
    """A stream of chosen 16-bit samples, which no feature of the source type would give."""
    blank = np.zeros((len(samples), 1, 1), dtype)
    stream = _one(blank, coder="raw", quantiser="uniform", bits=16, clip=span)
    return Set(2, "coded_feature.payload", np.array(samples, ">u2").tobytes().hex())(stream)


def _recompressed(stream: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The stream with the payload of its one feature changed."""
    feature = next(unit for unit in inspect(stream) if unit.name == "coded_feature")
    payload = next(one.value for one in feature.elements if one.name == "payload")
    return Set(2, "coded_feature.payload", change(payload).hex())(stream)


def _with_header_fields(member: bytes) -> bytes:
    """A gzip member with all the optional fields of RFC 1952."""
    fields = b"\x04\x00demo" + b"feature\0" + b"a comment\0"
    header = member[:3] + b"\x1e" + member[4:10] + fields
    return header + (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") + member[10:]


def _always(*edits: Edit) -> Edits:
    return lambda _: edits


def _made(number: int, name: str, purpose: str, encode: Encode, *clauses: str) -> Definition:
    return Definition(number, name, purpose, clauses, encode=encode)


def _edited(
    number: int, name: str, purpose: str, origin: str, change: str, edit: Edit, *clauses: str
) -> Definition:
    return Definition(
        number, name, purpose, clauses, origin=origin, change=change, edits=_always(edit)
    )


_SPECIAL_32 = words(
    np.float32,
    *(0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0x7F800000, 0xFF800000),
    *(0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF, 0x3F800000),
)
_SPECIAL_16 = words(
    _HALF, 0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7C01, 0x3C00
)
_SPECIAL_BRAIN = words(
    _BRAIN, 0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 0x7F81, 0x3F80
)
_MIDDLE = 1 + 2**-8
"""Halfway between 1 and the next bfloat16 number."""

_LOSSLESS = (
    _made(
        1, "raw-float32", "float32 values stored as they are",
        lambda f: _one(f.pool[0], coder="raw"),
    ),
    _made(
        2, "raw-float16", "float16 values stored as they are",
        lambda f: _one(f.pool[0].astype(_HALF), coder="raw"),
    ),
    _made(
        3, "raw-bfloat16", "bfloat16 values stored as they are",
        lambda f: _one(f.pool[0].astype(_BRAIN), coder="raw"),
    ),
    _made(
        4, "special-float32",
        "NaN payloads, infinities, subnormals and -0.0 of float32 survive bit for bit",
        lambda f: _one(_SPECIAL_32, coder="raw", batch=False), "8.6",
    ),
    _made(
        5, "special-float16",
        "NaN payloads, infinities, subnormals and -0.0 of float16 survive bit for bit",
        lambda f: _one(_SPECIAL_16, coder="raw", batch=False), "8.6",
    ),
    _made(
        6, "special-bfloat16",
        "NaN payloads, infinities, subnormals and -0.0 of bfloat16 survive bit for bit",
        lambda f: _one(_SPECIAL_BRAIN, coder="raw", batch=False), "8.6",
    ),
    _made(
        7, "raw-1-bit", "samples of one bit, eight a byte",
        lambda f: _one(f.pool[1], coder="raw", quantiser="uniform", bits=1),
    ),
    _made(
        8, "raw-7-bit", "samples of seven bits across byte borders",
        lambda f: _one(f.pool[1], coder="raw", quantiser="uniform", bits=7),
    ),
    _made(
        9, "raw-16-bit", "samples of sixteen bits, most significant byte first",
        lambda f: _one(f.pool[1], coder="raw", quantiser="uniform", bits=16),
    ),
    _made(
        10, "raw-padding", "one element of three bits: the smallest feature, and five padding bits",
        lambda f: _one(
            np.full((1, 1, 1), 2.5, np.float32),
            coder="raw", quantiser="uniform", bits=3, clip=(-1, 4),
        ),
    ),
    _made(
        11, "zlib-float32", "float32 values under zlib",
        lambda f: _one(f.pool[2], coder="zlib"),
    ),
    _made(
        12, "zlib-7-bit", "quantised samples under zlib are whole bytes, not packed bits",
        lambda f: _one(f.pool[2], coder="zlib", quantiser="uniform", bits=7),
    ),
    _made(
        13, "gzip-10-bit", "16-bit words, little-endian, in one gzip member",
        lambda f: _one(f.pool[2], coder="gzip", quantiser="uniform", bits=10),
    ),
    _made(
        14, "bzip2-8-bit", "one bzip2 stream",
        lambda f: _one(f.pool[2], coder="bzip2", quantiser="uniform", bits=8),
    ),
    _made(
        15, "lzma-float16", "one xz stream of float16 values",
        lambda f: _one(f.pool[2].astype(_HALF), coder="lzma"),
    ),
    _made(
        16, "zlib-shuffle", "the bytes of float32 values grouped by significance",
        lambda f: _one(f.pool[3], coder="zlib", shuffle=True),
    ),
    _made(
        17, "lzma-shuffle-12-bit", "the bytes of 16-bit sample words grouped by significance",
        lambda f: _one(f.conv[3], coder="lzma", quantiser="uniform", bits=12, shuffle=True),
    ),
)  # fmt: skip

_QUANTISERS = (
    _made(
        20, "uniform-range-min", "a uniform range that does not begin at zero",
        lambda f: _one(f.pool[4] - 1.25, coder="zlib", quantiser="uniform", bits=6),
    ),
    _made(
        21, "uniform-range-channel", "a uniform range for each channel, some of them of no width",
        lambda f: _one(
            np.where(np.arange(16).reshape(16, 1, 1) % 5 > 0, f.conv[4], np.float32(-0.5)),
            coder="zlib", quantiser="uniform", bits=5, range="channel",
        ),
    ),
    _made(
        22, "uniform-constant", "a constant feature: range_max equals range_min",
        lambda f: _one(
            np.full((3, 2, 2), -0.75, np.float32), coder="raw", quantiser="uniform", bits=8
        ),
    ),
    _made(
        23, "uniform-float16-saturates",
        "values are rounded to float16 once; what exceeds its range saturates",
        lambda f: _samples(_HALF, (-70000, 70000), range(0, 65536, 257)), "8.7",
    ),
    _made(
        24, "uniform-bfloat16-rounds-once",
        "values by the middle of two bfloat16 numbers, where rounding by way of float32 errs",
        lambda f: _samples(_BRAIN, (_MIDDLE - 2**-11, _MIDDLE + 2**-11), range(32704, 32832)), "8.7",
    ),
    _made(
        25, "log-unsigned", "logarithmic samples of a feature without negative values",
        lambda f: _one(f.pool[5], coder="zlib", quantiser="log", bits=8),
    ),
    _made(
        26, "log-signed", "logarithmic samples with a sign, six bits",
        lambda f: _one(f.pool[5] - 1.5, coder="raw", quantiser="log", bits=6),
    ),
    _made(
        27, "log-exponent", "tiny values: log_exponent is not zero",
        lambda f: _one(f.pool[5] * np.float32(2.0**-40), coder="raw", quantiser="log", bits=10),
    ),
    _made(
        28, "log-range-channel", "a logarithmic step for each channel, signed",
        lambda f: _one(
            f.pool[6] - 0.5, coder="zlib", quantiser="log", bits=7, range="channel"
        ),
    ),
    _made(
        29, "log-16-bit", "the finest logarithmic samples, to exercise both tables of powers",
        lambda f: _one(f.conv[6], coder="lzma", quantiser="log", bits=16),
    ),
)  # fmt: skip

_STREAMS = (
    _made(30, "empty", "a stream without a feature", lambda f: _stream([], coder="raw")),
    _made(
        31, "fc-single", "one fc feature in a unit of its own",
        lambda f: _one(f.fc[0], coder="raw", batch=False),
    ),
    _made(
        32, "fc-batch", "a batch of payloads of one size",
        lambda f: _stream(f.fc[:12], coder="raw", quantiser="uniform", bits=8),
    ),
    _made(
        33, "fc-batch-sizes", "a batch of payloads of different sizes, each with a sample hash",
        lambda f: _stream(f.fc[:6], coder="zlib", quantiser="uniform", bits=6, hash_size=16),
    ),
    _made(
        34, "batch-conv", "a batch of pool features that share a range",
        lambda f: _stream(
            f.pool[:4], coder="zlib", quantiser="uniform", bits=8,
            batch=True, feature_type="pool",
        ),
    ),
    _made(
        35, "pyramid", "the features of three layers of one image: three parameter sets",
        lambda f: _stream(
            [f.conv[7], f.pool[7], f.fc[7]],
            coder="zlib", quantiser="uniform", bits=8, batch=False, index=False,
        ),
    ),
    _made(
        36, "parameter-sets-alternate", "features of two parameter sets in turn, with an index",
        lambda f: _stream(
            [layer[n] for n in (8, 9) for layer in (f.pool, f.fc)],
            coder="gzip", quantiser="uniform", bits=8, batch=False,
        ),
    ),
    _made(
        37, "index", "several features with an index",
        lambda f: _stream(f.pool[10:14], coder="bzip2", quantiser="uniform", bits=4),
    ),
    _made(
        38, "no-index", "several features without an index",
        lambda f: _stream(f.pool[10:13], coder="raw", quantiser="uniform", bits=4, index=False),
    ),
    _made(
        39, "metadata", "text in three languages in front of a feature, and an empty value",
        lambda f: _one(
            f.fc[1], coder="raw", batch=False,
            metadata={"network": "digits", "Schicht": "Ähnlichkeit", "説明": "特徴", "note": ""},
        ),
    ),
    _made(
        40, "hash-units", "hash units of samples and of reconstruction behind each of two features",
        lambda f: _stream(
            f.pool[13:15], coder="raw", quantiser="uniform", bits=5, hashes=True, index=False
        ),
    ),
    _made(
        41, "hash-units-batch", "hash units of a whole batch",
        lambda f: _stream(f.fc[14:18], coder="zlib", quantiser="log", bits=6, hashes=True),
    ),
    _made(
        42, "sample-hash-32", "a sample hash of all 32 bytes with a byte coder",
        lambda f: _one(f.pool[15], coder="zlib", quantiser="uniform", bits=3, hash_size=32),
    ),
    _edited(
        43, "unknown-unit", "a unit of unknown type that a decoder may skip",
        "raw-float32", "a unit of type 99 with skippable_flag 1 stands in front of the feature",
        Insert(2, 99, 1, "446565702046656174757265"), "C.1",
    ),
    Definition(
        44, "newer-minor-version",
        "a decoder reads a later minor version, though no stream of this version has it",
        ("7.2",), origin="raw-float32", change="version_minor is 7",
        edits=_always(Set(0, "stream_header.version_minor", 7)),
        violation=("constraint", "7.2", (0, "stream_header.version_minor")),
    ),
    Definition(
        45, "reserved-ignored-bits",
        "a decoder ignores these bits, though no stream of this version sets them",
        ("9.6",), origin="raw-float32", change="reserved_ignored_2bits is 3",
        edits=_always(Set(0, "stream_header.reserved_ignored_2bits", 3)),
        violation=("constraint", "9.6", (0, "stream_header.reserved_ignored_2bits")),
    ),
    Definition(
        46, "index-reserved-bits", "a decoder ignores these bits of the index, too",
        ("9.6",), origin="index", change="reserved_ignored_4bits is 1",
        edits=_always(Set(6, "index.reserved_ignored_4bits", 1)),
        violation=("constraint", "9.6", (6, "index.reserved_ignored_4bits")),
    ),
    Definition(
        47, "skippable-flag-wrong", "a decoder ignores skippable_flag of types that it knows",
        ("9.1",), origin="raw-float32", change="skippable_flag of a coded feature is 1",
        edits=_always(Set(2, "unit.skippable_flag", 1)),
        violation=("constraint", "9.1", (2, "")),
    ),
    _made(
        50, "uniform-three-roundings", "samples that fused or reordered arithmetic gets wrong",
        lambda f: _samples(np.dtype(np.float32), (-0.1, 0.2), range(21837, 21853)), "4.3", "8.6.1",
    ),
    _made(
        51, "uniform-subnormal-float16", "float16 results below the smallest normal number",
        lambda f: _samples(_HALF, (-6e-6, 6e-6), range(32256, 33280, 37)), "4.3", "8.7",
    ),
    _made(
        52, "uniform-subnormal-float32", "float32 results below the smallest normal number",
        lambda f: _samples(np.dtype(np.float32), (-1e-40, 3e-40), range(0, 65536, 4099)),
        "4.3", "8.7",
    ),
    _made(
        53, "level-2", "a feature of 65,600 elements, too many for level 1",
        lambda f: _one(np.resize(f.conv, (41, 40, 40)), coder="raw", quantiser="uniform", bits=1),
        "A.3",
    ),
    _edited(
        54, "kept-unit-skipped", "a unit of a kept type that a decoder may skip", "raw-float32",
        "a unit of type 4 with skippable_flag 1 stands in front of the feature",
        Insert(2, 4, 1, "00"), "C.1",
    ),
    _made(
        48, "gzip-header-fields", "a gzip member with a name, a comment, extra bytes and a CRC16",
        lambda f: _recompressed(_one(f.pool[5], coder="gzip"), _with_header_fields),
    ),
    _made(
        49, "lzma-crc64", "an xz stream with a CRC64 over its content",
        lambda f: _recompressed(
            _one(f.pool[5], coder="lzma"),
            lambda data: lzma.compress(lzma.decompress(data), lzma.FORMAT_XZ, lzma.CHECK_CRC64),
        ),
    ),
)  # fmt: skip

_STEPS = tuple(22 + 4 * (c % 4) for c in range(16))
_REVERSED = tuple(reversed(range(16)))

_HEVC = (
    _made(
        60, "hevc-8-bit", "channels tiled on one frame of 8 bits",
        lambda f: _one(f.conv[4], qp=30, bits=8, restoration="off"),
    ),
    _made(
        61, "hevc-10-bit", "channels tiled on one frame of 10 bits",
        lambda f: _one(f.conv[4], qp=27, bits=10, restoration="off"),
    ),
    _made(
        62, "hevc-12-bit", "channels tiled on one frame of 12 bits",
        lambda f: _one(f.conv[4], qp=24, bits=12, restoration="off"),
    ),
    _made(
        63, "hevc-6-bit", "samples of 6 bits on frames of 8; decoded ones beyond 63 are clipped",
        lambda f: _one(
            (f.conv[5] > 0.8).astype(np.float32), qp=34, bits=6, restoration="off"
        ),
    ),
    _made(
        64, "hevc-lossless", "quantised samples survive without further loss",
        lambda f: _one(f.pool[5], lossless=True, bits=8),
    ),
    _made(
        65, "hevc-frame-packing", "one channel a frame, padded to the smallest frame",
        lambda f: _one(f.pool[6][:4], qp=30, bits=8, packing="frame", restoration="off"),
        "8.4.1",
    ),
    _made(
        66, "hevc-qp-channel", "four QPs among the channels: four frames, ordered by QP",
        lambda f: _one(f.conv[6], qp=_STEPS, bits=8, restoration="off"), "7.5.2",
    ),
    _made(
        67, "hevc-qp-channel-frames", "four QPs among the channels, one channel a frame",
        lambda f: _one(
            f.pool[7][:6], qp=_STEPS[:6], bits=8, packing="frame", restoration="off"
        ),
        "7.5.2",
    ),
    _made(
        68, "hevc-order-explicit", "channels tiled in reverse order",
        lambda f: _one(f.conv[7], qp=34, bits=8, order=_REVERSED, restoration="off"),
    ),
    _made(
        69, "hevc-restoration-tensor", "mean and deviation of the whole feature are restored",
        lambda f: _one(f.conv[0], qp=44, bits=10, restoration="tensor"),
    ),
    _made(
        70, "hevc-restoration-channel", "mean and deviation of each channel are restored",
        lambda f: _one(f.conv[0], qp=46, bits=10, restoration="channel"),
    ),
    _made(
        71, "hevc-log", "logarithmic samples on HEVC frames",
        lambda f: _one(f.conv[1], qp=28, bits=10, quantiser="log"),
    ),
    _made(
        72, "hevc-range-channel", "a range for each channel",
        lambda f: _one(f.conv[1], qp=30, bits=8, range="channel", restoration="off"),
    ),
    _made(
        73, "hevc-float16", "float16 features by way of HEVC",
        lambda f: _one(f.conv[2].astype(_HALF), qp=32, bits=10, restoration="off"),
    ),
    _made(
        74, "hevc-fc", "an fc feature: every value a tile of one sample",
        lambda f: _one(f.fc[6], qp=20, bits=8, restoration="off"),
    ),
    _made(
        75, "hevc-several", "several features, all intra, with an index",
        lambda f: _stream(f.pool[10:13], qp=30, bits=8, restoration="off"),
    ),
    _made(
        76, "hevc-sequence",
        "seven features predicted over time, with an access point every three, and an index",
        lambda f: _stream(_sequence(f.pool[14]), qp=30, bits=8, gop=3, restoration="off"),
        "9.1",
    ),
    _made(
        77, "hevc-and-lossless", "one stream with an HEVC and a lossless parameter set",
        lambda f: _mixed(f.pool[15], f.fc[15]),
    ),
    _made(
        79, "hevc-conformance-window", "frames of 28 x 32, which HEVC codes as 32 x 32 and crops",
        lambda f: _one(f.conv[3][:, :, 1:], qp=30, bits=8, restoration="off"), "9.3.1",
    ),
    _made(
        80, "hevc-sequence-qps", "a sequence with two QPs, hence two frames a feature",
        lambda f: _stream(
            _sequence(f.pool[3])[:4], qp=(24,) * 8 + (34,) * 8, bits=8, gop=4, restoration="off"
        ),
        "8.4.1",
    ),
    _made(
        78, "hevc-sequence-no-index", "a sequence with one access point, without an index",
        lambda f: _stream(
            _sequence(f.pool[0])[:3], qp=32, bits=8, gop=8, index=False, restoration="off"
        ),
    ),
)  # fmt: skip


def _sequence(feature: Feature) -> list[Feature]:
    """A feature that moves to the right, pixel by pixel, and fades."""
    return [np.roll(feature, n, axis=2) * np.float32(1 - n / 16) for n in range(7)]


def _mixed(picture: Feature, vector: Feature) -> bytes:
    from refcodec.config import EncoderConfig

    target = io.BytesIO()
    with create(target, qp=30, bits=8, restoration="off", index=False, workers=1) as writer:
        writer.write(picture)
        writer.write(vector, config=EncoderConfig(coder="zlib", batch=False))
    return target.getvalue()


VALID = (*_LOSSLESS, *_QUANTISERS, *_STREAMS, *_HEVC)
