"""Channels coded alone, each in the quantisation of its whole feature: their bits, and decoded samples.

HEVC codes the frames of an intra feature independently: with one channel per frame, one coding of the feature
codes each channel alone. The native coder shares its models among channels, so that each channel is coded as
a feature of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import CodedFeature, FeatureEncoder, Request
from refcodec.encoder.parameter_sets import make_parameter_set
from refcodec.errors import CallerError
from refcodec.quantise import dequantise
from refcodec.registry import LARGEST_QP
from refcodec.syntax.hevc import split_nals
from refcodec.syntax.structures import FeatureParameterSet

__all__ = [
    "Alone",
    "Floats",
    "Several",
    "Tail",
    "Values",
    "base_qp",
    "code_alone",
    "require_maps",
    "spread",
]

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

Several = Floats | Sequence[Floats]
"""Features, as one array, N first, or one by one, where those of tokens may differ in length."""

Tail = Callable[[torch.Tensor], torch.Tensor]
"""The rest of a network: features N x C x H x W to outputs, N first."""

_START_CODE = 3


@dataclass(frozen=True, slots=True)
class Alone:
    """Features whose channels were coded alone.

    decoded : float32, N x C x H x W.
    bits    : of each channel's payload, int64, N x C.
    """

    decoded: Floats
    bits: npt.NDArray[np.int64]


def code_alone(features: Floats, config: EncoderConfig) -> Alone:
    """Code every channel alone, at the one QP of a configuration.

    features : float32, N x C x H x W.
    config   : of ``hevc`` or ``native``. Packing, sequences and batches have no effect here; statistics of
               the whole tensor are not restored.

    Raises CallerError for another coder, or features of another rank or type.
    """
    require_maps(features)
    if config.coder not in LARGEST_QP or config.lossless:
        raise CallerError(
            f"channels have QPs with hevc and native; the coder is {config.coder}",
            hint="choose one of these, and lossy",
        )
    own = config.but(gop=0, batch=False, order=None, target_size=None, target_snr=None)
    return _hevc(features, own) if config.coder == "hevc" else _native(features, own)


def base_qp(config: EncoderConfig) -> int:
    """QP_base, the one QP of a configuration. Raises CallerError if channels have QPs of their own."""
    if not isinstance(config.qp, int):
        raise CallerError(f"the QP is {config.qp}; allocations start from one integer, QP_base")
    return config.qp


def spread(features: npt.NDArray[Any], count: int) -> Floats:
    """Pick at most ``count`` features, evenly spaced, as sets are often sorted by class; float32."""
    count = min(count, len(features))
    return np.array([features[n * len(features) // count] for n in range(count)], np.float32)


def require_maps(features: npt.NDArray[Any]) -> None:
    """Raise CallerError unless features are float32, N x C x H x W."""
    if features.ndim != 4 or features.dtype != np.float32 or not len(features):
        raise CallerError(
            f"features are {features.dtype} of shape {features.shape}, not float32 N x C x H x W",
            hint="channels of vectors have no bits to allocate" if features.ndim == 2 else "",
        )


def _hevc(features: Floats, config: EncoderConfig) -> Alone:
    kept = config.restoration if config.restoration == "channel" else "off"
    config = config.but(packing="frame", restoration=kept)
    fps, coded = _code(features, config)
    slices = [[len(nal) for _, nal in split_nals(one.coded.data)] for one in coded]
    return Alone(_decoded(fps, coded), 8 * (np.array(slices) + _START_CODE))


def _native(features: Floats, config: EncoderConfig) -> Alone:
    decoded, bits = [], []
    for feature in features:
        clip = config.clip
        if clip is None and config.range == "tensor":
            clip = float(feature.min()), float(feature.max())
        fps, coded = _code(feature[:, None], config.but(clip=clip))
        decoded.append(_decoded(fps, coded)[:, 0])
        bits.append([8 * len(one.coded.data) for one in coded])
    return Alone(np.stack(decoded), np.array(bits))


def _code(
    features: Floats, config: EncoderConfig
) -> tuple[FeatureParameterSet, list[CodedFeature]]:
    """Code features, N x C x H x W, without writing a stream; returns their parameter set, too."""
    qps = (base_qp(config),) * features.shape[1]
    lowest = features.min(axis=0)  # its sign decides if the parameter set has signed samples
    encoder = FeatureEncoder(make_parameter_set(config, lowest, qps))
    run = encoder.code([Request(feature, qps) for feature in features], config)
    return run.fps, run.features


def _decoded(fps: FeatureParameterSet, coded: list[CodedFeature]) -> Floats:
    return np.stack([dequantise(one.coded.samples, fps, one.parameters) for one in coded])
