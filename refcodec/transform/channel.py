"""The inverse transform over channels, and its numbers (clauses 8.6.6 and 8.6.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.arrays import Int32
from refcodec.entropy.model_bits import NEW_CHANCE
from refcodec.errors import (
    CallerError,
    ConstraintError,
    PayloadError,
    StreamError,
    UnsupportedError,
)
from refcodec.networks.weights import WEIGHT_CHANCES, code_weights
from refcodec.stored_model import StoredModel
from refcodec.syntax.codes import Profile, Quantiser, UnitType
from refcodec.syntax.structures import (
    CHANNEL_TRANSFORM,
    COEFFICIENT_BITS,
    CodedChannelTransform,
    FeatureParameterSet,
)
from refcodec.tables import Level
from refcodec.transform.fitting import klt_of, moments_of

__all__ = ["ChannelTransform", "encode_transform", "weights_of_transform"]

Values = npt.NDArray[np.float64]

_LARGEST_COEFFICIENT = 1 << (COEFFICIENT_BITS - 1)
"""Greatest magnitude of a coefficient: samples after corrections may lie beyond their bits."""

_LARGEST_WEIGHTS = 1 << 35
"""Greatest sum of the magnitudes of the weights of a channel, shifted: sums then stay below 2^53."""

_WEIGHT_BITS = 16
_LARGEST_SHIFT = 15


# --- normative -------------------------------------------------------------------------------------


@clause("8.6.6")
def inverse_transform(samples: Int32, weights: Values, scale: Values, offset: Values) -> Values:
    """(8.6.6) Samples to values, both ... x C x H x W, binary64.

    weights       : shifted, groups x coefficients x channels of a group.
    scale, offset : of each channel.

    Every sum is one of integers below 2^53: binary64 holds it exactly, in whichever order it is formed.
    """
    groups, size, _ = weights.shape
    coefficients = np.clip(samples, -_LARGEST_COEFFICIENT, _LARGEST_COEFFICIENT).astype(np.float64)
    positions = samples.shape[-2] * samples.shape[-1]
    coefficients = coefficients.reshape(*samples.shape[:-3], groups, size, positions)
    sums = np.matmul(weights.transpose(0, 2, 1), coefficients)
    values: Values = sums.reshape(samples.shape)
    values *= scale[:, None, None]
    values += offset[:, None, None]
    return values


@clause("8.6.7")
def decode_weights(coded: CodedChannelTransform) -> Int32:
    """(8.6.7) Weights of a transform, groups x coefficients x channels of a group. Raises PayloadError."""
    size = coded.group_channels
    weights = np.zeros((coded.group_count, 1, size, size), np.int32)
    data = np.frombuffer(bytearray(coded.coded_weights), np.uint8)  # kernels want it writable
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(WEIGHT_CHANCES, NEW_CHANCE)
    start_decoding(coder, data)
    coder[DIRECTION] = 0
    if not code_weights(coder, data, chances, coded.weight_bits_minus1 + 1, weights):
        raise _refusal("a weight is out of its range")
    if not finish_decoding(coder, data):
        raise _refusal("the weights do not end where their bytes do")
    return weights[:, 0]


# --- constraints, and what an encoder needs --------------------------------------------------------


class ChannelTransform(StoredModel):
    """A linear transform over the channels of features, at each position of a map and for each token.

    Samples are coefficients; each channel is a sum of them, with integer weights, times a scale, plus an
    offset. Channels may be divided into groups of equal size that are transformed one by one.

    Make one by `fit` (features) or `from_matrix`; keep it by `save`; give it to an encoder as ``model``.
    """

    unit_type = UnitType.CHANNEL_TRANSFORM
    element = "transform"
    profile = Profile.NATIVE

    def __init__(self, coded: CodedChannelTransform) -> None:
        """Decode the weights of a transform, whose number has been checked.

        Raises PayloadError for weights that do not end where their bytes do, or are out of their range;
        ConstraintError for a sum that binary64 could not hold, or a scale or an offset that is not finite.
        """
        self.coded = coded
        self.numbers: Int32 = decode_weights(coded)
        """Weights, groups x coefficients x channels of a group."""
        shifts = coded.coefficient_shift.reshape(*self.numbers.shape[:2], 1)
        self.weights: Values = np.ldexp(self.numbers.astype(np.float64), shifts)
        """Shifted weights: integers."""
        if self.largest_sum > _LARGEST_WEIGHTS * _LARGEST_COEFFICIENT:
            raise ConstraintError(
                f"transform: a sum may reach {self.largest_sum:.0f}, above 2^52",
                requirement="9.9-3",
            )
        if not (np.isfinite(coded.channel_scale).all() and np.isfinite(coded.channel_offset).all()):
            raise ConstraintError(
                "transform: a scale or an offset is a NaN or an infinity", requirement="9.9-2"
            )

    def apply(self, samples: Int32) -> Values:
        """Samples ... x C x H x W to values, before they are rounded to their type."""
        scales, offsets = (
            one.astype(np.float64) for one in (self.coded.channel_scale, self.coded.channel_offset)
        )
        return inverse_transform(samples, self.weights, scales, offsets)

    @staticmethod
    @clause("A.3")
    def check(
        coded: CodedChannelTransform, limits: Level, bit_offset: int | None = None
    ) -> Iterator[StreamError]:
        """(A.3) The weights of a transform are within the limit of a level."""
        count = weights_of_transform(coded)
        if count > limits.max_network_weights:
            yield UnsupportedError(
                f"a transform of {count} weights; level {limits.level_idc} allows "
                f"{limits.max_network_weights}",
                bit_offset=bit_offset,
                requirement="A.3-7",
                hint="the stream understates its level, or is corrupt",
            )

    @clause("9.9")
    def check_features(
        self, fps: FeatureParameterSet, bit_offset: int | None = None
    ) -> Iterator[StreamError]:
        """(9.9) Features of a parameter set are those of the transform."""
        if fps.quantiser != Quantiser.TRANSFORM:
            yield ConstraintError(
                f"model {fps.model_id} is a transform; the quantiser must be transform",
                bit_offset=bit_offset,
                requirement="9.9-5",
            )
        if fps.channels != self.channels:
            yield ConstraintError(
                f"the transform is of {self.channels} channels, the features of {fps.channels}",
                bit_offset=bit_offset,
                requirement="9.9-4",
            )

    def __repr__(self) -> str:
        size = len(self.coded.coded_weights)
        return f"<ChannelTransform: {self.channels} channels, {len(self.numbers)} groups, {size} bytes>"

    @property
    def channels(self) -> int:
        """Channels of its features."""
        channels: int = self.coded.channels
        return channels

    @cached_property
    def _inverse(self) -> Values:
        """The forward matrix of each group, coefficients x channels, of values without their offsets."""
        scales = self.coded.channel_scale.astype(np.float64).reshape(len(self.weights), -1, 1)
        return np.linalg.inv(scales * self.weights.transpose(0, 2, 1))

    @property
    def largest_sum(self) -> float:
        """Bound on the magnitude of every sum."""
        return float(np.abs(self.weights).sum(axis=1).max()) * _LARGEST_COEFFICIENT

    def coefficients(self, values: npt.NDArray[np.floating]) -> Values:
        """The coefficients of values, ... x C x H x W of both, before rounding; they have no bias."""
        offsets = self.coded.channel_offset.astype(np.float64)[:, None, None]
        groups = (values.astype(np.float64) - offsets).reshape(
            *values.shape[:-3], *self.weights.shape[:2], -1
        )
        found: Values = np.matmul(self._inverse, groups).reshape(values.shape)
        return found

    @classmethod
    def fit(
        cls,
        features: Iterable[Any],
        metric: npt.ArrayLike | None = None,
        *,
        groups: int = 1,
    ) -> Self:
        """The Karhunen-Loève transform of features, which are read one by one: C x H x W, T x D or D.

        metric : channels x channels, symmetric: e' M e is the loss by an error e of the channels of a
                 position, as `refcodec.allocate.curvature.channel_metric` measures it on a network; None for
                 the squared error.
        groups : of consecutive channels that are transformed one by one, which bounds the work.

        At equal QP a feature then has the error of one coded without a transform in the usual range of the
        features, 16 standard deviations where their values are normal. Raises CallerError.
        """
        moments = moments_of(features)
        matrix = klt_of(moments, metric, groups)
        return cls.from_matrix(matrix if groups > 1 else matrix[0], moments.mean, groups=groups)

    @classmethod
    def from_matrix(
        cls, matrix: npt.ArrayLike, offset: npt.ArrayLike = 0.0, *, groups: int = 1
    ) -> Self:
        """A transform from floats.

        matrix : channels x coefficients: a column is what a coefficient of 1 adds to the channels. With
                 several groups, groups x channels x coefficients of each.
        offset : added to each channel, one or one per channel.

        Raises CallerError for a matrix that is not square, not finite or has no inverse, and for one whose
        coefficients are too unlike to be held by 16 bits.
        """
        table = np.asarray(matrix, np.float64)
        if groups == 1 and table.ndim == 2:
            table = table[None]
        if table.ndim != 3 or table.shape[0] != groups or table.shape[1] != table.shape[2]:
            raise CallerError(
                f"a matrix of shape {np.shape(matrix)}; it is square, or one square of each group"
            )
        if not np.isfinite(table).all() or (np.linalg.matrix_rank(table) < table.shape[1]).any():
            raise CallerError("the matrix of a transform has finite numbers and an inverse")
        channels = groups * table.shape[1]
        offsets = np.asarray(offset, np.float32)
        if offsets.shape not in ((), (channels,)):
            raise CallerError(f"{offsets.size} offsets for {channels} channels")
        rows = np.abs(table).max(axis=2)
        most = (np.abs(table) / rows[:, :, None]).max(axis=1)  # of each coefficient
        shifts = np.floor(np.log2(most / most.min())).astype(np.int64)
        room = _LARGEST_WEIGHTS / (table.shape[1] << (_WEIGHT_BITS - 1))
        shifts = np.minimum(shifts, min(_LARGEST_SHIFT, int(np.log2(room))))
        shifted = np.ldexp(table, -shifts[:, None, :])
        scales = (np.abs(shifted).max(axis=2) / ((1 << (_WEIGHT_BITS - 1)) - 1)).astype(np.float32)
        scales = np.nextafter(scales, np.float32(np.inf))  # weights stay within their bits
        weights = np.rint(shifted / scales[:, :, None]).astype(np.int32).transpose(0, 2, 1)
        coded = encode_transform(
            np.ascontiguousarray(weights), shifts.reshape(-1), scales.reshape(-1),
            np.broadcast_to(offsets, channels),
        )  # fmt: skip
        return cls(coded)


def weights_of_transform(coded: CodedChannelTransform) -> int:
    """Number of weights of all groups."""
    return coded.group_count * coded.group_channels**2


def encode_transform(
    weights: Int32,
    shifts: npt.NDArray[np.int64],
    scales: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
    bits: int = _WEIGHT_BITS,
) -> CodedChannelTransform:
    """Write the numbers of a transform.

    weights         : groups x coefficients x channels of a group, magnitudes below 2^(bits - 1).
    shifts          : of each coefficient, 0 to 15.
    scales, offsets : of each channel.
    bits            : of weights.
    """
    output = np.zeros(64 + 4 * weights.size, np.uint8)
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(WEIGHT_CHANCES, NEW_CHANCE)
    start_encoding(coder)
    coder[DIRECTION] = 1
    sound = code_weights(coder, output, chances, bits, weights[:, None].copy())
    assert sound  # callers keep to the bits
    data = output[: finish_encoding(coder, output)].tobytes()
    elements = {
        "group_count_minus1": len(weights) - 1,
        "group_channels_minus1": weights.shape[1] - 1,
        "weight_bits_minus1": bits - 1,
        "coefficient_shift": shifts,
        "channel_scale": scales,
        "channel_offset": offsets,
        "coded_size": len(data),
        "coded_weights": data,
    }
    return CHANNEL_TRANSFORM.make(elements)


def _refusal(what: str) -> PayloadError:
    return PayloadError(f"transform: {what}", clause="8.6.7")
