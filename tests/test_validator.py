"""The validator: nothing wrong in what the encoder writes, and every lie found at its place."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refcodec
from refcodec.errors import (
    ChecksumError,
    ConstraintError,
    HashError,
    OrderError,
    PayloadError,
    SignatureError,
    StreamError,
    SyntaxViolation,
    TruncatedError,
    UnsupportedError,
    reject_classes,
)
from refcodec.syntax.bits import Element
from refcodec.syntax.codes import Quantiser, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    FEATURE_PARAMETER_SET,
    METADATA,
)
from refcodec.syntax.units import read_unit
from refcodec.tables import clause_titles, hevc_constraints

FEATURE = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 2, 2)
RAW: dict[str, Any] = {"coder": "raw", "quantiser": "uniform", "bits": 8, "hash_size": 8}


def several(count: int = 3, **options: Any) -> bytes:
    target = io.BytesIO()
    with refcodec.create(target, hashes=True, metadata={"layer": "relu1"}, **options) as writer:
        for k in range(count):
            writer.write(FEATURE + np.float32(k))
    return target.getvalue()


def element(data: bytes, path: str, nth: int = 0) -> Element:
    """The nth element whose path ends so."""
    found = [e for unit in refcodec.inspect(data) for e in unit.elements if e.path.endswith(path)]
    return found[nth]


def sealed(data: bytes) -> bytes:
    """The same stream with right CRCs."""
    changed = bytearray(data)
    changed[7:9] = (zlib.crc32(changed[:7]) & 0xFFFF).to_bytes(2, "big")
    source, offset = io.BytesIO(data[9:]), 9
    while unit := read_unit(source, offset, 1 << 32):
        changed[unit.end - 4 : unit.end] = zlib.crc32(changed[offset : unit.end - 4]).to_bytes(
            4, "big"
        )
        offset = unit.end
    return bytes(changed)


def with_value(data: bytes, path: str, code: int, nth: int = 0) -> bytes:
    """The stream with the bits of one element replaced, under right CRCs."""
    place = element(data, path, nth)
    whole = int.from_bytes(data, "big")
    shift = 8 * len(data) - place.offset - place.width
    whole &= ~(((1 << place.width) - 1) << shift)
    return sealed((whole | code << shift).to_bytes(len(data), "big"))


def only(data: bytes) -> StreamError:
    (violation,) = refcodec.validate(data).violations
    return violation


@pytest.fixture(scope="module")
def hevc() -> bytes:
    return refcodec.encode(FEATURE, coder="hevc", preset="ultrafast", qp=32, order=(0, 1, 2))


# --- conforming streams ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        *({"coder": coder} for coder in ("raw", "zlib", "gzip", "bzip2", "lzma")),
        {"coder": "raw", "quantiser": "uniform", "range": "channel"},
        {"coder": "zlib", "quantiser": "log", "bits": 5, "shuffle": True, "batch": True},
        {"coder": "hevc", "preset": "ultrafast"},
        {"coder": "hevc", "preset": "ultrafast", "gop": 2, "restoration": "channel"},
        {"coder": "hevc", "preset": "ultrafast", "packing": "frame", "qp": (9, 51, 0)},
        {"coder": "hevc", "preset": "ultrafast", "lossless": True, "bits": 12},
    ],
    ids=lambda o: " ".join(map(str, o.values())),
)
def test_what_the_encoder_writes_conforms(options: Any, tmp_path: Any) -> None:
    data = several(**options)
    (tmp_path / "features.dfc").write_bytes(data)
    for source in (data, tmp_path / "features.dfc", str(tmp_path / "features.dfc")):
        report = refcodec.validate(source)
        assert report.violations == []
        assert report.unverified == []
        assert report.conforming
        assert report.features == 3
    assert report.units == len(refcodec.inspect(data)) - 1


def test_a_report_is_json() -> None:
    report = refcodec.validate(with_value(several(**RAW), "reserved_ignored_2bits", 1))
    found = json.loads(json.dumps(report.as_json()))
    assert found == {
        "conforming": False,
        "features": 3,
        "units": report.units,
        "unverified": [],
        "violations": [
            {
                "class": "constraint",
                "bit_offset": 52,
                "clause": "9.6",
                "clause_title": "Reserved bits",
                "requirement": "9.6-1",
                "what": "reserved_ignored_2bits is not zero in a stream of this version",
                "hint": "",
            }
        ],
    }


# --- one lie at a time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code", "kind", "clause"),
    [
        ("version_major", 2, UnsupportedError, "7.2"),
        ("profile_idc", 8, UnsupportedError, "C.1"),
        ("profile_idc", 77, UnsupportedError, "C.1"),
        ("level_idc", 0, UnsupportedError, "A.3"),
        ("level_idc", 5, UnsupportedError, "A.3"),
        ("reserved_ignored_2bits", 3, ConstraintError, "9.6"),
        ("reserved_zero_2bits", 1, UnsupportedError, "7.2"),
        ("feature_type", 3, UnsupportedError, "C.1"),
        ("source_type", 4, ConstraintError, "9.2"),
        ("range_max", 0x7FC00000, ConstraintError, "9.2"),
        ("range_max", 0xC0000000, ConstraintError, "9.2"),
        ("range_min", 0x7F800000, ConstraintError, "9.2"),
        ("parameters.alignment", 1, SyntaxViolation, "4.4"),
        ("feature_parameter_set.alignment", 1, SyntaxViolation, "4.4"),
        ("hash_target", 9, UnsupportedError, "C.1"),
        ("sample_hash", 0, HashError, "8.8"),
        ("hash.sha256", 0, HashError, "8.8"),
        ("index.reserved_ignored_4bits", 1, ConstraintError, "9.6"),
        ("index_offset", 10, ConstraintError, "9.5"),
        ("end.feature_count", 4, OrderError, "9.1"),
    ],
)
def test_a_wrong_element_is_found_where_it_stands(
    path: str, code: int, kind: type[StreamError], clause: str
) -> None:
    right = several(**RAW)
    violation = refcodec.validate(with_value(right, path, code)).violations[0]
    assert type(violation) is kind
    assert violation.clause == clause
    place = element(right, path)
    assert violation.bit_offset is not None
    assert place.offset <= violation.bit_offset <= place.offset + place.width


def test_a_batch_whose_sizes_do_not_add_up() -> None:
    data = refcodec.encode(FEATURE, **RAW, batch=True)
    violation = only(with_value(data, "payload_size_base", 0b0001111))  # 14; 12 is 0001101
    assert isinstance(violation, ConstraintError)
    assert violation.what == "the payload sizes add up to 14 bytes; the unit has 12"
    assert violation.bit_offset == element(data, "payload_size_base").offset


def test_a_payload_that_does_not_decode() -> None:
    data = refcodec.encode(FEATURE, coder="zlib")
    place = element(data, "coded_feature.payload")
    violation = only(with_value(data, "coded_feature.payload", 0))
    assert isinstance(violation, PayloadError)
    assert violation.clause.startswith("8.3")
    assert violation.bit_offset == place.offset


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("index.parameter_set_offset", None),
        ("index.unit_distance", None),
        ("index.features_minus1", None),
        ("index.access_point", None),
    ],
)
def test_an_index_that_lies(path: str, code: int | None) -> None:
    target = io.BytesIO()
    with refcodec.create(target, coder="hevc", preset="ultrafast", gop=2) as writer:
        for _ in range(3):
            writer.write(FEATURE)
        for _ in range(3):
            writer.write(FEATURE.ravel(), config=refcodec.EncoderConfig(coder="raw"))
    data = target.getvalue()
    assert refcodec.validate(data).conforming
    place = element(data, path)
    whole = int.from_bytes(data, "big")
    shift = 8 * len(data) - place.offset - place.width
    lying = sealed((whole ^ 1 << shift).to_bytes(len(data), "big"))  # its last bit
    violation = only(lying)
    assert isinstance(violation, ConstraintError)
    assert violation.clause == "9.5"
    assert f"{place.name} of the index disagrees with the stream" in violation.what
    assert violation.bit_offset == place.offset


@pytest.mark.parametrize(
    ("entries", "kind", "text"),
    [
        ([(b"", b"x")], ConstraintError, "the metadata key b'' is empty or occurs twice"),
        ([(b"a", b"1"), (b"a", b"2")], ConstraintError, "occurs twice"),
        ([(b"\xff", b"1")], SyntaxViolation, "is not UTF-8"),
        ([(b"a", b"\xc3")], SyntaxViolation, "is not UTF-8"),
    ],
)
def test_metadata_that_is_no_text(
    entries: list[tuple[bytes, bytes]],
    kind: type[StreamError],
    text: str,
    take_apart: Callable[[bytes], Any],
) -> None:
    elements = [
        {"key_size": len(key), "key": key, "value_size": len(value), "value": value}
        for key, value in entries
    ]
    payload = METADATA.build_whole({"entry_count": len(entries), "entries": elements})
    data = take_apart(several(**RAW, index=False)).change(UnitType.METADATA, lambda _: payload)
    violation = only(data)
    assert type(violation) is kind
    assert violation.clause == "9.4"
    assert text in violation.what
    assert violation.bit_offset is not None
    assert 8 * 11 <= violation.bit_offset < 8 * (11 + len(payload))


# --- framing and order -----------------------------------------------------------------------------


def test_a_wrong_checksum() -> None:
    data = several(**RAW)
    for k, unit in enumerate(refcodec.inspect(data)[1:]):
        damaged = bytearray(data)
        damaged[unit.offset // 8 + unit.size - 1] ^= 1
        violation = refcodec.validate(bytes(damaged)).violations[0]
        assert isinstance(violation, ChecksumError)
        assert violation.clause == "8.2"
        assert violation.bit_offset == element(data, "unit_crc", k).offset


def test_a_unit_with_the_wrong_skippable_flag() -> None:
    data = several(**RAW)
    for k, unit in enumerate(refcodec.inspect(data)[1:]):
        place = element(data, "unit.skippable_flag", k)
        violations = refcodec.validate(
            with_value(data, "unit.skippable_flag", 1 - place.value, k)
        ).violations
        assert isinstance(violations[0], ConstraintError)
        assert f"skippable_flag of a {unit.name} unit" in violations[0].what
        assert violations[0].bit_offset == unit.offset


def test_files_that_are_no_streams() -> None:
    assert isinstance(only(b""), SignatureError)
    assert isinstance(only(b"\x89PNG\r\n\x1a\n"), SignatureError)
    assert isinstance(only(b"\x89DF"), TruncatedError)
    assert refcodec.validate(b"").features == 0


def test_order(take_apart: Callable[[bytes], Any]) -> None:
    data = several(1, **RAW, index=False)

    def reordered(change: Callable[[list[Any]], None]) -> StreamError:
        parts = take_apart(data)
        change(parts.units)
        found: StreamError = refcodec.validate(parts.join()).violations[0]
        assert found.clause == "9.1"
        assert found.bit_offset is not None
        return found

    # metadata, parameter set, feature, hash, hash, end
    assert isinstance(reordered(lambda units: units.pop()), TruncatedError)
    assert isinstance(reordered(lambda units: units.insert(1, units[2])), OrderError)
    assert isinstance(reordered(lambda units: units.pop(1)), OrderError)
    assert "directly" in reordered(lambda units: units.insert(0, units[3])).what
    assert "metadata" in reordered(lambda units: units.insert(3, units[0])).what
    behind = refcodec.validate(data + b"\0").violations
    assert [v.what for v in behind] == ["bytes follow the end unit"]
    assert behind[0].bit_offset == 8 * len(data)


def test_only_the_end_follows_the_index(take_apart: Callable[[bytes], Any]) -> None:
    parts = take_apart(several(**RAW))
    parts.units.insert(-1, parts.units[0])
    violation = refcodec.validate(parts.join()).violations[0]
    assert isinstance(violation, OrderError)
    assert violation.what == "only the end unit follows the index"


def test_a_stream_that_is_cut() -> None:
    data = several(**RAW)
    for stop in range(len(data)):
        violations = refcodec.validate(data[:stop]).violations
        assert violations
        assert isinstance(violations[-1], (TruncatedError, SignatureError))


# --- many lies at once -----------------------------------------------------------------------------


def test_all_violations_are_collected() -> None:
    data = several(4, **RAW)
    places = []
    for path, code, nth in (
        ("reserved_ignored_2bits", 1, 0),
        ("sample_hash", 0, 0),
        ("sample_hash", 0, 2),
        ("hash.sha256", 0, 3),
        ("index_offset", 1, 0),
    ):
        places.append(element(data, path, nth).offset)
        data = with_value(data, path, code, nth)
    report = refcodec.validate(data)
    found = [(type(v).__name__, v.clause) for v in report.violations]
    assert found == [
        ("ConstraintError", "9.6"),
        ("HashError", "8.8"),
        ("HashError", "8.8"),
        ("HashError", "8.8"),
        ("ConstraintError", "9.5"),
    ]
    assert report.features == 4


def test_violations_behind_a_damaged_unit_are_found_too() -> None:
    data = several(4, **RAW)
    for nth in (0, 2):
        data = with_value(data, "range_max", 0x7FC00000, nth)
    damaged = bytearray(data)
    damaged[element(data, "unit_crc", 4).offset // 8] ^= 1
    report = refcodec.validate(bytes(damaged))
    assert [v.reject for v in report.violations].count("constraint") == 2
    assert "checksum" in [v.reject for v in report.violations]
    assert not report.unverified  # the others stand by themselves
    assert not report.conforming


def test_hash_units_behind_a_damaged_unit_are_no_violation() -> None:
    right = several(2, **RAW, index=False)
    damaged = bytearray(right)
    damaged[element(right, "coded_feature.payload").offset // 8] ^= 1
    assert [v.reject for v in refcodec.validate(bytes(damaged)).violations] == ["checksum"]
    wrong = with_value(right, "range_max", 0x7FC00000)
    assert [v.reject for v in refcodec.validate(wrong).violations] == ["constraint"]


def test_every_class_of_annex_d_has_a_name() -> None:
    assert set(reject_classes()) == {
        "signature",
        "truncated",
        "checksum",
        "syntax",
        "order",
        "constraint",
        "payload",
        "hash",
        "unsupported",
    }
    assert all(kind.reject == name for name, kind in reject_classes().items())
    assert clause_titles()["9.3.2"] == "Slices of an HEVC payload"


# --- inside HEVC payloads --------------------------------------------------------------------------


def test_a_slice_of_another_qp(hevc: bytes) -> None:
    place = element(hevc, "slice_qp_delta")
    assert (place.value, place.width) == (6, 7)
    violation = refcodec.validate(with_value(hevc, "slice_qp_delta", 0b0001010)).violations[0]
    assert isinstance(violation, ConstraintError)
    assert violation.what == "frame 0 is coded with QP 31; 32 is signalled"
    assert violation.clause == "9.3.2"
    payload = element(hevc, "coded_feature.payload")
    assert violation.bit_offset is not None
    assert payload.offset <= violation.bit_offset <= place.offset


def test_an_undefined_code_point_comes_before_a_constraint() -> None:
    data = refcodec.encode(FEATURE, coder="raw", quantiser="log", bits=2, feature_type="conv")
    assert element(data, "log_signed_flag").value == 1
    data = with_value(data, "bits_minus1", 0)
    assert only(data).what == "signed logarithmic samples need at least 2 bits"
    data = with_value(data, "coder_id", 15)
    assert isinstance(refcodec.validate(data).violations[0], UnsupportedError)
    with pytest.raises(UnsupportedError, match="coder_id"):
        refcodec.decode(data)


def test_another_qp_signalled(hevc: bytes) -> None:
    violation = refcodec.validate(with_value(hevc, "parameters.qp", 33)).violations[0]
    assert violation.what == "frame 0 is coded with QP 32; 33 is signalled"
    outside = refcodec.validate(with_value(hevc, "parameters.qp", 52)).violations[0]
    assert outside.what == "a QP lies outside 0..51"
    assert outside.clause == "9.2"
    assert outside.bit_offset == element(hevc, "parameters.qp").offset


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("pic_width_in_luma_samples", 18, "the frame width in the HEVC parameter sets is 17; 16"),
        ("pic_height_in_luma_samples", 18, "the frame height in the HEVC parameter sets is 17; 16"),
        ("bit_depth_luma_minus8", 0b010, "the luma bit depth in the HEVC parameter sets is 9; 10"),
        ("seq_parameter_set.profile_tier_level.general_profile_idc", 1, "1:08000000:9de800000000"),
        (
            "seq_parameter_set.profile_tier_level.general_constraint_flags",
            0x010101010101,
            "4:08000000:010101",
        ),
        ("general_profile_compatibility_flags", 0x10010101, "profile_tier_level() of the VPS"),
        ("transquant_bypass_enabled_flag", 1, "transquant_bypass_enabled_flag in the HEVC"),
        ("seq_parameter_set.profile_tier_level.general_profile_space", 1, "general_profile_space"),
        ("sps_max_sub_layers_minus1", 1, "sps_max_sub_layers_minus1 in the HEVC"),
        *(
            (name, 1, f"{name} in the HEVC parameter sets is 1; 0 is expected")
            for name in hevc_constraints()["zero"]
            if not name.startswith(("num_", "cu_qp")) and not name.endswith("_set_id")
        ),
        ("num_extra_slice_header_bits", 1, "num_extra_slice_header_bits in the HEVC"),
    ],
)
def test_parameter_sets_that_say_something_else(
    path: str, code: int, text: str, hevc: bytes
) -> None:
    violations = refcodec.validate(with_value(hevc, path, code)).violations
    found = [v for v in violations if text in v.what]
    assert found
    assert isinstance(found[0], ConstraintError)
    assert found[0].clause == "9.3.1"
    sets, place = element(hevc, "feature_parameter_set.parameter_sets"), element(hevc, path)
    assert found[0].bit_offset in (sets.offset, place.offset)


def test_a_qp_that_changes_inside_a_picture(
    hevc: bytes, take_apart: Callable[[bytes], Any]
) -> None:
    sets = element(hevc, "feature_parameter_set.parameter_sets")
    flag = element(hevc, "cu_qp_delta_enabled_flag").offset - sets.offset
    digits = "".join(f"{byte:08b}" for byte in sets.value)
    assert digits[flag] == "0"
    digits = digits[:flag] + "11" + digits[flag + 1 :]  # the flag, diff_cu_qp_delta_depth 0
    digits = digits.rstrip("0")
    digits += "0" * (-len(digits) % 8)
    changed = int(digits, 2).to_bytes(len(digits) // 8, "big")
    assert len(changed) == len(sets.value)

    def change(payload: bytes) -> bytes:
        fps = FEATURE_PARAMETER_SET.parse_whole(payload)
        return FEATURE_PARAMETER_SET.build_whole({**fps, "parameter_sets": changed})

    data = take_apart(hevc).change(UnitType.FEATURE_PARAMETER_SET, change)
    violation = refcodec.validate(data).violations[0]
    assert violation.what == (
        "cu_qp_delta_enabled_flag in the HEVC parameter sets is 1; 0 is expected"
    )
    with pytest.raises(ConstraintError, match="cu_qp_delta_enabled_flag"):
        refcodec.decode(data)


def test_a_start_code_inside_a_parameter_set(hevc: bytes) -> None:
    data = with_value(hevc, "general_profile_compatibility_flags", 1)  # 00 00 00 01
    found = refcodec.validate(data).violations
    assert any("VPS, SPS and PPS (32, 33, 34) are expected" in v.what for v in found)
    assert {v.clause for v in found} <= {"9.3.1", "9.3.2"}
    refcodec.inspect(data)
    with pytest.raises(StreamError):
        refcodec.decode(data)


@pytest.mark.parametrize("copies", [0, 2])
def test_parameter_sets_stand_once(
    copies: int, hevc: bytes, take_apart: Callable[[bytes], Any]
) -> None:
    def change(payload: bytes) -> bytes:
        fps = FEATURE_PARAMETER_SET.parse_whole(payload)
        own = fps.parameter_sets or b""
        sets = own * copies or own[:30].rstrip(b"\0")
        return FEATURE_PARAMETER_SET.build_whole(
            {**vars(fps), "parameter_sets": sets, "parameter_sets_size": len(sets)}
        )

    data = take_apart(hevc).change(UnitType.FEATURE_PARAMETER_SET, change)
    violation = refcodec.validate(data).violations[0]
    assert isinstance(violation, (ConstraintError, SyntaxViolation, TruncatedError))
    assert violation.clause in ("9.3.1", "7.11", "8.3.6")
    refcodec.inspect(data)


def test_a_payload_holds_slices_and_nothing_else(
    hevc: bytes, take_apart: Callable[[bytes], Any]
) -> None:
    sets = element(hevc, "feature_parameter_set.parameter_sets").value
    for extra in (sets, b"\0\0\1\x46\1\x50"):  # parameter sets again; an access unit delimiter
        data = take_apart(hevc).change(UnitType.CODED_FEATURE, lambda unit, e=extra: unit + e)
        found = refcodec.validate(data).violations
        assert isinstance(found[0], PayloadError)
        assert "NAL units; 1 slices are expected" in found[0].what
        with pytest.raises(StreamError):
            refcodec.decode(data)


def test_a_slice_of_another_type(hevc: bytes) -> None:
    place = element(hevc, "nal_unit_type", 3)
    assert place.value == 20
    data = with_value(hevc, "nal_unit_type", 1, 3)
    found = refcodec.validate(data).violations
    assert "type 1; an IDR picture (19, 20) of layer 0 is expected" in found[0].what
    assert found[0].clause == "9.3.2"


def test_a_profile_without_hevc(hevc: bytes) -> None:
    violation = refcodec.validate(with_value(hevc, "profile_idc", 1)).violations[0]
    assert violation.what == "profile lossless has no coder hevc"
    assert violation.clause == "A.2"
    assert violation.bit_offset == element(hevc, "coder_id").offset


def test_a_grid_with_an_empty_row(hevc: bytes) -> None:
    violation = refcodec.validate(with_value(hevc, "tile_columns_minus1", 0b011)).violations[0]
    assert violation.what == "a grid of 3 x 2 tiles has empty rows or columns for 3 channels"
    assert violation.bit_offset == element(hevc, "tile_columns_minus1").offset


def test_without_ffmpeg_nothing_is_called_conforming(hevc: bytes, tmp_path: Any) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("no program", encoding="utf-8")
    program.chmod(0o755)
    report = refcodec.validate(hevc, ffmpeg=str(program))
    assert report.violations == []
    assert len(report.unverified) == 1
    assert not report.conforming


@settings(max_examples=40)
@given(at=st.integers(0, 400), value=st.integers(0, 255))
def test_damaged_parameter_sets_stop_nobody(
    at: int, value: int, hevc: bytes, take_apart: Callable[[bytes], Any]
) -> None:
    def change(payload: bytes) -> bytes:
        changed = bytearray(payload)
        changed[at % len(changed)] = value
        return bytes(changed)

    data = take_apart(hevc).change(UnitType.FEATURE_PARAMETER_SET, change)
    refcodec.inspect(data)
    refcodec.validate(data)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("forbidden_zero_bit", 1),
        ("nuh_layer_id", 1),
        ("nuh_temporal_id_plus1", 2),
        ("first_slice_segment_in_pic_flag", 0),
        ("slice_type", 0b010),
    ],
)
def test_slice_headers_are_plain(name: str, code: int, hevc: bytes) -> None:
    count = sum(
        1 for _ in (e for u in refcodec.inspect(hevc) for e in u.elements if e.name == name)
    )
    found = refcodec.validate(with_value(hevc, name, code, count - 1)).violations
    # what follows a wrong slice_type is read amiss, and may be what is noticed first
    assert any(v.clause in ("9.3.2", "7.11") for v in found)


@pytest.mark.parametrize("kind", ["b-slice", "not trailing"])
def test_slices_of_a_sequence(kind: str) -> None:
    target = io.BytesIO()
    options: dict[str, Any] = {"qp": 30, "bits": 8, "restoration": "off", "index": False}
    with refcodec.create(target, coder="hevc", gop=4, **options) as writer:
        for shift in range(3):
            writer.write(np.roll(SQUARES, shift, axis=2))
    data = target.getvalue()
    name, code = ("slice_type", 0b100) if kind == "b-slice" else ("nal_unit_type", 20)
    count = sum(
        1 for _ in (e for u in refcodec.inspect(data) for e in u.elements if e.name == name)
    )
    changed = with_value(data, name, code, count - 1)
    assert any(v.clause in ("9.3.2", "7.11") for v in refcodec.validate(changed).violations)


SQUARES = (np.indices((4, 16, 16)).sum(axis=0) % 7).astype(np.float32)


def test_hevc_needs_a_quantiser(hevc: bytes, take_apart: Callable[[bytes], Any]) -> None:
    parts = take_apart(hevc)
    fps = dict(FEATURE_PARAMETER_SET.parse_whole(parts.units[0][1]))
    fps.update(quantiser=Quantiser.NONE)
    parts.units[0] = (parts.units[0][0], FEATURE_PARAMETER_SET.build_whole(fps))
    with pytest.raises(ConstraintError, match="quantiser must not be none"):
        refcodec.decode(parts.join())


def test_hevc_features_are_not_batched(hevc: bytes, take_apart: Callable[[bytes], Any]) -> None:
    parts = take_apart(hevc)
    fps = FEATURE_PARAMETER_SET.parse_whole(parts.units[0][1])
    one = CODED_FEATURE.parse_whole(parts.units[1][1], fps=fps)
    batch = {
        "fps_id": 0,
        "feature_count_minus1": 0,
        "payload_size_base": len(one.payload),
        "range_codes_flag": 0,
        "payload_size_bits": 0,
        "parameters": one.parameters,
        "sample_hashes": one.sample_hash,
        "payloads": one.payload,
    }
    payload = CODED_FEATURE_BATCH.build_whole(batch, fps=fps)
    parts.units[1] = (UnitType.CODED_FEATURE_BATCH, payload)
    with pytest.raises(ConstraintError, match="not batched"):
        refcodec.decode(parts.join())
