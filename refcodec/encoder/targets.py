"""Search for the QP at which a feature meets a target: a size in bytes, or a signal-to-noise ratio."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from refcodec.coders import payload_coder
from refcodec.coders.protocol import Job
from refcodec.config import EncoderConfig
from refcodec.encoder.features import Feature
from refcodec.encoder.models import transform_of_features
from refcodec.quantise import dequantise
from refcodec.registry import LARGEST_QP
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["meet_target"]

_log = logging.getLogger("refcodec")


def meet_target(
    feature: Feature, job: Job, fps: FeatureParameterSet, config: EncoderConfig
) -> FeatureParameters:
    """Find the largest QP that reaches the target SNR, or the smallest that keeps to the target size.

    Bisection over eighths of a QP: size and error are monotonic but for small fluctuations. Differences
    between the QPs of channels stay. If the target is out of reach, the nearest QP is used and a warning
    logged. Returns the parameters of the job with that QP.
    """
    parameters = job.parameters
    aims_at_error = config.target_snr is not None
    low = 0 if parameters.qp_delta is None else 8 * int(parameters.qp_delta.max())
    high = 8 * LARGEST_QP[config.coder]
    source = feature.astype(np.float64)
    transform = transform_of_features(config, fps)
    allowed = float(np.var(source)) / 10 ** ((config.target_snr or 0.0) / 10)

    def with_qp(eighths: int) -> FeatureParameters:
        return replace(parameters, qp=eighths // 8, qp_eighths=eighths % 8)

    def reaches(eighths: int) -> bool:
        trial = replace(job, parameters=with_qp(eighths))
        (coded,) = payload_coder(fps.coder_id).encode([trial], fps, config).features
        if not aims_at_error:
            return len(coded.data) <= (config.target_size or 0)
        values = dequantise(coded.samples, fps, trial.parameters, transform).astype(np.float64)
        return float(np.mean((values - source) ** 2)) <= allowed

    while low < high:
        middle = (low + high + aims_at_error) // 2
        if reaches(middle) == aims_at_error:
            low, high = (middle, high) if aims_at_error else (middle + 1, high)
        else:
            low, high = (low, middle - 1) if aims_at_error else (low, middle)
    if not reaches(low):
        _log.warning("a target is out of reach: the feature has QP %g", low / 8)
    return with_qp(low)
