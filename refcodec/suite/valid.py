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
from refcodec.suite import native
from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.native import Content
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


def _hevcs(features: Iterable[Feature], **options: Any) -> bytes:
    return _stream(features, coder="hevc", **options)


def _hevc(feature: Feature, **options: Any) -> bytes:
    return _hevcs([feature], **options)


def _natives(features: Iterable[Feature], **options: Any) -> bytes:
    return _stream(features, coder="native", **{"bits": 12, **options})


def _native(feature: Feature, **options: Any) -> bytes:
    return _natives([feature], **options)


def _exact(features: Iterable[Feature], **options: Any) -> bytes:
    return _stream(features, coder="native-lossless", **options)


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
        lambda f: _hevc(f.conv[4], qp=30, bits=8, restoration="off"),
    ),
    _made(
        61, "hevc-10-bit", "channels tiled on one frame of 10 bits",
        lambda f: _hevc(f.conv[4], qp=27, bits=10, restoration="off"),
    ),
    _made(
        62, "hevc-12-bit", "channels tiled on one frame of 12 bits",
        lambda f: _hevc(f.conv[4], qp=24, bits=12, restoration="off"),
    ),
    _made(
        63, "hevc-6-bit", "samples of 6 bits on frames of 8; decoded ones beyond 63 are clipped",
        lambda f: _hevc(
            (f.conv[5] > 0.8).astype(np.float32), qp=34, bits=6, restoration="off"
        ),
    ),
    _made(
        64, "hevc-lossless", "quantised samples survive without further loss",
        lambda f: _hevc(f.pool[5], lossless=True, bits=8),
    ),
    _made(
        65, "hevc-frame-packing", "one channel a frame, padded to the smallest frame",
        lambda f: _hevc(f.pool[6][:4], qp=30, bits=8, packing="frame", restoration="off"),
        "8.4.1",
    ),
    _made(
        66, "hevc-qp-channel", "four QPs among the channels: four frames, ordered by QP",
        lambda f: _hevc(f.conv[6], qp=_STEPS, bits=8, restoration="off"), "7.5.2",
    ),
    _made(
        67, "hevc-qp-channel-frames", "four QPs among the channels, one channel a frame",
        lambda f: _hevc(
            f.pool[7][:6], qp=_STEPS[:6], bits=8, packing="frame", restoration="off"
        ),
        "7.5.2",
    ),
    _made(
        68, "hevc-order-explicit", "channels tiled in reverse order",
        lambda f: _hevc(f.conv[7], qp=34, bits=8, order=_REVERSED, restoration="off"),
    ),
    _made(
        69, "hevc-restoration-tensor", "mean and deviation of the whole feature are restored",
        lambda f: _hevc(f.conv[0], qp=44, bits=10, restoration="tensor"),
    ),
    _made(
        70, "hevc-restoration-channel", "mean and deviation of each channel are restored",
        lambda f: _hevc(f.conv[0], qp=46, bits=10, restoration="channel"),
    ),
    _made(
        71, "hevc-log", "logarithmic samples on HEVC frames",
        lambda f: _hevc(f.conv[1], qp=28, bits=10, quantiser="log"),
    ),
    _made(
        72, "hevc-range-channel", "a range for each channel",
        lambda f: _hevc(f.conv[1], qp=30, bits=8, range="channel", restoration="off"),
    ),
    _made(
        73, "hevc-float16", "float16 features by way of HEVC",
        lambda f: _hevc(f.conv[2].astype(_HALF), qp=32, bits=10, restoration="off"),
    ),
    _made(
        74, "hevc-fc", "an fc feature: every value a tile of one sample",
        lambda f: _hevc(f.fc[6], qp=20, bits=8, restoration="off"),
    ),
    _made(
        75, "hevc-several", "several features, all intra, with an index",
        lambda f: _hevcs(f.pool[10:13], qp=30, bits=8, restoration="off"),
    ),
    _made(
        76, "hevc-sequence",
        "seven features predicted over time, with an access point every three, and an index",
        lambda f: _hevcs(_sequence(f.pool[14]), qp=30, bits=8, gop=3, restoration="off"),
        "9.1",
    ),
    _made(
        77, "hevc-and-lossless", "one stream with an HEVC and a lossless parameter set",
        lambda f: _mixed(f.pool[15], f.fc[15]),
    ),
    _made(
        79, "hevc-conformance-window", "frames of 28 x 32, which HEVC codes as 32 x 32 and crops",
        lambda f: _hevc(f.conv[3][:, :, 1:], qp=30, bits=8, restoration="off"), "9.3.1",
    ),
    _made(
        80, "hevc-sequence-qps", "a sequence with two QPs, hence two frames a feature",
        lambda f: _hevcs(
            _sequence(f.pool[3])[:4], qp=(24,) * 8 + (34,) * 8, bits=8, gop=4, restoration="off"
        ),
        "8.4.1",
    ),
    _made(
        78, "hevc-sequence-no-index", "a sequence with one access point, without an index",
        lambda f: _hevcs(
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
    options: dict[str, Any] = {"qp": 30, "bits": 8, "restoration": "off", "index": False}
    with create(target, coder="hevc", workers=1, **options) as writer:
        writer.write(picture)
        writer.write(vector, config=EncoderConfig(coder="zlib", batch=False))
    return target.getvalue()


# --- native ----------------------------------------------------------------------------------------


def _content(*contents: Content, value: float = 0.0, eighths: int = 0, **options: Any) -> bytes:
    """A stream of payloads of chosen content, with a temporal prediction where there are several.

    value   : of the feature that the payloads are put in the place of.
    eighths : added to its QP.
    """
    blank = np.full(contents[0].levels.shape, value, np.float32)
    gop = len(contents) if len(contents) > 1 else 0
    wanted: dict[str, Any] = {"clip": (-1, 7), "batch": False, "gop": gop, "index": False}
    stream = _natives([blank] * len(contents), **{**wanted, **options})
    if eighths:
        stream = Set(2, "coded_feature.parameters.qp_eighths", eighths)(stream)
    previous = None
    for number, content in enumerate(contents):
        one = native.coded_features(stream)[number]
        payload, previous = content.code(one.fps, one.parameters, previous)
        stream = Set(2 + number, "coded_feature.payload", payload.hex())(stream)
    return stream


def _hills(channels: int, height: int, width: int, moved: int = 0) -> Feature:
    """Smooth maps of whole numbers, moved right by some samples and down by twice as many."""
    c, y, x = np.ogrid[:channels, :height, :width]
    y, x = y - 2 * moved, x - moved
    folded = (3 * x + 5 * y + 7 * c) % 64
    heights: Any = np.minimum(folded, 64 - folded) + ((x * x + 3 * y) // 37 + c) % 11
    hills: Feature = heights.astype(np.float32)
    return hills


def _weighted(feature: Feature, weights: Feature, **options: Any) -> bytes:
    target = io.BytesIO()
    with create(target, coder="native", bits=12, workers=1, **options) as writer:
        writer.write(feature, weights=weights)
    return target.getvalue()


def _all_coders(picture: Feature, vector: Feature) -> bytes:
    from refcodec.config import EncoderConfig

    target = io.BytesIO()
    with create(target, coder="native", qp=30, index=False, workers=1) as writer:
        writer.write(vector, config=EncoderConfig(coder="zlib", batch=False))
        writer.write(picture, config=EncoderConfig(coder="native", qp=30, bits=16, batch=False))
        writer.write(picture, config=EncoderConfig(coder="native-lossless"))
    return target.getvalue()


def _every_other(c: int, y: int, x: int, height: int, width: int) -> bool:
    """Split blocks without order, to every depth."""
    return (7 * c + 5 * y + 3 * x + height + 2 * width) % 3 > 0


def _checks(c: int, y: int, x: int, height: int, width: int) -> bool:
    return (c + y // 4 + x // 8) % 2 > 0


def _large_levels() -> npt.NDArray[np.int32]:
    """Levels about and beyond every bound of their codes."""
    levels = native.pattern((3, 9, 9), 5, 40)
    sizes = [1 << n for n in range(26)]
    for c in range(3):
        levels[c].ravel()[c : 78 + c : 3] = [
            size * (1 - 2 * ((n + c) % 2)) - c % 2 * (n < 25) for n, size in enumerate(sizes)
        ]
    return levels


_MIXED_QPS = tuple(12 + 5 * (c % 5) for c in range(16))
_OFFSETS = (0, 3, -3, 3, 250, -4000, 17, -1)
_GAINS = (0, 1, -24, 32, 5, 0, -7, 20)

_BOUNDS = Content(native.pattern((8, 5, 5), 3, 30), block=8, mode=2, offsets=_OFFSETS, gains=_GAINS)
"""Corrections that lead samples out of 0..2^bits - 1."""

_NATIVE = (
    _made(
        90, "native-conv", "channels coded as blocks of cosine coefficients",
        lambda f: _native(f.conv[4], qp=24, batch=False),
    ),
    _made(
        91, "native-large", "maps of 40 x 44, as the slowest encoder codes them",
        lambda f: _native(_hills(2, 40, 44), qp=22, speed="best"),
    ),
    _made(
        92, "native-blocks-8", "blocks of up to 8 x 8, some of them split",
        lambda f: _content(
            Content(native.pattern((3, 12, 20), 6, 3), block=8, split=_every_other), qp=22
        ),
    ),
    _made(
        93, "native-blocks-16", "blocks of up to 16 x 16, some of them split once or twice",
        lambda f: _content(
            Content(native.pattern((3, 31, 18), 6, 3), split=_every_other, points=(-3, -1, 2)),
            qp=25,
        ),
    ),
    _made(
        94, "native-blocks-32", "blocks of up to 32 x 32, some of them split up to three times",
        lambda f: _content(
            Content(native.pattern((2, 33, 32), 9, 2), block=32, split=_every_other), qp=25
        ),
    ),
    _made(
        95, "native-block-whole", "one block of 32 x 32, whole, its last coefficient not 0",
        lambda f: _content(Content(_corner(native.pattern((1, 32, 32), 9, 1)), block=32), qp=25),
    ),
    _made(
        96, "native-samples", "samples without a transform, about an origin that is not 0",
        lambda f: _content(
            Content(
                native.pattern((4, 7, 9), 3, 20), block=4, origin=700, points=(-8, 7, -4)
            ),
            qp=20,
        ),
    ),
    _made(
        97, "native-samples-origin", "an origin that no sample of 12 bits has",
        lambda f: _content(
            Content(-abs(native.pattern((2, 5, 5), 2, 30)), block=4, origin=65535), qp=44
        ),
    ),
    _made(
        98, "native-7x7", "maps of 7 x 7, which a video coder would have to pad",
        lambda f: _natives(f.conv[:2, :6, 1:, 1:], qp=20, batch=False, index=False),
    ),
    _made(
        99, "native-13x14", "maps of 13 x 14",
        lambda f: _native(_hills(3, 13, 14), qp=26),
    ),
    _made(
        100, "native-1x1", "channels of one sample",
        lambda f: _native(f.fc[2].reshape(64, 1, 1), qp=20),
    ),
    _made(
        101, "native-1x33", "channels of one row: blocks of 17 and 16",
        lambda f: _native(_hills(4, 1, 33), qp=20),
    ),
    _made(
        102, "native-5x1", "channels of one column, too short to be split",
        lambda f: _native(_hills(4, 5, 1), qp=20),
    ),
    _made(
        103, "native-qp-eighths", "a QP of 27 and five eighths",
        lambda f: _native(f.conv[5], qp=27.625),
    ),
    _made(
        104, "native-qp-channel", "a QP for each channel, all of them raised by seven eighths",
        lambda f: Set(2, "coded_feature.parameters.qp_eighths", 7)(
            _native(f.conv[6], qp=_MIXED_QPS, batch=False)
        ),
        "7.5.2",
    ),
    _made(
        105, "native-fc", "one fc feature in a unit of its own",
        lambda f: _native(f.fc[3], qp=16, batch=False),
    ),
    _made(
        106, "native-fc-batch", "fc features in a batch, as by default",
        lambda f: _natives(f.fc[:8], qp=16),
    ),
    _made(
        107, "native-batch", "small maps in a batch, each with a sample hash",
        lambda f: _natives(f.pool[:5], qp=22, feature_type="pool", hash_size=16),
    ),
    _made(
        108, "native-1-bit", "samples of one bit, and steps of a small part of them",
        lambda f: _native(f.pool[5], qp=2, bits=1),
    ),
    _made(
        109, "native-16-bit", "samples of sixteen bits at the finest step for them",
        lambda f: _native(f.pool[6][:4], qp=0, bits=16),
    ),
    _made(
        110, "native-qp-51", "a coarse step: the coarsest of HEVC",
        lambda f: _native(f.conv[7], qp=51),
    ),
    _made(
        111, "native-qp-51-16-bit", "a coarse step of samples of sixteen bits",
        lambda f: _content(
            Content(native.pattern((2, 9, 10), 8, 2), split=_every_other),
            qp=51, bits=16,
        ),
    ),
    _made(
        135, "native-qp-63", "the coarsest step of all: QP 63 and seven eighths, sixteen bits",
        lambda f: _content(
            Content(native.pattern((2, 6, 7), 4, 2), split=_every_other), qp=63, eighths=7, bits=16
        ),
    ),
    _made(
        112, "native-slope-down", "steps that grow smaller with frequency",
        lambda f: _content(
            Content(native.pattern((2, 13, 17), 5, 5), slope=-7, split=_every_other), qp=20
        ),
    ),
    _made(
        113, "native-slope-up", "steps that grow larger with frequency",
        lambda f: _content(
            Content(native.pattern((2, 17, 13), 5, 5), slope=24, split=_every_other), qp=20
        ),
    ),
    _made(
        114, "native-restoration-off", "no corrections",
        lambda f: _native(f.conv[0], qp=40, restoration="off"),
    ),
    _made(
        115, "native-restoration-mean", "the mean of each channel is corrected",
        lambda f: _native(f.conv[0], qp=40, restoration="mean"),
    ),
    _made(
        116, "native-restoration-channel", "mean and deviation of each channel are corrected",
        lambda f: _native(f.conv[0], qp=40, restoration="channel"),
    ),
    _made(
        117, "native-restoration-bounds",
        "corrections at their bounds: samples leave the range, and stay there",
        lambda f: _content(_BOUNDS, qp=34),
    ),
    _made(
        133, "native-log-bounds", "logarithmic samples that corrections lead out of the range",
        lambda f: _content(_BOUNDS, qp=34, quantiser="log"), "8.6.2",
    ),
    _made(
        134, "native-log-signed-bounds",
        "logarithmic samples with a sign that corrections lead out of the range",
        lambda f: _content(_BOUNDS, qp=34, quantiser="log", value=-2.5), "8.6.2",
    ),
    _made(
        118, "native-escapes", "levels up to 2^25 in coefficients, and with a coarse step",
        lambda f: _content(Content(_large_levels(), split=_every_other), qp=51, bits=16),
    ),
    _made(
        119, "native-escapes-samples", "levels up to 2^25 of samples without a transform",
        lambda f: _content(Content(_large_levels(), block=4, origin=9), qp=0, bits=16),
    ),
    _made(
        120, "native-sequence", "seven features that move, an access point every four, an index",
        lambda f: _natives([_hills(2, 24, 20, n) for n in range(7)], qp=26, gop=4), "9.1",
    ),
    _made(
        121, "native-sequence-no-index", "a sequence of three with one access point",
        lambda f: _natives(
            [_hills(2, 16, 16, n) for n in range(3)], qp=30, gop=8, index=False, hash_size=8
        ),
    ),
    _made(
        122, "native-displaced-far",
        "blocks with and without prediction, from a feature displaced as far as can be",
        lambda f: _content(
            Content(native.pattern((2, 19, 22), 5, 6), split=_every_other, mode=2, offsets=(900,)),
            Content(
                native.pattern((2, 19, 22), 9, 3), split=_every_other, temporal=_checks,
                shift=(-5, 64),
            ),
            Content(
                native.pattern((2, 19, 22), 9, 2), block=4, shift=(3, 3), origin=12
            ),
            Content(native.pattern((2, 19, 22), 12, 2), temporal=_checks, shift=(-64, 1)),
            qp=36,
        ),
    ),
    _made(
        123, "native-zero", "a feature of zeros: what it takes to say nothing",
        lambda f: _native(np.zeros((5, 9, 8), np.float32)),
    ),
    _made(
        124, "native-log", "logarithmic samples with a sign",
        lambda f: _native(f.conv[1] - 0.5, qp=20, quantiser="log", bits=10),
    ),
    _made(
        125, "native-range-channel", "a range for each channel",
        lambda f: _native(f.conv[2], qp=26, range="channel"),
    ),
    _made(
        126, "native-weights", "channels that matter more than others, which a decoder is not told",
        lambda f: _weighted(
            f.conv[3], np.array([1 + 3 * (c % 4) for c in range(16)], np.float32), qp=30
        ),
    ),
    _made(
        127, "native-several", "several features in units of their own, with an index",
        lambda f: _natives(f.pool[8:11], qp=28, batch=False, speed="fast"),
    ),
    _made(
        128, "native-float16", "float16 features by way of native",
        lambda f: _native(f.pool[11].astype(_HALF), qp=20),
    ),
    _made(
        129, "native-bfloat16", "bfloat16 features by way of native",
        lambda f: _native(f.pool[12].astype(_BRAIN), qp=20),
    ),
    _made(
        130, "native-hash-units", "hash units of a batch of native features",
        lambda f: _natives(f.pool[13:15], qp=24, hashes=True, feature_type="pool"),
    ),
    _made(
        132, "native-sample-hash", "a sample hash with a native feature",
        lambda f: _native(f.pool[7], qp=24, hash_size=32, batch=False),
    ),
    _made(
        131, "native-and-others", "one stream with a byte coder and both native coders",
        lambda f: _all_coders(f.pool[15], f.fc[15]),
    ),
)  # fmt: skip


def _corner(levels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    levels[..., -1, -1] = 1
    return levels


def _sprinkled(feature: Feature, special: Feature) -> Feature:
    """A feature with special values among its own."""
    mixed = feature.astype(special.dtype)
    mixed.reshape(-1)[:: mixed.size // (5 * special.size)][: 5 * special.size] = np.tile(special, 5)
    return mixed


def _noise(words: str, count: int) -> Feature:
    """Bit patterns without order, as fc values: nothing to gain."""
    kind = np.dtype(words)
    patterns = native.pattern((count,), 1, 2**31 - 1).view(np.uint32)
    patterns ^= patterns >> np.uint32(15)
    return patterns.astype(f"u{kind.itemsize}").view(kind)


_NATIVE_LOSSLESS = (
    _made(
        140, "exact-float32", "float32 values, bit for bit", lambda f: _exact([f.pool[0]])
    ),
    _made(
        141, "exact-float16", "float16 values, bit for bit",
        lambda f: _exact([f.pool[0].astype(_HALF)]),
    ),
    _made(
        142, "exact-bfloat16", "bfloat16 values, bit for bit",
        lambda f: _exact([f.pool[0].astype(_BRAIN)]),
    ),
    _made(
        143, "exact-special-float32",
        "NaN payloads, infinities, subnormals and -0.0 among float32 values",
        lambda f: _exact([_sprinkled(f.conv[1], _SPECIAL_32)], hash_size=8), "8.6",
    ),
    _made(
        144, "exact-special-float16",
        "NaN payloads, infinities, subnormals and -0.0 among float16 values",
        lambda f: _exact([_sprinkled(f.conv[1], _SPECIAL_16)]), "8.6",
    ),
    _made(
        145, "exact-special-bfloat16",
        "NaN payloads, infinities, subnormals and -0.0 among bfloat16 values",
        lambda f: _exact([_sprinkled(f.conv[1], _SPECIAL_BRAIN)]), "8.6",
    ),
    _made(
        146, "exact-fast-float32", "float32 values in the fast mode, special ones among them",
        lambda f: _exact([_sprinkled(f.conv[2] - 1, _SPECIAL_32)], speed="fast"), "8.6",
    ),
    _made(
        147, "exact-fast-float16", "float16 values in the fast mode, special ones among them",
        lambda f: _exact([_sprinkled(np.concatenate(f.conv[2:5]), _SPECIAL_16)], speed="fast"), "8.6",
    ),
    _made(
        148, "exact-fast-bfloat16", "bfloat16 values in the fast mode, special ones among them",
        lambda f: _exact([_sprinkled(np.concatenate(f.conv[2:5]), _SPECIAL_BRAIN)], speed="fast"), "8.6",
    ),
    _made(
        149, "exact-fast-plain", "positive values in the fast mode",
        lambda f: _exact([_hills(4, 20, 21) + 1], speed="fast"),
    ),
    _made(
        150, "exact-raw", "bit patterns without order: their bytes as they are",
        lambda f: _exact([_noise("f4", 40)], batch=False),
    ),
    _made(
        151, "exact-fc-batch", "fc features in a batch",
        lambda f: _exact(f.fc[:6]),
    ),
    _made(
        152, "exact-zero", "nothing but zeros of either sign",
        lambda f: _exact([np.zeros((3, 8, 8), np.float32), -np.zeros((3, 8, 8), np.float32)]),
    ),
    _made(
        153, "exact-trailing-zeros", "float32 values that came from 16 bits",
        lambda f: _exact([f.conv[3].astype(_HALF).astype(np.float32)]),
    ),
    _made(
        154, "exact-repeats", "values that repeat their neighbours",
        lambda f: _exact([np.repeat(np.repeat(f.pool[4], 3, axis=1), 2, axis=2)]),
    ),
    _made(
        155, "exact-1x1", "one value", lambda f: _exact([np.full((1, 1, 1), 1.5, np.float32)])
    ),
    _made(
        156, "exact-several", "features of either mode with an index, and hash units",
        lambda f: _exact([f.conv[0], f.conv[7] * 0.25], hashes=True),
    ),
)  # fmt: skip


VALID = (*_LOSSLESS, *_QUANTISERS, *_STREAMS, *_HEVC, *_NATIVE, *_NATIVE_LOSSLESS)
