"""The Karhunen-Loève transform over the channels of features, plain or weighted. Not normative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError
from refcodec.inputs import as_array

__all__ = ["Moments", "klt_of", "moments_of"]

Values = npt.NDArray[np.float64]

_UNITS = 1023
"""Coefficients of 1 in the usual range of the features: those of samples of 10 bits."""

_USUAL_RANGE = 24.0
"""Usual range of features, in medians of the distances of values from the means of their channels: that of 16
standard deviations of normal values. Outliers, of channels, tokens or features, do not change it."""

_FARTHEST = 12.0
"""Root mean square of a position, in medians of distances, above which it counts less, so that outliers
do not decide the transform."""

_REMEMBERED = 64
"""Features whose distances tell what is usual while features are read."""

_LARGEST_DEVIATION = 4096.0
"""Standard deviation of a coefficient at most, in its units: those of larger ones are coarser."""

_FLOOR = 1e-6
"""Least eigenvalue of a metric, relative to the greatest: directions of less weight count as of this."""


class Moments(NamedTuple):
    """Statistics of the channels of features.

    mean       : of each channel.
    covariance : channels x channels.
    extent     : usual range of the values, which outliers do not change.
    """

    mean: Values
    covariance: Values
    extent: float


def moments_of(features: Iterable[Any]) -> Moments:
    """The moments of features, which are read one by one: C x H x W, T x D (tokens) or D.

    Raises CallerError for no features, features that differ in their number of channels, and values that are
    not finite.
    """
    distances: list[float] = []
    total, usual, shift = 0.0, 0.0, np.zeros(0)
    first, second = np.zeros(0), np.zeros((0, 0))
    for feature in _each(features):
        table = _by_channel(as_array(feature))
        if not np.isfinite(table).all():
            raise CallerError("a feature to fit a transform to has values that are not finite")
        if not distances:
            shift = np.median(table, axis=1)  # keeps the sums small where means are large
            first, second = np.zeros(len(table)), np.zeros((len(table), len(table)))
        if len(table) != len(shift):
            raise CallerError(
                f"features of {len(shift)} and of {len(table)} channels have no common transform"
            )
        table = table - shift[:, None]
        distances.append(float(np.median(np.abs(table))))
        if distances[-1] > 0 or not usual:
            usual = float(np.median(distances[-_REMEMBERED:]))
        sizes = np.sqrt((table**2).mean(axis=0))
        weights = np.minimum(1.0, _FARTHEST * usual / np.maximum(sizes, 1e-300)) ** 2
        if usual == 0:
            weights = np.ones_like(weights)
        first += table @ weights
        second += (table * weights) @ table.T
        total += float(weights.sum())
    if not distances:
        raise CallerError("there are no features to fit a transform to")
    mean = first / total
    covariance = second / total - np.outer(mean, mean)
    found = float(np.median(distances))
    if found == 0:  # most values are alike
        found = float(np.sqrt(np.trace(covariance) / len(covariance)))
    return Moments(mean + shift, covariance, _USUAL_RANGE * found)


def _each(features: Iterable[Any]) -> Iterable[Any]:
    """The features one by one. Raises CallerError for what is none, or may be one feature or several."""
    if isinstance(features, (str, bytes, Mapping)) or not isinstance(features, Iterable):
        raise CallerError(
            f"a {type(features).__name__} is no sequence of features",
            hint="give a list, a generator, a reader or an array N x C x H x W",
        )
    shape = tuple(getattr(features, "shape", ()))
    if len(shape) == 3:
        raise CallerError(
            f"an array of shape {shape} may be one map, or several features of tokens",
            hint="give [x] for a map, list(x) for tokens",
        )
    return features


def _by_channel(feature: npt.NDArray[Any]) -> Values:
    """A feature as channels x positions, float64. Raises CallerError."""
    if feature.ndim not in (1, 2, 3) or feature.size == 0:
        raise CallerError(
            f"a feature of shape {feature.shape}", hint="features are C x H x W, T x D or D"
        )
    if not np.can_cast(feature.dtype, np.float64, "same_kind"):
        raise CallerError(f"a feature of type {feature.dtype}", hint="features are real numbers")
    values = feature.astype(np.float64)
    return values.T if values.ndim == 2 else values.reshape(len(values), -1)


def klt_of(moments: Moments, metric: npt.ArrayLike | None = None, groups: int = 1) -> Values:
    """The matrix of the transform whose coefficients are uncorrelated, greatest variance first.

    metric : channels x channels, symmetric: e' M e is the loss by an error e of the channels of a position.
             Equal errors of coefficients then lose equally. It is scaled to the determinant 1, so that a QP
             costs the same bits at high rates as without one. None for the squared error.
    groups : of consecutive channels, each with a transform of its own.

    Returns groups x channels x coefficients, in the form that `ChannelTransform.from_matrix` takes: a
    coefficient of 1 is 1/1023 of the extent of the features, or of a coefficient that varies by more than 64
    usual deviations a power of two of that. Raises CallerError.
    """
    channels = len(moments.mean)
    if not 1 <= groups <= channels or channels % groups:
        raise CallerError(f"{channels} channels are not divided into {groups} groups of equal size")
    form = np.eye(channels) if metric is None else np.asarray(metric, np.float64)
    if form.shape != (channels, channels) or not np.isfinite(form).all():
        raise CallerError(
            f"a metric of shape {form.shape} for {channels} channels; it is square, and finite"
        )
    size = channels // groups
    unit = (moments.extent or 1.0) / _UNITS
    found = np.zeros((groups, size, size))
    for group in range(groups):
        own = slice(group * size, (group + 1) * size)
        weights, axes = np.linalg.eigh((form[own, own] + form[own, own].T) / 2)
        if not weights[-1] > 0:
            raise CallerError("a metric is positive: some error of each group must lose something")
        weights = np.maximum(weights, _FLOOR * weights[-1])
        weights /= np.exp(np.log(weights).mean())
        root = (axes * np.sqrt(weights)) @ axes.T
        inverse = (axes / np.sqrt(weights)) @ axes.T
        variances, vectors = np.linalg.eigh(root @ moments.covariance[own, own] @ root)
        deviations = np.sqrt(np.maximum(variances[::-1], 0)) / unit
        coarser = np.exp2(np.ceil(np.log2(np.maximum(deviations / _LARGEST_DEVIATION, 1))))
        found[group] = unit * coarser * (inverse @ vectors[:, ::-1])
    return found
