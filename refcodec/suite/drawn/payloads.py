"""Payloads: samples or content drawn for a coder, and coded by its own encoding half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refcodec.coders import payload_coder
from refcodec.coders.lossless import sample_bytes
from refcodec.coders.native_lossless.header import KINDS
from refcodec.coders.native_static.contexts import CHANGEABLE
from refcodec.coders.protocol import Coded, Job, Reference, Samples
from refcodec.coders.substreams import channels_of
from refcodec.config import EncoderConfig
from refcodec.ranges import convert_reference
from refcodec.registry import record_of
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.containers import compress
from refcodec.suite.drawn.exact import encode_exactly
from refcodec.suite.drawn.native import draw_content
from refcodec.suite.drawn.samples import draw_samples, draw_words
from refcodec.syntax.codes import Coder, FeatureType, Quantiser
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["draw_payload", "draw_video_payloads"]

_X265_PRESETS = ("ultrafast", "veryfast", "medium")


def draw_payload(
    chance: Chance,
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    reference: Reference | None = None,
    *,
    tools: bool = False,
) -> Coded:
    """Draw a feature and code it, with any coder but those of video.

    reference : the feature to predict from, for coders that do.
    tools     : true to draw dependent quantisation and gains of tokens, too.
    """
    if fps.coder_id == Coder.NATIVE:
        converted = None
        if reference is not None:
            converted = convert_reference(reference.samples, reference.parameters, parameters, fps)
        shape = (fps.channels, fps.height, fps.width)
        gainable = fps.quantiser == Quantiser.TRANSFORM and fps.feature_type == FeatureType.TOKENS
        content = draw_content(
            chance,
            shape,
            predicted=reference is not None,
            dependent=tools and chance.below(2) > 0,
            gained=tools and gainable and chance.below(2) > 0,
        )
        return Coded(*content.code(fps, parameters, converted), reference is None)
    if fps.coder_id == Coder.NATIVE_STATIC:
        return _draw_substreams(chance, fps, parameters)
    samples = _draw_samples(chance, fps)
    if fps.coder_id == Coder.NATIVE_LOSSLESS:
        return Coded(encode_exactly(chance, samples, fps), samples)
    data = sample_bytes(samples, fps)
    if fps.coder_id != Coder.RAW:
        data = compress(chance, data, record_of(fps.coder_id).name)
    return Coded(data, samples)


def _draw_substreams(
    chance: Chance, fps: FeatureParameterSet, parameters: FeatureParameters
) -> Coded:
    """Draw the content of each substream of a feature with static tables, and the tables of its contexts."""
    parts = []
    for number in range(fps.substream_count):
        channels = channels_of(fps, number)
        content = draw_content(chance, (len(channels), fps.height, fps.width), predicted=False)
        content = replace(content, block=max(content.block, 8))
        changes = np.zeros(CHANGEABLE, np.int64)
        for place in chance.order(CHANGEABLE)[: chance.choose([0, 0, 1, 9, CHANGEABLE])].tolist():
            changes[place] = chance.number(-60, 60)
        drawn = None if chance.below(2) else changes.astype(np.int32)
        parts.append(content.code_static(fps, parameters, channels, drawn))
    data, samples = zip(*parts, strict=True)
    return Coded(b"".join(data), np.concatenate(samples), substreams=tuple(map(len, data[:-1])))


def _draw_samples(chance: Chance, fps: FeatureParameterSet) -> Samples:
    shape = (fps.channels, fps.height, fps.width)
    if fps.quantiser != Quantiser.NONE:
        return draw_samples(chance, shape, fps.bits)
    kind = KINDS.get(fps.source_type)
    return draw_words(chance, shape, *(map(int, kind) if kind is not None else (0, fps.bits - 1)))


def draw_video_payloads(
    chance: Chance,
    fps: FeatureParameterSet,
    parameters: Sequence[FeatureParameters],
    ffmpeg: str | None,
) -> tuple[list[Coded], FeatureParameterSet]:
    """Draw features and code them as video; returns also their parameter set, with those of the standard.

    Raises EnvironmentFault without a program that can.
    """
    shape = (fps.channels, fps.height, fps.width)
    gop = chance.between(1, len(parameters)) if fps.temporal_prediction_flag else 0
    record = record_of(fps.coder_id)
    preset = chance.choose(record.choices.get("preset", _X265_PRESETS))
    options: dict[str, Any] = {"gop": gop} if "gop" in record.options else {}
    config = EncoderConfig(coder=record.name, preset=preset, ffmpeg=ffmpeg, workers=1, **options)
    samples = [draw_samples(chance, shape, fps.bits) for _ in parameters]
    for number in range(1, len(samples)):
        if chance.below(2):  # something to predict
            samples[number] = np.roll(samples[number - 1], chance.below(3), axis=2)
    jobs = [Job(one, None, own) for one, own in zip(samples, parameters, strict=True)]
    encoded = payload_coder(fps.coder_id).encode(jobs, fps, config)
    sets = encoded.parameter_sets
    coded = replace(fps, parameter_sets=sets, parameter_sets_size=len(sets))
    return encoded.features, coded
