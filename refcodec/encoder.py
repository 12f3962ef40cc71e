"""Encoding: features to coded features, some at a time. Nothing here is normative.

A :class:`Group` is the encoder of one feature parameter set: it quantises features, chooses what is
signalled with each, and hands them to the payload coder together. The parameter set that it writes it also
reads back, so that it works with what a decoder will see. ``writer`` puts the result into a stream.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from construct import Container

from refcodec.coders import Advice, Machine, Wanted, encode_payloads
from refcodec.config import EncoderConfig
from refcodec.constraints import HIGHEST_QP, LARGEST_BATCH, element_count
from refcodec.errors import CallerError, StreamError
from refcodec.pack import near_square
from refcodec.quantise import (
    dequantise,
    fit_parameters,
    measure_moments,
    quantise,
    restore_moments,
    source_type_of,
)
from refcodec.syntax.codes import (
    ChannelOrder,
    Coder,
    FeatureType,
    Quantiser,
    Restoration,
)
from refcodec.syntax.structures import FEATURE_PARAMETER_SET, FEATURE_PARAMETERS

__all__ = ["Coded", "Group", "as_feature", "coder_of"]

Feature = npt.NDArray[Any]
Samples = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]

_log = logging.getLogger("refcodec")

_QUANTISERS = {"uniform": Quantiser.UNIFORM, "log": Quantiser.LOGARITHMIC, None: Quantiser.NONE}
_SHARED = ("qp", "qp_eighths", "qp_delta", "range_min", "range_max", "log_step")
_HASH_CODES = {0: 0, 8: 1, 16: 2, 32: 3}


@dataclass(frozen=True, slots=True)
class Coded:
    """One feature, coded.

    parameters   : its feature_parameters().
    payload      : what the payload coder made of it.
    access_point : whether decoding can begin here.
    samples      : the integer samples that a decoder will have, int32, C x H x W.
    """

    parameters: Any
    payload: bytes
    access_point: bool
    samples: Samples

    def shares(self, other: Coded) -> bool:
        """Whether both have the same feature_parameters(), so that they can share a batch."""
        mine, theirs = self.parameters, other.parameters
        return all(np.array_equal(mine[name], theirs[name]) for name in _SHARED)


# --- features in -----------------------------------------------------------------------------------


def as_feature(feature: Any, config: EncoderConfig) -> Feature:
    """A feature as a C-contiguous array of a source type, C x H x W or D, checked for what is coded.

    feature : a numpy array, or anything with ``detach().cpu()`` such as a torch tensor.

    Raises CallerError: wrong rank or type, empty, NaN or infinity for a lossy coder.
    """
    array = _from_torch(feature) if hasattr(feature, "detach") else np.asarray(feature)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.float64 and config.narrow:
        with np.errstate(over="ignore"):
            narrowed = array.astype(np.float32)
        if (np.isinf(narrowed) & np.isfinite(array)).any():
            raise CallerError("a float64 value exceeds the range of float32")
        array = narrowed
    if source_type_of(array.dtype) is None:
        hint = "narrow=True, or --narrow, rounds it to float32" if array.dtype == np.float64 else ""
        raise CallerError(
            f"the feature has type {array.dtype}; float32, float16 and bfloat16 are coded",
            hint=hint,
        )
    if array.size == 0:
        raise CallerError(f"the feature of shape {array.shape} is empty")
    ranks = {None: (1, 3), "fc": (1,), "conv": (3,), "pool": (3,)}[config.feature_type]
    if array.ndim not in ranks:
        kind = config.feature_type or "any"
        raise CallerError(
            f"a feature of type {kind} has rank {' or '.join(map(str, ranks))}, "
            f"this one {array.ndim} (shape {array.shape})",
            hint="conv and pool are C x H x W, fc is D; write the features of a batch one by one",
        )
    if config.lossy_quantiser:
        wide = array.astype(np.float32)
        if not np.isfinite(wide).all():
            bad = np.unravel_index(int(np.argmax(~np.isfinite(wide))), array.shape)
            place = ", ".join(str(int(i)) for i in bad)
            raise CallerError(
                f"the feature has {wide[bad]} at index ({place}); a lossy coder takes finite values",
                hint="mend the network, or use a lossless coder without a quantiser",
            )
    return np.array(array, order="C")  # a copy: the caller may reuse the memory


def _from_torch(tensor: Any) -> Feature:
    host = tensor.detach().cpu().contiguous()
    if str(host.dtype) == "torch.bfloat16":  # numpy has no such type: hand over the bits
        import ml_dtypes
        import torch

        bits: Feature = host.view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Feature = host.numpy()
    return array


# --- groups ----------------------------------------------------------------------------------------


class Group:
    """Encodes the features of one feature parameter set.

    elements : of the feature_parameter_set(), to be built; HEVC's own parameter sets are among them
               once the first features are coded.
    fps      : the parameter set as a decoder reads it.
    """

    def __init__(
        self, fps_id: int, config: EncoderConfig, first: Feature, qps: Sequence[float]
    ) -> None:
        """Derive the parameter set from a configuration and the first feature, C x H x W or D."""
        self.config = config
        self.elements = _elements_of(fps_id, config, first, qps)
        try:
            self._read_back()
        except StreamError as error:
            raise CallerError(
                f"a feature of shape {first.shape} has no place in a stream: {error.what}"
            ) from None

    @property
    def batched(self) -> bool:
        """Whether features share coded feature batches, and thereby their ranges."""
        config = self.config
        if self.fps.coder_id == Coder.HEVC or config.aims or config.gop:
            return False
        if config.batch is not None:
            return config.batch
        small = 4 * element_count(self.fps) <= LARGEST_BATCH
        return bool(
            self.fps.feature_type == FeatureType.FC or (self.fps.coder_id == Coder.NATIVE and small)
        )

    def code(
        self,
        features: Sequence[Feature],
        qps: Sequence[tuple[float, ...]],
        advice: Sequence[Advice],
    ) -> list[Coded]:
        """Code consecutive features, C x H x W each.

        qps    : one QP a channel, for each feature.
        advice : on each feature (native).
        """
        fps, config = self.fps, self.config
        machine = Machine(config.ffmpeg, config.preset, config.parallel, config.timeout)
        # what is predicted has the scale of what it is predicted from
        sequence = config.gop > 0 and fps.coder_id == Coder.NATIVE
        if self.batched or sequence:
            fitted = [fit_parameters(np.stack(features), fps, self.config.clip)] * len(features)
        else:
            fitted = [fit_parameters(one, fps, self.config.clip) for one in features]
        samples, positions = zip(
            *(quantise(one, fps, own) for one, own in zip(features, fitted, strict=True)),
            strict=True,
        )
        parameters = [self.parameters(q, own) for q, own in zip(qps, fitted, strict=True)]
        wanted = Wanted(config.gop, config.speed, config.restoration)
        if config.aims:
            for i, own in enumerate(parameters):
                _aim(config, fps, own, features[i], samples[i], positions[i], advice[i], wanted)
        encoded = encode_payloads(samples, positions, advice, parameters, fps, machine, wanted)
        if encoded.parameter_sets and not fps.parameter_sets:
            self.elements["parameter_sets"] = encoded.parameter_sets
            self.elements["parameter_sets_size"] = len(encoded.parameter_sets)
            self._read_back()
        if fps.restoration_enabled_flag:
            wish, bits = self.config.restoration, fps.bits
            for own, position, decoded, payload in zip(
                parameters, positions, encoded.decoded, encoded.payloads, strict=True
            ):
                mode = (
                    choose_restoration(position, decoded, len(payload), bits)
                    if wish == "auto"
                    else Restoration[wish.upper()]
                )
                own.restoration_mode = mode
                if mode != Restoration.OFF:
                    own.update(measure_moments(position, mode, bits))
        return [
            Coded(*one)
            for one in zip(
                parameters,
                encoded.payloads,
                encoded.access_points,
                encoded.decoded,
                strict=True,
            )
        ]

    def parameters(self, qps: Sequence[float], fitted: dict[str, Any] | None = None) -> Any:
        """Elements of a feature_parameters() with these QPs and what was fitted to the feature."""
        absent = (element.name for element in FEATURE_PARAMETERS.subcons if element.name)
        elements = Container(dict.fromkeys(absent), **(fitted or {}))
        if self.fps.qp_present:
            whole = [int(qp) for qp in qps]
            highest, lowest = max(whole), min(whole)
            elements.qp = highest
            elements.qp_eighths = int(8 * (qps[0] - whole[0]))
            elements.qp_delta_bits = (highest - lowest).bit_length()
            elements.qp_delta = highest - np.array(whole) if highest > lowest else None
        if self.fps.coder_id != Coder.HEVC:
            return elements
        order = self.config.order
        elements.channel_order = ChannelOrder.IDENTITY
        if order is not None:
            elements.channel_order = ChannelOrder.EXPLICIT
            elements.channel_at_bits = (len(order) - 1).bit_length()
            elements.channel_at = np.array(order)
        elif elements.qp_delta is not None and self.config.packing == "tile":
            elements.channel_order = ChannelOrder.BY_QP
        return elements

    def _read_back(self) -> None:
        self.fps = FEATURE_PARAMETER_SET.parse_whole(
            FEATURE_PARAMETER_SET.build_whole(self.elements)
        )


def coder_of(config: EncoderConfig) -> Coder:
    """The coder_id of a configuration."""
    return Coder[config.coder.upper().replace("-", "_")]


def _elements_of(
    fps_id: int, config: EncoderConfig, first: Feature, qps: Sequence[float]
) -> dict[str, Any]:
    """Elements of a feature_parameter_set(), without HEVC's own parameter sets."""
    kind = config.feature_type or ("fc" if first.ndim == 1 else "conv")
    signed = config.lossy_quantiser == "log" and bool((first < 0).any())
    if signed and config.sample_bits == 1:
        raise CallerError("negative values need at least 2 bits with the log quantiser")
    coder = coder_of(config)
    hevc = coder == Coder.HEVC
    columns, rows = _grid(config, first.shape, qps) if hevc else (1, 1)
    hash_size = config.hash_size if config.hash_size is not None else 8 if hevc else 0
    elements: dict[str, Any] = {
        "fps_id": fps_id,
        "feature_type": FeatureType[kind.upper()],
        "source_type": source_type_of(first.dtype),
        "channels_minus1": first.shape[0] - 1,
        "quantiser": _QUANTISERS[config.lossy_quantiser],
        "bits_minus1": config.sample_bits - 1,
        "range_per_channel_flag": int(config.range == "channel" and kind != "fc"),
        "restoration_enabled_flag": int(
            hevc and not config.lossless and config.restoration != "off"
        ),
        "log_signed_flag": int(signed),
        "sample_hash_size_code": _HASH_CODES[hash_size],
        "coder_id": coder,
        "shuffle_flag": int(config.shuffle),
        "hevc_lossless_flag": int(config.lossless),
        "temporal_prediction_flag": int(config.gop > 0),
        "tile_columns_minus1": columns - 1,
        "tile_rows_minus1": rows - 1,
        "parameter_sets_size": 0,
        "parameter_sets": b"",
    }
    if kind != "fc":
        elements["height_minus1"], elements["width_minus1"] = (side - 1 for side in first.shape[1:])
    return elements


def _grid(config: EncoderConfig, shape: tuple[int, ...], qps: Sequence[float]) -> tuple[int, int]:
    """The tile grid, columns and rows: room for the channels of the commonest QP."""
    if config.packing == "frame":
        return 1, 1
    tiles = shape[0] if config.lossless else int(np.unique(qps, return_counts=True)[1].max())
    height, width = shape[1:] if len(shape) == 3 else (1, 1)
    return near_square(tiles, height, width)


def _aim(
    config: EncoderConfig,
    fps: Any,
    parameters: Any,
    feature: Feature,
    samples: Samples,
    positions: Values | None,
    advice: Advice,
    wanted: Wanted,
) -> None:
    """Set the QP of a feature to the coarsest that reaches a target error, or the finest of a target size.

    A bisection over eighths of a QP: size and error are monotonic but for small waves. QPs of channels keep
    their distances. Where the target is out of reach, the nearest QP is taken and a warning logged.
    """
    aims_at_error = config.target_snr is not None
    low = 0 if parameters.qp_delta is None else 8 * int(parameters.qp_delta.max())
    high = 8 * HIGHEST_QP[Coder.NATIVE]
    source = feature.astype(np.float64)
    allowed = float(np.var(source)) / 10 ** ((config.target_snr or 0.0) / 10)

    def reaches(eighths: int) -> bool:
        parameters.qp, parameters.qp_eighths = divmod(eighths, 8)
        coded = encode_payloads(
            [samples], [positions], [advice], [parameters], fps, Machine(), wanted
        )
        if not aims_at_error:
            return len(coded.payloads[0]) <= (config.target_size or 0)
        values = dequantise(coded.decoded[0], fps, parameters).astype(np.float64)
        return float(np.mean((values - source) ** 2)) <= allowed

    while low < high:
        middle = (low + high + aims_at_error) // 2
        if reaches(middle) == aims_at_error:
            low, high = (middle, high) if aims_at_error else (middle + 1, high)
        else:
            low, high = (low, middle - 1) if aims_at_error else (low, middle)
    if not reaches(low):
        _log.warning("a target is out of reach: the feature has QP %g", low / 8)


def choose_restoration(
    positions: npt.NDArray[np.float64], decoded: Samples, payload_size: int, bits: int
) -> Restoration:
    """Decide on statistics restoration from the feature alone, not knowing the network behind it.

    positions    : the samples before rounding and coding, float64, C x H x W.
    decoded      : the samples after it.
    payload_size : bytes spent on the samples.

    Per channel where its 32 bits a channel are at most a fifth of the payload: it never did harm in
    trials. Else per tensor, for 32 bits, where that at least halves the squared error of the channels'
    standard deviations. Else off: before a tail that only averages, restoring a tensor's deviation can
    cost more than 10 dB. The thresholds were found on ResNet-20 and confirmed on ResNet-56.
    """
    if 4 * len(decoded) <= 0.2 * payload_size:
        return Restoration.CHANNEL

    def deviations(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        spread: npt.NDArray[Any] = samples.reshape(len(samples), -1).std(axis=1)
        return spread

    moments = measure_moments(positions, Restoration.TENSOR, bits)
    restored = restore_moments(
        decoded, moments["restoration_mean"], moments["restoration_deviation"], bits
    )
    wanted = deviations(positions)
    before = ((deviations(decoded) - wanted) ** 2).sum()
    after = ((deviations(restored / 65536) - wanted) ** 2).sum()
    return Restoration.TENSOR if after < 0.5 * before else Restoration.OFF
