"""Tail-aware encoding, methods of allocation by name, and targets: a small random network is the tail."""

from __future__ import annotations

import io
import logging
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from small_tail import NETWORK, SHAPE, Ends, features, outputs
from typer.testing import CliRunner

import refcodec
from refcodec.allocate import methods, sensitivity
from refcodec.allocate.descent import TailAware, _feature_loss
from refcodec.allocate.methods import METHODS, Allocation, method_of, write_features
from refcodec.allocate.rate import RateModel
from refcodec.allocate.sensitivity import measure
from refcodec.allocate.statistics import choose_statistics
from refcodec.allocate.tail_aware import choose_levels, precondition
from refcodec.allocate.targets import Goal, meet, trials
from refcodec.arrays import described, with_entries
from refcodec.cli import app
from refcodec.coders.native.channels import cuts
from refcodec.errors import CallerError
from refcodec.metrics import fidelity, signal_to_noise
from refcodec.models import trained

LEVELS = refcodec.EncoderConfig(workers=1)


def batch_of(maps: Any) -> dict[str, str]:
    """What the command line notes of a file that holds these features as one array."""
    return with_entries({}, [described(maps.shape)])


def coded(method: str, config: Any = LEVELS, **parameters: Any) -> tuple[int, float]:
    """Size of the stream, and SNR of the output."""
    target = io.BytesIO()
    write_features(target, features(), config, Allocation(method, parameters), Ends())
    assert refcodec.validate(target.getvalue()).conforming
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        return target.tell(), signal_to_noise(outputs(reader), outputs(features()))


# --- the rate model --------------------------------------------------------------------------------


def rate(levels: Any, ys: Any = (0, 4, 8), xs: Any = (0, 4, 8)) -> float:
    model = RateModel(np.array(ys), np.array(xs))
    return float(model.bits(levels, levels.clone()).sum())


def test_rate_by_hand() -> None:
    """One level 1 among zeros: its mean is half of 0 around it and half of 1/4 at its frequency."""
    levels = torch.zeros(1, 1, 8, 8)
    levels[0, 0, 1, 1] = 1.0
    least, own = 0.004, 0.5 / 4
    near = [0.5 * weight / 16 for weight in (2, 2, 2, 2, 1, 1, 1, 1, 1, 1)]
    alone = np.log2(1 + own) + np.log2((1 + own) / own) + 1  # "not 0", "not more", the sign
    elsewhere = 3 * np.log2(1 + own) + sum(np.log2(1 + one) for one in near)
    zeros = (64 - 4 - len(near)) * np.log2(1 + least)
    assert rate(levels) == pytest.approx(alone + elsewhere + zeros, rel=1e-5)


def test_blocks_do_not_see_each_other() -> None:
    """Levels at the ends of two blocks cost the same whichever way round the blocks stand."""
    levels = torch.zeros(1, 1, 4, 8)
    levels[0, 0, 0, 3], levels[0, 0, 0, 4] = 3.0, 5.0
    swapped = torch.cat([levels[..., 4:], levels[..., :4]], dim=-1)
    assert rate(levels, (0, 4)) == pytest.approx(rate(swapped, (0, 4)), rel=1e-6)


def test_rate_draws_levels_to_zero() -> None:
    exact = torch.tensor([[[[0.3, -2.4], [0.0, 0.7]]]], requires_grad=True)
    levels = exact + (exact.round() - exact).detach()
    RateModel(np.array([0, 2]), np.array([0, 2])).bits(levels, exact).backward()
    assert torch.equal(exact.grad.sign(), exact.detach().sign())


@pytest.mark.parametrize("side", [5, 8, 13, 33])
def test_maps_of_any_side_have_a_rate(side: int) -> None:
    levels = torch.randint(-2, 3, (2, 3, side, side), generator=torch.Generator().manual_seed(0))
    boundaries = cuts(side, 16)
    assert 0 < rate(levels.float(), boundaries, boundaries) < 10 * levels.numel()


# --- tail-aware encoding ---------------------------------------------------------------------------


def test_the_tail_saves_most_of_the_rate() -> None:
    plain_size, plain_snr = coded("none", LEVELS.but(qp=40))
    size, snr = coded("tail-aware", strength=0.05, qp=36)
    assert size < plain_size / 2
    assert snr > plain_snr


def test_more_strength_costs_less_and_loses_more() -> None:
    (fine, near), (coarse, far) = (
        coded("tail-aware", strength=strength, qp=40) for strength in (0.2, 50)
    )
    assert coarse < fine
    assert far < near


def test_more_strength_never_costs_more() -> None:
    """Not even so much that the descent finds nothing; then nothing is coded."""
    sizes = [coded("tail-aware", strength=one)[0] for one in (1, 10, 100, 1000, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    (zeros,) = {
        (choice.levels == 0).all()
        for choice in choose_levels(
            features(), [Ends().tail], LEVELS, TailAware(strength=1e9, qp=40, iterations=3)
        )[1]
    }
    assert zeros


@drawn(max_examples=4, deadline=None, derandomize=True)
@given(strength=st.floats(0.1, 1000), times=st.floats(4, 100))
def test_any_strength_costs_no_more_than_a_fourth_of_it(strength: float, times: float) -> None:
    more, less = (
        coded("tail-aware", strength=one, qp=40, iterations=20)[0]
        for one in (strength * times, strength)
    )
    assert more <= less


def test_the_least_loss_of_a_descent_is_kept() -> None:
    """More steps of a stride far too long do not undo what the first ones have found."""
    found = []
    for iterations in (1, 2, 8):
        settings = TailAware(strength=0.01, qp=40, iterations=iterations, stride=1e-9)
        found.append(list(choose_levels(features(), [Ends().tail], LEVELS, settings)[1]))
    wild = TailAware(strength=0.01, qp=40, iterations=8, stride=1e3)
    found.append(list(choose_levels(features(), [Ends().tail], LEVELS, wild)[1]))
    for choices in found[1:]:  # the first levels, those of a plain quantiser, are the best of all
        for choice, first in zip(choices, found[0], strict=True):
            assert np.array_equal(choice.levels, first.levels)


@pytest.mark.parametrize(("mu", "rounding"), [(0, 1e-4), (20, 2e-3)])
def test_levels_are_those_that_are_coded(mu: float, rounding: float) -> None:
    """The descent sees the features that a decoder reconstructs, but for rounding."""
    settings = TailAware(qp=36, iterations=10, mu=mu)
    config, choices = choose_levels(features(), [Ends().tail], LEVELS, settings)
    target = io.BytesIO()
    with refcodec.create(target, config) as writer:
        for feature, choice in zip(features(), choices, strict=True):
            writer.write(feature, choice=choice)
    expected = precondition(features(), [Ends().tail], LEVELS, settings)
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        span = features().max() - features().min()
        for found, wanted in zip(reader, expected, strict=True):
            assert np.abs(found - wanted).max() < rounding * span


def test_encoding_twice_gives_the_same_bytes() -> None:
    streams = []
    for _ in range(2):
        target = io.BytesIO()
        allocation = Allocation("tail-aware", {"iterations": 5, "qp": 40})
        write_features(target, features(), LEVELS, allocation, Ends())
        streams.append(target.getvalue())
    assert streams[0] == streams[1]


def test_several_tails_are_served() -> None:
    """A second tail that looks elsewhere keeps what it looks at."""

    def corner(maps: Any) -> Any:
        return maps[:, :, :3, :3].flatten(1)

    def error(tails: Any) -> float:
        settings = TailAware(strength=2, qp=40)
        found = torch.from_numpy(np.stack(list(precondition(features(), tails, LEVELS, settings))))
        wanted = torch.from_numpy(features())
        return float(((corner(found) - corner(wanted)) ** 2).mean())

    assert error([Ends().tail, corner]) < 0.5 * error([Ends().tail])


def test_mu_keeps_the_feature() -> None:
    def error(mu: float) -> float:
        settings = TailAware(strength=1, qp=36, mu=mu)
        found = np.stack(list(precondition(features(), [Ends().tail], LEVELS, settings)))
        return float(((found - features()) ** 2).mean())

    assert error(100) < 0.5 * error(0)


def test_much_mu_keeps_the_feature_as_plain_coding_does() -> None:
    """At equal size; so tails that are not given have about what plain coding leaves them."""

    def feature_snr(method: str, config: Any, **parameters: Any) -> tuple[int, float]:
        target = io.BytesIO()
        write_features(target, features(), config, Allocation(method, parameters), Ends())
        with refcodec.open(target.getvalue()) as reader:
            return target.tell(), signal_to_noise(np.stack(list(reader)), features())

    plain_size, plain_snr = feature_snr("none", LEVELS.but(qp=40))
    size, snr = feature_snr("tail-aware", LEVELS, mu=100, strength=7, qp=40)
    assert size < 1.02 * plain_size
    assert snr > plain_snr - 0.5


def test_mu_keeps_means_at_any_rate() -> None:
    """Also if almost nothing else is left of the feature."""

    def error(mu: float) -> float:
        target = io.BytesIO()
        allocation = Allocation("tail-aware", {"strength": 500, "qp": 44, "mu": mu})
        write_features(target, features(), LEVELS, allocation, Ends())
        with refcodec.open(io.BytesIO(target.getvalue())) as reader:
            means = np.stack(list(reader)).mean(axis=(2, 3))
        return float(np.abs(means - features().mean(axis=(2, 3))).max())

    assert error(0.1) < 0.05 * error(0)


def test_feature_loss_by_hand() -> None:
    """A shift counts once, a shrunk channel thrice, noise of the same spread in between."""
    wanted = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    wanted = wanted - wanted.mean(dim=(2, 3), keepdim=True)
    wanted = 2 * wanted / wanted.std(dim=(2, 3), unbiased=False, keepdim=True)
    expected = {0.0: wanted, 0.25: wanted + 1, 0.75: wanted / 2, 3.0: 0 * wanted, 4.0: -wanted}
    for loss, found in expected.items():
        assert float(_feature_loss(found, wanted).mean()) == pytest.approx(loss, abs=0.01)


def test_feature_loss_has_a_gradient_where_nothing_is_left() -> None:
    found = torch.zeros(1, 2, 4, 4, requires_grad=True)
    _feature_loss(found, torch.rand(1, 2, 4, 4)).backward()
    assert torch.isfinite(found.grad).all()


def test_hevc_takes_preconditioned_features() -> None:
    config = refcodec.EncoderConfig(coder="hevc", qp=24, workers=1)
    plain_size, _ = coded("none", config)
    size, snr = coded("tail-aware", config, strength=2)
    assert size < 0.7 * plain_size
    assert snr > 10


@pytest.mark.parametrize("wrong", [{"coder": "native", "gop": 2}, {"quantiser": "log"}])
def test_what_has_no_levels_to_choose_is_refused(wrong: Any) -> None:
    with pytest.raises(CallerError):
        coded("tail-aware", refcodec.EncoderConfig(**wrong))


@pytest.mark.parametrize(
    ("method", "coder"),
    [("tail-aware", "hevc"), ("gradient", "native"), ("algorithm1", "native")],
)
def test_vectors_are_refused(method: str, coder: str) -> None:
    vectors = np.ones((2, 4), np.float32)
    with pytest.raises(CallerError, match=r"maps|vectors"):
        write_features(io.BytesIO(), vectors, LEVELS.but(coder=coder), Allocation(method), Ends())


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_features_of_a_single_value(value: float) -> None:
    """Their range is empty, and yet there is a step."""
    maps = np.full((2, *SHAPE), value, np.float32)
    target = io.BytesIO()
    allocation = Allocation("tail-aware", {"iterations": 4, "qp": 36})
    write_features(target, maps, LEVELS, allocation, Ends())
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        assert np.abs(np.stack(list(reader)) - value).max() < 0.05


def test_chosen_levels_are_for_native() -> None:
    settings = TailAware(qp=36, iterations=1)
    _, choices = choose_levels(features(1), [Ends().tail], LEVELS, settings)
    with (
        refcodec.create(io.BytesIO(), coder="zlib") as writer,
        pytest.raises(CallerError, match="chosen levels are for the coder native; this is zlib"),
    ):
        writer.write(features(1)[0], choice=next(choices))


@pytest.mark.parametrize(
    "wrong",
    [{"strength": -1}, {"iterations": 0}, {"block": 4}, {"mu": -1}, {"stride": 0}, {"qp": 64}],
)
def test_settings_out_of_range_are_refused(wrong: Any) -> None:
    (name,) = wrong
    with pytest.raises(CallerError, match=f"{name} is {wrong[name]}; it"):
        TailAware(**wrong)


# --- methods by name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "coder"),
    [
        *product(["none", "algorithm1", "gradient", "tail-aware"], ["native", "hevc"]),
        ("selection", "hevc"),
    ],
)
def test_every_method_writes_conforming_streams(method: str, coder: str) -> None:
    parameters = {"iterations": 4, "qp": 40} if method == "tail-aware" else {}
    size, snr = coded(method, refcodec.EncoderConfig(coder=coder, qp=30, workers=1), **parameters)
    assert size < features().nbytes / 2
    assert snr > 0


@pytest.mark.parametrize(
    ("method", "coder"),
    [*product(["none", "gradient", "tail-aware"], ["native", "hevc"]), ("algorithm1", "native")],
)
def test_streams_have_the_type_of_the_features(method: str, coder: str) -> None:
    """Whatever precision a method works with."""
    narrow = features().astype(np.float16)
    config = refcodec.EncoderConfig(coder=coder, qp=30, workers=1)
    parameters = {"iterations": 2, "qp": 40} if method == "tail-aware" else {}
    target = io.BytesIO()
    write_features(target, narrow, config, Allocation(method, parameters), Ends())
    with refcodec.open(io.BytesIO(target.getvalue())) as reader:
        assert {one.dtype for one in reader} == {np.dtype(np.float16)}


def test_algorithm1_works_on_some_features_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with their number, and nothing else changes."""
    measured: list[int] = []

    def noted(maps: Any, *rest: Any) -> Any:
        measured.append(len(maps))
        return measure(maps, *rest)

    monkeypatch.setattr(methods, "measure", noted)
    whole = coded("algorithm1", LEVELS.but(qp=34))
    monkeypatch.setattr(methods, "_AT_ONCE", 4 * features()[0].size)
    assert coded("algorithm1", LEVELS.but(qp=34)) == whole
    assert measured == [6, 4, 2]


class Pooled:
    """A tail that takes the mean of each map."""

    def representation(self, features: Any) -> Any:
        return features.mean(dim=(2, 3))

    tail = representation


def test_gradients_know_frequencies() -> None:
    """In front of pooling only the means of maps count, and the native coder keeps little else."""
    sizes, errors = [], []
    for method in ("none", "gradient"):
        target = io.BytesIO()
        write_features(target, features(), LEVELS.but(qp=28), Allocation(method), Pooled())
        sizes.append(target.tell())
        with refcodec.open(io.BytesIO(target.getvalue())) as reader:
            means = np.stack(list(reader)).mean(axis=(2, 3))
        errors.append(np.abs(means - features().mean(axis=(2, 3))).max())
    assert sizes[1] < 0.5 * sizes[0]
    assert errors[1] < 0.01 * features().mean()


def test_unknown_methods_and_parameters_are_named() -> None:
    with pytest.raises(CallerError, match="it is one of none, measured"):
        method_of(Allocation("magic"))
    with pytest.raises(CallerError, match="did you mean strength"):
        method_of(Allocation("tail-aware", {"strenght": 1}))
    with pytest.raises(CallerError, match="there are: calibration, probes"):
        method_of(Allocation("gradient", {"zeal": 1}))
    with pytest.raises(CallerError, match="name the network"):
        write_features(io.BytesIO(), features(), LEVELS, Allocation("gradient"))
    assert set(METHODS) == {"none", "measured", "algorithm1", "gradient", "selection", "tail-aware"}


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("tail-aware", {"strength": "abc"}, "strength is 'abc'; it is a number"),
        ("tail-aware", {"strength": float("nan")}, "strength is nan; it is a number"),
        ("tail-aware", {"iterations": 2.5}, "iterations is 2.5; it is an integer"),
        ("tail-aware", {"qp": 40.5}, "qp is 40.5; it is an integer"),
        ("algorithm1", {"qp_range": -3}, "qp_range is -3; it is 0 or more"),
        ("algorithm1", {"qp_range": True}, "qp_range is True; it is an integer"),
        ("gradient", {"calibration": 0}, "calibration is 0; it is 1 or more"),
        ("gradient", {"probes": 0}, "probes is 0; it is 1 or more"),
        ("selection", {"probes": 0}, "probes is 0; it is 1 or more"),
        ("measured", {"sensitivity": 5}, "sensitivity is 5; it is a text"),
        ("measured", {}, "measured needs the parameter sensitivity"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(method: str, wrong: Any, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        method_of(Allocation(method, wrong))


def test_parameters_that_fit_are_taken() -> None:
    whole = {"strength": 5, "qp": None, "iterations": 3, "stride": 0.1, "mu": 1.5, "block": 8}
    method = method_of(Allocation("tail-aware", whole))
    assert {name: getattr(method, name) for name in whole} == whole


# --- targets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["none", "tail-aware"])
def test_a_target_of_the_output_is_met_by_the_coarsest(method: str) -> None:
    allocation = Allocation(method, {"iterations": 12, "qp": 40} if method == "tail-aware" else {})
    made: list[int] = []
    stream, value = meet(Goal(snr=45), features(), LEVELS, allocation, Ends(), made.append)
    assert made == list(range(1, len(made) + 1))
    assert len(made) <= trials(LEVELS, allocation)
    with refcodec.open(io.BytesIO(stream)) as reader:
        assert signal_to_noise(outputs(reader), outputs(features())) > 45
    if method == "none":  # one QP more and it is missed
        assert coded("none", LEVELS.but(qp=int(value) + 1))[1] < 45


def test_a_target_of_size_is_met_by_the_finest() -> None:
    stream, value = meet(Goal(size=60), features(), LEVELS, Allocation(), Ends())
    assert len(stream) <= 60 * len(features())
    assert coded("none", LEVELS.but(qp=int(value) - 1))[0] > 60 * len(features())


def test_fidelity_is_kept() -> None:
    stream, _ = meet(Goal(fidelity=1.0), features(), LEVELS, Allocation(), Ends())
    with refcodec.open(io.BytesIO(stream)) as reader:
        assert fidelity(outputs(reader), outputs(features())) == 1


def test_what_is_out_of_reach_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "refcodec"):
        meet(Goal(snr=190), features(), LEVELS, Allocation(), Ends())
    assert "out of reach: the features have QP 0" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [{}, {"fidelity": 0}, {"fidelity": 1.1}, {"snr": 0}, {"size": 0}, {"size": 9, "snr": 9}],
)
def test_wrong_targets_are_refused(wrong: Any) -> None:
    with pytest.raises(CallerError):
        Goal(**wrong)


@pytest.mark.parametrize(
    "config", [{"coder": "zlib"}, {"coder": "hevc", "lossless": True}, {"target_snr": 30.0}]
)
def test_targets_move_a_qp(config: Any) -> None:
    with pytest.raises(CallerError, match="target"):
        meet(Goal(snr=20), features(), refcodec.EncoderConfig(**config), Allocation(), Ends())


def test_targets_find_the_strength() -> None:
    with pytest.raises(CallerError, match="finds the strength"):
        meet(Goal(snr=20), features(), LEVELS, Allocation("tail-aware", {"strength": 5}), Ends())


# --- the command line ------------------------------------------------------------------------------

RUN = CliRunner()


@pytest.fixture
def source(tmp_path: Path) -> str:
    np.save(tmp_path / "f.npy", features())
    return str(tmp_path / "f.npy")


def test_encode_for_a_network(source: str, tmp_path: Path) -> None:
    options = ["--parameter", "iterations=6", "--parameter", "qp=40"]
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *NETWORK, *options])
    assert result.exit_code == 0, result.output
    target = io.BytesIO()
    allocation = Allocation("tail-aware", {"iterations": 6, "qp": 40})
    config = refcodec.EncoderConfig(metadata=batch_of(features()))
    write_features(target, features(), config, allocation, Ends())
    assert (tmp_path / "f.dfc").read_bytes() == target.getvalue()


def test_encode_to_a_target(source: str, tmp_path: Path) -> None:
    options = ["--allocation", "none", "--target-snr", "20"]
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *NETWORK, *options])
    assert result.exit_code == 0, result.output
    with refcodec.open(tmp_path / "f.dfc") as reader:
        assert signal_to_noise(outputs(reader), outputs(features())) >= 20


def test_encode_for_a_network_onto_a_pipe(source: str) -> None:
    for options in (["--qp", "38"], ["--target-snr", "20"]):
        result = RUN.invoke(
            app, ["encode", source, "-", *NETWORK, "--allocation", "none", *options]
        )
        assert result.exit_code == 0, result.output
        assert refcodec.validate(result.stdout_bytes).conforming


def test_encode_with_sensitivities(source: str, tmp_path: Path) -> None:
    """QPs are those of the file around --qp, and no network is asked for."""
    measured, out = tmp_path / "s.json", str(tmp_path / "f.dfc")
    result = RUN.invoke(app, ["sensitivity", source, str(measured), *NETWORK])
    assert result.exit_code == 0, result.output
    result = RUN.invoke(app, ["encode", source, out, "--sensitivity", str(measured), "--qp", "38"])
    assert result.exit_code == 0, result.output
    qps = sensitivity.load(measured).qps(38)
    assert len(set(qps)) > 1
    target = io.BytesIO()
    with refcodec.create(target, metadata=batch_of(features())) as writer:
        for feature in features():
            writer.write(feature, qp=qps)
    assert Path(out).read_bytes() == target.getvalue()


def test_streams_say_what_kind_of_layer_it_was(source: str, tmp_path: Path) -> None:
    out = str(tmp_path / "f.dfc")
    network = [*NETWORK[:3], "first.2", *NETWORK[4:]]
    result = RUN.invoke(app, ["encode", source, out, *network, "--allocation", "none"])
    assert result.exit_code == 0, result.output
    with refcodec.open(out) as reader:
        assert [one.feature_type.name for one in reader.parameters] == ["POOL"]


@pytest.mark.parametrize("options", [[*NETWORK], ["--sensitivity", "s.json"]])
def test_torch_is_missed(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *options])
    assert result.exit_code == 2
    assert "need torch, which is missing (pip install 'refcodec[evaluate]')" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps.astype(np.float64), "--narrow"),
        (lambda maps: maps.astype(np.int32), "has type int32"),
        (lambda maps: maps * np.float32(np.nan), "has nan at index"),
    ],
)
def test_what_is_not_coded_is_refused_first(
    source: str, tmp_path: Path, change: Any, message: str
) -> None:
    np.save(source, change(features()))
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *NETWORK])
    assert result.exit_code == 2
    assert message in result.stderr


def test_encode_with_fitted_statistics(source: str, tmp_path: Path) -> None:
    options = ["--allocation", "none", "--qp", "34", "--fit-statistics"]
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *NETWORK, *options])
    assert result.exit_code == 0, result.output
    chosen, _ = choose_statistics(features(), Ends().tail, refcodec.EncoderConfig(qp=34))
    target = io.BytesIO()
    write_features(target, features(), chosen.but(metadata=batch_of(features())))
    assert (tmp_path / "f.dfc").read_bytes() == target.getvalue()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--allocation", "gradient"], "give --model and --layer"),
        (["--target-fidelity", "0.9"], "give --model and --layer"),
        (["--model", "small_tail:make"], "give both --model and --layer"),
        (["--model", "transform.dfcm"], "give it as --model-file"),
        ([*NETWORK[:-1], "32"], "Give --input-size"),
        ([*NETWORK, "--parameter", "strength"], "NAME=VALUE"),
        ([*NETWORK, "--qp-file", "q.json"], "exclude each other"),
        ([*NETWORK, "--fit-statistics"], "choose another --allocation"),
        ([*NETWORK, "--allocation", "measured"], "needs the parameter sensitivity"),
        (["--weights", "w.safetensors"], "give both --model and --layer"),
        (["--sensitivity", "s.json", "--input-size", "24"], "give both --model and --layer"),
        (["--sensitivity", "absent.json"], "absent.json"),
    ],
)
def test_wrong_calls_are_explained(
    source: str, tmp_path: Path, options: list[str], message: str
) -> None:
    result = RUN.invoke(app, ["encode", source, str(tmp_path / "f.dfc"), *options])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "f.dfc").exists()


# --- real features ---------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.skipif(trained.data_folder() is None, reason=trained.ABSENT)
def test_real_features_take_a_tenth_of_the_rate() -> None:
    """ResNet-20, layer2: at a higher SNR of the output, less than a tenth of the native coder's rate."""
    from refcodec.models import load

    cut = load("resnet20", trained.weights("resnet20")).cut("layer2")
    with torch.no_grad():
        maps = cut.head(torch.from_numpy(trained.cifar_images(20)[0])).numpy()
        wanted = cut.tail(torch.from_numpy(maps)).numpy()

    def code(method: str, config: Any = LEVELS, **parameters: Any) -> tuple[int, float]:
        target = io.BytesIO()
        write_features(target, maps, config, Allocation(method, parameters), cut)
        with refcodec.open(io.BytesIO(target.getvalue())) as reader, torch.no_grad():
            found = cut.tail(torch.from_numpy(np.stack(list(reader)))).numpy()
        return target.tell(), signal_to_noise(found, wanted)

    plain_size, plain_snr = code("none", LEVELS.but(qp=26))
    size, snr = code("tail-aware", strength=5, qp=44)
    assert snr > plain_snr
    assert size < 0.1 * plain_size


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(trained.data_folder() is None, reason=trained.ABSENT)
def test_more_strength_costs_less_where_the_tail_is_a_mean() -> None:
    """ResNet-56, layer3: searches that kept their last levels ended at more bytes with more strength."""
    from refcodec.models import load

    stages = trained.trained("resnet56")
    maps = stages.head(trained.cifar_images(20)[0], "layer3")
    cut = load("resnet56", trained.weights("resnet56")).cut("layer3")
    sizes = []
    for strength in (2.8, 11, 45, 120, 180, 400, 1000):
        target = io.BytesIO()
        write_features(target, maps, LEVELS, Allocation("tail-aware", {"strength": strength}), cut)
        sizes.append(target.tell())
    assert sizes == sorted(sizes, reverse=True)
