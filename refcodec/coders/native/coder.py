"""The native coder as a payload coder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from refcodec.clauses import clause
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
from refcodec.contexts import ContextModel, Initial
from refcodec.errors import CallerError, ConstraintError
from refcodec.probability.store import ModelStore
from refcodec.ranges import convert_reference
from refcodec.syntax.bits import Element, Trace
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["PAYLOAD_CODER", "initial_of"]


class _Native(PayloadCoder):
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        initial = initial_of(run[0], machine.models)
        if not run[0].fps.temporal_prediction_flag:
            decode = partial(decode_payload, initial=initial)
            yield from in_parallel(decode, run, machine.workers, elements_of(run[0].fps))
            return
        for payload in run:
            reference = None if payload.access_point else previous
            converted = _converted(reference, payload.parameters, payload.fps)
            samples = decode_payload(payload, converted, initial)
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
        initial = None if config.contexts is None else config.contexts.initial

        def code(job: Job, reference: Reference | None = None) -> Coded:
            exact = job.samples if job.exact is None else job.exact
            advice = job.advice or NO_ADVICE
            converted = _converted(reference, job.parameters, fps)
            payload, samples = encode_payload(
                exact, fps, job.parameters, tuning, advice, converted, initial
            )
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


@clause("9.12")
def initial_of(payload: Payload, models: ModelStore) -> Initial | None:
    """(9.12) The states and weights of the context model of a payload; None where it has none.

    Raises EnvironmentFault where a file is not found, ConstraintError for one of another kind.
    """
    if payload.contexts is None:
        return None
    model = models.find(payload.contexts)
    if not isinstance(model, ContextModel):
        raise ConstraintError(
            f"model {payload.fps.context_model_id} is no context model",
            bit_offset=payload.bit_offset,
            requirement="9.12-2",
        )
    return model.initial


def _converted(
    reference: Reference | None, own: FeatureParameters, fps: FeatureParameterSet
) -> Samples | None:
    """The samples of a reference feature, in the range of the feature that is predicted from it."""
    if reference is None:
        return None
    return convert_reference(reference.samples, reference.parameters, own, fps)


PAYLOAD_CODER = _Native()
