"""A small classifier of hand-written digits that can be cut in two, and images to try it on.

The network is a chain of four stages.  It may be cut after any of the first three, and the
array at the cut is the feature to be coded:

========== ================================================= ================
stage      operation                                         output
========== ================================================= ================
``conv``   two 3 x 3 convolutions, each rectified            N x 16 x 8 x 8
``pool``   2 x 2 maximum pooling                             N x 16 x 4 x 4
``fc``     3 x 3 convolution, pooling, fully connected layer N x 64
(the last) fully connected layer                             N x 10 logits
========== ================================================= ================

Arrays are float32 and their axes run image, channel, row, column.  Nothing but numpy is needed
here; ``tools/train_demo.py`` trained the weights and set the held-out images aside.

Source of the images: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*,
UCI Machine Learning Repository, 1998, CC BY 4.0, in the copy that scikit-learn ships.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

INK_LEVELS: Final = np.float32(16)
"""The images count inked dots in 4 x 4 blocks of a finer scan, so a pixel is 0 to 16."""

IMAGE_SHAPE: Final = (1, 8, 8)
"""Shape of one image: channel, row, column."""

FEATURE_SHAPES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"conv": (16, 8, 8), "pool": (16, 4, 4), "fc": (64,)}
)
"""The layers at which the network may be cut, in order, and the shape of one image's feature."""


class Affine(NamedTuple):
    """The parameters of one convolution or fully connected layer.

    ``weight`` is output channel x input channel x row x column for a convolution, and output x
    input for a fully connected layer; ``bias`` has one entry for each output.
    """

    weight: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class Network:
    """The digit classifier, to be run whole or in two parts.

    ``tail(head(images, layer), layer)`` gives the logits whatever the layer.
    """

    conv1: Affine
    conv2: Affine
    conv3: Affine
    hidden: Affine
    output: Affine

    @classmethod
    def load(cls) -> Self:
        """Return the trained network that comes with the package."""
        return cls.from_arrays(_read("weights.npz"))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a network from arrays named as ``conv1.weight`` and ``conv1.bias``.

        Raises KeyError if one of the arrays is missing.
        """
        names = [field.name for field in fields(cls)]
        return cls(*(Affine(arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in names))

    def head(self, images: NDArray[np.floating], layer: str) -> Floats:
        """Run the network from the images up to a cut.

        ``images`` is N x 1 x 8 x 8, from 0 (paper) to 1 (ink).  The feature returned is
        N x C x H x W at ``conv`` and ``pool``, and N x D at ``fc``; see `FEATURE_SHAPES`.

        Raises ValueError if there is no such layer or the images have another shape.
        """
        return _run(self._stages[: _stages_to(layer)], images, IMAGE_SHAPE)

    def tail(self, features: NDArray[np.floating], layer: str) -> Floats:
        """Run the network from a cut to its end and return the logits, N x 10.

        ``features`` is what `head` returned for this layer, or a decoded copy of it.

        Raises ValueError if there is no such layer or its features have another shape.
        """
        return _run(self._stages[_stages_to(layer) :], features, FEATURE_SHAPES[layer])

    @property
    def _stages(self) -> tuple[Callable[[Floats], Floats], ...]:
        """All stages; those but the last are named by `FEATURE_SHAPES`."""
        return self._extract, _max_pool, self._embed, self._classify

    def _extract(self, images: Floats) -> Floats:
        return _rectify(_convolve(_rectify(_convolve(images, self.conv1)), self.conv2))

    def _embed(self, features: Floats) -> Floats:
        pooled = _max_pool(_rectify(_convolve(features, self.conv3)))
        count, *shape = pooled.shape
        return _rectify(_connect(pooled.reshape(count, math.prod(shape)), self.hidden))

    def _classify(self, features: Floats) -> Floats:
        return _connect(features, self.output)


def load_held_out() -> tuple[Floats, NDArray[np.int64]]:
    """Return images that the network was not trained on, and the digits that they show.

    The images are N x 1 x 8 x 8, from 0 to 1 and ready for `Network.head`; the digits are N.
    """
    digits = _read("digits.npz")
    return as_input(digits["images"]), digits["labels"].astype(np.int64)


def as_input(pixels: NDArray[np.uint8]) -> Floats:
    """Turn pixels of 0 to 16, N x 8 x 8, into the network's input, N x 1 x 8 x 8 of 0 to 1."""
    return pixels[:, np.newaxis].astype(np.float32) / INK_LEVELS


def _read(name: str) -> dict[str, NDArray[Any]]:
    """Read every array of a package file, and no pickled objects."""
    path = files("refcodec.demo") / name
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def _stages_to(layer: str) -> int:
    """Count the stages up to the cut at a layer."""
    if layer not in FEATURE_SHAPES:
        raise ValueError(f"no layer {layer!r}; choose from {', '.join(FEATURE_SHAPES)}")
    return list(FEATURE_SHAPES).index(layer) + 1


def _run(
    stages: tuple[Callable[[Floats], Floats], ...],
    inputs: NDArray[np.floating],
    shape: tuple[int, ...],
) -> Floats:
    """Pass a batch of inputs, each of the given shape, through the stages in turn."""
    if inputs.shape[1:] != shape:
        raise ValueError(f"expected arrays of shape N x {shape}, got {inputs.shape}")
    # Contiguous, because matmul may round differently for another memory layout, and a decoded
    # feature should give the same logits as the one that was encoded.
    values = np.ascontiguousarray(inputs, dtype=np.float32)
    for stage in stages:
        values = stage(values)
    return values


def _convolve(maps: Floats, layer: Affine) -> Floats:
    """Correlate with each kernel, zero-padded so that height and width stay as they were."""
    count, _, height, width = maps.shape
    kernels, *kernel_shape = layer.weight.shape
    _, *extent = kernel_shape
    edges = [(size // 2, size // 2) for size in extent]
    windows = sliding_window_view(np.pad(maps, [(0, 0), (0, 0), *edges]), extent, axis=(2, 3))
    # One column per position of the kernel (im2col): the sum is then a matrix product.
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(
        count, math.prod(kernel_shape), height * width
    )
    sums = layer.weight.reshape(kernels, -1) @ columns + layer.bias[:, np.newaxis]
    return sums.reshape(count, kernels, height, width)


def _max_pool(maps: Floats) -> Floats:
    """Keep the largest value of each 2 x 2 block."""
    count, channels, height, width = maps.shape
    blocks = maps.reshape(count, channels, height // 2, 2, width // 2, 2)
    largest: Floats = blocks.max(axis=(3, 5))
    return largest


def _connect(vectors: Floats, layer: Affine) -> Floats:
    return vectors @ layer.weight.T + layer.bias


def _rectify(values: Floats) -> Floats:
    rectified: Floats = np.maximum(values, 0)
    return rectified
