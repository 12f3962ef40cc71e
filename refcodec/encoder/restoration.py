"""Choice of statistics restoration (8.5): the moments to signal, if any."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.quantise import measure_moments, restore_moments
from refcodec.syntax.codes import Restoration

__all__ = ["choose_restoration"]

Samples = npt.NDArray[np.int32]


def choose_restoration(
    exact: npt.NDArray[np.float64], decoded: Samples, payload_size: int, bits: int
) -> Restoration:
    """Decide on statistics restoration from the feature alone, without the rest of the network.

    exact        : samples before rounding and coding, float64, C x H x W.
    decoded      : samples after it.
    payload_size : bytes spent on the samples.

    Per channel if its 32 bits per channel are at most a fifth of the payload: that never did harm in
    experiments. Else per tensor, for 32 bits, if that at least halves the squared error of the channels'
    standard deviations. Else off: if the tail only averages, restoring the deviation of a tensor can cost
    more than 10 dB. The thresholds were found on ResNet-20 and confirmed on ResNet-56.
    """
    if 4 * len(decoded) <= 0.2 * payload_size:
        return Restoration.CHANNEL

    def deviations(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        spread: npt.NDArray[Any] = samples.reshape(len(samples), -1).std(axis=1)
        return spread

    moments = measure_moments(exact, Restoration.TENSOR, bits)
    restored = restore_moments(
        decoded, moments["restoration_mean"], moments["restoration_deviation"], bits
    )
    wanted = deviations(exact)
    before = ((deviations(decoded) - wanted) ** 2).sum()
    after = ((deviations(restored / 65536) - wanted) ** 2).sum()
    return Restoration.TENSOR if after < 0.5 * before else Restoration.OFF
