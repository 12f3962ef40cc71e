"""The committed trainings, those of the paper's tables and figures among them, on small sets of data."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from PIL import Image
from records import example, write_records

from refcodec.learn.reading import read
from refcodec.models.zoo import NETWORKS, torchvision_models

PLANS = sorted(
    path
    for path in (Path(__file__).parents[1] / "tools" / "training").glob("*.toml")
    if "[codec]" not in path.read_text(encoding="utf-8")
)

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def jpegs(path: Path, count: int) -> None:
    """An archive of JPEGs, as of CIFAR-10."""
    import io

    rng, files = np.random.default_rng(0), []
    for _ in range(count):
        target = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(target, "JPEG")
        files.append(target.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg = np.frombuffer(b"".join(files), np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    np.savez(path, jpeg=jpeg, offsets=offsets, labels=labels, classes=np.array(CLASSES))


def cifar10(folder: Path) -> None:
    from safetensors.torch import save_file

    jpegs(folder / "cifar10" / "train.npz", 60)
    jpegs(folder / "cifar10" / "test.npz", 20)
    (folder / "weights").mkdir()
    for name in ("resnet20", "resnet56"):
        weights = NETWORKS[name].build().state_dict()
        save_file(weights, folder / "weights" / f"{name}_cifar10.safetensors")


def cifar100(folder: Path) -> None:
    (folder / "cifar-100-binary").mkdir()
    for name, count in (("train", 60), ("test", 20)):
        rng = np.random.default_rng(count)
        rows = rng.integers(0, 256, (count, 3074), dtype=np.uint8)
        rows[:, :2] %= 20
        rows[:, 1] *= 5
        (folder / "cifar-100-binary" / f"{name}.bin").write_bytes(rows.tobytes())


def imagenet(folder: Path) -> None:
    for part, count in (("train", 3), ("val", 2)):
        for name in ("n01440764", "n01443537"):
            own = folder / "imagenet" / part / name
            own.mkdir(parents=True)
            for number in range(count):
                pixels = np.random.default_rng(number).integers(0, 256, (70, 90, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(own / f"{number}.JPEG")


def youtube8m(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "validate"):
        (folder / "yt8m" / part).mkdir(parents=True)
        messages = [
            example(
                {
                    "id": [b"abcd"],
                    "labels": [int(one) for one in rng.choice(3862, 3, replace=False)],
                    "mean_rgb": rng.standard_normal(1024).tolist(),
                    "mean_audio": rng.standard_normal(128).tolist(),
                }
            )
            for _ in range(40)
        ]
        write_records(folder / "yt8m" / part / f"{part}00.tfrecord", messages)


CODEC = ("training.batch=10", "data.test_count=10")

SMALL: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "cifar10-start": (cifar10, ("training.batch=20",)),
    "cifar10-pooled": (cifar10, ("training.batch=20",)),
    "cifar10-maps": (cifar10, ("training.batch=20",)),
    "cifar10-maps-whole": (cifar10, ("training.batch=20",)),
    "cifar10-maps-tuned": (cifar10, ("training.batch=20", "baselines=[{coder = 'zlib'}]")),
    "cifar10-pooled-tuned": (cifar10, ("training.batch=20",)),
    "cifar10-paper": (cifar10, ("training.batch=20",)),
    "resnet56-layer1-codec": (cifar10, CODEC),
    "resnet56-layer2-codec": (cifar10, CODEC),
    "resnet56-layer2-linear": (cifar10, CODEC),
    "resnet56-layer3-codec": (cifar10, CODEC),
    "cifar100-paper": (cifar100, ("training.batch=20",)),
    "imagenet-paper": (
        imagenet,
        (
            *("training.batch=2", "data.size=64", "data.enlarge=66"),
            "baselines=[{coder = 'zlib'}, {coder = 'pca', components = [1, 2]}]",
        ),
    ),
    "youtube8m-2-paper": (youtube8m, ("training.batch=10",)),
    "youtube8m-3-paper": (youtube8m, ("training.batch=10",)),
}


def test_every_plan_is_tried() -> None:
    assert {path.stem for path in PLANS} == set(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_runs_on_a_small_set(path: Path, tmp_path: Path) -> None:
    if "imagenet" in path.stem:
        try:
            torchvision_models()
        except Exception as error:  # absent, or built for another torch
            pytest.skip(str(error))
    make, changes = SMALL[path.stem]
    make(tmp_path)
    lambdas = [one for one in read(path, data=tmp_path).bottleneck.lambdas if one in (0, 0.02)]
    short = (
        f"bottleneck.lambda={[*lambdas, 0.001] if 'start' not in path.stem else 0}",
        *("training.steps=2", "training.log_every=1", "training.seeds=[0]", "training.device=cpu"),
    )
    plan = tmp_path / path.name
    plan.write_bytes(path.read_bytes())
    if 'start = "' in path.read_text(encoding="utf-8"):
        start = path.with_name("cifar10-start.toml").read_text(encoding="utf-8")
        start = start.replace("steps = 1500", "steps = 2").replace("batch = 128", "batch = 20")
        (tmp_path / "cifar10-start.toml").write_text(start, encoding="utf-8")
    settings: list[Any] = [part for one in (*short, *changes) for part in ("--set", one)]
    output = tmp_path / "results" / "out"
    output.parent.mkdir()
    run("train", plan, "--data", tmp_path, "--output", output, "--threads", 1, *settings)
    with (output / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves = {row["curve"] for row in rows}
    if "start" in path.stem:
        assert curves == {"float32"}
        return
    if path.stem.startswith("resnet56"):  # the features of a network that is not trained
        assert curves == {"learned"}
        return
    assert {"learned", "learned, joint", "zlib"} <= curves
    assert (output / "curves.png").stat().st_size > 10_000
    assert all(0 <= float(row["error"]) <= 1 and float(row["size"]) >= 0 for row in rows)
