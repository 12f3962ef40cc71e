"""The vectors that break the specification, each once, by an edit of a vector that does not.

``either`` marks those whose defect a decoder need not notice; the strict validator does.
"""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

from refcodec.errors import HashError, PayloadError, StreamError
from refcodec.inspector import inspect
from refcodec.reader import open_stream
from refcodec.suite import native
from refcodec.suite.assemble import (
    Append,
    Copy,
    Cut,
    Drop,
    Edit,
    Extend,
    Insert,
    Patch,
    Set,
    disassemble,
    encode,
)
from refcodec.suite.vectors import END, Definition, Edits, Place
from refcodec.syntax.bits import Element

__all__ = ["INVALID"]


# --- edits that depend on the stream ---------------------------------------------------------------


def _find(stream: bytes, unit: int, path: str) -> Element:
    return next(one for one in inspect(stream)[unit].elements if one.path == path)


def _add(unit: int, path: str, difference: int) -> Edits:
    """Add to an integer."""
    return lambda stream: [Set(unit, path, int(_find(stream, unit, path).value) + difference)]


def _flip(unit: int, path: str, bit: int) -> Edits:
    """Flip one bit of an element."""

    def edits(stream: bytes) -> list[Edit]:
        bits = disassemble(stream)[unit].field(path).bits
        return [Patch(unit, path, bit, "01"[bits[bit] == "0"])]

    return edits


def _payload(change: Callable[[bytes], bytes]) -> Edits:
    """Change the payload of the coded feature that stands third."""
    path = "coded_feature.payload"
    return lambda stream: [Set(2, path, change(_find(stream, 2, path).value).hex())]


def _move_entry(stream: bytes) -> list[Edit]:
    """Let an index entry point a byte too far, and the next one where it should."""
    distances = [int(one) for one in _find(stream, 6, "index.unit_distance").value]
    distances[1:3] = [distances[1] + 1, distances[2] - 1]
    return [Set(6, "index.unit_distance", distances)]


def _fill_batch(stream: bytes) -> list[Edit]:
    """Repeat the first payload of a batch of 64 bytes each until the batch is too large."""
    payload = _find(stream, 2, "coded_feature_batch.payloads").value[:64]
    return [
        Set(2, "coded_feature_batch.feature_count_minus1", 1023),
        Set(2, "coded_feature_batch.payloads", payload.hex(), times=1024),
    ]


def _in_parameter_sets(value: int, *inner: str) -> Edits:
    """Give elements inside the HEVC parameter sets another value of the same width."""
    outer = "feature_parameter_set.parameter_sets"

    def edits(stream: bytes) -> list[Edit]:
        start = _find(stream, 1, outer).offset
        found = [_find(stream, 1, path) for path in inner]
        return [Patch(1, outer, one.offset - start, encode(value, one.descriptor)) for one in found]

    return edits


def _bomb(expected: int) -> bytes:
    """A zlib stream of a few hundred bytes, and thousands of times ``expected`` zeros.

    Written by hand, so that no version of zlib has a say in it: one block of fixed Huffman codes, the
    byte 0 and matches of 258 bytes at distance 1.
    """
    matches = 1000
    bits = "1" + "10" + "00110000" + ("11000101" + "00000") * matches + "0000000"
    bits += "0" * (-len(bits) % 8)
    deflated = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    zeros = bytes(1 + 258 * matches)
    assert zlib.decompress(deflated, wbits=-15) == zeros
    assert len(zeros) > expected
    return b"\x78\x01" + deflated + zlib.adler32(zeros).to_bytes(4, "big")


def _stored(data: bytes) -> bytes:
    """A zlib stream of one stored block, the same from any version of zlib."""
    size = len(data).to_bytes(2, "little")
    inverse = bytes(255 - byte for byte in size)
    return b"\x78\x01\x01" + size + inverse + data + zlib.adler32(data).to_bytes(4, "big")


def _large_sample(payload: bytes) -> bytes:
    samples = zlib.decompress(payload)
    return _stored(samples[:100] + b"\x80" + samples[101:])


def _unknown_check(payload: bytes) -> bytes:
    """Give an xz stream, in header and footer, the check 2, which the format leaves open."""
    flags = b"\x00\x02"
    crc = zlib.crc32(flags).to_bytes(4, "little")
    footer = payload[-8:-4] + flags
    end = zlib.crc32(footer).to_bytes(4, "little") + footer + b"YZ"
    return payload[:6] + flags + crc + payload[12:-12] + end


def _delta(payload: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_DELTA, "dist": 2}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    data = lzma.decompress(payload)
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)


def _wrong_header_crc(payload: bytes) -> bytes:
    """A gzip member whose header claims a CRC16, and has a wrong one."""
    return payload[:3] + b"\x02" + payload[4:10] + b"\x00\x00" + payload[10:]


def _large_dictionary(payload: bytes) -> bytes:
    """Ask for a dictionary of 128 MiB in the block header of an xz stream."""
    header = payload[12:16] + bytes([30]) + payload[17:20]
    return payload[:12] + header + zlib.crc32(header).to_bytes(4, "little") + payload[24:]


def _first(
    kind: type[StreamError], candidates: Callable[[bytes], Iterator[bytes]]
) -> Callable[[bytes], list[Edit]]:
    """The first of some payloads that the decoder refuses with an error of this kind.

    What a payload of an arithmetic coder means without one of its bits, no one can tell beforehand.
    """
    path = "coded_feature.payload"

    def edits(stream: bytes) -> list[Edit]:
        for payload in candidates(_find(stream, 2, path).value):
            edit = Set(2, path, payload.hex())
            try:
                list(open_stream(io.BytesIO(edit(stream))))
            except StreamError as error:
                if type(error) is kind:
                    return [edit]
        raise LookupError(f"no payload fails by {kind.__name__}")

    return edits


def _cuts(payload: bytes) -> Iterator[bytes]:
    return (payload[:-size] for size in range(1, len(payload)))


def _longer(payload: bytes) -> Iterator[bytes]:
    return (payload + bytes(size) for size in range(1, 9))


def _flipped(payload: bytes) -> Iterator[bytes]:
    for bit in reversed(range(8 * len(payload))):
        changed = bytearray(payload)
        changed[bit // 8] ^= 0x80 >> bit % 8
        yield bytes(changed)


def _large_frequencies(payload: bytes) -> bytes:
    """Let the first two ranks of the first class with three claim 255 each."""
    at = 2 + bool(payload[0] & 0x10) + bool(payload[0] & 0x20)
    while int.from_bytes(payload[at : at + 2], "big").bit_count() < 3:
        ranks = int.from_bytes(payload[at : at + 2], "big").bit_count()
        at += 2 + max(ranks - 1, 0)
    return payload[: at + 2] + b"\xff\xff" + payload[at + 4 :]


def _with_trailing_bits(payload: bytes) -> bytes:
    assert payload[0] & 0x20, "no byte says how many"
    at = 2 + bool(payload[0] & 0x10)
    return payload[:at] + bytes([24]) + payload[at + 1 :]


def _restored_thrice(stream: bytes) -> list[Edit]:
    """Code an empty feature under restoration mode 3."""
    one = native.coded_features(stream)[0]
    shape = (one.fps.channels, one.fps.height, one.fps.width)
    content = native.Content(native.pattern(shape, 9, 0), block=8, mode=3)
    payload, _ = content.code(one.fps, one.parameters)
    return [Set(2, "coded_feature.payload", payload.hex())]


# --- the vectors -----------------------------------------------------------------------------------


def _bad(
    number: int,
    name: str,
    origin: str,
    purpose: str,
    edits: Edit | Edits,
    reject: str,
    clause: str,
    place: Place | None = None,
    decoder: Literal["reject", "either"] = "reject",
) -> Definition:
    """An invalid vector; the violation is at the element that a single edit sets, unless told."""
    if place is None:
        assert isinstance(edits, (Set, Patch)), name
        place = edits.unit, edits.element
    return Definition(
        number,
        name,
        purpose,
        origin=origin,
        change=purpose,
        edits=(lambda _: [edits]) if isinstance(edits, Edit) else edits,
        decoder=decoder,
        violation=(reject, clause, place),
    )


def _unnoticed(
    number: int,
    name: str,
    origin: str,
    purpose: str,
    edits: Edit | Edits,
    reject: str,
    clause: str,
    place: Place,
) -> Definition:
    return _bad(number, name, origin, purpose, edits, reject, clause, place, "either")


_NAN, _INFINITY, _MINUS_ONE = "7fc00000", "7f800000", "bf800000"
_RAW, _FRAME = "raw-float32", "hevc-8-bit"

_HEADER = "stream_header."
_FPS = "feature_parameter_set."
_ONE = "coded_feature."
_OWN = "coded_feature.parameters."

_HEADERS = (
    _bad(
        1, "not-a-dfc", _RAW, "the signature is RIFF",
        Set(0, _HEADER + "signature", b"RIFF".hex()), "signature", "6.2",
    ),
    _bad(2, "file-empty", _RAW, "no byte is there", Cut(0), "signature", "6.2", 0),
    _bad(3, "header-cut", _RAW, "the file ends in the stream header", Cut(6), "truncated", "6.2", END),
    _bad(
        4, "header-crc", _RAW, "header_crc has a wrong bit",
        _flip(0, _HEADER + "header_crc", 15), "checksum", "8.2", (0, _HEADER + "header_crc"),
    ),
    _bad(
        5, "version-major", _RAW, "version_major is 2",
        Set(0, _HEADER + "version_major", 2), "unsupported", "7.2",
    ),
    _bad(
        6, "reserved-zero-bits", _RAW, "reserved_zero_2bits is 1",
        Set(0, _HEADER + "reserved_zero_2bits", 1), "unsupported", "7.2",
    ),
    _bad(
        7, "profile-undefined", _RAW, "profile_idc is 200",
        Set(0, _HEADER + "profile_idc", 200), "unsupported", "C.1",
    ),
    _bad(
        8, "profile-kept", _RAW, "profile_idc is 4, which is kept for a later version",
        Set(0, _HEADER + "profile_idc", 4), "unsupported", "C.1",
    ),
    _bad(
        9, "level-undefined", _RAW, "level_idc is 9",
        Set(0, _HEADER + "level_idc", 9), "unsupported", "A.3",
    ),
)  # fmt: skip

_UNITS = (
    _bad(
        10, "unit-unknown-mandatory", _RAW, "a unit of type 99 has skippable_flag 0",
        Insert(2, 99, 0, "00"), "unsupported", "C.1", (2, ""),
    ),
    _bad(
        11, "unit-kept", _RAW, "an entropy model unit, kept for a later version, is there",
        Insert(2, 4, 0, "00"), "unsupported", "C.1", (2, ""),
    ),
    _bad(
        12, "unit-crc", _RAW, "unit_crc of the coded feature has a wrong bit",
        _flip(2, "unit.unit_crc", 0), "checksum", "8.2", (2, "unit.unit_crc"),
    ),
    _bad(
        13, "unit-crc-skippable", "metadata", "unit_crc of a metadata unit has a wrong bit",
        _flip(1, "unit.unit_crc", 31), "checksum", "8.2", (1, "unit.unit_crc"),
    ),
    _bad(
        14, "unit-size-gigabytes", _RAW, "unit_size promises three gigabytes",
        Set(2, "unit.unit_size", 3 << 30), "unsupported", "A.3",
    ),
    _bad(
        15, "unit-size-overlong", _RAW, "unit_size is coded in three bytes where two do",
        Set(2, "unit.unit_size", "818800"), "syntax", "4.4",
    ),
    _bad(
        16, "unit-truncated", _RAW, "the file ends inside the coded feature",
        Cut(500), "truncated", "6.3", END,
    ),
    _bad(17, "end-missing", _RAW, "the end unit is missing", Drop(3), "truncated", "9.1", END),
    _bad(
        18, "bytes-behind-end", _RAW, "a byte stands behind the end unit",
        Append("00"), "order", "9.1", END - 1,
    ),
    _bad(
        19, "bytes-left-in-unit", _RAW, "a byte stands behind the parameter set, inside its unit",
        Extend(1, "00"), "syntax", "6.4", (1, "unit.unread"),
    ),
    _bad(
        20, "parameter-set-twice", _RAW, "the feature parameter set stands there twice",
        Copy(1, 2), "order", "9.1", (2, _FPS + "fps_id"),
    ),
    _bad(
        21, "parameter-set-undefined", _RAW, "the feature refers to parameter set 1 of only 0",
        Set(2, _ONE + "fps_id", 1), "order", "9.1",
    ),
    _bad(
        22, "parameter-set-late", _RAW, "the feature stands in front of its parameter set",
        lambda _: [Copy(2, 1), Drop(3)], "order", "9.1", (1, "unit.unread"),
    ),
    _bad(
        23, "end-feature-count", "index", "feature_count of the end unit is 5; 4 are there",
        _add(7, "end.feature_count", 1), "order", "9.1", (7, "end.feature_count"),
    ),
    _bad(
        24, "index-not-last", "index", "a unit stands between the index and the end unit",
        Insert(7, 99, 1, ""), "order", "9.1", (7, ""),
    ),
    _bad(
        25, "hash-unit-misplaced", "hash-units", "a hash unit stands in front of every feature",
        Copy(3, 1), "order", "9.1", (1, ""),
    ),
    _bad(
        118, "end-too-long", "index", "the end unit has a payload of 17 bytes",
        Extend(7, "00"), "syntax", "6.10", (7, "end.feature_count", 64),
    ),
    _bad(
        107, "end-cut", "index", "the end unit has a payload of 15 bytes",
        Set(7, "end.feature_count", "00" * 7), "truncated", "7.10", (7, "end.feature_count"),
    ),
    _bad(
        108, "hash-target-undefined", "hash-units", "hash_target is 9",
        Set(3, "hash.hash_target", 9), "unsupported", "C.1",
    ),
    _bad(
        98, "hash-unit-twice", "hash-units", "a second hash unit of the samples follows",
        Copy(3, 4), "order", "9.1", (4, ""),
    ),
    _bad(
        99, "metadata-late", "metadata", "a copy of the metadata stands behind the parameter set",
        Copy(1, 3), "order", "9.1", (3, ""),
    ),
    _bad(
        26, "hash-unit-samples", "hash-units", "a hash unit has a wrong hash of the samples",
        _flip(3, "hash.sha256", 7), "hash", "8.8", (3, "hash.sha256"),
    ),
    _bad(
        27, "hash-unit-reconstruction", "hash-units",
        "a hash unit of the second feature has a wrong hash of the reconstruction",
        _flip(7, "hash.sha256", 255), "hash", "8.8", (7, "hash.sha256"),
    ),
)  # fmt: skip

_PARAMETER_SETS = (
    _bad(
        119, "structure-cut", _RAW, "channels_minus1 is a code that the unit has no room for",
        Set(1, _FPS + "channels_minus1", "0b00000000"), "truncated", "7.4",
        (1, _FPS + "channels_minus1", 21),
    ),
    _bad(
        120, "hevc-empty-columns", _FRAME, "17 columns of tiles for 16 channels",
        Set(1, _FPS + "tile_columns_minus1", 16), "constraint", "9.2",
    ),
    _bad(
        121, "hevc-level-channels", _FRAME, "5,000,001 channels in a stream of level 1",
        Set(1, _FPS + "channels_minus1", 5_000_000), "unsupported", "A.3",
    ),
    _bad(
        30, "fps-id-too-large", _RAW, "fps_id is 256",
        Set(1, _FPS + "fps_id", 256), "syntax", "7.4",
    ),
    _bad(
        31, "level-exceeded-elements", _RAW, "4,194,304 elements in a stream of level 1",
        Set(1, _FPS + "height_minus1", 65535), "unsupported", "A.3", (1, _FPS + "channels_minus1"),
    ),
    _bad(
        32, "profile-lacks-coder", _FRAME, "an HEVC feature in a stream of the lossless profile",
        Set(0, _HEADER + "profile_idc", 1), "constraint", "A.2", (1, _FPS + "coder_id"),
    ),
    _bad(
        33, "coder-kept", _RAW, "coder_id is 8, which is kept for a later version",
        Set(1, _FPS + "coder_id", 8), "unsupported", "C.1",
    ),
    _bad(
        34, "coder-undefined", _RAW, "coder_id is 12",
        Set(1, _FPS + "coder_id", 12), "unsupported", "C.1",
    ),
    _bad(
        35, "feature-type-kept", _RAW, "feature_type is 3, which is kept for a later version",
        Set(1, _FPS + "feature_type", 3), "unsupported", "C.1",
    ),
    _bad(
        36, "source-type-undefined", _RAW, "source_type is 5",
        Set(1, _FPS + "source_type", 5), "unsupported", "C.1",
    ),
    _bad(
        37, "alignment-bits", _RAW, "the last alignment bit of the feature parameters is set",
        Set(2, _OWN + "alignment", "0b0000001"), "syntax", "4.4",
    ),
    _bad(
        38, "fc-range-channel", "fc-batch", "an fc feature has a range for each channel",
        Set(1, _FPS + "range_per_channel_flag", 1), "constraint", "9.2",
    ),
    _bad(
        39, "log-signed-1-bit", "log-signed", "signed logarithmic samples have one bit",
        Set(1, _FPS + "bits_minus1", 0), "constraint", "9.2", (1, _FPS + "log_signed_flag"),
    ),
    _bad(
        40, "hevc-13-bit", "hevc-12-bit", "HEVC samples have 13 bits",
        Set(1, _FPS + "bits_minus1", 12), "constraint", "9.2",
    ),
    _bad(
        41, "hevc-no-sample-hash", _FRAME, "the sample hash of an HEVC feature is left out",
        Set(1, _FPS + "sample_hash_size_code", 0), "constraint", "9.3",
    ),
    _bad(
        42, "hevc-grid-empty-rows", _FRAME, "the tile grid has empty rows",
        Set(1, _FPS + "tile_rows_minus1", 7), "constraint", "9.2", (1, _FPS + "tile_columns_minus1"),
    ),
    _bad(
        43, "hevc-no-parameter-sets", _FRAME, "the HEVC parameter sets are missing",
        lambda _: [Set(1, _FPS + "parameter_sets", ""), Set(1, _FPS + "parameter_sets_size", 0)],
        "constraint", "9.3", (1, _FPS + "parameter_sets_size"),
    ),
    _bad(
        44, "hevc-frame-size", _FRAME, "the SPS has frames 40 samples wide; the tiles make 32",
        _in_parameter_sets(40, "seq_parameter_set.pic_width_in_luma_samples"),
        "constraint", "9.3.1", (1, _FPS + "parameter_sets"),
    ),
    _bad(
        45, "hevc-profile", _FRAME, "VPS and SPS name the HEVC profile 5, which is not listed",
        _in_parameter_sets(
            5,
            "video_parameter_set.profile_tier_level.general_profile_idc",
            "seq_parameter_set.profile_tier_level.general_profile_idc",
        ),
        "constraint", "9.3.1", (1, _FPS + "parameter_sets"),
    ),
)  # fmt: skip

_FEATURES = (
    _bad(
        50, "range-nan", "raw-7-bit", "range_max is NaN",
        Set(2, _OWN + "range_max", [_NAN]), "constraint", "9.2",
    ),
    _bad(
        51, "range-infinite", "raw-7-bit", "range_max is infinite",
        Set(2, _OWN + "range_max", [_INFINITY]), "constraint", "9.2",
    ),
    _bad(
        52, "range-reversed", "raw-7-bit", "range_max is -1, range_min is 0",
        Set(2, _OWN + "range_max", [_MINUS_ONE]), "constraint", "9.2",
    ),
    _bad(
        53, "log-step-zero", "log-unsigned", "log_step is 0",
        Set(2, _OWN + "log_step", [0]), "constraint", "9.2",
    ),
    _bad(
        54, "log-step-large", "log-unsigned", "log_step takes the largest level beyond 2^130",
        Set(2, _OWN + "log_step", [0xFFFFFFFF]), "constraint", "9.2",
    ),
    _bad(
        55, "qp-too-large", _FRAME, "qp is 52",
        Set(2, _OWN + "qp", 52), "constraint", "9.2",
    ),
    _bad(
        56, "qp-negative", "hevc-qp-channel", "qp is 3, less than a qp_delta",
        Set(2, _OWN + "qp", 3), "constraint", "9.2",
    ),
    _bad(
        57, "order-no-permutation", "hevc-order-explicit", "channel_at has 1 twice and no 0",
        Set(2, _OWN + "channel_at", [*reversed(range(1, 16)), 1]), "constraint", "9.2",
    ),
    _bad(
        109, "restoration-undefined", "hevc-restoration-tensor", "restoration_mode is 3",
        Set(2, _OWN + "restoration_mode", 3), "unsupported", "C.1",
    ),
    _bad(
        110, "order-without-bits", "hevc-order-explicit", "channel_at_bits is 0 for 16 channels",
        Set(2, _OWN + "channel_at_bits", 0), "syntax", "7.5.2", (2, _OWN + "channel_at"),
    ),
    _bad(
        58, "order-undefined", _FRAME, "channel_order is 3",
        Set(2, _OWN + "channel_order", 3), "unsupported", "C.1",
    ),
    _bad(
        59, "batch-sizes", "fc-batch", "the payload sizes of a batch add up to too much",
        _add(2, "coded_feature_batch.payload_size_base", 1),
        "constraint", "9.2", (2, "coded_feature_batch.payload_size_base"),
    ),
    _bad(
        60, "batch-too-large", "fc-batch", "a batch of more than 65,536 bytes",
        _fill_batch, "constraint", "9.2", (2, "coded_feature_batch.fps_id"),
    ),
    _bad(
        122, "batch-parameter-set-undefined", "fc-batch", "a batch refers to parameter set 1",
        Set(2, "coded_feature_batch.fps_id", 1), "order", "9.1",
        (2, "coded_feature_batch.fps_id"),
    ),
    _bad(
        101, "batch-too-many-elements", "fc-batch", "a batch of 20 features of 16,384 values each",
        Set(1, _FPS + "channels_minus1", 16383),
        "constraint", "9.2", (2, "coded_feature_batch.feature_count_minus1"),
    ),
    _bad(
        61, "sequence-without-access-point", "hevc-sequence-no-index",
        "the first feature of a sequence, its access point, is missing",
        Drop(2), "order", "9.1", (2, _ONE + "payload"),
    ),
)  # fmt: skip


def _bad_payload(
    number: int, name: str, origin: str, purpose: str, edits: Edits, clause: str
) -> Definition:
    return _bad(number, name, origin, purpose, edits, "payload", clause, (2, _ONE + "payload"))


_PAYLOADS = (
    _bad_payload(
        70, "raw-short", _RAW, "the payload is a byte too short",
        _payload(lambda data: data[:-1]), "8.3.1",
    ),
    _bad_payload(
        71, "raw-padding-bits", "raw-padding", "a padding bit of the payload is set",
        _flip(2, _ONE + "payload", 7), "8.3.1",
    ),
    _bad_payload(
        72, "sample-too-large", "zlib-7-bit", "a sample of 7 bits is 128",
        _payload(_large_sample), "8.3.1",
    ),
    _bad_payload(
        73, "zlib-bomb", "zlib-7-bit", "256 samples are expected, and 258,001 bytes come",
        _payload(lambda _: _bomb(256)), "8.3.2",
    ),
    _bad_payload(
        74, "zlib-short", "zlib-7-bit", "256 samples are expected, and 255 come",
        _payload(lambda data: _stored(zlib.decompress(data)[:-1])), "8.3.2",
    ),
    _bad_payload(
        75, "zlib-trailing", "zlib-7-bit", "a byte stands behind the zlib stream",
        _payload(lambda data: data + b"\0"), "8.3.2",
    ),
    _bad_payload(
        76, "zlib-cut", "zlib-7-bit", "the checksum of the zlib stream is cut off",
        _payload(lambda data: data[:-4]), "8.3.2",
    ),
    _bad_payload(
        77, "zlib-checksum", "zlib-7-bit", "the checksum of the zlib stream is wrong",
        _payload(lambda data: data[:-1] + bytes([data[-1] ^ 1])), "8.3.2",
    ),
    _bad_payload(
        78, "gzip-two-members", "gzip-10-bit", "the gzip member stands there twice",
        _payload(lambda data: data + data), "8.3.3",
    ),
    _bad_payload(
        79, "bzip2-two-streams", "bzip2-8-bit", "the bzip2 stream stands there twice",
        _payload(lambda data: data + data), "8.3.4",
    ),
    _bad_payload(
        116, "raw-long", _RAW, "a byte stands behind the samples",
        _payload(lambda data: data + b"\0"), "8.3.1",
    ),
    _bad(
        117, "hevc-zero-behind", _FRAME, "a zero byte stands behind the slice",
        _payload(lambda data: data + b"\0"), "syntax", "8.3.6", (2, _ONE + "payload", 24),
    ),
    _bad_payload(
        100, "hevc-slice-missing", "hevc-frame-packing", "the slice of the last frame is missing",
        _payload(lambda data: data[: data.rindex(b"\0\0\1")]), "8.3.6",
    ),
    _bad_payload(
        102, "gzip-header-crc", "gzip-10-bit", "the header of the gzip member has a wrong CRC16",
        _payload(_wrong_header_crc), "8.3.3",
    ),
    _bad_payload(
        103, "gzip-reserved-flag", "gzip-10-bit", "a reserved bit of the gzip header's FLG is set",
        _payload(lambda data: data[:3] + b"\x20" + data[4:]), "8.3.3",
    ),
    _bad_payload(
        104, "lzma-delta", "lzma-float16", "the xz stream has a delta filter in front of LZMA2",
        _payload(_delta), "8.3.5",
    ),
    _bad_payload(
        105, "lzma-check", "lzma-float16", "the xz stream has a check of type 2, which is not defined",
        _payload(_unknown_check), "8.3.5",
    ),
    _bad(
        106, "hevc-zeros-in-slice", _FRAME, "the slice ends in 00 00 02 and a byte",
        _payload(lambda data: data + b"\0\0\2\1"), "syntax", "8.3.6", (2, _ONE + "payload", 24),
    ),
    _bad_payload(
        80, "lzma-dictionary", "lzma-float16", "the xz stream asks for a dictionary of 128 MiB",
        _payload(_large_dictionary), "8.3.5",
    ),
    _bad(
        81, "sample-hash", "sample-hash-32", "the sample hash has a wrong bit",
        _flip(2, _ONE + "sample_hash", 255), "hash", "8.8", (2, _ONE + "payload"),
    ),
    _bad(
        82, "sample-hash-hevc", _FRAME, "the sample hash of an HEVC feature has a wrong bit",
        _flip(2, _ONE + "sample_hash", 0), "hash", "8.8", (2, _ONE + "payload"),
    ),
)  # fmt: skip


_UNNOTICED = (
    _unnoticed(
        91, "index-elsewhere", "index", "an entry of the index points a byte too far",
        _move_entry, "constraint", "9.5", (6, "index.unit_distance"),
    ),
    _unnoticed(
        123, "index-without-end", "index", "the end unit has no payload, though there is an index",
        lambda _: [Insert(7, 127, 0, ""), Drop(8)], "constraint", "9.5", (7, "unit.unit_size", 8),
    ),
    _unnoticed(
        124, "index-missing", "index", "index_offset is set, and there is no index",
        Drop(6), "constraint", "9.5", (6, "end.index_offset"),
    ),
    _unnoticed(
        125, "index-twice", "index", "the index lists a coded unit twice",
        Set(6, "index.unit_distance", [21, 0, 177, 182]),
        "constraint", "9.5", (6, "index.unit_distance"),
    ),
    _unnoticed(
        92, "index-offset", "index", "index_offset points a byte too far",
        _add(7, "end.index_offset", 1), "constraint", "9.5", (7, "end.index_offset"),
    ),
    _unnoticed(
        94, "metadata-key-twice", "metadata", "a metadata key stands there twice",
        Set(1, "metadata.entries.key", b"network".hex(), occurrence=1),
        "constraint", "9.4", (1, "metadata.entries.key_size", 120),
    ),
    _unnoticed(
        95, "metadata-not-utf-8", "metadata", "a metadata key is not UTF-8",
        Set(1, "metadata.entries.key", "ff" * 7, occurrence=1),
        "syntax", "9.4", (1, "metadata.entries.key_size", 120),
    ),
    _unnoticed(
        96, "hevc-slice-qp", _FRAME, "qp is 31; the slice has QP 30",
        Set(2, _OWN + "qp", 31), "constraint", "9.3.2", (2, _ONE + "payload", 24),
    ),
    _unnoticed(
        114, "hevc-sub-layer", _FRAME, "nuh_temporal_id_plus1 is 2",
        Patch(2, _ONE + "payload", 37, "010"), "constraint", "9.3.2", (2, _ONE + "payload", 24),
    ),
    _unnoticed(
        97, "hevc-false-access-point", "hevc-sequence-no-index",
        "a feature that is predicted from another calls itself an access point",
        Set(3, _ONE + "access_point_flag", 1), "constraint", "9.3.2", (3, _ONE + "payload", 24),
    ),
)  # fmt: skip

_CONV, _EXACT = "native-conv", "exact-float32"
_FAST = "exact-fast-plain"


def _lossless_payload(
    number: int, name: str, purpose: str, edits: Edits, origin: str = _EXACT
) -> Definition:
    return _bad_payload(number, name, origin, purpose, edits, "8.3.8")


_NATIVE = (
    _bad_payload(
        130, "native-cut", _CONV, "the payload ends early",
        _first(PayloadError, _cuts), "8.3.7",
    ),
    _bad_payload(
        131, "native-long", _CONV, "more bytes stand behind the decisions than a decoder reads ahead",
        _first(PayloadError, _longer), "8.3.7",
    ),
    _bad_payload(
        132, "native-restoration-undefined", "native-restoration-bounds", "restoration mode 3",
        _restored_thrice, "8.3.7.1",
    ),
    _bad(
        133, "native-hash", "native-sample-hash",
        "a bit of the payload is wrong; it can be decoded, and the sample hash differs",
        _first(HashError, _flipped), "hash", "8.8", (2, _ONE + "payload"),
    ),
    _bad(
        134, "native-quantiser-none", _EXACT, "native codes a feature without a quantiser",
        Set(1, _FPS + "coder_id", 6), "constraint", "9.2", (1, _FPS + "quantiser"),
    ),
    _bad(
        135, "native-restoration-flag", _CONV, "restoration_enabled_flag is 1 with native",
        Set(1, _FPS + "restoration_enabled_flag", 1), "constraint", "9.2",
    ),
    _bad(
        136, "native-profile-hevc", _CONV, "a native feature in a stream of the hevc profile",
        Set(0, _HEADER + "profile_idc", 2), "constraint", "A.2", (1, _FPS + "coder_id"),
    ),
    _bad(
        137, "exact-profile-lossless", _EXACT,
        "a native lossless feature in a stream of the lossless profile",
        Set(0, _HEADER + "profile_idc", 1), "constraint", "A.2", (1, _FPS + "coder_id"),
    ),
    _bad(
        138, "hevc-profile-native", _FRAME, "an HEVC feature in a stream of the native profile",
        Set(0, _HEADER + "profile_idc", 3), "constraint", "A.2", (1, _FPS + "coder_id"),
    ),
    _bad(
        139, "exact-quantiser-uniform", _CONV, "native lossless codes quantised samples",
        Set(1, _FPS + "coder_id", 7), "constraint", "9.2", (1, _FPS + "quantiser"),
    ),
    _bad(
        140, "native-batch-predicted", "native-batch", "features of a batch may be predicted",
        Set(1, _FPS + "temporal_prediction_flag", 1), "constraint", "9.2",
        (2, "coded_feature_batch.fps_id"),
    ),
    _bad(
        141, "native-sequence-without-access-point", "native-sequence-no-index",
        "the first feature of a sequence, its access point, is missing",
        Drop(2), "order", "9.1", (2, _ONE + "payload"),
    ),
    _bad(
        143, "native-qp-negative", "native-qp-channel", "qp is 19, less than a qp_delta",
        Set(2, _OWN + "qp", 19), "constraint", "9.2",
    ),
    _lossless_payload(144, "exact-empty", "the payload is empty", _payload(lambda _: b"")),
    _lossless_payload(
        145, "exact-cut", "the last byte of the payload is missing",
        _payload(lambda data: data[:-1]),
    ),
    _lossless_payload(
        146, "exact-long", "two bytes stand between decisions and raw bits",
        _payload(lambda data: data[:2] + data[2:] + bytes(2)),
    ),
    _lossless_payload(
        147, "exact-mode", "the mode is 3, which is not defined",
        _payload(lambda data: bytes([data[0] | 0xC0]) + data[1:]),
    ),
    _lossless_payload(
        148, "exact-reserved-bit", "the reserved bit of the first byte is set",
        _payload(lambda data: bytes([data[0] | 0x08]) + data[1:]),
    ),
    _lossless_payload(
        149, "exact-raw-mode", "the mode is raw, and other bits of the first byte are set",
        _payload(lambda data: b"\x01" + data[1:]), "exact-raw",
    ),
    _lossless_payload(
        150, "exact-raw-short", "the raw mode, and a byte too few",
        _payload(lambda data: data[:-1]), "exact-raw",
    ),
    _lossless_payload(
        151, "exact-header-cut", "the payload ends within its header",
        _payload(lambda data: data[:1]),
    ),
    _lossless_payload(
        152, "exact-exponent", "float16 values with an exponent of 32",
        _payload(lambda data: data[:1] + b"\x20" + data[2:]), "exact-float16",
    ),
    _lossless_payload(
        153, "exact-fast-frequencies", "the frequencies of a class add up to more than 256",
        _payload(_large_frequencies), _FAST,
    ),
    _lossless_payload(
        154, "exact-fast-cut", "the fast mode, and the last byte is missing",
        _payload(lambda data: data[:-1]), _FAST,
    ),
    _lossless_payload(
        155, "exact-fast-long", "the fast mode, and a byte more", _payload(lambda d: d + b"\0"), _FAST
    ),
    _lossless_payload(
        156, "exact-trailing-bits", "24 trailing zero bits of mantissas of 23",
        _payload(_with_trailing_bits), "exact-trailing-zeros",
    ),
)  # fmt: skip

INVALID: tuple[Definition, ...] = (
    *_HEADERS,
    *_UNITS,
    *_PARAMETER_SETS,
    *_FEATURES,
    *_PAYLOADS,
    *_UNNOTICED,
    *_NATIVE,
)
