"""The native coder with static tables: round trips, substreams, hostile payloads."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staged import coded, shapes, smooth, stage

import refcodec
from refcodec.coders.native.encoder.advice import NO_ADVICE, Advice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.corrections import find_corrections
from refcodec.coders.native.encoder.forwards import run_forwards
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.head import Bounds, step_sizes
from refcodec.coders.native.transform import forward
from refcodec.coders.native_static.contexts import (
    CHANGEABLE,
    COEFFICIENT,
    CONTEXTS,
    ESCAPE,
    first_tables,
    table_limits,
    tables,
)
from refcodec.coders.native_static.encoder.changes import find_changes
from refcodec.coders.native_static.encoder.feature import code_choice, encode_payload
from refcodec.coders.native_static.encoder.search import search
from refcodec.coders.native_static.payload import decode_payload
from refcodec.coders.native_static.symbols import (
    CURSOR_SIZE,
    DIRECTION,
    LARGEST_LEVEL,
    NOTED,
    Symbols,
    code_bits,
    code_level,
    code_number,
    half_octave,
)
from refcodec.entropy.static import PRECISION
from refcodec.entropy.symbols import close_payload, encode_symbols_of, open_payload
from refcodec.errors import PayloadError
from refcodec.kernel import kernel

CODER = "native-static"

tunings = st.builds(
    Tuning,
    blocks=st.sampled_from([(8,), (16,), (32,)]),
    depths=st.integers(0, 3),
    strength=st.sampled_from([0.0, 0.04, 0.3]),
    restoration=st.sampled_from([None, 0, 1, 2]),
)


def round_trip(positions: Any, tuning: Tuning | None, **options: Any) -> tuple[int, Any]:
    """Size of the payload, and samples, which encoder and decoder agree on.

    tuning : for a choice of the native encoder; None for the coder's own.
    """
    fps, parameters = stage(positions.shape, coder=CODER, **options)
    advice = NO_ADVICE
    if tuning is not None:
        steps = step_sizes(fps, parameters)
        advice = Advice(choice=choose(positions, steps, tuning, NO_ADVICE, tuning.blocks[0], 0))
    parts, samples = encode_payload(positions, fps, parameters, Tuning(), advice)
    sizes = tuple(map(len, parts[:-1]))
    payload = replace(coded(fps, parameters, b"".join(parts)), substreams=sizes)
    found = decode_payload(payload, 2)
    assert found.dtype == samples.dtype == np.int32
    assert np.array_equal(found, samples)
    return len(payload.data), samples


@settings(max_examples=100, deadline=None)
@given(
    shapes,
    st.integers(1, 16),
    st.integers(0, 63 * 8),
    st.none() | tunings,
    st.sampled_from(["smooth", "noise", "ends", "flat"]),
)
def test_encode_decode(shape: Any, bits: int, eighths: int, tuning: Any, kind: str) -> None:
    largest = (1 << bits) - 1
    generator = np.random.default_rng(1)
    match kind:
        case "smooth":
            values = smooth(*shape)
            positions = values / max(values.max(), 1e-6) * largest
        case "noise":
            positions = generator.random(shape) * largest
        case "ends":
            positions = generator.integers(0, 2, shape) * float(largest)
        case _:
            positions = np.full(shape, largest / 3)
    _, samples = round_trip(positions, tuning, bits=bits, qp=eighths / 8)
    assert np.abs(samples).max() <= 1 << 24


@pytest.mark.parametrize("restoration", ["auto", "off", "mean", "channel"])
@pytest.mark.parametrize("options", [{}, {"substreams": 3}, {"quantiser": "log"}])
def test_every_configuration(restoration: str, options: Any) -> None:
    feature = smooth(4, 20, 13)
    data = refcodec.encode(
        feature, coder=CODER, restoration=restoration, qp=16, hash_size=32, **options
    )
    assert np.abs(refcodec.decode(data) - feature).max() < 0.06 * feature.max()
    assert refcodec.validate(data).violations == []


def test_samples_are_those_of_the_native_coder_for_the_same_choice() -> None:
    """Both coders share transform, quantiser and restoration; they differ in the bytes alone."""
    positions = smooth(6, 37, 21).astype(np.float64) * 5000
    fps, parameters = stage(positions.shape, qp=24)
    steps = step_sizes(fps, parameters)
    choice = choose(positions, steps, Tuning(), NO_ADVICE, 16, 3)
    find = partial(find_corrections, positions, steps=steps, mode=2)
    _, samples = code_choice(choice, steps, Bounds(0, 65535), find)
    _, mixed = run_forwards(positions, choice, steps, Bounds(0, 65535))
    assert np.array_equal(samples, mixed.samples)


@given(st.integers(0, 1 << 17))
def test_classes_rise_by_half_octaves(number: int) -> None:
    assert half_octave(number) <= half_octave(number + 1) <= half_octave(number) + 1
    assert half_octave(2 * number + 2) == half_octave(number + 1) + (2 if number else 1)


@kernel
def numbers_in_turn(s: Symbols, numbers: Any) -> None:
    """Code a level, a number and bits of each of some numbers."""
    for i in range(numbers.shape[0]):
        number = int(numbers[i])
        numbers[i] = code_level(s, COEFFICIENT, number)
        found = code_number(s, ESCAPE, abs(number) % 131072)
        found += code_bits(s, abs(number) & 8191, 13)
        numbers[i] = int(numbers[i]) * 262144 + found


@given(st.lists(st.integers(-(1 << 20), 1 << 20), min_size=1, max_size=600))
def test_numbers_return(wanted: list[int]) -> None:
    cursor, room = np.zeros(CURSOR_SIZE, np.int64), np.zeros((2, 16 * len(wanted)), np.int32)
    cursor[DIRECTION] = 1
    numbers = np.array(wanted)
    one, table_of = np.zeros(1, np.int64), first_tables()
    numbers_in_turn(Symbols(cursor, one, np.zeros(1, np.int32), tables(), table_of, *room), numbers)
    contexts, symbols = room[:, : cursor[NOTED]]
    data = encode_symbols_of(symbols, table_of[contexts], tables())
    states, words, last = open_payload(data)
    cursor, found = np.zeros(CURSOR_SIZE, np.int64), np.zeros(len(wanted), np.int64)
    numbers_in_turn(Symbols(cursor, states, words, tables(), table_of, *room[:, :0]), found)
    close_payload(states, words[int(cursor[2]) :], last)
    limited = [min(max(one, -LARGEST_LEVEL), LARGEST_LEVEL) for one in wanted]
    rest = [abs(one) % 131072 + (abs(one) & 8191) for one in wanted]
    assert found.tolist() == [262144 * a + b for a, b in zip(limited, rest, strict=True)]
    assert numbers.tolist() == found.tolist()


def test_tables_are_sound() -> None:
    found = tables()
    for begin, end in zip(found.begin[:-1], found.begin[1:], strict=True):
        bounds = found.bounds[begin:end]
        assert (bounds[0], bounds[-1]) == (0, 1 << PRECISION)
        assert (np.diff(bounds) > 0).all()
    first, limits = first_tables()[:CONTEXTS], table_limits()
    assert (limits[:, 0] <= first).all()
    assert (first <= limits[:, 1]).all()


def test_changed_tables_save_bytes() -> None:
    """Symbols that no context expects: most levels are as large as those of noise, but each its own."""
    contexts = np.full(4000, COEFFICIENT, np.int32)
    symbols = np.random.default_rng(1).integers(0, 25, 4000).astype(np.int32)
    changes = find_changes(contexts, symbols)
    assert np.flatnonzero(changes).tolist() == [COEFFICIENT]
    changed = first_tables().copy()
    changed[:CHANGEABLE] += changes
    before, after = (
        len(encode_symbols_of(symbols, table_of[contexts], tables()))
        for table_of in (first_tables(), changed)
    )
    assert after < before - 100


# --- the search ------------------------------------------------------------------------------------


def chosen(positions: Any, step: float) -> Any:
    return search(positions, np.full(len(positions), round(65536 * step)))


def test_an_edge_splits_its_block_and_a_slope_does_not() -> None:
    rows, columns = np.mgrid[:16, :16].astype(np.float64)
    slope, edge = 10 * rows + 6 * columns, np.where((rows < 3) & (columns < 3), 900.0, 0.0)
    whole, parts = (chosen(one[None], 8.0).sizes[0] for one in (slope, edge))
    assert whole[0, 0] == 16 * 64 + 16
    assert np.flatnonzero(whole).tolist() == [0]
    assert np.argwhere(parts).tolist() == [[0, 0], [0, 8], [8, 0], [8, 8]]
    assert (parts[parts > 0] == 8 * 64 + 8).all()


@settings(max_examples=50, deadline=None)
@given(shapes, st.sampled_from([0.5, 3.0, 40.0]))
def test_levels_are_nearest_or_one_less(shape: Any, step: float) -> None:
    """A coefficient of a chosen block is rounded, or shortened by one step, or left out."""
    positions = np.random.default_rng(2).normal(0, 30, shape)
    choice = chosen(positions, step)
    area = np.zeros(shape[1:], bool)
    for c, y, x in np.argwhere(choice.sizes):
        height, width = divmod(int(choice.sizes[c, y, x]), 64)
        own = slice(y, y + height), slice(x, x + width)
        if c == 0:
            assert not area[own].any()
            area[own] = True
        block = positions[c][own].astype(np.float32)
        exact = np.abs(forward(block, [0, height], [0, width]) / step)
        levels = np.abs(choice.levels[c][own])
        assert (levels <= exact + 0.501).all()
        assert ((levels >= exact - 1.501) | (levels == 0)).all()
        assert abs(levels[0, 0] - exact[0, 0]) < 0.501
    assert area.all()


def test_weights_of_channels_spend_bits_where_they_are_large() -> None:
    positions = np.repeat(np.random.default_rng(3).normal(0, 30, (1, 32, 32)), 2, axis=0)
    steps = np.full(2, 65536 * 20)
    levels = search(positions, steps, np.array([0.25, 4.0])).levels
    light, heavy = np.count_nonzero(levels, axis=(1, 2))
    assert light < heavy


# --- substreams ------------------------------------------------------------------------------------


def test_substreams_are_decoded_alone() -> None:
    feature = smooth(7, 24, 24)
    data = refcodec.encode(feature, coder=CODER, qp=20, substreams=4)
    whole = refcodec.decode(data)
    with refcodec.open(data) as reader:
        assert np.array_equal(reader.channels(0, 2, 5), whole[2:5])
    one = refcodec.decode(refcodec.encode(feature, coder=CODER, qp=20))
    assert np.abs(whole - one).max() < 0.05 * feature.max()


def test_every_number_of_substreams_returns() -> None:
    positions = smooth(5, 9, 11) * 900.0
    sizes = [round_trip(positions, None, bits=12, substreams=count)[0] for count in range(1, 6)]
    assert sizes == sorted(sizes)


# --- payloads that nobody should send --------------------------------------------------------------


def payload_of(shape: tuple[int, ...]) -> Any:
    fps, parameters = stage(shape, coder=CODER, qp=18, bits=12)
    parts, samples = encode_payload(smooth(*shape) * 500.0, fps, parameters, Tuning())
    return coded(fps, parameters, b"".join(parts)), samples


@pytest.mark.parametrize("shape", [(3, 14, 14), (24, 28, 28)])
def test_a_truncated_or_longer_payload_is_refused(shape: tuple[int, ...]) -> None:
    payload, _ = payload_of(shape)
    step = max(len(payload.data) // 50, 1)
    for size in range(0, len(payload.data), step):
        with pytest.raises(PayloadError):
            decode_payload(replace(payload, data=payload.data[:size]))
    for more in (1, 2, 7):
        with pytest.raises(PayloadError):
            decode_payload(replace(payload, data=payload.data + bytes(more)))


@settings(deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_decodes_to_samples(data: Any) -> None:
    payload, samples = payload_of((3, 14, 14))
    at = data.draw(st.integers(0, 8 * len(payload.data) - 1))
    flipped = bytearray(payload.data)
    flipped[at // 8] ^= 1 << at % 8
    try:
        found = decode_payload(replace(payload, data=bytes(flipped)))
    except PayloadError:
        return
    assert found.shape == samples.shape
    assert np.abs(found).max() <= 1 << 24
