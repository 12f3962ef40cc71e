"""Models of latents for tail-aware encoding: the synthesis of a trained hyperprior, and scales that suit it.

Latents that are sought through the tail are few: what a trained hyperprior says of their scales no longer
holds. Here the scale of a latent depends on its channel and on its place in a tile of 4 x 4, and on nothing
else, so that hyper-latents cost nothing. Scales and latents are found in turn: latents by descent, under the
scales as they are; scales by what the latents cost. The search puts into places with large scales what it
could put elsewhere as well, and so finds out by itself which places are used.

A coarser step saves bits that the output does not need; it is found on some of the features.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.allocate.alone import Floats, Tail, spread
from refcodec.allocate.descent import TailAware, Wanted
from refcodec.allocate.latents import family_bits, refine_latents
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.networks.analysis import AnalysisLayer, FloatAnalysis
from refcodec.networks.convert import scale_inputs
from refcodec.networks.network import IntegerNetwork, LayerNumbers, encode_network
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.model import EntropyModel
from refcodec.syntax.codes import Activation
from refcodec.syntax.structures import NETWORK_LAYER

__all__ = ["ROUNDS", "Suited", "suit"]

ROUNDS: Final = 4
"""Times that latents and scales are found in turn."""

_TILE: Final = 4
_FIRST_SCALE: Final = 6
"""Scale of all latents at first, a deviation of 0.23."""

_PRIOR: Final = 5.0
"""Weight of the latents of a channel among those of a place, in features."""

_PILOTS: Final = 16  # features that steps are tried on
_TRIED: Final = 2  # rounds of such a trial


class Suited(NamedTuple):
    """A model for tail-aware encoding, and the analysis that encoding starts from."""

    model: HyperpriorModel
    analysis: FloatAnalysis


def suit(
    features: Floats,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
    *,
    rounds: int = ROUNDS,
    factor: float | None = None,
) -> Suited:
    """Make a model for tail-aware encoding of a trained one.

    features : of training, float32, N x C x H x W.
    tails    : as of `refcodec.allocate.latents.refine_latents`.
    config   : of the coder learned, with the trained model, and its analysis.
    settings : those to encode with.
    factor   : of the steps of latents; None finds one on some features.

    Raises CallerError for a model without a synthesis, or an analysis that is no `FloatAnalysis`.
    """
    if not isinstance(config.analysis, FloatAnalysis):
        raise CallerError("a model is suited together with its analysis, a .safetensors file")
    if rounds < 1 or not len(features):
        raise CallerError(f"{rounds} rounds over {len(features)} features; one of each at least")
    if factor is None:
        factor = _best_factor(spread(features, _PILOTS), tails, config, settings)
    return _in_turn(features, tails, config, settings, rounds, factor)


def _best_factor(
    features: Floats, tails: Sequence[Tail], config: EncoderConfig, settings: TailAware
) -> float:
    """The factor of steps of least loss, a power of the square root of 2, by local search."""
    wanted = Wanted(torch.from_numpy(features), tails, settings.mu)

    @cache
    def loss(half_octaves: int) -> float:
        factor = 2.0 ** (half_octaves / 2)
        suited = _in_turn(features, tails, config, settings, _TRIED, factor)
        own = config.but(model=suited.model, analysis=suited.analysis)
        target = io.BytesIO()
        with refcodec.create(target, own.but(model_apart=True)) as writer:
            for one, latents in zip(
                features, refine_latents(features, tails, own, settings), strict=True
            ):
                writer.write(one, latents=tuple(latents))
        with refcodec.open(target.getvalue(), models=suited.model) as reader, torch.no_grad():
            error = wanted.loss(torch.from_numpy(np.stack(list(reader)).astype(np.float32)))
        return float(error) + settings.strength * 8 * target.tell() / features.size

    best = 0
    for stride in (2, -2, 1, -1):
        while loss(best + stride) < loss(best):
            best += stride
    return float(2.0 ** (best / 2))


def _in_turn(
    features: Floats,
    tails: Sequence[Tail],
    config: EncoderConfig,
    settings: TailAware,
    rounds: int,
    factor: float,
) -> Suited:
    """Find latents and scales in turn."""
    model = config.model
    if not isinstance(model, HyperpriorModel) or model.synthesis is None:
        raise CallerError("only a hyperprior with a synthesis is suited to a tail")
    synthesis = scale_inputs(model.synthesis, factor)
    analysis = _scaled(config.analysis, factor)
    channels = synthesis.input_channels
    scales = np.full((channels, _TILE, _TILE), _FIRST_SCALE)
    for _ in range(rounds):
        suited = Suited(_model_of(scales, synthesis, model.fraction), analysis)
        own = config.but(model=suited.model, analysis=suited.analysis)
        found = [one.latents for one in refine_latents(features, tails, own, settings)]
        scales = _scales_of(np.rint(np.stack(found)).astype(np.int64))
    return Suited(_model_of(scales, synthesis, model.fraction), analysis)


def _scales_of(latents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The scales under which latents, N x C x H x W, cost the fewest bits: C x `_TILE` x `_TILE`."""
    table = family_bits().numpy()
    sizes = np.minimum(np.abs(latents), table.shape[1] - 1)
    count, channels, height, width = sizes.shape
    costs = np.zeros((channels, _TILE, _TILE, len(table)))
    for size in range(int(sizes.max()) + 1):
        seen = (sizes == size).sum(axis=0)
        own = np.zeros((channels, _TILE, _TILE))
        for y in range(min(_TILE, height)):
            for x in range(min(_TILE, width)):
                own[:, y, x] = seen[:, y::_TILE, x::_TILE].sum(axis=(1, 2))
        # a 0 more than were seen in the channel, lest what was not seen cannot be
        shares = (seen.sum(axis=(1, 2)) + (size == 0)) / (count * height * width + 1)
        costs += (own + _PRIOR * shares[:, None, None])[..., None] * table[:, size]
    found: npt.NDArray[np.int64] = costs.argmin(axis=3)
    return found


def _model_of(
    scales: npt.NDArray[np.int64], synthesis: IntegerNetwork, fraction: int
) -> HyperpriorModel:
    """A hyperprior whose hyper-latents are all 1, with scales of channels and places."""
    channels = len(scales)
    weights = np.zeros((_TILE, _TILE, 1, 2 * channels), np.int32)  # means, which are 0, and scales
    weights[:, :, 0, channels:] = scales.transpose(1, 2, 0)
    numbers = LayerNumbers(
        weights, np.zeros(2 * channels, np.int64), np.full(2 * channels, 2, np.int64)
    )
    layer = NETWORK_LAYER.make(
        {
            "channels_minus1": 2 * channels - 1,
            "stride_minus1": _TILE - 1,
            "kernel_minus1": _TILE - 1,
            "padding": 0,
            "weight_bits_minus1": 7,
            "activation": Activation.LINEAR,
            "output_bits_minus1": 7,
            "shift_minus1": 0,
        }
    )
    return HyperpriorModel.from_networks(
        IntegerNetwork(encode_network([layer], [numbers], input_bits=2)),
        EntropyModel.from_counts([[1]], 1, escape=False),
        np.arange(1, len(family_bits())),
        synthesis=synthesis,
        fraction=fraction,
    )


def _scaled(analysis: FloatAnalysis, factor: float) -> FloatAnalysis:
    """An analysis whose latents are in steps ``factor`` times as large, and whose hyper-latents are all 1."""
    *before, last = analysis.analysis
    unit = np.float32(factor)
    last = replace(last, weight=last.weight / unit, bias=last.bias / unit)
    nothing = np.zeros((1, len(last.bias), 1, 1), np.float32)
    hyper = AnalysisLayer(nothing, np.ones(1, np.float32), _TILE)
    return FloatAnalysis([*before, last], [hyper], analysis.step, absolute=False, limit=2)
