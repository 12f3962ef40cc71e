"""Real features, for tests that skip where the networks and images are absent."""

from __future__ import annotations

import pytest

from refcodec.models.trained import (
    ABSENT,
    LAYERS,
    Trained,
    cifar,
    cifar_images,
    data_folder,
    pan,
    photographs,
    weights,
)
from refcodec.models.trained import trained as network

__all__ = [
    "ABSENT",
    "LAYERS",
    "Trained",
    "cifar",
    "cifar_images",
    "data_folder",
    "needs_data",
    "network",
    "pan",
    "photographs",
    "weights",
]

needs_data = [pytest.mark.data, pytest.mark.skipif(data_folder() is None, reason=ABSENT)]
"""Marks of a test, or of a module: ``pytestmark = needs_data``."""
