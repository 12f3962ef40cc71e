"""Feature codecs with a hyperprior: their start, their rates, integers, the plan."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import refcodec
from refcodec.allocate.curvature import curvature_of
from refcodec.errors import CallerError
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.integers import freeze_codec
from refcodec.learn.plan import Plan
from refcodec.learn.reading import read
from refcodec.learn.rounded import Widths
from refcodec.learn.run import Session
from refcodec.metrics import signal_to_noise
from refcodec.models import Cut
from refcodec.tables import scale_deviations

SHAPE = (4, 16, 16)


def maps(count: int, *, signed: bool = False) -> torch.Tensor:
    """Smooth features whose channels resemble each other."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn(count, 2, 6, 6, generator=generator)
    mix = torch.randn(4, 2, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (16, 16), mode="bicubic")
    found = torch.einsum("nchw,dc->ndhw", fine, mix)
    found = found + 0.05 * torch.randn(found.shape, generator=generator)
    return found if signed else found.relu()


def bottleneck_of(
    features: torch.Tensor, step: float = 0.1, **choices: Any
) -> HyperpriorBottleneck:
    found = HyperpriorBottleneck(SHAPE, **{"latents": 16, "hyper": (8, 6), **choices})
    found.calibrate(features, step)
    return found


def snr(decoded: torch.Tensor, original: torch.Tensor) -> float:
    return signal_to_noise(decoded.detach().numpy(), original.numpy())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("layers", [(), (12,), (9, 10)])
def test_training_starts_at_a_codec_that_works(layers: tuple[int, ...], signed: bool) -> None:
    """All components are kept: the error is that of uniform rounding, whatever the layers around it."""
    features = maps(20, signed=signed)
    found = bottleneck_of(features, 0.01, analysis=layers, synthesis=layers)
    with torch.no_grad():
        values = found(features).values
    relative = ((values - features) ** 2).mean() / features.var(correction=0)
    assert relative.item() == pytest.approx(0.01**2 / 12, rel=0.5)  # rectified again, less
    assert bool((values >= 0).all()) is not signed


def test_fewer_latents_keep_the_largest_components() -> None:
    features = maps(20)
    quality = [
        snr(bottleneck_of(features, latents=count)(features).values, features)
        for count in (2, 6, 16)
    ]
    assert quality[0] < quality[1] < quality[2]
    assert quality[1] > 10


def linear_cut(weight: torch.Tensor) -> Cut:
    """A network whose tail is linear: outputs are the products of features with a matrix."""
    tail = torch.nn.Linear(weight.shape[1], len(weight), bias=False)
    tail.weight = torch.nn.Parameter(weight, requires_grad=False)
    return Cut(torch.nn.Sequential(torch.nn.Identity(), torch.nn.Flatten(), tail), "0", SHAPE)


def test_the_curvature_of_a_linear_tail_is_its_own() -> None:
    """For outputs W x it is W' W of each block, a mean over blocks, by the variance of outputs."""
    features = maps(40)
    weight = torch.randn(5, 1024, generator=torch.Generator().manual_seed(0)) / 30
    found = curvature_of(linear_cut(weight), [features[:20], features[20:]], 2, feature_weight=0.1)
    blocks = torch.nn.functional.unfold(weight.reshape(5, *SHAPE), 2, stride=2)
    exact = torch.einsum("nvb,nwb->vw", blocks, blocks).double() / blocks.shape[2]
    outputs = features.flatten(1) @ weight.T
    exact /= 5 * outputs.var(correction=0)
    exact += 0.1 / 1024 / features.var(correction=0) * torch.eye(16)
    error = ((found - exact).norm() / exact.norm()).item()
    assert error < 0.1  # of random directions


def test_the_start_spends_bits_on_what_the_tail_sees() -> None:
    """A tail that sees two of four channels: at the same loss, fewer bits than by the error of features."""
    coarse = torch.randn(60, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    features = torch.nn.functional.interpolate(coarse, (16, 16), mode="bicubic")
    weight = torch.randn(5, 4, 256, generator=torch.Generator().manual_seed(0)) / 30
    weight[:, 2:] = 0
    cut = linear_cut(weight.reshape(5, 1024))
    curvature = curvature_of(cut, [features], 2, feature_weight=1e-3)
    plain, weighted = (bottleneck_of(features, step) for step in (0.3, 1.0))

    def measured(found: HyperpriorBottleneck) -> tuple[float, float]:
        with torch.no_grad():
            values, bits = found(features)
            return snr(cut.tail(values), cut.tail(features)), bits.mean().item()

    quality, bits = measured(plain)
    step = 1.0
    for _ in range(40):  # to the same quality
        weighted.calibrate(features, step, curvature)
        if measured(weighted)[0] >= quality:
            break
        step *= 0.85
    assert measured(weighted)[0] >= quality
    assert measured(weighted)[1] < 0.7 * bits


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_blocks_of_any_side(stride: int) -> None:
    features = maps(6)
    found = bottleneck_of(features, latents=4 * stride**2, stride=stride)
    assert snr(found(features).values, features) > 20
    assert found.hyper_latents(features).shape == (6, 6, 8 // stride, 8 // stride)


def test_bits_are_those_of_normal_distributions() -> None:
    """Against the integral itself, by the error function of scipy's ilk: 2^-bits of all integers sum to 1."""
    from refcodec.learn.hyperprior import normal_bits

    offsets = torch.arange(-400, 401, dtype=torch.float64)[:, None]
    deviations = torch.tensor([0.11, 0.5, 3.0, 60.0], dtype=torch.float64)
    assert_allclose((2 ** -normal_bits(offsets, deviations)).sum(dim=0), 1, atol=1e-6)
    assert normal_bits(torch.tensor(1e6), torch.tensor(1.0)) == pytest.approx(
        -np.log2(1e-9), rel=1e-3
    )


def test_gradients_reach_all_parameters() -> None:
    features = maps(8)
    found = bottleneck_of(features, analysis=(8,), synthesis=(8,))
    generator = torch.Generator().manual_seed(0)
    values, bits = found(features, lambda shape: torch.rand(shape, generator=generator) - 0.5)
    (bits.mean() + ((values - features) ** 2).sum()).backward()
    assert [
        name for name, one in found.named_parameters() if one.grad is None or not one.grad.any()
    ] == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"latents": 17}, "17 latents of a block of 4 x 2 x 2 values"),
        ({"stride": 5}, "the side of a block is 1 to 4"),
        ({"hyper": (8, 8, 8, 8, 8)}, "multiples of 32"),
        ({"analysis": (3,)}, "a layer of 3 channels; it passes features on at first, and needs 4"),
    ],
)
def test_layers_that_do_not_fit(wrong: Any, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        bottleneck_of(maps(4), **wrong)


def test_features_that_a_hyperprior_is_not_for() -> None:
    with pytest.raises(CallerError, match="is for maps"):
        HyperpriorBottleneck((64,), latents=4)
    with pytest.raises(CallerError, match="all features are constant"):
        bottleneck_of(torch.ones(4, *SHAPE))


# --- integers


@pytest.mark.parametrize("signed", [False, True])
def test_integers_code_what_floats_would(tmp_path: Path, signed: bool) -> None:
    """Sizes are those that training estimates, and values those of its synthesis but for their precision."""
    features = maps(40, signed=signed)
    found = bottleneck_of(features, analysis=(10,), synthesis=(10,))
    optimiser = torch.optim.Adam(found.parameters(), lr=0.002)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        optimiser.zero_grad()
        values, bits = found(features, lambda shape: torch.rand(shape, generator=generator) - 0.5)
        (bits.mean() / 2000 + 30 * ((values - features) ** 2).mean()).backward()
        optimiser.step()
    with torch.no_grad():
        values, bits = found(features)
    frozen = freeze_codec(found, features.numpy())
    assert min(one.snr for one in frozen.networks) > 25
    frozen.save(tmp_path)
    path = tmp_path / "features.dfc"
    frozen.write(path, features.numpy(), apart=True)
    with refcodec.open(path) as reader:
        decoded = np.stack(list(reader))
    assert path.stat().st_size * 8 / 40 == pytest.approx(bits.mean().item(), rel=0.15, abs=300)
    assert snr(torch.from_numpy(decoded), features) == pytest.approx(snr(values, features), abs=0.5)
    assert refcodec.validate(path).conforming
    with refcodec.open(path, output="latents") as reader:
        latents = reader[0]
    deviations = found.distributions(found.hyper_latents(features[:1]).float())[1]
    exact = np.log2(latents.deviations) - np.log2(deviations[0].detach().numpy())
    spacing = np.log2(scale_deviations()[1] / scale_deviations()[0])
    assert np.abs(exact).mean() < 0.6 * spacing


# --- networks rounded in training


@pytest.mark.parametrize("layers", [(), (10,)])
def test_rounded_networks_are_what_integers_make_of_them(layers: tuple[int, ...]) -> None:
    """With few bits: nearer to the integers than floats are, by far."""
    features = maps(20)
    found = bottleneck_of(features, 0.3, analysis=layers, synthesis=layers)
    frozen = freeze_codec(found, features.numpy(), weight_bits=5, value_bits=9)
    latents, hyper = (torch.from_numpy(one)[None] for one in frozen.analysis(features[0].numpy()))
    with torch.no_grad():
        means, _ = found.distributions(hyper.float())
        rounded = means + (latents - means).round()
        floats = found.restore(rounded)
        found.widths = Widths(5, 9)
        near = found.restore(rounded)
    target = io.BytesIO()
    frozen.write(target, features[:1].numpy())
    with refcodec.open(target.getvalue()) as reader:
        integers = torch.from_numpy(reader[0])[None]
    assert snr(near, integers) > snr(floats, integers) + 6


def test_gradients_pass_the_rounding() -> None:
    features = maps(8)
    found = bottleneck_of(features, analysis=(8,), synthesis=(8,))
    found.widths = Widths(6, 8)
    generator = torch.Generator().manual_seed(0)
    values, bits = found(features, lambda shape: torch.rand(shape, generator=generator) - 0.5)
    (bits.mean() + ((values - features) ** 2).sum()).backward()
    assert [
        name for name, one in found.named_parameters() if one.grad is None or not one.grad.any()
    ] == []


# --- plans

PLAN = """
title = "Squares"

[network]
model = "tiny_network:classify"
layer = "pool1"
train = "none"

[data]
train = "train.npz"
test = "test.npz"

[bottleneck]
lambda = 1e-5
step = 0.5
stride = 1
analysis = [8, 4]
synthesis = [8]
hyper = [8, 4]
feature_weight = 0.1

[training]
loss = "output-error"
steps = 20
batch = 8
rate = 0.002
device = "cpu"
"""


def plan_of(folder: Path, *changes: str) -> Plan:
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        np.savez(
            folder / f"{name}.npz",
            inputs=rng.standard_normal((24, 3, 16, 16)).astype(np.float32),
            targets=rng.integers(0, 3, 24),
        )
    path = folder / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    return read(path, changes=changes)


def test_a_plan_trains_a_codec_and_leaves_the_network(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    session, (chosen,) = Session(plan, tmp_path / "out"), plan.runs()
    result = session.train(chosen, lambda *_: None)
    folder = session.folder(chosen)
    names = {path.name for path in folder.iterdir()}
    assert {"model.dfcm", "analysis.safetensors", "features.dfc"} <= names
    assert "joint.dfc" not in names
    with refcodec.open(folder / "features.dfc") as reader:
        decoded = np.stack(list(reader))
    assert result["bytes"] * 24 == (folder / "features.dfc").stat().st_size
    assert result["model_bytes"] <= (folder / "model.dfcm").stat().st_size
    from refcodec.models import load

    cut = Cut(load("tiny_network:classify", seed=0).module, "pool1", (3, 16, 16))
    inputs, _ = session.test.batch(np.arange(24), None)
    with torch.no_grad():
        features = cut.head(inputs).numpy()
        outputs, wanted = (cut.tail(torch.from_numpy(one)).numpy() for one in (decoded, features))
    assert result["feature_snr"] == pytest.approx(signal_to_noise(decoded, features), abs=0.01)
    assert result["output_snr"] == pytest.approx(signal_to_noise(outputs, wanted), abs=0.05)
    assert result["floats"]["output_snr"] == pytest.approx(result["output_snr"], abs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("bottleneck.analysis=[]", "a synthesis, and that needs an analysis"),
        ("bottleneck.feature_weight=-1", "0 or more"),
        ("bottleneck.hyper=[]", "'stride' of .* is that of a hyperprior"),
        ("bottleneck.weight_bits=1", "'weight_bits' of .* is 1; it is 2 to 16"),
        ("training.quantise_from=20", "is 20; it is a step of the training"),
        ("training.quantise_from=-1", "0 or more"),
    ],
)
def test_what_a_plan_cannot_say(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        plan_of(tmp_path, change)


def test_networks_are_rounded_in_the_last_part_of_a_training(tmp_path: Path) -> None:
    """What integers lose is less at its end; an interrupted training ends with the same weights."""
    narrow = "bottleneck.weight_bits=4", "bottleneck.value_bits=6", "training.checkpoint_every=10"
    plan = plan_of(tmp_path, *narrow, "training.steps=60", "training.quantise_from=30")
    session, (chosen,) = Session(plan, tmp_path / "out"), plan.runs()
    result = session.train(chosen, lambda *_: None)
    before = result["before_rounding"]

    def lost(found: Any) -> float:
        return float(found["floats"]["output_snr"] - found["output_snr"])

    assert lost(before) > 1
    assert lost(result) < lost(before)
    kept = json.loads((session.folder(chosen) / "before.json").read_text())
    assert kept == before

    def stop(_: Any, row: Any, __: float) -> None:
        if row.step > 30:
            raise KeyboardInterrupt

    parts = Session(plan, tmp_path / "parts")
    often = dataclasses.replace(plan.training, log_every=40)
    parts.plan = dataclasses.replace(plan, training=often)
    with pytest.raises(KeyboardInterrupt):
        parts.train(parts.plan.runs()[0], stop)
    again = parts.train(parts.plan.runs()[0], lambda *_: None)
    assert again == result


def test_a_digest_outlives_new_keys(tmp_path: Path) -> None:
    """Keys that plans did not have change the digest where they say something new."""
    plain = plan_of(tmp_path).runs()[0].digest()
    assert plan_of(tmp_path, "bottleneck.weight_bits=12").runs()[0].digest() == plain
    for change in ("bottleneck.weight_bits=8", "training.quantise_from=10"):
        assert plan_of(tmp_path, change).runs()[0].digest() != plain


def test_narrow_integers_are_those_of_a_hyperprior(tmp_path: Path) -> None:
    for change in ("bottleneck.weight_bits=8", "training.quantise_from=10"):
        with pytest.raises(CallerError, match=r"of a hyperprior|of the training of a"):
            plan_of(tmp_path, "bottleneck.hyper=[]", "bottleneck.stride=2", change)
