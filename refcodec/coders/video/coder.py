"""A payload coder whose payloads are frames of a video standard, but for what the standard decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.ffmpeg import VARIABLE, Program
from refcodec.coders.protocol import (
    Coded,
    Encoded,
    Job,
    Machine,
    Payload,
    PayloadCoder,
    Reference,
    Samples,
    Violations,
)
from refcodec.coders.video.frames import decode_frames, take_channels
from refcodec.coders.video.grid import check_grid
from refcodec.coders.video.portions import EncodeFrames
from refcodec.coders.video.runs import Run, runs_of
from refcodec.config import EncoderConfig
from refcodec.errors import EnvironmentFault, PayloadError
from refcodec.pack import layout_of, pack
from refcodec.syntax.bits import Elements, Trace, position_of
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.tables import Level

__all__ = ["VideoCoder"]


class _Run(NamedTuple):
    """Features that one run coded, and the parameter sets of its stream."""

    payloads: list[bytes]
    samples: list[Samples]
    parameter_sets: bytes


class CheckUnits(Protocol):
    """A check of number and type of units, without which ffmpeg does not see a payload."""

    def __call__(self, payload: Payload, frames: int, *, first: bool) -> Violations:
        """Yield violations.

        frames : number of frames of the feature.
        first  : true if decoding begins with this payload.
        """


_UNITS = 64
"""Units of a frame whose headers are shown at most; a few bytes can make one."""


@dataclass(frozen=True)
class VideoCoder(PayloadCoder):
    """The interface of a video standard.

    program       : the standard as ffmpeg knows it.
    run           : most work of one run of its encoder.
    check_sets    : constraints on parameter sets; takes the position of parameter_sets in bits.
    check_units   : constraints on the units of a payload, checked before ffmpeg sees it.
    check_slices  : constraints on the slices, or frames, of a payload.
    show_headers  : adds the headers of units to a trace; takes the parameter set that slices refer to, and
                    the most units to look at.
    encode_frames : codes frames at the QP of each, with a preset. Raises EnvironmentFault if another program
                    fails.
    """

    program: Program
    run: Run
    check_sets: Callable[[FeatureParameterSet, int], Violations]
    check_units: CheckUnits
    check_slices: Callable[[Payload], Violations]
    show_headers: Callable[[bytes, Trace, FeatureParameterSet | None, int], None]
    encode_frames: EncodeFrames

    def check_payload(self, payload: Payload) -> Violations:
        """Yield violations of the constraints on slices."""
        return self.check_slices(payload)

    def show_parameter_set(self, fps: FeatureParameterSet, trace: Trace) -> None:
        """Add the headers of the parameter sets."""
        self.show_headers(fps.parameter_sets or b"", trace, None, _UNITS)

    def show_payload(self, payload: Payload, trace: Trace) -> None:
        """Add the headers of a payload: of no more units than any that conforms has."""
        frames = len(layout_of(payload.fps, payload.parameters).qps)
        self.show_headers(payload.data, trace, payload.fps, _UNITS * (frames + 1))

    def check_parameter_set(
        self, fps: FeatureParameterSet, limits: Level, trace: Elements
    ) -> Violations:
        """Yield violations of grid and parameter sets."""
        grid = list(check_grid(fps, self.program.standard, limits, trace))
        yield from grid
        if not grid:  # with a wrong grid every frame size would be an error, too
            yield from self.check_sets(fps, position_of(trace, "parameter_sets") or 0)

    @clause("8.3.6")
    def decode(
        self, run: Sequence[Payload], machine: Machine, previous: Reference | None = None
    ) -> Iterator[Samples]:
        """(8.3.6) Decode consecutive features of one parameter set; the first must be an access point.

        Yields int32 samples, C x H x W, clipped to the bits of the quantiser.
        """
        fps = run[0].fps
        for error in self.check_sets(fps, 0):
            raise error
        layouts = [layout_of(fps, one.parameters) for one in run]
        for one, layout in zip(run, layouts, strict=True):
            for error in self.check_units(one, len(layout.qps), first=one is run[0]):
                raise error
        count = sum(len(layout.qps) for layout in layouts)
        payloads = b"".join(one.data for one in run)
        try:
            frames = decode_frames(payloads, self.program, count, layouts[0], fps, machine)
        except PayloadError as error:
            error.bit_offset = run[0].bit_offset
            raise
        yield from take_channels(frames, layouts, fps)

    def encode(
        self, jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig
    ) -> Encoded:
        """Code features of one parameter set, several per run of ffmpeg, with several runs in parallel."""
        machine = Machine(config.ffmpeg, config.parallel, config.timeout)
        layouts = [layout_of(fps, job.parameters) for job in jobs]
        temporal = bool(fps.temporal_prediction_flag)
        runs = list(runs_of(layouts, config.gop if temporal else 0, self.run))

        def encode_run(run: range) -> _Run:
            own = [layouts[i] for i in run]
            frames = np.concatenate([pack(jobs[i].samples, layouts[i]) for i in run])
            qps = [qp for layout in own for qp in layout.qps]
            found = self.encode_frames(frames, qps, fps, config.preset, machine)
            rest = iter(found.payloads)
            payloads = [b"".join(islice(rest, len(layout.qps))) for layout in own]
            coded = replace(fps, parameter_sets=found.parameter_sets)
            try:
                back = decode_frames(
                    b"".join(payloads), self.program, len(qps), own[0], coded, machine
                )
            except PayloadError as error:
                raise EnvironmentFault(
                    f"ffmpeg does not decode what it encoded: {error.what}",
                    hint=f"check {VARIABLE}",
                ) from None
            return _Run(payloads, list(take_channels(back, own, fps)), found.parameter_sets)

        with ThreadPoolExecutor(machine.workers) as pool:
            results = list(pool.map(encode_run, runs))
        sets = results[0].parameter_sets
        if any(other.parameter_sets != sets for other in results):
            raise EnvironmentFault(
                f"{self.program.encoder} wrote different parameter sets for frames of one size"
            )
        features = [
            Coded(payload, samples, access_point=number == 0 or not temporal)
            for run in results
            for number, (payload, samples) in enumerate(zip(run.payloads, run.samples, strict=True))
        ]
        return Encoded(features, sets)
