"""Sufficient statistics of each image, from which every measure can be computed over resampled images.

A measure is a function of the means over images of a few numbers, its sufficient statistics: the share of an
image's decisions that are unchanged, its squared error, and so on. A bootstrap resample weights the images,
so that all resamples together are one matrix product.

    statistics, one row per image --weights--> means --measures--> fidelity, output SNR, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.metrics import overlap

__all__ = ["Statistics", "gather", "intervals", "join", "measures", "resampled", "resamples"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Statistics = dict[str, Floats]
"""Arrays by name, N or N x K: see `gather`."""


def gather(
    outputs: Array,
    reference: Array,
    decoded: Array,
    original: Array,
    labels: Array | None = None,
    masks: Array | None = None,
) -> Statistics:
    """The sufficient statistics of each of N images.

    outputs, reference : N x classes, or N x classes x H x W; the output on decoded and original features.
    decoded, original  : features, N x ...
    labels             : N, the true classes; None where unknown.
    masks              : N x H x W, the true classes of pixels; None where unknown.

    Returns ``agreement`` (share of equal decisions); ``output_error`` and ``feature_error`` (mean squared
    errors); ``output_moments`` and ``feature_moments`` (mean, mean square; N x 2); ``cosine``; with
    labels ``top1`` and ``top5`` (0 or 1); with masks ``overlap`` (N x 2 * classes, pixels).
    """
    found = {
        "agreement": _each(outputs.argmax(1) == reference.argmax(1)).mean(axis=1),
        "output_error": _errors(outputs, reference),
        "output_moments": _moments(reference),
        "feature_error": _errors(decoded, original),
        "feature_moments": _moments(original),
        "cosine": _cosines(decoded, original),
    }
    if labels is not None:
        own = np.take_along_axis(outputs, labels[:, None].astype(np.int64), axis=1)
        above = (outputs > own).sum(axis=1)
        # The decision is the first of equal maxima, as in `refcodec.metrics.top1_accuracy`.
        found["top1"] = (outputs.argmax(axis=1) == labels).astype(np.float64)
        found["top5"] = (above < 5).astype(np.float64)
    if masks is not None:
        found["overlap"] = _each(overlap(outputs, masks).astype(np.float64))
    return found


def join(parts: Sequence[Statistics]) -> Statistics:
    """Concatenate the statistics of portions of a set."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _each(x: Array) -> Array:
    return x.reshape(len(x), -1)


def _errors(a: Array, b: Array) -> Floats:
    return np.asarray(((_each(a).astype(np.float64) - _each(b)) ** 2).mean(axis=1))


def _moments(x: Array) -> Floats:
    flat = _each(x).astype(np.float64)
    return np.stack([flat.mean(axis=1), (flat**2).mean(axis=1)], axis=1)


def _cosines(a: Array, b: Array) -> Floats:
    a, b = _each(a).astype(np.float64), _each(b).astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    products = (a * b).sum(axis=1)
    return np.where(norms > 0, products / np.where(norms > 0, norms, 1), both_zero)


# --- measures --------------------------------------------------------------------------------------


def measures(statistics: Mapping[str, Floats], weights: Floats | None = None) -> dict[str, Floats]:
    """The measures of a set, for every row of weights.

    weights : R x N, each row summing to 1; None for one row of equal weights.

    Returns R values of ``fidelity``, ``output_snr_db``, ``feature_mse``, ``feature_snr_db``,
    ``cosine`` and, as far as the truth is known, ``top1``, ``top5`` and ``mean_iou``. Their formulas
    are in `refcodec.metrics`; the cosine is averaged over images.
    """
    if weights is None:
        images = len(statistics["agreement"])
        weights = np.full((1, images), 1 / images)
    mean = {name: weights @ values for name, values in statistics.items()}
    found = {
        "fidelity": mean["agreement"],
        "output_snr_db": _snr(mean["output_moments"], mean["output_error"]),
        "feature_mse": mean["feature_error"],
        "feature_snr_db": _snr(mean["feature_moments"], mean["feature_error"]),
        "cosine": mean["cosine"],
    }
    found |= {name: mean[name] for name in ("top1", "top5") if name in mean}
    if "overlap" in mean:
        intersection, union = np.moveaxis(mean["overlap"].reshape(len(weights), 2, -1), 1, 0)
        met = union > 0
        found["mean_iou"] = (intersection / np.where(met, union, 1)).sum(axis=1) / met.sum(axis=1)
    return found


def _snr(moments: Floats, error: Floats) -> Floats:
    variance = moments[:, 1] - moments[:, 0] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > 0, 10 * np.log10(np.maximum(variance, 0) / error), np.inf)


# --- the bootstrap ---------------------------------------------------------------------------------


def resamples(images: int, count: int, seed: int) -> Floats:
    """Weights of ``count`` bootstrap resamples, count x images (Efron and Tibshirani 1993, chapter 6).

    Each draws as many images as there are, with replacement; a weight is an image's share of the draws.
    The same arguments give the same weights: curves over one set of images are resampled together.
    """
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), count)
    return draws / images


def resampled(statistics: Mapping[str, Floats], weights: Floats) -> dict[str, Floats]:
    """`measures` of resamples, computed in parts, as the overlaps of many classes take much memory."""
    parts = [measures(statistics, weights[i : i + 100]) for i in range(0, len(weights), 100)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def intervals(values: Mapping[str, Floats], confidence: float) -> dict[str, tuple[float, float]]:
    """Percentile intervals of resampled measures, low and high (Efron and Tibshirani 1993, 13.3)."""
    tail = (1 - confidence) / 2
    ends = {  # no interpolation, as values may be infinite
        name: np.quantile(one, [tail, 1 - tail], method="inverted_cdf")
        for name, one in values.items()
    }
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}
