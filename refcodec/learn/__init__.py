"""Compressible features: networks trained with an entropy bottleneck. Needs torch.

Singh, Abu-El-Haija, Johnston, Ballé, Shrivastava, Toderici: *End-to-end Learning of Compressible Features*
(2020). A network is trained so that the features at one of its layers are good for its task and cost few
bits; the model of their probabilities is trained with it, and frozen into tables afterwards::

    bottleneck = refcodec.learn.Bottleneck(64)
    values, bits = bottleneck(head(images), noise)
    loss = cross_entropy(tail(values), labels) + 0.01 * bits.mean()

A `HyperpriorBottleneck` is a codec of features for a network that stays as it is; `freeze_codec` makes
networks of integers of it, which streams carry.

`refcodec.learn.reading` reads the plan of a training from a TOML file, `refcodec.learn.run` carries it out:
that is ``refcodec train``.
"""

from refcodec.learn.bottleneck import Bottleneck, Coded
from refcodec.learn.density import FactorizedDensity
from refcodec.learn.frozen import Frozen, freeze
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.integers import FrozenCodec, freeze_codec

__all__ = [
    "Bottleneck",
    "Coded",
    "FactorizedDensity",
    "Frozen",
    "FrozenCodec",
    "HyperpriorBottleneck",
    "freeze",
    "freeze_codec",
]
