"""Networks by name, and the names that the papers give to their layers.

Chen et al. (2020, Table I) number the convolutional blocks of a network: ``conv1`` to ``conv5`` are their
outputs, rectified if the block ends so, ``poolN`` is the output of a pooling layer in block N, and ``fcN``
that of a fully connected layer, with the numbers continued. Hu et al. (2020, Table I) follow them.

* In VGG and AlexNet the pooling ends a block. In ResNets and DenseNets it begins one: Table I has their first
  one in block 2. Hu et al. compress "the first 2 shallow layers": ``conv1`` and ``pool1`` of VGG-16,
  ``conv1`` and ``pool2`` of FCN-ResNet50. So ``pool2`` is the maximum pooling that follows the first
  convolution. Others call it ``pool1``; both names are accepted, as are ``pool5`` and ``pool6`` for the
  average pooling at the end.
* ``fc6`` and ``fc7`` of VGG and AlexNet are rectified, ``fc8`` are the logits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from refcodec.errors import EnvironmentFault
from refcodec.models import cifar, efficientnet, minilm, scenes, segmenter, video
from refcodec.models.packaged import PackageFile

__all__ = ["NETWORKS", "Entry", "torchvision_models"]

# --- layer names -----------------------------------------------------------------------------------

_ALEXNET = {
    "conv1": "features.1",
    "pool1": "features.2",
    "conv2": "features.4",
    "pool2": "features.5",
    "conv3": "features.7",
    "conv4": "features.9",
    "conv5": "features.11",
    "pool5": "features.12",
    "fc6": "classifier.2",
    "fc7": "classifier.5",
    "fc8": "classifier.6",
}
_VGG16 = {
    "conv1": "features.3",
    "pool1": "features.4",
    "conv2": "features.8",
    "pool2": "features.9",
    "conv3": "features.15",
    "pool3": "features.16",
    "conv4": "features.22",
    "pool4": "features.23",
    "conv5": "features.29",
    "pool5": "features.30",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}
_RESNET = {
    "conv1": "relu",
    "pool1": "maxpool",
    "pool2": "maxpool",
    "conv2": "layer1",
    "conv3": "layer2",
    "conv4": "layer3",
    "conv5": "layer4",
    "pool5": "avgpool",
    "pool6": "avgpool",
    "fc": "fc",
}
_DENSENET = {
    "conv1": "features.relu0",
    "pool1": "features.pool0",
    "pool2": "features.pool0",
    "conv2": "features.transition1.conv",
    "pool3": "features.transition1.pool",
    "conv3": "features.transition2.conv",
    "pool4": "features.transition2.pool",
    "conv4": "features.transition3.conv",
    "pool5": "features.transition3.pool",
    "conv5": "features.denseblock4",
    "fc": "classifier",
}
_FCN = {
    "conv1": "backbone.relu",
    "pool1": "backbone.maxpool",
    "pool2": "backbone.maxpool",
    "conv2": "backbone.layer1",
    "conv3": "backbone.layer2",
    "conv4": "backbone.layer3",
    "conv5": "backbone.layer4",
}
_CIFAR = {
    "conv1": "relu",
    "layer1": "layer1",
    "layer2": "layer2",
    "layer3": "layer3",
    "pool": "pool",
    "fc": "linear",
}
_SEGMENTER = {
    name: name for name in ("conv1", "pool1", "layer1", "layer2", "layer3", "head", "classifier")
}


# --- networks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A network with a name.

    build      : makes it, with random weights.
    input_size : default height and width of its images.
    layers     : modules by the names of layers.
    task       : ``classification``, ``segmentation`` or ``embedding``.
    rename     : current name of a parameter from that in a file; None for one that is not used.
    weights    : a file of trained weights that comes with this package, or with another one.
    vocabulary : number of tokens, if its inputs are texts; 0 for images.
    """

    build: Callable[[], Any]
    input_size: tuple[int, int] = (224, 224)
    layers: Mapping[str, str] = field(default_factory=dict)
    task: str = "classification"
    rename: Callable[[str], str | None] = str
    weights: Path | PackageFile | None = None
    vocabulary: int = 0


def _cifar(depth: int, classes: int = 10) -> Entry:
    return Entry(lambda: cifar.resnet(depth, classes), (32, 32), _CIFAR)


def _video(layers: int) -> Entry:
    return Entry(lambda: video.video_classifier(layers), layers={"hidden": "hidden"}, task="")


def _efficientnet(number: int) -> Entry:
    return Entry(
        lambda: efficientnet.efficientnet_lite(number),
        (224, 224) if number == 0 else (240, 240),
        efficientnet.layers(number),
        rename=efficientnet.rename,
        weights=efficientnet.weights(number),
    )


def _torchvision(name: str, layers: Mapping[str, str], **changes: Any) -> Entry:
    return Entry(
        lambda: getattr(torchvision_models(), name)(weights=None), layers=layers, **changes
    )


def _without_auxiliary(key: str) -> str | None:
    """Drop the parameters of the auxiliary classifier, which only training uses."""
    return None if key.startswith("aux_classifier.") else key


def _dense(key: str) -> str:
    """Rename a parameter of an official file of DenseNet: ``denselayer1.norm.1`` to ``denselayer1.norm1``."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _fcn_resnet50() -> Any:
    models = torchvision_models()
    return models.segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=21)


NETWORKS: Mapping[str, Entry] = {
    **{f"resnet{depth}": _cifar(depth) for depth in (20, 32, 44, 56, 110)},
    "resnet20_cifar100": _cifar(20, 100),
    **{f"video_classifier{layers}": _video(layers) for layers in (2, 3)},
    "alexnet": _torchvision("alexnet", _ALEXNET),
    "vgg16": _torchvision("vgg16", _VGG16),
    **{f"resnet{depth}": _torchvision(f"resnet{depth}", _RESNET) for depth in (50, 101, 152)},
    **{
        f"densenet{depth}": _torchvision(f"densenet{depth}", _DENSENET, rename=_dense)
        for depth in (121, 161, 169, 201)
    },
    "fcn_resnet50": Entry(
        _fcn_resnet50, (520, 520), _FCN, task="segmentation", rename=_without_auxiliary
    ),
    "segmenter": Entry(
        segmenter.segmenter,
        (scenes.SIZE, scenes.SIZE),
        _SEGMENTER,
        task="segmentation",
        weights=segmenter.WEIGHTS,
    ),
    **{f"efficientnet-lite{number}": _efficientnet(number) for number in efficientnet.BLOCKS},
    "minilm": Entry(
        minilm.minilm,
        layers=minilm.LAYERS,
        task="embedding",
        rename=minilm.rename,
        weights=minilm.WEIGHTS,
        vocabulary=minilm.VOCABULARY,
    ),
}
"""The networks by name: those of the papers through torchvision, ResNets for CIFAR (20 to 110 layers),
classifiers of videos' mean features, the segmentation network that comes with the package, and those whose
trained weights are packages of the index."""


# --- torchvision -----------------------------------------------------------------------------------


def torchvision_models() -> ModuleType:
    """The module ``torchvision.models``. Raises EnvironmentFault if torchvision is missing or broken."""
    try:
        return _import_models()
    except ImportError:
        raise EnvironmentFault(
            "this network comes from torchvision, which is missing",
            hint="pip install --no-deps torchvision, in the version that belongs to your torch",
        ) from None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise EnvironmentFault(f"torchvision cannot be imported: {error}") from error
    _declare_operators()
    return torchvision_models()


def _import_models() -> ModuleType:
    import torchvision.models

    found: ModuleType = torchvision.models
    return found


def _declare_operators() -> None:
    """Declare the operators that torchvision expects to find.

    Its wheels on PyPI are built for CUDA. With the CPU build of torch their compiled part does not load, and
    the import fails at two operators of that part (non-maximum suppression, which no network here uses). With
    declared signatures it succeeds.
    """
    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
