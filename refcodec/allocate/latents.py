"""Tail-aware encoding under a hyperprior: latents that keep the network's output, found by gradient descent.

    latents --synthesis--> feature --tail--> output --error--> gradient of the latents

Decoders need not know of it: the latents are coded as any others (8.3.10). The networks of the model run in
floats here, without the rounding of their values to integers; the rate is that of the tables that the coder
has. Hyper-latents are sought along, where the model has a choice of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch.nn import functional

from refcodec.allocate.alone import Floats, Tail
from refcodec.allocate.descent import BATCH_ELEMENTS, TailAware, Wanted, descend
from refcodec.config import EncoderConfig
from refcodec.encoder.analysis import Latents, latents_for
from refcodec.encoder.parameter_sets import make_parameter_set
from refcodec.entropy.static import PRECISION, excess_order
from refcodec.errors import CallerError
from refcodec.networks.layers import LEAK
from refcodec.networks.network import IntegerNetwork
from refcodec.probability.hyperprior import HyperpriorModel, geometry_of
from refcodec.probability.model import EntropyModel
from refcodec.quantise import lattice_of
from refcodec.syntax.codes import Activation
from refcodec.tables import scale_frequencies

__all__ = ["family_bits", "refine_latents"]

_LARGEST_OFFSET = 64
"""Largest distance from a mean whose bits are told apart."""


def refine_latents(
    features: Floats, tails: Sequence[Tail], config: EncoderConfig, settings: TailAware
) -> Iterator[Latents]:
    """Find latents for the coder learned under a hyperprior, a pair for each feature.

    features : float32, N x C x H x W.
    tails    : the networks to serve, one or more, whose outputs count alike.
    config   : of the coder learned, with a model that has a synthesis, and the analysis to start from.

    Raises CallerError if the configuration has no such model, or settings have no effect.
    """
    model = config.model
    if not isinstance(model, HyperpriorModel) or model.synthesis is None:
        raise CallerError(
            "latents are sought through the synthesis of a hyperprior, and the model has none",
            hint="tail-aware encoding is for native, hevc, and learned with such a model",
        )
    for name in ("qp", "block"):
        if getattr(settings, name) is not None:
            raise CallerError(f"{name} has no effect on latents: their model has the steps")
    codec = _Codec(model, config, features[0])
    portion = max(1, BATCH_ELEMENTS // features[0].size)
    for start in range(0, len(features), portion):
        batch = np.asarray(features[start : start + portion], np.float32)
        first = [latents_for(one, config) for one in batch]
        yield from _refined(torch.from_numpy(batch), tails, codec, first, settings)


def _refined(
    features: torch.Tensor,
    tails: Sequence[Tail],
    codec: _Codec,
    first: Sequence[Latents],
    settings: TailAware,
) -> Iterator[Latents]:
    """The latents of a batch, from those that its analysis gives."""
    wanted = Wanted(features, tails, settings.mu)
    exact, hyper = (
        torch.from_numpy(np.stack(one).astype(np.float32)) for one in zip(*first, strict=True)
    )
    variables = [exact.requires_grad_()]
    if codec.has_choice:
        variables.append(hyper.requires_grad_())

    def loss(strength: float, weight: float) -> torch.Tensor:
        whole = _through(hyper, codec.nearest(hyper))
        means, scales = codec.distributions(whole)
        offsets = exact - means
        rounded = offsets.detach().round()
        bits = codec.bits(offsets, rounded, scales) + codec.hyper_bits(hyper, whole.detach())
        found = codec.features(means + _through(offsets, rounded))
        return wanted.lack(found).losses(weight).mean() + strength * bits / features.numel()

    descend(variables, loss, settings)
    with torch.no_grad():
        whole = codec.nearest(hyper)
        means, _ = codec.distributions(whole)
        latents = means + (exact - means).round()
    for pair in zip(latents.numpy(), whole.numpy().astype(np.int32), strict=True):
        yield Latents(*pair)


def _through(values: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """Rounded values, whose gradient passes to those before rounding."""
    return values + (rounded - values).detach()


class _Codec:
    """A hyperprior in floats: distributions and bits of latents, and the features that they stand for.

    Latents are in steps, N x C x H x W.
    """

    def __init__(self, model: HyperpriorModel, config: EncoderConfig, first: Floats) -> None:
        fps = make_parameter_set(config, first, (0,) * first.shape[0])
        assert model.synthesis is not None
        self._latents = geometry_of(model.coded, fps).latents
        self._size = first.shape[1:]
        self._unit = 2.0**-model.fraction
        self._has_means = bool(model.coded.mean_flag)
        self._synthesis = _FloatNetwork(model.synthesis)
        self._hyper_synthesis = _FloatNetwork(model.hyper_synthesis)
        thresholds = np.asarray(model.coded.scale_threshold, np.float32)
        self._thresholds = torch.from_numpy(thresholds)
        spaces = np.maximum(np.diff(thresholds, prepend=thresholds[0], append=thresholds[-1]), 1)
        self._spaces = torch.from_numpy(spaces)
        self._hyper = _HyperBits(model.hyper_model)
        self._lattice = [
            torch.from_numpy(one.astype(np.float32))[:, None, None] for one in lattice_of(fps)
        ]

    @property
    def has_choice(self) -> bool:
        """True if hyper-latents can have more than one value without an escape."""
        return self._hyper.most > 1

    def nearest(self, hyper: torch.Tensor) -> torch.Tensor:
        """The integers nearest to hyper-latents that the tables have."""
        return self._hyper.nearest(hyper.detach())

    def distributions(self, hyper: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means of latents, and their places in the family, which are integers; both have gradients."""
        channels, height, width = self._latents
        outputs = self._hyper_synthesis(hyper)[:, :, :height, :width]
        scales = outputs[:, -channels:]
        whole = torch.searchsorted(self._thresholds, scales.detach().contiguous(), right=True)
        slope = scales / self._spaces[whole]
        means = outputs[:, :channels] if self._has_means else torch.zeros_like(scales)
        return means * self._unit, _through(slope, whole)

    def bits(
        self, offsets: torch.Tensor, rounded: torch.Tensor, scales: torch.Tensor
    ) -> torch.Tensor:
        """Bits of all latents. Offsets are drawn to 0 by the bits that they cost more than a 0, evenly."""
        table = family_bits()
        sizes = rounded.abs().clamp(max=_LARGEST_OFFSET).long()
        place = scales.detach().long()
        bits = table[place, sizes]
        nothing = table[place, 0]
        slope = torch.where(
            sizes > 0, (bits - nothing) / sizes.clamp(min=1), table[place, 1] - nothing
        )
        above, below = (place + 1).clamp(max=len(table) - 1), (place - 1).clamp(min=0)
        steepness = (table[above, sizes] - table[below, sizes]) / (above - below)
        own = offsets.abs()
        found = bits + (own - own.detach()) * slope + (scales - scales.detach()) * steepness
        return found.sum()

    def hyper_bits(self, hyper: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Bits of all hyper-latents."""
        return self._hyper.bits(hyper, whole)

    def features(self, latents: torch.Tensor) -> torch.Tensor:
        """The features that latents stand for."""
        height, width = self._size
        samples = self._synthesis(latents / self._unit)[:, :, :height, :width]
        step, offset = self._lattice
        return samples * step + offset


class _FloatNetwork:
    """An integer network in floats: values are not rounded, but clipped."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._layers = []
        for layer, own in zip(network.coded.layers, network.numbers, strict=True):
            scales = np.ldexp(own.multipliers.astype(np.float64), -(layer.shift_minus1 + 1))
            kernel = (own.weights * scales).transpose(2, 3, 0, 1)
            self._layers.append(
                (
                    layer,
                    torch.from_numpy(kernel.astype(np.float32)),
                    torch.from_numpy((own.biases * scales).astype(np.float32)),
                    (network.lowest_of(layer), network.highest_of(layer)),
                )
            )

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Outputs, N x D x (stride H) x (stride W), for values N x C x H x W."""
        for layer, kernel, biases, (lowest, highest) in self._layers:
            stride, padding = layer.stride_minus1 + 1, layer.padding
            height, width = (stride * side for side in values.shape[2:])
            whole = functional.conv_transpose2d(values, kernel, biases, stride)
            short = [max(0, padding + stride - kernel.shape[2])] * 2  # rows that no value reaches
            if any(short):
                whole = functional.pad(whole - biases[:, None, None], (0, short[1], 0, short[0]))
                whole = whole + biases[:, None, None]
            values = whole[:, :, padding : padding + height, padding : padding + width]
            values = values.clamp(lowest, highest)
            if layer.activation == Activation.LEAKY_RELU:
                values = functional.leaky_relu(values, LEAK / 65536)
        return values


class _HyperBits:
    """Bits of hyper-latents by the tables of a model, N x C x H x W."""

    def __init__(self, model: EntropyModel) -> None:
        known = [model.probabilities(context) for context in range(model.contexts)]
        self.most = max(len(shares) for _, shares in known)
        bits = np.full((len(known), self.most), float(PRECISION))
        for own, (_, shares) in zip(bits, known, strict=True):
            own[: len(shares)] = -np.log2(shares)
        self._bits = torch.from_numpy(bits.astype(np.float32))
        self._first, self._count = (
            torch.tensor(one)[:, None, None]
            for one in ([first for first, _ in known], [len(shares) for _, shares in known])
        )

    def nearest(self, hyper: torch.Tensor) -> torch.Tensor:
        """The integers nearest to hyper-latents that the tables have without an escape."""
        return torch.clamp(hyper.round(), self._first, self._first + self._count - 1)

    def bits(self, hyper: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Bits of all."""
        places = (whole - self._first).long()
        contexts = torch.arange(len(self._bits))[:, None, None].expand(places.shape[1:])
        contexts = contexts.expand(places.shape)
        above = torch.minimum(places + 1, self._count - 1)
        below = (places - 1).clamp(min=0)
        slope = (self._bits[contexts, above] - self._bits[contexts, below]) / 2
        return (self._bits[contexts, places] + (hyper - hyper.detach()) * slope).sum()


@cache
def family_bits() -> torch.Tensor:
    """Bits of an offset of 0 to `_LARGEST_OFFSET` under each table of the family, means over both signs."""
    found = np.zeros((len(scale_frequencies()), _LARGEST_OFFSET + 1), np.float32)
    for own, frequencies in zip(found, scale_frequencies(), strict=True):
        count = len(frequencies) - 1
        shares = PRECISION - np.log2(np.asarray(frequencies, np.float64))
        order = excess_order(count)
        for sign in (1, -1):
            offsets = count // 2 + sign * np.arange(_LARGEST_OFFSET + 1)
            inside = (offsets >= 0) & (offsets < count)
            excess = np.where(offsets < 0, -2 * offsets - 1, 2 * (offsets - count))
            lengths = np.floor(np.log2(np.maximum(excess, 0) + (1 << order)))
            escaped = shares[count] + 2 * lengths - order + 1
            own += np.where(inside, shares[np.clip(offsets, 0, count)], escaped) / 2
    return torch.from_numpy(found)
