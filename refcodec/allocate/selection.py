"""QPs chosen by their effect on the output: eq. 2 of Hu et al. (2020) over codings of the feature itself.

The channels of a feature are coded alone at several QPs. This gives the bits of each channel and its error e
at each QP, and to first order the error of the output, ``sum over channels of J e``, for every combination.
Errors of channels can cancel in that sum, the better the more QPs there are to choose from.

    minimise |sum_c J_c e_c(QP_c)|^2 + lambda * sum_c bits_c(QP_c)

This is an integer programme; coordinate descent, one channel at a time, finds a good local minimum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from refcodec.allocate.alone import Alone, Floats, Tail, Values, code_alone
from refcodec.allocate.gradients import output_gradients
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import LARGEST_QP

__all__ = ["OFFSETS", "descend", "select_qps"]

Integers = npt.NDArray[np.int64]

OFFSETS = (-3, 0, 3)
"""QPs to choose among, relative to QP_base. Five QPs from -4 to 4, for five codings, were slightly better at
one of two layers and slightly worse at the other."""

_BATCH_ELEMENTS = 1 << 20  # of the features that are worked on at a time
_BISECTIONS = 12
_ROUNDS = 4


def select_qps(
    features: Floats,
    tail: Tail,
    config: EncoderConfig,
    *,
    offsets: Sequence[int] = OFFSETS,
    probes: int = 32,
    seed: int = 0,
) -> Integers:
    """Choose QPs of the channels of each feature, N x C, for the least output error at the rate of QP_base.

    features : float32, N x C x H x W.
    tail     : the rest of the network.
    config   : of ``hevc``, one channel per frame, with QP_base as its QP.
    offsets  : QPs to choose among, relative to QP_base; 0 is one of them.
    probes   : number of random combinations of the outputs, if there are more outputs than that. With far
               fewer probes than outputs the choice overfits the probes.

    No feature takes more bits than with QP_base everywhere, the coded QPs themselves not counted. Gradients
    are taken halfway between the feature and its coding at QP_base, which makes the estimate of the error
    exact to second order.

    Raises CallerError for another coder than ``hevc``: channels of native are decoded slightly differently
    when they are coded together, which undoes the gain.
    """
    if config.coder != "hevc":
        raise CallerError(
            f"QPs are selected for hevc; {config.coder} does not code channels as if each were alone",
            hint="allocate by gradient",
        )
    base = config.qp
    if not isinstance(base, int) or 0 not in offsets:
        raise CallerError("QP_base is one integer, and itself among the QPs to choose from")
    qps = sorted({base + one for one in offsets if 0 <= base + one <= LARGEST_QP[config.coder]})
    start = qps.index(base)
    found = np.empty(features.shape[:2], np.int64)
    portion = max(1, _BATCH_ELEMENTS // features[0].size)
    for first in range(0, len(features), portion):
        own = features[first : first + portion]
        codings = [code_alone(own, config.but(qp=qp)) for qp in qps]
        halfway = (own + codings[start].decoded) / np.float32(2)
        gradients = output_gradients(halfway, tail, probes, seed, first)
        effects, bits = _effects(own, gradients, codings)
        found[first : first + portion] = np.array(qps)[_within_rate(effects, bits, start)]
    return found


def _effects(
    features: Floats, gradients: Floats, codings: Sequence[Alone]
) -> tuple[Values, Values]:
    """Effect of each coding of each channel on the outputs, N x P x C x K, and its bits, N x C x K."""
    count, probes, channels = gradients.shape[:3]
    rows = gradients.reshape(count, probes, channels, -1).transpose(0, 2, 1, 3)
    errors = np.stack([one.decoded - features for one in codings], axis=-1)
    effects = rows @ errors.reshape(count, channels, -1, len(codings))
    bits = np.stack([one.bits for one in codings], axis=-1)
    return effects.swapaxes(1, 2).astype(np.float64), bits.astype(np.float64)


def _within_rate(effects: Values, bits: Values, start: int) -> Integers:
    """The best choice that takes no more bits than ``start`` everywhere: N x C, by bisection of lambda."""
    count, channels = bits.shape[:2]
    allowed = bits[:, :, start].sum(axis=1)
    best = np.full((count, channels), start)
    error = (effects[..., start].sum(axis=2) ** 2).sum(axis=1)
    scale = error / np.maximum(allowed, 1)  # of lambda: error for bits
    low, high = np.full(count, -12.0), np.full(count, 6.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        chosen = descend(effects, bits, scale * 2**middle, best)
        taken = np.take_along_axis(bits, chosen[..., None], axis=2).sum(axis=(1, 2))
        own = np.take_along_axis(effects, chosen[:, None, :, None], axis=3)[..., 0]
        reached = (own.sum(axis=2) ** 2).sum(axis=1)
        fits = taken <= allowed
        better = fits & (reached < error)
        best[better], error[better] = chosen[better], reached[better]
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    return best


def descend(effects: Values, bits: Values, multiplier: Values, start: Integers) -> Integers:
    """Choose one coding per channel by coordinate descent, for several features at once.

    effects    : on the outputs, N x P x C x K.
    bits       : N x C x K.
    multiplier : lambda, N.
    start      : N x C, initial choice.

    Returns N x C. ``|sum of effects|^2 + multiplier * sum of bits`` is not above that of the start; unless
    the number of rounds was reached, no change of a single channel would lower it.
    """
    chosen = start.copy()
    every = np.arange(len(chosen))
    prices = multiplier[:, None, None] * bits
    total = np.take_along_axis(effects, chosen[:, None, :, None], axis=3)[..., 0].sum(axis=2)
    for _ in range(_ROUNDS):
        before = chosen.copy()
        for c in range(chosen.shape[1]):
            own = effects[:, :, c]  # N x P x K
            others = total - own[every, :, chosen[:, c]]
            costs = ((others[:, :, None] + own) ** 2).sum(axis=1) + prices[:, c]
            chosen[:, c] = costs.argmin(axis=1)
            total = others + own[every, :, chosen[:, c]]
        if (chosen == before).all():
            break
    return chosen
