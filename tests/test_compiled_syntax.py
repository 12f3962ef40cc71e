"""Compiled structures read, write and refuse what their declarations do, interpreted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from construct import Container, this
from hypothesis import given, settings
from hypothesis import strategies as st

from refcodec.errors import StreamError
from refcodec.stream.limits import limits_of
from refcodec.syntax import av1, hevc, obu, primitives, records, structures, vvc
from refcodec.syntax.bits import BitReader
from refcodec.syntax.codes import CODED_UNITS, UnitType, is_kept
from refcodec.syntax.descriptors import F32, SE, UE, AlignmentBits, Array, Bytes, Leb128, Rest, U
from refcodec.syntax.follow import Place, Stop, follow
from refcodec.syntax.records import Record, Structure
from refcodec.syntax.structures import FEATURE_PARAMETER_SET, STREAM_HEADER_SIZE, UNIT_STRUCTURES
from refcodec.syntax.units import Unit, parse_stream_header, read_unit

SUITE = Path(__file__).parents[1] / "bitstreams"


STRUCTURES = [
    one
    for module in (structures, hevc, vvc, obu, av1)
    for one in vars(module).values()
    if isinstance(one, Structure)
]


def interpreted(action: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(primitives, "COMPILED", False)
        return outcome(action)


def outcome(action: Callable[[], Any]) -> Any:
    """The result of an action; or its error, with all that it says."""
    try:
        return action()
    except StreamError as error:
        return (type(error), *vars(error).values())
    except AssertionError as error:  # what pytest adds names objects by their addresses
        return AssertionError, str(error).partition("\n")[0]
    except Exception as error:
        return type(error), str(error)


def same(one: Any, other: Any) -> bool:
    """True for equal values of equal types, arrays and records included."""
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if type(one) is not type(other):
        return False
    if isinstance(one, Record):
        mine, theirs = vars(one), vars(other)
        return list(mine) == list(theirs) and all(same(mine[name], theirs[name]) for name in mine)
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.flags.writeable == other.flags.writeable
        return alike and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


def compare(action: Callable[[], Any]) -> Any:
    found, expected = outcome(action), interpreted(action)
    assert same(found, expected), f"{found}\n{expected}"
    return found


def compare_payload(structure: Structure[Any], data: bytes, offset: int = 0, **outer: Any) -> Any:
    """Read a payload, and write and complete again what was read; returns the record, or the error."""
    found = compare(lambda: structure.parse_whole(data, offset, **outer))
    if isinstance(found, Record):
        assert same(structure.functions.parse(data, outer), found)
        assert compare(lambda: structure.build_whole(found, **outer)) == data
        compare(lambda: structure.make({**found}, **outer))
    else:
        assert structure.functions.parse(data, outer) is None
    return found


# --- streams ---------------------------------------------------------------------------------------


def units_of(data: bytes) -> list[Unit]:
    """The units of a stream, as far as its framing is sound."""
    found = []
    try:
        header = parse_stream_header(data[:STREAM_HEADER_SIZE])
        source, offset = BytesIO(data[STREAM_HEADER_SIZE:]), STREAM_HEADER_SIZE
        while unit := read_unit(source, offset, limits_of(header).max_unit_size):
            found.append(unit)
            offset = unit.end
    except StreamError:
        pass
    return found


def payloads_of(data: bytes) -> list[tuple[Structure[Any], Unit, dict[str, Any]]]:
    """The units of a stream whose structure is known, with it and the outer values."""
    found: list[tuple[Structure[Any], Unit, dict[str, Any]]] = []
    sets: dict[int, Any] = {}
    for unit in units_of(data):
        structure = UNIT_STRUCTURES.get(unit.unit_type)
        if structure is None:
            continue
        outer: dict[str, Any] = {"unit_size": len(unit.payload)}
        if unit.unit_type in CODED_UNITS:
            fps_id = outcome(partial(UE(255).read, BitReader(unit.payload), None, "fps_id"))
            if fps_id not in sets:
                continue
            outer["fps"] = sets[fps_id]
        found.append((structure, unit, outer))
        if unit.unit_type == UnitType.FEATURE_PARAMETER_SET:
            fps = outcome(partial(FEATURE_PARAMETER_SET.parse_whole, unit.payload))
            if isinstance(fps, Record):
                sets[fps["fps_id"]] = fps
    return found


@pytest.mark.parametrize("folder", ["valid", "invalid"])
def test_vectors(folder: str) -> None:
    paths = sorted((SUITE / folder).rglob("*.dfc"))
    assert len(paths) > 150
    seen: set[str] = set()
    for path in paths:
        for number, (structure, unit, outer) in enumerate(payloads_of(path.read_bytes())):
            if number < 12 or unit.unit_type not in CODED_UNITS:
                compare_payload(structure, unit.payload, 8 * unit.payload_offset, **outer)
                seen.add(structure.title)
    assert seen == {one.title for one in UNIT_STRUCTURES.values()}


@cache
def some_payloads() -> list[tuple[Structure[Any], bytes, dict[str, Any]]]:
    """Short payloads of every kind, with the outer values."""
    found: dict[tuple[str, bytes], tuple[Structure[Any], bytes, dict[str, Any]]] = {}
    for path in sorted((SUITE / "valid").rglob("*.dfc")):
        for structure, unit, outer in payloads_of(path.read_bytes())[:8]:
            if len(unit.payload) < 2000:
                found.setdefault((structure.title, unit.payload), (structure, unit.payload, outer))
    return list(found.values())


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_payloads(data: st.DataObject) -> None:
    """Bits flipped, bytes cut off, put in or appended."""
    structure, payload, outer = data.draw(st.sampled_from(some_payloads()))
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(damaged), 60)))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "fill"])):
            case "flip" if at < len(damaged):
                damaged[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del damaged[at:]
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=3))
            case "fill":
                damaged[at : at + 8] = bytes([data.draw(st.sampled_from([0, 255]))]) * 8
    if structure is structures.INDEX and len(damaged) > 1:
        damaged[0] &= 0x7F  # few entries
        damaged[1] &= 0x7F
    compare_payload(structure, bytes(damaged), 8 * data.draw(st.integers(0, 100)), **outer)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.binary(max_size=80))
def test_any_bytes(data: st.DataObject, payload: bytes) -> None:
    structure = data.draw(st.sampled_from(STRUCTURES))
    if structure is structures.INDEX:
        payload = bytes(byte & 0x7F for byte in payload[:2]) + payload[2:]
    compare_payload(structure, payload, **drawn_outer(data, structure))


def drawn_outer(data: st.DataObject, structure: Structure[Any]) -> dict[str, Any]:
    """Outer values for a structure: parameter sets of few channels."""

    def make(inner: Structure[Any], **outer: Any) -> Any:
        elements = follow(inner, drawer(data), Container(outer))
        return inner.make(elements, **outer)

    if structure is hevc.SLICE_HEADER:
        kind = data.draw(st.sampled_from([0, 1, 19, 20]))
        return {"nal_unit_type": kind, "sps": make(hevc.SPS), "pps": make(hevc.PPS)}
    if structure is vvc.SLICE_HEADER:
        return {"sps": make(vvc.SPS)}
    return {"fps": make(FEATURE_PARAMETER_SET), "unit_size": data.draw(st.sampled_from([0, 16]))}


def drawer(data: st.DataObject, wrong: bool = False) -> Callable[[Place], Any]:
    """Settles elements by lot; a ``wrong`` one now and then by a value that the declarations do not allow."""

    def settle(place: Place) -> Any:
        coding = place.coding
        if wrong and data.draw(st.integers(0, 40)) == 0:
            return data.draw(
                st.sampled_from([None, -1, 70_000, 1.5, "x", b"12345", np.ones(3), np.int64(1)])
            )
        match coding:
            case U():
                codes = st.integers(0, (1 << coding.width) - 1)
                if coding.values is not None:
                    codes = st.sampled_from([one for one in coding.values if not is_kept(one)])
                return data.draw(codes)
            case UE(maximum=most) | Leb128(maximum=most):
                return data.draw(st.integers(0, min(most, 5)) | st.integers(0, min(most, 300)))
            case SE(minimum=least, maximum=most):
                return data.draw(st.integers(least, most))
            case F32():
                return np.arange(place.number(coding.count), dtype=np.float32)
            case Array():
                count, width = place.number(coding.count), place.number(coding.width)
                seed = np.random.default_rng(data.draw(st.integers(0, 9)))
                return seed.integers(0, 1 << width, count)
            case Bytes():
                return bytes(place.number(coding.size))
            case AlignmentBits():
                return 0
        assert isinstance(coding, Rest)
        return data.draw(st.binary(max_size=4))

    return settle


@settings(max_examples=400, deadline=None)
@given(st.data(), st.booleans())
def test_elements(data: st.DataObject, wrong: bool) -> None:
    """Elements are completed, written and read again; or refused with the same words."""
    structure = data.draw(st.sampled_from(STRUCTURES))
    outer = drawn_outer(data, structure)
    try:
        elements = follow(structure, drawer(data, wrong), Container(outer))
    except (
        Stop,
        TypeError,
        ValueError,
        OverflowError,
    ):  # a wrong value is the width of another element
        return
    if structure in (structures.NETWORK, structures.HYPERPRIOR) and wrong:
        return
    compare(lambda: structure.make(elements, **outer))
    built = compare(lambda: structure.build_whole(elements, **outer))
    if isinstance(built, bytes):
        compare_payload(structure, built, **outer)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 70_000])
@pytest.mark.parametrize("width", [1, 3, 8, 31, 63])
def test_arrays(count: int, width: int) -> None:
    """Arrays are packed alike whether numpy packs them or Python."""
    most = (1 << width) - 1
    values = np.random.default_rng(count).integers(0, most, count, np.int64, endpoint=True)
    structure = Structure(_Arrays, "6.1")
    elements = {"size": count, "width": width, "one": 1, "values": values}
    data = compare(lambda: structure.build_whole(elements))
    found = compare_payload(structure, data)
    assert np.array_equal(found.values, values)


class _Arrays(Record):
    """An array that begins inside a byte."""

    size: int = records.element(UE(1 << 20))
    width: int = records.element(UE(63))
    one: int = records.element(U(1))
    values: Any = records.element(Array(this.size, this.width))
    alignment: int = records.element(AlignmentBits())


def test_names_of_elements_leave_room_for_the_source() -> None:
    for structure in STRUCTURES:
        names = {one.name for one in structure.subcons}
        assert not names & {"bytes", "int", "len", "range"}
        assert not any(name.startswith("_") for name in names)
