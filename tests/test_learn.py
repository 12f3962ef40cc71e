"""Entropy bottlenecks: densities, rounding, tables, losses, schedules, batches."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

import refcodec
from refcodec.errors import CallerError
from refcodec.learn import Bottleneck, FactorizedDensity, freeze
from refcodec.learn.frozen import MOST_VALUES
from refcodec.learn.losses import LOSSES
from refcodec.learn.schedule import Schedule
from refcodec.learn.stock import Stock, prepare

# --- densities


def test_probabilities_of_all_integers_sum_to_one() -> None:
    density = FactorizedDensity(3, seed=1)
    grid = torch.arange(-4000, 4001, dtype=torch.float32).expand(3, -1)
    assert torch.allclose(density.probabilities(grid).sum(dim=1), torch.ones(3), atol=1e-3)


def test_cumulative_distributions_rise_whatever_the_parameters() -> None:
    density = FactorizedDensity(4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 2)
        found = density.logits(torch.linspace(-30, 30, 500).expand(4, -1))
    assert (found.diff(dim=1) > -1e-4 * found.abs()[:, 1:]).all()


def test_a_density_learns_a_distribution() -> None:
    """After training, integers cost within 3 % of the entropy that they have."""
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.15, 0.05])
    values = torch.from_numpy(rng.choice(4, size=(1, 4000), p=share).astype(np.float32))
    density = FactorizedDensity(1)
    optimiser = torch.optim.Adam(density.parameters(), lr=0.03)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        noise = torch.rand(values.shape, generator=generator) - 0.5
        bits = density.bits((values + noise).T).mean()
        optimiser.zero_grad()
        bits.backward()
        optimiser.step()
    entropy = -(share * np.log2(share)).sum()
    assert density.bits(values.T).mean().item() == pytest.approx(entropy, rel=0.03)


def test_one_channel_of_a_density_by_itself() -> None:
    density, grid = FactorizedDensity(5, (2, 4), seed=2), torch.linspace(-3, 3, 11)
    whole = density.probabilities(grid.expand(5, -1))
    for channel in range(5):
        alone = density.only(channel).probabilities(grid[None])[0]
        assert torch.allclose(alone, whole[channel], atol=1e-6)


@pytest.mark.parametrize("shape", [(7, 3), (7, 3, 2, 5)])
def test_bits_keep_the_axes_of_features(shape: tuple[int, ...]) -> None:
    density = FactorizedDensity(3, seed=4)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    bits = density.bits(values)
    assert bits.shape == values.shape
    place = (5, 1, *[0] * (len(shape) - 2))
    alone = -torch.log2(density.only(1).probabilities(values[place].reshape(1, 1)) + 1e-9)
    assert bits[place].item() == pytest.approx(alone.item(), rel=1e-5)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"widths": ()}, {"spread": 0.0}])
def test_densities_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(CallerError, match="cannot be"):
        FactorizedDensity(**{"channels": 2, **wrong})


# --- bottlenecks


def test_values_are_multiples_of_the_step_and_gradients_pass() -> None:
    bottleneck = Bottleneck(2, step=0.5)
    features = torch.tensor([[0.3, -1.1], [0.74, 2.0]], requires_grad=True)
    values, bits = bottleneck(features)
    assert torch.allclose(values, torch.tensor([[0.5, -1.0], [0.5, 2.0]]))
    assert bits.shape == (2,)
    (values * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert torch.allclose(features.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))  # straight through
    assert bottleneck.latents(features).tolist() == [[1, -2], [1, 4]]


def test_the_rate_has_a_gradient_where_rounding_has_none() -> None:
    bottleneck = Bottleneck(3)
    features = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 3
    features.requires_grad_()
    generator = torch.Generator().manual_seed(1)
    bottleneck(
        features, lambda shape: torch.rand(shape, generator=generator) - 0.5
    ).bits.sum().backward()
    assert (features.grad != 0).all()
    assert (bottleneck.log_steps.grad < 0).all()  # larger steps, fewer bits


def test_steps_are_set_by_the_deviations_of_channels() -> None:
    features = torch.randn(500, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    features *= torch.tensor([1.0, 4.0, 0.0]).reshape(1, 3, 1, 1)
    bottleneck = Bottleneck(3)
    bottleneck.calibrate(features, 0.5)
    deviations = [features[:, channel].std(correction=0).item() for channel in (0, 1)]
    assert bottleneck.steps[:2].tolist() == pytest.approx([0.5 * one for one in deviations])
    assert bottleneck.steps[2] == bottleneck.steps[1]  # a constant channel
    with pytest.raises(CallerError, match="constant"):
        bottleneck.calibrate(torch.ones(4, 3, 2, 2), 0.5)


def test_calibration_fits_the_density() -> None:
    """Before any training, features cost little more than the entropy of their integers."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2000, 2, generator=generator) * torch.tensor([0.1, 30.0])
    bottleneck = Bottleneck(2)
    bottleneck.calibrate(features, 0.5)
    with torch.no_grad():
        bits = bottleneck(features).bits.mean().item()
    latents = bottleneck.latents(features).numpy()
    entropy = 0.0
    for own in latents.T:
        _, counts = np.unique(own, return_counts=True)
        entropy -= (counts / 2000 * np.log2(counts / 2000)).sum()
    assert entropy <= bits < 1.1 * entropy


# --- freezing


def test_a_frozen_model_has_the_shares_of_what_was_seen() -> None:
    latents = np.array([[3, 0]] * 600 + [[4, 0]] * 300 + [[6, 0]] * 100)
    frozen = freeze(Bottleneck(2, step=0.25), latents)
    assert frozen.steps.tolist() == [0.25, 0.25]
    first, shares = frozen.model.probabilities(0)
    assert first == 3
    assert shares[[0, 1, 3]] == pytest.approx([0.6, 0.3, 0.1], abs=0.01)
    entropy = -(0.6 * math.log2(0.6) + 0.3 * math.log2(0.3) + 0.1 * math.log2(0.1))
    assert frozen.model.code_length(latents) / 1000 == pytest.approx(entropy, rel=0.02)


def test_without_refinement_the_density_alone_counts() -> None:
    bottleneck, latents = Bottleneck(1, seed=3), np.array([[-2]] * 99_999 + [[3]])
    frozen = freeze(bottleneck, latents, refine=False)
    grid = torch.arange(-2, 4, dtype=torch.float32)[None]
    with torch.no_grad():
        wanted = bottleneck.density.probabilities(grid)[0].double().numpy()
    first, shares = frozen.model.probabilities(0)
    assert shares[-2 - first : 4 - first] == pytest.approx(wanted / wanted.sum(), rel=0.05)


def test_a_value_far_away_is_escaped() -> None:
    latents = np.array([[5, 0]] * 30 + [[9, 3], [5 + 3 * MOST_VALUES, 0]], np.int32)
    frozen = freeze(Bottleneck(2), latents)
    assert len(frozen.model.probabilities(0)[1]) <= MOST_VALUES
    assert frozen.model.code_length(latents) > frozen.model.code_length(latents[:31]) + 16


@pytest.mark.parametrize("shape", [(40, 3), (40, 3, 2, 4)])
def test_stored_features_come_back(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    latents = rng.poisson(0.4, shape).astype(np.int32)
    bottleneck = Bottleneck(3)
    with torch.no_grad():
        bottleneck.log_steps.copy_(torch.tensor([-1.0, 0.3, 2.0]))
    frozen, sizes = freeze(bottleneck, latents), []
    for joint in (False, True):
        target = io.BytesIO()
        frozen.write(target, latents, joint=joint)
        with refcodec.open(target.getvalue()) as reader:
            assert np.array_equal(np.stack(list(reader)), frozen.values(latents))
        sizes.append(len(target.getvalue()))
    assert sizes[1] < sizes[0]


# --- losses


def test_cross_entropy() -> None:
    outputs, targets = torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([0, 0])
    loss = LOSSES["cross-entropy"]
    wanted = (math.log(1 + math.e) + math.log(1 + math.exp(-2))) / 2
    assert loss.value(outputs, targets).item() == pytest.approx(wanted)
    assert loss.error(outputs, targets).tolist() == [1, 0]


def test_multi_label() -> None:
    outputs = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]])
    targets = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    loss = LOSSES["multi-label"]
    logistic = lambda x: math.log(1 + math.exp(-x))  # noqa: E731
    one = logistic(0) + logistic(1) + logistic(-1)
    other = logistic(-2) + logistic(0) * 2
    assert loss.value(outputs, targets).item() == pytest.approx((one + other) / 2)
    assert loss.error(outputs, targets).tolist() == [0, 1]


def test_regression() -> None:
    outputs, targets = (
        torch.tensor([[1.0, 2.0], [0.0, 0.0]]),
        torch.tensor([[1.0, 0.0], [3.0, 0.0]]),
    )
    loss = LOSSES["regression"]
    assert loss.error(outputs, targets).tolist() == [2.0, 4.5]
    assert loss.value(outputs, targets).item() == pytest.approx(3.25)


def test_distillation_is_zero_for_the_same_outputs() -> None:
    outputs = torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 4.0]])
    loss = LOSSES["distillation"]
    assert loss.value(outputs + 5, outputs).item() == pytest.approx(0, abs=1e-6)
    assert loss.value(outputs.flip(1), outputs).item() > 0.1
    assert loss.error(outputs.flip(1), outputs).tolist() == [0, 1]


# --- schedules


def test_cosine_falls_from_the_rate_to_zero() -> None:
    schedule = Schedule(100, 0.5)
    rates = [schedule.learning_rate(step) for step in range(101)]
    assert [rates[0], rates[50], rates[100]] == pytest.approx([0.5, 0.25, 0])
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_exponential_falls_in_stairs() -> None:
    schedule = Schedule(5000, 0.02, "exponential", decay=0.94, decay_every=1000)
    assert schedule.learning_rate(999) == 0.02
    assert schedule.learning_rate(2500) == pytest.approx(0.02 * 0.94**2)


def test_warmup_and_ramp_rise() -> None:
    schedule = Schedule(100, 1.0, "constant", warmup=9, trade=0.5, lambda_ramp=9)
    assert schedule.learning_rate(0) == pytest.approx(0.1)
    assert schedule.learning_rate(9) == schedule.learning_rate(80) == 1
    assert schedule.lambda_at(0) == pytest.approx(0.005)
    assert schedule.lambda_at(4) == pytest.approx(0.125)
    assert schedule.lambda_at(9) == schedule.lambda_at(99) == 0.5
    assert Schedule(10, 1.0).lambda_at(5) == 0


# --- batches


class Numbers:
    """Data whose inputs are their own numbers."""

    shape, classes = (1,), ()

    def __len__(self) -> int:
        return 10

    def batch(self, indices: Any, rng: Any) -> Any:
        shift = 0.0 if rng is None else 100 * (1 + rng.integers(5))
        return torch.from_numpy(indices)[:, None] + shift, torch.from_numpy(indices)


def test_every_epoch_has_all_data_in_another_order() -> None:
    stock = Stock(Numbers(), 5, seed=1)
    orders = [
        torch.cat([stock.batch(2 * epoch + part)[1] for part in (0, 1)]).tolist()
        for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = Stock(Numbers(), 3, seed=1), Stock(Numbers(), 3, seed=1)
    for step in range(7):
        first.batch(step)
    assert torch.equal(first.batch(7)[0], second.batch(7)[0])
    assert not torch.equal(first.batch(7)[0], Stock(Numbers(), 3, seed=2).batch(7)[0])


def test_prepared_views_stand_in_for_the_data() -> None:
    prepared = prepare(Numbers(), lambda inputs: 2 * inputs, views=3)
    assert prepared.features.shape == (3, 10, 1)
    assert prepared.features[0, :, 0].tolist() == [2 * n for n in range(10)]  # not augmented
    assert (prepared.features[1:] >= 200).all()
    stock = Stock(Numbers(), 5, seed=0, prepared=prepared)
    features, targets = stock.batch(3)
    for feature, target in zip(features[:, 0], targets, strict=True):
        assert feature in prepared.features[:, target, 0]


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(CallerError, match="a batch is 11 and there are 10"):
        Stock(Numbers(), 11, seed=0)
