"""Clauses 8.5 to 8.7 against a model in exact rational numbers, and the encoder's half."""

from __future__ import annotations

from fractions import Fraction
from math import floor, isqrt
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from construct import Container
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refcodec.quantise import (
    GAIN_LIMIT,
    dequantise,
    dequantise_logarithmic,
    fit_parameters,
    measure_moments,
    quantise,
    restore_moments,
    round_to_source,
)
from refcodec.syntax.codes import Quantiser, Restoration, SourceType
from refcodec.syntax.structures import FEATURE_PARAMETERS
from refcodec.tables import power_of_two
from refcodec.uniform import dequantise_uniform

# precision, emin, emax of the formats (IEEE 754, table 3.5; bfloat16 and 8 bits likewise)
BINARY64 = (53, -1022, 1023)
FORMATS = {
    SourceType.FLOAT32: (24, -126, 127),
    SourceType.FLOAT16: (11, -14, 15),
    SourceType.BFLOAT16: (8, -126, 127),
    SourceType.FLOAT8_E4M3FN: (4, -6, 8),
    SourceType.FLOAT8_E5M2: (3, -14, 15),
}
LARGEST_E4M3FN = Fraction(448)
"""Its next number, 480, would have the pattern of the NaN."""

ABSENT: dict[str, Any] = dict.fromkeys(one.name for one in FEATURE_PARAMETERS.subcons)
"""Elements of feature_parameters() under conditions of which none holds."""

NUMPY = {
    SourceType.FLOAT32: np.float32,
    SourceType.FLOAT16: np.float16,
    SourceType.BFLOAT16: ml_dtypes.bfloat16,
    SourceType.INT16: np.int16,
    SourceType.INT8: np.int8,
    SourceType.UINT8: np.uint8,
    SourceType.FLOAT8_E4M3FN: ml_dtypes.float8_e4m3fn,
    SourceType.FLOAT8_E5M2: ml_dtypes.float8_e5m2,
}


def single(value: float) -> Any:
    """The ends of a range, of one channel."""
    return np.array([value], np.float32)


# --- the model: exact operations, each followed by one rounding ------------------------------------


def round_to(x: Fraction, precision: int, emin: int, emax: int) -> Fraction:
    """To nearest, ties to even, with subnormals; saturates at the largest finite number."""
    largest = (2 - Fraction(2) ** (1 - precision)) * Fraction(2) ** emax
    x = min(max(x, -largest), largest)
    if x == 0:
        return x
    exponent = abs(x.numerator).bit_length() - x.denominator.bit_length()
    if abs(x) < Fraction(2) ** exponent:
        exponent -= 1
    quantum = Fraction(2) ** (max(exponent, emin) - precision + 1)
    return round(x / quantum) * quantum  # Python rounds fractions to nearest, ties to even


def r64(x: Fraction) -> Fraction:
    return round_to(x, *BINARY64)


def bits_of(x: Fraction, source: SourceType, negative_zero: bool = False) -> int:
    """The word of a binary64 value after its rounding to the source type (8.7)."""
    largest = LARGEST_E4M3FN if source == SourceType.FLOAT8_E4M3FN else abs(x)
    rounded = float(round_to(min(max(x, -largest), largest), *FORMATS[source]))  # exact
    if rounded == 0 and (x < 0 or (x == 0 and negative_zero)):
        rounded = -0.0
    if source == SourceType.BFLOAT16:
        return int(np.float32(rounded).view(np.uint32)) >> 16
    word = NUMPY[source](rounded)
    return int(word.view(f"u{word.itemsize}"))


def uniform_model(
    position: int, low: np.float32, high: np.float32, bits: int
) -> tuple[Fraction, bool]:
    """8.6.1 in exact numbers: the binary64 value, and whether it is a negative zero."""
    first, last = Fraction(float(low)), Fraction(float(high))
    step = r64(r64(last - first) / (2**bits - 1))
    product = r64(Fraction(position, 2**16) * step)
    negative_zero = bool(product == 0 and position < 0 and np.signbit(low))
    return r64(product + first), negative_zero


def restoration_model(group: list[int], mean: int, deviation: int, bits: int) -> list[int]:
    """8.5 in exact numbers; every division rounds half up."""

    def nearest(x: Fraction) -> int:
        return floor(x + Fraction(1, 2))

    count, first = len(group), sum(group)
    spread = count * sum(q * q for q in group) - first**2
    if spread == 0:
        return [q << 16 for q in group]
    gain = nearest(Fraction(deviation * count * 2 ** (bits + 16), isqrt(spread << 32)))
    own = nearest(Fraction(first << 16, count))
    gain = min(gain, 16 << 16)
    return [mean * 2**bits + nearest(Fraction(((q << 16) - own) * gain, 2**16)) for q in group]


def power_table(halvings: int) -> list[int]:
    """2^30 * 2^(i / 2^halvings) for i = 0..4095, by integer square roots of 400 bits."""
    one = 1 << 400
    root = 2 * one
    for _ in range(halvings):
        root = isqrt(root * one)
    table, value = [], one
    for _ in range(4096):
        table.append((value + (1 << 369)) >> 370)
        value = value * root >> 400
    return table


COARSE, FINE = power_table(12), power_table(24)


def logarithmic_model(level: int, step: int, exponent: int) -> Fraction:
    """8.6.2 in exact numbers, from this module's own tables."""
    power = abs(level) * step
    whole, fraction = divmod(power, 1 << 24)
    mantissa = floor(
        Fraction(COARSE[fraction >> 12] * FINE[fraction % 4096], 2**30) + Fraction(1, 2)
    )
    value = r64(mantissa * Fraction(2) ** (whole - 30) - 1)
    return (-value if level < 0 else value) * Fraction(2) ** exponent


# --- the normative half ----------------------------------------------------------------------------

F32_MAX = float(np.finfo(np.float32).max)
F32_TINY = float(np.finfo(np.float32).smallest_subnormal)
singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
subnormals = st.integers(-100, 100).map(lambda n: n * F32_TINY)
sources = st.sampled_from(list(FORMATS))
all_bits = st.integers(1, 16)


@st.composite
def uniform_cases(draw: st.DrawFn) -> tuple[int, list[list[int]], Any, Any]:
    bits = draw(all_bits)
    channels = draw(st.integers(1, 3))
    count = draw(st.integers(1, 6))
    row = st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count)
    samples = draw(st.lists(row, min_size=channels, max_size=channels))
    kind = draw(st.sampled_from([singles, subnormals]))
    pairs = [sorted([draw(kind), draw(kind)]) for _ in range(draw(st.sampled_from([1, channels])))]
    low, high = np.array(pairs, np.float32).T
    return bits, samples, low, high


@given(uniform_cases(), sources)
@example((16, [[0, 1, 65535]], single(-F32_MAX), single(F32_MAX)), SourceType.FLOAT32)
@example((1, [[0, 1]], single(-F32_TINY), single(0)), SourceType.FLOAT16)
def test_uniform_is_three_rounded_operations_and_a_last_one(case: Any, source: SourceType) -> None:
    bits, rows, low, high = case
    samples = np.array(rows, np.int32)[:, :, None]
    fps: Any = Container(quantiser=Quantiser.UNIFORM, bits=bits, source_type=source)
    parameters = Container({**ABSENT, "range_min": low, "range_max": high})
    words = dequantise(samples, fps, parameters)
    assert words.dtype == NUMPY[source]
    for c, row in enumerate(rows):
        own = min(c, len(low) - 1)
        expected = [
            bits_of(*_swap(uniform_model(q << 16, low[own], high[own], bits), source)) for q in row
        ]
        assert words[c, :, 0].view(f"u{words.itemsize}").tolist() == expected


def _swap(value: tuple[Fraction, bool], source: SourceType) -> tuple[Fraction, SourceType, bool]:
    return value[0], source, value[1]


@given(
    st.integers(-(2**36), 2**36),
    st.tuples(singles, singles).map(sorted),
    all_bits,
)
@example(-1, [-0.0, -0.0], 8)
def test_uniform_takes_positions_outside_the_range(
    position: int, ends: list[float], bits: int
) -> None:
    low, high = (np.array([end], np.float32) for end in ends)
    values = dequantise_uniform(np.array([[[position]]]), low, high, bits)
    at_once = dequantise_uniform(
        np.array([[[position]]]), low, high, bits, np.empty((1, 1, 1), np.float32)
    )
    assert at_once.tobytes() == round_to_source(values, SourceType.FLOAT32).tobytes()
    value = values[0, 0, 0]
    expected, negative_zero = uniform_model(position, low[0], high[0], bits)
    assert Fraction(float(value)) == expected
    if expected == 0:
        assert np.signbit(value) == negative_zero


def test_a_range_that_begins_at_zero_may_leave_out_its_minimum() -> None:
    fps: Any = Container(quantiser=Quantiser.UNIFORM, bits=8, source_type=SourceType.FLOAT32)
    parameters = Container({**ABSENT, "range_max": single(255)})
    samples = np.arange(256, dtype=np.int32).reshape(1, 16, 16)
    assert np.array_equal(dequantise(samples, fps, parameters), samples.astype(np.float32))


@given(st.data(), all_bits, st.integers(0, 65535), st.integers(0, 65535), st.booleans())
def test_restoration_is_the_integer_process(
    data: st.DataObject, bits: int, mean: int, deviation: int, per_channel: bool
) -> None:
    sample = st.integers(0, 2**bits - 1)
    rows = data.draw(st.lists(st.lists(sample, min_size=4, max_size=4), min_size=2, max_size=2))
    groups = rows if per_channel else [rows[0] + rows[1]]
    codes = [np.full(len(groups), code, np.int64) for code in (mean, deviation)]
    found = restore_moments(np.array(rows, np.int32).reshape(2, 2, 2), codes[0], codes[1], bits)
    expected = [restoration_model(group, mean, deviation, bits) for group in groups]
    assert found.reshape(len(groups), -1).tolist() == expected


def test_restoration_leaves_a_constant_group_alone() -> None:
    samples = np.full((2, 3, 3), 700, np.int32)
    samples[1, 0, 0] = 701
    codes = np.array([1234, 1234]), np.array([99, 99])
    found = restore_moments(samples, *codes, 10)
    assert (found[0] == 700 << 16).all()
    assert not (found[1] == samples[1] << 16).any()


def test_restoration_gains_at_most_sixteen() -> None:
    samples = np.array([0, 0, 0, 1], np.int32).reshape(1, 2, 2)
    found = restore_moments(samples, np.array([0]), np.array([65535]), 16)
    assert GAIN_LIMIT == 16 << 16
    assert np.ptp(found) == 16 << 16


def test_restoration_holds_the_largest_sums() -> None:
    samples = np.full((1, 2048, 2048), 65535, np.int32)
    samples[0, 0, 0] = 0
    found = restore_moments(samples, np.array([65535]), np.array([65535]), 16)
    group = [0, *[65535] * (samples.size - 1)]
    count, first = samples.size, sum(group)
    own = floor(Fraction(first << 16, count) + Fraction(1, 2))
    assert found[0, 0, 0] == (65535 << 16) - 16 * own
    assert found[0, 0, 1] == (65535 << 16) + 16 * ((65535 << 16) - own)


def test_restoration_returns_the_moments_that_are_signalled() -> None:
    rng = np.random.default_rng(5)
    positions = rng.uniform(100, 900, (3, 40, 40))
    coded = (np.rint(positions) // 32 * 32).astype(np.int32)
    moments = measure_moments(positions, Restoration.CHANNEL, 10)
    restored = restore_moments(
        coded, moments["restoration_mean"], moments["restoration_deviation"], 10
    )
    values = restored / 65536
    assert np.allclose(values.mean(axis=(1, 2)), positions.mean(axis=(1, 2)), atol=0.02)
    assert np.allclose(values.std(axis=(1, 2)), positions.std(axis=(1, 2)), atol=0.02)


def test_power_of_two_tables_are_rounded_roots() -> None:
    coarse, fine = power_of_two()
    assert coarse.tolist() == COARSE
    assert fine.tolist() == FINE


@st.composite
def logarithmic_cases(draw: st.DrawFn) -> tuple[int, bool, int, int, list[int]]:
    bits = draw(st.integers(1, 16))
    signed = bits > 1 and draw(st.booleans())
    levels = 2 ** (bits - signed) - 1
    step = draw(st.integers(1, min(2**32 - 1, (130 << 24) // levels)))
    samples = draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=6))
    return bits, signed, step, draw(st.integers(-160, 127)), samples


@given(logarithmic_cases(), sources)
@example((16, False, (130 << 24) // 65535, 127, [0, 1, 65535]), SourceType.FLOAT32)
@example((1, False, 1, -160, [0, 1]), SourceType.BFLOAT16)
@example((2, True, 130 << 24, 127, [0, 1, 3]), SourceType.FLOAT32)
@example((16, True, (130 << 24) // 32767, -160, [0]), SourceType.FLOAT16)
def test_logarithmic_is_a_table_a_subtraction_and_a_shift(case: Any, source: SourceType) -> None:
    bits, signed, step, exponent, samples = case
    values = dequantise_logarithmic(
        np.array(samples, np.int32).reshape(1, 1, -1), np.array([step]), exponent, bits, signed
    )
    words = round_to_source(values, source).ravel()
    offset = 2 ** (bits - 1) if signed else 0
    expected = [logarithmic_model(q - offset, step, exponent) for q in samples]
    assert [Fraction(float(v)) for v in values.ravel()] == expected
    assert words.view(f"u{words.itemsize}").tolist() == [bits_of(x, source) for x in expected]


def test_logarithmic_steps_may_differ_by_channel() -> None:
    samples = np.full((2, 1, 1), 3, np.int32)
    values = dequantise_logarithmic(samples, np.array([1 << 24, 2 << 24]), 0, 4, False)
    assert values.ravel().tolist() == [7.0, 63.0]


@settings(max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False), sources)
@example(F32_MAX * 2.0, SourceType.FLOAT32)
@example(65520.0, SourceType.FLOAT16)
@example(-1e300, SourceType.BFLOAT16)
@example(449.0, SourceType.FLOAT8_E4M3FN)
@example(-1e9, SourceType.FLOAT8_E4M3FN)
@example(61441.0, SourceType.FLOAT8_E5M2)
@example(-1e-300, SourceType.BFLOAT16)
def test_last_rounding_saturates_and_is_to_nearest_even(x: float, source: SourceType) -> None:
    word = round_to_source(np.array([x]), source)
    assert int(word.view(f"u{word.itemsize}")[0]) == bits_of(
        Fraction(x), source, bool(np.signbit(x))
    )


@settings(max_examples=300)
@given(st.integers(-(2**15), 2**15), st.integers(-60, 60), st.integers(-30, 30), sources)
def test_last_rounding_near_ties(odd: int, tiny: int, scale: int, source: SourceType) -> None:
    x = float(Fraction(2 * odd + 1, 2) * Fraction(2) ** scale * (1 + Fraction(tiny, 2**50)))
    word = round_to_source(np.array([x]), source)
    assert int(word.view(f"u{word.itemsize}")[0]) == bits_of(Fraction(x), source)


@pytest.mark.parametrize(
    ("source", "x", "right"),
    [
        # by way of binary32 each of these becomes a tie, and the tie goes the wrong way
        (SourceType.BFLOAT16, 1 + 2**-8 + 2**-30, 1 + 2**-7),
        (SourceType.BFLOAT16, 1 + 3 * 2**-8 - 2**-30, 1 + 2**-7),
        (SourceType.BFLOAT16, -(1 + 2**-8 + 2**-52), -(1 + 2**-7)),
        (SourceType.BFLOAT16, 2**-134 + 2**-151, 2**-133),
        (SourceType.FLOAT16, 1 + 2**-11 + 2**-30, 1 + 2**-10),
        (SourceType.FLOAT16, 1 + 3 * 2**-11 - 2**-30, 1 + 2**-10),
        (SourceType.FLOAT16, 2**-25 + 2**-60, 2**-24),
        (SourceType.FLOAT8_E4M3FN, 1 + 2**-4 + 2**-30, 1 + 2**-3),
        (SourceType.FLOAT8_E4M3FN, 1 + 3 * 2**-4 - 2**-30, 1 + 2**-3),
        (SourceType.FLOAT8_E4M3FN, 2**-10 + 2**-60, 2**-9),
        (SourceType.FLOAT8_E5M2, 1 + 2**-3 + 2**-30, 1 + 2**-2),
        (SourceType.FLOAT8_E5M2, 2**-17 + 2**-60, 2**-16),
        # true ties go to even
        (SourceType.BFLOAT16, 1 + 2**-8, 1.0),
        (SourceType.BFLOAT16, 1 + 3 * 2**-8, 1 + 2**-6),
        (SourceType.FLOAT16, 1 + 2**-11, 1.0),
        (SourceType.FLOAT32, 1 + 2**-24, 1.0),
        (SourceType.FLOAT32, 1 + 2**-24 + 2**-52, 1 + 2**-23),
    ],
)
def test_nothing_is_rounded_twice(source: SourceType, x: float, right: float) -> None:
    assert float(round_to_source(np.array([x]), source)[0]) == right


# --- the encoder's half ----------------------------------------------------------------------------


def _fps(quantiser: Quantiser, bits: int, **elements: Any) -> Any:
    fixed = {"range_per_channel_flag": 0, "log_signed_flag": 0, "source_type": SourceType.FLOAT32}
    return Container(quantiser=quantiser, bits=bits, **{**fixed, **elements})


def _there_and_back(feature: Any, fps: Any, clip: Any = None) -> tuple[Any, Any, Any]:
    fitted = fit_parameters(feature, fps, clip)
    parameters = Container({**ABSENT, **fitted})
    samples, _ = quantise(feature, fps, parameters)
    return samples, dequantise(samples, fps, parameters), parameters


features = st.lists(singles, min_size=1, max_size=12).map(
    lambda values: np.array(values, np.float32).reshape(1, 1, -1)
)


@given(features, all_bits)
@example(np.array([[[-F32_MAX, 0, F32_MAX]]], np.float32), 16)
@example(np.array([[[0, F32_TINY, 3 * F32_TINY]]], np.float32), 8)
@example(np.array([[[-0.0, -0.0]]], np.float32), 1)
def test_uniform_errs_by_half_a_step(feature: Any, bits: int) -> None:
    samples, back, _ = _there_and_back(feature, _fps(Quantiser.UNIFORM, bits))
    assert samples.min() >= 0
    assert samples.max() < 2**bits
    wide = feature.astype(np.float64)
    half = np.ptp(wide) / (2**bits - 1) / 2
    slack = 2.0**-23 * np.abs(wide).max() + F32_TINY
    assert (np.abs(back.astype(np.float64) - wide) <= half * (1 + 1e-9) + slack).all()


@given(features, all_bits)
def test_uniform_keeps_constants_and_ends(feature: Any, bits: int) -> None:
    _, back, _ = _there_and_back(feature, _fps(Quantiser.UNIFORM, bits))
    assert back.min() == feature.min()
    rounding = 2.0**-22 * float(np.abs(feature).max())
    assert float(back.max()) == pytest.approx(float(feature.max()), rel=0, abs=rounding)


def test_a_range_of_its_own_for_each_channel() -> None:
    feature = np.array([[[0, 1]], [[-1000, 1000]], [[7, 7]]], np.float32)
    fps = _fps(Quantiser.UNIFORM, 8, range_per_channel_flag=1)
    samples, back, parameters = _there_and_back(feature, fps)
    assert parameters.range_min.tolist() == [0, -1000, 7]
    assert samples.tolist() == [[[0, 255]], [[0, 255]], [[0, 0]]]
    assert np.array_equal(back, feature)


def test_values_beyond_a_clip_saturate() -> None:
    feature = np.array([[[-9, -1, 0, 1, 9]]], np.float32)
    _, back, _ = _there_and_back(feature, _fps(Quantiser.UNIFORM, 8), clip=(-1, 1))
    assert back.ravel()[[0, 1, 3, 4]].tolist() == [-1, -1, 1, 1]


@given(st.lists(st.floats(0, 2.0**59, width=32), min_size=2, max_size=30), all_bits)
def test_logarithmic_samples_are_those_of_chen(values: list[float], bits: int) -> None:
    feature = np.array([*values, 1.0], np.float32).reshape(1, 1, -1)
    samples, back, parameters = _there_and_back(feature, _fps(Quantiser.LOGARITHMIC, bits))
    assert parameters.log_exponent == 0
    scale = np.log2(1 + feature.astype(np.float64))
    chen = np.rint(scale / scale.max() * (2**bits - 1))
    # the step is rounded up by less than one: at 11 bits, that moves no sample by more than a level
    assert np.abs(samples - chen).max() <= (1 if bits < 12 else 1 + 2**bits / parameters.log_step)
    order = np.argsort(feature.ravel(), kind="stable")
    assert (np.diff(samples.ravel()[order]) >= 0).all()
    assert (np.diff(back.ravel()[order]) >= 0).all()
    assert (back[samples == 0] == 0).all()
    assert (samples[feature == 0] == 0).all()


@given(features, st.integers(2, 16))
@example(np.array([[[F32_MAX, -F32_MAX, 0]]], np.float32), 16)
@example(np.array([[[F32_TINY, -F32_TINY]]], np.float32), 2)
def test_logarithmic_errs_by_half_a_level(feature: Any, bits: int) -> None:
    signed = bool((feature < 0).any())
    fps = _fps(Quantiser.LOGARITHMIC, bits, log_signed_flag=int(signed))
    samples, back, parameters = _there_and_back(feature, fps)
    assert -160 <= parameters.log_exponent <= 128  # what log_exponent can say
    unit = np.ldexp(1.0, -int(parameters.log_exponent))
    wide, again = feature.astype(np.float64) * unit, back.astype(np.float64) * unit
    logs, logs_again = (np.log2(1 + np.abs(x)) for x in (wide, again))
    half = float(parameters.log_step[0]) * 2**-25
    rounding = (2.0**-22 * np.abs(back.astype(np.float64)) + 2 * F32_TINY) * unit
    assert (np.abs(logs - logs_again) <= half + 1e-6 + rounding).all()
    assert (np.sign(again) * np.sign(wide) >= 0).all()
    assert samples.min() >= 0
    assert samples.max() < 2**bits


@pytest.mark.parametrize("source", list(SourceType))
def test_without_a_quantiser_every_word_survives(source: SourceType) -> None:
    words: Any = np.arange(65536, dtype=np.uint16).reshape(4, 128, 128)
    if source == SourceType.FLOAT32:
        words = words.astype(np.uint32) << 16 | 0x1234
    words = words.astype(f"u{np.dtype(NUMPY[source]).itemsize}")
    feature = words.view(NUMPY[source])
    fps: Any = Container(quantiser=Quantiser.NONE, source_type=source)
    parameters: Any = Container()
    samples, _ = quantise(feature, fps, parameters)
    assert samples.dtype == np.int32
    assert np.array_equal(dequantise(samples, fps, parameters).view(words.dtype), words)


@pytest.mark.parametrize("block", [1, 7, 30, 100])
@pytest.mark.parametrize(
    ("quantiser", "elements"),
    [
        (Quantiser.UNIFORM, {}),
        (Quantiser.UNIFORM, {"range_per_channel_flag": 1}),
        (Quantiser.LOGARITHMIC, {"log_signed_flag": 1}),
        (Quantiser.LOGARITHMIC, {"log_signed_flag": 1, "range_per_channel_flag": 1}),
    ],
)
def test_blocks_leave_no_trace(
    quantiser: Quantiser, elements: dict[str, int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is reconstructed at a time, channels, rows or parts of them, the values are the same."""
    feature = np.random.default_rng(7).normal(size=(5, 4, 6)).astype(np.float32)
    fps = _fps(quantiser, 8, **elements)
    samples, values, parameters = _there_and_back(feature, fps)
    monkeypatch.setattr("refcodec.quantise._BLOCK", block)
    assert np.array_equal(dequantise(samples, fps, parameters), values)
