"""Streams of features, by coder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders import payload_coder
from refcodec.coders.protocol import Machine
from refcodec.suite.make.edits import feature
from refcodec.suite.make.native import payloads
from refcodec.suite.valid.values import Feature
from refcodec.writer import create

__all__ = [
    "av1",
    "coded",
    "coded_samples",
    "exact",
    "extent",
    "hevc",
    "native",
    "replaced",
    "samples",
    "vvc",
]


def coded(*features: Feature, **options: Any) -> bytes:
    """A stream of features under one configuration.

    options : those of :class:`EncoderConfig`.
    """
    target = io.BytesIO()
    with create(target, **options) as writer:
        for one in features:
            writer.write(one)
    return target.getvalue()


def extent(features: Feature) -> tuple[float, float]:
    """The least and the greatest value: a common range, given as ``clip``."""
    return float(features.min()), float(features.max())


def hevc(*features: Feature, **options: Any) -> bytes:
    """A stream of HEVC features."""
    return coded(*features, coder="hevc", workers=1, **options)


def vvc(*features: Feature, **options: Any) -> bytes:
    """A stream of VVC features."""
    return coded(*features, coder="vvc", workers=1, **options)


def av1(*features: Feature, **options: Any) -> bytes:
    """A stream of AV1 features."""
    return coded(*features, coder="av1", workers=1, **options)


def native(*features: Feature, bits: int = 12, **options: Any) -> bytes:
    """A stream of native features."""
    return coded(*features, coder="native", workers=1, bits=bits, **options)


def exact(*features: Feature, **options: Any) -> bytes:
    """A stream of native lossless features."""
    return coded(*features, coder="native-lossless", workers=1, **options)


def samples(dtype: np.dtype[Any], span: tuple[float, float], chosen: Sequence[int]) -> bytes:
    """A stream of chosen 16-bit samples, which no feature of the source type is quantised to."""
    blank = np.zeros((len(chosen), 1, 1), dtype)
    stream = coded(blank, coder="raw", quantiser="uniform", bits=16, clip=span)
    return feature("payload", np.array(chosen, ">u2").tobytes().hex())(stream)


def coded_samples(stream: bytes) -> npt.NDArray[np.int32]:
    """The samples of the first coded feature of a stream, whatever its sample hash says."""
    one = payloads(stream)[0]
    (samples,) = payload_coder(one.fps.coder_id).decode([one], Machine())
    return samples


def replaced(stream: bytes, payload: bytes) -> bytes:
    """A stream whose first coded feature has another payload."""
    return feature("payload", payload.hex())(stream)
