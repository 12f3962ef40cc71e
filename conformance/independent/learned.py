"""The learned coder: clause 8.3.9."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bits import Integers
from .codes import Quantiser, SourceType
from .intervals import decode_interval
from .lanes import decode_lanes
from .models import Context, EntropyModel
from .refusal import require
from .substreams import substreams_of
from .syntax import FeatureParameterSet


def contexts_of(model: EntropyModel, fps: FeatureParameterSet) -> list[Context]:
    """The context of each element of a feature, in C order."""
    if len(model) == 1:
        return model * fps.elements
    return [context for context in model for _ in range(fps.height * fps.width)]


def samples_of(
    symbols: Sequence[int], contexts: Sequence[Context], fps: FeatureParameterSet
) -> Integers:
    """The samples of a feature, C x H x W, by its symbols."""
    half = 0 if fps.source_type == SourceType.UINT8 else 1 << (fps.bits - 1)
    latents = np.array(
        [
            context.base + context.table.offset_of(symbol)
            for symbol, context in zip(symbols, contexts, strict=True)
        ],
        np.int64,
    ).reshape(fps.shape)
    low, high = int(latents.min()), int(latents.max())
    within = -half <= low and high < (1 << fps.bits) - half
    require(within, "payload", "R8.3.9-1", f"latents lie in {low}..{high}")
    return latents if fps.quantiser == Quantiser.LATTICE else latents & ((1 << fps.bits) - 1)


def decode_joint(
    payload: bytes, count: int, fps: FeatureParameterSet, model: EntropyModel
) -> list[Integers]:
    """Decode features that have one payload: those of a joint batch, or a single coded feature."""
    contexts = contexts_of(model, fps)
    symbols = decode_lanes(payload, [context.table for context in contexts] * count)
    size = fps.elements
    parts = [symbols[i * size : (i + 1) * size] for i in range(count)]
    return [samples_of(part, contexts, fps) for part in parts]


def decode_substreams(
    payload: bytes, sizes: Sequence[int], fps: FeatureParameterSet, model: EntropyModel
) -> Integers:
    """Decode a coded feature of several substreams, of which ``sizes`` are those of all but the last."""
    contexts = contexts_of(model, fps)
    symbols: list[int] = []
    area = fps.height * fps.width
    for data, channels in substreams_of(payload, sizes, fps):
        own = contexts[channels.start * area : channels.stop * area]
        symbols += decode_lanes(data, [context.table for context in own])
    return samples_of(symbols, contexts, fps)


def decode_separate(payload: bytes, fps: FeatureParameterSet, model: EntropyModel) -> Integers:
    """Decode a feature of any other batch, which has a payload of its own."""
    contexts = contexts_of(model, fps)
    symbols = decode_interval(payload, [context.table for context in contexts])
    return samples_of(symbols, contexts, fps)
