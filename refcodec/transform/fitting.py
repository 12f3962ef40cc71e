"""The Karhunen-Loève transform over the channels of features, plain or weighted. Not normative."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError

__all__ = ["Moments", "klt_of", "moments_of"]

Values = npt.NDArray[np.float64]

_UNITS = 1023
"""Coefficients of 1 in the range of the features: those of samples of 10 bits."""

_FLOOR = 1e-6
"""Least eigenvalue of a metric, relative to the greatest: directions of less weight count as of this."""


class Moments(NamedTuple):
    """Statistics of the channels of features.

    mean       : of each channel.
    covariance : channels x channels.
    extent     : from the least value of all channels to the greatest.
    """

    mean: Values
    covariance: Values
    extent: float


def moments_of(features: Iterable[Any]) -> Moments:
    """The moments of features, which are read one by one: C x H x W, T x D (tokens) or D.

    Raises CallerError for no features, features that differ in their number of channels, and values that are
    not finite.
    """
    count, low, high = 0, np.inf, -np.inf
    first, second = np.zeros(0), np.zeros((0, 0))
    shift = np.zeros(0)  # keeps the sums small where means are large
    for feature in features:
        table = _by_channel(np.asarray(feature))
        if not np.isfinite(table).all():
            raise CallerError("a feature to fit a transform to has values that are not finite")
        if count == 0:
            shift = table.mean(axis=1)
            first, second = np.zeros(len(table)), np.zeros((len(table), len(table)))
        if len(table) != len(shift):
            raise CallerError(
                f"features of {len(shift)} and of {len(table)} channels have no common transform"
            )
        low, high = min(low, float(table.min())), max(high, float(table.max()))
        table = table - shift[:, None]
        first += table.sum(axis=1)
        second += table @ table.T
        count += table.shape[1]
    if count == 0:
        raise CallerError("there are no features to fit a transform to")
    mean = first / count
    return Moments(mean + shift, second / count - np.outer(mean, mean), high - low)


def _by_channel(feature: npt.NDArray[Any]) -> Values:
    """A feature as channels x positions, float64. Raises CallerError."""
    if feature.ndim not in (1, 2, 3) or feature.size == 0:
        raise CallerError(
            f"a feature of shape {feature.shape}", hint="features are C x H x W, T x D or D"
        )
    values = feature.astype(np.float64)
    return values.T if values.ndim == 2 else values.reshape(len(values), -1)


def klt_of(moments: Moments, metric: npt.ArrayLike | None = None, groups: int = 1) -> Values:
    """The matrix of the transform whose coefficients are uncorrelated, greatest variance first.

    metric : channels x channels, symmetric: e' M e is the loss by an error e of the channels of a position.
             Equal errors of coefficients then lose equally. It is scaled to the determinant 1, so that a QP
             costs the same bits at high rates as without one. None for the squared error.
    groups : of consecutive channels, each with a transform of its own.

    Returns groups x channels x coefficients, in the form that `ChannelTransform.from_matrix` takes: a
    coefficient of 1 is 1/1023 of the extent of the features. Raises CallerError.
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
        _, vectors = np.linalg.eigh(root @ moments.covariance[own, own] @ root)
        found[group] = unit * inverse @ vectors[:, ::-1]
    return found
