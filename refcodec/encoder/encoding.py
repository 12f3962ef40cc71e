"""Encoding of features of one parameter set: quantise, signal parameters, code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.coders import payload_coder
from refcodec.coders.native.gains import gains_of
from refcodec.coders.protocol import Coded, Job
from refcodec.config import EncoderConfig
from refcodec.encoder.analysis import Latents
from refcodec.encoder.features import Feature
from refcodec.encoder.models import (
    StreamModel,
    context_model,
    stream_model,
    transform_of_features,
)
from refcodec.encoder.ranges import Share, share_ranges, shares_elements
from refcodec.encoder.restoration import choose_restoration
from refcodec.encoder.targets import meet_target
from refcodec.errors import EnvironmentFault
from refcodec.quantise import ALIKE, fit_parameters, measure_moments, quantise, quantise_alike
from refcodec.registry import record_of
from refcodec.stream.features import LARGEST_BATCH
from refcodec.stream.limits import element_count
from refcodec.syntax.codes import ChannelOrder, Coder, FeatureType, Restoration, UnitType
from refcodec.syntax.structures import (
    FEATURE_PARAMETERS,
    FeatureParameters,
    FeatureParameterSet,
)

__all__ = [
    "CodedFeature",
    "CodedRun",
    "FeatureEncoder",
    "Request",
    "signal_parameters",
    "whole_payload",
]

Samples = npt.NDArray[np.int32]

_NO_SAMPLES: Samples = np.zeros((0, 0, 0), np.int32)
"""Samples of a feature whose latents are given."""


class Request(NamedTuple):
    """A feature to code.

    feature   : C x H x W.
    qps       : one QP per channel.
    advice    : hints for coders that use them; under a hyperprior, the latents.
    continues : true if its tokens follow those of the preceding feature.
    """

    feature: Feature
    qps: tuple[float, ...]
    advice: Any = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class CodedFeature:
    """A coded feature, the parameters that are signalled for it, and what its range shares with others.

    continues : as of its `Request`.
    """

    parameters: FeatureParameters
    coded: Coded
    share: Share
    continues: bool = False


@dataclass(frozen=True, slots=True)
class CodedRun:
    """Consecutive features of one parameter set, coded together.

    fps     : their parameter set, complete.
    batched : true if they are to share coded feature batches.
    hashed  : true if hash units are to follow them.
    model   : the model that the parameter set names, if it does, and how it is stored.
    contexts : likewise, the context model.
    """

    fps: FeatureParameterSet
    batched: bool
    hashed: bool
    features: list[CodedFeature]
    model: StreamModel | None = None
    contexts: StreamModel | None = None


class FeatureEncoder:
    """Encodes the features of one parameter set.

    fps   : the parameter set; those of a video standard are added with the first features.
    model : the model that the parameter set names: that of the configuration, or of the first features.
    """

    def __init__(self, fps: FeatureParameterSet) -> None:
        self.fps = fps
        self.model: StreamModel | None = None

    def code(self, requests: Sequence[Request], config: EncoderConfig) -> CodedRun:
        """Code consecutive features; the first becomes an access point."""
        if self.fps.feature_type != FeatureType.TOKENS:
            return self._code(requests, self.fps, config)
        runs = [
            self._code(list(alike), replace(self.fps, height=tokens), config)
            for tokens, alike in groupby(requests, key=lambda one: one.feature.shape[1])
        ]
        return replace(runs[0], features=[one for run in runs for one in run.features])

    def _code(
        self, requests: Sequence[Request], fps: FeatureParameterSet, config: EncoderConfig
    ) -> CodedRun:
        """Code consecutive features of one shape.

        fps : their parameter set, with their height.
        """
        batched = is_batched(fps, config)
        fitted = [fit_parameters(one.feature, fps, config.clip) for one in requests]
        given = config.clip is not None and config.range == "tensor"  # one range for all of them
        if (batched and not given) or shares_elements(fps):
            shared = list(share_ranges(fitted, fps))
        else:
            shared = [(elements, Share()) for elements in fitted]
        transform = transform_of_features(config, fps)
        if transform is not None and self.model is None:
            self.model = StreamModel(transform, config.model_apart)
        plain = quantise_alike(
            [one.feature for one in requests if not isinstance(one.advice, Latents)], fps
        )
        jobs = []
        parameters, qps = None, None
        for request, (ranges, _) in zip(requests, shared, strict=True):
            if parameters is None or ranges or request.qps != qps:
                parameters = signal_parameters(fps, config, request.qps, ranges)
                qps = request.qps
            if isinstance(request.advice, Latents):  # they stand for the feature
                jobs.append(Job(_NO_SAMPLES, None, parameters, request.advice))
                continue
            if fps.quantiser in ALIKE:
                samples, exact = next(plain), None
            else:
                samples, exact = quantise(request.feature, fps, parameters, transform)
            advice = request.advice
            if config.token_gain:
                advice = replace(advice, gains=gains_of(request.feature))
            job = Job(samples, exact, parameters, advice)
            if config.aims:
                job = replace(job, parameters=meet_target(request.feature, job, fps, config))
            jobs.append(job)
        if record_of(fps.coder_id).has_model:
            if self.model is None:
                self.model = stream_model(config, fps, [job.samples for job in jobs])
            config = config.but(model=self.model.model, batch=batched)
        encoded = payload_coder(fps.coder_id).encode(jobs, fps, config)
        if encoded.parameter_sets:
            self._adopt(encoded.parameter_sets)
        coded = [
            CodedFeature(_restored(job, one, fps, config), one, share, request.continues)
            for request, job, one, (_, share) in zip(
                requests, jobs, encoded.features, shared, strict=True
            )
        ]
        contexts = context_model(config)
        return CodedRun(self.fps, batched, config.hashes, coded, self.model, contexts)

    def _adopt(self, parameter_sets: bytes) -> None:
        """Store the parameter sets of a video standard, which all features share, in that of the features."""
        if (self.fps.parameter_sets or parameter_sets) != parameter_sets:
            raise EnvironmentFault("ffmpeg wrote different parameter sets for frames of one size")
        self.fps = replace(
            self.fps, parameter_sets=parameter_sets, parameter_sets_size=len(parameter_sets)
        )


def whole_payload(run: CodedRun, kind: UnitType, features: Sequence[CodedFeature]) -> bytes | None:
    """The payload of the latents of a unit, coded as one; None where each feature has its own.

    Latents that were coded to share a batch are coded anew for a joint one, or where one stands alone.
    """
    model = None if run.model is None else run.model.latent_model
    if run.model is None or model is None or not run.batched:
        return None
    if kind == UnitType.CODED_FEATURE_BATCH and not run.model.joint:
        return None
    from refcodec.coders.learned.coder import encode_together

    return encode_together([one.coded for one in features], model, run.fps)


def is_batched(fps: FeatureParameterSet, config: EncoderConfig) -> bool:
    """True if features share coded feature batches."""
    if record_of(fps.coder_id).video or config.aims or config.gop:
        return False
    if fps.substream_count > 1 or fps.feature_type == FeatureType.TOKENS:
        return False
    if fps.coder_id == Coder.LEARNED and element_count(fps) > LARGEST_BATCH:
        return False
    if config.batch is not None:
        return config.batch
    small = 4 * element_count(fps) <= LARGEST_BATCH
    packs = record_of(fps.coder_id).coder_id in (Coder.NATIVE, Coder.NATIVE_STATIC, Coder.LEARNED)
    return fps.feature_type == FeatureType.FC or (packs and small)


def signal_parameters(
    fps: FeatureParameterSet,
    config: EncoderConfig,
    qps: Sequence[float],
    ranges: Mapping[str, Any] | None = None,
) -> FeatureParameters:
    """The feature_parameters() of a feature with these QPs.

    ranges : elements that were fitted to the feature; None if their values do not matter.
    """
    elements: dict[str, Any] = dict(ranges or _any_ranges(fps))
    if fps.qp_present:
        elements |= _qp_elements(tuple(qps))
    elements["restoration_mode"] = Restoration.OFF
    elements["channel_order"] = ChannelOrder.IDENTITY
    if config.order is not None:
        elements["channel_order"] = ChannelOrder.EXPLICIT
        elements["channel_at_bits"] = (len(config.order) - 1).bit_length()
        elements["channel_at"] = np.array(config.order)
    elif elements.get("qp_delta_bits") and config.packing == "tile":
        elements["channel_order"] = ChannelOrder.BY_QP
    return FEATURE_PARAMETERS.make(elements, fps=fps)


@lru_cache(maxsize=64)
def _qp_elements(qps: tuple[float, ...]) -> dict[str, Any]:
    """The elements of feature_parameters() of these QPs."""
    whole = np.array([int(qp) for qp in qps])
    highest, lowest = int(whole.max()), int(whole.min())
    return {
        "qp": highest,
        "qp_eighths": int(8 * (qps[0] - whole[0])),
        "qp_delta_bits": (highest - lowest).bit_length(),
        "qp_delta": highest - whole,
    }


def _any_ranges(fps: FeatureParameterSet) -> dict[str, Any]:
    ones = np.ones(fps.ranges)
    return {"range_min_zero_flag": 1, "range_max": ones, "log_exponent": 0, "log_step": ones}


def _restored(
    job: Job, coded: Coded, fps: FeatureParameterSet, config: EncoderConfig
) -> FeatureParameters:
    """The parameters of a coded feature, with the moments that its decoder restores."""
    if not fps.restoration_enabled_flag or job.exact is None:
        return job.parameters
    if config.restoration == "auto":
        mode = choose_restoration(job.exact, coded.samples, len(coded.data), fps.bits)
    else:
        mode = Restoration[config.restoration.upper()]
    if mode == Restoration.OFF:
        return job.parameters
    moments = measure_moments(job.exact, mode, fps.bits)
    elements = {**vars(job.parameters), "restoration_mode": mode, **moments}
    return FEATURE_PARAMETERS.make(elements, fps=fps)
