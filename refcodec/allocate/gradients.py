"""Sensitivity from gradients: the effect of small errors on the output, from a few backward passes.

With J the Jacobian of the output, a small error e of the feature causes the squared error ``|J e|^2``. For
vectors v of random signs, ``g = J^T v`` has ``E[g^2] = diag(J^T J)`` (Hutchinson 1990): the weight of a
squared error of each element or, after an orthonormal transform of g, of each coefficient. Errors of
different coefficients are taken as uncorrelated; `refcodec.allocate.selection` uses the errors themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from refcodec.allocate.alone import Floats, Tail, Values, base_qp, require_maps
from refcodec.coders.native.transform import forward
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import LARGEST_QP

__all__ = [
    "advice",
    "allocate",
    "channel_curves",
    "channel_weights",
    "measure_curves",
    "output_gradients",
    "spectrum",
    "step_sizes",
    "variances",
]

_BATCH_ELEMENTS = 1 << 20  # of the features of a backward pass


def output_gradients(
    features: Floats, tail: Tail, probes: int = 4, seed: int = 0, first: int = 0
) -> Floats:
    """Gradients of random combinations of the outputs; the sum of their squares estimates diag(J^T J).

    features : float32, N x C x H x W or N x D.
    probes   : P, backward passes. If an output has no more numbers than that, each of them has its own
               gradient, and the estimate is exact.
    first    : number of the first feature; random numbers depend on ``seed`` and the number of the feature.

    Returns float32, N x P x (shape of a feature). Raises CallerError if the tail passes no gradient back, or
    one that is not finite.
    """
    if probes < 1:
        raise CallerError(f"probes is {probes}; it is 1 or more")
    leaf = torch.from_numpy(np.array(features, np.float32)).requires_grad_()
    output = tail(leaf)
    if not output.requires_grad:
        raise CallerError("the tail passes no gradient back", hint="does it detach its input?")
    directions = torch.from_numpy(_directions(tuple(output.shape), probes, seed, first))
    found = [
        torch.autograd.grad(output, leaf, grad_outputs=directions[:, p], retain_graph=True)[0]
        for p in range(directions.shape[1])
    ]
    gradients: Floats = torch.stack(found, dim=1).numpy()
    if not np.isfinite(gradients).all():
        raise CallerError("a gradient of the tail is not finite", hint="check network and features")
    return gradients


def _directions(shape: tuple[int, ...], probes: int, seed: int, first: int) -> Floats:
    """Rows of unit vectors, or of random signs over the root of ``probes``: N x P x (shape of an output)."""
    count, outputs = shape[0], int(np.prod(shape[1:]))
    if outputs <= probes:
        rows = np.tile(np.eye(outputs, dtype=np.float32), (count, 1, 1))
    else:
        signs = [
            np.random.default_rng([seed, first + n]).integers(0, 2, (probes, outputs), np.int8)
            for n in range(count)
        ]
        rows = (2 * np.stack(signs) - 1).astype(np.float32) / np.float32(probes**0.5)
    return rows.reshape(count, -1, *shape[1:])


def _batches(
    features: Floats, tail: Tail, probes: int, seed: int
) -> Iterator[tuple[slice, Floats]]:
    """Yield the gradients of the features, batch by batch."""
    portion = max(1, _BATCH_ELEMENTS // features[0].size)
    for start in range(0, len(features), portion):
        own = slice(start, start + portion)
        yield own, output_gradients(features[own], tail, probes, seed, start)


# --- weights ---------------------------------------------------------------------------------------


def spectrum(features: Floats, tail: Tail, probes: int = 4, seed: int = 0) -> Values:
    """Weights of coefficients: squared output error per squared error of each, float64, C x H x W.

    features : float32, N x C x H x W; weights are averaged over them.

    Coefficients are those of the orthonormal cosine transform of a whole map. If a global average pooling
    follows, only the first one, the mean, has a weight.
    """
    total: Values = np.zeros(features.shape[1:])
    for _, g in _batches(features, tail, probes, seed):
        total += (_transform(g) ** 2).sum(axis=(0, 1))
    return total / len(features)


def channel_weights(weights: Values) -> Values:
    """Weight of a squared error of one element per channel, C: the channel's mean of a `spectrum`."""
    mean: Values = weights.mean(axis=(1, 2))
    return mean


def variances(features: Floats) -> Values:
    """Mean squares of the coefficients of features, float32 N x C x H x W: float64, C x H x W."""
    mean: Values = (_transform(features) ** 2).mean(axis=0)
    return mean


def _transform(maps: Floats) -> Values:
    height, width = maps.shape[-2:]
    return forward(maps, np.array([0, height]), np.array([0, width])).astype(np.float64)


# --- allocation ------------------------------------------------------------------------------------


def step_sizes(features: Floats, config: EncoderConfig) -> Values:
    """The quantiser's step at each QP, in units of the feature: float64, C x QPs, or 1 x QPs for one range.

    ``2^((QP - 4) / 6)`` samples of 8 bits, with the uniform quantiser; ranges are means over features.
    """
    qps = np.arange(LARGEST_QP[config.coder] + 1)
    if config.clip is not None:
        span = np.array([config.clip[1] - config.clip[0]], np.float64)
    else:
        axes = (2, 3) if config.range == "channel" else (1, 2, 3)
        span = np.ptp(features, axis=axes).reshape(len(features), -1).mean(axis=0, dtype=np.float64)
    return span[:, None] / 255 * 2.0 ** ((qps - 4) / 6)


def channel_curves(weights: Values, variances: Values, steps: Values) -> tuple[Values, Values]:
    """Weighted squared error and bits of each channel at each step, float64, C x K each.

    weights   : of squared errors of coefficients, C x H x W (`spectrum`).
    variances : mean squares of the coefficients, C x H x W.
    steps     : of the quantiser, C x K or 1 x K.

    Reverse water-filling (Cover and Thomas, 10.3.3) with the water level ``step^2 / 12`` per channel: a
    coefficient of greater variance has that error, and ``log2(variance / error) / 2`` bits; any other is not
    coded, and its error is its variance.
    """
    errors, bits = np.empty((2, len(weights), steps.shape[1]))
    # a map of a single value has no step: any that is not 0 will do
    levels = np.maximum(np.broadcast_to(steps**2 / 12, errors.shape), np.finfo(np.float64).tiny)
    for c, level in enumerate(levels):
        variance = variances[c].ravel()
        errors[c] = np.minimum(level[:, None], variance) @ weights[c].ravel()
        bits[c] = np.log2(np.maximum(variance / level[:, None], 1)).sum(axis=1) / 2
    return errors, bits


def measure_curves(
    features: Floats, tail: Tail, config: EncoderConfig, probes: int, seed: int
) -> tuple[Values, Values, Values]:
    """The `spectrum` of features, and the `channel_curves` that follow from it: weights, errors, bits.

    Raises CallerError for features that are not maps, or a coder without uniform steps per channel.
    """
    require_maps(features)
    if config.coder not in LARGEST_QP or config.lossy_quantiser != "uniform":
        raise CallerError("gradients allocate QPs of hevc and native, with the uniform quantiser")
    weights = spectrum(features, tail, probes, seed)
    return weights, *channel_curves(weights, variances(features), step_sizes(features, config))


def advice(
    features: Floats, tail: Tail, config: EncoderConfig, probes: int = 4, seed: int = 0
) -> dict[str, Any]:
    """Arguments of :meth:`refcodec.Writer.write` for features of this kind: QPs of channels around QP_base.

    features : float32, N x C x H x W, those that gradients are averaged over.
    config   : of ``hevc`` or ``native``, with the uniform quantiser, and QP_base as its QP.

    For native also weights of frequencies: the square root of the weight of a squared error of a coefficient,
    in steps of its channel. Without the root, frequencies would be dropped whose errors, though each is
    small, add up in the output; with it, results were better at three of four layers and equal at the fourth.

    Raises CallerError.
    """
    base = base_qp(config)
    weights, errors, bits = measure_curves(features, tail, config, probes, seed)
    qps = allocate(errors, bits, bits[:, base].sum())
    if config.coder == "hevc":
        return {"qp": qps.tolist()}
    costs = np.sqrt(weights) * 2.0 ** (qps[:, None, None] / 6)
    return {"qp": qps.tolist(), "weights": costs, "spectral": True}


def allocate(errors: Values, bits: Values, budget: float) -> npt.NDArray[np.int64]:
    """Minimise the sum of errors within a budget of bits, over the convex hulls of the channels' curves.

    errors, bits : per channel, by increasing QP, C x K each.
    budget       : bits of all channels together.

    Each channel minimises ``error + lambda * bits`` on its own (Shoham and Gersho 1988); a bisection finds
    the smallest lambda that keeps the budget. Of equal costs the coarser QP is taken. Returns indices, C; the
    last ones if no choice keeps the budget.
    """
    last = bits.shape[1] - 1

    def choose(multiplier: float) -> npt.NDArray[np.int64]:
        costs = errors + multiplier * bits
        coarsest: npt.NDArray[np.int64] = last - costs[:, ::-1].argmin(axis=1)
        return coarsest

    low, high = -100.0, 100.0  # of log2 lambda
    for _ in range(60):
        middle = (low + high) / 2
        taken = np.take_along_axis(bits, choose(2.0**middle)[:, None], axis=1).sum()
        low, high = (low, middle) if taken <= budget else (middle, high)
    return choose(2.0**high)
