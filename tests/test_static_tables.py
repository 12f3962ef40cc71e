"""The engine of static tables: symbols, payloads of one lane and of four, vectors, coded tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refcodec.entropy import rans, static, symbols
from refcodec.entropy.symbols import (
    LANES_SIZE,
    decode_apart,
    decode_symbols,
    encode_apart,
    encode_symbols_of,
    make_tables,
    open_payload,
    slots_of,
)
from refcodec.errors import CallerError, PayloadError
from refcodec.probability.coding import TableChoice, decode_tables, encode_tables
from refcodec.probability.freezing import freeze
from refcodec.tables import scale_frequencies

TOTAL = 1 << static.PRECISION


def tables(*scales: float) -> Any:
    """Tables of normal distributions, each with an escape."""
    found, values = [], []
    for scale in scales:
        reach = int(np.ceil(3 * scale))
        counts = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * scale**2))
        found.append(freeze(1000 * counts))
        values.append(len(counts))
    return make_tables(found, values)


def drawn(own: Any, index: Any, seed: int = 0, wide: float = 1.0) -> Any:
    """Symbols of these tables; with a greater width more of them are escapes."""
    values = own.values[index]
    chance = np.random.default_rng(seed)
    offsets = np.rint(values // 2 + chance.normal(0, wide * values / 6)).astype(np.int64)
    beyond = np.where(offsets < 0, -2 * offsets - 1, 2 * (offsets - values))
    return np.where((offsets >= 0) & (offsets < values), offsets, values + beyond).astype(np.int32)


def ideal(own: Any, index: Any, found: Any) -> float:
    """Bytes that symbols cost by their tables, and excesses by their codes."""
    values = own.values[index]
    place = own.begin[index] + np.minimum(found, values)
    bits = static.PRECISION - np.log2(own.bounds[place + 1] - own.bounds[place])
    orders = np.array([static.excess_order(int(one)) for one in own.values])[index]
    excess = np.maximum(found - values, 0)
    length = np.floor(np.log2(excess + (1 << orders)))
    code = 2 * length - orders + (length < 18)
    return float((bits + np.where(found >= values, code, 0)).sum()) / 8


# --- symbols ---------------------------------------------------------------------------------------


@given(st.integers(-(2**16), 2**16), st.integers(1, 4096))
def test_symbols_of_values_beyond_a_table(offset: int, values: int) -> None:
    excess = static.excess_of(offset, values)
    assert (excess < 0) == (0 <= offset < values)
    symbol = offset if excess < 0 else values + excess
    assert static.offset_of(symbol, values) == offset
    assert excess <= static.LARGEST_EXCESS


def test_buckets_and_slots_agree_with_bounds() -> None:
    own = tables(0.2, 3.0, 40.0)
    for table in range(3):
        slots = slots_of(own, table)
        bounds = own.bounds[own.begin[table] : own.begin[table + 1]]
        for slot in range(0, TOTAL, 7):
            symbol = int(np.searchsorted(bounds, slot, side="right")) - 1
            assert static.find_symbol(own, table, slot) == own.begin[table] + symbol
            packed = int(slots[slot])
            assert packed >> 33 == symbol
            assert (packed >> 16) & 0x1FFFF == bounds[symbol + 1] - bounds[symbol]
            assert packed & 0xFFFF == slot - bounds[symbol]


def test_the_family_is_that_of_the_tool() -> None:
    pytest.importorskip("mpmath")
    tool = Path(__file__).parents[1] / "tools" / "make_scale_tables.py"
    assert subprocess.run([sys.executable, str(tool), "--check"]).returncode == 0


def test_the_family_adds_up() -> None:
    family = scale_frequencies()
    assert len(family) == 64
    for one in family:
        assert one.sum() == TOTAL
        assert one.min() >= 1
        assert np.array_equal(one[:-1], one[-2::-1])  # symmetric


# --- frequencies -----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300))
def test_frequencies_of_levels(levels: list[int]) -> None:
    found = np.zeros(len(levels), np.int64)
    assert static.frequencies_of(np.array(levels), found)
    assert found.sum() == TOTAL
    assert found.min() >= 1
    order = np.argsort(levels, kind="stable")
    rest = np.delete(found[order], int(np.argmax(found[order])))
    assert (np.diff(rest) >= 0).all()  # no rarer symbol is more frequent


def test_mantissas_are_rounded_powers() -> None:
    exact = [2 ** (15 + i / 16) for i in range(16)]
    assert list(static.MANTISSAS) == [round(one) for one in exact]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=200), st.booleans())
def test_freezing(counts: list[float], escape: bool) -> None:
    found = freeze(counts, escape=escape)
    assert len(found) == len(counts) + escape
    assert found.sum() == TOTAL
    assert found.min() >= 1


@pytest.mark.parametrize("wrong", [[], [[1.0]], [-1.0], [float("nan")], [0.0] * 5000])
def test_freezing_refuses(wrong: Any) -> None:
    with pytest.raises(CallerError):
        freeze(wrong)


# --- payloads --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 2**32), st.sampled_from([0.5, 1.0, 3.0]))
def test_payloads_of_one_lane(count: int, seed: int, wide: float) -> None:
    own = tables(0.1, 0.4, 2.0, 30.0)
    index = np.random.default_rng(seed).integers(0, 4, count).astype(np.int32)
    found = drawn(own, index, seed, wide)
    payload = encode_symbols_of(found, index, own)
    assert np.array_equal(decode_symbols(payload, count, index, own), found)
    if len(payload) < LANES_SIZE:
        assert len(payload) <= ideal(own, index, found) + 3


@pytest.mark.parametrize("count", [20_000, 20_001, 20_003])
@pytest.mark.parametrize("wide", [1.0, 2.0])
def test_payloads_of_four_lanes(count: int, wide: float) -> None:
    own = tables(5.0, 20.0)
    index = np.random.default_rng(count).integers(0, 2, count).astype(np.int32)
    found = drawn(own, index, 1, wide)
    payload = encode_symbols_of(found, index, own)
    assert len(payload) >= LANES_SIZE
    assert len(payload) % 2 == 0
    assert np.array_equal(decode_symbols(payload, count, index, own), found)
    assert len(payload) <= 1.0005 * ideal(own, index, found) + 16


@pytest.mark.parametrize("count", [1, 500, 40_001])
def test_one_table_is_decoded_in_either_way(count: int) -> None:
    own = tables(2.0)
    same = np.zeros(1, np.int32)
    each = np.zeros(count, np.int32)
    found = drawn(own, each, 4, 1.3)
    payload = encode_symbols_of(found, same, own)
    assert payload == encode_symbols_of(found, each, own)
    assert np.array_equal(decode_symbols(payload, count, each, own), found)
    assert np.array_equal(decode_symbols(payload, count, same, own, slots_of(own)), found)


def test_exact_bytes_of_a_payload() -> None:
    own = make_tables([np.array([8192, 4096, 4095, 1])], [3])
    found = np.array([0, 1, 2, 0, 0, 3, 1, 0, 0, 0, 12, 0, 2], np.int32)
    payload = encode_symbols_of(found, np.zeros(1, np.int32), own)
    assert payload.hex() == "8fc821d1fedfa700"
    data, ends = encode_apart(found[None], np.zeros(13, np.int32), own)
    assert data.hex() == "59ffda205df280"
    assert ends.tolist() == [len(data)]


def test_a_payload_of_nothing() -> None:
    own = tables(1.0)
    none = np.zeros(0, np.int32)
    payload = encode_symbols_of(none, none, own)
    assert payload == rans.LAST_STATE_ALONE.to_bytes(2, "little")
    assert decode_symbols(payload, 0, none, own).size == 0


def test_the_first_states() -> None:
    states, words, last = open_payload(bytes([1, 2, 3, 4, 5, 6]))
    assert states.tolist() == [0x04030201]
    assert words.tolist() == [0x0605, 0]
    assert last == rans.LAST_STATE_ALONE
    states, words, _ = open_payload(bytes([1, 2, 3, 4, 5]))
    assert states.tolist() == [0x030201]
    assert words.tolist() == [0x0504, 0]
    states, words, last = open_payload(bytes(range(1, 17)) + bytes(4080))
    assert states.tolist() == [0x04030201, 0x08070605, 0x0C0B0A09, 0x100F0E0D]
    assert len(words) == 2041
    assert last == rans.LAST_STATE
    for wrong in (b"", b"\0", b"\1\0", b"\1\1\0", b"\1\0\0\0\1\1", bytes(4096), b"\1" * 4097):
        with pytest.raises(PayloadError):
            open_payload(wrong)


@pytest.mark.parametrize(("count", "flips"), [(64, 4000), (2000, 1500), (40_000, 200)])
def test_flipped_bits_are_noticed(count: int, flips: int) -> None:
    """Of random flips of a bit, all but a few in a thousand leave another last state, or words."""
    own = tables(0.3, 1.0, 4.0)
    chance = np.random.default_rng(count)
    index = chance.integers(0, 3, count).astype(np.int32)
    payload = bytearray(encode_symbols_of(drawn(own, index), index, own))
    missed = 0
    for _ in range(flips):
        at, bit = int(chance.integers(len(payload))), 1 << int(chance.integers(8))
        payload[at] ^= bit
        try:
            decode_symbols(bytes(payload), count, index, own)
            missed += 1
        except PayloadError:
            pass
        payload[at] ^= bit
    assert missed <= flips // 100


# --- vectors ---------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 100), st.integers(1, 20), st.integers(0, 2**32), st.sampled_from([1.0, 3.0]))
def test_vectors(count: int, rows: int, seed: int, wide: float) -> None:
    own = tables(0.05, 0.3, 1.0, 20.0)
    index = np.random.default_rng(seed).integers(0, 4, count).astype(np.int32)
    found = np.stack([drawn(own, index, seed + row, wide) for row in range(rows)])
    data, ends = encode_apart(found, index, own)
    assert np.array_equal(decode_apart(data, ends, index, own), found)
    for row in range(rows):
        start, stop = int(ends[row - 1]) if row else 0, int(ends[row])
        alone = decode_apart(data[start:stop], np.array([stop - start]), index, own)
        assert np.array_equal(alone[0], found[row])
        assert stop - start <= ideal(own, index, found[row]) + 1.2


def test_carries_reach_far() -> None:
    """Symbols at the upper end of the interval make bytes of 255, into which a carry runs."""
    own = make_tables([np.array([1, TOTAL - 2, 1])], [3])
    chance = np.random.default_rng(3)
    index = np.zeros(60, np.int32)
    found = np.where(chance.random((400, 60)) < 0.7, 2, chance.integers(0, 3, (400, 60)))
    data, ends = encode_apart(found.astype(np.int32), index, own)
    assert np.array_equal(decode_apart(data, ends, index, own), found)


# --- coded tables ----------------------------------------------------------------------------------


@st.composite
def models(draw: st.DrawFn) -> tuple[list[int], list[int], list[TableChoice], int]:
    """Contexts, shifts, tables and the step of their levels."""
    step = draw(st.integers(0, 4))
    count = draw(st.integers(1, 6))
    made = []
    for _ in range(count):
        if draw(st.booleans()):
            made.append(TableChoice(draw(st.integers(0, 63)), np.zeros(0, np.int64)))
            continue
        levels = draw(st.lists(st.integers(0, 255 >> step), min_size=1, max_size=40))
        escape = len(levels) > 1 and draw(st.booleans())
        made.append(TableChoice(-1, np.array(levels) << step, escape))
    table_of = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=80))
    few = st.one_of(st.just(0), st.integers(-(2**17) + 1, 2**17 - 1))
    shifts = draw(st.lists(few, min_size=len(table_of), max_size=len(table_of)))
    return table_of, shifts, made, step


@settings(max_examples=60, deadline=None)
@given(models())
def test_coded_tables(chosen: tuple[list[int], list[int], list[TableChoice], int]) -> None:
    table_of, shifts, made, step = chosen
    coded = encode_tables(table_of, shifts, made, step)
    found = decode_tables(coded)
    order = list(dict.fromkeys(table_of))
    assert [order[one] for one in found.table_of] == table_of
    modes = found.tables.mode[found.table_of]
    assert (found.base + modes).tolist() == shifts
    for number, one in enumerate(order):
        begin, end = found.tables.begin[number : number + 2]
        frequencies = np.diff(found.tables.bounds[begin:end])
        expected = np.zeros(len(made[one].levels), np.int64)
        if made[one].member >= 0:
            expected = scale_frequencies()[made[one].member]
        else:
            assert static.frequencies_of(made[one].levels, expected)
        assert np.array_equal(frequencies, expected)
        assert found.tables.values[number] == len(expected) - made[one].escape


def test_constant_elements_cost_next_to_nothing() -> None:
    constant = TableChoice(-1, np.array([224, 0]), True)
    other = TableChoice(-1, np.array([30, 120, 170, 110, 20, 0]), True)
    one = encode_tables([0] * 63 + [1], [0] * 64, [constant, other], 0)
    all_of_them = encode_tables([1] * 1, [0], [constant, other], 0)
    assert (
        len(one.coded_tables) <= len(all_of_them.coded_tables) + 8
    )  # 63 elements, and their table


def test_symbols_module_takes_no_float() -> None:
    own = symbols.make_tables([np.array([TOTAL])], [1])
    assert own.bounds.dtype == np.int32
    assert encode_symbols_of(np.zeros(9, np.int32), np.zeros(1, np.int32), own) == b"\x00\x10"
