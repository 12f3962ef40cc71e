"""Payloads of latents: of features alone, of a joint batch, and of each feature of a batch (8.3.9)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.substreams import channels_of
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.static import Tables
from refcodec.entropy.symbols import (
    decode_apart,
    decode_symbols,
    encode_apart,
    encode_symbols_of,
    offsets_of,
)
from refcodec.errors import CallerError, ConstraintError, PayloadError
from refcodec.probability.model import EntropyModel
from refcodec.syntax.codes import Quantiser, SourceType
from refcodec.syntax.structures import FeatureParameterSet

__all__ = [
    "contexts_of",
    "decode_joint",
    "decode_separate",
    "encode_joint",
    "encode_separate",
    "encode_substreams",
    "latents_of",
    "limits_of_latents",
]

Latents = npt.NDArray[np.int64]


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.9")
def decode_joint(
    data: bytes,
    count: int,
    model: EntropyModel,
    fps: FeatureParameterSet,
    channels: range | None = None,
) -> Int32:
    """(8.3.9) Decode the latents of ``count`` features that are coded together, int32, N x C x H x W.

    channels : consecutive ones, which are all that is coded; None for all of the features.

    Symbols come in C order of the features, one feature after the other. Raises PayloadError.
    """
    channels = channels or range(fps.channels)
    contexts = contexts_of(model, fps, channels)
    elements = len(channels) * fps.height * fps.width
    index = model.distributions.table_of[contexts]
    if model.tables == 1:
        symbols = decode_symbols(data, count * elements, index[:1], _tables(model), model.slots)
    else:
        whole = np.tile(np.broadcast_to(index, elements), count)
        symbols = decode_symbols(data, len(whole), whole, _tables(model))
    return _latents(symbols.reshape(count, elements), contexts, model, fps)


@clause("8.3.9")
def decode_separate(
    data: bytes, ends: Int64, model: EntropyModel, fps: FeatureParameterSet
) -> Int32:
    """(8.3.9) Decode the latents of features that have a payload each, int32, N x C x H x W.

    ends : where each payload ends in ``data``.

    Raises PayloadError.
    """
    contexts = contexts_of(model, fps, range(fps.channels))
    elements = fps.channels * fps.height * fps.width
    index = np.array(np.broadcast_to(model.distributions.table_of[contexts], elements), order="C")
    symbols = decode_apart(data, ends, index, _tables(model))
    return _latents(symbols, contexts, model, fps)


@clause("8.3.9")
def contexts_of(model: EntropyModel, fps: FeatureParameterSet, channels: range) -> Int64:
    """(8.3.9) The context of each element of channels in C order; one entry for a model of one context.

    Raises ConstraintError for a model whose contexts are not those of the features.
    """
    if model.contexts == 1:
        return np.zeros(1, np.int64)
    if model.contexts != fps.channels:
        raise ConstraintError(
            f"the entropy model has {model.contexts} contexts; features of {fps.channels} channels "
            "need 1, or one for each",
            requirement="9.7-3",
        )
    return np.repeat(np.arange(channels.start, channels.stop), fps.height * fps.width)


@clause("8.3.9")
def _latents(
    symbols: Int32, contexts: Int64, model: EntropyModel, fps: FeatureParameterSet
) -> Int32:
    """(8.3.9) Symbols, features x elements, to samples. Raises PayloadError for latents beyond their range.

    Without a quantiser, a sample is the bit pattern of the source type; with the lattice, it is the latent.
    """
    tables, table_of, base = model.distributions
    table = table_of[contexts]
    latents = offsets_of(symbols, tables.values[table])
    latents += base[contexts].astype(np.int32)
    low, high = limits_of_latents(fps)
    if int(latents.min()) < low or int(latents.max()) > high:
        raise PayloadError(f"a latent lies outside {low}..{high}", requirement="8.3.9-1")
    if fps.quantiser == Quantiser.NONE:
        latents &= (1 << fps.bits) - 1
    return latents.reshape(len(latents), -1, fps.height, fps.width)


def limits_of_latents(fps: FeatureParameterSet) -> tuple[int, int]:
    """(8.3.9) The least and the greatest latent: those of ``bits`` bits, signed but for uint8."""
    if fps.source_type == SourceType.UINT8:
        return 0, 255
    return -(1 << (fps.bits - 1)), (1 << (fps.bits - 1)) - 1


def _tables(model: EntropyModel) -> Tables:
    return model.distributions.tables


# --- informative -----------------------------------------------------------------------------------


def latents_of(samples: Sequence[npt.NDArray[np.int32]], fps: FeatureParameterSet) -> Latents:
    """The latents of samples, features x elements."""
    stacked = np.stack([one.reshape(-1) for one in samples]).astype(np.int64)
    low, _ = limits_of_latents(fps)
    if fps.quantiser == Quantiser.NONE and low < 0:
        stacked = (stacked - low) % (1 << fps.bits) + low
    return stacked


def _symbols(
    latents: Latents, model: EntropyModel, fps: FeatureParameterSet, channels: range
) -> tuple[Int32, Int32]:
    """Symbols of channels, features x elements, and the table of each element. Raises CallerError."""
    if model.contexts not in (1, fps.channels):
        raise CallerError(
            f"the model has {model.contexts} contexts, and the features {fps.channels} channels",
            hint="a model has one context for each, or one in all",
        )
    contexts = contexts_of(model, fps, channels)
    index = np.broadcast_to(model.distributions.table_of[contexts], latents.shape[1])
    return model.symbols_of(latents, contexts), np.ascontiguousarray(index)


def encode_joint(
    latents: Latents,
    model: EntropyModel,
    fps: FeatureParameterSet,
    channels: range | None = None,
) -> bytes:
    """Code the latents of channels, N x elements, as one payload; None for all. Raises CallerError."""
    symbols, index = _symbols(latents, model, fps, channels or range(fps.channels))
    whole = index[:1] if model.tables == 1 else np.tile(index, len(latents))
    return encode_symbols_of(symbols.reshape(-1), whole, _tables(model))


def encode_substreams(
    latents: Latents, model: EntropyModel, fps: FeatureParameterSet
) -> list[bytes]:
    """Code one feature, its elements, as the substreams of its payload. Raises CallerError."""
    area = fps.height * fps.width
    groups = (channels_of(fps, number) for number in range(fps.substream_count))
    return [
        encode_joint(latents[None, one.start * area : one.stop * area], model, fps, one)
        for one in groups
    ]


def encode_separate(latents: Latents, model: EntropyModel, fps: FeatureParameterSet) -> list[bytes]:
    """Code features, N x elements, as a payload each, to stand in a batch. Raises CallerError."""
    symbols, index = _symbols(latents, model, fps, range(fps.channels))
    data, ends = encode_apart(symbols, index, _tables(model))
    return [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
