"""The HEVC coder: channels as monochrome frames in an HEVC elementary stream (clauses 8.3.6 and 9.3).

The parameter sets of the elementary stream are stored once, in the feature parameter set; a payload holds the
slices of its feature's frames, one NAL unit per frame. Parameter sets and payloads, concatenated, are an
Annex B byte stream that any HEVC decoder can decode.

``decoding`` is clause 8.3.6, ``checks`` is clause 9.3, ``encoding`` runs x265, ``headers`` shows the headers
of NAL units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refcodec.coders.hevc.checks import check_grid, check_parameter_sets, check_slices
from refcodec.coders.hevc.decoding import decode
from refcodec.coders.hevc.encoding import encode
from refcodec.coders.hevc.headers import show_headers
from refcodec.coders.protocol import (
    Encoded,
    Job,
    Machine,
    Payload,
    PayloadCoder,
    Reference,
    Samples,
    Violations,
)
from refcodec.config import EncoderConfig
from refcodec.syntax.bits import Elements, Trace, position_of
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.tables import Level

__all__ = ["PAYLOAD_CODER"]


class _Hevc(PayloadCoder):
    def check_parameter_set(
        self, fps: FeatureParameterSet, limits: Level, trace: Elements
    ) -> Violations:
        grid = list(check_grid(fps, limits, trace))
        yield from grid
        if not grid:  # with a wrong grid every frame size would be an error, too
            yield from check_parameter_sets(fps, position_of(trace, "parameter_sets") or 0)

    def check_payload(self, payload: Payload) -> Violations:
        return check_slices(payload)

    def show_parameter_set(self, fps: FeatureParameterSet, trace: Trace) -> None:
        show_headers(fps.parameter_sets or b"", trace)

    def show_payload(self, payload: Payload, trace: Trace) -> None:
        show_headers(payload.data, trace, payload.fps)

    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        return decode(run, machine)

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        return encode(jobs, fps, config)


PAYLOAD_CODER = _Hevc()
