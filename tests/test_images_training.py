"""Trainings of image codecs and classifiers of latents: the phases, resumption, the plan, the command."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT, run

import refcodec
from refcodec.errors import CallerError
from refcodec.images.classifier import LatentClassifier
from refcodec.images.codec import ImageCodec
from refcodec.images.plan import ClassifierPlan, ImagePlan, read_images_plan
from refcodec.images.run import ImageSession
from refcodec.images.similarity import ms_ssim
from refcodec.images.training import Phase, PhaseRow, conflict, fitted, train_phase
from refcodec.learn.data import open_data
from refcodec.learn.stock import Stock
from refcodec.models.images import denormalise, normalise

PLAN = """
title = "Three colours"

[data]
train = "train"
test = "test"
size = 16

[codec]
channels = 8
latents = 6
halvings = 1
lambdas = [0.01]

[classifier]
first = 4
widths = [8]
blocks = [1]

[pixels]
model = "tiny_network:classify"

[training]
codec_steps = 40
codec_rate = 0.005
classifier_steps = 40
classifier_rate = 0.01
joint_steps = 20
joint_rate = 0.002
tasks = [0.5]
batch = 8
log_every = 10
checkpoint_every = 10
device = "cpu"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of noise in one of three colours, which is the class."""
    from PIL import Image

    path, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 16), ("test", 6)):
        for number, name in enumerate(("blue", "green", "red")):
            (path / part / name).mkdir(parents=True)
            for place in range(count):
                pixels = rng.integers(0, 80, (16, 16, 3), dtype=np.uint8)
                pixels[..., 2 - number] += 150
                Image.fromarray(pixels).save(path / part / name / f"{place}.png")
    (path / "plan.toml").write_text(PLAN, encoding="utf-8")
    return path


def plan_of(folder: Path, *changes: str) -> ImagePlan:
    return read_images_plan(folder / "plan.toml", changes=changes)


def phase_of(folder: Path, name: str, *changes: str, task: float = 0.0) -> tuple[Phase, Stock]:
    plan = plan_of(folder, *changes)
    codec = ImageCodec(8, 6, halvings=1, seed=1)
    classifier = LatentClassifier(6, 3, first=4, stages=((8, 1),), seed=1)
    data = open_data(folder / "train", size=(16, 16))
    return Phase(name, plan, codec, classifier, 0.01, task), Stock(data, 8, 0)


def ignore(_: PhaseRow) -> None:
    """Take no note."""


# --- phases


def changed(phase: Phase, stock: Stock, path: Path) -> set[str]:
    before = {
        name: one.clone()
        for part in ("codec", "classifier")
        for name, one in getattr(phase, part).state_dict(prefix=f"{part}.").items()
    }
    train_phase(phase, stock, path, ignore)
    return {
        name.partition(".")[0]
        for part in ("codec", "classifier")
        for name, one in getattr(phase, part).state_dict(prefix=f"{part}.").items()
        if not torch.equal(one, before[name])
    }


@pytest.mark.parametrize(
    ("name", "parts"),
    [("codec", {"codec"}), ("classifier", {"classifier"}), ("joint", {"codec", "classifier"})],
)
def test_a_phase_trains_its_modules_alone(
    folder: Path, tmp_path: Path, name: str, parts: set[str]
) -> None:
    phase, stock = phase_of(folder, name, f"training.{name}_steps=3", task=1.0)
    assert changed(phase, stock, tmp_path / "c.safetensors") == parts


def moved(phase: Phase, stock: Stock, path: Path) -> tuple[Any, Any]:
    """Weights of the analysis and of the classifier after a training."""
    train_phase(phase, stock, path, ignore)
    return phase.codec.analysis[0].weight.detach(), phase.classifier.fc.weight.detach()


def test_a_control_trains_the_codec_on_as_if_there_were_no_task(
    folder: Path, tmp_path: Path
) -> None:
    """Same codec as by its loss alone, at the rate of the joint phase; the classifier learns, too."""
    steps = "training.joint_steps=3", "training.codec_steps=3"
    rates = "training.codec_rate=0.002", "training.joint_rate=0.002"
    phases = [
        phase_of(folder, name, *steps, *rates, task=task)
        for name, task in (("joint", 0.0), ("codec", 0.0), ("joint", 1.0))
    ]
    before = phases[0][0].classifier.fc.weight.detach().clone()
    control, codec, joint = (
        moved(*one, tmp_path / f"{number}.safetensors") for number, one in enumerate(phases)
    )
    assert torch.equal(control[0], codec[0])
    assert not torch.equal(control[0], joint[0])
    assert not torch.equal(control[1], before)


def test_losses_in_turn(folder: Path, tmp_path: Path) -> None:
    """Two steps by the codec's loss leave the classifier; the next two move it."""
    choices = "training.alternate=2", "training.log_every=1"
    phase, stock = phase_of(folder, "joint", "training.joint_steps=4", *choices, task=1.0)
    seen = []

    def note(_: PhaseRow) -> None:
        one = phase.classifier.fc.weight, phase.codec.synthesis[0].weight
        seen.append([part.detach().clone() for part in one])

    train_phase(phase, stock, tmp_path / "c.safetensors", note)
    first, second, third, fourth = seen
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    assert not torch.equal(third[0], fourth[0])
    assert torch.equal(third[1], fourth[1])  # no image is made for the classifier


def test_the_codec_learns_to_reconstruct(folder: Path, tmp_path: Path) -> None:
    phase, stock = phase_of(folder, "codec", "training.codec_steps=150")
    rows = train_phase(phase, stock, tmp_path / "c.safetensors", ignore)
    assert rows[-1].psnr > rows[0].psnr + 3
    assert [row.step for row in rows] == list(range(10, 151, 10))


def test_the_codec_learns_the_structure_of_images(folder: Path, tmp_path: Path) -> None:
    """By MS-SSIM it gets further than by the squared error in as many steps, and less far by that."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "smooth").mkdir()
    for number in range(24):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BILINEAR).save(
            tmp_path / "smooth" / f"{number}.png"
        )
    data = open_data(tmp_path, size=(32, 32))
    images = denormalise(data.batch(np.arange(24), None)[0])
    alike, close = {}, {}
    for name, trade in (("mse", 0.01), ("ms-ssim", 100.0)):
        change = f"codec.distortion={name}"
        phase, _ = phase_of(folder, "codec", "training.codec_steps=100", "data.size=32", change)
        phase = dataclasses.replace(phase, trade=trade)
        train_phase(phase, Stock(data, 8, 0), tmp_path / f"{name}.safetensors", ignore)
        with torch.no_grad():
            found = phase.codec(images).images
        alike[name] = float(ms_ssim(found, images))
        close[name] = float(((found - images) ** 2).mean())
    assert alike["ms-ssim"] > alike["mse"] + 0.05
    assert close["ms-ssim"] > close["mse"]


def test_an_interrupted_phase_ends_with_the_same_bits(folder: Path, tmp_path: Path) -> None:
    whole, stock = phase_of(folder, "joint", task=1.0)
    train_phase(whole, stock, tmp_path / "whole.safetensors", ignore)
    part, stock = phase_of(folder, "joint", task=1.0)

    def stop(row: PhaseRow) -> None:
        if row.step == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_phase(part, stock, tmp_path / "part.safetensors", stop)
    again, stock = phase_of(folder, "joint", task=1.0)
    rows = train_phase(again, stock, tmp_path / "part.safetensors", ignore)
    assert [row.step for row in rows] == [10, 20]
    assert (tmp_path / "part.safetensors").read_bytes() == (
        tmp_path / "whole.safetensors"
    ).read_bytes()


def test_a_checkpoint_of_another_plan_is_refused(folder: Path, tmp_path: Path) -> None:
    phase, stock = phase_of(folder, "codec", "training.codec_steps=2")
    train_phase(phase, stock, tmp_path / "c.safetensors", ignore)
    other, stock = phase_of(folder, "codec", "training.codec_steps=3")
    with pytest.raises(CallerError, match="another configuration"):
        train_phase(other, stock, tmp_path / "c.safetensors", ignore)


def test_the_conflict_is_between_gradients_by_the_analysis(folder: Path) -> None:
    """A classifier with larger outputs has larger gradients; those of the codec stay."""
    phase, stock = phase_of(folder, "joint", task=1.0)
    found = conflict(phase, stock, batches=2)
    assert found["codec"] > 0
    assert found["task"] > 0
    assert -1 <= found["cosine"] <= 1
    louder, stock = phase_of(folder, "joint", task=1.0)
    with torch.no_grad():
        louder.classifier.fc.weight.mul_(50)
    again = conflict(louder, stock, batches=2)
    assert again["task"] > 3 * found["task"]
    assert again["codec"] == pytest.approx(found["codec"])


# --- what the classifier sees


def test_latents_are_scaled_cropped_and_flipped() -> None:
    values = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8)
    plan = ClassifierPlan(resize=8, crop=6, flip=True)
    middle = fitted(values, plan)
    assert torch.equal(middle, values[:, :, 1:7, 1:7])
    seen = {
        tuple(fitted(values, plan, torch.Generator().manual_seed(n))[0, 0, 0].tolist())
        for n in range(60)
    }
    windows = {
        tuple(values[0, 0, top, left : left + 6].tolist()) for top in range(3) for left in range(3)
    }
    assert seen <= windows | {one[::-1] for one in windows}
    assert len(seen) > 12
    assert fitted(values, ClassifierPlan(resize=4)).shape == (2, 3, 4, 4)
    assert torch.equal(fitted(values, ClassifierPlan()), values)


def test_denormalisation_gives_pixels_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    found = 255 * denormalise(normalise(pixels))
    assert np.array_equal(found.round().permute(0, 2, 3, 1).numpy(), pixels)


# --- plans


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("codec.chanels=3", "unknown key 'chanels'; did you mean 'channels'"),
        ("codec.lambdas=[]", "numbers above 0"),
        ("codec.lambdas=[0]", "numbers above 0"),
        ("classifier.blocks=[1, 2]", "'widths' of .classifier. are of 1 stages, 'blocks' of 2"),
        ("classifier.crop=28", "'crop' of .classifier. needs 'resize'"),
        ("training.device=tpu", "devices are auto, cpu, cuda"),
        ("training.codec_steps=0", "above 0"),
        ("training.tasks=[0]", "control = true"),
        ("training.alternate=-1", "0 or more"),
        ("codec.distortion=psnr", "'distortion' of .codec. is 'psnr'; there is mse, ms-ssim"),
        ("codec.distortion=ms-ssim", "images of 16 x 16; MS-SSIM has two scales at least"),
    ],
)
def test_what_a_plan_cannot_say(folder: Path, change: str, message: str) -> None:
    with pytest.raises(CallerError) as caught:
        plan_of(folder, change)
    assert re.search(message, f"{caught.value} {caught.value.hint}")


def test_turns_without_a_task_are_refused(folder: Path) -> None:
    with pytest.raises(CallerError, match="no effect without 'tasks'"):
        plan_of(folder, "training.tasks=[]", "training.alternate=5")


def test_a_digest_outlives_new_keys(folder: Path) -> None:
    """Keys that plans did not have change the digest where they say something new."""
    plain = plan_of(folder).digest()
    same = "codec.distortion=mse", "training.alternate=0", "training.control=true"
    assert plan_of(folder, *same).digest() == plain
    assert plan_of(folder, "training.alternate=1").digest() != plain


TRAININGS = Path(__file__).parents[1] / "tools" / "training"


@pytest.mark.parametrize("name", ["minc-2500-paper", "resisc-45-paper", "rsscn7-paper"])
def test_plans_of_the_paper(name: str) -> None:
    """The sides and the classifier are those of the paper; its data and weights are not here."""
    plan = read_images_plan(TRAININGS / f"{name}.toml")
    own = plan.classifier
    assert (own.resize, own.crop, own.flip) == (32, 28, True)
    assert (own.first, own.widths, own.blocks) == (32, (128, 256, 512), (4, 6, 3))
    with pytest.raises(CallerError, match="there are no data at"):
        ImageSession(plan, Path("never"))


def test_the_plan_of_the_results_page_runs(folder: Path, tmp_path: Path) -> None:
    plan = read_images_plan(
        TRAININGS / "cifar10-images.toml",
        data=folder,
        changes=[
            *(
                "data.train=train",
                "data.test=test",
                "data.test_count=6",
                "pixels={}",
                "training.batch=8",
            ),
            *(f"training.{phase}_steps=1" for phase in ("codec", "classifier", "joint")),
        ],
    )
    results = ImageSession(plan, tmp_path).run(lambda *_: None)
    assert len(results) == len(plan.codec.lambdas) * (2 + len(plan.training.tasks))


# --- the command


def test_the_command_trains_measures_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ("train", folder / "plan.toml", "--output", tmp_path, "--threads", 1)
    arguments = (*plan, "--set", "training.control=true")
    shown = run(*arguments)
    assert "from latents" in shown.output
    assert "lambda-0.01/task-0.5  joint  step 20/20" in shown.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert [one["task"] for one in results] == [0, 0, 0.5]
    assert "| control |" in shown.output
    for one, name in zip(results, ("frozen", "control", "task-0.5"), strict=True):
        own = tmp_path / "lambda-0.01" / name
        size = (own / "images.dfc").stat().st_size
        assert one["bits"] == pytest.approx(8 * size / (18 * 256))
        assert set(one["accuracy"]) == {"latents", "images", "decoded images"}
        assert one["accuracy"]["latents"] > 0.8  # the colour is easily seen
        assert refcodec.validate(own / "images.dfc").conforming
        assert one["macs"]["classifier of latents"] > 0
    assert results[0]["conflict"] is None
    assert set(results[2]["conflict"]) == {"codec", "task", "cosine"}
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000

    def never(*_: Any) -> None:
        raise AssertionError("what has been measured is measured again")

    monkeypatch.setattr("refcodec.images.run.measure", never)
    assert shown.output.endswith(run(*arguments).output)
    refused = run(*arguments, "--set", "training.codec_steps=41", status=CALL_AT_FAULT)
    assert "another configuration" in refused.stderr


def test_weights_of_compressai_make_the_codec(folder: Path, tmp_path: Path) -> None:
    weights = Path(__file__).parent / "fixtures" / "compressai-means.safetensors"
    plan = plan_of(
        folder,
        *(
            f"codec.weights={str(weights)!r}",
            "training.classifier_steps=2",
            "training.joint_steps=1",
        ),
        *("data.size=64", "data.enlarge=64"),
    )
    session = ImageSession(plan, tmp_path)
    results = session.run(lambda *_: None)
    assert len(results) == 2
    assert all(one["bits"] > 0 for one in results)
