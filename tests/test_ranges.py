"""Ranges that features have beside others: in batches, per element of vectors, and in sequences."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from construct import Container
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import stream_of

import refcodec
from refcodec.ranges import convert_reference, number_of_rank, own_bounds, rank_of
from refcodec.syntax.codes import Quantiser

Floats = npt.NDArray[np.float32]

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def decoded(stream: bytes) -> npt.NDArray[Any]:
    return np.array(list(refcodec.open(io.BytesIO(stream))))


def single(numbers: list[float]) -> Floats:
    return np.array(numbers, np.float32)


def loss(source: Floats, back: npt.NDArray[Any]) -> float:
    """Squared error in dB relative to the energy of the source."""
    wide = source.astype(np.float64)
    return float(10 * np.log10(((wide - back) ** 2).sum() / (wide**2).sum() + 1e-30))


def batches(stream: bytes) -> list[Any]:
    """The coded feature batches of a stream, as name and value of their elements."""
    return [
        {one.path.partition(".")[2]: one.value for one in unit.elements}
        for unit in refcodec.inspect(stream)
        if any(one.path.startswith("coded_feature_batch.") for one in unit.elements)
    ]


# --- ranks and codes -----------------------------------------------------------------------------------


@given(st.lists(finite, min_size=1, max_size=20))
def test_ranks_order_numbers(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    ranks = rank_of(values)
    order = np.argsort(ranks, kind="stable")
    assert (np.diff(values[order]) >= 0).all()
    assert np.array_equal(number_of_rank(ranks), values)
    assert not np.signbit(number_of_rank(rank_of(single([-0.0])))).any()
    assert np.array_equal(rank_of(-values), -ranks)


def test_ranks_of_the_specification() -> None:
    assert rank_of(single([-8])).tolist() == [-0x41000000]
    moved = own_bounds(np.array([-0x41000000]), np.array([20, 31]), 5, 20, 1)
    assert number_of_rank(moved).tolist() == [[-1.5], [0.0]]


def test_greatest_codes_and_shifts_fit_64_bits() -> None:
    largest = np.array([0x7F7FFFFF])
    codes = np.array([2**31 - 2])
    assert own_bounds(largest, codes, 31, 31, -1)[0, 0] == 0x7F7FFFFF - ((2**31 - 2) << 31)


# --- batches ---------------------------------------------------------------------------------------------


@st.composite
def companies(draw: st.DrawFn) -> Floats:
    """Vectors, of which some are 1 to 1e6 times the others, have one such value, or an offset."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, size = draw(st.integers(2, 12)), draw(st.integers(1, 48))
    vectors = generator.normal(size=(count, size))
    for one in vectors:
        factor = 10 ** generator.uniform(0, 6)
        match draw(st.sampled_from(["as it is", "scale", "value", "offset", "rectified", "still"])):
            case "scale":
                one *= factor
            case "value":
                one[generator.integers(size)] *= factor
            case "offset":
                one += factor
            case "rectified":
                np.maximum(one, 0, out=one)
            case "still":
                one[:] = generator.choice([0.0, 1.0, factor])
    return vectors.astype(np.float32)


CODERS: list[dict[str, Any]] = [
    {"coder": "raw", "quantiser": "uniform", "bits": 8},
    {"coder": "raw", "quantiser": "log", "bits": 12},
    {"coder": "zlib", "quantiser": "uniform", "bits": 5},
    {"coder": "native", "qp": 30},
    {"coder": "native", "qp": 20, "quantiser": "log"},
]


@pytest.mark.parametrize("options", CODERS, ids=lambda one: "-".join(map(str, one.values())))
@settings(max_examples=15, deadline=None)
@given(vectors=companies())
def test_a_vector_loses_nothing_beside_others(options: dict[str, Any], vectors: Floats) -> None:
    stream = stream_of(vectors, **options)
    alone = [refcodec.decode(stream_of([one], **options)) for one in vectors]
    for together, own in zip(decoded(stream), alone, strict=True):
        assert np.array_equal(together, own)
    assert not refcodec.validate(stream).violations


@pytest.mark.parametrize("options", CODERS, ids=lambda one: "-".join(map(str, one.values())))
def test_a_range_costs_three_bytes_at_most(options: dict[str, Any]) -> None:
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(64, 96)) * 10 ** generator.uniform(0, 6, (64, 1))
    for scaled in (vectors, np.sign(vectors) * (np.abs(vectors) % 1 + 1)):
        found = batches(stream_of(scaled.astype(np.float32), **options))
        assert sum(batch["feature_count_minus1"] + 1 for batch in found) == 64
        bits = sum(
            (batch["feature_count_minus1"] + 1)
            * (batch.get("low_code_bits", 0) + batch.get("high_code_bits", 0))
            for batch in found
        )
        assert bits <= 64 * 24
        assert len(found) <= 8


@pytest.mark.parametrize("options", CODERS, ids=lambda one: "-".join(map(str, one.values())))
def test_a_range_of_a_batch_is_near_that_of_the_vector(options: dict[str, Any]) -> None:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(16, 256)).astype(np.float32)
    vectors[3, 7] = 1500
    back, alone = (
        decoded(stream_of(vectors, **options)),
        decoded(stream_of(vectors, **options, batch=False)),
    )
    losses = [
        loss(source, together) - loss(source, own)
        for number, (source, together, own) in enumerate(zip(vectors, back, alone, strict=True))
        if number != 3
    ]
    assert np.mean(losses) < 0.25  # each has the noise of its own rounding


def test_an_outlier_among_many_is_kept_apart() -> None:
    vectors = np.random.default_rng(4).normal(size=(300, 16)).astype(np.float32)
    plain = len(stream_of(vectors, qp=30))
    vectors[150] *= 1e6
    assert 3 <= len(batches(stream_of(vectors, qp=30))) <= 5
    assert len(stream_of(vectors, qp=30)) <= plain + 150


def test_equal_ranges_take_one_bit() -> None:
    vectors = np.random.default_rng(5).uniform(size=(9, 40)).astype(np.float32)
    vectors[:, 0], vectors[:, 1] = -1.7, 2.3
    (batch,) = batches(stream_of(vectors, coder="raw", quantiser="uniform", bits=9))
    assert batch["range_codes_flag"] == 0
    (batch,) = batches(
        stream_of(vectors * 3, coder="raw", quantiser="uniform", bits=9, clip=(-1, 2))
    )
    assert batch["range_codes_flag"] == 0
    assert batch["parameters.range_max"].tolist() == [2]


@pytest.mark.parametrize("top", [1, 255, 1023, 4095])
def test_integers_keep_their_range(top: int) -> None:
    vectors = np.random.default_rng(top).integers(0, top + 1, (7, 30)).astype(np.float32)
    vectors[:, 0], vectors[:, 1] = 0, [top] * 4 + [top // 3 + 1] * 3
    vectors = np.minimum(vectors, vectors[:, 1:2])
    bits = top.bit_length()
    back = decoded(stream_of(vectors, coder="raw", quantiser="uniform", bits=bits))
    assert np.array_equal(back[:4], vectors[:4])


def test_payloads_of_very_different_sizes_have_batches_of_their_own() -> None:
    noise = np.random.default_rng(6).normal(size=16384).astype(np.float32)
    vectors = [np.zeros_like(noise), noise, np.zeros_like(noise)]
    stream = stream_of(vectors, coder="zlib", batch=True)
    assert np.array_equal(decoded(stream), vectors)
    assert not refcodec.validate(stream).violations


@pytest.mark.parametrize("quantiser", ["uniform", "log"])
def test_maps_with_a_range_per_channel(quantiser: str) -> None:
    maps = np.random.default_rng(7).normal(size=(12, 5, 4, 4)).astype(np.float32)
    maps[3, 2] *= 1e4
    maps[:, 4] = 0.25
    options = {"qp": 24, "range": "channel", "quantiser": quantiser}
    back = decoded(stream_of(maps, **options))
    for one, together in zip(maps, back, strict=True):
        assert np.array_equal(together, decoded(stream_of([one], **options))[0])
    if quantiser == "uniform":
        assert np.array_equal(back[:, 4], maps[:, 4])


# --- elements of vectors ----------------------------------------------------------------------------------


def test_an_outlier_channel_of_vectors() -> None:
    vectors = np.random.default_rng(8).normal(size=(48, 128)).astype(np.float32)
    vectors[:, 7] *= 1000
    others = np.arange(128) != 7
    common, own = (decoded(stream_of(vectors, range=one, qp=28)) for one in ("tensor", "channel"))
    assert loss(vectors[:, others], common[:, others]) > -1
    assert loss(vectors[:, others], own[:, others]) < -15
    assert loss(vectors[:, 7], own[:, 7]) < -15


@pytest.mark.parametrize("outlier", ["value", "vector"])
def test_an_outlier_among_vectors_with_ranges_of_elements(outlier: str) -> None:
    vectors = np.random.default_rng(9).normal(size=(40, 64)).astype(np.float32)
    plain = decoded(stream_of(vectors, range="channel", qp=28))
    kept = np.arange(40) != 11
    if outlier == "value":
        vectors[11, 5] = 1500
    else:
        vectors[11] *= 1e6
    back = decoded(stream_of(vectors, range="channel", qp=28))
    assert loss(vectors[kept], back[kept]) < loss(vectors[kept], plain[kept]) + 0.5
    assert loss(vectors[11], back[11]) < -15


def test_a_constant_element_stays_as_it_is() -> None:
    vectors = np.random.default_rng(10).normal(size=(50, 32)).astype(np.float32)
    vectors[:, 5], vectors[:, 9] = 0.7, -1e-20
    for options in ({"coder": "raw", "quantiser": "uniform", "bits": 4}, {"qp": 40}):
        back = decoded(stream_of(vectors, **options, range="channel"))
        assert np.array_equal(back[:, [5, 9]], vectors[:, [5, 9]])


def test_constant_elements_of_native_vectors_are_nearly_free() -> None:
    vectors = np.random.default_rng(11).normal(size=(50, 64)).astype(np.float32)
    still = np.concatenate([vectors, np.full((50, 16), 0.7, np.float32)], axis=1)
    plain, more = (len(stream_of(one, range="channel", qp=28)) for one in (vectors, still))
    assert more - plain < 16 * 8 + 50 * 3


# --- sequences ---------------------------------------------------------------------------------------


def still_maps(count: int) -> Floats:
    y, x = np.mgrid[:16, :16]
    one = np.stack([np.sin(x / 3 + c) * np.cos(y / 4 - c) for c in range(3)])
    noise = np.random.default_rng(12).normal(size=(count, 3, 16, 16)) / 50
    return (one + noise).astype(np.float32)


@pytest.mark.parametrize("quantiser", ["uniform", "log"])
@pytest.mark.parametrize("outlier", [0, 5])
def test_an_outlier_in_a_sequence(outlier: int, quantiser: str) -> None:
    maps = still_maps(10)
    maps[outlier, 1, 3, 3] = 1500
    kept = np.arange(10) != outlier
    options = {"qp": 26, "quantiser": quantiser}
    back = decoded(stream_of(maps, gop=8, **options))
    alone = decoded(stream_of(maps, batch=False, **options))
    assert loss(maps[kept], back[kept]) < loss(maps[kept], alone[kept]) + 0.5


def test_prediction_from_another_range_saves_bytes() -> None:
    maps = still_maps(8)
    steady = len(stream_of(maps, gop=8, qp=26))
    maps *= np.linspace(1, 2, 8, dtype=np.float32)[:, None, None, None]
    moved, alone = len(stream_of(maps, gop=8, qp=26)), len(stream_of(maps, batch=False, qp=26))
    assert moved < 0.8 * alone
    assert moved < 1.7 * steady


def test_ranges_follow_through_windows_and_random_access() -> None:
    maps = (
        still_maps(70)[:, :1, :8, :8] * np.linspace(1, 3, 70, dtype=np.float32)[:, None, None, None]
    )
    stream = stream_of(maps, gop=64, qp=30, speed="fast")
    back = decoded(stream)
    assert loss(maps, back) < -10
    with refcodec.open(io.BytesIO(stream)) as reader:
        for number in (69, 63, 64, 3):
            assert np.array_equal(reader[number], back[number])


def _conversion(quantiser: Quantiser, bits: int, signed: int = 0) -> Any:
    return Container(quantiser=quantiser, bits=bits, log_signed_flag=signed)


@given(
    st.integers(2, 16),
    st.tuples(*[st.floats(-100, 100, width=32)] * 4).filter(lambda r: r[0] < r[1] and r[2] < r[3]),
    st.integers(0, 2**32 - 1),
)
def test_conversion_finds_the_nearest_sample(
    bits: int, bounds: tuple[float, float, float, float], seed: int
) -> None:
    old_low, old_high, low, high = (single([one]) for one in bounds)
    samples = np.random.default_rng(seed).integers(0, 2**bits, (1, 4, 4)).astype(np.int32)
    reference = Container(range_min=old_low, range_max=old_high)
    own = Container(range_min=low, range_max=high)
    fps = _conversion(Quantiser.UNIFORM, bits)
    found = convert_reference(samples, reference, own, fps)
    assert found.dtype == np.int32
    top = 2**bits - 1
    steps = [float(end[0]) - float(begin[0]) for begin, end in ((old_low, old_high), (low, high))]
    values = samples * steps[0] / top + float(old_low[0])
    exact = np.clip((values - float(low[0])) * top / steps[1], 0, top)
    assert (np.abs(found - exact) <= 0.5 + 1e-6 * (1 + np.abs(exact))).all()
    assert convert_reference(samples, reference, reference, fps) is samples


def test_conversion_to_a_constant_range() -> None:
    samples = np.arange(8, dtype=np.int32).reshape(2, 2, 2)
    reference = Container(range_min=None, range_max=single([1, 1]))
    own = Container(range_min=single([1, 0]), range_max=single([1, 2]))
    found = convert_reference(samples, reference, own, _conversion(Quantiser.UNIFORM, 3))
    assert found.tolist() == [[[0, 0], [0, 0]], [[2, 2], [3, 4]]]


def test_conversion_of_levels() -> None:
    fps = _conversion(Quantiser.LOGARITHMIC, 4, 1)
    samples = np.array([-3, 0, 5, 8, 9, 15, 99], np.int32).reshape(1, 1, 7)
    reference, own = (Container(log_step=np.array([one])) for one in (300, 200))
    found = convert_reference(samples, reference, own, fps)
    assert found.ravel().tolist() == [0, 0, 3, 8, 10, 15, 15]  # halves away from 0
