"""The distance of a stream's features from their source, and the part of it that the stream declares.

A coder without a quantiser declares that features are bit for bit the source. A lossless coder behind a
quantiser declares levels, and a feature is as near as they allow if each value has the nearest one; a
logarithmic quantiser may round up or down. A lossy coder declares nothing: what is measured is reported, and
compared with bounds that the user states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.files import json_value
from refcodec.quantise import dequantise
from refcodec.registry import record_of
from refcodec.shapes import volume_of
from refcodec.suite.encoders.survey import Decoded
from refcodec.syntax.codes import Coder, FeatureType, Quantiser
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["Distortion"]

Array = npt.NDArray[Any]

_MOST = 10
"""Numbers of features that are listed at most."""


@dataclass(slots=True)
class Distortion:
    """The differences of a stream's features from the source, feature by feature.

    features  : number compared so far.
    lossless  : of these, how many the stream declares to be the source, bit for bit.
    exact     : how many are the source, bit for bit.
    not_exact : numbers of those declared so that are not, at most ``_MOST``.
    farther   : values, of lossless coders, that another level of their quantiser fits better.
    max_error : largest difference in magnitude.
    """

    features: int = 0
    lossless: int = 0
    exact: int = 0
    not_exact: list[int] | None = None
    farther: int = 0
    values: int = 0
    max_error: float = 0.0
    squared: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    _MOST = 10

    def compare(self, decoded: Decoded, source: Array) -> str:
        """Add a feature and its source; returns why they cannot be compared, or ''."""
        values, fps = decoded.values, decoded.payload.fps
        if values.shape != source.shape or values.dtype != source.dtype:
            return f"feature {self.features} is {_form(values)}, and its source {_form(source)}"
        same = values.tobytes() == np.ascontiguousarray(source).tobytes()
        self.exact += same
        if fps.quantiser == Quantiser.NONE:
            self.lossless += 1
            if not same:
                self.not_exact = [*(self.not_exact or []), self.features][:_MOST]
        elif _keeps_samples(fps) and not decoded.payload.parameters.restoration_mode:
            self.farther += _farther(decoded, source)
        self._measure(values.astype(np.float64), source.astype(np.float64))
        self.features += 1
        return ""

    def _measure(self, values: Array, source: Array) -> None:
        """Add to the sums; those of the variance by the rule of Chan, Golub and LeVeque (1979)."""
        kept = (values == source) | (np.isnan(values) & np.isnan(source))
        with np.errstate(invalid="ignore"):  # of infinities and NaN, which are no error if kept
            difference = np.where(kept, 0.0, values - source)
        source = np.where(np.isfinite(source), source, 0.0)
        if not source.size:
            return
        self.max_error = max(self.max_error, float(np.abs(difference).max()))
        self.squared += float(np.sum(difference**2))
        count, mean = source.size, float(source.mean())
        total, apart = self.values + count, mean - self.mean
        self.spread += float(np.sum((source - mean) ** 2)) + apart**2 * self.values * count / total
        self.mean += apart * count / total
        self.values = total

    @property
    def mean_squared_error(self) -> float:
        """Mean of the squared differences; 0 where nothing was compared."""
        return self.squared / self.values if self.values else 0.0

    @property
    def snr(self) -> float:
        """Variance of the source over the mean squared error, in dB."""
        if not self.squared:
            return math.inf
        return 10 * math.log10(self.spread / self.squared) if self.spread else -math.inf

    def as_json(self) -> dict[str, Any]:
        """The differences as JSON types."""
        found: dict[str, Any] = json_value(
            {
                "features": self.features,
                "declared_lossless": self.lossless,
                "bit_exact": self.exact,
                "not_bit_exact": self.not_exact or [],
                "not_nearest_level": self.farther,
                "max_error": self.max_error,
                "mean_squared_error": self.mean_squared_error,
                "snr_db": self.snr,
            }
        )
        return found


def _form(values: Array) -> str:
    return f"{' x '.join(map(str, values.shape))}, {values.dtype}"


def _keeps_samples(fps: FeatureParameterSet) -> bool:
    """True for coders that give back the samples that they were given."""
    if fps.coder_id == Coder.HEVC:
        return bool(fps.hevc_lossless_flag)
    return record_of(fps.coder_id).lossless


def _farther(decoded: Decoded, source: Array) -> int:
    """Number of values that the level of the next higher or lower sample fits better.

    That is the nearer level, or, with a logarithmic quantiser, one that the value lies beyond.
    """
    fps, samples = decoded.payload.fps, decoded.samples
    tokens = fps.feature_type == FeatureType.TOKENS
    wanted = volume_of(source.astype(np.float64), tokens=tokens)

    def levels(step: int) -> Array:
        moved = np.clip(samples + step, 0, (1 << fps.bits) - 1)
        return dequantise(moved, fps, decoded.payload.parameters).astype(np.float64)

    own = levels(0)
    found = np.zeros(samples.shape, np.bool_)
    for step in (-1, 1):
        other = levels(step)
        if fps.quantiser == Quantiser.LOGARITHMIC:
            beyond = (wanted - other) * (other - own) > 0
        else:
            beyond = np.abs(other - wanted) < np.abs(own - wanted)
        found |= beyond
    return int(np.count_nonzero(found))
