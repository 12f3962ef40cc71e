"""The VVC coder: channels as monochrome intra frames in a VVC elementary stream (clauses 8.3.12 and 9.10).

A payload holds, for each frame of its feature, the adaptation parameter sets of its filters and one slice.
``checks`` is clause 9.10, ``encoding`` runs vvenc, ``headers`` shows the headers of NAL units; the rest is
that of every video standard.
"""

from __future__ import annotations

from collections.abc import Sequence

from refcodec.coders.ffmpeg import VVC_PROGRAM
from refcodec.coders.protocol import Machine, Payload, Violations
from refcodec.coders.video.coder import VideoCoder, VideoFrames
from refcodec.coders.vvc.checks import check_parameter_sets, check_slices, check_units
from refcodec.coders.vvc.encoding import RUN, encode_frames
from refcodec.coders.vvc.headers import show_headers
from refcodec.pack import Frames
from refcodec.syntax.bits import Trace
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["PAYLOAD_CODER"]


class _Vvc(VideoCoder):
    program, run = VVC_PROGRAM, RUN

    def check_sets(self, fps: FeatureParameterSet, offset: int = 0) -> Violations:
        return check_parameter_sets(fps, offset)

    def check_units(self, payload: Payload, frames: int, *, first: bool) -> Violations:
        return check_units(payload, frames)

    def check_payload(self, payload: Payload) -> Violations:
        return check_slices(payload)

    def show_parameter_set(self, fps: FeatureParameterSet, trace: Trace) -> None:
        show_headers(fps.parameter_sets or b"", trace)

    def show_payload(self, payload: Payload, trace: Trace) -> None:
        show_headers(payload.data, trace, payload.fps)

    def encode_frames(
        self,
        frames: Frames,
        qps: Sequence[int],
        fps: FeatureParameterSet,
        preset: str,
        machine: Machine,
    ) -> VideoFrames:
        return encode_frames(frames, qps, fps, preset, machine)


PAYLOAD_CODER = _Vvc()
