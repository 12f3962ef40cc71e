"""The arithmetic coder and its adaptive models, decision by decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refcodec.coders.native_lossless.models import initial_model
from refcodec.entropy.arithmetic import (
    CODE,
    CODER_SIZE,
    DIRECTION,
    OVERRUN,
    POSITION,
    RANGE,
    code_bit,
    code_bits,
    code_golomb,
    code_signed_golomb,
    decode_bit,
    encode_bit,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.mixing import RECIPROCAL, SQUASH, STRETCH, adapt, mix, stretch
from refcodec.tables import native_model

Decisions = Sequence[tuple[int, int]]

probabilities = st.integers(1, 65535) | st.sampled_from([1, 32768, 65535])
decisions = st.lists(st.tuples(probabilities, st.integers(0, 1)), max_size=200)


def written(write: Callable[[Any, Any], object], room: int = 10_000) -> bytes:
    """The payload of what a function codes."""
    coder, output = np.zeros(CODER_SIZE, np.int64), np.zeros(room, np.uint8)
    start_encoding(coder)
    coder[DIRECTION] = 1
    write(coder, output)
    size = finish_encoding(coder, output)
    assert not coder[OVERRUN]
    return output[:size].tobytes()


def opened(payload: bytes) -> tuple[Any, Any]:
    """A decoder at the beginning of a payload, and its data."""
    coder, data = np.zeros(CODER_SIZE, np.int64), np.frombuffer(bytearray(payload), np.uint8)
    start_decoding(coder, data)
    return coder, data


def code(pairs: Decisions, room: int = 10_000) -> bytes:
    def write(coder: Any, output: Any) -> None:
        for probability, bit in pairs:
            encode_bit(coder, output, probability, bit)

    return written(write, room)


def decode(payload: bytes, pairs: Decisions) -> tuple[list[int], bool]:
    """The decisions of a payload, and whether it ends where they do."""
    coder, data = opened(payload)
    bits = [decode_bit(coder, data, probability) for probability, _ in pairs]
    return bits, bool(finish_decoding(coder, data))


# --- round trips -----------------------------------------------------------------------------------


@given(decisions)
def test_decisions_return(pairs: Decisions) -> None:
    assert decode(code(pairs), pairs) == ([bit for _, bit in pairs], True)


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(0, 2**32 - 1)), max_size=40))
def test_bits_return(numbers: list[tuple[int, int]]) -> None:
    wanted = [(count, value & ((1 << count) - 1)) for count, value in numbers]
    payload = written(lambda c, d: [code_bits(c, d, value, count) for count, value in wanted])
    coder, data = opened(payload)
    assert [code_bits(coder, data, 0, count) for count, _ in wanted] == [v for _, v in wanted]
    assert finish_decoding(coder, data)
    assert len(payload) <= sum(count for count, _ in wanted) // 8 + 1


@given(st.integers(0, 23), st.lists(st.integers(0, 2**24), max_size=30))
def test_golomb_numbers_return(order: int, values: list[int]) -> None:
    payload = written(lambda c, d: [code_golomb(c, d, value, order) for value in values])
    coder, data = opened(payload)
    assert [code_golomb(coder, data, 0, order) for _ in values] == values
    assert finish_decoding(coder, data)


@given(st.integers(0, 6), st.lists(st.integers(-(2**23), 2**23), max_size=30))
def test_signed_golomb_numbers_return(order: int, values: list[int]) -> None:
    payload = written(lambda c, d: [code_signed_golomb(c, d, value, order) for value in values])
    coder, data = opened(payload)
    assert [code_signed_golomb(coder, data, 0, order) for _ in values] == values


@pytest.mark.parametrize("order", [0, 1, 6, 23])
def test_the_largest_golomb_number_returns(order: int) -> None:
    largest = (1 << 25) - (1 << order) - 1
    payload = written(lambda c, d: code_golomb(c, d, largest, order))
    coder, data = opened(payload)
    assert code_golomb(coder, data, 0, order) == largest < 2**25
    coder, data = opened(b"\0" * 20)  # a 1 is the lower part of the interval: all ones
    assert code_golomb(coder, data, 0, order) == largest


@given(st.binary(max_size=60), st.lists(probabilities, max_size=300))
def test_whatever_is_decoded_can_be_coded_again(payload: bytes, chances: list[int]) -> None:
    coder, data = opened(payload)
    if int.from_bytes(payload[:4].ljust(4, b"\0"), "big") == 0xFFFFFFFF:
        return  # the one number outside the first interval
    bits = [decode_bit(coder, data, chance) for chance in chances]
    pairs = list(zip(chances, bits, strict=True))
    assert decode(code(pairs), pairs)[0] == bits
    assert coder[CODE] < coder[RANGE]


# --- exact bytes: integers alone make them, so that they may be pinned ------------------------------


@pytest.mark.parametrize(
    ("pairs", "payload"),
    [
        ([], ""),
        ([(32768, 1)], ""),
        ([(32768, 0)], "ff"),
        ([(65535, 0)], "ffff"),
        ([(1, 1)], "0000"),
        ([(1, 0)], "ff"),
        ([(32768, bit) for bit in (0, 1, 1, 0, 1, 0, 0, 1)], "96"),
        ([(16384, 1), (49152, 0), (60000, 1), (5000, 0)] * 3, "33e3"),
    ],
)
def test_exact_bytes(pairs: Decisions, payload: str) -> None:
    assert code(pairs).hex() == payload
    assert decode(bytes.fromhex(payload), pairs) == ([bit for _, bit in pairs], True)


def test_exact_bytes_of_numbers() -> None:
    def write(coder: Any, output: Any) -> None:
        code_bits(coder, output, 0b10110, 5)
        code_golomb(coder, output, 5, 0)
        code_signed_golomb(coder, output, -3, 1)

    assert written(write).hex() == "494f"


# --- the encoder's corners -------------------------------------------------------------------------


def test_a_carry_runs_through_bytes_of_ones() -> None:
    # close in on the number 0x80000000...: its neighbour below begins with 0x7fffff
    coder, output = np.zeros(CODER_SIZE, np.int64), np.zeros(200, np.uint8)
    start_encoding(coder)
    pairs, beginnings, distance = [], [], 0x80000000
    for _ in range(60):
        split = int(coder[RANGE]) >> 1
        pairs.append((32768, int(distance < split)))
        before = int(coder[POSITION])
        encode_bit(coder, output, *pairs[-1])
        distance -= split if distance >= split else 0
        distance <<= 8 * (int(coder[POSITION]) - before)
        beginnings.append(output[:3].tobytes().hex())
    assert beginnings.index("7fffff") < beginnings.index("800000")
    assert decode(code(pairs), pairs) == ([bit for _, bit in pairs], True)


def test_a_carry_changes_what_is_written() -> None:
    coder = np.array([0x2000000, 0xFFFFFF00, 4, 0, 1])
    output = np.array([0x12, 0x34, 0xFF, 0xFF, 0], np.uint8)
    encode_bit(coder, output, 32768, 0)
    assert output.tolist() == [0x12, 0x35, 0, 0, 0]
    assert coder.tolist() == [0x1000000, 0xFFFF00, 4, 0, 1]


@given(decisions)
def test_the_ending_is_the_shortest(pairs: Decisions) -> None:
    payload = code(pairs)
    wanted = [bit for _, bit in pairs]
    assert decode(payload, pairs) == (wanted, True)
    coder, data = opened(payload)
    for probability, _ in pairs:
        decode_bit(coder, data, probability)
    assert coder[OVERRUN] <= 4
    if payload:  # without its last byte, others come out, or it ends too early
        assert decode(payload[:-1], pairs) != (wanted, True)


@given(decisions.filter(lambda pairs: len(code(pairs)) > 0))
def test_an_output_too_small_is_noticed(pairs: Decisions) -> None:
    size = len(code(pairs))
    assert code(pairs, room=size) == code(pairs)
    coder, output = np.zeros(CODER_SIZE, np.int64), np.zeros(size - 1, np.uint8)
    start_encoding(coder)
    for probability, bit in pairs:
        encode_bit(coder, output, probability, bit)
    finish_encoding(coder, output)
    assert coder[OVERRUN] == 1


@given(decisions, st.binary(min_size=1, max_size=3))
def test_bytes_left_over_are_noticed(pairs: Decisions, rest: bytes) -> None:
    payload = code(pairs)
    coder, data = opened(payload)
    wanted = [decode_bit(coder, data, probability) for probability, _ in pairs]
    ahead = bytes(int(coder[OVERRUN]))  # read as zeros: the payload may say so, but no more
    assert decode(payload + ahead, pairs) == (wanted, True)
    assert not decode(payload + ahead + rest, pairs)[1]


def test_a_trailing_byte_is_noticed() -> None:
    pairs = [(20000, i * i % 3 % 2) for i in range(400)]
    payload = code(pairs)
    assert decode(payload, pairs)[1]
    assert not decode(payload + bytes(5), pairs)[1]


def test_a_truncated_payload_is_noticed() -> None:
    pairs = [(20000, i * i % 3 % 2) for i in range(400)]
    payload = code(pairs)
    assert len(payload) > 40
    assert not any(decode(payload[:size], pairs)[1] for size in range(len(payload) - 4))


@settings(max_examples=3)
@given(st.sampled_from([300, 6000, 32768, 65000]))
def test_coded_size_is_near_the_entropy(probability: int) -> None:
    generator = np.random.default_rng(probability)
    bits = (generator.random(200_000) < probability / 65536).astype(int).tolist()
    chance = probability / 65536
    ones = sum(bits)
    entropy = -(ones * math.log2(chance) + (len(bits) - ones) * math.log2(1 - chance)) / 8
    payload = code([(probability, bit) for bit in bits], room=100_000)
    assert entropy - 1 <= len(payload) <= 1.001 * entropy + 4


def test_both_directions_are_one_function() -> None:
    coder, output = np.zeros(CODER_SIZE, np.int64), np.zeros(100, np.uint8)
    start_encoding(coder)
    coder[DIRECTION] = 1
    assert code_bit(coder, output, 1000, 1) == 1
    assert code_golomb(coder, output, 77, 2) == 77
    assert code_signed_golomb(coder, output, -9, 2) == -9
    back, data = opened(output[: finish_encoding(coder, output)].tobytes())
    assert code_bit(back, data, 1000, 0) == 1
    assert code_golomb(back, data, 0, 2) == 77
    assert code_signed_golomb(back, data, 0, 2) == -9


# --- adaptive models -------------------------------------------------------------------------------


def test_tables_equal_their_formulas() -> None:
    """No formula comes nearer to a half than 9e-5, and the last bit of a logarithm is far less."""
    i = np.arange(4096)
    assert np.array_equal(STRETCH, np.rint(256 * np.log((2 * i + 1) / (8191 - 2 * i))))
    x = np.arange(-2816, 2817)
    squash = np.rint(65536 / (1 + np.exp(-x / 256)))
    assert np.array_equal(SQUASH, np.clip(squash, 32, 65504))
    assert len(RECIPROCAL) == 256
    assert np.array_equal(RECIPROCAL, np.rint(65536 / (np.arange(256) + 1.6)))


class Mixture:
    """Predictions of chosen states, mixed, as the coders mix theirs."""

    def __init__(self, states: Any, chosen: Any, weights: Any) -> None:
        self.states, self.chosen, self.weights = states, chosen, weights

    def predict(self) -> int:
        self.inputs = [stretch(self.states, at) for at in self.chosen]
        pairs = zip(self.weights.tolist(), self.inputs, strict=True)
        self.chance = int(mix(sum(weight * one for weight, one in pairs)))
        return self.chance

    def learn(self, bit: int, rate: int, limit: int) -> None:
        error = ((bit << 16) - self.chance) * rate
        for i, (at, one) in enumerate(zip(self.chosen, self.inputs, strict=True)):
            adapt(self.states, at, self.weights, i, one, error, bit, limit)


def model(weight: int = 65536 // 3) -> Mixture:
    """Three predictions of five states."""
    return Mixture(np.full(5, 1 << 29, np.int32), [0, 2, 4], np.full(3, weight))


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("limit", [4, 127, 255])
def test_a_model_learns_what_never_changes(bit: int, limit: int) -> None:
    mixture = model()
    states = mixture.states
    for _ in range(3000):
        chance = mixture.predict()
        mixture.learn(bit, 4, limit)
    assert chance == (65504 if bit else 32)
    assert (states[[0, 2, 4]] & 255 == limit).all()
    assert (states[[1, 3]] == 1 << 29).all()  # they were not asked
    assert ((states >= 0) & (states < 1 << 30)).all()


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 1), max_size=300),
    st.integers(-(2**20), 2**20),
    st.sampled_from([4, 127, 255]),
)
def test_models_stay_in_their_ranges(bits: list[int], weight: int, limit: int) -> None:
    mixture = model(weight)
    states, weights = mixture.states, mixture.weights
    for bit in bits:
        chance = mixture.predict()
        assert 32 <= chance <= 65504
        before = weights.copy()
        mixture.learn(bit, 4, limit)
        assert ((states >= 0) & (states < 1 << 30)).all()
        assert (states & 255 <= limit).all()
        assert np.abs(weights - before).max() <= 2307 * 4 + 1
        assert np.abs(mixture.inputs).max() <= 2307


def test_words_of_32_bits_hold_weights_for_as_long_as_the_specification_says() -> None:
    largest = max(int(abs(model()[1]).max()) for model in (native_model, initial_model))
    most = (int(abs(STRETCH).max()) * (65536 - int(SQUASH.min())) * 4 + 32768) >> 16
    assert largest < 2**24
    assert most <= 9229
    assert 2**24 + 230_000 * 9229 < 2**31


def test_exact_numbers_of_a_model() -> None:
    mixture = model(65536)
    states, weights = mixture.states, mixture.weights
    states[0] = 3 << 28  # 3/4
    chance = mixture.predict()
    assert chance == SQUASH[2816 + int(STRETCH[3072]) + 2 * int(STRETCH[2048])]
    mixture.learn(0, 4, 127)
    assert states.tolist() == [301989889, 536870912, 201326593, 536870912, 201326593]
    assert weights.tolist() == [64693, 65536, 65536]


def test_a_mixture_beats_its_parts() -> None:
    """Two contexts that each know half of the truth."""
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 2, (2, 6000))
    bits = (generator.random(6000) < np.where(a & b, 0.95, np.where(a | b, 0.4, 0.05))).astype(int)
    cost = {}
    for name, parts in {"a": [0], "b": [1], "both": [0, 1]}.items():
        states = np.full(4, 1 << 29, np.int32)
        mixture = Mixture(states, [], np.full(len(parts), 65536 // len(parts)))
        cost[name] = 0.0
        for one, other, bit in zip(a.tolist(), b.tolist(), bits.tolist(), strict=True):
            mixture.chosen = [(one, 2 + other)[part] for part in parts]
            chance = mixture.predict()
            cost[name] -= math.log2(chance / 65536 if bit else 1 - chance / 65536)
            mixture.learn(bit, 4, 255)
    assert cost["both"] < 0.9 * min(cost["a"], cost["b"])
