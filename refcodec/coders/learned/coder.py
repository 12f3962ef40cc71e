"""The learned coder as a payload coder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from refcodec.coders.learned.hyperprior import (
    LatentArrays,
    decode_latents,
    encode_latents,
    quantise_latents,
    synthesise,
)
from refcodec.coders.learned.payload import (
    decode_joint,
    decode_separate,
    encode_joint,
    encode_separate,
    encode_substreams,
    latents_of,
)
from refcodec.coders.protocol import (
    BatchPayloads,
    Coded,
    Encoded,
    Job,
    Machine,
    Payload,
    PayloadCoder,
    Reference,
    Samples,
)
from refcodec.coders.substreams import Decode, decode_some, decode_substreams
from refcodec.config import EncoderConfig
from refcodec.contexts import ContextModel
from refcodec.errors import ConstraintError, StreamError
from refcodec.probability.hyperprior import HyperpriorModel, check_features
from refcodec.probability.kinds import LatentModel
from refcodec.probability.model import EntropyModel
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.transform.channel import ChannelTransform

__all__ = ["PAYLOAD_CODER", "LearnedCoder", "encode_together", "latents_of_unit"]

Decoded = TypeVar("Decoded")


class LearnedCoder(PayloadCoder):
    """Latents of features, one by one or a batch at a time."""

    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        """(8.3.9) Decode consecutive features; a joint batch once, although each feature has its data."""
        for samples, number in _each(run, lambda payload: _decoded(payload, machine)):
            yield samples[number]

    def decode_unit(
        self, payloads: Sequence[Payload], machine: Machine
    ) -> npt.NDArray[np.int32] | None:
        """(8.3.9) Decode all features of a batch; None for those that are decoded one by one."""
        if not isinstance(payloads, BatchPayloads):
            return None
        first = payloads[0]
        if payloads.ends is None:
            return _decoded(first, machine)
        model = _model_of(first, machine)
        if isinstance(model, HyperpriorModel):
            return None
        try:
            return decode_separate(payloads.data, payloads.ends, model, payloads.fps)
        except StreamError as error:
            error.bit_offset = payloads.bit_offset + (error.bit_offset or 0)
            raise

    def decode_channels(
        self, payload: Payload, machine: Machine, channels: range
    ) -> tuple[Samples, int] | None:
        """(8.3.9) Decode the substreams that have some channels; None where they cannot be told apart."""
        if not payload.substreams:
            return None
        return decode_some(payload, channels, machine.workers, _decode_of(payload, machine))

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        """Code features; in a run whose features are batched, each as it stands in a batch.

        config.model : the model, which is not None here. The advice on a feature under a hyperprior are its
                       latents and its hyper-latents.
        """
        model: LatentModel = config.model
        if isinstance(model, HyperpriorModel):
            return Encoded([_under_hyperprior(job, model, fps) for job in jobs])
        samples = [job.samples for job in jobs]
        latents = latents_of(samples, fps)
        if config.batch is not False:
            data = encode_separate(latents, model, fps)
            return Encoded([Coded(one, own) for one, own in zip(data, samples, strict=True)])
        coded = []
        for one, own in zip(latents, samples, strict=True):
            parts = encode_substreams(one, model, fps)
            sizes = tuple(len(part) for part in parts[:-1])
            coded.append(Coded(b"".join(parts), own, substreams=sizes))
        return Encoded(coded)

    def label_payload(self, payload: Payload) -> Iterator[str]:
        """Labels of how the payload stands in its unit, and of the kind of its model."""
        if payload.substreams:
            yield "latents:substreams"
        elif payload.place is None:
            yield "latents:alone"
        else:
            yield "latents:joint" if payload.place.joint else "latents:separate"
        model = None if payload.model is None else payload.model.model
        if isinstance(model, HyperpriorModel):
            yield "hyperprior:means" if model.coded.mean_flag else "hyperprior:scales"
            yield "hyperprior:latents" if model.synthesis is None else "hyperprior:synthesis"


def latents_of_unit(
    payloads: Sequence[Payload], machine: Machine
) -> Iterator[tuple[Samples, Samples | None, int]]:
    """(8.3.10) The latents of each feature of a unit, without a synthesis.

    Yields latents in units of 2^-fraction, C x H x W, their scales where there is a hyperprior, and the
    fraction. Raises StreamError with its position, EnvironmentFault.
    """

    def latents(payload: Payload) -> tuple[Samples, Samples | None, int]:
        model = _model_of(payload, machine)
        if isinstance(model, HyperpriorModel):
            found = _under_model(payload, model)
            return found.values, found.scales, model.fraction
        return _decoded(payload, machine), None, 0

    for (values, scales, fraction), number in _each(payloads, latents):
        yield values[number], None if scales is None else scales[number], fraction


def _each(
    payloads: Sequence[Payload], decode: Callable[[Payload], Decoded]
) -> Iterator[tuple[Decoded, int]]:
    """Decode payloads, a joint one once; yields what it holds, and which of its features a payload is."""
    last: tuple[bytes, Decoded] | None = None
    for payload in payloads:
        place = payload.place
        if place is None or not place.joint:
            yield decode(payload), 0
            continue
        if last is None or last[0] is not payload.data:
            last = payload.data, decode(payload)
        yield last[1], place.number


def _under_model(payload: Payload, model: HyperpriorModel) -> LatentArrays:
    """The latents of all features of the data of a payload. Raises StreamError with its position."""
    place = payload.place
    count = place.features if place is not None and place.joint else 1
    try:
        return decode_latents(payload.data, count, model, payload.fps)
    except StreamError as error:
        error.bit_offset = payload.bit_offset
        raise


def _decoded(payload: Payload, machine: Machine) -> Samples:
    """The features of a payload, N x C x H x W. Raises StreamError with its position, EnvironmentFault."""
    if payload.substreams:
        every, decode = range(payload.fps.substream_count), _decode_of(payload, machine)
        whole = decode_substreams(payload, every, machine.workers, decode)
        return whole.reshape(1, *whole.shape)
    try:
        model, place = _model_of(payload, machine), payload.place
        if isinstance(model, HyperpriorModel):
            return synthesise(_under_model(payload, model).values, model, payload.fps)
        if place is not None and not place.joint:
            ends = np.array([len(payload.data)], np.int64)
            return decode_separate(payload.data, ends, model, payload.fps)
        return decode_joint(
            payload.data, 1 if place is None else place.features, model, payload.fps
        )
    except StreamError as error:
        error.bit_offset = payload.bit_offset
        raise


def _decode_of(payload: Payload, machine: Machine) -> Decode:
    """The decoder of the substreams of a payload. Raises EnvironmentFault."""
    model, fps = _model_of(payload, machine), payload.fps
    assert isinstance(model, EntropyModel)  # 9.8

    def decode(data: bytes, channels: range, samples: Samples) -> None:
        samples[:] = decode_joint(data, 1, model, fps, channels)[0]

    return decode


def _model_of(payload: Payload, machine: Machine) -> LatentModel:
    """The model of a payload. Raises EnvironmentFault; StreamError for one apart of other features."""
    reference = payload.model
    assert reference is not None
    model = machine.models.find(reference)
    if isinstance(model, ChannelTransform | ContextModel):
        raise ConstraintError(
            f"model {payload.fps.model_id} is a {type(model).__name__}, not one of latents",
            bit_offset=payload.bit_offset,
            requirement="9.9-5",
        )
    if isinstance(model, HyperpriorModel) and reference.limits is not None:
        place = payload.bit_offset
        for error in model.check(model.coded, reference.limits, place):
            raise error
        for error in check_features(model.coded, payload.fps, reference.limits, place):
            raise error
    return model


# --- informative: the encoder's half ---------------------------------------------------------------


def _under_hyperprior(job: Job, model: HyperpriorModel, fps: FeatureParameterSet) -> Coded:
    """Code a feature from its latents and hyper-latents. Raises CallerError."""
    exact, hyper = job.advice
    latents = quantise_latents(exact, hyper, model, fps)
    samples = synthesise(latents.values[None], model, fps)[0]
    return Coded(encode_latents([latents], model, fps), samples, latents=latents)


def encode_together(
    features: Sequence[Coded], model: LatentModel, fps: FeatureParameterSet
) -> bytes:
    """Code features that were coded one by one as one payload. Raises CallerError."""
    if isinstance(model, HyperpriorModel):
        return encode_latents([one.latents for one in features], model, fps)
    return encode_joint(latents_of([one.samples for one in features], fps), model, fps)


PAYLOAD_CODER = LearnedCoder()
