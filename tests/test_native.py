"""The native coder: round trips, what a QP means, and payloads that are the same however they come about."""

from __future__ import annotations

import hashlib
import io
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staged import coded, shapes, smooth, stage
from streams import stream_of

import refcodec
from refcodec import EncoderConfig
from refcodec.coders.native.channels import cuts
from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.feature import encode_payload
from refcodec.coders.native.encoder.forwards import run_forwards
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.encoder.weights import averages
from refcodec.coders.native.head import Bounds, step_sizes
from refcodec.coders.native.payload import decode_payload
from refcodec.errors import CallerError, PayloadError, StreamError
from refcodec.syntax.codes import UnitType


def ramp(channels: int, height: int, width: int) -> Any:
    """Whole numbers without a machine's rounding: 5 c + 3 y + 2 x, and a bump."""
    c, y, x = np.indices((channels, height, width))
    return 5 * c + 3 * y + 2 * x + 20 * ((y == 2) & (x == 3))


def round_trip(positions: Any, tuning: Any, weights: Any = None, **options: Any) -> tuple[int, Any]:
    """Size of the payload, and samples, which encoder and decoder agree on."""
    fps, parameters = stage(positions.shape, **options)
    payload, samples = encode_payload(positions, fps, parameters, tuning, Advice(weights))
    found = decode_payload(coded(fps, parameters, payload))
    assert found.dtype == samples.dtype == np.int32
    assert np.array_equal(found, samples)
    return len(payload), samples


def payloads_of(data: bytes) -> list[bytes]:
    """The payloads of all features of a stream."""
    from refcodec.suite.make.native import payloads

    return [payload.data for payload in payloads(data)]


# --- round trips -----------------------------------------------------------------------------------

tunings = st.builds(
    Tuning,
    blocks=st.sampled_from([(0,), (8,), (16,), (0, 8, 16, 32)]),
    depths=st.integers(0, 3),
    strength=st.sampled_from([0.0, 0.04, 0.3]),
    slopes=st.sampled_from([(0,), (-7,), (24,), (0, -2, 3)]),
    restoration=st.sampled_from([None, 0, 1, 2]),
    dependent=st.booleans(),
)


@settings(max_examples=150)
@given(
    shapes,
    st.integers(1, 16),
    st.integers(0, 63 * 8),
    tunings,
    st.sampled_from(["smooth", "noise", "ends", "flat"]),
    st.booleans(),
)
def test_encode_decode(
    shape: Any, bits: int, eighths: int, tuning: Any, kind: str, weighted: bool
) -> None:
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
    weights = generator.random(shape, np.float32) if weighted else None
    qp = eighths / 8
    _, samples = round_trip(positions, tuning, weights, bits=bits, qp=qp)
    assert np.abs(samples).max() <= 1 << 24


@given(st.lists(st.integers(0, 51), min_size=1, max_size=8), st.integers(1, 20))
def test_every_channel_has_its_qp(qps: list[int], side: int) -> None:
    positions = smooth(len(qps), side, side) * 100
    round_trip(positions, Tuning(), bits=10, qp=tuple(qps))


@pytest.mark.parametrize("speed", ["fast", "default", "best"])
@pytest.mark.parametrize("restoration", ["auto", "off", "mean", "channel"])
def test_every_configuration(speed: str, restoration: str) -> None:
    feature = smooth(4, 20, 13)
    data = refcodec.encode(feature, speed=speed, restoration=restoration, qp=20, hash_size=32)
    assert np.abs(refcodec.decode(data) - feature).max() < 0.05 * feature.max()
    assert refcodec.validate(data).violations == []


@pytest.mark.parametrize("size", [1, 2, 10, 1000])
def test_vectors(size: int) -> None:
    feature = smooth(size)
    decoded = refcodec.decode(refcodec.encode(feature, qp=4))
    assert decoded.shape == feature.shape
    assert np.abs(decoded - feature).max() <= 0.01 * feature.max()


def test_speeds_trade_size_for_time() -> None:
    feature = smooth(16, 32, 32)
    sizes, errors = {}, {}
    for speed in ("fast", "default", "best"):
        data = refcodec.encode(feature, speed=speed, qp=28)
        sizes[speed] = len(data)
        errors[speed] = float(np.square(refcodec.decode(data) - feature).mean())
    assert sizes["best"] <= 1.01 * sizes["default"]
    assert sizes["default"] < 1.01 * sizes["fast"]
    assert max(errors.values()) < 2 * min(errors.values())


# --- what a QP means -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "qp", "step"),
    [
        (8, 4, 65536),
        (8, 10, 131072),
        (8, 46, 65536 << 7),
        (8, 5, round(2 ** (16 + 1 / 6))),
        (8, 4.125, round(2 ** (16 + 1 / 48))),
        (8, 9.875, round(2 ** (16 + 47 / 48))),
        (12, 4, 65536 << 4),
        (16, 63, round(2 ** (16 + 5 / 6)) << 17),
        (1, 4, 512),
        (1, 0, round(2 ** (16 + 2 / 6)) >> 8),
    ],
)
def test_steps(bits: int, qp: float, step: int) -> None:
    assert step_sizes(*stage((1, 2, 2), bits=bits, qp=qp)).tolist() == [step]


def test_steps_of_channels() -> None:
    steps = step_sizes(*stage((3, 2, 2), bits=8, qp=(10, 4, 16)))
    assert steps.tolist() == [131072, 65536, 262144]


def test_six_more_double_the_error() -> None:
    positions = np.random.default_rng(1).random((8, 32, 32)) * 4095
    tuning = Tuning(strength=0.0, restoration=0)
    errors = [
        np.std(round_trip(positions, tuning, bits=12, qp=qp)[1] - positions)
        for qp in (10, 16, 22, 28)
    ]
    ratios = [b / a for a, b in pairwise(errors)]
    assert min(ratios) > 1.7
    assert max(ratios) < 2.1
    step = 2 ** ((22 - 4) / 6) * 16
    assert errors[2] == pytest.approx(step / 12**0.5, rel=0.15)


@given(shapes, st.integers(0, 5))
def test_samples_of_eight_bits_without_a_transform_return_whole(shape: Any, seed: int) -> None:
    positions = np.random.default_rng(seed).integers(0, 256, shape)
    tuning = Tuning(blocks=(0,), restoration=0)
    assert np.array_equal(round_trip(positions, tuning, bits=8, qp=4)[1], positions)


def test_rate_falls_and_error_rises_with_qp() -> None:
    feature = smooth(8, 24, 24)
    found = []
    for qp in range(0, 52, 6):
        data = refcodec.encode(feature, qp=qp)
        found.append((len(data), float(np.square(refcodec.decode(data) - feature).mean())))
    sizes, errors = zip(*found, strict=True)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert list(errors) == sorted(errors)
    assert sizes[-1] < 0.05 * sizes[0]


def test_a_weight_lowers_the_error() -> None:
    positions = np.random.default_rng(1).random((4, 32, 32)) * 255
    weights = np.full(positions.shape, 0.2, np.float32)
    weights[:, :16] = 5
    tuning = Tuning(restoration=0, strength=0.2)
    _, samples = round_trip(positions, tuning, weights, bits=8, qp=34)
    errors = np.square(samples - positions)
    assert errors[:, :16].mean() < 0.9 * errors[:, 16:].mean()


def test_weights_of_frequencies_decide_which_are_kept() -> None:
    """If only the mean of a map has a weight, all else is left out, and the means are kept."""
    feature = smooth(4, 16, 16) + np.float32(1)
    spectrum = np.full(feature.shape, 1e-6)
    spectrum[:, 0, 0] = 1
    size, decoded = {}, {}
    tried: dict[str, Any] = {"plain": {}, "mean": {"weights": spectrum, "spectral": True}}
    for name, advice in tried.items():
        target = io.BytesIO()
        with refcodec.create(target, qp=26, restoration="off") as writer:
            writer.write(feature, **advice)
        size[name], decoded[name] = target.tell(), refcodec.decode(target.getvalue())
    assert size["mean"] < 0.4 * size["plain"]
    means = {name: one.mean(axis=(1, 2)) for name, one in decoded.items()}
    assert np.allclose(means["mean"], feature.mean(axis=(1, 2)), rtol=0.02)


@pytest.mark.parametrize("side", [1, 7, 14, 16, 33])
@pytest.mark.parametrize("spectral", [False, True])
def test_equal_weights_of_elements_are_equal_weights_of_coefficients(
    side: int, spectral: bool
) -> None:
    boundaries = cuts(side, 16)
    assert np.allclose(averages(boundaries, spectral) @ np.ones(side), 1)


def test_a_choice_is_coded_as_it_is() -> None:
    """Levels that a caller chose, here those of the encoder itself, found without it."""
    feature = smooth(4, 16, 16)
    fps, parameters = stage(feature.shape, qp=30, clip=(0.0, float(feature.max())))
    positions = feature / feature.max() * 65535.0
    steps = step_sizes(fps, parameters)
    choice = choose(positions, steps, Tuning(), Advice(), 16, 0)
    target = io.BytesIO()
    with refcodec.create(target, qp=30, clip=(0.0, float(feature.max()))) as writer:
        writer.write(feature, choice=choice)
    payload, coded = run_forwards(positions, choice, steps, Bounds(0, 65535))
    assert payload in target.getvalue()
    decoded = refcodec.decode(target.getvalue())
    assert np.allclose(decoded, coded.samples * (feature.max() / 65535), atol=1e-5)
    with refcodec.create(io.BytesIO()) as writer, pytest.raises(CallerError, match="shape"):
        writer.write(feature[:2], choice=choice)


def test_weights_of_channels_are_written() -> None:
    feature = smooth(4, 24, 24)
    target = io.BytesIO()
    with refcodec.create(target, qp=34) as writer:
        writer.write(feature, weights=[20, 1, 1, 0.05])
    errors = np.square(refcodec.decode(target.getvalue()) - feature).mean(axis=(1, 2))
    assert errors[0] < errors[1:3].mean() < errors[3]


@pytest.mark.parametrize("wrong", [[1, 2], [-1, 1, 1, 1], [np.nan, 1, 1, 1]])
def test_wrong_weights_are_refused(wrong: Any) -> None:
    with refcodec.create(io.BytesIO()) as writer, pytest.raises(CallerError):
        writer.write(smooth(4, 8, 8), weights=wrong)


# --- targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [300, 1500])
def test_a_target_size_is_met(target: int) -> None:
    (payload,) = payloads_of(stream_of([smooth(8, 24, 24)], target_size=target))
    assert 0.93 * target <= len(payload) <= target


@pytest.mark.parametrize("target", [12, 25])
def test_a_target_snr_is_met(target: int) -> None:
    feature = smooth(8, 24, 24)
    decoded = refcodec.decode(refcodec.encode(feature, target_snr=target))
    error = float(np.square(decoded - feature).mean())
    assert target - 0.1 <= 10 * np.log10(feature.var() / error) <= target + 0.6


def test_a_target_out_of_reach_is_missed_by_as_little_as_can_be() -> None:
    feature = smooth(4, 12, 12)
    small = payloads_of(stream_of([feature], target_size=1))
    assert small == payloads_of(stream_of([feature], qp=63, batch=False))
    good = payloads_of(stream_of([feature], target_snr=200))
    assert good == payloads_of(stream_of([feature], qp=0, batch=False))


# --- the same payloads however they come about -----------------------------------------------------


def test_workers_and_batches_change_no_payload() -> None:
    features = [smooth(3, 9, 11, seed=seed) for seed in range(12)]
    options: Any = {"qp": 22, "clip": (0, 6.0)}
    wanted = payloads_of(stream_of(features, batch=False, workers=1, **options))
    assert len(set(wanted)) == len(features)
    for batch in (False, True):
        for workers in (1, 4):
            data = stream_of(features, batch=batch, workers=workers, **options)
            assert payloads_of(data) == wanted
    assert [payloads_of(stream_of([one], **options))[0] for one in features] == wanted


def test_threads_decode_what_one_decodes() -> None:
    features = [smooth(3, 9, 11, seed=seed) for seed in range(12)]
    data = stream_of(features, qp=22, hash_size=8)
    with refcodec.open(io.BytesIO(data)) as reader:
        decoded = list(reader)
    for number, one in enumerate(decoded):
        assert one.tobytes() == refcodec.open(io.BytesIO(data))[number].tobytes()


EXAMPLES = {
    (0, 8, 4, 0): (
        "f83bbe0eefe5a3c06a3ad3982177997efc6bb5e962b9d493887e08dce7995c064ab5f527899d5d1e"
        "e6190969a090654452728422f5967fbff116a3652f07f33bc620a387fdaf961936584a065a356452"
        "d96f28fba30a8a8ba7fb6026cfeaaa02c41c7efa64"
    ),
    (0, 8, 20, 2): (
        "f83cd2e5abf801bd868dc692315a8c7d214d9031f7665093c34b225e73ba79f9540db0a1fb6306a2"
        "26956605ac182e25360a"
    ),
    (8, 8, 12, 0): (
        "a671b24e5af41b587169047338b8cb25b79eb5f0e3a087d7f31321e8bd1d4b0e0bb25143f81d8f8e2b"
    ),
    (16, 10, 20.125, 2): ("600ec83dba82e739b1e4f0"),
    (8, 12, 30, 1): ("aeef7f35f9"),
}
"""Payloads of a ramp by largest block, bits, QP and restoration, none of them by a close decision."""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_exact_bytes(example: tuple[int, int, float, int]) -> None:
    """An encoder decides by floats. Its bytes are pinned where its decisions have room.

    Samples that are moved by far more than floats are rounded give the same bytes.
    """
    block, bits, qp, restoration = example
    positions = ramp(2, 9, 7)
    fps, parameters = stage(positions.shape, bits=bits, qp=qp)
    tuning = Tuning(blocks=(block,), restoration=restoration)
    payload, samples = encode_payload(positions, fps, parameters, tuning)
    assert payload.hex() == EXAMPLES[example]
    assert np.array_equal(decode_payload(coded(fps, parameters, payload)), samples)
    for moved in positions + np.random.default_rng(1).normal(0, 1e-3, (20, *positions.shape)):
        assert encode_payload(moved, fps, parameters, tuning)[0] == payload


def test_exact_samples() -> None:
    """A decoder computes by integers alone: of a payload with close decisions, too."""
    payload = bytes.fromhex(
        "a473809c1ff2c1dd1c4bff1d301bc1246641eb7d55632aa86c7155f18ccfb62f48f822ddc7e5a2736a"
    )
    samples = decode_payload(coded(*stage((2, 9, 7), bits=8, qp=10), payload))
    assert hashlib.sha256(samples.astype("<i4").tobytes()).hexdigest()[:16] == "ae4375bff060f655"


# --- sequences -------------------------------------------------------------------------------------


def moving(count: int) -> list[Any]:
    """Features of a scene that moves by a sample a feature."""
    scene = smooth(4, 40, 40)
    return [scene[:, i : i + 24, 2 * i : 2 * i + 20] for i in range(count)]


@pytest.mark.parametrize("gop", [1, 3, 64])
def test_sequences_return(gop: int) -> None:
    features = moving(7)
    data = stream_of(features, qp=16, gop=gop, hash_size=8)
    assert refcodec.validate(data).violations == []
    reader = refcodec.open(io.BytesIO(data))
    decoded = list(reader)
    assert len(decoded) == 7
    for one, feature in zip(decoded, features, strict=True):
        assert np.abs(one - feature).max() < 0.05 * feature.max()
    for number in (6, 0, 4, 3):  # at random
        assert refcodec.open(io.BytesIO(data))[number].tobytes() == decoded[number].tobytes()


def test_prediction_makes_a_sequence_smaller() -> None:
    features = moving(8)
    predicted = sum(map(len, payloads_of(stream_of(features, qp=16, gop=8))))
    assert predicted < 0.75 * sum(map(len, payloads_of(stream_of(features, qp=16, batch=False))))


@settings(max_examples=40)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 20)),
    st.sampled_from([(8,), (16,), (8, 32), (0,)]),
    st.sampled_from([1, 8, 16]),
    st.integers(0, 51),
)
def test_predicted_samples_return(shape: Any, blocks: Any, bits: int, qp: int) -> None:
    generator = np.random.default_rng(1)
    previous = generator.integers(0, 1 << bits, shape).astype(np.int32)
    positions = np.clip(np.roll(previous, 2, 1) + generator.normal(0, 3, shape), 0, 2**bits - 1)
    fps, parameters = stage(shape, bits=bits, qp=qp)
    tuning = Tuning(blocks=blocks)
    payload, samples = encode_payload(
        positions, fps, parameters, tuning, reference_feature=previous
    )
    found = decode_payload(coded(fps, parameters, payload), previous)
    assert np.array_equal(found, samples)


# --- damage ----------------------------------------------------------------------------------------


def test_damage_is_refused_or_caught_by_the_sample_hash(take_apart: Any) -> None:
    feature = smooth(3, 17, 12)
    data = refcodec.encode(feature, qp=20, hash_size=8, batch=False)
    wanted = refcodec.decode(data)
    size = len(payloads_of(data)[0])
    chance = random.Random(1)
    refused = 0
    for _ in range(200):
        at, flip = chance.randrange(size), 1 << chance.randrange(8)

        def change(payload: bytes, at: int = at, flip: int = flip) -> bytes:
            damaged = bytearray(payload)
            damaged[len(payload) - size + at] ^= flip
            return bytes(damaged)

        stream = take_apart(data).change(UnitType.CODED_FEATURE, change)
        try:
            assert np.array_equal(
                refcodec.decode(stream), wanted
            )  # of no consequence: the last bits
        except StreamError:
            refused += 1
    assert refused > 190


def test_damage_without_a_hash_ends_in_an_error_or_in_samples() -> None:
    positions = smooth(2, 17, 12) * 50
    fps, parameters = stage(positions.shape, bits=8)
    payload, samples = encode_payload(positions, fps, parameters)
    chance = random.Random(2)
    refused = 0
    for _ in range(200):
        damaged = bytearray(payload)
        damaged[chance.randrange(1, len(payload))] ^= 1 << chance.randrange(8)
        try:
            found = decode_payload(coded(fps, parameters, bytes(damaged)))
            assert found.shape == samples.shape
        except PayloadError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("cut", [0, 1, 5, 50])
def test_a_truncated_payload_is_refused(cut: int) -> None:
    positions = np.random.default_rng(1).random((2, 17, 12)) * 255
    fps, parameters = stage(positions.shape, bits=8)
    payload, _ = encode_payload(positions, fps, parameters)
    with pytest.raises(PayloadError):
        decode_payload(coded(fps, parameters, payload[:cut]))
    with pytest.raises(PayloadError):
        decode_payload(coded(fps, parameters, payload + bytes(5)))


# --- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"qp": 64},
        {"qp": -0.125},
        {"qp": 20.1},
        {"coder": "hevc", "qp": 52},
        {"bits": 17},
        {"bits": 0},
        {"quantiser": "none"},
        {"restoration": "tensor"},
        {"speed": "slow"},
        {"target_size": 0},
        {"target_size": 100, "target_snr": 20},
        {"coder": "hevc", "target_snr": 20},
        {"coder": "hevc", "qp": 20.5},
    ],
    ids=str,
)
def test_config(wrong: Any) -> None:
    with pytest.raises(CallerError):
        EncoderConfig(**wrong)


def test_a_target_keeps_the_distances_of_channels_and_the_stream_conforms(tmp_path: Path) -> None:
    feature = np.random.default_rng(5).normal(size=(4, 16, 16)).astype(np.float32)
    for target in ({"target_size": 4000}, {"target_size": 90}, {"target_snr": 60.0}):
        stream = refcodec.encode(feature, qp=(0, 10, 20, 30), **target)
        (tmp_path / "aimed.dfc").write_bytes(stream)
        assert refcodec.validate(tmp_path / "aimed.dfc").conforming
        assert refcodec.decode(stream).shape == feature.shape


@pytest.mark.parametrize("quantiser", ["uniform", "log"])
def test_a_target_is_the_error_of_the_feature_itself(quantiser: str) -> None:
    feature = np.random.default_rng(6).gamma(0.5, size=(8, 16, 16)).astype(np.float32)
    decoded = refcodec.decode(refcodec.encode(feature, quantiser=quantiser, target_snr=25.0))
    error = np.mean((decoded.astype(np.float64) - feature) ** 2)
    assert 25.0 <= 10 * np.log10(feature.astype(np.float64).var() / error) < 26.0


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"target_snr": "abc"}, "in dB"),
        ({"target_snr": float("nan")}, "in dB"),
        ({"target_snr": 4000}, "in dB"),
        ({"target_size": 1.5}, "it is an integer"),
        ({"target_size": "x"}, "it is an integer"),
        ({"target_snr": 20, "gop": 4}, "not predicted"),
        ({"gop": 4, "batch": True}, "not batched"),
        ({"lossless": True}, "lossless is for hevc"),
        ({"coder": "zlib", "gop": 4}, "gop is for native, hevc"),
    ],
)
def test_choices_that_would_be_without_effect_are_refused(
    choices: dict[str, Any], said: str
) -> None:
    with pytest.raises(CallerError, match=said) as caught:
        refcodec.EncoderConfig(**choices)
    assert said in str(caught.value)


@pytest.mark.parametrize("weights", [["a"] * 4, [[1], [2, 3]], [0.0] * 4, [np.inf] * 4])
def test_weights_that_are_none_are_refused(weights: Any) -> None:
    with refcodec.create(io.BytesIO()) as writer, pytest.raises(CallerError, match="weights"):
        writer.write(np.ones((4, 8, 8), np.float32), weights=weights)


@pytest.mark.parametrize("size", [3e38, 1e-45, 1e300])
def test_only_the_relation_of_weights_counts(size: float) -> None:
    feature = np.random.default_rng(7).normal(size=(4, 16, 16)).astype(np.float32)
    streams = []
    for scale in (1.0, size):
        target = io.BytesIO()
        with refcodec.create(target) as writer:
            writer.write(feature, weights=[scale] * 4)
        streams.append(target.getvalue())
    assert streams[0] == streams[1]


def test_a_truth_value_is_no_qp() -> None:
    with pytest.raises(CallerError, match="the QP is True"):
        EncoderConfig(qp=True)
