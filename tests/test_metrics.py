"""Measures against values computed by hand, curves against closed forms, the bootstrap on a known case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcodec import metrics
from refcodec.evaluate.statistics import gather, intervals, join, measures, resampled, resamples

pytest.importorskip("bjontegaard")

from refcodec.evaluate.curves import Curve, bd_quality, bd_rate, frontier, rate_at


def test_rates() -> None:
    features = np.zeros((2, 3, 4), np.float32)
    assert metrics.compression_rate(24, features) == 0.25
    assert metrics.bits_per_element(24, features.size) == 8.0


def test_fidelity_of_images_and_pixels() -> None:
    reference = np.array([[1, 2, 3], [3, 2, 1], [0, 5, 0], [1, 0, 0]], np.float32)
    outputs = np.array([[0, 0, 9], [0, 9, 0], [0, 1, 0], [2, 0, 0]], np.float32)
    assert metrics.fidelity(outputs, reference) == 0.75  # eq. 4: the second decision changed
    maps = np.zeros((1, 2, 2, 2), np.float32)
    changed = maps.copy()
    changed[0, 1, 0, 1] = 1
    assert metrics.fidelity(changed, maps) == 0.75  # eq. 5: one pixel of four


def test_accuracy() -> None:
    outputs = np.array([[0.1, 0.5, 0.4], [0.9, 0.0, 0.1]])
    labels = np.array([2, 0])
    assert metrics.top1_accuracy(outputs, labels) == 0.5
    assert metrics.top_accuracy(outputs, labels, k=1) == 0.5
    assert metrics.top_accuracy(outputs, labels, k=2) == 1.0
    assert metrics.top_accuracy(np.arange(12.0)[None], np.array([7])) == 1.0  # 11, 10, 9, 8, 7
    assert metrics.top_accuracy(np.arange(12.0)[None], np.array([6])) == 0.0


def test_mean_iou() -> None:
    outputs = np.zeros((1, 3, 2, 2))
    outputs[0, 0, 0] = outputs[0, 1, 1] = 1  # decides 0 0 / 1 1
    masks = np.array([[[0, 1], [1, 255]]])
    # Class 0: 1 of 2 pixels; class 1: 1 of 2; class 2 occurs nowhere; the last pixel does not count.
    assert metrics.mean_iou(outputs, masks) == 0.5
    np.testing.assert_array_equal(metrics.overlap(outputs, masks), [[[1, 1, 0], [2, 2, 0]]])


def test_signal_to_noise_and_cosine() -> None:
    original = np.array([0.0, 2.0])  # variance 1
    assert metrics.signal_to_noise(original + 0.1, original) == pytest.approx(20)
    assert metrics.signal_to_noise(original, original) == math.inf
    assert metrics.cosine_similarity(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(
        0.5**0.5
    )


def test_equal_features_have_a_cosine_of_one() -> None:
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(9, 3, 7, 5)).astype(np.float32) * 10.0**seed
        assert metrics.cosine_similarity(x, x) == 1
        x[0] = 0
        statistics = gather(x[:, 0], x[:, 0], x, x)
        assert statistics["cosine"].tolist() == [1] * 9
        assert measures(statistics)["cosine"].tolist() == [1]


# --- statistics of images --------------------------------------------------------------------------


def outputs_of(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    reference = random.normal(size=shape).astype(np.float32)
    return (reference + random.normal(size=shape) * 0.7).astype(np.float32), reference


def test_measures_of_statistics_are_those_of_the_set() -> None:
    outputs, reference = outputs_of(1, 30, 12)
    decoded, original = outputs_of(2, 30, 2, 4, 4)
    labels = np.arange(30) % 12
    found = measures(gather(outputs, reference, decoded, original, labels))
    expected = {
        "fidelity": metrics.fidelity(outputs, reference),
        "output_snr_db": metrics.signal_to_noise(outputs, reference),
        "feature_mse": metrics.mean_squared_error(decoded, original),
        "feature_snr_db": metrics.signal_to_noise(decoded, original),
        "top1": metrics.top1_accuracy(outputs, labels),
        "top5": metrics.top_accuracy(outputs, labels),
        "cosine": np.mean([metrics.cosine_similarity(*p) for p in zip(decoded, original)]),  # noqa: B905
    }
    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx(expected)


def test_measures_of_masks() -> None:
    outputs, reference = outputs_of(3, 5, 4, 6, 6)
    masks = np.random.default_rng(0).integers(0, 4, (5, 6, 6))
    masks[0, 0] = 255
    found = measures(gather(outputs, reference, outputs, reference, masks=masks))
    assert found["fidelity"][0] == pytest.approx(metrics.fidelity(outputs, reference))
    assert found["mean_iou"][0] == pytest.approx(metrics.mean_iou(outputs, masks))


def test_portions_join_to_the_whole() -> None:
    outputs, reference = outputs_of(4, 10, 7)
    whole = gather(outputs, reference, outputs, reference)
    parts = [
        gather(outputs[s], reference[s], outputs[s], reference[s]) for s in (slice(4), slice(4, 10))
    ]
    for name, values in join(parts).items():
        np.testing.assert_array_equal(values, whole[name])


def test_weights_are_resamples_of_images() -> None:
    outputs, reference = outputs_of(5, 8, 6)
    draw = np.array([0, 0, 3, 7, 7, 7, 1, 2])
    weights = np.bincount(draw, minlength=8)[None]
    found = measures(gather(outputs, reference, outputs, reference), weights)
    assert found["fidelity"][0] == pytest.approx(metrics.fidelity(outputs[draw], reference[draw]))
    assert found["output_snr_db"][0] == pytest.approx(
        metrics.signal_to_noise(outputs[draw], reference[draw])
    )


@pytest.mark.parametrize("images", [3, 7, 49, 98, 103, 200, 1000])
@pytest.mark.parametrize("shape", [(4,), (4, 3, 7)])
def test_shares_are_counts_over_totals(images: int, shape: tuple[int, ...]) -> None:
    """To the last bit: 200 of 200 is 1, and 199 of 200 is 0.995."""
    reference = np.zeros((images, *shape), np.float32)
    reference[:, 1] = 1
    labels = np.ones(images, np.int64)
    pixels = math.prod(shape[1:])
    for lost in range(0, images, max(1, images // 9)):
        outputs = reference.copy()
        outputs[:lost, 2] = 2
        truth = {"labels": labels} if pixels == 1 else {"masks": np.ones((images, *shape[1:]), int)}
        statistics = gather(outputs, reference, outputs, reference, **truth)
        found = {name: value.tolist() for name, value in measures(statistics).items()}
        share = (images - lost) / images
        assert found["fidelity"] == [share]
        assert metrics.fidelity(outputs, reference) == share
        if pixels == 1:
            assert found["top1"] == [share] == [metrics.top1_accuracy(outputs, labels)]
            assert found["top5"] == [1]
        else:
            assert found["mean_iou"] == [share / (1 if not lost else 2)]
        weights = resamples(images, 20, 1)
        kept = [images - int(row[:lost].sum()) for row in weights]
        drawn = resampled(statistics, weights)
        assert drawn["fidelity"].tolist() == [one / images for one in kept]
    assert {one.dtype for one in (statistics["agreement"], weights)} == {np.dtype(np.int64)}


def test_lossless_has_infinite_snr_and_a_whole_interval() -> None:
    outputs, _ = outputs_of(6, 9, 5)
    statistics = gather(outputs, outputs, outputs, outputs)
    ends = intervals(resampled(statistics, resamples(9, 50, 0)), 0.95)
    assert ends["output_snr_db"] == (math.inf, math.inf)
    assert ends["fidelity"] == (1, 1)


def test_resamples_are_the_same_each_time() -> None:
    first = resamples(40, 25, seed=3)
    np.testing.assert_array_equal(first, resamples(40, 25, seed=3))
    assert (first != resamples(40, 25, seed=4)).any()
    np.testing.assert_array_equal(first.sum(axis=1), 40)
    assert first.shape == (25, 40)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 300 sets of 100 images with 80 % kept decisions, 95 % of the intervals hold 0.8."""
    random = np.random.default_rng(0)
    weights = resamples(100, 400, 0)
    covered = 0
    for _ in range(300):
        kept = (random.random(100) < 0.8).astype(float)
        low, high = intervals({"fidelity": weights @ kept / 100}, 0.95)["fidelity"]
        covered += low <= 0.8 <= high
    assert 0.90 <= covered / 300 <= 0.98


# --- curves ----------------------------------------------------------------------------------------

RATES = np.array([0.25, 0.5, 1, 2, 4])
SNRS = np.array([10.0, 15, 20, 25, 30])


@given(st.floats(0.2, 5))
def test_bd_rate_of_a_scaled_curve(factor: float) -> None:
    found = bd_rate(Curve(RATES, SNRS), Curve(factor * RATES, SNRS))
    assert found is not None
    assert found.value == pytest.approx(100 * (factor - 1), abs=1e-6)
    assert (found.low, found.high) == (10, 30)


def test_bd_rate_of_straight_lines() -> None:
    """Log rates a + s q and b + t q differ on average by b - a + (t - s) (q0 + q1) / 2."""
    quality = np.linspace(10, 20, 5)
    one, other = 10 ** (0.05 * quality), 10 ** (0.2 + 0.04 * quality)
    found = bd_rate(Curve(one, quality), Curve(other, quality))
    assert found is not None
    assert found.value == pytest.approx(100 * (10 ** (0.2 - 0.01 * 15) - 1))


def test_bd_quality_of_a_raised_curve() -> None:
    found = bd_quality(Curve(RATES, SNRS), Curve(RATES, SNRS + 1.5))
    assert found is not None
    assert found.value == pytest.approx(1.5)
    assert (found.low, found.high) == pytest.approx((0.25, 4))


def test_differences_are_taken_over_what_curves_share() -> None:
    anchor, other = Curve(RATES[:4], SNRS[:4]), Curve(2 * RATES[2:], SNRS[2:])
    found = bd_rate(anchor, other)
    assert found is not None
    assert (found.low, found.high) == (20, 25)
    assert found.value == pytest.approx(100)
    assert bd_rate(anchor, other, least=6) is None
    within = bd_rate(anchor, other, within=(21, 23), least=1)
    assert within is not None
    assert (within.low, within.high) == (21, 23)
    assert bd_rate(Curve(RATES[:2], SNRS[:2]), Curve(RATES[3:], SNRS[3:])) is None
    assert bd_quality(Curve([1, 2], [1, 2]), Curve([3, 4], [1, 2])) is None


def test_frontier_leaves_out_what_costs_more_and_is_no_better() -> None:
    rates, qualities = frontier(Curve([2, 1, 3, 4, 5], [20, 10, 15, 20 + 1e-12, math.inf]))
    assert rates.tolist() == [1, 2]
    assert qualities.tolist() == [10, 20]


def test_of_points_that_cost_the_same_the_best_counts() -> None:
    curve = Curve([1, 2, 2, 2 + 1e-12, 4], [10, 11, 14, 15, 20])
    assert frontier(curve)[1].tolist() == [10, 15, 20]
    assert bd_rate(curve, Curve([1, 2, 4], [10, 15, 20])) == pytest.approx((0, 10, 20), abs=1e-6)
    assert bd_quality(curve, Curve([1, 2, 4], [11, 16, 21])) == pytest.approx((1, 1, 4))


def test_rate_at_a_quality() -> None:
    curve = Curve([1, 10, 100], [10, 20, 30])
    assert rate_at(curve, 20) == pytest.approx(10)
    assert rate_at(curve, 15) == pytest.approx(10**0.5)
    assert rate_at(curve, 31) is None
    assert rate_at(curve, 9) is None
    assert rate_at(Curve([7], [1.0]), 1.0) == 7
