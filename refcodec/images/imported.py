"""Weights of CompressAI for image codecs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch

from refcodec.errors import CallerError
from refcodec.images.codec import ImageCodec
from refcodec.models.loading import read_weights

__all__ = ["codec_of_compressai", "load_compressai"]

_NETWORKS: Final = {
    "g_a": "analysis",
    "g_s": "synthesis",
    "h_a": "hyper_analysis",
    "h_s": "hyper_synthesis",
}

_DENSITY: Final = re.compile(r"entropy_bottleneck\._?(matri|bias|factor)(?:x|ces|es|s)?\.?(\d+)")
"""Parameters of the density: "_matrix0" in old checkpoints, "matrices.0" in new ones."""

_PARTS: Final = {"matri": "matrices", "bias": "biases", "factor": "factors"}


def load_compressai(path: str | os.PathLike[str]) -> ImageCodec:
    """Read a checkpoint of CompressAI's ``bmshj2018-hyperprior`` or ``mbt2018-mean``, of any quality.

    path : a ``.safetensors`` file, or one that ``torch.save`` wrote, of which nothing but tensors is read.

    Hyper-latents are rounded to integers, where CompressAI rounds them around their medians: files are of
    another kind, and of the same size but for that.

    Raises CallerError, EnvironmentFault.
    """
    return codec_of_compressai(read_weights(Path(path)))


def codec_of_compressai(weights: Mapping[str, torch.Tensor]) -> ImageCodec:
    """The codec of a CompressAI model's state; see `load_compressai`. Raises CallerError."""
    weights = {name.removeprefix("module."): one for name, one in weights.items()}
    try:
        channels, latents = (weights[f"g_a.{n}.weight"].shape[0] for n in (0, 6))
        means = weights["h_s.4.weight"].shape[0] == 2 * latents
    except (KeyError, IndexError):
        raise CallerError(
            "these are no weights of bmshj2018-hyperprior or mbt2018-mean of CompressAI",
            hint="their names begin with g_a, g_s, h_a, h_s and entropy_bottleneck",
        ) from None
    codec = ImageCodec(channels, latents, means=means)
    found: dict[str, torch.Tensor] = {}
    for name, values in weights.items():
        network, _, rest = name.partition(".")
        if network in _NETWORKS and "reparam" not in rest:
            found[f"{_NETWORKS[network]}.{rest}"] = values
        elif match := _DENSITY.fullmatch(name):
            found[f"density.{_PARTS[match[1]]}.{match[2]}"] = values
    if means:  # CompressAI has deviations first
        for name in ("hyper_synthesis.4.weight", "hyper_synthesis.4.bias"):
            found[name] = found[name].roll(latents, 0)
    try:
        codec.load_state_dict(found)
    except RuntimeError as error:
        raise CallerError(f"the weights do not fit: {error}") from None
    codec.eval()
    return codec
