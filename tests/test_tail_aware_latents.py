"""Tail-aware encoding of latents: floats and integers agree, what the search saves, suited models."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT, run
from numpy.testing import assert_allclose
from small_tail import NETWORK, SHAPE, Ends, features, outputs

import refcodec
from refcodec.allocate.descent import TailAware
from refcodec.allocate.latents import _FloatNetwork, _HyperBits, family_bits, refine_latents
from refcodec.allocate.methods import Allocation, write_features
from refcodec.allocate.suited import Suited, suit
from refcodec.allocate.targets import Goal, meet
from refcodec.errors import CallerError
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.integers import FrozenCodec, freeze_codec
from refcodec.metrics import signal_to_noise
from refcodec.networks.convert import FloatLayer, convert, scale_inputs
from refcodec.networks.network import IntegerNetwork
from refcodec.probability.model import EntropyModel
from refcodec.syntax.codes import Activation
from refcodec.tables import scale_deviations

SETTINGS = TailAware(strength=1, iterations=15)


@cache
def codec() -> FrozenCodec:
    """A codec as training starts with it, in integers."""
    maps = torch.from_numpy(features(24))
    found = HyperpriorBottleneck(SHAPE, latents=32, hyper=(8, 6))
    found.calibrate(maps, 0.7)
    return freeze_codec(found, maps.numpy())


def config_of(found: Any, **choices: Any) -> refcodec.EncoderConfig:
    own = {"model": found.model, "analysis": found.analysis, "workers": 1}
    return refcodec.EncoderConfig(coder="learned", **{**own, **choices})


@cache
def suited() -> Suited:
    return suit(features(24), [Ends().tail], config_of(codec()), SETTINGS, rounds=2, factor=1.5)


def coded(found: Any, method: str, count: int = 20, **parameters: Any) -> tuple[int, float]:
    """Size of the stream without its model, and SNR of the output."""
    target = io.BytesIO()
    config = config_of(found, model_apart=True, joint=True)
    write_features(target, features(count), config, Allocation(method, parameters), Ends())
    with refcodec.open(target.getvalue(), models=found.model) as reader:
        return target.tell(), signal_to_noise(outputs(reader), outputs(features(count)))


# --- floats in place of integers -------------------------------------------------------------------


def network(kernel: int, stride: int, padding: int, activation: Activation) -> IntegerNetwork:
    """Two random layers, the second a convolution."""
    rng = np.random.default_rng(0)
    layers = [
        FloatLayer(
            rng.normal(size=(kernel, kernel, 3, 5)),
            rng.normal(size=5),
            stride,
            padding,
            activation,
        ),
        FloatLayer(rng.normal(size=(3, 3, 5, 4)), rng.normal(size=4), 1, 1),
    ]
    inputs = [rng.integers(-60, 60, (3, 4, 6)) for _ in range(4)]
    return convert(
        layers, inputs, input_bits=8, weight_bits=12, value_bits=15, output_bits=15
    ).network


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 1, 1), (4, 2, 1), (6, 4, 1), (2, 4, 0), (1, 3, 0), (8, 1, 5)],
)
def test_networks_of_floats_are_those_of_integers(
    kernel: int, stride: int, padding: int, activation: Activation
) -> None:
    """They differ by what rounding the values between the layers makes of the outputs."""
    one = network(kernel, stride, padding, activation)
    values = np.random.default_rng(1).integers(-60, 60, (3, 5, 4)).astype(np.int32)
    wanted = one.apply(values)
    found = _FloatNetwork(one)(torch.from_numpy(values[None].astype(np.float32)))[0].numpy()
    assert found.shape == wanted.shape
    last = one.numbers[-1]
    spread = np.abs(last.weights).sum(axis=(0, 1, 2)) * last.multipliers
    bound = np.ldexp(spread.max(), -(one.coded.layers[-1].shift_minus1 + 2)) + 1
    assert np.abs(found - wanted).max() < bound
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.0, 3.0])
def test_a_network_for_inputs_in_another_unit(factor: float) -> None:
    one = network(4, 2, 1, Activation.LEAKY_RELU)
    other = _FloatNetwork(scale_inputs(one, factor))
    values = torch.from_numpy(np.random.default_rng(1).normal(0, 20, (1, 3, 4, 4))).float()
    wanted = _FloatNetwork(one)(values)
    assert_allclose(other(values / factor).numpy(), wanted.numpy(), atol=2e-3 * wanted.abs().max())


def test_a_network_for_inputs_in_no_unit() -> None:
    with pytest.raises(CallerError, match="cannot be scaled"):
        scale_inputs(network(4, 2, 1, Activation.RELU), 1e30)


@pytest.mark.parametrize("scale", [0, 1, 7, 20, 40, 63])
def test_bits_of_the_family_are_those_of_its_tables(scale: int) -> None:
    model = EntropyModel.from_scales([scale_deviations()[scale]])
    for offset in (0, 1, 2, 5, 17, 64):
        both = [model.code_length(np.array([[sign * offset]])) for sign in (1, -1)]
        assert family_bits()[scale, offset].item() == pytest.approx(np.mean(both), rel=1e-5)


def test_bits_of_hyper_latents_are_those_of_their_tables() -> None:
    counts = np.array([[1, 6, 20, 5], [3, 9, 0, 0]])
    model = EntropyModel.from_counts(counts, [-2, 4])
    bits = _HyperBits(model)
    exact = torch.tensor([[-1.4, 4.6], [-9.0, 9.0]]).reshape(2, 2, 1, 1)
    whole = bits.nearest(exact)
    assert whole.flatten().tolist() == [-1, 5, -2, 7]
    wanted = model.code_length(whole.numpy().astype(int))
    assert bits.bits(exact, whole).item() == pytest.approx(wanted, rel=1e-5)


# --- the search ------------------------------------------------------------------------------------


def test_refined_latents_take_a_fraction_of_the_bits() -> None:
    plain, _ = coded(codec(), "none")
    size, snr = coded(codec(), "tail-aware", strength=1, iterations=15)
    assert snr > 30
    assert size < 0.75 * plain


def test_a_suited_model_takes_a_fraction_of_those() -> None:
    size, _ = coded(codec(), "tail-aware", strength=1, iterations=15)
    better, snr = coded(suited(), "tail-aware", strength=1, iterations=15)
    assert snr > 25
    assert better < 0.7 * size


def test_strength_trades_bits_for_quality() -> None:
    fine, coarse = (coded(suited(), "tail-aware", strength=one, iterations=15) for one in (0.1, 30))
    assert fine[0] > coarse[0]
    assert fine[1] > coarse[1] + 3


def test_features_are_kept_for_other_tails() -> None:
    def error(mu: float) -> float:
        target = io.BytesIO()
        allocation = Allocation("tail-aware", {"strength": 1, "iterations": 15, "mu": mu})
        write_features(target, features(), config_of(suited()), allocation, Ends())
        with refcodec.open(target.getvalue()) as reader:
            return signal_to_noise(np.stack(list(reader)), features())

    assert error(30) > error(0) + 1


def test_streams_are_ordinary_and_the_search_repeats() -> None:
    streams = []
    for _ in range(2):
        target = io.BytesIO()
        allocation = Allocation("tail-aware", {"strength": 3, "iterations": 10})
        write_features(target, features(), config_of(suited()), allocation, Ends())
        streams.append(target.getvalue())
    assert streams[0] == streams[1]
    assert refcodec.validate(streams[0]).conforming
    with refcodec.open(streams[0], output="latents") as reader:
        latents: list[Any] = list(reader)
    decoded = [one.values for one in latents]
    settings = TailAware(strength=3, iterations=10)
    found = refine_latents(features(), [Ends().tail], config_of(suited()), settings)
    for one, pair in zip(decoded, found, strict=True):
        assert np.array_equal(one, pair.latents)
        assert (pair.hyper == 1).all()


def test_targets_find_the_strength_of_latents() -> None:
    config = config_of(suited(), model_apart=True)
    stream, strength = meet(
        Goal(snr=20), features(), config, Allocation("tail-aware", {"iterations": 8}), Ends()
    )
    with refcodec.open(stream, models=suited().model) as reader:
        assert signal_to_noise(outputs(reader), outputs(features())) >= 20
    assert strength > 0.125


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"qp": 40}, "qp has no effect on latents"), ({"block": 16}, "block has no effect")],
)
def test_parameters_without_effect(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CallerError, match=message):
        coded(codec(), "tail-aware", **parameters)


def test_models_without_a_synthesis_are_refused() -> None:
    model = EntropyModel.fit(np.rint(features()).astype(int))
    config = refcodec.EncoderConfig(coder="learned", model=model)
    for action in (
        lambda: write_features(io.BytesIO(), features(), config, Allocation("tail-aware"), Ends()),
        lambda: suit(features(), [], config_of(codec()).but(model=model, analysis=None), SETTINGS),
    ):
        with pytest.raises(CallerError, match=r"synthesis|together with its analysis"):
            action()


# --- suited models ---------------------------------------------------------------------------------


def test_a_suited_model_is_smaller_and_costs_no_hyper_latents() -> None:
    found = suited().model
    assert found.size < codec().model.size
    assert found.hyper_model.code_length(np.ones((1, 1, 2, 2), int)) == 0
    assert found.fraction == codec().model.fraction


def test_a_coarser_step_is_found_where_the_output_needs_less() -> None:
    maps = features(6)
    found = [
        suit(
            maps,
            [Ends().tail],
            config_of(codec()),
            TailAware(strength=one, iterations=10),
            rounds=1,
        )
        for one in (0.1, 100)
    ]
    fine, coarse = (np.linalg.norm(one.analysis.analysis[-1].weight) for one in found)
    assert fine > 1.4 * coarse  # latents are divided by the step


# --- the command line ------------------------------------------------------------------------------


def test_commands_suit_a_model_and_encode_with_it(tmp_path: Path) -> None:
    codec().save(tmp_path)
    np.save(tmp_path / "f.npy", features(8))
    files: list[Any] = [
        "--model-file",
        tmp_path / "model.dfcm",
        "--analysis",
        tmp_path / "analysis.safetensors",
    ]
    options = ["--parameter", "strength=3", "--parameter", "iterations=5"]
    arguments = ("model", "suit", tmp_path / "f.npy", tmp_path / "s", *NETWORK, *options)
    run(*arguments, *files, "--count", 4)
    assert "is replaced; --force" in run(*arguments, *files, "--count", 2).stderr
    wrong = run(*arguments, *files, "--parameter", "qp=3", "--force", status=CALL_AT_FAULT)
    assert "no effect on latents" in wrong.stderr
    files = [one if str(one).startswith("--") else tmp_path / "s" / one.name for one in files]
    run("model", "verify", files[1])
    out = tmp_path / "f.dfc"
    run("encode", tmp_path / "f.npy", out, "--coder", "learned", *files, *NETWORK, *options)
    assert refcodec.validate(out).conforming
    with refcodec.open(out) as reader:
        assert signal_to_noise(outputs(reader), outputs(features(8))) > 5
