"""The learned coder as a payload coder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from refcodec.coders.learned.payload import (
    channels_of,
    decode_joint,
    decode_separate,
    encode_separate,
    encode_substreams,
    latents_of,
)
from refcodec.coders.parallel import in_parallel
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
from refcodec.config import EncoderConfig
from refcodec.errors import StreamError
from refcodec.probability.model import EntropyModel
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PAYLOAD_CODER", "LearnedCoder"]


class LearnedCoder(PayloadCoder):
    """Latents of features, one by one or a batch at a time."""

    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        """(8.3.9) Decode consecutive features; a joint batch once, although each feature has its data."""
        whole: tuple[bytes, Samples] | None = None
        for payload in run:
            place = payload.place
            if place is None or not place.joint:
                yield _decoded(payload, machine)[0]
                continue
            if whole is None or whole[0] is not payload.data:
                whole = payload.data, _decoded(payload, machine)
            yield whole[1][place.number]

    def decode_unit(
        self, payloads: Sequence[Payload], machine: Machine
    ) -> npt.NDArray[np.int32] | None:
        """(8.3.9) Decode all features of a batch."""
        if not isinstance(payloads, BatchPayloads):
            return None
        first = payloads[0]
        if payloads.ends is None:
            return _decoded(first, machine)
        with_model = _model_of(first, machine)
        try:
            return decode_separate(payloads.data, payloads.ends, with_model, payloads.fps)
        except StreamError as error:
            error.bit_offset = payloads.bit_offset + (error.bit_offset or 0)
            raise

    def decode_channels(
        self, payload: Payload, machine: Machine, channels: range
    ) -> tuple[Samples, int] | None:
        """(8.3.9) Decode the substreams that have some channels; None where they cannot be told apart."""
        if not payload.substreams:
            return None
        groups = [channels_of(payload.fps, one) for one in range(payload.fps.substream_count)]
        wanted = [
            number
            for number, one in enumerate(groups)
            if one.start < channels.stop and channels.start < one.stop
        ]
        return _substreams(payload, machine, wanted), groups[wanted[0]].start

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        """Code features; in a run whose features are batched, each as it stands in a batch.

        config.model : the model, which is not None here.
        """
        model = config.model
        assert isinstance(model, EntropyModel)
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
        """Labels of how the payload stands in its unit."""
        if payload.substreams:
            yield "latents:substreams"
        elif payload.place is None:
            yield "latents:alone"
        else:
            yield "latents:joint" if payload.place.joint else "latents:separate"


def _decoded(payload: Payload, machine: Machine) -> Samples:
    """The features of a payload, N x C x H x W. Raises StreamError with its position, EnvironmentFault."""
    model, place = _model_of(payload, machine), payload.place
    if payload.substreams:
        whole = _substreams(payload, machine, range(payload.fps.substream_count))
        return whole.reshape(1, *whole.shape)
    try:
        if place is not None and not place.joint:
            ends = np.array([len(payload.data)], np.int64)
            return decode_separate(payload.data, ends, model, payload.fps)
        return decode_joint(
            payload.data, 1 if place is None else place.features, model, payload.fps
        )
    except StreamError as error:
        error.bit_offset = payload.bit_offset
        raise


def _substreams(payload: Payload, machine: Machine, wanted: Sequence[int]) -> Samples:
    """Decode consecutive substreams of a feature by several threads; their channels x H x W.

    Raises StreamError with the position of the substream, EnvironmentFault.
    """
    model, fps = _model_of(payload, machine), payload.fps
    ends = [*accumulate(payload.substreams), len(payload.data)]

    def decode(number: int) -> Samples:
        start = ends[number - 1] if number else 0
        data, channels = payload.data[start : ends[number]], channels_of(fps, number)
        try:
            found: Samples = decode_joint(data, 1, model, fps, channels)[0]
        except StreamError as error:
            error.bit_offset = payload.bit_offset + 8 * start
            raise
        return found

    return np.concatenate(list(in_parallel(decode, wanted, machine.workers)))


def _model_of(payload: Payload, machine: Machine) -> EntropyModel:
    assert payload.model is not None
    return machine.models.find(payload.model)


PAYLOAD_CODER = LearnedCoder()
