"""Clause 6: every structure is read as it was written, and every defect has its place."""

from __future__ import annotations

import dataclasses
import inspect
import io
import zlib
from typing import Any

import numpy as np
import pytest
from construct import Array as Repeat
from construct import IfThenElse, Pass
from hypothesis import given, settings
from hypothesis import strategies as st

import refcodec
from refcodec.errors import (
    CallerError,
    ChecksumError,
    DFCError,
    SyntaxViolation,
    TruncatedError,
    UnsupportedError,
)
from refcodec.registry import record_of
from refcodec.syntax import av1, hevc, obu, structures, vvc
from refcodec.syntax.bits import BitReader, BitWriter, Element
from refcodec.syntax.codes import (
    Activation,
    ChannelOrder,
    Coder,
    FeatureType,
    HashTarget,
    Profile,
    Quantiser,
    Restoration,
    SourceType,
    UnitType,
    is_kept,
)
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Descriptor,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.records import Record, Structure
from refcodec.syntax.structures import (
    CHANNEL_TRANSFORM,
    CHANNEL_TRANSFORM_UNIT,
    CODED_CONTEXT_MODEL,
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    CONTEXT_MODEL_UNIT,
    END,
    ENTROPY_MODEL_UNIT,
    ENTROPY_TABLES,
    FEATURE_PARAMETER_SET,
    FEATURE_PARAMETERS,
    HASH,
    HYPERPRIOR,
    INDEX,
    METADATA,
    NETWORK,
    NETWORK_LAYER,
    NETWORK_MODEL_UNIT,
    STREAM_HEADER,
)
from refcodec.syntax.units import (
    build_stream_header,
    build_unit,
    parse_stream_header,
    read_unit,
)
from refcodec.tables import clause_titles

# --- descriptors -----------------------------------------------------------------------------------


def bits(text: str) -> bytes:
    """Bytes from binary digits, zero bits appended."""
    digits = text.replace(" ", "")
    digits += "0" * (-len(digits) % 8)
    return int(digits, 2).to_bytes(len(digits) // 8, "big")


def read(descriptor: Descriptor, data: bytes) -> Any:
    return descriptor.read(BitReader(data), None, "x")


def written(descriptor: Descriptor, value: Any) -> str:
    writer = BitWriter()
    descriptor.write(writer, value, None)
    length = writer.position
    AlignmentBits().write(writer, None, None)
    digits = "".join(f"{byte:08b}" for byte in writer.getvalue())
    return digits[:length]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "1"),
        (1, "010"),
        (2, "011"),
        (3, "00100"),
        (6, "00111"),
        (7, "0001000"),
        (254, "000000011111111"),
        (255, "00000000100000000"),
        (2**32 - 2, "0" * 31 + "1" * 32),
    ],
)
def test_ue(value: int, code: str) -> None:
    assert written(UE(2**32), value) == code
    assert read(UE(2**32), bits(code)) == value


@pytest.mark.parametrize(
    ("value", "code"),
    [(0, "1"), (1, "010"), (-1, "011"), (2, "00100"), (-2, "00101"), (127, "000000011111110")],
)
def test_se(value: int, code: str) -> None:
    assert written(SE(-160, 127), value) == code
    assert read(SE(-160, 127), bits(code)) == value


def test_exp_golomb_codes_are_bounded() -> None:
    assert read(UE(255), bits("00000000100000000")) == 255
    with pytest.raises(SyntaxViolation, match=r"x is 256; it lies in 0\.\.255"):
        read(UE(255), bits("00000000100000001"))
    with pytest.raises(SyntaxViolation, match=r"x is -161; it lies in -160\.\.127"):
        read(SE(-160, 127), bits(written(SE(-1000, 1000), -161)))


@pytest.mark.parametrize("size", [1, 8, 9, 1000, 100_000])
def test_an_exp_golomb_code_that_does_not_end(size: int) -> None:
    with pytest.raises((TruncatedError, SyntaxViolation)):
        read(UE(255), bytes(size))
    with pytest.raises((TruncatedError, SyntaxViolation)):
        read(UE(255), bytes(size) + b"\x01" + bytes(size // 2))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2**56 - 1, "ffffffffffffff7f"),
    ],
)
def test_leb128(value: int, code: str) -> None:
    writer = BitWriter()
    Leb128().write(writer, value, None)
    assert writer.getvalue().hex() == code
    assert read(Leb128(), bytes.fromhex(code)) == value


@pytest.mark.parametrize("code", ["8000", "ff00", "808000", "8080808080808000", "ff" * 8, "80" * 9])
def test_leb128_has_one_form_and_eight_bytes(code: str) -> None:
    with pytest.raises(SyntaxViolation, match="not the shortest leb128 code") as caught:
        read(Leb128(), bytes.fromhex(code))
    assert caught.value.bit_offset == 0
    assert caught.value.clause == "4.4"


@pytest.mark.parametrize("code", ["", "80", "ffffff"])
def test_leb128_that_is_cut(code: str) -> None:
    with pytest.raises(TruncatedError):
        read(Leb128(), bytes.fromhex(code))


@given(st.integers(0, 2**56 - 1))
def test_leb128_is_its_own_inverse(value: int) -> None:
    writer = BitWriter()
    Leb128().write(writer, value, None)
    assert read(Leb128(), writer.getvalue()) == value


@given(st.integers(1, 63), st.integers(0, 7), st.data())
def test_arrays_of_any_width_at_any_place(width: int, skip: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=9))
    writer = BitWriter()
    Array(1, skip).write(writer, np.zeros(1, np.int64), None)
    Array(len(values), width).write(writer, values, None)
    AlignmentBits().write(writer, None, None)
    reader = BitReader(writer.getvalue())
    Array(1, skip).read(reader, None, "x")
    found = Array(len(values), width).read(reader, None, "x")
    assert found.dtype == np.int64
    assert found.tolist() == values


def test_arrays_are_most_significant_bit_first() -> None:
    assert written(Array(3, 5), [1, 2, 31]) == "00001 00010 11111".replace(" ", "")
    assert read(Array(100_000, 3), bytes(37_500)).sum() == 0  # longer than a working step


def test_single_precision_is_big_endian() -> None:
    assert written(F32(2), np.array([1, -2], np.float32)) == f"{0x3F800000_C0000000:064b}"
    nan = read(F32(1), bytes.fromhex("7f800001"))
    assert nan.view(np.uint32)[0] == 0x7F800001  # a signalling NaN stays one


def test_alignment_bits_are_zero() -> None:
    for text in ("1 0000001", "101 01000"):
        reader = BitReader(bits(text), offset=80)
        reader.array(1, text.index(" "), "x")
        with pytest.raises(SyntaxViolation, match="they are zero") as caught:
            AlignmentBits().read(reader, None, "x")
        assert caught.value.bit_offset == 80 + text.index(" ")
    assert read(AlignmentBits(), b"\xff") == 0  # aligned already


@pytest.mark.parametrize(
    ("descriptor", "symbolic", "actual"),
    [
        (U(4), "u(4)", "u(4)"),
        (UE(9), "ue(v)", "ue(v)"),
        (SE(-9, 9), "se(v)", "se(v)"),
        (F32(3), "f(32)[3]", "f(32)[3]"),
        (Array(2, 7), "u(7)[2]", "u(7)[2]"),
        (Leb128(), "leb128", "leb128"),
        (Bytes(4), "b(8 * 4)", "b(32)"),
        (Rest(), "b(v)", "b(v)"),
        (AlignmentBits(), "z(v)", "z(v)"),
    ],
)
def test_notation(descriptor: Descriptor, symbolic: str, actual: str) -> None:
    assert descriptor.notation() == symbolic
    assert descriptor.notation({}) == actual


def test_nothing_is_read_past_the_end() -> None:
    for descriptor in (U(9), Array(3, 3), F32(1), Bytes(2), Array(2**40, 63)):
        with pytest.raises(TruncatedError) as caught:
            read(descriptor, b"\xff")
        assert caught.value.bit_offset == 0


# --- structures ------------------------------------------------------------------------------------


def live(codes: Any) -> st.SearchStrategy[Any]:
    """The code points of a kind that have a meaning."""
    return st.sampled_from([code for code in codes if not is_kept(code)])


def flags() -> st.SearchStrategy[int]:
    return st.integers(0, 1)


def octets(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def words(draw: st.DrawFn, count: int, width: int) -> Any:
    top = 2**width - 1
    values = draw(st.lists(st.integers(0, top), min_size=count, max_size=count))
    return np.array(values, np.int64)


def numbers(draw: st.DrawFn, count: int) -> Any:
    """Bit patterns of float32 numbers."""
    return words(draw, count, 32).astype(np.uint32).view(np.float32)


@st.composite
def parameter_sets(draw: st.DrawFn) -> dict[str, Any]:
    sets = draw(st.binary(min_size=1, max_size=20))
    channels, apart = draw(st.integers(1, 9)), draw(flags())
    quantiser = draw(live(Quantiser))
    return {
        "fps_id": draw(st.integers(0, 255)),
        "feature_type": draw(live(FeatureType)),
        "source_type": draw(live(SourceType)),
        "channels_minus1": channels - 1,
        "height_minus1": draw(st.integers(0, 2**16 - 1)),
        "width_minus1": draw(st.integers(0, 2**16 - 1)),
        "head_count": draw(st.integers(0, 2**12)),
        "quantiser": quantiser,
        "bits_minus1": draw(st.integers(0, 15)),
        "range_per_channel_flag": apart if quantiser != Quantiser.NONE else None,
        "restoration_enabled_flag": draw(flags()),
        "log_signed_flag": draw(flags()),
        "sample_hash_size_code": draw(st.integers(0, 3)),
        "coder_id": draw(live(Coder)),
        "shuffle_flag": draw(flags()),
        "hevc_lossless_flag": draw(flags()),
        "temporal_prediction_flag": draw(flags()),
        "tile_columns_minus1": draw(st.integers(0, 4095)),
        "tile_rows_minus1": draw(st.integers(0, 4095)),
        "parameter_sets_size": len(sets),
        "parameter_sets": sets,
        "model_id": draw(st.integers(0, 255)),
        "context_model_id": draw(st.integers(0, 255)),
        "substream_count_minus1": draw(st.integers(0, 63)),
        "lattice_step": numbers(draw, channels if apart else 1),
        "lattice_offset_flag": draw(flags()) if quantiser == Quantiser.LATTICE else None,
        "lattice_offset": numbers(draw, channels if apart else 1),
    }


def parsed_set(elements: dict[str, Any]) -> Any:
    return FEATURE_PARAMETER_SET.parse_whole(FEATURE_PARAMETER_SET.build_whole(elements))


@st.composite
def feature_parameters(draw: st.DrawFn, fps: Any) -> dict[str, Any]:
    restored: dict[Any, int] = {Restoration.TENSOR: 1, Restoration.CHANNEL: fps.channels}
    mode = draw(st.sampled_from(list(Restoration))) if fps.restoration_enabled_flag else None
    video, uniform = record_of(fps.coder_id).video, fps.quantiser == Quantiser.UNIFORM
    count, at = restored.get(mode, 0), draw(st.integers(1, 31))
    delta = draw(st.integers(0, 7)) if fps.qp_present else 0
    return {
        "range_min_zero_flag": draw(flags()) if uniform else None,
        "range_min": words(draw, fps.ranges, 32).astype(np.uint32).view(np.float32),
        "range_max": words(draw, fps.ranges, 32).astype(np.uint32).view(np.float32),
        "log_exponent": draw(st.integers(-160, 127)),
        "log_step": words(draw, fps.ranges, 32),
        "restoration_mode": mode,
        "restoration_mean": words(draw, count, 16),
        "restoration_deviation": words(draw, count, 16),
        "qp": draw(st.integers(0, 63)),
        "qp_eighths": draw(st.integers(0, 7)),
        "qp_delta_bits": delta,
        "qp_delta": words(draw, fps.channels, delta),
        "channel_order": draw(st.sampled_from(list(ChannelOrder))) if video else None,
        "channel_at_bits": at,
        "channel_at": words(draw, fps.channels, at),
    }


def agrees(parsed: Any, elements: dict[str, Any], structure: Structure[Any]) -> None:
    """Elements whose condition holds are read as they were written."""
    for name in (element.name for element in structure.subcons):
        found = parsed[name]
        if found is None or name not in elements:
            continue
        if isinstance(found, np.ndarray):
            expected = np.asarray(elements[name])
            assert found.tobytes() == expected.astype(found.dtype).tobytes()
        elif isinstance(found, list):
            plain = [vars(one) if isinstance(one, Record) else one for one in found]
            assert plain == elements[name]
        elif not isinstance(found, Record):
            assert found == elements[name]


def identity(structure: Structure[Any], elements: dict[str, Any], **parameters: Any) -> Any:
    """Write, read, compare, write again; and walk the trace: no gap, no overlap."""
    data = structure.build_whole(elements, **parameters)
    trace: list[Element] = []
    parsed = structure.parse_whole(data, 800, trace, **parameters)
    agrees(parsed, elements, structure)
    assert structure.build_whole(parsed, **parameters) == data
    position = 800
    for element in trace:
        assert element.offset == position
        assert element.width >= 0
        assert element.path.startswith(f"{structure.title}.")
        assert element.clause in clause_titles()
        position += element.width
    assert position == 800 + 8 * len(data)
    if not isinstance(structure.subcons[-1].subcon, Rest):
        with pytest.raises(SyntaxViolation, match="8 bits follow"):
            structure.parse_whole(data + b"\0", **parameters)
    return parsed


@given(parameter_sets())
def test_feature_parameter_set(elements: dict[str, Any]) -> None:
    fps = identity(FEATURE_PARAMETER_SET, elements)
    flat = elements["feature_type"] in (FeatureType.FC, FeatureType.TOKENS)
    assert (fps.height, fps.width) == (
        (1, 1) if flat else (elements["height_minus1"] + 1, elements["width_minus1"] + 1)
    )
    assert (fps.head_count is not None) == (elements["feature_type"] == FeatureType.TOKENS)
    assert fps.sample_hash_size == (0, 8, 16, 32)[elements["sample_hash_size_code"]]
    assert (fps.shuffle_flag is not None) == (
        elements["coder_id"] in (Coder.ZLIB, Coder.GZIP, Coder.BZIP2, Coder.LZMA)
    )


@given(st.data(), parameter_sets())
def test_feature_parameters(data: st.DataObject, elements: dict[str, Any]) -> None:
    fps = parsed_set(elements)
    identity(FEATURE_PARAMETERS, data.draw(feature_parameters(fps)), fps=fps)


@given(st.data(), parameter_sets(), flags(), st.binary(max_size=30))
def test_coded_feature(
    data: st.DataObject, elements: dict[str, Any], access_point: int, payload: bytes
) -> None:
    fps = parsed_set(elements)
    coded = {
        "fps_id": fps.fps_id,
        "token_count_minus1": data.draw(st.integers(0, 2**16 - 1)),
        "continuation_flag": data.draw(flags()),
        "access_point_flag": access_point,
        "parameters": data.draw(feature_parameters(fps)),
        "sample_hash": data.draw(octets(fps.sample_hash_size)),
        "substream_size": [data.draw(st.integers(0, 2**56 - 1))] * (fps.substream_count - 1),
        "payload": payload,
    }
    parsed = identity(CODED_FEATURE, coded, fps=fps)
    tokens = fps.feature_type == FeatureType.TOKENS
    assert parsed.height == (coded["token_count_minus1"] + 1 if tokens else fps.height)
    agrees(parsed.parameters, coded["parameters"], FEATURE_PARAMETERS)


def arrays(count: int, bits: int) -> st.SearchStrategy[Any]:
    entries = st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count)
    return entries.map(lambda values: np.array(values, np.int64))


@given(st.data(), parameter_sets(), st.integers(1, 5), st.integers(0, 15), flags())
def test_coded_feature_batch(
    data: st.DataObject, elements: dict[str, Any], count: int, width: int, coded_ranges: int
) -> None:
    fps = parsed_set(elements)
    low_codes = count if fps.quantiser == Quantiser.LOGARITHMIC else count * fps.ranges
    codes: dict[str, Any] = {"code_shift": data.draw(st.integers(0, 31))} if coded_ranges else {}
    for name, entries in (("low", low_codes), ("high", count * fps.ranges)):
        bits = data.draw(st.integers(0, 31)) if coded_ranges else 0
        codes[f"{name}_code_bits"] = bits
        if bits:
            codes[f"{name}_code"] = data.draw(arrays(entries, bits))
    joint = data.draw(flags()) if fps.coder_id == Coder.LEARNED else 0
    width = 0 if joint else width
    deltas = st.lists(st.integers(0, 2**width - 1), min_size=count, max_size=count)
    identity(
        CODED_FEATURE_BATCH,
        {
            "fps_id": fps.fps_id,
            "feature_count_minus1": count - 1,
            "joint_flag": joint,
            "payload_size_base": data.draw(st.integers(0, 2**32 - 2)),
            "range_codes_flag": coded_ranges,
            "payload_size_bits": width,
            "payload_size_delta": np.array(data.draw(deltas), np.int64),
            "parameters": data.draw(feature_parameters(fps)),
            **codes,
            "sample_hashes": data.draw(octets(count * fps.sample_hash_size)),
            "payloads": data.draw(st.binary(max_size=30)),
        },
        fps=fps,
    )


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=200)), max_size=4))
def test_metadata(entries: list[tuple[bytes, bytes]]) -> None:
    elements = [
        {"key_size": len(key), "key": key, "value_size": len(value), "value": value}
        for key, value in entries
    ]
    parsed = identity(METADATA, {"entry_count": len(entries), "entries": elements})
    assert [(entry.key, entry.value) for entry in parsed.entries] == entries


NETWORK_LAYERS = st.fixed_dictionaries(
    {
        "channels_minus1": st.integers(0, 4095),
        "stride_minus1": st.integers(0, 3),
        "kernel_minus1": st.integers(0, 7),
        "padding": st.integers(0, 7),
        "weight_bits_minus1": st.integers(0, 15),
        "activation": st.sampled_from(Activation),
        "output_bits_minus1": st.integers(0, 15),
        "shift_minus1": st.integers(0, 31),
    }
)


@st.composite
def network_records(draw: st.DrawFn) -> Any:
    layers = [
        NETWORK_LAYER.make(one) for one in draw(st.lists(NETWORK_LAYERS, min_size=1, max_size=4))
    ]
    data = draw(st.binary(max_size=20))
    elements = {
        "input_channels_minus1": draw(st.integers(0, 4095)),
        "input_bits_minus1": draw(st.integers(0, 15)),
        "layer_count_minus1": len(layers) - 1,
        "layers": [vars(one) for one in layers],
        "coded_size": len(data),
        "coded_weights": data,
    }
    return identity(NETWORK, elements)


@given(st.data(), st.integers(0, 255), network_records(), network_records(), octets(32))
def test_network_model(
    data: st.DataObject, number: int, hyper: Any, synthesis: Any, sha256: bytes
) -> None:
    flags = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 1))
    tables = {"context_count_minus1": 0, "table_count_minus1": 0, "level_count": 3}
    elements = {
        "mean_flag": flags[0],
        "mean_fraction": data.draw(st.integers(0, 7)),
        "synthesis_flag": flags[1],
        "scale_threshold": np.array(
            data.draw(st.lists(st.integers(0, 65535), min_size=63, max_size=63))
        ),
        "hyper_synthesis": hyper,
        "synthesis": synthesis,
        "tables": ENTROPY_TABLES.make({**tables, "level_step": 1, "coded_tables": b"12"}),
    }
    own = HYPERPRIOR.make(elements)
    assert HYPERPRIOR.parse_whole(HYPERPRIOR.build_whole(elements)) == own
    assert (own.mean_fraction is None, own.synthesis is None) == (not flags[0], not flags[1])
    unit = {"model_id": number, "external_flag": 0, "hyperprior": own}
    built = NETWORK_MODEL_UNIT.build_whole(unit)
    assert NETWORK_MODEL_UNIT.parse_whole(built) == NETWORK_MODEL_UNIT.make(unit)
    identity(NETWORK_MODEL_UNIT, {"model_id": number, "external_flag": 1, "sha256": sha256})


@given(st.data(), st.integers(0, 255), st.integers(1, 5), st.integers(1, 5), octets(32))
def test_channel_transform(
    data: st.DataObject, number: int, groups: int, size: int, sha256: bytes
) -> None:
    weights, channels = data.draw(st.binary(max_size=30)), groups * size
    elements = {
        "group_count_minus1": groups - 1,
        "group_channels_minus1": size - 1,
        "weight_bits_minus1": data.draw(st.integers(0, 15)),
        "coefficient_shift": np.arange(channels) % 16,
        "channel_scale": np.arange(1, channels + 1, dtype=np.float32),
        "channel_offset": np.linspace(-1, 1, channels, dtype=np.float32),
        "coded_size": len(weights),
        "coded_weights": weights,
    }
    own = identity(CHANNEL_TRANSFORM, elements)
    unit = {"model_id": number, "external_flag": 0, "transform": own}
    built = CHANNEL_TRANSFORM_UNIT.build_whole(unit)
    assert CHANNEL_TRANSFORM_UNIT.parse_whole(built) == CHANNEL_TRANSFORM_UNIT.make(unit)
    identity(CHANNEL_TRANSFORM_UNIT, {"model_id": number, "external_flag": 1, "sha256": sha256})


@given(
    st.data(), st.integers(0, 255), st.lists(st.booleans(), min_size=22, max_size=22), octets(32)
)
def test_context_model(data: st.DataObject, number: int, flags: list[bool], sha256: bytes) -> None:
    elements = {
        "weights_change_flag": np.array(flags[:11], np.int64),
        "states_change_flag": np.array(flags[11:], np.int64),
        "weight_shift": data.draw(st.integers(0, 15)),
        "state_shift": data.draw(st.integers(0, 15)),
        "state_count": data.draw(st.integers(0, 127)),
        "coded_changes": data.draw(st.binary(max_size=30)),
    }
    own = identity(CODED_CONTEXT_MODEL, elements)
    unit = {"model_id": number, "external_flag": 0, "contexts": own}
    built = CONTEXT_MODEL_UNIT.build_whole(unit)
    assert CONTEXT_MODEL_UNIT.parse_whole(built) == CONTEXT_MODEL_UNIT.make(unit)
    identity(CONTEXT_MODEL_UNIT, {"model_id": number, "external_flag": 1, "sha256": sha256})


@given(st.data(), st.integers(0, 255), st.integers(1, 2**16), st.integers(1, 2**12), octets(32))
def test_entropy_model(
    data: st.DataObject, number: int, contexts: int, tables: int, sha256: bytes
) -> None:
    elements = {
        "context_count_minus1": contexts - 1,
        "table_count_minus1": tables - 1,
        "level_count": data.draw(st.integers(0, 2**18 - 1)),
        "level_step": data.draw(st.integers(0, 7)),
        "coded_tables": data.draw(st.binary(max_size=30)),
    }
    own = identity(ENTROPY_TABLES, elements)
    unit = {"model_id": number, "external_flag": 0, "tables": own}
    built = ENTROPY_MODEL_UNIT.build_whole(unit)
    assert ENTROPY_MODEL_UNIT.parse_whole(built) == ENTROPY_MODEL_UNIT.make(unit)
    identity(ENTROPY_MODEL_UNIT, {"model_id": number, "external_flag": 1, "sha256": sha256})


@given(st.sampled_from(list(HashTarget)), octets(32))
def test_hash(target: HashTarget, sha256: bytes) -> None:
    identity(HASH, {"hash_target": target, "sha256": sha256})


@given(st.data(), st.integers(0, 5), st.integers(1, 63), st.integers(0, 31), flags())
def test_index(data: st.DataObject, count: int, distance: int, features: int, access: int) -> None:
    def some(width: int) -> Any:
        top = 2**width - 1
        return np.array(
            data.draw(st.lists(st.integers(0, top), min_size=count, max_size=count)), np.int64
        )

    places = data.draw(st.lists(st.integers(0, 2**56 - 1), max_size=3))
    identity(
        INDEX,
        {
            "entry_count": count,
            "parameter_set_count": len(places),
            "parameter_set_offset": places,
            "distance_bits": distance,
            "features_bits": features,
            "all_access_points_flag": access,
            "reserved_ignored_4bits": data.draw(st.integers(0, 15)),
            "unit_distance": some(distance),
            "features_minus1": some(features),
            "access_point": some(1),
        },
    )


@pytest.mark.parametrize("size", [0, 16])
@given(offset=st.integers(0, 2**64 - 1), count=st.integers(0, 2**64 - 1))
def test_end(size: int, offset: int, count: int) -> None:
    elements = {"index_offset": offset, "feature_count": count}
    data = END.build_whole(elements, unit_size=size)
    assert len(data) == size
    parsed = END.parse_whole(data, unit_size=size)
    assert parsed.index_offset == (offset if size else None)
    assert parsed.feature_count == (count if size else None)


@given(live(Profile), st.integers(0, 15), st.integers(0, 3), octets(2))
def test_stream_header(profile: Profile, level: int, ignored: int, crc: bytes) -> None:
    identity(
        STREAM_HEADER,
        {
            "signature": b"\x89DFC",
            "version_major": 1,
            "version_minor": 7,
            "profile_idc": profile,
            "level_idc": level,
            "reserved_ignored_2bits": ignored,
            "reserved_zero_2bits": 3,
            "header_crc": int.from_bytes(crc, "big"),
        },
    )


# --- records ---------------------------------------------------------------------------------------

ALL_STRUCTURES = [
    one
    for module in (structures, hevc, vvc, obu, av1)
    for one in vars(module).values()
    if isinstance(one, Structure)
]


def annotation(coding: Any) -> str:
    """The type that a coding's values have."""
    match coding:
        case IfThenElse() if coding.elsesubcon is Pass:
            return f"{annotation(coding.thensubcon)} | None"
        case U(values=kind) if kind is not None:
            return str(kind.__name__)
        case F32():
            return "Floats"
        case Array():
            return "Integers"
        case Bytes() | Rest():
            return "bytes"
        case Repeat():
            return f"list[{annotation(coding.subcon)}]"
        case Structure():
            return coding.record.__name__
    return "int"


@pytest.mark.parametrize("structure", ALL_STRUCTURES, ids=lambda one: one.title)
def test_annotations_say_what_codings_give(structure: Structure[Any]) -> None:
    for one in dataclasses.fields(structure.record):
        assert one.type == annotation(one.metadata["coding"]), one.name


def test_a_record_is_completed() -> None:
    fps = FEATURE_PARAMETER_SET.make(
        {
            "fps_id": 3,
            "feature_type": 2,
            "source_type": SourceType.FLOAT16,
            "channels_minus1": 9,
            "height_minus1": 7,  # fc features have no height
            "quantiser": Quantiser.NONE,
            "sample_hash_size_code": 1,
            "coder_id": Coder.ZLIB,
            "shuffle_flag": 1,
        }
    )
    assert fps.feature_type is FeatureType.FC
    assert (fps.channels, fps.height, fps.bits, fps.sample_hash_size) == (10, 1, 16, 8)
    assert fps.height_minus1 is None
    assert FEATURE_PARAMETER_SET.parse_whole(FEATURE_PARAMETER_SET.build_whole(fps)) == fps


@pytest.mark.parametrize(
    ("structure", "elements", "message"),
    [
        (FEATURE_PARAMETER_SET, {"fps_id": 256}, r"fps_id is 256; it lies in 0\.\.255"),
        (FEATURE_PARAMETER_SET, {}, "fps_id has no value"),
        (METADATA, {"entry_count": 4097}, r"entry_count is 4097; it lies in 0\.\.4096"),
        (HASH, {"hash_target": 0, "sha256": b"12"}, "sha256 has 2 entries; it needs 32"),
        (STREAM_HEADER, {"signature": b"\x89DFC", "version_major": 16}, "version_major is 16"),
    ],
)
def test_bounds_are_the_callers(
    structure: Structure[Any], elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(CallerError, match=message):
        structure.make(elements)


def test_every_structure_is_tried_here() -> None:
    tried = set(inspect.getsource(inspect.getmodule(test_end)).split())  # type: ignore[arg-type]
    names = {
        name for name, value in vars(structures).items()
        if isinstance(value, Structure) and name not in ("UNIT_HEADER", "METADATA_ENTRY")
    }  # fmt: skip
    assert {f"{name}," for name in names} <= tried


def test_every_structure_has_its_clauses() -> None:
    for name in structures.__all__:
        structure = getattr(structures, name)
        if isinstance(structure, Structure):
            assert structure.clause in clause_titles()
            assert structure.semantics in clause_titles()
            assert all(element.name for element in structure.subcons)


# --- exact bytes -----------------------------------------------------------------------------------


def test_a_stream_byte_by_byte() -> None:
    feature = np.array([1.0, -2.0], np.float32)
    expected = bytes.fromhex(
        "89 44 46 43"  # signature
        "10"  # version 1.0
        "01"  # profile_idc: lossless
        "10"  # level_idc 1; reserved_ignored_2bits, reserved_zero_2bits
        "c46f"  # header_crc: the low 16 bits of a CRC-32
        "01 03"  # feature_parameter_set, 3 bytes
        # fps_id 1 | fc 010 | float32 000 | channels_minus1 010 | none 000 | no hash 00 | raw 0000
        # 1 010 000 0  10 000 00 0  000 00000
        "a0 80 00"
        "00000000"
        "03 0a"  # coded_feature_batch, 10 bytes
        # fps_id 1 | feature_count_minus1 1 | payload_size_base 0001001 | payload_size_bits 00000
        "c4 80"
        "0000803f 000000c0"  # the sample bytes, little-endian
        "00000000"
        "7f 00"  # end, nothing in it
        "00000000"
    )
    built = bytearray(expected)
    built[7:9] = (zlib.crc32(built[:7]) & 0xFFFF).to_bytes(2, "big")
    for start, stop in ((9, 14), (18, 30), (34, 36)):
        built[stop : stop + 4] = zlib.crc32(built[start:stop]).to_bytes(4, "big")
    assert refcodec.encode(feature, coder="raw").hex(" ") == bytes(built).hex(" ")
    assert np.array_equal(refcodec.decode(bytes(built)), feature)


def test_a_quantised_conv_feature_byte_by_byte() -> None:
    feature = np.array([0, 1, 2, 3], np.float16).reshape(1, 2, 2)
    data = refcodec.encode(feature, coder="raw", quantiser="uniform", bits=2, hash_size=8)
    units = [read_unit(io.BytesIO(data[9:]), 9, 100)]
    assert units[0] is not None
    # fps_id 1 | conv 000 | float16 001 | channels 1 | height 010 | width 010 | uniform 001
    # bits_minus1 0001 | range_per_channel 0 | restoration 0 | hash 01 | raw 0000
    # 1 000 001 1  010 010 00  1 0001 0 0 0  1 0000 000
    assert units[0].payload == bits("1 000 001 1 010 010 001 0001 0 0 01 0000")
    coded = read_unit(io.BytesIO(data[units[0].end :]), units[0].end, 100)
    assert coded is not None
    # fps_id 1 | range_min_zero_flag 1 | range_max 3.0 | alignment
    head = bits("1") + bits("1" + f"{0x40400000:032b}")
    assert _unaligned(coded.payload[:5]) == "11" + f"{0x40400000:032b}"[:38]
    assert coded.payload[-1:] == bits("00 01 10 11")
    assert len(coded.payload) == len(head) - 1 + 8 + 1


def _unaligned(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)[: 2 + 32]


def test_header_and_units_have_known_bytes() -> None:
    assert build_unit(UnitType.END, b"").hex() == "7f00" + f"{zlib.crc32(bytes([127, 0])):08x}"
    unit = build_unit(UnitType.METADATA, bytes(200))
    assert unit[:3].hex() == "90c801"  # skippable, type 16; 200 is 0x48 + 128 * 1
    assert unit[-4:] == zlib.crc32(unit[:-4]).to_bytes(4, "big")
    assert build_stream_header(Profile.HEVC, 3)[:7].hex() == "89444643100230"


# --- defects of the framing ------------------------------------------------------------------------


def _header(at: int, byte: int) -> bytes:
    head = bytearray(build_stream_header(Profile.LOSSLESS, 1))
    head[at] = byte
    head[7:] = (zlib.crc32(head[:7]) & 0xFFFF).to_bytes(2, "big")
    return bytes(head)


@pytest.mark.parametrize(
    ("at", "byte", "bit", "text"),
    [
        (4, 0x20, 32, "major version 2"),
        (5, 0, 40, "profile_idc is 0, which this version does not define"),
        (5, 255, 40, "profile_idc is 255"),
        (6, 0x11, 54, "reserved_zero_2bits is not zero"),
        (6, 0x12, 54, "reserved_zero_2bits is not zero"),
    ],
)
def test_stream_headers_of_the_future(at: int, byte: int, bit: int, text: str) -> None:
    with pytest.raises(UnsupportedError, match=text) as caught:
        parse_stream_header(_header(at, byte))
    assert caught.value.bit_offset == bit


def test_what_a_header_may_change() -> None:
    assert parse_stream_header(_header(4, 0x1F)).version_minor == 15
    assert parse_stream_header(_header(6, 0x1C)).reserved_ignored_2bits == 3


def test_a_damaged_stream_header() -> None:
    head = bytearray(build_stream_header(Profile.LOSSLESS, 1))
    head[6] ^= 0x20
    with pytest.raises(ChecksumError, match="the CRC of the stream header does not match"):
        parse_stream_header(bytes(head))


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("feature_type", 7),
        ("quantiser", 7),
        ("coder_id", 15),
    ],
)
def test_reserved_code_points_are_unsupported(element: str, value: int) -> None:
    elements = {
        "fps_id": 0,
        "feature_type": FeatureType.FC,
        "source_type": SourceType.FLOAT32,
        "channels_minus1": 1,
        "height_minus1": 0,
        "width_minus1": 0,
        "quantiser": Quantiser.NONE,
        "bits_minus1": 0,
        "range_per_channel_flag": 0,
        "sample_hash_size_code": 0,
        "coder_id": Coder.RAW,
        element: value,
    }
    data = FEATURE_PARAMETER_SET.build_whole(elements)
    text = f"{element} is {value}, which this version does not define"
    with pytest.raises(UnsupportedError, match=text) as caught:
        FEATURE_PARAMETER_SET.parse_whole(data)
    assert caught.value.clause == "C.1"


def test_a_reserved_hash_target_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="hash_target is 2"):
        HASH.parse_whole(b"\x02" + bytes(32))


@settings(max_examples=50)
@given(parameter_sets(), st.data())
def test_a_structure_that_is_cut(elements: dict[str, Any], data: st.DataObject) -> None:
    whole = FEATURE_PARAMETER_SET.build_whole(elements)
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(TruncatedError) as caught:
        FEATURE_PARAMETER_SET.parse_whole(whole[:size], 80)
    assert caught.value.bit_offset is not None
    assert 80 <= caught.value.bit_offset <= 80 + 8 * size


def test_left_over_bytes_have_a_place() -> None:
    with pytest.raises(SyntaxViolation) as caught:
        HASH.parse_whole(bytes(35), 160)
    assert str(caught.value) == ("16 bits follow hash() [bit 424, byte 53; clause 6.8, R6-1]")


@settings(max_examples=300)
@given(st.sampled_from(sorted(structures.UNIT_STRUCTURES)), st.binary(max_size=60))
def test_any_bytes_give_a_structure_or_an_error_of_ours(kind: UnitType, data: bytes) -> None:
    fps = parsed_set(
        {
            "fps_id": 0,
            "feature_type": FeatureType.FC,
            "source_type": SourceType.FLOAT32,
            "channels_minus1": 3,
            "quantiser": Quantiser.UNIFORM,
            "bits_minus1": 7,
            "range_per_channel_flag": 0,
            "restoration_enabled_flag": 1,
            "sample_hash_size_code": 1,
            "coder_id": Coder.HEVC,
            "hevc_lossless_flag": 0,
            "temporal_prediction_flag": 1,
            "tile_columns_minus1": 0,
            "tile_rows_minus1": 0,
            "parameter_sets_size": 0,
            "parameter_sets": b"",
        }
    )
    structure = structures.UNIT_STRUCTURES[kind]
    if kind == UnitType.INDEX and len(data) > 1:
        data = bytes([data[0] & 0x7F]) + data[1:]  # few entries
    try:
        parsed = structure.parse_whole(data, fps=fps, unit_size=len(data))
    except DFCError:
        return
    assert structure.build_whole(parsed, fps=fps, unit_size=len(data)) == data
