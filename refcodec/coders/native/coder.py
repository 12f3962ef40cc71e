"""The native coder as a payload coder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.feature import encode_payload
from refcodec.coders.native.encoder.tuning import tuning_of
from refcodec.coders.native.head import named_elements, read_head
from refcodec.coders.native.payload import decode_payload
from refcodec.coders.parallel import elements_of, in_parallel
from refcodec.coders.protocol import (
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
from refcodec.errors import CallerError
from refcodec.ranges import convert_reference
from refcodec.syntax.bits import Element, Trace
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["PAYLOAD_CODER"]


class _Native(PayloadCoder):
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        if not run[0].fps.temporal_prediction_flag:
            yield from in_parallel(decode_payload, run, machine.workers, elements_of(run[0].fps))
            return
        for payload in run:
            reference = None if payload.access_point else previous
            samples = decode_payload(
                payload, _converted(reference, payload.parameters, payload.fps)
            )
            previous = Reference(samples, payload.parameters)
            yield samples

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        if config.dependent and fps.height * fps.width == 1:
            raise CallerError(
                "dependent has no effect: features of one value a channel have no transform",
                hint="leave it out",
            )
        tuning = tuning_of(config.speed, config.restoration, dependent=config.dependent)

        def code(job: Job, reference: Reference | None = None) -> Coded:
            exact = job.samples if job.exact is None else job.exact
            advice = job.advice or NO_ADVICE
            converted = _converted(reference, job.parameters, fps)
            payload, samples = encode_payload(exact, fps, job.parameters, tuning, advice, converted)
            return Coded(payload, samples, access_point=reference is None)

        if not config.gop:
            return Encoded(list(in_parallel(code, jobs, config.parallel, elements_of(fps))))
        coded: list[Coded] = []
        previous: Reference | None = None
        for number, job in enumerate(jobs):
            coded.append(code(job, previous if number % config.gop else None))
            previous = Reference(coded[-1].samples, job.parameters)
        return Encoded(coded)

    def show_payload(self, payload: Payload, trace: Trace) -> None:
        """Add the elements of the head, all at the start of the payload, as decisions have no own bits."""
        place = trace[-1].offset
        if not payload.data:
            return
        head = read_head(payload.data, payload.fps, predicted=not payload.access_point)
        for name, value in named_elements(head).items():
            path = f"native_payload.head_{name}"
            trace.append(Element(path, "ae", place, 0, value, "8.3.7.1"))

    def label_payload(self, payload: Payload) -> Iterator[str]:
        found = read_head(payload.data, payload.fps, predicted=not payload.access_point)
        head = named_elements(found)
        block = head["block"]
        yield f"native:blocks-{4 << block}" if block else "native:samples"
        if head.get("frequency_slope"):
            yield "native:slope"
        if head.get("shift_down") or head.get("shift_right"):
            yield "native:displaced"
        if head.get("dependent"):
            yield "native:dependent"
        yield f"native:restoration-{head['restoration']}"
        if head.get("gains"):
            yield "native:gains"


def _converted(
    reference: Reference | None, own: FeatureParameters, fps: FeatureParameterSet
) -> Samples | None:
    """The samples of a reference feature, in the range of the feature that is predicted from it."""
    if reference is None:
        return None
    return convert_reference(reference.samples, reference.parameters, own, fps)


PAYLOAD_CODER = _Native()
