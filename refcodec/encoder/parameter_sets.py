"""Feature parameter sets, made from a configuration and the first feature of a kind."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.encoder.features import Feature
from refcodec.errors import CallerError
from refcodec.pack import near_square
from refcodec.quantise import source_type_of
from refcodec.registry import QUANTISERS, coder_named
from refcodec.shapes import volume_of
from refcodec.syntax.codes import FeatureType
from refcodec.syntax.structures import FEATURE_PARAMETER_SET, FeatureParameterSet

__all__ = ["always_differ", "hashable", "is_signed", "kind_of", "make_parameter_set"]

_FREE = (
    "fps_id",
    "tile_columns_minus1",
    "tile_rows_minus1",
    "parameter_sets_size",
    "parameter_sets",
    "model_id",
    "context_model_id",
)
"""Elements that the first features of a kind decide."""

_HASH_CODES = {0: 0, 8: 1, 16: 2, 32: 3}


def make_parameter_set(
    config: EncoderConfig, first: Feature, qps: Sequence[float]
) -> FeatureParameterSet:
    """The feature parameter set for features like ``first``, in the shape of its layer.

    qps : one per channel; they determine the grid of tiles (video coders).

    Its fps_id is 0: the stream assigns another one. Those of a video standard are still empty: they are
    known once features are coded. Raises CallerError for shapes that the syntax cannot represent.
    """
    kind = config.feature_type or ("fc" if first.ndim == 1 else "conv")
    record = coder_named(config.coder)
    signed = is_signed(config, first)
    if signed and config.bits == 1:
        raise CallerError("negative values need at least 2 bits with the log quantiser")
    channels, height, width = volume_of(first, tokens=config.tokens).shape
    columns, rows = _grid(config, (channels, height, width), qps) if record.video else (1, 1)
    lattice = _lattice(config, channels)
    if config.substreams > channels:
        raise CallerError(
            f"a feature of {channels} channels has no {config.substreams} substreams",
            hint="a substream has a channel at least",
        )
    restored = record.restorable and not config.lossless and config.restoration != "off"
    try:
        return FEATURE_PARAMETER_SET.make(
            {
                "fps_id": 0,
                "feature_type": FeatureType[kind.upper()],
                "source_type": source_type_of(first.dtype),
                "channels_minus1": channels - 1,
                "height_minus1": height - 1,
                "width_minus1": width - 1,
                "head_count": first.shape[0] if first.ndim == 3 else 0,
                "quantiser": QUANTISERS[config.quantiser],
                "bits_minus1": config.bits - 1,
                "range_per_channel_flag": config.range == "channel" or lattice.apart,
                "restoration_enabled_flag": restored,
                "log_signed_flag": signed,
                "sample_hash_size_code": _HASH_CODES[config.hash_size],
                "coder_id": record.coder_id if config.contexts is None else record.contexts_id,
                "shuffle_flag": config.shuffle,
                "hevc_lossless_flag": config.lossless,
                "temporal_prediction_flag": config.gop > 0,
                "tile_columns_minus1": columns - 1,
                "tile_rows_minus1": rows - 1,
                "parameter_sets_size": 0,
                "parameter_sets": b"",
                "model_id": 0,
                "context_model_id": 0,
                "substream_count_minus1": config.substreams - 1,
                "lattice_step": lattice.step,
                "lattice_offset_flag": lattice.offset.any(),
                "lattice_offset": lattice.offset,
            }
        )
    except CallerError as error:
        raise CallerError(
            f"a feature of shape {first.shape} has no place in a stream: {error.what}"
        ) from None


class _Lattice(NamedTuple):
    """Steps and offsets, float32: one of each, or, where they stand ``apart``, one of each per channel."""

    step: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    apart: bool


def _lattice(config: EncoderConfig, channels: int) -> _Lattice:
    """The lattice of a configuration. Raises CallerError for another number of steps than channels."""
    wanted = config.given.get("step", getattr(config.analysis, "step", config.step))
    step, offset = np.asarray(wanted, np.float32), np.asarray(config.offset, np.float32)
    apart = step.ndim + offset.ndim > 0
    for name, one in (("step", step), ("offset", offset)):
        if one.ndim and len(one) != channels:
            raise CallerError(
                f"{name} has {len(one)} numbers for {channels} channels",
                hint="give one, or one per channel",
            )
    shape = (channels,) if apart else (1,)
    return _Lattice(np.broadcast_to(step, shape), np.broadcast_to(offset, shape), apart)


def kind_of(fps: FeatureParameterSet, config: EncoderConfig) -> Hashable:
    """Key that is equal for features that can share a parameter set.

    Their parameter sets would differ at most in the grid of tiles, which the first feature decides, and in
    those of a video standard, which depend on the preset.
    """
    models = config.model, config.contexts, config.model_apart
    return _fixed(fps), config.packing, config.preset, models


def always_differ(one: FeatureParameterSet, other: FeatureParameterSet) -> bool:
    """True if two parameter sets differ whatever their first features are."""
    return _fixed(one) != _fixed(other)


def _fixed(fps: FeatureParameterSet) -> Hashable:
    """Values of the elements that the first features of a kind do not decide."""
    return tuple(value for name, value in hashable(fps) if name not in _FREE)


def hashable(fps: FeatureParameterSet) -> Iterator[tuple[str, Hashable]]:
    """The elements of a parameter set with their names, arrays as bytes."""
    for name, value in vars(fps).items():
        yield name, value.tobytes() if isinstance(value, np.ndarray) else value


def is_signed(config: EncoderConfig, feature: Feature) -> bool:
    """True if logarithmic samples of a feature need a sign; those of tokens do, as later ones may need it."""
    return config.lossy_quantiser == "log" and (config.tokens or bool((feature < 0).any()))


def _grid(
    config: EncoderConfig, shape: tuple[int, int, int], qps: Sequence[float]
) -> tuple[int, int]:
    """The tile grid, columns and rows, with room for all channels of the most frequent QP."""
    if config.packing == "frame":
        return 1, 1
    tiles = shape[0] if config.lossless else int(np.unique(qps, return_counts=True)[1].max())
    return near_square(tiles, *shape[1:])
