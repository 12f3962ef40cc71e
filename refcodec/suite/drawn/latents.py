"""Latents under entropy models: in their tables and far beyond them, coded in all forms (8.3.9)."""

from __future__ import annotations

import numpy as np

from refcodec.coders.learned.payload import (
    contexts_of,
    decode_separate,
    encode_joint,
    encode_separate,
    encode_substreams,
)
from refcodec.coders.protocol import Coded, Samples
from refcodec.entropy.arrays import Int64
from refcodec.errors import StreamError
from refcodec.probability.model import EntropyModel
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.models import reach_of
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["draw_latents"]


def draw_latents(
    chance: Chance, fps: FeatureParameterSet, model: EntropyModel, count: int = 1, *, joint: bool
) -> list[Coded]:
    """Draw features and code them.

    joint : true for one payload of all, which the first has, the others having nothing; also that of a coded
            feature, in substreams where there are several. False for a payload each, as in a batch.
    """
    shape = (fps.channels, fps.height, fps.width)
    latents = np.stack([_feature(chance, fps, model) for _ in range(count)])
    samples = latents & (1 << fps.bits) - 1 if fps.quantiser == Quantiser.NONE else latents
    features = list(samples.astype(np.int32).reshape(count, *shape))
    if joint and fps.substream_count > 1:
        parts = encode_substreams(latents[0], model, fps)
        sizes = tuple(len(part) for part in parts[:-1])
        return [Coded(b"".join(parts), features[0], substreams=sizes)]
    if joint:
        data = [encode_joint(latents, model, fps), *[b""] * (count - 1)]
    else:
        shortest = encode_separate(latents, model, fps)
        data = [_other(chance, *one, fps, model) for one in zip(shortest, features, strict=True)]
    return [Coded(one, own) for one, own in zip(data, features, strict=True)]


def _feature(chance: Chance, fps: FeatureParameterSet, model: EntropyModel) -> Int64:
    """The latents of a feature in C order: of the tables, with few beyond them or with nothing else."""
    reach = reach_of(model, fps)
    assert reach is not None
    elements = fps.channels * fps.height * fps.width
    contexts = contexts_of(model, fps, range(fps.channels))
    first, last, least, most = (np.broadcast_to(one[contexts], elements) for one in reach)
    words = (chance.words(elements) >> np.uint64(1)).astype(np.int64)
    beyond = least + words % (most - least + 1)
    inside = np.clip(first + words % (last - first + 1), least, most)
    main = np.clip((first + last) >> 1, least, most)
    lots = chance.words(elements)
    rare = lots % np.uint64(chance.choose([3, 30, 400])) == 0
    match chance.below(5):
        case 0:
            return inside
        case 1:
            return np.where(rare, inside, main)
        case 2:
            return np.where(rare, beyond, inside)
        case 3:
            return np.where(lots >> np.uint64(63) == 0, least, most)
        case _:
            return beyond


def _other(
    chance: Chance, data: bytes, feature: Samples, fps: FeatureParameterSet, model: EntropyModel
) -> bytes:
    """Now and then another number in the last interval, which decodes to the same feature."""
    if chance.below(2):
        return data
    last = data[-1] if data else 255  # the greatest in the interval, or 0
    other = data[:-1] + bytes([chance.between(1, last)])
    try:
        decoded = decode_separate(other, np.array([len(other)], np.int64), model, fps)
    except StreamError:
        return data
    return other if (decoded[0] == feature).all() else data
