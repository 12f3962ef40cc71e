"""Errors for damaged streams, invalid calls and failing machines."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variation import PATIENCE

import refcodec
from refcodec.errors import (
    CallerError,
    ChecksumError,
    ConstraintError,
    EnvironmentFault,
    HashError,
    OrderError,
    PayloadError,
    SignatureError,
    StreamError,
    TruncatedError,
    UnsupportedError,
)
from refcodec.stream.windows import windows_of
from refcodec.suite.assemble import Set
from refcodec.syntax.codes import Coder, FeatureType, Profile, Quantiser, SourceType, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    INDEX,
)
from refcodec.syntax.units import build_stream_header, build_unit

TakeApart = Callable[[bytes], Any]

SMALL = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 2, 2)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)


@pytest.fixture(scope="module")
def hevc_stream() -> bytes:
    return refcodec.encode(SMALL, coder="hevc", preset="ultrafast")


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def several(**options: Any) -> bytes:
    """Three features, a batch or not, with an index, metadata and hash units."""
    target = io.BytesIO()
    with refcodec.create(target, hashes=True, metadata={"layer": "relu1"}, **options) as writer:
        for scale in (1, 2, 3):
            writer.write(SMALL * np.float32(scale))
    return target.getvalue()


# --- features that are not coded -------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "options", [{"coder": "hevc"}, {"coder": "zlib", "quantiser": "uniform"}], ids=["hevc", "zlib"]
)
def test_a_lossy_coder_names_the_first_value_that_is_not_finite(bad: float, options: Any) -> None:
    feature = SMALL.copy()
    feature[1, 0, 1] = feature[2, 1, 1] = bad
    with pytest.raises(CallerError, match=r"at index \(1, 0, 1\)") as caught:
        refcodec.encode(feature, **options)
    counts = "2 NaN and 0 infinite" if np.isnan(bad) else "0 NaN and 2 infinite"
    assert str(caught.value) == (
        f"the feature has {np.float32(bad)} at index (1, 0, 1), the first of {counts} values of 12; "
        "a lossy coder takes finite values "
        "(mend the network, or use a lossless coder without a quantiser)"
    )


@pytest.mark.parametrize("value", [0.0, -0.0, 5.0, -1e-45, 3e38, -3e38])
@pytest.mark.parametrize("quantiser", ["uniform", "log"])
def test_constant_tensors_are_coded(value: float, quantiser: str) -> None:
    feature = np.full((2, 3, 4), value, np.float32)
    data = refcodec.encode(feature, coder="zlib", quantiser=quantiser, bits=12)
    error = 2e-3 if quantiser == "log" else 0
    np.testing.assert_allclose(refcodec.decode(data), feature, rtol=error, atol=3e-45)
    assert refcodec.validate(data).conforming


def test_constant_tensors_survive_hevc_exactly() -> None:
    feature = np.full((2, 3, 4), 0.1, np.float32)
    assert np.array_equal(refcodec.decode(refcodec.encode(feature, coder="hevc")), feature)


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (np.zeros((0, 2, 2), np.float32), r"the feature of shape \(0, 2, 2\) is empty"),
        (np.zeros(0, np.float32), r"the feature of shape \(0,\) is empty"),
        (np.float32(1), "rank 1 or 3, this one 0"),
        (np.zeros((1, 1, 2, 2, 2), np.float32), r"rank 1 or 3, this one 5 \(shape"),
        (np.array([None, 1.0]), "type object"),
        (np.arange(4), "type int64; float32, .* and float8_e5m2 are coded .*int16"),
        (np.zeros(4, np.bool_), "type bool"),
        (np.zeros(4, np.complex64), "type complex64"),
        (np.zeros(4), "type float64; .*narrow=True"),
        (np.array(["a"]), "type <U1"),
        ("feature", "the str is no array \\(numpy.load"),
        ([1.0, 2.0], "type float64"),
        (None, "the NoneType is no array"),
    ],
)
def test_other_tensors_are_the_callers_fault(feature: Any, text: str) -> None:
    with pytest.raises(CallerError, match=text):
        refcodec.encode(feature, coder="raw")


def test_the_feature_type_fixes_the_rank() -> None:
    with pytest.raises(CallerError, match="of type fc has rank 1, this one 3"):
        refcodec.encode(SMALL, coder="raw", feature_type="fc")
    with pytest.raises(CallerError, match="of type pool has rank 3, this one 1"):
        refcodec.encode(SMALL.ravel(), coder="raw", feature_type="pool")


# --- choices that do not exist ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"qp": 64}, r"a QP is 64; it lies in 0..63 \(\+6 doubles the step\)"),
        ({"coder": "hevc", "qp": 52}, "a QP is 52; it lies in 0..51"),
        ({"qp": -1}, "a QP is -1"),
        ({"qp": (30, 30, 77)}, "a QP is 77"),
        ({"qp": (30, 30)}, r"2 QPs for 3 channels \(give one QP, or one per channel\)"),
        ({"qp": ()}, "0 QPs for 3 channels"),
        ({"qp": 30.3}, "QP"),
        ({"coder": "hevc", "qp": 30.5}, "the QP is 30.5; hevc takes integers"),
        ({"qp": (30.5, 30, 30)}, "QP"),
        ({"qp": "333"}, "QP"),
        ({"bits": 0}, "bits is 0; native takes 1 to 16"),
        ({"coder": "hevc", "bits": 13}, "bits is 13; hevc takes 1 to 12"),
        ({"coder": "zlib", "quantiser": "log", "bits": 17}, "bits is 17; zlib takes 1 to 16"),
        (
            {"coder": "h264"},
            "coder is 'h264'; it is one of native, native-lossless, native-static, hevc",
        ),
        ({"coder": "hevc", "quantiser": "none"}, "with hevc it is uniform or log"),
        ({"quantiser": "none"}, "with native it is uniform or log"),
        (
            {"coder": "native-lossless", "quantiser": "log"},
            "with native-lossless it is none",
        ),
        (
            {"coder": "hevc", "restoration": "mean"},
            "restoration is 'mean'; it is one of auto, off, tensor",
        ),
        ({"restoration": "tensor"}, "restoration is 'tensor'; it is one of auto, off, mean"),
        ({"speed": "slow"}, "speed is 'slow'; it is one of fast, default, best"),
        ({"coder": "zlib", "target_size": 9}, "target_size is for native"),
        ({"target_size": 9, "target_snr": 9}, "exclude each other"),
        ({"target_size": 0}, "target_size is 0"),
        ({"coder": "hevc", "order": (0, 1)}, "order is no permutation of 3 channels"),
        ({"coder": "hevc", "order": (0, 1, 1)}, "order is no permutation of 3 channels"),
        ({"coder": "hevc", "hash_size": 0}, "the sample hash is mandatory with hevc"),
        ({"hash_size": 9}, "hash_size is 9"),
        ({"level": 5}, "level is 5; it is 1 to 4"),
        ({"gop": -1}, "gop is -1; it is 0 to 64"),
        ({"workers": 0}, "workers is 0; it is 1 or more"),
        ({"colour": 1}, "there is no option 'colour'"),
        ({"coder": "zlib", "quantiser": "uniform", "clip": (1, -1)}, "clip"),
        ({"coder": "zlib", "quantiser": "uniform", "clip": (float("nan"), 1)}, "clip"),
        ({"coder": "zlib", "quantiser": "uniform", "clip": (0, 1e300)}, "clip"),
        ({"coder": "zlib", "metadata": {"": "no name"}}, "metadata"),
        ({"coder": "zlib", "metadata": {"name": "\ud800"}}, "metadata"),
    ],
)
def test_other_choices_are_the_callers_fault(options: Any, text: str) -> None:
    with pytest.raises(CallerError, match=text):
        refcodec.encode(SMALL, **options)


@pytest.mark.parametrize("qp", [52, -1, (30, 30), (30, 30, 60)])
def test_a_wrong_qp_of_one_feature_leaves_the_writer_usable(qp: Any) -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="hevc", preset="ultrafast") as writer:
        with pytest.raises(CallerError, match="QP"):
            writer.write(SMALL, qp=qp)
        writer.write(SMALL)
    assert refcodec.decode(target.getvalue()).shape == SMALL.shape


def test_a_closed_writer_takes_nothing() -> None:
    writer = refcodec.create(io.BytesIO(), coder="raw")
    writer.close()
    writer.close()
    with pytest.raises(CallerError, match="the writer is closed"):
        writer.write(SMALL)


def test_a_feature_beyond_the_level_names_the_level_that_holds_it() -> None:
    with pytest.raises(CallerError, match=r"exceeds level 1: .* \(declare .*level"):
        refcodec.encode(np.zeros(70_000, np.float32), coder="raw", level=1)


def test_decode_takes_one_feature() -> None:
    with pytest.raises(CallerError, match=r"the stream holds several features \(use refcodec.open"):
        refcodec.decode(several(coder="zlib"))
    target = io.BytesIO()
    refcodec.create(target, coder="zlib").close()
    with pytest.raises(CallerError, match="the stream holds no feature"):
        refcodec.decode(target.getvalue())


# --- damaged streams -------------------------------------------------------------------------------


def test_a_cut_anywhere_is_noticed() -> None:
    choices: list[dict[str, Any]] = [{"coder": "zlib"}, {"coder": "raw", "quantiser": "uniform"}]
    for options in choices:
        data = refcodec.encode(SMALL, metadata={"a": "b"}, hashes=True, **options)
        for stop in range(len(data)):
            with pytest.raises(StreamError):
                refcodec.decode(data[:stop])


def test_a_cut_anywhere_is_noticed_hevc(hevc_stream: bytes) -> None:
    for stop in range(len(hevc_stream)):
        with pytest.raises(StreamError):
            refcodec.decode(hevc_stream[:stop])


@pytest.mark.parametrize("options", [{}, {"batch": True}], ids=["units", "batch"])
def test_a_cut_of_an_indexed_file_is_noticed(options: Any) -> None:
    data = several(coder="zlib", **options)
    for stop in range(len(data)):
        with pytest.raises(StreamError):
            len(refcodec.open(io.BytesIO(data[:stop])))


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    "options",
    [{"coder": "zlib"}, {"coder": "raw", "quantiser": "uniform", "bits": 5}],
    ids=["zlib", "raw"],
)
def test_every_flipped_bit_is_noticed(options: Any) -> None:
    data = refcodec.encode(SMALL, metadata={"a": "b"}, **options)
    for bit in range(8 * len(data)):
        with pytest.raises(StreamError):
            refcodec.decode(_flipped(data, bit))


def test_flipped_bits_are_noticed_hevc(hevc_stream: bytes) -> None:
    for bit in range(0, 8 * len(hevc_stream), 7):
        with pytest.raises(StreamError):
            refcodec.decode(_flipped(hevc_stream, bit))


@pytest.mark.parametrize("options", [{}, {"batch": True}], ids=["units", "batch"])
def test_no_flipped_bit_changes_what_random_access_reads(options: Any) -> None:
    data = several(coder="zlib", **options)
    right = [feature.tobytes() for feature in refcodec.open(io.BytesIO(data))]
    for bit in range(0, 8 * len(data), 3):
        try:
            reader = refcodec.open(io.BytesIO(_flipped(data, bit)))
            for k in range(len(reader)):
                assert reader[k].tobytes() == right[k]
            assert len(reader) == 3
        except StreamError:
            pass


def test_what_a_flipped_bit_reads_like() -> None:
    data = refcodec.encode(SMALL, coder="raw")
    with pytest.raises(ChecksumError) as caught:
        refcodec.decode(_flipped(data, 8 * 30))
    assert str(caught.value) == (
        "the CRC-32 of the unit at byte 19 does not match [bit 560, byte 70; clause 8.2, R8.2-3] "
        "(the unit was damaged in storage or transfer)"
    )


@settings(max_examples=80)
@given(data=st.data())
@pytest.mark.parametrize(
    "options",
    [
        {"coder": "zlib"},
        {"coder": "raw", "quantiser": "uniform", "range": "channel", "hash_size": 8},
        {"coder": "bzip2", "quantiser": "log", "batch": True},
        {"coder": "lzma", "batch": True, "shuffle": True},
    ],
    ids=["zlib", "raw", "bzip2", "lzma"],
)
def test_damage_under_right_checksums_is_still_the_streams_fault(
    options: Any, data: st.DataObject, take_apart: TakeApart
) -> None:
    parts = take_apart(several(**options))
    at = data.draw(st.integers(0, len(parts.units) - 1), label="unit")
    kind, payload = parts.units[at]
    changed = bytearray(payload or b"\0")
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, min(len(changed) - 1, 40)))] = data.draw(
            st.integers(0, 255)
        )
    parts.units[at] = (kind, bytes(changed))
    stream = parts.join()
    refcodec.validate(stream)
    refcodec.inspect(stream)
    with memory_below(200 << 20), suppress(StreamError, CallerError):
        list(refcodec.open(_Pipe(stream)))
    with memory_below(200 << 20), suppress(StreamError, CallerError):
        reader = refcodec.open(io.BytesIO(stream))
        for k in range(min(len(reader), 5)):
            reader[k]


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


# --- units out of place ----------------------------------------------------------------------------


def _with_unit(data: bytes, skippable: int, kind: int) -> bytes:
    unit = bytes([skippable << 7 | kind, 3]) + b"new"
    unit += zlib.crc32(unit).to_bytes(4, "big")
    return data[:9] + unit + data[9:]


def test_an_unknown_unit_is_passed_over_where_it_may_be() -> None:
    data = _with_unit(refcodec.encode(SMALL, coder="raw"), 1, 99)
    assert np.array_equal(refcodec.decode(data), SMALL)


@pytest.mark.parametrize("kind", [0, 6, 99])
def test_an_unknown_unit_stops_the_decoder_where_it_must(kind: int) -> None:
    data = _with_unit(refcodec.encode(SMALL, coder="raw"), 0, kind)
    with pytest.raises(UnsupportedError) as caught:
        refcodec.decode(data)
    assert str(caught.value) == (
        f"unit type {kind} is not defined by this version and must not be skipped "
        "[bit 72, byte 9; clause C.1, R8.2-5] (use a newer decoder)"
    )


def test_a_parameter_set_ends_the_sequence_of_the_one_it_replaces(take_apart: TakeApart) -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="native", gop=2, index=False) as writer:
        for _ in range(4):
            writer.write(SMALL)
    data = target.getvalue()
    for before, error in ((1, False), (2, True), (3, False), (4, True)):
        parts = take_apart(data)
        parts.units.insert(before, parts.units[0])
        stream = parts.join()
        assert refcodec.validate(stream).conforming is not error
        if error:
            with pytest.raises(OrderError, match="a sequence begins without an access point"):
                list(refcodec.open(io.BytesIO(stream)))
        else:
            assert len(list(refcodec.open(io.BytesIO(stream)))) == 4


def test_a_feature_before_its_parameter_set(take_apart: TakeApart) -> None:
    parts = take_apart(refcodec.encode(SMALL, coder="raw"))
    parts.units[:2] = reversed(parts.units[:2])
    with pytest.raises(OrderError, match="feature parameter set 0 is used before it occurs"):
        refcodec.decode(parts.join())


def test_bytes_behind_the_end() -> None:
    with pytest.raises(OrderError, match="bytes follow the end unit"):
        refcodec.decode(refcodec.encode(SMALL, coder="raw") + b"\0")


def test_a_stream_without_an_end(take_apart: TakeApart) -> None:
    parts = take_apart(refcodec.encode(SMALL, coder="raw"))
    del parts.units[-1]
    with pytest.raises(TruncatedError, match="the stream has no end unit"):
        refcodec.decode(parts.join())


def test_a_higher_level_than_the_caller_allows() -> None:
    data = refcodec.encode(np.zeros(70_000, np.float32), coder="zlib")
    with pytest.raises(UnsupportedError, match=r"level 2, above the limit of 1.*raise max_level"):
        refcodec.decode(data, max_level=1)


# --- promises of size ------------------------------------------------------------------------------


def test_a_unit_that_promises_gigabytes_costs_none() -> None:
    header = build_stream_header(Profile.LOSSLESS, 4)
    promise = header + b"\x02" + b"\xff\xff\xff\xff\x0f" + bytes(1000)  # 4,294,967,295 bytes
    with memory_below(4 << 20), pytest.raises(TruncatedError, match="needs 4294967299 more bytes"):
        refcodec.decode(promise)
    beyond = header + b"\x02" + b"\x80\x80\x80\x80\x10" + bytes(1000)
    with memory_below(4 << 20), pytest.raises(UnsupportedError, match="unit_size is 4294967296"):
        refcodec.decode(beyond)


def _index(count: bytes) -> bytes:
    """A stream of nothing but an index of no bits an entry."""
    index = count + b"\x00" + b"\x00\x10"
    end = END.build_whole({"index_offset": 9, "feature_count": 0}, unit_size=16)
    units = [(UnitType.INDEX, index), (UnitType.END, end)]
    return build_stream_header(Profile.LOSSLESS, 1) + b"".join(build_unit(*u) for u in units)


@pytest.mark.parametrize("count", [b"\x80\x80\x80\x80\x01", b"\x80\x80\x80\x80\x80\x80\x80\x01"])
def test_an_index_of_many_entries_without_bits_costs_nothing(count: bytes) -> None:
    data = _index(count)
    with memory_below(4 << 20):
        with pytest.raises(StreamError):
            len(refcodec.open(io.BytesIO(data)))
        with pytest.raises(StreamError):
            refcodec.decode(data)
        assert refcodec.validate(data).violations


def test_a_parameter_set_beyond_every_level_costs_the_inspector_nothing(hevc_stream: bytes) -> None:
    """Found by fuzzing: the QPs of 14 million channels took half a gigabyte."""
    data = Set(1, "feature_parameter_set.channels_minus1", 14_011_580)(hevc_stream)
    with memory_below(4 << 20):
        units = refcodec.inspect(data)
    assert "14011581 channels; level 1 allows 65536" in units[1].problem
    assert units[2].name == "coded_feature"


def test_an_index_of_more_units_than_fit_in_front_of_it(take_apart: TakeApart) -> None:
    """Its arrays would take 64 times its size."""
    index = (
        b"\x80\x80\x80\x02" + b"\0" + b"\x04\x10" + b"\xff" * (1 << 19)
    )  # 2^22 distances of one bit
    data = take_apart(several(coder="raw")).change(UnitType.INDEX, lambda _: index)
    with memory_below(8 * len(data)):
        report = refcodec.validate(data)
        with pytest.raises(ConstraintError, match=r"at most .* units fit in front of it"):
            list(refcodec.open(io.BytesIO(data)))
    (violation,) = report.violations
    assert (violation.clause, violation.reject) == ("9.5", "constraint")


@pytest.mark.parametrize("offset", [1, 50, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_an_index_beyond_the_file(offset: int, take_apart: TakeApart, tmp_path: Path) -> None:
    parts = take_apart(several(coder="raw"))
    end = END.build_whole({"index_offset": offset, "feature_count": 3}, unit_size=16)
    data = parts.change(UnitType.END, lambda _: end)
    (tmp_path / "features.dfc").write_bytes(data)
    for source in (io.BytesIO(data), tmp_path / "features.dfc"):
        with pytest.raises(StreamError), refcodec.open(source) as reader:
            len(reader)


def test_an_index_that_promises_features(take_apart: TakeApart) -> None:
    parts = take_apart(several(coder="raw"))
    kind = UnitType.INDEX
    index = dict(INDEX.parse_whole(parts.units[parts.find(kind)][1]))
    index.update(features_bits=3, features_minus1=np.array([0, 5, 0]))
    reader = refcodec.open(io.BytesIO(parts.change(kind, lambda _: INDEX.build_whole(index))))
    for k in (2, 6):
        with pytest.raises(StreamError):
            reader[k]


@pytest.mark.parametrize("place", [1 << 40, (1 << 56) - 1])
def test_an_index_with_a_parameter_set_beyond_the_file(
    place: int, take_apart: TakeApart, tmp_path: Path
) -> None:
    parts = take_apart(several(coder="raw"))
    kind = UnitType.INDEX
    index = dict(INDEX.parse_whole(parts.units[parts.find(kind)][1]))
    index.update(parameter_set_offset=[place])
    data = parts.change(kind, lambda _: INDEX.build_whole(index))
    (tmp_path / "features.dfc").write_bytes(data)
    for source in (io.BytesIO(data), tmp_path / "features.dfc"):
        with pytest.raises(StreamError), refcodec.open(source) as reader:
            len(reader)


def test_an_index_with_parameter_sets_out_of_order(take_apart: TakeApart) -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="raw") as writer:
        writer.write(SMALL)
        writer.write(SMALL[:1])
    parts = take_apart(target.getvalue())
    index = dict(INDEX.parse_whole(parts.units[parts.find(UnitType.INDEX)][1]))
    index["parameter_set_offset"] = index["parameter_set_offset"][::-1]
    data = parts.change(UnitType.INDEX, lambda _: INDEX.build_whole(index))
    assert sum(1 for _ in refcodec.open(io.BytesIO(data))) == 2  # list() would ask for the length
    with pytest.raises(ConstraintError, match="lists feature parameter sets out of order"):
        refcodec.open(io.BytesIO(data))[0]


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE),
}


def _payload(data: bytes, payload: bytes, take_apart: TakeApart) -> bytes:
    """The stream with another payload, under right sizes and CRCs."""
    parts = take_apart(data)
    fps = FEATURE_PARAMETER_SET.parse_whole(
        parts.units[parts.find(UnitType.FEATURE_PARAMETER_SET)][1]
    )

    def change(unit: bytes) -> bytes:
        coded = CODED_FEATURE.parse_whole(unit, fps=fps)
        return CODED_FEATURE.build_whole({**coded, "payload": payload}, fps=fps)

    stream: bytes = parts.change(UnitType.CODED_FEATURE, change)
    return stream


@pytest.mark.parametrize("coder", COMPRESS)
def test_a_decompression_bomb_is_defused(coder: str, take_apart: TakeApart) -> None:
    data = refcodec.encode(SMALL, coder=coder)
    bomb = _payload(data, COMPRESS[coder](bytes(32 << 20)), take_apart)
    with (
        memory_below(24 << 20),  # what a decompressor of LZMA needs for itself
        pytest.raises(PayloadError, match="decompresses to more than the 48 bytes expected"),
    ):
        refcodec.decode(bomb)


@pytest.mark.parametrize("coder", COMPRESS)
def test_a_compressed_payload_is_one_member_of_the_right_size(
    coder: str, take_apart: TakeApart
) -> None:
    data, compress, whole = refcodec.encode(SMALL, coder=coder), COMPRESS[coder], SMALL.tobytes()
    assert np.array_equal(refcodec.decode(_payload(data, compress(whole), take_apart)), SMALL)
    for payload, text in (
        (compress(whole[:-1]), "ends after 47 of 48 bytes"),
        (compress(whole)[:-1], "ends after|does not decompress"),
        (compress(whole) + b"\0", "1 bytes follow|does not decompress"),
        (compress(whole[:24]) + compress(whole[24:]), "ends after 24 of 48|bytes follow"),
        (b"", "ends after 0 of 48 bytes"),
        (b"no such thing", "does not decompress"),
    ):
        with pytest.raises(PayloadError, match=text) as caught:
            refcodec.decode(_payload(data, payload, take_apart))
        assert caught.value.bit_offset is not None


@pytest.mark.parametrize("size", [0, 47, 49])
def test_a_raw_payload_has_one_size(size: int, take_apart: TakeApart) -> None:
    with pytest.raises(PayloadError, match=f"holds {size} sample bytes; 48 are expected"):
        refcodec.decode(_payload(refcodec.encode(SMALL, coder="raw"), bytes(size), take_apart))


def test_a_batch_of_bombs_is_defused() -> None:
    payload = bz2.compress(bytes(131_072))
    count = 65_000 // len(payload)  # 190 MB from 65 kB, each feature within its level
    elements = {
        "fps_id": 0,
        "feature_type": FeatureType.FC,
        "source_type": SourceType.FLOAT16,
        "channels_minus1": 65_535,
        "quantiser": Quantiser.NONE,
        "sample_hash_size_code": 0,
        "coder_id": Coder.BZIP2,
        "shuffle_flag": 0,
    }
    parameter_set = FEATURE_PARAMETER_SET.build_whole(elements)
    batch = {
        "fps_id": 0,
        "feature_count_minus1": count - 1,
        "payload_size_base": len(payload),
        "range_codes_flag": 0,
        "payload_size_bits": 0,
        "parameters": {},
        "payloads": payload * count,
    }
    fps = FEATURE_PARAMETER_SET.parse_whole(parameter_set)
    stream = b"".join(
        [
            build_stream_header(Profile.LOSSLESS, 1),
            build_unit(UnitType.FEATURE_PARAMETER_SET, parameter_set),
            build_unit(
                UnitType.CODED_FEATURE_BATCH, CODED_FEATURE_BATCH.build_whole(batch, fps=fps)
            ),
            build_unit(UnitType.END, b""),
        ]
    )
    with memory_below(64 << 20), suppress(StreamError):
        for feature in refcodec.open(io.BytesIO(stream)):
            del feature


# --- HEVC payloads ---------------------------------------------------------------------------------


def test_an_hevc_payload_of_another_size(hevc_stream: bytes, take_apart: TakeApart) -> None:
    other = refcodec.encode(np.zeros((3, 20, 20), np.float32), coder="hevc", preset="ultrafast")
    small, large = take_apart(hevc_stream), take_apart(other)
    at = small.find(UnitType.FEATURE_PARAMETER_SET)
    own, foreign = (FEATURE_PARAMETER_SET.parse_whole(p.units[at][1]) for p in (small, large))
    changed = {**own}
    changed["parameter_sets"] = foreign.parameter_sets
    changed["parameter_sets_size"] = foreign.parameter_sets_size
    small.units[at] = (UnitType.FEATURE_PARAMETER_SET, FEATURE_PARAMETER_SET.build_whole(changed))
    with pytest.raises(ConstraintError, match="the frame width in the HEVC parameter sets is 4"):
        refcodec.decode(small.join())
    coded = CODED_FEATURE.parse_whole(large.units[at + 1][1], fps=foreign)
    with pytest.raises((PayloadError, HashError)):
        refcodec.decode(_payload(hevc_stream, coded.payload, take_apart))


def test_a_wrong_hevc_payload_under_right_checksums(
    hevc_stream: bytes, take_apart: TakeApart
) -> None:
    parts = take_apart(hevc_stream)
    at = parts.find(UnitType.CODED_FEATURE)
    kind, unit = parts.units[at]
    right = refcodec.decode(hevc_stream)
    for bit in range(8 * (len(unit) - 12), 8 * len(unit), 9):
        parts.units[at] = (kind, _flipped(unit, bit))
        with suppress(PayloadError, HashError):
            assert np.array_equal(refcodec.decode(parts.join()), right)


@pytest.mark.parametrize("payload", [b"", b"\0\0\1", b"not a NAL unit", b"\0\0\1\x28\1\xaf" * 2])
def test_an_hevc_payload_that_is_none(
    payload: bytes, hevc_stream: bytes, take_apart: TakeApart
) -> None:
    with pytest.raises(StreamError) as caught:
        refcodec.decode(_payload(hevc_stream, payload, take_apart))
    assert caught.value.clause


# --- files that are no streams ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a DFC stream begins with 89 44 46 43, this file with nothing"),
        (b"Dear reader,\n", "a DFC stream begins with 89 44 46 43, this file with 44 65 61 72"),
        (PNG, "a DFC stream begins with 89 44 46 43, this file with 89 50 4e 47"),
        (b"\x09DFC" + bytes(20), "this file with 09 44 46 43"),
    ],
    ids=["empty", "text", "PNG", "seven bits"],
)
def test_a_file_that_is_no_dfc(data: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "features.dfc"
    path.write_bytes(data)
    for read in (lambda: refcodec.decode(data), lambda: refcodec.open(path)):
        with pytest.raises(SignatureError) as caught:
            read()
        assert text in str(caught.value)
        assert caught.value.bit_offset == 0
        assert caught.value.hint == "give a .dfc file"
    (violation,) = refcodec.validate(path).violations
    assert isinstance(violation, SignatureError)


def test_a_signature_and_no_more() -> None:
    for stop in range(1, 9):
        with pytest.raises(TruncatedError, match=f"has 9 bytes; the file has {stop}"):
            refcodec.decode(build_stream_header(Profile.LOSSLESS, 1)[:stop])


def test_another_major_version() -> None:
    head = build_stream_header(Profile.LOSSLESS, 1)[:4] + b"\x20\x01\x10"
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "big")
    with pytest.raises(UnsupportedError, match=r"major version 2, this decoder knows 1"):
        refcodec.decode(head)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (refcodec.open, refcodec.validate, refcodec.inspect):
        with pytest.raises(CallerError) as caught:
            read(tmp_path / "none.dfc")
        assert str(caught.value) == (
            f"cannot open {tmp_path}/none.dfc: No such file or directory "
            "(check the path and its permissions)"
        )
        with pytest.raises(CallerError, match="Is a directory"):
            read(tmp_path)


# --- outputs ---------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"cannot open .*: No such file or directory"):
        refcodec.create(tmp_path / "none" / "out.dfc")


def test_an_output_that_is_a_directory(tmp_path: Path) -> None:
    out = tmp_path / "out.dfc"
    out.mkdir()
    with (
        pytest.raises(CallerError, match="Is a directory"),
        refcodec.create(out, coder="raw") as writer,
    ):
        writer.write(SMALL)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CallerError, match="Permission denied"):
        refcodec.create(tmp_path / "out.dfc")


def test_an_error_in_the_block_stays_what_it_is_and_the_old_file_too(tmp_path: Path) -> None:
    out = tmp_path / "out.dfc"
    out.write_bytes(b"old")
    with (
        pytest.raises(FileNotFoundError, match="input"),
        refcodec.create(out, coder="raw", exist_ok=True),
    ):
        (tmp_path / "input.npy").read_bytes()
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_named_pipe_stays_one_and_carries_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received: list[bytes] = []
    # opening a pipe waits for the other end, and reading from it ends when that is closed
    thread = threading.Thread(target=lambda: received.append(path.read_bytes()), daemon=True)
    thread.start()
    with refcodec.create(path, coder="raw") as writer:
        writer.write(SMALL)
    thread.join()
    assert path.is_fifo()
    assert np.array_equal(refcodec.decode(b"".join(received)), SMALL)


KILLED = """
import sys, time
import numpy as np, refcodec
with refcodec.create(sys.argv[1], coder="raw") as writer:
    for _ in range(5000):
        writer.write(np.ones((8, 8, 8), np.float32))
    print("written", flush=True)
    time.sleep(60)
"""


def test_the_old_file_survives_a_kill(tmp_path: Path) -> None:
    out = tmp_path / "out.dfc"
    old = refcodec.encode(SMALL, coder="raw")
    out.write_bytes(old)
    with subprocess.Popen([sys.executable, "-c", KILLED, out], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert out.read_bytes() == old


@pytest.mark.parametrize("buffering", [0, -1], ids=["raw", "buffered"])
def test_a_reader_that_leaves_the_pipe(buffering: int, tmp_path: Path) -> None:
    receiver, sender = os.pipe()
    os.close(receiver)
    file = os.fdopen(sender, "wb", buffering)
    try:
        with pytest.raises(BrokenPipeError), refcodec.create(file, coder="raw") as writer:  # noqa: PT012
            for _ in range(100):
                writer.write(np.zeros((16, 16, 16), np.float32))
            writer.close()
    finally:
        with suppress(BrokenPipeError):
            file.close()


class Full(io.RawIOBase):
    """A disk with room for a number of bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)


@pytest.mark.parametrize("room", [0, 9, 40])
def test_a_full_disk_is_the_environments_fault(room: int) -> None:
    target: Any = Full(room)
    with (
        pytest.raises(EnvironmentFault, match=r"No space left on device \(free some space\)"),
        refcodec.create(target, coder="raw") as writer,
    ):
        writer.write(SMALL)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_device_is_the_environments_fault() -> None:
    file = open("/dev/full", "wb")  # noqa: SIM115 - closing it fails, too
    try:
        with pytest.raises(EnvironmentFault, match="No space left"), refcodec.create(file) as w:
            w.write(SMALL)
    finally:
        with suppress(OSError):
            file.close()


def test_a_disk_that_fills_up_at_the_end_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.dfc"
    out.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(EnvironmentFault, match=f"cannot write {out}: No space left on device"),
        refcodec.create(out, coder="raw", exist_ok=True) as writer,
    ):
        writer.write(SMALL)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


class Grudging(io.RawIOBase):
    """Takes and gives seven bytes at a time at most, as a raw file may."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.position = bytearray(data), 0

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)[:7]
        self.data += part
        return len(part)

    def readinto(self, into: Any, /) -> int:
        part = self.data[self.position : self.position + min(len(into), 7)]
        if self.position % 2 == 0:
            part = part[:1]
        into[: len(part)] = part
        self.position += len(part)
        return len(part)


def test_a_raw_file_that_takes_little_at_a_time() -> None:
    target: Any = Grudging()
    with refcodec.create(target, coder="raw") as writer:
        writer.write(SMALL)
    assert np.array_equal(refcodec.decode(bytes(target.data)), SMALL)


def test_a_raw_file_that_gives_little_at_a_time() -> None:
    source: Any = Grudging(refcodec.encode(SMALL, coder="raw"))
    (feature,) = refcodec.open(source)
    assert np.array_equal(feature, SMALL)


# --- ffmpeg ----------------------------------------------------------------------------------------


@pytest.fixture
def ffmpeg(tmp_path: Path) -> Callable[[str], str]:
    """A program of that text in ffmpeg's place."""

    def make(text: str) -> str:
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return make


def test_an_ffmpeg_that_is_not_there(monkeypatch: pytest.MonkeyPatch, hevc_stream: bytes) -> None:
    monkeypatch.setenv("REFCODEC_FFMPEG", "/no/such/ffmpeg")
    for call in (
        lambda: refcodec.encode(SMALL, coder="hevc"),
        lambda: refcodec.decode(hevc_stream),
    ):
        with pytest.raises(CallerError) as caught:
            call()
        assert str(caught.value) == (
            "there is no program '/no/such/ffmpeg' (correct the ffmpeg option or the variable "
            "REFCODEC_FFMPEG, or leave both out)"
        )


def test_an_ffmpeg_that_hangs(ffmpeg: Callable[[str], str], hevc_stream: bytes) -> None:
    """It is ended, not waited for."""
    program = ffmpeg('echo $$ > "$0.pid"; exec sleep 100000')
    for call in (
        lambda: refcodec.encode(SMALL, coder="hevc", ffmpeg=program, timeout=1),
        lambda: refcodec.decode(hevc_stream, ffmpeg=program, timeout=1),
    ):
        with pytest.raises(EnvironmentFault, match=r"stopped after 1 s \(raise the timeout"):
            call()
        with pytest.raises(ProcessLookupError):
            os.kill(int(Path(f"{program}.pid").read_text(encoding="utf-8")), 0)


@pytest.mark.parametrize(
    "text",
    [
        "cat > /dev/null; echo garbage",
        "cat",
        "exit 0",
        "cat > /dev/null; exit 0",
        "echo complaint >&2; exit 1",
        "kill -9 $$",
    ],
)
def test_an_ffmpeg_that_encodes_nothing(text: str, ffmpeg: Callable[[str], str]) -> None:
    with pytest.raises(EnvironmentFault):
        refcodec.encode(SMALL, coder="hevc", ffmpeg=ffmpeg(text))


@pytest.mark.parametrize(
    "text",
    [
        "cat > /dev/null; echo garbage",
        "cat > /dev/null; exit 0",
        "exit 0",
        "echo invalid data >&2; exit 1",
        "exec cat /dev/zero",
    ],
)
def test_a_program_that_decodes_no_sound_picture_is_at_fault_itself(
    text: str, ffmpeg: Callable[[str], str], hevc_stream: bytes
) -> None:
    with pytest.raises(EnvironmentFault, match=r"does not decode HEVC: .*check REFCODEC_FFMPEG"):
        refcodec.decode(hevc_stream, ffmpeg=ffmpeg(text))
    report = refcodec.validate(hevc_stream, ffmpeg=ffmpeg(text))
    assert (report.violations, len(report.unverified)) == ([], 1)


def test_an_ffmpeg_that_decodes_something_else(
    ffmpeg: Callable[[str], str], hevc_stream: bytes
) -> None:
    with pytest.raises(HashError):
        refcodec.decode(hevc_stream, ffmpeg=ffmpeg("cat > /dev/null; head -c 512 /dev/zero"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("head -c 100 /dev/zero", "decodes to 100 bytes; 512 are expected"),
        ("exec cat /dev/zero", "decodes to more bytes; 512 are expected"),
        ("echo invalid data >&2; exit 1", "ffmpeg rejects the HEVC payload: invalid data"),
    ],
)
def test_a_sound_ffmpeg_blames_the_payload(
    text: str, message: str, ffmpeg: Callable[[str], str], hevc_stream: bytes
) -> None:
    """It decodes the picture of 256 bytes that is known to be sound, and not this one."""
    sound = "printf '\\200%.0s' $(seq 256)"
    program = ffmpeg(f'case "$*" in *gray10le*) {text};; *) {sound};; esac')
    with pytest.raises(PayloadError, match=message):
        refcodec.decode(hevc_stream, ffmpeg=program)


def test_what_a_wrapper_of_ffmpeg_started_ends_with_it(
    ffmpeg: Callable[[str], str], hevc_stream: bytes
) -> None:
    program = ffmpeg('sleep 100000 & echo $! > "$0.pid"; wait')
    with pytest.raises(EnvironmentFault, match="stopped after 1 s"):
        refcodec.decode(hevc_stream, ffmpeg=program, timeout=1)
    child = int(Path(f"{program}.pid").read_text(encoding="utf-8"))
    state = Path(f"/proc/{child}/stat")
    with suppress(OSError):  # gone, or dead and not yet waited for
        while ") Z " not in state.read_text(encoding="utf-8"):
            time.sleep(0.01)


def test_a_program_that_is_none(tmp_path: Path) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("not a program", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(EnvironmentFault, match=r"cannot run .*: Exec format error"):
        refcodec.encode(SMALL, coder="hevc", ffmpeg=str(program))


def test_index_syntax_is_as_these_tests_assume() -> None:
    parsed = INDEX.parse_whole(b"\x00\x00\x00\x10")
    assert (parsed.entry_count, parsed.distance_bits, parsed.all_access_points_flag) == (0, 0, 1)


def test_an_xz_stream_has_lzma2_alone(take_apart: TakeApart) -> None:
    filters = [{"id": lzma.FILTER_DELTA, "dist": 4}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    payload = lzma.compress(SMALL.tobytes(), lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=filters)
    data = _payload(refcodec.encode(SMALL, coder="lzma"), payload, take_apart)
    with pytest.raises(PayloadError, match="not one block of LZMA2 alone"):
        refcodec.decode(data)


# --- what reviews found ----------------------------------------------------------------------------


def test_after_a_failed_flush_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refcodec.writer.writer._WAITING_FEATURES", 2)
    old = tmp_path / "features.dfc"
    old.write_bytes(b"old")
    writer = refcodec.create(old, coder="hevc", ffmpeg="false", exist_ok=True)
    writer.write(SMALL)
    with pytest.raises(EnvironmentFault):
        writer.write(SMALL)
    with pytest.raises(CallerError, match="closed"):
        writer.write(SMALL)
    writer.close()
    assert old.read_bytes() == b"old"


def test_an_ffmpeg_that_dies_is_not_the_streams_fault(tmp_path: Path) -> None:
    data = refcodec.encode(SMALL, coder="hevc", qp=30)
    killed = tmp_path / "ffmpeg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n", encoding="utf-8")
    killed.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="status -9"):
        refcodec.decode(data, ffmpeg=str(killed))
    report = refcodec.validate(data, ffmpeg=str(killed))
    assert not report.violations
    assert report.unverified
    assert not report.conforming


def test_an_endless_exp_golomb_code_is_a_violation(take_apart: TakeApart) -> None:
    parts = take_apart(refcodec.encode(SMALL, coder="raw"))
    code = bytes(2000) + b"\x80" + bytes(2001)  # 16,000 zero bits, a one, and as many more
    data = parts.change(UnitType.FEATURE_PARAMETER_SET, lambda _: code)
    with pytest.raises(StreamError, match="bits"):
        refcodec.decode(data)
    assert refcodec.validate(data).violations


def test_metadata_has_a_bounded_number_of_entries(take_apart: TakeApart) -> None:
    parts = take_apart(refcodec.encode(SMALL, coder="raw", metadata={"a": "b"}))
    data = parts.change(UnitType.METADATA, lambda _: b"\x81\x20" + bytes(2 * 4097))
    with pytest.raises(StreamError, match=r"entry_count is 4097; it lies in 0\.\.4096"):
        refcodec.decode(data)


def test_what_has_no_place_in_a_stream_is_the_callers_fault() -> None:
    with pytest.raises(CallerError, match="no place in a stream"):
        refcodec.encode(np.zeros((1, 70_000, 1), np.float32), coder="raw")
    with pytest.raises(CallerError, match="at least 2 bits"):
        refcodec.encode(-np.ones(4, np.float32), coder="raw", quantiser="log", bits=1)
    for wrong in ({"bits": 8.5}, {"level": "3"}, {"gop": 2000}):
        with pytest.raises(CallerError):
            refcodec.EncoderConfig(**wrong)


def test_a_sink_that_does_not_count_takes_all() -> None:
    class Sink:
        def __init__(self) -> None:
            self.data = b""

        def seekable(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            self.data += bytes(data)

        def flush(self) -> None:
            pass

    sink = Sink()
    with refcodec.create(sink, coder="raw") as writer:  # type: ignore[arg-type]
        writer.write(SMALL)
    assert np.array_equal(refcodec.decode(sink.data), SMALL)


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "private.dfc"
    path.write_bytes(b"")
    path.chmod(0o600)
    with refcodec.create(path, coder="raw", exist_ok=True) as writer:
        writer.write(SMALL)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_unused_parameter_set_is_checked(take_apart: TakeApart) -> None:
    parts = take_apart(refcodec.encode(SMALL, coder="raw"))
    other = take_apart(refcodec.encode(SMALL, coder="hevc", qp=30))
    fps = dict(FEATURE_PARAMETER_SET.parse_whole(other.units[0][1]))
    fps.update(fps_id=7, parameter_sets=fps["parameter_sets"][:-1] + b"\xff")
    fps["parameter_sets"] = fps["parameter_sets"].replace(b"\0\0\1\x44", b"\0\0\1\x46")  # an AUD
    parts.header = other.header
    parts.units.insert(0, (UnitType.FEATURE_PARAMETER_SET, FEATURE_PARAMETER_SET.build_whole(fps)))
    with pytest.raises(ConstraintError, match="VPS, SPS and PPS"):
        refcodec.decode(parts.join())


# --- memory ----------------------------------------------------------------------------------------

LITTLE_MEMORY = """
import resource, sys
import numpy as np
import refcodec

def coded(shape):
    return refcodec.encode(np.zeros(shape, np.float32), coder=sys.argv[1])

stream = coded((4, 1024, 1024))
refcodec.decode(coded((1, 1, 1)))
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (12 << 20),) * 2)
try:
    refcodec.decode(stream)
except refcodec.EnvironmentFault as error:
    print(error.what)
report = refcodec.validate(stream)
print(len(report.violations), report.conforming)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of memory need Linux")
@pytest.mark.parametrize("coder", ["zlib", "native-lossless"])
def test_too_little_memory_is_the_fault_of_the_machine(coder: str) -> None:
    command = [sys.executable, "-c", LITTLE_MEMORY, coder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr == ""
    what, verdict = done.stdout.splitlines()
    assert what.startswith("there is not enough memory to ")
    assert what.endswith("a feature of 4 x 1024 x 1024")
    assert verdict == "0 False"


@pytest.mark.parametrize(
    ("coder", "options"),
    [
        ("raw", {"quantiser": "log", "bits": 16}),
        ("zlib", {"quantiser": "uniform", "bits": 10}),
        ("native", {"speed": "fast", "qp": 63}),
        ("native-lossless", {}),
        ("hevc", {"bits": 8, "qp": 51, "preset": "ultrafast", "restoration": "tensor"}),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_decoding_takes_16_bytes_per_element_beyond_the_output(
    coder: str, options: dict[str, Any], dtype: Any
) -> None:
    count = 1 << 20
    feature = np.linspace(0, 1, count, dtype=np.float32).reshape(4, 512, 512).astype(dtype)
    data = refcodec.encode(feature, coder=coder, **options)
    refcodec.decode(data)
    with memory_below((16 + feature.itemsize) * count + (4 << 20)):
        refcodec.decode(data)


class Counting(io.BytesIO):
    """Counts what was read."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_the_first_feature_comes_after_its_unit_and_the_next() -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="raw", batch=False) as writer:
        for _ in range(50):
            writer.write(np.zeros((16, 32, 32), np.float32))
    source, size = Counting(target.getvalue()), len(target.getvalue())
    next(iter(refcodec.open(source)))
    assert source.taken < size / 8


def test_windows_hold_few_features_and_few_samples() -> None:
    def unit(samples: int, features: int) -> Any:
        return types.SimpleNamespace(samples=samples, payloads=(None,) * features)

    small = [len(window) for window in windows_of(unit(1, 1) for _ in range(300))]
    assert small == [1, 2, 4, 8, 16, 32, 64, 64, 64, 45]
    assert [len(window) for window in windows_of([unit(65_536, 65_536)] * 3)] == [1, 1, 1]
    assert [len(window) for window in windows_of([unit(3 << 20, 1)] * 3)] == [1, 1, 1]
