"""Trainings: plans, steps, exact resumption, parts of networks, other ways to store features, the command."""

from __future__ import annotations

import csv
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT, run
from safetensors.torch import load_file
from torch import nn

import refcodec
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.learn import Bottleneck
from refcodec.learn.baselines import Known, store
from refcodec.learn.network import Bottlenecked
from refcodec.learn.plan import Plan
from refcodec.learn.probes import Probe, measure_probe, targets_of
from refcodec.learn.reading import read
from refcodec.learn.run import Session, load_result
from refcodec.learn.trainer import Row, Trainer, device_of
from refcodec.models import Cut, load

PLAN = """
title = "Coloured squares"

[network]
model = "tiny_network:classify"
layer = "pool2"

[data]
train = "train.npz"
test = "test.npz"

[bottleneck]
lambda = [0, 0.005]

[training]
steps = 30
batch = 16
rate = 0.02
density_rate = 0.05
lambda_ramp = 5
log_every = 7
seeds = [1]
checkpoint_every = 10
device = "cpu"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with more of one colour, which is the class; and as values, the colours' means."""
    path, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, count in (("train", 128), ("test", 48)):
        classes = rng.integers(0, 3, count)
        inputs = 0.3 * rng.standard_normal((count, 3, 16, 16)).astype(np.float32)
        inputs[np.arange(count), classes] += 1
        np.savez(path / f"{name}.npz", inputs=inputs, targets=classes)
        np.savez(path / f"{name}-values.npz", inputs=inputs, targets=inputs.mean(axis=(2, 3)))
    return path


def plan_of(folder: Path, *changes: str, text: str = PLAN) -> Plan:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, changes=changes)


def trainer_of(folder: Path, *changes: str, trade: float = 0.005) -> Trainer:
    plan = plan_of(folder, *changes)
    session = Session(plan, folder / "out")
    (chosen,) = (one for one in plan.runs() if one.trade == trade)
    return Trainer(chosen, session.training)


def nothing(row: Row, left: float) -> None:
    assert left >= 0


# --- steps


def test_a_training_lowers_the_loss(folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(folder, "training.steps=60")
    trainer.train(tmp_path / "c.safetensors", nothing)
    first, last = trainer.rows[0], trainer.rows[-1]
    assert last.loss < 0.5 * first.loss
    assert last.error < 0.1
    assert [row.step for row in trainer.rows] == [7, 14, 21, 28, 35, 42, 49, 56, 60]


def test_a_larger_lambda_costs_fewer_bits(folder: Path, tmp_path: Path) -> None:
    bits = []
    for trade in (0.001, 0.1):
        trainer = trainer_of(folder, f"bottleneck.lambda={trade}", "training.steps=60", trade=trade)
        trainer.train(tmp_path / f"{trade}.safetensors", nothing)
        bits.append(trainer.rows[-1].bits)
    assert bits[1] < 0.7 * bits[0]


def test_an_interrupted_training_ends_with_the_same_bits(folder: Path, tmp_path: Path) -> None:
    whole = trainer_of(folder)
    whole.train(tmp_path / "whole.safetensors", nothing)
    first = trainer_of(folder)
    for _ in range(17):  # in the middle of the rows of the log
        first.advance()
    first.save(tmp_path / "part.safetensors")
    second = trainer_of(folder)
    second.resume(tmp_path / "part.safetensors")
    second.train(tmp_path / "part.safetensors", nothing)
    assert second.rows == whole.rows
    for name, value in whole.tensors().items():
        assert torch.equal(value, second.tensors()[name]), name
    both = [load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "part")]
    assert both[0].keys() == both[1].keys()
    assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])


def test_seeds_make_the_difference(folder: Path) -> None:
    first, same = trainer_of(folder), trainer_of(folder)
    other = trainer_of(folder, "training.seeds=[2]")
    for trainer in (first, same, other):
        trainer.advance()
    name = "network.conv1.0.weight"
    assert torch.equal(first.tensors()[name], same.tensors()[name])
    assert not torch.equal(first.tensors()[name], other.tensors()[name])


@pytest.mark.parametrize("change", ["training.rate=0.03", "training.steps=31", "bottleneck.step=1"])
def test_a_checkpoint_of_another_plan_is_refused(folder: Path, tmp_path: Path, change: str) -> None:
    trainer = trainer_of(folder)
    trainer.save(tmp_path / "c.safetensors")
    with pytest.raises(CallerError, match="of another configuration"):
        trainer_of(folder, change).resume(tmp_path / "c.safetensors")


def test_what_is_no_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    trainer, path = trainer_of(folder), tmp_path / "c.safetensors"
    trainer.advance()
    trainer.save(path)
    data = path.read_bytes()
    for damaged in (b"", data[:100], data[:-5], b"x" * 1000):
        path.write_bytes(damaged)
        with pytest.raises(CallerError, match="no checkpoint of this training"):
            trainer_of(folder).resume(path)


def test_a_loss_that_is_not_finite_stops_the_training(folder: Path) -> None:
    trainer = trainer_of(folder, "training.rate=1e30")
    with pytest.raises(CallerError, match=r"not finite .*lower the learning rate"):
        trainer.train(folder / "c.safetensors", nothing)


def test_mixed_precision_trains_too(folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(folder, "training.precision=mixed", "training.steps=60")
    trainer.train(tmp_path / "c.safetensors", nothing)
    assert trainer.rows[-1].error < 0.1
    assert all(one.dtype == torch.float32 for one in trainer.network.trained())


def test_the_device_is_there_or_an_error() -> None:
    assert device_of("cpu").type == "cpu"
    if not torch.cuda.is_available():
        assert device_of("auto").type == "cpu"
        with pytest.raises(EnvironmentFault, match=r"training\.device=cpu"):
            device_of("cuda")


# --- parts of the network


def changed(trainer: Trainer) -> set[str]:
    """The parts of the network whose tensors a few steps change."""
    before = {name: value.clone() for name, value in trainer.tensors().items()}
    for _ in range(3):
        trainer.advance()
    after = trainer.tensors()
    names = [name for name in before if not torch.equal(before[name], after[name])]
    return {name.split(".")[1] for name in names if name.startswith("network.")}


@pytest.mark.parametrize(
    ("train", "parts"),
    [("all", {"conv1", "conv2", "fc"}), ("head", {"conv1", "conv2"}), ("tail", {"fc"})],
)
def test_a_part_is_trained_and_the_rest_stays(folder: Path, train: str, parts: set[str]) -> None:
    assert changed(trainer_of(folder, f"network.train={train}")) == parts


def test_a_frozen_part_is_computed_once_and_stays(folder: Path) -> None:
    trainer = trainer_of(folder, "network.frozen=conv1", "network.train=head")
    assert trainer.prepared is not None
    assert trainer.prepared.features.shape == (1, 128, 4, 8, 8)
    assert changed(trainer) == {"conv2"}


def test_a_part_that_is_frozen_gives_the_same_outputs(folder: Path) -> None:
    module = load("tiny_network:classify").module
    inputs = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = Bottlenecked(module, "pool2", (3, 16, 16), None)
    frozen = Bottlenecked(module, "pool2", (3, 16, 16), None, frozen="pool1")
    same = Bottlenecked(module, "pool2", (3, 16, 16), None, frozen="pool2")
    with torch.no_grad():
        wanted, bits, *_ = plain.forward(inputs)
        for one in (frozen, same):
            assert torch.allclose(one.forward(one.prepare(inputs))[0], wanted, atol=1e-6)
    assert bits.tolist() == [0, 0]


class Skip(nn.Module):
    """A network with a way around its second layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.third(x + self.second(self.first(x)))
        return found


def test_what_cannot_be_frozen() -> None:
    with pytest.raises(CallerError, match="input also reaches"):
        Bottlenecked(Skip(), "third", (4,), None, frozen="first")
    with pytest.raises(CallerError, match="no part to train"):
        Bottlenecked(Skip(), "third", (4,), None, train="half")


def test_normalisation_of_what_is_not_trained_keeps_its_statistics(folder: Path) -> None:
    module = load("resnet20").module
    network = Bottlenecked(module, "pool", (3, 32, 32), Bottleneck(64), train="tail")
    before = module.bn1.running_mean.clone()
    network.set_training(True)
    network.forward(torch.randn(4, 3, 32, 32))
    assert torch.equal(module.bn1.running_mean, before)
    Bottlenecked(module, "pool", (3, 32, 32), None).set_training(True)
    module(torch.randn(4, 3, 32, 32))
    assert not torch.equal(module.bn1.running_mean, before)


def test_layers_around_the_rounding_are_trained_with_it(folder: Path, tmp_path: Path) -> None:
    """The network but for its classifier stays as it is; 4 values of its 24 are stored."""
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        classes = rng.integers(0, 3, 200)
        inputs = rng.standard_normal((200, 12)).astype(np.float32)
        inputs[np.arange(200), classes] += 5
        np.savez(folder / f"{name}-vectors.npz", inputs=inputs, targets=classes)
    plan = plan_of(
        folder,
        *("network.model=tiny_network:perceptron", "network.layer=hidden"),
        *("network.frozen=hidden", "network.train=tail"),
        *("data.train=train-vectors.npz", "data.test=test-vectors.npz"),
        *("bottleneck.analysis=[16, 4]", "bottleneck.synthesis=[16]"),
        *("training.steps=150", "training.rate=0.01"),
    )
    session, (_, chosen) = Session(plan, tmp_path), plan.runs()
    result = session.train(chosen, lambda run, row, left: nothing(row, left))
    assert result["error"] < 0.1
    with refcodec.open(session.folder(chosen) / "features.dfc") as reader:
        assert {one.shape for one in reader} == {(4,)}
    trainer = Trainer(chosen, session.training)
    assert changed(trainer) == {"fc"}
    assert trainer.network.bottleneck is not None
    names = set(trainer.network.bottleneck.state_dict())
    assert {"analysis.0.weight", "analysis.2.weight", "synthesis.2.weight"} <= names


# --- losses


def test_distillation_needs_no_labels(folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(folder, "training.loss=distillation", "training.steps=60")
    trainer.train(tmp_path / "c.safetensors", nothing)
    assert trainer.teacher is not None
    assert not any(one.requires_grad and one.grad is not None for one in _parameters(trainer))
    assert trainer.rows[-1].loss < 0.5 * trainer.rows[0].loss


def _parameters(trainer: Trainer) -> Any:
    assert trainer.teacher is not None
    return trainer.teacher.module.parameters()


def test_regression(folder: Path, tmp_path: Path) -> None:
    changes = ("training.loss=regression", "training.steps=150", "bottleneck.lambda=0.001")
    names = ("data.train=train-values.npz", "data.test=test-values.npz")
    trainer = trainer_of(folder, *changes, *names, trade=0.001)
    trainer.train(tmp_path / "c.safetensors", nothing)
    assert trainer.rows[-1].error < 0.3 * trainer.rows[0].error


# --- plans


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.layr=x", r"\[network\] has an unknown key 'layr'; did you mean 'layer'"),
        ("bottleneck.lamda=1", "unknown key 'lamda'; did you mean 'lambda'"),
        ("bottleneck.lambda=[]", "'lambda' of"),
        ("bottleneck.lambda=-1", "0 or more"),
        ("bottleneck.step=0", "above 0"),
        ("bottleneck.synthesis=[4]", "a synthesis, and that needs an analysis"),
        ("bottleneck.analysis=[0]", "whole numbers from 1 on"),
        ("bottleneck.widths=[3, 0]", "whole numbers from 1 on"),
        ("training.steps=0", "'steps' of .training. is 0; it is above 0"),
        ("training.weight_decay=-1", "'weight_decay' of .training. is -1; it is 0 or more"),
        ("training.steps=many", "'steps' of .training. is 'many'; it is an integer"),
        ("training.loss=crossentropy", "did you mean 'cross-entropy'"),
        ("training.schedule=cosin", "did you mean 'cosine'"),
        ("training.seeds=[]", "whole numbers from 0 on"),
        ("training.views=2", "nothing is frozen"),
        ("network.train=half", "there is all, head, tail, none"),
        ("colour=1", "the plan has an unknown key 'colour'"),
    ],
)
def test_what_a_plan_cannot_say(folder: Path, change: str, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        plan_of(folder, change)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[[baselines]]\ncoder = "zlip"', "did you mean 'zlib'"),
        ('[[baselines]]\ncoder = "pca"', "needs 'components'"),
        ('[[baselines]]\ncoder = "zlib"\nbins = 4', "unknown key 'bins'"),
        ('[[baselines]]\ncoder = "quantised"\nbins = ["a"]', "a number or several"),
        ('[[probes]]\nname = "a"', "needs 'classes'"),
        ('[[probes]]\nname = "a"\ntarget = "smell"', "'classes' or 'colour'"),
    ],
)
def test_what_baselines_and_probes_cannot_say(folder: Path, more: str, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        plan_of(folder, text=f"{PLAN}\n{more}\n")


def test_baselines_need_the_network_without_a_bottleneck(folder: Path) -> None:
    with pytest.raises(CallerError, match="put 0 among the values of lambda"):
        plan_of(folder, "bottleneck.lambda=0.1", text=f'{PLAN}\n[[baselines]]\ncoder = "zlib"\n')


def test_training_and_test_data_have_one_shape(folder: Path, tmp_path: Path) -> None:
    np.savez(folder / "small.npz", inputs=np.zeros((20, 3, 8, 8)), targets=np.zeros(20, int))
    with pytest.raises(CallerError, match="training data are"):
        Session(plan_of(folder, "data.test=small.npz"), tmp_path)


# --- other ways to store features


@pytest.fixture(scope="module")
def features() -> tuple[Any, Any, Cut]:
    module = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    rng = np.random.default_rng(0)
    training = np.maximum(rng.standard_normal((60, 6)), 0).astype(np.float32)
    return training[:7], Known(training), Cut(module, "1", (6,))


def test_zlib_compresses_each_feature_alone(features: Any) -> None:
    found = store("zlib", {}, *features)
    sizes = [len(zlib.compress(one.tobytes(), 9)) for one in features[0]]
    assert found.size == pytest.approx(sum(sizes) / len(sizes))
    assert (found.features == features[0]).all()
    half = store("float16", {}, *features)
    assert half.features == pytest.approx(features[0], abs=1e-3)
    assert half.size < found.size


@pytest.mark.parametrize("bins", [4, 256, 65536])
def test_bins_are_equal_parts_of_the_range(features: Any, bins: int) -> None:
    found = store("quantised", {"bins": bins}, *features)
    width = np.ptp(features[1].features) / bins
    assert np.abs(found.features - features[0]).max() <= width / 2 * 1.001
    assert len(np.unique(found.features)) <= bins


def test_all_principal_components_give_features_back(features: Any) -> None:
    found = store("pca", {"components": 6}, *features)
    assert found.features == pytest.approx(features[0], abs=1e-5)
    errors = [
        np.square(store("pca", {"components": n}, *features).features - features[0]).sum()
        for n in (1, 3, 5)
    ]
    assert errors[0] > errors[1] > errors[2]
    with pytest.raises(CallerError, match="have 6 components, and 7"):
        store("pca", {"components": 7}, *features)


@pytest.mark.parametrize(("coder", "options"), [("native-lossless", {}), ("native", {"qp": 10})])
def test_coders_of_refcodec_store_features(features: Any, coder: str, options: Any) -> None:
    found = store(coder, options, *features)
    assert found.features.shape == features[0].shape
    assert found.size > 0
    if coder == "native-lossless":
        assert (found.features == features[0]).all()


def test_encoders_that_know_the_tail_store_maps() -> None:
    cut = Cut(load("tiny_network:classify").module, "pool1", (3, 16, 16))
    maps = np.random.default_rng(0).random((3, 4, 4, 4)).astype(np.float32)
    found = store("tail-aware", {"strength": 5}, maps, Known(maps), cut)
    assert found.features.shape == maps.shape
    assert not (found.features == maps).all()


# --- probes


def test_probes_find_what_is_linear() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((300, 8))
    colour = features[:, :3] @ rng.standard_normal((3, 3))
    found = measure_probe(
        Probe("colour"), (features[:200], colour[:200]), (features[200:], colour[200:])
    )
    assert found > 0.99
    noise = rng.standard_normal((300, 3))
    assert (
        measure_probe(Probe("none"), (features[:200], noise[:200]), (features[200:], noise[200:]))
        < 0.1
    )
    signs = np.where(features[:, :1] > 0, 1.0, -1.0)
    probe = Probe("sign", ("a",))
    assert measure_probe(probe, (features[:200], signs[:200]), (features[200:], signs[200:])) > 0.9


def test_targets_of_probes() -> None:
    inputs = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    assert targets_of(Probe("c"), inputs, [0, 1], ())[1].tolist() == [13.5, 17.5, 21.5]
    classes = ("cat", "car", "dog")
    probe = Probe("animal", ("cat", "dog"))
    assert targets_of(probe, inputs, [1, 2], classes).tolist() == [[-1], [1]]
    with pytest.raises(CallerError, match="names the class 'cow'"):
        targets_of(Probe("animal", ("cow",)), inputs, [1, 2], classes)
    with pytest.raises(CallerError, match="is of images"):
        targets_of(Probe("c"), inputs.reshape(2, 12), [0, 1], ())


# --- the command

MORE = """
[[baselines]]
coder = "zlib"

[[baselines]]
coder = "quantised"
bins = [4, 256]
count = 10

[[probes]]
name = "image colour"
target = "colour"
"""


def test_the_command_trains_measures_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, output = tmp_path / "plan.toml", tmp_path / "out"
    plan.write_text(PLAN + MORE, encoding="utf-8")
    arguments = ("train", plan, "--data", folder, "--output", output)
    shown = run(*arguments, "--threads", 1, "--set", "training.steps=40")
    assert "lambda 0.005" in shown.output
    assert "image colour, variance explained" in shown.output
    assert "left" in shown.stderr
    files = {path.name for path in output.iterdir()}
    assert {"config.toml", "results.csv", "tables.md", "curves.png"} < files
    assert "training.steps=40" in (output / "config.toml").read_text(encoding="utf-8")
    own = output / "lambda-0.005-seed-1"
    assert {path.name for path in own.iterdir()} >= {
        *("weights.safetensors", "log.csv", "log.png", "result.json", "checkpoint.safetensors"),
        *("model.dfcm", "features.dfc", "joint.dfc"),
    }
    with (own / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [7, 14, 21, 28, 35, 40]
    with (output / "results.csv").open(encoding="utf-8") as file:
        points = {(row["curve"], row["label"]): row for row in csv.DictReader(file)}
    assert set(points) == {
        *(("zlib", ""), ("quantised", "bins 4"), ("quantised", "bins 256")),
        *(("learned", "lambda 0.005"), ("learned, joint", "lambda 0.005")),
    }
    assert float(points["learned", "lambda 0.005"]["share"]) < 0.5

    def never(*_: Any) -> None:
        raise AssertionError("a run that has ended is trained again")

    monkeypatch.setattr(Trainer, "advance", never)
    again = run(*arguments, "--set", "training.steps=40")
    assert "lambda 0.005" in again.output
    refused = run(*arguments, "--set", "training.steps=41", status=CALL_AT_FAULT)
    assert "another configuration" in refused.stderr


def test_weights_of_a_run_make_the_same_features(folder: Path, tmp_path: Path) -> None:
    plan = plan_of(folder, "bottleneck.lambda=0.005")
    session, (chosen,) = Session(plan, tmp_path), plan.runs()
    result = session.train(chosen, lambda run, row, left: nothing(row, left))
    own = session.folder(chosen)
    assert load_result(chosen, own) == json.loads((own / "result.json").read_text())
    assert load_result(replace(chosen, seed=5), own) is None
    network = load("tiny_network:classify", own / "weights.safetensors")
    trainer = Trainer(chosen, session.training)
    trainer.resume(own / "checkpoint.safetensors")
    inputs, _ = session.test.batch(np.arange(5), None)
    with torch.no_grad():
        ours = trainer.network.features(inputs)
        theirs = Cut(network.module, "pool2", (3, 16, 16)).head(inputs)
    assert torch.allclose(theirs, ours, atol=1e-5)
    assert 0 < result["ideal_bits"] < 60
    assert result["bytes"] * 48 == (own / "features.dfc").stat().st_size
    assert result["joint_bytes"] * 48 == (own / "joint.dfc").stat().st_size
    with refcodec.open(own / "features.dfc") as reader:
        stored = np.stack(list(reader))
    assert trainer.network.bottleneck is not None
    steps = trainer.network.bottleneck.steps.detach().numpy()
    assert np.array_equal(np.round(stored / steps) * steps, stored)
    assert np.abs(stored[:5] - ours.numpy()).max() <= 0.5001 * steps.max()
    model = refcodec.EntropyModel.load(own / "model.dfcm")
    latents = np.rint(stored / steps).astype(int)
    assert model.code_length(latents) / 48 == pytest.approx(result["ideal_bits"])
    assert refcodec.validate(own / "features.dfc").conforming


def test_a_plan_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot open" in run("train", tmp_path / "none.toml", status=CALL_AT_FAULT).stderr
