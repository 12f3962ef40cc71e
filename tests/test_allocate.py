"""Algorithm 1, gradients, the choice of QPs and of statistics: exact values, properties, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT, run
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as nn

import refcodec
from refcodec.allocate import gradients
from refcodec.allocate.alone import code_alone
from refcodec.allocate.selection import descend, select_qps
from refcodec.allocate.sensitivity import (
    Sensitivity,
    algorithm1_qps,
    by_algorithm1,
    by_gradient,
    load,
    measure,
    normalise,
    save,
)
from refcodec.allocate.statistics import choose_statistics
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError

HEVC = EncoderConfig(coder="hevc", packing="frame", restoration="off", qp=34, workers=1)
NATIVE = EncoderConfig(coder="native", qp=34, workers=1)


def chance() -> np.random.Generator:
    """The same numbers in every test, whatever ran before it."""
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def features() -> Any:
    """Three features of four channels of unlike strength, smooth enough to be worth coding."""
    noise = torch.from_numpy(chance().normal(size=(3, 4, 24, 20)).astype(np.float32))
    smooth = nn.avg_pool2d(noise, 5, stride=1, padding=2) * 4
    return (torch.relu(smooth) * torch.tensor([1.0, 0.2, 3.0, 1.5]).view(1, 4, 1, 1)).numpy()


def tail(x: torch.Tensor) -> torch.Tensor:
    """A small convolutional network with fixed weights: N x 4 x H x W to N x 5."""
    weights = torch.linspace(-1, 1, 6 * 4 * 9).sin().view(6, 4, 3, 3) * 3
    hidden = torch.tanh(nn.conv2d(x, weights, stride=2))
    return hidden.mean(dim=(2, 3)) @ torch.linspace(1, 4, 30).cos().view(6, 5)


# --- channels alone --------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [HEVC, NATIVE], ids=["hevc", "native"])
def test_channels_are_coded_as_if_there_were_no_others(
    config: EncoderConfig, features: Any
) -> None:
    found = code_alone(features, config)
    for n, c in ((0, 0), (0, 2), (2, 1)):
        ends = float(features[n].min()), float(features[n].max())
        alone = features[n, c : c + 1]
        back = refcodec.decode(refcodec.encode(alone, config.but(clip=ends)))
        assert np.array_equal(found.decoded[n, c], back[0])
    assert (found.bits > 0).all()


def test_the_bits_of_channels_are_those_of_the_stream(features: Any) -> None:
    size = sum(code_alone(features[:1], HEVC).bits[0])
    coarser = sum(code_alone(features[:1], HEVC.but(qp=44)).bits[0])
    streams = [len(refcodec.encode(features[0], HEVC.but(qp=qp))) for qp in (34, 44)]
    assert size - coarser == 8 * (streams[0] - streams[1])  # all but the slices is the same


def test_what_has_no_qps_of_channels_is_refused(features: Any) -> None:
    with pytest.raises(CallerError, match="the coder is zlib"):
        code_alone(features, EncoderConfig(coder="zlib"))
    with pytest.raises(CallerError, match="not float32 N x C x H x W"):
        by_gradient(features[0], tail, HEVC)


# --- Algorithm 1 -----------------------------------------------------------------------------------


def literal_algorithm1(x: Any, qp_base: int, qp_range: int) -> list[float]:
    """The lines of the paper up to the rounding of QPs; V is the whole codec, once for each channel."""

    def net(one: Any) -> Any:
        return tail(torch.from_numpy(one[None])).numpy().astype(np.float64)

    ends = float(x.min()), float(x.max())
    out_raw = net(x)
    s = []
    for i in range(len(x)):
        config = HEVC.but(qp=qp_base, clip=ends)
        noisy = refcodec.decode(refcodec.encode(x[i : i + 1], config))
        x_bar = x.copy()
        x_bar[i] = noisy[0]
        s.append(((net(x_bar) - out_raw) ** 2).mean())
    relative = [(one - min(s)) / (max(s) - min(s)) for one in s]
    return [qp_base - qp_range * one for one in relative]


@pytest.mark.parametrize("qp_base", [26, 40])
def test_algorithm1_is_that_of_the_paper(features: Any, qp_base: int) -> None:
    found = algorithm1_qps(measure(features, tail, HEVC.but(qp=qp_base)), qp_base)
    literal = np.array([literal_algorithm1(one, qp_base, 5) for one in features])
    # the nearest integers, but for a half that the rounding of the network's sums may move
    assert np.abs(found - literal).max() <= 0.5 + 1e-3
    assert (found.min(), found.max()) == (qp_base - 5, qp_base)
    assert len(np.unique(found)) > 2


def test_batches_do_not_matter(features: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measure(features, tail, HEVC)
    monkeypatch.setattr("refcodec.allocate.sensitivity._BATCH_ELEMENTS", 1)
    # outputs of another batch are rounded otherwise, and the errors are their small differences
    rounding = 1e-6 * float(tail(torch.from_numpy(features)).abs().max())
    assert np.sqrt(measure(features, tail, HEVC)) == pytest.approx(np.sqrt(whole), abs=rounding)
    assert rounding < 0.01 * np.sqrt(whole).min()


def test_halves_go_to_the_even_neighbour() -> None:
    # 5 * S~ = 0, 0.5, 1.5, 2.5, 5
    assert algorithm1_qps([0, 0.1, 0.3, 0.5, 1], 30).tolist() == [30, 30, 28, 28, 25]


def test_equal_sensitivities_keep_the_base() -> None:
    assert normalise([3.0, 3.0]).tolist() == [0, 0]
    assert algorithm1_qps([3.0, 3.0], 30).tolist() == [30, 30]


def test_qps_are_clipped_to_the_coder() -> None:
    assert algorithm1_qps([0, 1], 2).tolist() == [2, 0]
    assert algorithm1_qps([0, 1], 60, highest=63).tolist() == [60, 55]
    assert algorithm1_qps([0, 1], 60, highest=51).tolist() == [51, 51]


def test_infinite_outputs_are_refused(features: Any) -> None:
    with pytest.raises(CallerError, match="output is not finite"):
        measure(features, lambda x: x.sum(dim=(2, 3)) / 0, HEVC)


# --- gradients -------------------------------------------------------------------------------------


def jacobian(x: Any) -> Any:
    found = torch.autograd.functional.jacobian(tail, torch.from_numpy(x[None]))
    return found[0, :, 0].numpy()  # outputs x C x H x W


def test_gradients_of_few_outputs_are_the_jacobian(features: Any) -> None:
    found = gradients.output_gradients(features, tail, probes=8)
    assert found.shape == (3, 5, 4, 24, 20)
    for own, one in zip(found, features, strict=True):
        assert own == pytest.approx(jacobian(one), abs=1e-6)


def test_random_probes_estimate_it(features: Any) -> None:
    exact = np.mean(
        [(jacobian(one) ** 2).sum(axis=0).mean(axis=(1, 2)) for one in features], axis=0
    )
    whole = gradients.channel_weights(gradients.spectrum(features, tail, probes=5))
    assert whole == pytest.approx(exact, rel=1e-4)
    several = [
        gradients.channel_weights(gradients.spectrum(features, tail, 2, seed)) for seed in range(40)
    ]
    assert np.mean(several, axis=0) == pytest.approx(exact, rel=0.2)
    assert (np.std(several, axis=0) > 0).all()


def test_probes_depend_on_seed_and_number_alone(
    features: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gradients.spectrum(features, tail, 2, seed=9)
    assert np.array_equal(first, gradients.spectrum(features, tail, 2, seed=9))
    monkeypatch.setattr(gradients, "_BATCH_ELEMENTS", 1)
    again = gradients.spectrum(features, tail, 2, seed=9)
    assert again == pytest.approx(first, rel=1e-3, abs=1e-6 * float(first.max()))


def test_before_pooling_only_the_mean_counts(features: Any) -> None:
    found = gradients.spectrum(features, lambda x: x.mean(dim=(2, 3)), probes=4)
    assert found[:, 0, 0] == pytest.approx(np.full(4, 1 / (24 * 20)), rel=1e-3)
    found[:, 0, 0] = 0
    assert np.abs(found).max() < 1e-9


def test_a_tail_without_gradient_is_refused(features: Any) -> None:
    with pytest.raises(CallerError, match="no gradient"):
        gradients.output_gradients(features, lambda x: tail(x.detach()))
    with pytest.raises(CallerError, match="probes is 0"):
        gradients.output_gradients(features, tail, probes=0)


# --- water-filling ---------------------------------------------------------------------------------


def test_white_channels_follow_the_rule_of_high_rate() -> None:
    weights = np.array([1.0, 4.0, 16.0, 0.25])
    steps = 2.0 ** ((np.arange(52) - 40) / 6)
    shape = (4, 8, 8)
    errors, bits = gradients.channel_curves(
        np.broadcast_to(weights[:, None, None], shape), np.full(shape, 1e6), steps[None]
    )
    found = gradients.allocate(errors, bits, bits[:, 20].sum())
    assert np.abs(found - (20 - 3 * np.log2(weights) + 3)).max() <= 1


def test_a_coefficient_below_the_water_costs_nothing() -> None:
    weights, power = np.ones((1, 1, 2)), np.array([[[9.0, 1e-3]]])
    errors, bits = gradients.channel_curves(weights, power, np.array([[12**0.5]]))
    assert errors[0, 0] == pytest.approx(1 + 1e-3)
    assert bits[0, 0] == pytest.approx(np.log2(9) / 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.0, 1.0))
def test_allocation_obeys_karush_kuhn_and_tucker(seed: int, channels: int, share: float) -> None:
    chance = np.random.default_rng(seed)
    shape = (channels, 3, 4)
    steps = np.array(2.0 ** np.arange(-6, 6), np.float64)
    errors, bits = gradients.channel_curves(
        chance.lognormal(0, 2, shape), chance.lognormal(0, 3, shape), steps[None]
    )
    budget = bits[:, -1].sum() + share * (bits[:, 0].sum() - bits[:, -1].sum())
    chosen = gradients.allocate(errors, bits, budget)
    every = np.arange(channels)
    assert bits[every, chosen].sum() <= budget * (1 + 1e-9)
    # one multiplier for all: no channel may gain more a bit by a finer QP than another loses by a coarser
    finer, coarser = [0.0], [np.inf]
    for c, k in enumerate(chosen):
        saved, lost = bits[c, k] - bits[c], errors[c] - errors[c, k]
        coarser += list(lost[saved > 0] / saved[saved > 0])
        finer += list(lost[saved < 0] / saved[saved < 0])
    assert max(finer) <= min(coarser) * (1 + 1e-6)


# --- selection -------------------------------------------------------------------------------------


def test_descent_lowers_the_cost_to_where_no_single_change_helps() -> None:
    random = chance()
    effects = random.normal(size=(2, 3, 4, 5))
    bits = random.uniform(10, 20, (2, 4, 5))
    multiplier = np.array([0.05, 0.5])
    start = np.zeros((2, 4), np.int64)

    def cost(n: int, choice: Any) -> float:
        every = np.arange(4)
        total = effects[n][:, every, choice].sum(axis=1)
        return float((total**2).sum() + multiplier[n] * bits[n, every, choice].sum())

    found = descend(effects, bits, multiplier, start)
    for n in range(2):
        assert cost(n, found[n]) < cost(n, start[n])
        for c in range(4):
            for k in range(5):
                other = found[n].copy()
                other[c] = k
                assert cost(n, found[n]) <= cost(n, other) + 1e-12


def test_selected_qps_serve_the_output_at_no_more_bits(features: Any) -> None:
    def output(values: Any) -> Any:
        return tail(torch.from_numpy(values)).numpy().astype(np.float64)

    found = select_qps(features, tail, HEVC, offsets=(-4, -2, 0, 2, 4))
    codings = {qp: code_alone(features, HEVC.but(qp=int(qp))) for qp in np.unique(found)}
    unified = code_alone(features, HEVC)
    chosen, bits = np.empty_like(features), np.empty(found.shape)
    for (n, c), qp in np.ndenumerate(found):
        chosen[n, c], bits[n, c] = codings[qp].decoded[n, c], codings[qp].bits[n, c]
    assert (bits.sum(axis=1) <= unified.bits.sum(axis=1)).all()
    exact = output(features)
    before, after = (((output(x) - exact) ** 2).sum() for x in (unified.decoded, chosen))
    assert after < 0.7 * before


def test_selection_needs_the_base(features: Any) -> None:
    with pytest.raises(CallerError, match="QP_base"):
        select_qps(features, tail, HEVC, offsets=(-1, 1))


def test_selection_is_for_hevc(features: Any) -> None:
    with pytest.raises(CallerError, match="selected for hevc"):
        select_qps(features, tail, NATIVE)


# --- what is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [by_algorithm1, by_gradient])
def test_round_trip(tmp_path: Path, features: Any, make: Any) -> None:
    found = make(features, tail, HEVC)
    save(found, tmp_path / "s.json")
    assert load(tmp_path / "s.json") == found
    qps = found.qps(34)
    assert len(qps) == 4
    assert len(set(qps)) > 1
    if found.method == "algorithm1":
        assert (min(qps), max(qps)) == (29, 34)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [1, "2"]}, "values are numbers"),
        ({"values": [1.0, -2.0]}, "not negative"),
        ({"values": []}, "one per channel"),
        ({"method": "guess"}, "the method is 'guess'"),
        ({"coder": "zlib"}, "the coder is 'zlib'"),
        ({"qp_base": 30.0}, "qp_base is 30.0, not a int"),
        ({"qp_base": 99}, "out of range"),
        ({"features": True}, "features is True"),
        ({"bits": [[1.0]]}, "one list per channel"),
        ({"errors": [1.0]}, "lists of numbers"),
        ({"more": 1}, "is no sensitivity"),
    ],
)
def test_strict_reading(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "s.json"
    save(Sensitivity((1.0, 2.0), "algorithm1", "hevc", 34, 3), path)
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8"
    )
    with pytest.raises(CallerError, match=message):
        load(path)


def test_no_json_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{", encoding="utf-8")
    with pytest.raises(CallerError, match="is not JSON"):
        load(tmp_path / "s.json")
    with pytest.raises(CallerError, match="cannot open"):
        load(tmp_path / "none.json")


# --- statistics ------------------------------------------------------------------------------------


def test_statistics_are_chosen_by_the_output(features: Any) -> None:
    groups = [[{"restoration": "channel"}, {"restoration": "tensor"}], [{"range": "channel"}]]
    best, trials = choose_statistics(features, tail, HEVC, groups)
    assert [trial.change for trial in trials[:4]] == [{}, {}, *groups[0]]
    least = min(trials, key=lambda trial: trial.rate)
    assert best == HEVC.but(qp=least.qp, **least.change)
    # at the slope of the first two, the second lies on the curve of the first
    assert trials[0].bits > trials[1].bits
    assert trials[0].snr > trials[1].snr


def test_statistics_need_a_slope(features: Any) -> None:
    with pytest.raises(CallerError, match="no slope"):
        choose_statistics(features, lambda x: torch.arange(3.0)[:, None] + 0 * x.sum(), HEVC, [])


# --- the command -----------------------------------------------------------------------------------

TINY = ("--model", "tiny_network:classify", "--layer", "conv1", "--input-size", 32)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("maps") / "maps.npy"
    np.save(path, np.maximum(chance().normal(size=(3, 4, 16, 16)), 0).astype(np.float32))
    return path


@pytest.mark.parametrize("method", ["algorithm1", "gradient"])
def test_command(tmp_path: Path, maps: Path, method: str) -> None:
    pytest.importorskip("matplotlib")
    out, plot = tmp_path / "s.json", tmp_path / "s.png"
    options = ("--method", method, "--coder", "hevc", "--qp", 30, "--plot", plot, "--count", 2)
    result = run("sensitivity", *TINY, *options, maps, out)
    found = load(out)
    assert (found.method, found.features, found.layer) == (method, 2, "conv1")
    assert plot.read_bytes().startswith(b"\x89PNG")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["channel", "sensitivity", "normalised", "QP"]
    assert [int(line[-1]) for line in lines[1:]] == found.qps(30)


def test_command_reads_streams_and_images(tmp_path: Path, maps: Path) -> None:
    from PIL import Image

    run("encode", maps, tmp_path / "maps.dfc", "--coder", "native-lossless")
    run("sensitivity", *TINY, maps, tmp_path / "a.json")
    run("sensitivity", *TINY, tmp_path / "maps.dfc", tmp_path / "b.json")
    assert load(tmp_path / "a.json") == load(tmp_path / "b.json")
    (tmp_path / "pictures").mkdir()
    pixels = chance().integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    run("sensitivity", *TINY, tmp_path / "pictures", tmp_path / "c.json")
    assert load(tmp_path / "c.json").features == 1


def test_the_plot_is_refused_before_the_measurement(
    tmp_path: Path, maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out, plot = tmp_path / "s.json", tmp_path / "s.png"
    result = run("sensitivity", *TINY, "--plot", plot, maps, out, status=CALL_AT_FAULT)
    assert "plots need matplotlib, which is missing" in result.output
    assert not out.exists()


def test_command_refuses(tmp_path: Path, maps: Path) -> None:
    out = tmp_path / "s.json"
    for options, message in (
        (("--method", "guess"), "algorithm1 or gradient"),
        (("--plot", "s.gif"), "neither .png nor .svg"),
        (("--coder", "zlib"), "hevc and native"),
        (("--input-size", 64), "those of conv1 are (4, 32, 32)"),
    ):
        result = run("sensitivity", *TINY, *options, maps, out, status=CALL_AT_FAULT)
        assert message in result.output
    assert not out.exists()
