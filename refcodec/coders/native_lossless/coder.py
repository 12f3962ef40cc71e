"""The native lossless coder as a payload coder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refcodec.coders.native_lossless.encoder.payload import encode_payload
from refcodec.coders.native_lossless.payload import decode_payload
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
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PAYLOAD_CODER"]

_MODES = {"0": "exact:raw", **dict.fromkeys("4567", "exact:fast")}
"""Labels of modes by the first hexadecimal digit of a payload."""


class _NativeLossless(PayloadCoder):
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        return in_parallel(decode_payload, run, machine.workers, elements_of(run[0].fps))

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        def code(job: Job) -> Coded:
            return Coded(encode_payload(job.samples, fps, config.speed), job.samples)

        return Encoded(list(in_parallel(code, jobs, config.parallel, elements_of(fps))))

    def label_payload(self, payload: Payload) -> Iterator[str]:
        yield _MODES.get(payload.data[:1].hex()[:1], "exact:context")


PAYLOAD_CODER = _NativeLossless()
