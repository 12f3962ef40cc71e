"""Classifiers of YouTube-8M's video-level features: Singh et al. 2020, 3.4.

Fully connected layers with ReLU and batch normalisation on the hidden ones. The input is the mean of the
frames of a video, 1024 values of the images and 128 of the sound; the output has 3862 classes, of which a
video has several. ``hidden`` is the last hidden activation, the feature that the paper compresses.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from torch import nn

from refcodec.errors import CallerError

__all__ = ["CLASSES", "INPUTS", "video_classifier"]

INPUTS: Final = 1024 + 128
CLASSES: Final = 3862


def video_classifier(
    layers: int, width: int = 1024, *, inputs: int = INPUTS, classes: int = CLASSES
) -> nn.Sequential:
    """The network of 2 or 3 fully connected layers, not trained: N x inputs to N x classes.

    Raises CallerError for another number of layers.
    """
    if layers not in (2, 3):
        raise CallerError(f"a video classifier has 2 or 3 layers, not {layers}")
    parts: list[tuple[str, nn.Module]] = []
    if layers == 3:
        parts.append(("first", _hidden(inputs, width)))
    parts.append(("hidden", _hidden(width if layers == 3 else inputs, width)))
    parts.append(("output", nn.Linear(width, classes)))
    return nn.Sequential(OrderedDict(parts))


def _hidden(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU())
