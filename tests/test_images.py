"""Image codecs: CompressAI's models, streams of latents, images from them, a classifier of latents."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file

import refcodec
from refcodec.errors import CallerError
from refcodec.images import (
    FrozenImageCodec,
    ImageCodec,
    LatentClassifier,
    freeze_images,
    load_compressai,
    read_images,
)
from refcodec.images.gdn import GDN
from refcodec.images.imported import codec_of_compressai

FIXTURES = Path(__file__).parent / "fixtures"


def compressai(kind: str) -> dict[str, torch.Tensor]:
    """A model's state and what it gives, as tools/make_compressai_fixture.py has written them."""
    return load_file(FIXTURES / f"compressai-{kind}.safetensors")


def pictures(count: int, height: int = 45, width: int = 70) -> list[Any]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, height // 5, width // 5, 3), dtype=np.uint8)
    return list(coarse.repeat(5, axis=1).repeat(5, axis=2))


# --- CompressAI


@pytest.mark.parametrize("kind", ["scales", "means"])
def test_networks_give_what_compressai_gives(kind: str) -> None:
    found = compressai(kind)
    expected = {name[9:]: one for name, one in found.items() if name.startswith("expected.")}
    codec = load_compressai(FIXTURES / f"compressai-{kind}.safetensors")
    assert codec.means is (kind == "means")
    with torch.no_grad():
        y, z = codec.analyse(expected["image"] / 255)
        means, deviations = codec.distributions(z.round())
        images = codec.synthesis(y.round())
        grid = torch.arange(-8.0, 9.0).expand(4, -1)
        probabilities = codec.density.probabilities(grid)
    assert z.round().abs().max() >= 2
    for one, name in ((y, "y"), (z, "z"), (means, "means"), (images, "images")):
        assert_allclose(one, expected[name], atol=2e-5, err_msg=name)
    assert_allclose(deviations, expected["deviations"].clamp(min=0.11), atol=2e-5)
    assert_allclose(probabilities, expected["probabilities"][:, 0], atol=1e-6)


def test_checkpoints_of_old_versions_of_compressai() -> None:
    """Parameters of the density were ``_matrix0``; a parallel model's names begin with ``module.``."""
    new = {name: one for name, one in compressai("scales").items() if "expected" not in name}
    names = {"matrices.": "_matrix", "biases.": "_bias", "factors.": "_factor"}
    old = {}
    for name, one in new.items():
        for now, then in names.items():
            name = name.replace(now, then)
        old[f"module.{name}"] = one
    expected = codec_of_compressai(new).state_dict()
    found = codec_of_compressai(old).state_dict()
    assert all(torch.equal(one, found[name]) for name, one in expected.items())


def test_weights_of_something_else() -> None:
    with pytest.raises(CallerError, match="no weights of bmshj2018-hyperprior or mbt2018-mean"):
        codec_of_compressai({"conv.weight": torch.zeros(1)})
    lacking = compressai("scales")
    del lacking["g_s.0.weight"]
    with pytest.raises(CallerError, match=r"do not fit: .*\n.*synthesis.0.weight"):
        codec_of_compressai(lacking)


# --- streams


def frozen_of(kind: str) -> FrozenImageCodec:
    return freeze_images(load_compressai(FIXTURES / f"compressai-{kind}.safetensors"), pictures(6))


@pytest.mark.parametrize("kind", ["scales", "means"])
def test_streams_hold_the_latents_and_their_deviations(tmp_path: Path, kind: str) -> None:
    frozen, images = frozen_of(kind), pictures(3)
    frozen.write(tmp_path / "images.dfc", images)
    assert refcodec.validate(tmp_path / "images.dfc").conforming
    with refcodec.open(tmp_path / "images.dfc", output="latents") as reader:
        latents: list[Any] = list(reader)
    codec = frozen.codec
    for image, one in zip(images, latents, strict=True):
        padded = np.pad(image, ((0, 64 - 45), (0, 128 - 70), (0, 0)), mode="edge")
        with torch.no_grad():
            y, z = codec.analyse(torch.from_numpy(padded).permute(2, 0, 1)[None] / 255)
            means, deviations = codec.distributions(z.round())
        offsets = one.values - means[0].numpy()
        assert np.abs(offsets - np.rint(offsets)).max() < 0.1  # means of integers differ a little
        assert np.abs(one.values - y[0].numpy()).max() < 0.6
        ratios = np.log2(one.deviations / deviations[0].numpy())
        assert np.abs(ratios).mean() < 0.12


@pytest.mark.parametrize("kind", ["scales", "means"])
def test_images_come_back(tmp_path: Path, kind: str) -> None:
    """The pixels of the float codec, but for latents that its float hyperprior rounds otherwise."""
    frozen, images = frozen_of(kind), pictures(2)
    frozen.write(tmp_path / "images.dfc", images, apart=True)
    frozen.model.save(tmp_path / "model.dfcm")
    found = list(read_images(tmp_path / "images.dfc", frozen.codec))
    assert [one.shape for one in found] == [(45, 70, 3)] * 2
    for image, one in zip(images, found, strict=True):
        padded = np.pad(image, ((0, 64 - 45), (0, 128 - 70), (0, 0)), mode="edge")
        with torch.no_grad():
            expected = frozen.codec(torch.from_numpy(padded).permute(2, 0, 1)[None] / 255).images[0]
        pixels = (255 * expected[:, :45, :70]).round().clamp(0, 255).permute(1, 2, 0).numpy()
        assert np.abs(one - pixels).mean() < 2
    with refcodec.open(tmp_path / "images.dfc", output="latents") as reader:
        assert json.loads(reader.metadata["refcodec.image_size"]) == [45, 70]


def test_a_trained_codec_reconstructs_images_and_its_files_are_as_large_as_it_says() -> None:
    """A few steps on a few pictures make better images; and the sizes of files are those estimated."""
    images = pictures(8, 30, 30)
    codec = ImageCodec(16, 12, halvings=2, seed=1)
    inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    inputs = torch.nn.functional.pad(inputs, (0, 2, 0, 2), mode="replicate")
    optimiser = torch.optim.Adam(codec.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)

    def errors() -> tuple[float, float]:
        with torch.no_grad():
            coded = codec(inputs)
        return ((coded.images - inputs) ** 2).mean().item(), coded.bits.mean().item()

    before = errors()
    for _ in range(150):
        coded = codec(inputs, lambda shape: torch.rand(shape, generator=generator) - 0.5)
        optimiser.zero_grad()
        (3000 * ((coded.images - inputs) ** 2).mean() + coded.bits.mean() / 1024).backward()
        optimiser.step()
    after = errors()
    assert after[0] < 0.3 * before[0]
    frozen, target = freeze_images(codec.eval(), images), io.BytesIO()
    frozen.write(target, images, apart=True)
    size = 8 * len(target.getvalue()) / len(images)
    assert size == pytest.approx(after[1], rel=0.15, abs=300)


def test_images_of_other_sizes_or_types() -> None:
    frozen, wrong = frozen_of("scales"), [np.zeros((8, 8, 3))]  # type: Any, Any
    with pytest.raises(CallerError, match="images of 2 sizes"):
        frozen.write("never.dfc", [*pictures(1), *pictures(1, 10, 10)])
    with pytest.raises(CallerError, match="images of 0 sizes"):
        frozen.write("never.dfc", [])
    with pytest.raises(CallerError, match="float64; it is H x W x 3, uint8"):
        freeze_images(frozen.codec, wrong)
    with pytest.raises(CallerError, match="at least one of each"):
        ImageCodec(0)


def test_normalisation_and_its_inverse() -> None:
    values = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    forth, back = GDN(5), GDN(5, inverse=True)
    expected = values / (1 + 0.1 * values**2).sqrt()
    assert_allclose(forth(values).detach(), expected, rtol=1e-5)
    assert_allclose(back(values).detach(), values * (1 + 0.1 * values**2).sqrt(), rtol=1e-5)


# --- the classifier


def test_the_classifier_is_that_of_the_paper() -> None:
    """Table 2: two blocks of 32 for either input, then 4, 6 and 3 blocks, as ResNet-50's last ones."""
    network = LatentClassifier(192, 23).eval()
    blocks = [len(stage) for stage in network.stages]
    assert blocks == [4, 6, 3]
    widths = [stage[0].conv1.weight.shape[0] for stage in network.stages]
    assert widths == [128, 256, 512]
    assert len(network.of_latents) == len(network.of_deviations) == 2
    values = torch.randn(1, 192, 28, 28, generator=torch.Generator().manual_seed(0))
    assert network(values, values.abs()).shape == (1, 23)


def test_resnet50_gives_its_last_stages() -> None:
    network = LatentClassifier(8, 5, seed=3)
    state = {
        f"layer{number + 2}.{name}": torch.full_like(one, number + 1)
        for number, stage in enumerate(network.stages)
        for name, one in stage.state_dict().items()
    }
    assert state["layer2.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    network.take_resnet50(state | {"fc.weight": torch.zeros(1)})
    for number, stage in enumerate(network.stages):
        assert all(bool((one == number + 1).all()) for one in stage.state_dict().values())
