"""The demonstration's network: its cuts, its arithmetic, and how well it reads digits."""

from dataclasses import fields
from importlib.resources import files
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from refcodec.demo.network import (
    FEATURE_SHAPES,
    IMAGE_SHAPE,
    Affine,
    Floats,
    Network,
    as_input,
    load_held_out,
)

Doubles = NDArray[np.float64]


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.load()


@pytest.fixture(scope="module")
def images() -> Floats:
    return load_held_out()[0][:50]


def test_held_out_images_are_ready_for_the_network() -> None:
    images, labels = load_held_out()
    assert images.shape == (360, *IMAGE_SHAPE)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert labels.shape == (360,)
    assert labels.dtype == np.int64


def test_every_digit_is_held_out_about_as_often() -> None:
    counts = np.bincount(load_held_out()[1])
    assert len(counts) == 10
    assert counts.min() >= 34
    assert counts.max() <= 38


def test_pixels_are_scaled_exactly() -> None:
    pixels = np.arange(17, dtype=np.uint8).reshape(1, 1, 17)
    assert np.array_equal(as_input(pixels) * 16, pixels[:, np.newaxis])


@pytest.mark.parametrize("name", ["weights.npz", "digits.npz"])
def test_package_data_holds_no_pickles(name: str) -> None:
    with (
        (files("refcodec.demo") / name).open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        assert not any(array.dtype.hasobject for array in archive.values())


def test_weights_are_float32(network: Network) -> None:
    for field in fields(network):
        layer: Affine = getattr(network, field.name)
        assert layer.weight.dtype == layer.bias.dtype == np.float32
        assert layer.bias.shape == layer.weight.shape[:1]


def test_a_missing_array_is_refused() -> None:
    with pytest.raises(KeyError, match=r"conv1\.weight"):
        Network.from_arrays({})


@pytest.mark.parametrize("layer", FEATURE_SHAPES)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_shapes_and_dtypes(network: Network, images: Floats, layer: str, count: int) -> None:
    features = network.head(images[:count], layer)
    assert features.shape == (count, *FEATURE_SHAPES[layer])
    assert features.dtype == np.float32
    logits = network.tail(features, layer)
    assert logits.shape == (count, 10)
    assert logits.dtype == np.float32


def test_the_cut_does_not_change_the_logits(network: Network, images: Floats) -> None:
    first, *others = (network.tail(network.head(images, layer), layer) for layer in FEATURE_SHAPES)
    for other in others:
        assert np.array_equal(other, first)


@pytest.mark.parametrize("layer", FEATURE_SHAPES)
def test_memory_layout_does_not_change_the_logits(
    network: Network, images: Floats, layer: str
) -> None:
    features = network.head(images, layer)
    reordered = np.asfortranarray(features)
    assert np.array_equal(network.tail(reordered, layer), network.tail(features, layer))


def test_features_are_rectified(network: Network, images: Floats) -> None:
    for layer in FEATURE_SHAPES:
        features = network.head(images, layer)
        assert features.min() == 0
        assert features.max() > 0


def test_held_out_digits_are_read(network: Network) -> None:
    images, labels = load_held_out()
    read = network.tail(network.head(images, "conv"), "conv").argmax(axis=1)
    assert np.mean(read == labels) > 0.97


def test_forward_pass_equals_direct_loops(network: Network, images: Floats) -> None:
    image = images[:1]
    first = _rectify(_convolve_slowly(image[0].astype(np.float64), network.conv1))
    conv = _rectify(_convolve_slowly(first, network.conv2))
    pool = _pool(conv)
    third = _rectify(_convolve_slowly(pool, network.conv3))
    fc = _rectify(network.hidden.weight @ _pool(third).ravel() + network.hidden.bias)
    logits = network.output.weight @ fc + network.output.bias

    for layer, expected in {"conv": conv, "pool": pool, "fc": fc}.items():
        np.testing.assert_allclose(network.head(image, layer)[0], expected, rtol=1e-4, atol=1e-4)
    actual = network.tail(network.head(image, "fc"), "fc")[0]
    np.testing.assert_allclose(actual, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", ["", "conv1", "logits", "CONV"])
def test_an_unknown_layer_is_refused(network: Network, images: Floats, layer: str) -> None:
    with pytest.raises(ValueError, match="choose from conv, pool, fc"):
        network.head(images, layer)
    with pytest.raises(ValueError, match="choose from conv, pool, fc"):
        network.tail(images, layer)


@pytest.mark.parametrize("shape", [(), (8, 8), (1, 8, 8), (2, 3, 8, 8), (2, 1, 8, 7)])
def test_images_of_another_shape_are_refused(network: Network, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected arrays of shape"):
        network.head(np.zeros(shape, np.float32), "conv")


def test_features_of_another_layer_are_refused(network: Network, images: Floats) -> None:
    with pytest.raises(ValueError, match="expected arrays of shape"):
        network.tail(network.head(images, "conv"), "pool")


def _convolve_slowly(maps: Doubles, layer: Affine) -> Doubles:
    """The definition of a zero-padded 3 x 3 convolution layer, one product at a time."""
    channels, height, width = maps.shape
    kernels = len(layer.weight)
    weight = layer.weight.tolist()
    inside = maps.tolist()
    sums = np.empty((kernels, height, width))
    for kernel, row, column in product(range(kernels), range(height), range(width)):
        total = float(layer.bias[kernel])
        for channel, i, j in product(range(channels), range(3), range(3)):
            y, x = row + i - 1, column + j - 1
            if 0 <= y < height and 0 <= x < width:
                total += weight[kernel][channel][i][j] * inside[channel][y][x]
        sums[kernel, row, column] = total
    return sums


def _pool(maps: Doubles) -> Doubles:
    """2 x 2 maximum pooling of C x H x W, by its four phases."""
    rows = np.maximum(maps[:, 0::2], maps[:, 1::2])
    pooled: Doubles = np.maximum(rows[:, :, 0::2], rows[:, :, 1::2])
    return pooled


def _rectify(values: Doubles) -> Doubles:
    return np.where(values > 0, values, 0.0)
