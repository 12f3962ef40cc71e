"""Encoding through x265: channels to frames to slices. Nothing here is normative."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from refcodec.coders.ffmpeg import VARIABLE, encode_hevc
from refcodec.coders.hevc.checks import frame_depth
from refcodec.coders.hevc.decoding import PIXEL_FORMATS, decode_frames, take_channels
from refcodec.coders.protocol import Coded, Encoded, Job, Machine, Samples
from refcodec.config import EncoderConfig
from refcodec.errors import EnvironmentFault, PayloadError, StreamError
from refcodec.pack import Frames, Layout, layout_of, pack
from refcodec.syntax.hevc import NAL, nal_type, split_nals
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["encode", "x265_options"]

_RUN_FRAMES = 1984
"""Most frames per run of x265: few enough for their QPs to fit in one argument of a command line (131,071
bytes), and a multiple of 31, the period of a bit in the slice headers of x265."""

_RUN_BYTES = 8 << 20
"""Approximate raw bytes per run of x265: some seconds of work, so that start-up time is negligible, and there
are runs for several processors."""

_DETERMINISTIC = (
    "bframes=0:b-adapt=0:scenecut=0:open-gop=0:rc-lookahead=0:lookahead-slices=0:ipratio=1:pbratio=1:"
    "aq-mode=0:cutree=0:psy-rd=0:psy-rdoq=0:weightp=0:weightb=0:info=0:hash=0:aud=0:hrd=0:"
    "wpp=0:pmode=0:pme=0:frame-threads=1:pools=none:repeat-headers=1:log-level=error"
)
"""Options of x265: one thread, no look-ahead, fixed QPs, nothing in the stream but slices."""


class _Run(NamedTuple):
    """Features that one run of ffmpeg coded, and the parameter sets of its stream."""

    payloads: list[bytes]
    samples: list[Samples]
    parameter_sets: bytes


def encode(jobs: Sequence[Job], fps: FeatureParameterSet, config: EncoderConfig) -> Encoded:
    """Code features of one parameter set, several per run of ffmpeg, with several runs in parallel."""
    machine = Machine(config.ffmpeg, config.parallel, config.timeout)
    layouts = [layout_of(fps, job.parameters) for job in jobs]
    temporal = bool(fps.temporal_prediction_flag)
    runs = list(_runs(layouts, config.gop if temporal else 0))

    def encode_run(run: range) -> _Run:
        own = [layouts[i] for i in run]
        frames = np.concatenate([pack(jobs[i].samples, layouts[i]) for i in run])
        qps = [qp for layout in own for qp in layout.qps]
        slices, sets = _encode_frames(frames, qps, fps, config.preset, machine)
        rest = iter(slices)
        payloads = [b"".join(islice(rest, len(layout.qps))) for layout in own]
        coded = replace(fps, parameter_sets=sets)
        try:
            back = decode_frames(b"".join(payloads), len(qps), own[0], coded, machine)
        except PayloadError as error:
            raise EnvironmentFault(
                f"ffmpeg does not decode what it encoded: {error.what}", hint=f"check {VARIABLE}"
            ) from None
        return _Run(payloads, list(take_channels(back, own, fps)), sets)

    with ThreadPoolExecutor(machine.workers) as pool:
        results = list(pool.map(encode_run, runs))
    sets = results[0].parameter_sets
    if any(other.parameter_sets != sets for other in results):
        raise EnvironmentFault("x265 wrote different parameter sets for frames of one size")
    features = [
        Coded(payload, samples, access_point=number == 0 or not temporal)
        for run in results
        for number, (payload, samples) in enumerate(zip(run.payloads, run.samples, strict=True))
    ]
    return Encoded(features, sets)


def _runs(layouts: Sequence[Layout], gop: int) -> Iterator[range]:
    """Split features into runs of ffmpeg: by access point where ``gop`` is given, else by size."""
    if gop:
        for start in range(0, len(layouts), gop):
            yield range(start, min(start + gop, len(layouts)))
        return
    start, frames, volume = 0, 0, 0
    for i, layout in enumerate(layouts):
        size = 2 * len(layout.qps) * layout.frame_height * layout.frame_width
        if i > start and (frames + len(layout.qps) > _RUN_FRAMES or volume + size > _RUN_BYTES):
            yield range(start, i)
            start, frames, volume = i, 0, 0
        frames += len(layout.qps)
        volume += size
    yield range(start, len(layouts))


def _encode_frames(
    frames: Frames,
    qps: Sequence[int],
    fps: FeatureParameterSet,
    preset: str,
    machine: Machine,
) -> tuple[list[bytes], bytes]:
    """The slice of each frame, with its start code, and the parameter sets that all share."""
    portion = len(frames) if fps.temporal_prediction_flag else _RUN_FRAMES
    slices: list[bytes] = []
    sets: list[bytes] = []
    for start in range(0, len(frames), portion):
        stop = start + portion
        stream = _run_x265(frames[start:stop], qps[start:stop], fps, preset, machine)
        try:
            nals = [nal for _, nal in split_nals(stream)]
        except StreamError as error:
            raise EnvironmentFault(
                f"ffmpeg wrote no HEVC stream: {error.what}", hint=f"check {VARIABLE}"
            ) from None
        slices += [b"\0\0\1" + nal for nal in nals if nal_type(nal) < NAL.VPS]
        sets += [b"\0\0\1" + nal for nal in nals if nal_type(nal) >= NAL.VPS]
    distinct = list(dict.fromkeys(sets))  # x265 repeats them with every access point
    if len(slices) != len(frames) or len(distinct) != 3:
        raise EnvironmentFault(
            f"x265 wrote {len(slices)} slices and {len(distinct)} parameter sets "
            f"for {len(frames)} frames"
        )
    return slices, b"".join(distinct)


def _run_x265(
    frames: Frames,
    qps: Sequence[int],
    fps: FeatureParameterSet,
    preset: str,
    machine: Machine,
) -> bytes:
    depth = frame_depth(fps.bits)
    height, width = frames.shape[1:]
    return encode_hevc(
        frames.astype(np.uint8 if depth == 8 else "<u2").tobytes(),
        pixel_format=PIXEL_FORMATS[depth],
        size=(width, height),
        preset=preset,
        x265=x265_options(
            qps,
            lossless=bool(fps.hevc_lossless_flag),
            temporal=bool(fps.temporal_prediction_flag),
        ),
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(frames.size),
    )


def x265_options(qps: Sequence[int], *, lossless: bool, temporal: bool) -> str:
    """The value of ``-x265-params`` for one run; ``qps`` has the QP of each frame, or of all."""
    # with up to four QPs, four references include the frame of the same QP in the preceding feature
    options = ["keyint=-1:ref=4" if temporal else "keyint=1:ref=1", _DETERMINISTIC]
    if lossless:
        options.append("lossless=1")
    else:
        options.append(f"qp={qps[0]}")
        if len(set(qps)) > 1:
            options.append(f"zones={'/'.join(_zones(qps))}")
    return ":".join(options)


def _zones(qps: Iterable[int]) -> Iterator[str]:
    """x265 zones that set the QP of each frame; zones count frames from 1."""
    start = 1
    for qp, run in groupby(qps):
        stop = start + len(list(run))
        yield f"{start},{stop - 1},q={qp}"
        start = stop
