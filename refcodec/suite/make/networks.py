"""Models with networks of chosen integers, so that every machine makes the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.networks.network import IntegerNetwork, LayerNumbers, encode_network
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.model import EntropyModel
from refcodec.suite.make.native import pattern
from refcodec.syntax.codes import Activation
from refcodec.syntax.structures import NETWORK_LAYER, Network, NetworkLayer
from refcodec.writer import create

__all__ = ["Layer", "hyperprior", "layer", "network", "spread", "under"]

Integers = npt.NDArray[np.int32]


class Layer(NamedTuple):
    """A layer, and its numbers."""

    shape: NetworkLayer
    numbers: LayerNumbers


def layer(
    weights: npt.ArrayLike,
    *,
    biases: Sequence[int] | int = 0,
    multipliers: Sequence[int] | int = 1,
    stride: int = 1,
    padding: int = 0,
    weight_bits: int = 8,
    activation: Activation = Activation.LINEAR,
    bits: int = 8,
    shift: int = 1,
) -> Layer:
    """A layer of weights: kernel rows x kernel columns x input channels x output channels."""
    found = np.asarray(weights, np.int32)
    channels = found.shape[3]
    elements = {
        "channels_minus1": channels - 1,
        "stride_minus1": stride - 1,
        "kernel_minus1": len(found) - 1,
        "padding": padding,
        "weight_bits_minus1": weight_bits - 1,
        "activation": activation,
        "output_bits_minus1": bits - 1,
        "shift_minus1": shift - 1,
    }
    columns = (np.resize(np.asarray(one, np.int64), channels) for one in (biases, multipliers))
    return Layer(NETWORK_LAYER.make(elements), LayerNumbers(found, *columns))


def spread(kernel: int, inputs: int, outputs: int, most: int, sparse: int = 1) -> Integers:
    """Pseudo-random weights from -``most`` to ``most``, all but one in ``sparse`` of them 0."""
    return pattern((kernel, kernel, inputs, outputs), sparse, most)


def network(*layers: Layer, bits: int = 8) -> Network:
    """A network that takes values of ``bits`` bits."""
    return encode_network([one.shape for one in layers], [one.numbers for one in layers], bits)


def hyperprior(
    hyper: Network,
    tables: EntropyModel,
    thresholds: Sequence[int],
    *,
    synthesis: Network | None = None,
    fraction: int | None = None,
) -> HyperpriorModel:
    """A model; with means where they have a fraction."""
    return HyperpriorModel.from_networks(
        IntegerNetwork(hyper),
        tables,
        thresholds,
        synthesis=None if synthesis is None else IntegerNetwork(synthesis),
        fraction=fraction,
    )


def under(
    model: HyperpriorModel,
    shape: tuple[int, ...],
    latents: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    dtype: npt.DTypeLike = np.float32,
    **options: Any,
) -> bytes:
    """A stream of features of a shape, given by pairs of latents and hyper-latents."""
    target = io.BytesIO()
    with create(target, coder="learned", model=model, **options) as writer:
        for pair in latents:
            writer.write(np.zeros(shape, dtype), latents=pair)
    return target.getvalue()
