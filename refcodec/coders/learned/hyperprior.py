"""Payloads of latents under a hyperprior: hyper-latents, then latents (8.3.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.rans import decode_each
from refcodec.entropy.symbols import (
    Symbols,
    close_payload,
    encode_parts,
    offsets_of,
    open_payload,
    symbols_at,
)
from refcodec.errors import CallerError, ConstraintError, PayloadError
from refcodec.probability.hyperprior import HyperpriorModel, family_tables, geometry_of
from refcodec.probability.kinds import LatentModel
from refcodec.syntax.structures import FeatureParameterSet

__all__ = [
    "LARGEST_JOINT",
    "CodedLatents",
    "LatentArrays",
    "decode_latents",
    "encode_latents",
    "most_joint",
    "quantise_latents",
    "synthesise",
]

LARGEST_JOINT = 65_536
"""Latents of all features of a joint batch at most, hyper-latents included."""


class LatentArrays(NamedTuple):
    """The latents of features, N x C x H x W each.

    values : latents, in units of 2^-fraction of the model, int32.
    scales : number of the table of each latent in the family, int32.
    """

    values: Int32
    scales: Int32


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.10")
def decode_latents(
    data: bytes, count: int, model: HyperpriorModel, fps: FeatureParameterSet
) -> LatentArrays:
    """(8.3.10) Decode the latents of ``count`` features that have one payload.

    "The symbols of the hyper-latents of all features come first, then those of their latents."
    Raises PayloadError; ConstraintError for a joint batch that is too large.
    """
    geometry = geometry_of(model.coded, fps)
    if count > 1 and count * geometry.elements > LARGEST_JOINT:
        raise ConstraintError(
            f"a joint batch of {count * geometry.elements} latents; at most {LARGEST_JOINT} are allowed",
            requirement="9.8-9",
        )
    states, words, last = open_payload(data)
    tables, table_of, base = model.hyper_model.distributions
    contexts = contexts_of_hyper(model, geometry.hyper)
    index = np.tile(table_of[contexts], count)
    symbols = np.empty(len(index), np.int32)
    taken = decode_each(states, words, index, tables, symbols)
    hyper = offsets_of(symbols, tables.values[index])
    hyper += np.tile(base[contexts], count).astype(np.int32)
    require_bits(hyper, model.coded.hyper_synthesis.input_bits_minus1 + 1)
    hyper = hyper.reshape(count, *geometry.hyper)
    each = [distributions_of(one, geometry.latents, model) for one in hyper]
    means, scales = (np.stack(one) for one in zip(*each, strict=True))
    family, index = family_tables(), scales.reshape(-1)
    symbols = np.empty(len(index), np.int32)
    taken += decode_each(states, words[taken:], index, family, symbols)
    close_payload(states, words[taken:], last)
    offsets = offsets_of(symbols, family.values[index])
    offsets -= family.mode[index].astype(np.int32)
    values = offsets.reshape(means.shape) * (1 << model.fraction) + means
    require_bits(values, latent_bits(model, fps))
    return LatentArrays(values, scales)


@clause("8.3.10")
def distributions_of(
    hyper: Int32, shape: tuple[int, int, int], model: HyperpriorModel
) -> tuple[Int32, Int32]:
    """(8.3.10) The means and the scales of the latents of a feature, C x H x W each.

    hyper : hyper-latents, C x H x W.
    shape : of the latents.

    "The scale of a latent is the number of entries of scale_threshold that its output reaches."
    """
    channels, height, width = shape
    outputs = model.hyper_synthesis.apply(hyper)[:, :height, :width]
    scales = np.searchsorted(model.coded.scale_threshold, outputs[-channels:], side="right")
    means = outputs[:channels] if model.coded.mean_flag else np.zeros_like(outputs)
    return means, scales.astype(np.int32)


def contexts_of_hyper(model: HyperpriorModel, shape: tuple[int, int, int]) -> Int64:
    """(8.3.10) The context of each hyper-latent of a feature, in C order."""
    channels, height, width = shape
    one = np.arange(channels) if model.contexts > 1 else np.zeros(channels, np.int64)
    return np.repeat(one, height * width)


def latent_bits(model: HyperpriorModel, fps: FeatureParameterSet) -> int:
    """(8.3.10) Bits of a latent: those that the synthesis takes; without one, those of samples."""
    return fps.bits if model.synthesis is None else model.synthesis.coded.input_bits_minus1 + 1


def require_bits(latents: Int32, bits: int) -> None:
    """(8.3.10) Refuse latents of more bits. Raises PayloadError."""
    limit = 1 << (bits - 1)
    if int(latents.min()) < -limit or int(latents.max()) >= limit:
        raise PayloadError(f"a latent lies outside {-limit}..{limit - 1}", clause="8.3.10")


@clause("8.3.10")
def synthesise(latents: Int32, model: HyperpriorModel, fps: FeatureParameterSet) -> Int32:
    """(8.3.10) The samples of features, N x C x H x W, from their latents.

    "Rows and columns of the synthesis beyond those of the feature are left out."
    """
    if model.synthesis is None:
        return latents
    outputs = [model.synthesis.apply(one)[:, : fps.height, : fps.width] for one in latents]
    return np.stack(outputs)


# --- informative: the encoder's half ---------------------------------------------------------------


def most_joint(model: LatentModel, fps: FeatureParameterSet) -> int:
    """Most features of a joint batch, as far as their latents limit it."""
    if not isinstance(model, HyperpriorModel):
        return LARGEST_JOINT
    return LARGEST_JOINT // geometry_of(model.coded, fps).elements


class CodedLatents(NamedTuple):
    """The latents of one feature to code, C x H x W each.

    hyper   : hyper-latents.
    offsets : latents less their means, in whole units.
    scales  : number of the table of each latent in the family.
    values  : latents, in units of 2^-fraction of the model.
    """

    hyper: Int32
    offsets: Int32
    scales: Int32
    values: Int32


def quantise_latents(
    latents: npt.ArrayLike, hyper: npt.ArrayLike, model: HyperpriorModel, fps: FeatureParameterSet
) -> CodedLatents:
    """Round the latents of a feature to integers around their means.

    latents : floats, C x H x W, before rounding; those beyond the range of latents saturate.
    hyper   : integers, C x H x W.

    Raises CallerError for other shapes than the model has, or hyper-latents beyond their range.
    """
    geometry = geometry_of(model.coded, fps)
    exact, whole = np.asarray(latents, np.float64), np.asarray(hyper)
    for name, one, shape in (
        ("latents", exact, geometry.latents),
        ("hyper-latents", whole, geometry.hyper),
    ):
        if one.shape != shape:
            raise CallerError(f"{name} of shape {one.shape}; the model has {shape}")
        if not np.isfinite(one).all():
            raise CallerError(f"{name} are finite numbers")
    limit = 1 << model.coded.hyper_synthesis.input_bits_minus1
    if (whole != np.rint(whole)).any() or (whole < -limit).any() or (whole >= limit).any():
        raise CallerError(f"hyper-latents are integers in {-limit}..{limit - 1}")
    rounded = whole.astype(np.int32)
    means, scales = distributions_of(rounded, geometry.latents, model)
    limit = 1 << (latent_bits(model, fps) - 1)
    unit = 1 << model.fraction
    lowest, highest = -((limit + means) // unit), (limit - 1 - means) // unit
    offsets = np.clip(np.rint(exact - means / unit), lowest, highest).astype(np.int32)
    return CodedLatents(rounded, offsets, scales, offsets * unit + means)


def encode_latents(
    features: Sequence[CodedLatents], model: HyperpriorModel, fps: FeatureParameterSet
) -> bytes:
    """Code features as one payload. Raises CallerError for hyper-latents beyond a table without escape."""
    contexts = contexts_of_hyper(model, geometry_of(model.coded, fps).hyper)
    hyper = np.stack([one.hyper.reshape(-1) for one in features])
    first = Symbols(
        model.hyper_model.symbols_of(hyper.astype(np.int64), contexts).reshape(-1),
        np.tile(model.hyper_model.distributions.table_of[contexts], len(features)),
        model.hyper_model.distributions.tables,
    )
    family = family_tables()
    index = np.concatenate([one.scales.reshape(-1) for one in features])
    offsets = np.concatenate([one.offsets.reshape(-1) for one in features]) + family.mode[index]
    symbols = symbols_at(offsets, family.values[index])
    return encode_parts([first, Symbols(symbols, index, family)])
