"""Rendered scenes and the network that segments them: exact bytes, true masks, and how well it sees."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from refcodec.metrics import mean_iou, overlap
from refcodec.models import Network, load, scenes
from refcodec.models.images import normalise, open_images
from refcodec.models.scenes import (
    CLASSES,
    HELD_OUT_SEED,
    SIZE,
    TRAINING_SEED,
    render_scene,
    render_scenes,
)
from refcodec.models.segmenter import WEIGHTS

SHAPES = {
    "conv1": (16, SIZE, SIZE),
    "pool1": (16, SIZE // 2, SIZE // 2),
    "layer1": (16, SIZE // 2, SIZE // 2),
    "layer2": (32, SIZE // 4, SIZE // 4),
}

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def held_out() -> tuple[Pixels, Pixels]:
    return render_scenes(40, HELD_OUT_SEED)


@pytest.fixture(scope="module")
def network() -> Network:
    return load("segmenter")


# --- scenes


def test_a_scene_has_the_same_bytes_everywhere() -> None:
    """Integers alone make it, but for sines, of which none comes nearer to a half than 0.001."""
    image, mask = render_scene(TRAINING_SEED, 0)
    digest = hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()
    assert digest == "a24dcc2961dcc652fe2a495ef6affd9ac4f5426459d11f1b941c885ebfbe1c68"


def test_a_scene_depends_on_its_seed_and_number_alone(held_out: tuple[Pixels, Pixels]) -> None:
    for all_of_them, some in zip(held_out, render_scenes(2, HELD_OUT_SEED, start=7), strict=True):
        assert np.array_equal(some, all_of_them[7:9])
    for first, other in zip(render_scene(0, 1), render_scene(1, 0), strict=True):
        assert not np.array_equal(first, other)


def test_a_source_of_images_gives_held_out_scenes(held_out: tuple[Pixels, Pixels]) -> None:
    source = open_images("scenes:9", size=(SIZE, SIZE))
    assert len(source) == 9
    assert source.classes == CLASSES
    mask = source[8].mask
    assert mask is not None
    images, masks = held_out
    assert np.array_equal(images[8], source[8].image)
    assert np.array_equal(masks[8], mask)


def test_scenes_are_images_and_masks_of_all_classes(held_out: tuple[Pixels, Pixels]) -> None:
    images, masks = held_out
    assert images.shape == (40, SIZE, SIZE, 3)
    assert masks.shape == (40, SIZE, SIZE)
    assert images.dtype == masks.dtype == np.uint8
    share = np.bincount(masks.ravel()) / masks.size
    assert len(share) == len(CLASSES)
    assert share.min() > 0.04
    assert share[0] < 0.7


def test_outlines_have_the_areas_of_their_shapes() -> None:
    v, u = np.mgrid[-1300:1300:2, -1300:1300:2]
    triangle = 3 * math.sqrt(3) * 600**2  # of its inscribed circle's radius
    areas = {
        "disk": math.pi * 1024**2,
        "square": (2 * 870) ** 2,
        "triangle": triangle,
        "cross": 2 * (2 * 330) * (2 * 1024) - (2 * 330) ** 2,
        "ring": math.pi * (1024**2 - 512**2),
    }
    assert tuple(areas) == CLASSES[1:]
    for outline, area in zip(scenes._OUTLINES, areas.values(), strict=True):
        assert 4 * outline(u, v).sum() == pytest.approx(area, rel=0.005)


def contrast(images: Pixels, masks: Pixels) -> float:
    """Ratio of the differences between neighbouring rows where the mask changes and where it does not."""
    steps = abs(np.diff(images.astype(int), axis=1)).sum(axis=3)
    edges = np.diff(masks.astype(int), axis=1) != 0
    return float(steps[edges].mean() / steps[~edges].mean())


def test_masks_lie_where_the_images_change(held_out: tuple[Pixels, Pixels]) -> None:
    images, masks = held_out
    there = contrast(images, masks)
    assert there > 2
    for shift in (-2, 2):
        assert contrast(images, np.roll(masks, shift, axis=1)) < 0.7 * there
        assert contrast(images, np.roll(masks, shift, axis=2)) < 0.9 * there


def test_colour_does_not_tell_the_class(held_out: tuple[Pixels, Pixels]) -> None:
    """The best table from colours to classes sees next to nothing."""

    def shades(images: Pixels) -> npt.NDArray[np.int64]:
        return (images.astype(np.int64) >> 5) @ np.array([64, 8, 1])

    images, masks = render_scenes(80, TRAINING_SEED)
    table = np.zeros((512, len(CLASSES)), np.int64)
    np.add.at(table, (shades(images), masks), 1)
    scores = np.moveaxis(table[shades(held_out[0])], 3, 1)
    assert mean_iou(scores, held_out[1]) < 0.2


# --- the network


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size <= 300_000
    assert {value.dtype for value in load_file(WEIGHTS).values()} == {torch.float16, torch.int64}


def test_held_out_scenes_are_segmented(network: Network, held_out: tuple[Pixels, Pixels]) -> None:
    images, masks = held_out
    with torch.no_grad():
        scores = network.module(normalise(images)).numpy()
    assert scores.shape == (40, len(CLASSES), SIZE, SIZE)
    assert mean_iou(scores, masks) > 0.85
    intersection, union = overlap(scores, masks).sum(axis=0)
    assert (intersection / union).min() > 0.8


@pytest.mark.parametrize("layer", SHAPES)
def test_the_network_can_be_cut(
    network: Network, held_out: tuple[Pixels, Pixels], layer: str
) -> None:
    images = normalise(held_out[0][:2])
    cut = network.cut(layer)
    features = cut.head(images)
    assert cut.feature_type == ("pool" if layer == "pool1" else "conv")
    assert features.shape == (2, *SHAPES[layer])
    assert features.min() == 0  # rectified
    assert torch.equal(cut.tail(features), network.module(images))
    assert cut.representation(features).shape == (2, 32, SIZE // 4, SIZE // 4)
