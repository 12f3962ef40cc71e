"""The native coder with static tables as a payload coder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.tuning import Tuning, restoration_of
from refcodec.coders.native.head import named_elements
from refcodec.coders.native_static.encoder.feature import encode_payload
from refcodec.coders.native_static.payload import (
    decode_head,
    decode_payload,
    decode_substream,
    open_symbols,
)
from refcodec.coders.parallel import in_parallel
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
from refcodec.coders.substreams import decode_some
from refcodec.config import EncoderConfig
from refcodec.syntax.bits import Element, Trace
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PAYLOAD_CODER"]

_TUNING = Tuning(blocks=(16,), depths=1)


class _NativeStatic(PayloadCoder):
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        if run[0].fps.substream_count > 1:
            yield from map(partial(decode_payload, workers=machine.workers), run)
        else:
            yield from in_parallel(decode_payload, run, machine.workers)

    def decode_channels(
        self, payload: Payload, machine: Machine, channels: range
    ) -> tuple[Samples, int] | None:
        return decode_some(payload, channels, machine.workers, partial(decode_substream, payload))

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        tuning = replace(_TUNING, restoration=restoration_of(config.restoration))

        def code(job: Job) -> Coded:
            exact = job.samples if job.exact is None else job.exact
            parts, samples = encode_payload(
                exact, fps, job.parameters, tuning, job.advice or NO_ADVICE
            )
            sizes = tuple(len(part) for part in parts[:-1])
            return Coded(b"".join(parts), samples, substreams=sizes)

        return Encoded(list(in_parallel(code, jobs, config.parallel)))

    def show_payload(self, payload: Payload, trace: Trace) -> None:
        """Add the elements of the head, all at the start of the payload, as symbols have no own bits."""
        place = trace[-1].offset
        for name, value in _head(payload).items():
            trace.append(Element(f"static_payload.head_{name}", "ae", place, 0, value, "8.3.11.5"))

    def label_payload(self, payload: Payload) -> Iterator[str]:
        head = _head(payload)
        yield f"static:blocks-{4 << head['block']}"
        if head["frequency_slope"]:
            yield "static:slope"
        if payload.substreams:
            yield "static:substreams"
        yield f"static:restoration-{head['restoration']}"


def _head(payload: Payload) -> dict[str, int]:
    """The elements of the head of a payload, of its first substream. Raises PayloadError."""
    symbols, _ = open_symbols(payload.data[: (*payload.substreams, None)[0]])
    return named_elements(decode_head(symbols))


PAYLOAD_CODER = _NativeStatic()
