"""Initial tables of the native coder, trained on a wider corpus: that of the tables, and EfficientNet-Lite1.

The features of Lite1 come from photographs that no test has: neither every fifth one nor the first twenty.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from native_states import Model

from refcodec.models import load
from refcodec.models.images import normalise, open_images
from refcodec.models.trained import data_folder

sys.path.insert(0, str(Path(__file__).parents[1]))
import train_tables

__all__ = ["train"]

LAYERS = ("block0", "block2", "block4", "block7", "block10", "block14", "block18", "pooled")
PHOTOGRAPHS = tuple(number for number in range(21, 250) if number % 5)[::12]

Job = tuple[npt.NDArray[np.int64], int, int]


def train() -> Model:
    """Initial states and weights from both, as ``tools/train_tables.py`` trains them."""
    jobs = sorted([*train_tables.features(), *_features()], key=_mixed)
    with patch.object(train_tables, "features", lambda: iter(jobs)):
        return Model(*train_tables.train())


def _features() -> Iterator[Job]:
    """12-bit samples of features of Lite1, QP and largest block, as `train_tables.features` gives them."""
    network = load("efficientnet-lite1")
    source = open_images(f"{data_folder()}/imagenet-sample", size=network.input_size)
    images = normalise(np.stack([source[number].image for number in PHOTOGRAPHS]))
    qps, number = train_tables.QPS, 0
    for layer in LAYERS:
        with torch.inference_mode():
            maps = network.cut(layer).head(images).numpy().astype(np.float64)
        for one in maps:
            values = one if one.ndim == 3 else one[:, None, None]
            low, span = values.min(), np.ptp(values)
            samples = np.rint((values - low) * (train_tables.LARGEST / span)).astype(np.int64)
            side = max(values.shape[1:])
            block = (
                0 if side == 1 or number % 9 == 8 else 32 if side > 16 and number % 5 == 4 else 16
            )
            yield samples, qps[number % len(qps)], block
            number += 1


def _mixed(job: Job) -> Any:
    """A place in an order that mixes both and never changes."""
    return hashlib.sha256(job[0].tobytes() + bytes(job[1:])).digest()
