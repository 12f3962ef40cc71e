"""Measures of rate and quality: arrays in, numbers out. Docstrings give the formulas and their sources."""

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
    "mean_iou",
    "mean_squared_error",
    "overlap",
    "signal_to_noise",
    "top1_accuracy",
    "top_accuracy",
]

Array = npt.NDArray[Any]


def compression_rate(coded_bytes: int, features: Array) -> float:
    """Coded size over uncompressed size (Chen et al. 2020, eq. 1; Hu et al. 2020, III-A): lower is better."""
    return coded_bytes / features.nbytes


def bits_per_element(coded_bytes: int, elements: int) -> float:
    """``8 * bytes / elements``: bits per value of a feature."""
    return 8 * coded_bytes / elements


def fidelity(outputs: Array, reference: Array) -> float:
    """Share of decisions that stay the same: their number over that of all.

    A decision stays the same where ``argmax(outputs) == argmax(reference)``.

    outputs, reference : N x classes, or N x classes x H x W; the network's output on decoded and on
                         original features. The decision is the argmax over axis 1.

    For images this is eq. 4 of Hu et al. (2020), averaged over the images; for pixels it is their eq. 5.
    """
    return _share(outputs.argmax(axis=1) == reference.argmax(axis=1))


def top1_accuracy(outputs: Array, labels: Array) -> float:
    """Share of right decisions, ``argmax(outputs) == labels``; outputs N x classes, labels N."""
    return _share(outputs.argmax(axis=1) == labels)


def top_accuracy(outputs: Array, labels: Array, k: int = 5) -> float:
    """Share of images whose label is among the ``k`` highest outputs (ILSVRC: top-5 accuracy).

    outputs : N x classes.
    labels  : N. A label is among them if fewer than ``k`` classes have a higher output.
    """
    own = np.take_along_axis(outputs, labels[:, None], axis=1)
    return _share((outputs > own).sum(axis=1) < k)


def mean_iou(outputs: Array, masks: Array, ignore: int = 255) -> float:
    """Mean over classes of ``intersection / union`` of predicted and true pixels (PASCAL VOC).

    outputs : N x classes x H x W.
    masks   : N x H x W, true classes; pixels whose mask is ``ignore`` do not count.

    Pixels of all images are counted together; a class that is neither predicted nor true is left out.
    """
    intersection, union = overlap(outputs, masks, ignore).sum(axis=0)
    return float(np.mean(intersection[union > 0] / union[union > 0]))


def overlap(outputs: Array, masks: Array, ignore: int = 255) -> npt.NDArray[np.int64]:
    """Pixels in the intersection and the union of predicted and true, N x 2 x classes: see `mean_iou`."""
    classes = outputs.shape[1]
    decided, counted = outputs.argmax(axis=1), masks != ignore
    found = np.empty((len(outputs), 2, classes), np.int64)
    for one in range(classes):
        ours, theirs = (decided == one) & counted, masks == one
        found[:, 0, one] = (ours & theirs).sum(axis=(1, 2))
        found[:, 1, one] = (ours | theirs).sum(axis=(1, 2))
    return found


def mean_squared_error(decoded: Array, original: Array) -> float:
    """``mean((decoded - original)^2)``, computed in binary64."""
    return float(np.mean(_difference(decoded, original) ** 2))


def max_error(decoded: Array, original: Array) -> float:
    """Largest ``|decoded - original|``."""
    return float(np.abs(_difference(decoded, original)).max())


def signal_to_noise(decoded: Array, original: Array) -> float:
    """``10 log10(var(original) / mse)`` in dB; infinite for equal arrays.

    Of features or of outputs: over all logits of a set it is the *output SNR*, which, unlike fidelity,
    varies continuously with the rate.
    """
    error = mean_squared_error(decoded, original)
    power = float(np.var(original.astype(np.float64)))
    if error == 0:
        return math.inf
    return 10 * math.log10(power / error) if power else -math.inf


def cosine_similarity(decoded: Array, original: Array) -> float:
    """``a . b / (|a| |b|)``, the cosine of the angle between two features as vectors.

    1 for equal features, two zero vectors among them; 0 where only one is zero.
    """
    a, b = (x.astype(np.float64).ravel() for x in (decoded, original))
    both, ours, theirs = (float(np.sum(one)) for one in (a * b, a * a, b * b))
    norms = math.sqrt(ours * theirs)
    if norms == 0:
        return float(not a.any() and not b.any())
    return both / norms


def _share(hits: npt.NDArray[np.bool_]) -> float:
    """The number of hits over that of trials; not a number where nothing was tried."""
    return int(np.count_nonzero(hits)) / hits.size if hits.size else math.nan


def _difference(decoded: Array, original: Array) -> npt.NDArray[np.float64]:
    if decoded.shape != original.shape:
        raise ValueError(f"shapes differ: {decoded.shape} and {original.shape}")
    return decoded.astype(np.float64) - original.astype(np.float64)
