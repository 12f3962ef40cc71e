"""``refcodec extract``: features of images, and where they come from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import CALL_AT_FAULT, run
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import save_file

import refcodec
from refcodec.models import cifar, load
from refcodec.models.images import batches, open_images

NETWORK = ("--model", "resnet20", "--layer", "layer2")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of two noisy images."""
    chance = np.random.default_rng(3)
    for name in ("cat/a", "cat/b", "dog/c", "dog/d"):
        path = tmp_path / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (40, 34, 3), np.uint8)).save(path)
    return tmp_path / "pictures"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(11)
    save_file(cifar.resnet(20).state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def expected(pictures: Path, weights: Path | None = None, count: int | None = None) -> Any:
    source = open_images(str(pictures), count=count, size=(32, 32))
    (batch,) = batches(source, 8)
    return load("resnet20", weights).cut("layer2").head(batch.inputs).numpy()


def test_a_stream(tmp_path: Path, pictures: Path, weights: Path) -> None:
    out = tmp_path / "out.dfc"
    run("extract", *NETWORK, "--weights", weights, pictures, out)
    assert refcodec.validate(out).conforming
    with refcodec.open(out) as reader:
        assert np.array_equal(np.stack(list(reader)), expected(pictures, weights))
        assert [one.feature_type.name for one in reader.parameters] == ["CONV"]
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        assert reader.metadata == {
            "model": "resnet20",
            "weights": f"sha256:{digest}",
            "layer": "layer2",
            "task": "classification",
            "dataset": "pictures",
            "items": "cat/a.png\ncat/b.png\ndog/c.png\ndog/d.png",
            "preprocessing": "scaled (bicubic) to cover 32 x 32 pixels, cropped at the centre; "
            "from 0 to 1, less the mean and over the deviation of ImageNet",
            "framework": f"torch {torch.__version__}",
            "encoder": f"refcodec {refcodec.__version__}",
        }


@pytest.mark.parametrize("batch", [1, 3])
def test_arrays(tmp_path: Path, pictures: Path, batch: int) -> None:
    for suffix in ("npy", "npz", "safetensors"):
        run("extract", *NETWORK, "--batch", batch, pictures, tmp_path / f"out.{suffix}")
    found = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(found, expected(pictures), atol=1e-5)  # another batch, other sums
    named = load_file(tmp_path / "out.safetensors")
    assert np.array_equal(np.stack([named[f"feature{i:05}"] for i in range(4)]), found)
    with np.load(tmp_path / "out.npz") as archive:
        assert np.array_equal(np.stack([archive[name] for name in sorted(archive)]), found)


def test_count_and_size(tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / "out.dfc"
    options = ("--count", 2, "--input-size", 16, "--coder", "native", "--qp", 20)
    run("extract", *NETWORK, *options, pictures, out)
    with refcodec.open(out) as reader:
        assert [feature.shape for feature in reader] == [(32, 8, 8)] * 2
        assert reader.metadata["items"] == "cat/a.png\ndog/c.png"
        assert reader.metadata["weights"] == "random, seed 0"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--model", "resnet20", "--layer", "layer9"), "the network has no module 'layer9'"),
        (("--model", "resnet21", "--layer", "layer1"), "there is no network 'resnet21'"),
        ((*NETWORK, "--weights", "absent.pth"), "cannot open absent.pth"),
        ((*NETWORK, "--count", 5), "holds 4 images; 5 are asked for"),
        ((*NETWORK, "--input-size", 0), "the input size is 0"),
        ((*NETWORK, "--coder", "mp3"), "coder is 'mp3'"),
    ],
)
def test_calls_at_fault(tmp_path: Path, pictures: Path, options: Any, what: str) -> None:
    result = run("extract", *options, pictures, tmp_path / "out.dfc", status=CALL_AT_FAULT)
    assert what in result.output
    assert not list(tmp_path.glob("*out*"))


def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path, pictures: Path) -> None:
    (pictures / "dog" / "e.png").write_bytes(b"no image")
    for name in ("out.dfc", "out.npy", "out.safetensors"):
        command = ("extract", *NETWORK, "--batch", 1, pictures, tmp_path / name)
        assert "e.png is no image" in run(*command, status=CALL_AT_FAULT).output
    result = run("extract", *NETWORK, pictures, tmp_path / "out.txt", status=CALL_AT_FAULT)
    assert "has the suffix '.txt'" in result.output
    assert not list(tmp_path.glob("*out*"))
