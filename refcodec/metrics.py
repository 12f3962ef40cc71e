"""Measures of rate and of quality: arrays in, numbers out. Formulas and sources stand in the docstrings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "bits_per_element",
    "compression_rate",
    "cosine_similarity",
    "fidelity",
    "max_error",
    "mean_squared_error",
    "signal_to_noise",
    "top1_accuracy",
]

Array = npt.NDArray[Any]


def compression_rate(coded_bytes: int, features: Array) -> float:
    """Coded size over uncompressed size (Chen et al. 2020, eq. 1; Hu et al. 2020, III-A): less is better."""
    return coded_bytes / features.nbytes


def bits_per_element(coded_bytes: int, elements: int) -> float:
    """``8 * bytes / elements``: bits spent on one value of a feature."""
    return 8 * coded_bytes / elements


def fidelity(outputs: Array, reference: Array) -> float:
    """Share of equal decisions (Hu et al. 2020, eq. 4 averaged over images; eq. 5 over pixels).

    outputs, reference : N x classes, or N x classes x H x W; the network's output on decoded and on
                         original features. The decision is the argmax over axis 1.
    """
    return float(np.mean(outputs.argmax(axis=1) == reference.argmax(axis=1)))


def top1_accuracy(outputs: Array, labels: Array) -> float:
    """Share of right decisions; outputs N x classes, labels N."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def mean_squared_error(decoded: Array, original: Array) -> float:
    """``mean((decoded - original)^2)``, computed in binary64."""
    return float(np.mean(_difference(decoded, original) ** 2))


def max_error(decoded: Array, original: Array) -> float:
    """Largest ``|decoded - original|``."""
    return float(np.abs(_difference(decoded, original)).max())


def signal_to_noise(decoded: Array, original: Array) -> float:
    """``10 log10(var(original) / mse)`` in dB; infinite for equal arrays."""
    error = mean_squared_error(decoded, original)
    power = float(np.var(original.astype(np.float64)))
    if error == 0:
        return math.inf
    return 10 * math.log10(power / error) if power else -math.inf


def cosine_similarity(decoded: Array, original: Array) -> float:
    """Cosine of the angle between two features; 1 for two zero vectors, 0 where only one is zero."""
    a, b = (x.astype(np.float64).ravel() for x in (decoded, original))
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return float(not a.any() and not b.any())
    return float(a @ b) / norms


def _difference(decoded: Array, original: Array) -> npt.NDArray[np.float64]:
    if decoded.shape != original.shape:
        raise ValueError(f"shapes differ: {decoded.shape} and {original.shape}")
    return decoded.astype(np.float64) - original.astype(np.float64)
