"""Sufficient statistics of each image, from which every measure can be computed over resampled images.

A measure is a function of sums over images of a few numbers, its sufficient statistics: the number of an
image's decisions that stayed the same, its squared error, and so on. A bootstrap resample draws each image
another number of times, so that all resamples together are one matrix product. What is counted stays whole
until the one division at the end.

    statistics, one row an image --weights--> sums --measures--> fidelity, output SNR, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.metrics import overlap

__all__ = [
    "Statistics",
    "gather",
    "intervals",
    "join",
    "measures",
    "resampled",
    "resamples",
    "retrieval",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Statistics = dict[str, Array]
"""By name, N or N x K, int64 for counts and float64 for other numbers: see `gather`."""


def gather(
    outputs: Array,
    reference: Array,
    decoded: Array,
    original: Array,
    labels: Array | None = None,
    masks: Array | None = None,
    gallery: Array | None = None,
) -> Statistics:
    """The sufficient statistics of each of N images.

    outputs, reference : N x classes, or N x classes x H x W; the output on decoded and original features.
    decoded, original  : features, N x ...
    labels             : N, the true classes; None where unknown.
    masks              : N x H x W, the true classes of pixels; None where unknown.
    gallery            : of embeddings, those of a whole set, M x D, the references among them; else None.

    Returns ``output_error`` and ``feature_error`` (mean squared errors); ``output_moments`` and
    ``feature_moments`` (mean, mean square; N x 2); ``cosine``; of decisions ``agreement`` (equal ones) of
    ``decisions``; with labels ``top1`` and ``top5`` (0 or 1); with masks ``overlap`` (N x 2 * classes,
    pixels); of embeddings ``output_cosine``, and what `retrieval` returns.
    """
    found = {
        "output_error": _errors(outputs, reference),
        "output_moments": _moments(reference),
        "feature_error": _errors(decoded, original),
        "feature_moments": _moments(original),
        "cosine": _cosines(decoded, original),
    }
    if gallery is not None:
        found |= {"output_cosine": _cosines(outputs, reference)}
        found |= retrieval(outputs, reference, gallery)
    else:
        same = _each(outputs.argmax(1) == reference.argmax(1))
        found["agreement"] = np.count_nonzero(same, axis=1)
        found["decisions"] = np.full(len(same), same.shape[1])
    if labels is not None:
        own = np.take_along_axis(outputs, labels[:, None].astype(np.int64), axis=1)
        above = (outputs > own).sum(axis=1)
        # The decision is the first of equal maxima, as in `refcodec.metrics.top1_accuracy`.
        found["top1"] = (outputs.argmax(axis=1) == labels).astype(np.int64)
        found["top5"] = (above < 5).astype(np.int64)
    if masks is not None:
        found["overlap"] = _each(overlap(outputs, masks))
    return found


_FIRST = 5  # neighbours whose order is compared


def retrieval(outputs: Array, reference: Array, gallery: Array) -> Statistics:
    """Search of a gallery by embeddings, before and after coding; all of length 1.

    outputs, reference : N x D; the references are among the gallery, and find themselves no more.
    gallery            : M x D, M > 5.

    Returns ``neighbours``, 1 where the nearest one is the same, else 0; and ``order``, Kendall's rank
    correlation of the first five that the reference finds, by both.
    """
    similar, wanted = (
        x.astype(np.float64) @ gallery.T.astype(np.float64) for x in (outputs, reference)
    )
    rows, own = np.arange(len(wanted))[:, None], wanted.argmax(axis=1)[:, None]
    similar[rows, own] = wanted[rows, own] = -np.inf
    first = np.argsort(-wanted, axis=1, kind="stable")[:, :_FIRST]
    now = np.take_along_axis(similar, first, axis=1)
    higher, lower = np.triu_indices(_FIRST, 1)
    return {
        "neighbours": (similar.argmax(axis=1) == first[:, 0]).astype(np.int64),
        "order": np.sign(now[:, higher] - now[:, lower]).mean(axis=1),
    }


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
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))  # of equal images exactly a . a
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    products = (a * b).sum(axis=1)
    return np.where(norms > 0, products / np.where(norms > 0, norms, 1), both_zero)


_MEANS = ("top1", "top5", "output_cosine", "neighbours", "order")
"""Statistics whose means over images are measures."""


# --- measures --------------------------------------------------------------------------------------


def measures(statistics: Mapping[str, Array], weights: Array | None = None) -> dict[str, Floats]:
    """The measures of a set, once for every row of weights.

    weights : R x N, how often each image counts; None for one row that counts each of them once.

    Returns R values of ``output_snr_db``, ``feature_mse``, ``feature_snr_db``, ``cosine``; of decisions
    ``fidelity`` and, as far as the truth is known, ``top1``, ``top5`` and ``mean_iou``; of embeddings
    ``output_cosine``, ``neighbours`` and ``order``. Their formulas are in `refcodec.metrics`, and in
    `retrieval`; cosines and orders are averaged over images.
    """
    if weights is None:
        weights = np.ones((1, len(statistics["output_error"])))
    weights = np.asarray(weights, np.float64)  # sums of counts are exact below 2^53
    total = {name: weights @ values for name, values in statistics.items()}
    images = weights.sum(axis=1)
    mean = {name: (values.T / images).T for name, values in total.items()}
    found = {
        "output_snr_db": _snr(mean["output_moments"], mean["output_error"]),
        "feature_mse": mean["feature_error"],
        "feature_snr_db": _snr(mean["feature_moments"], mean["feature_error"]),
        "cosine": mean["cosine"],
    }
    if "agreement" in total:
        found["fidelity"] = total["agreement"] / total.get("decisions", images)
    found |= {name: mean[name] for name in _MEANS if name in mean}
    if "overlap" in total:
        intersection, union = np.moveaxis(total["overlap"].reshape(len(weights), 2, -1), 1, 0)
        met = union > 0
        found["mean_iou"] = (intersection / np.where(met, union, 1)).sum(axis=1) / met.sum(axis=1)
    return found


def _snr(moments: Floats, error: Floats) -> Floats:
    variance = moments[:, 1] - moments[:, 0] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error > 0, 10 * np.log10(np.maximum(variance, 0) / error), np.inf)


# --- the bootstrap ---------------------------------------------------------------------------------


def resamples(images: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Weights of ``count`` bootstrap resamples, count x images (Efron and Tibshirani 1993, chapter 6).

    Each draws as many images as there are, with replacement; a weight says how often an image was drawn.
    The same arguments give the same weights: curves over one set of images are resampled together.
    """
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), count)


def resampled(statistics: Mapping[str, Array], weights: Array) -> dict[str, Floats]:
    """`measures` of resamples, some at a time: overlaps of many classes would fill the memory."""
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
