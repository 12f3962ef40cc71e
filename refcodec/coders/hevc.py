"""The HEVC coder: channels as monochrome frames in an HEVC elementary stream (clauses 8.3.6 and 9.3).

The parameter sets of the elementary stream stand once, in the feature parameter set; a payload holds the
slices of its feature's frames, one NAL unit a frame. Parameter sets and payloads, concatenated, are an
Annex B byte stream that any HEVC decoder plays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders.coded import CodedFeature
from refcodec.coders.ffmpeg import VARIABLE, decode_hevc, encode_hevc
from refcodec.constraints import hevc_depth
from refcodec.errors import ConstraintError, EnvironmentFault, PayloadError, StreamError
from refcodec.pack import Layout, layout_of, pack, unpack
from refcodec.syntax.hevc import (
    NAL,
    is_plain,
    nal_type,
    parse_nal,
    parse_parameter_sets,
    split_nals,
)
from refcodec.tables import hevc_constraints

__all__ = [
    "Machine",
    "check_parameter_sets",
    "check_slices",
    "decode",
    "encode",
    "x265_options",
]

Samples = npt.NDArray[np.int32]
Frames = npt.NDArray[np.uint16]

_PIXEL_FORMATS = {8: "gray", 10: "gray10le", 12: "gray12le"}

_P, _I = 1, 2  # slice_type
_IDR, _TRAIL = (NAL.IDR_W_RADL, NAL.IDR_N_LP), (NAL.TRAIL_N, NAL.TRAIL_R)

_NOWHERE = np.empty(0, dtype=np.int64)

_RUN_FRAMES = 1984
"""Frames of one run of x265 at most: few enough that their QPs fit one argument of a command line
(131,071 bytes), and a multiple of 31, the period of a bit by which x265 marks its slices."""

_RUN_BYTES = 8 << 20
"""Raw bytes of one run of x265, roughly: some seconds of its work, so that its start does not count, and
several runs find work for several processors."""

_DETERMINISTIC = (
    "bframes=0:b-adapt=0:scenecut=0:open-gop=0:rc-lookahead=0:lookahead-slices=0:ipratio=1:pbratio=1:"
    "aq-mode=0:cutree=0:psy-rd=0:psy-rdoq=0:weightp=0:weightb=0:info=0:hash=0:aud=0:hrd=0:"
    "wpp=0:pmode=0:pme=0:frame-threads=1:pools=none:repeat-headers=1:log-level=error"
)
"""One thread, no look-ahead, nothing that moves a QP, nothing in the stream but slices."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How external programs are run; no effect on what a payload decodes to.

    ffmpeg  : the program; None for the bundled one.
    preset  : x265's preset.
    workers : ffmpeg processes at a time.
    timeout : seconds that one of them may take; None for a bound that grows with its work.
    """

    ffmpeg: str | None = None
    preset: str = "medium"
    workers: int = 1
    timeout: float | None = None

    def seconds(self, samples: int) -> float:
        """The time-out of a run over that many samples."""
        return self.timeout if self.timeout is not None else 60.0 + samples / 20_000


# --- normative -------------------------------------------------------------------------------------


@clause("8.3.6")
def decode(run: Sequence[CodedFeature], machine: Machine) -> Iterator[Samples]:
    """(8.3.6) Decode consecutive features of one parameter set; the first must be an access point.

    Yields int32 samples, C x H x W, clipped to the bits of the quantiser.
    """
    fps = run[0].fps
    for error in check_parameter_sets(fps):
        raise error
    layouts = [layout_of(fps, one.parameters) for one in run]
    for one, layout in zip(run, layouts, strict=True):
        kinds = [nal_type(nal) for _, nal in split_nals(one.payload, one.bit_offset)]
        if len(kinds) != len(layout.qps) or max(kinds) >= NAL.VPS:
            raise _wrong_count(len(kinds), len(layout.qps), one.bit_offset)
    count = sum(len(layout.qps) for layout in layouts)
    slices = b"".join(one.payload for one in run)
    try:
        frames = _decode_frames(slices, count, layouts[0], fps, machine)
    except PayloadError as error:
        error.bit_offset = run[0].bit_offset
        raise
    yield from _take_channels(frames, layouts, fps)


def _wrong_count(found: int, expected: int, offset: int) -> PayloadError:
    return PayloadError(
        f"an HEVC payload has {found} NAL units; {expected} slices are expected",
        bit_offset=offset,
        clause="8.3.6",
    )


def _take_channels(frames: Frames, layouts: Sequence[Layout], fps: Any) -> Iterator[Samples]:
    """Unpack the frames of consecutive features; "samples above the range of the quantiser are clipped"."""
    top = (1 << fps.bits) - 1
    first = 0
    for layout in layouts:
        own = frames[first : first + len(layout.qps)]
        first += len(layout.qps)
        yield np.minimum(unpack(own, layout), top)


def _decode_frames(slices: bytes, count: int, layout: Layout, fps: Any, machine: Machine) -> Frames:
    """Decode slices behind the parameter set's own; exactly ``count`` frames must come back."""
    depth = hevc_depth(fps.bits)
    height, width = layout.frame_height, layout.frame_width
    raw = decode_hevc(
        fps.parameter_sets + slices,
        pixel_format=_PIXEL_FORMATS[depth],
        ffmpeg=machine.ffmpeg,
        timeout=machine.seconds(count * height * width),
    )
    sample = np.dtype(np.uint8 if depth == 8 else "<u2")
    if len(raw) != count * height * width * sample.itemsize:
        raise PayloadError(
            f"the HEVC payload decodes to {len(raw)} bytes; {count} frames of {width}x{height} at "
            f"{depth} bit are expected",
            clause="8.3.6",
        )
    return np.frombuffer(raw, sample).reshape(count, height, width).astype(np.uint16, copy=False)


@clause("9.3.1")
def check_parameter_sets(fps: Any, offset: int = 0) -> Iterator[StreamError]:
    """(9.3.1) One VPS, one SPS and one PPS, of an accepted profile, saying what the syntax says.

    offset : position of parameter_sets in the stream, in bits.
    """
    try:
        vps, sps, pps = parse_parameter_sets(fps.parameter_sets, offset)
    except StreamError as error:
        yield error
        return
    yield from _check_headers(fps, vps, sps, pps, offset)


def _check_headers(fps: Any, vps: Any, sps: Any, pps: Any, offset: int) -> Iterator[StreamError]:
    rules = hevc_constraints()
    depth = hevc_depth(fps.bits)
    columns, rows = fps.tile_columns_minus1 + 1, fps.tile_rows_minus1 + 1
    layout = Layout(_NOWHERE, _NOWHERE, (), columns, rows, fps.height, fps.width)
    width, height = sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples
    if sps.conformance_window_flag:
        width -= sps.conf_win_left_offset + sps.conf_win_right_offset
        height -= sps.conf_win_top_offset + sps.conf_win_bottom_offset
    tier = sps.profile_tier_level
    flags = f"{tier.general_profile_compatibility_flags:08x}:{tier.general_constraint_flags:012x}"
    profile = f"{tier.general_profile_idc}:{flags}"
    found: dict[str, tuple[object, object]] = {
        "chroma_format_idc": (sps.chroma_format_idc, 0),
        "the frame width": (width, layout.frame_width),
        "the frame height": (height, layout.frame_height),
        "the luma bit depth": (sps.bit_depth_luma_minus8 + 8, depth),
        "max_num_reorder_pics": (sps.sub_layer_ordering.max_num_reorder_pics, 0),
        "profile_tier_level() of the VPS": (vps.profile_tier_level, tier),
        "transquant_bypass_enabled_flag": (
            pps.transquant_bypass_enabled_flag,
            fps.hevc_lossless_flag,
        ),
    }
    for name in rules["zero"]:
        owner = next(header for header in (vps, sps, pps) if name in vars(header))
        found[name] = (owner[name], 0)
    for name, (value, expected) in found.items():
        if value != expected:
            yield ConstraintError(
                f"{name} in the HEVC parameter sets is {value}; {expected} is expected",
                bit_offset=offset,
                clause="9.3.1",
            )
    if profile not in rules["profiles"]:
        yield ConstraintError(
            f"the HEVC profile, compatibility and constraint flags {profile} are not among those listed",
            bit_offset=offset,
            clause="9.3.1",
        )


_parse_once = lru_cache(maxsize=16)(parse_parameter_sets)
"""Parameter sets that the slices of a whole stream refer to."""


@clause("9.3.2")
def check_slices(
    payload: bytes, parameters: Any, fps: Any, access_point: bool, offset: int = 0
) -> Iterator[StreamError]:
    """(9.3.2) One slice a frame, of an accepted type, with the QP that the syntax signals.

    offset : position of the payload in the stream, in bits.
    """
    try:
        _, sps, pps = _parse_once(fps.parameter_sets)
    except StreamError:  # check_parameter_sets has said so
        return
    try:
        nals = split_nals(payload, offset)
    except StreamError as error:
        yield error
        return
    qps = layout_of(fps, parameters).qps
    if len(nals) != len(qps):
        yield _wrong_count(len(nals), len(qps), offset)
    for number, ((at, nal), qp) in enumerate(zip(nals, qps, strict=False)):
        place = offset + 8 * at
        kind = nal_type(nal)
        idr = access_point and (number == 0 or not fps.temporal_prediction_flag)
        if kind not in (_IDR if idr else _TRAIL) or not is_plain(nal):
            yield ConstraintError(
                f"frame {number} has the NAL unit header {nal[:2].hex()}, type {kind}; "
                f"{'an IDR picture (19, 20)' if idr else 'a trailing picture (0, 1)'} of layer 0 is expected",
                bit_offset=place,
                clause="9.3.2",
            )
            continue
        try:
            head: Any = parse_nal(nal, place, sps=sps, pps=pps)
        except StreamError as error:
            yield error
            continue
        slice_qp = 26 + pps.init_qp_minus26 + head.slice_qp_delta
        if (
            not head.first_slice_segment_in_pic_flag
            or head.slice_pic_parameter_set_id
            or head.slice_type not in ((_I,) if idr else (_P, _I))
        ):
            yield ConstraintError(
                f"frame {number} is not one slice of the expected type",
                bit_offset=place,
                clause="9.3.2",
            )
        elif not fps.hevc_lossless_flag and slice_qp != qp:
            yield ConstraintError(
                f"frame {number} is coded with QP {slice_qp}; {qp} is signalled",
                bit_offset=place,
                clause="9.3.2",
            )


# --- informative -----------------------------------------------------------------------------------


def encode(
    samples: Sequence[Samples], parameters: Sequence[Any], fps: Any, machine: Machine, gop: int
) -> tuple[list[bytes], list[Samples], list[bool], bytes]:
    """Code features of one parameter set, several a run of ffmpeg, several runs at a time.

    gop : features from one access point to the next; used with temporal_prediction_flag.

    Returns payloads, decoded samples, access points and parameter sets: the fields of ``Encoded``.
    """
    layouts = [layout_of(fps, one) for one in parameters]
    runs = list(_runs(layouts, gop if fps.temporal_prediction_flag else 0))

    def encode_run(run: range) -> tuple[list[bytes], list[Samples], bytes]:
        own = [layouts[i] for i in run]
        frames = np.concatenate([pack(samples[i], layouts[i]) for i in run])
        qps = [qp for layout in own for qp in layout.qps]
        slices, sets = _encode_frames(frames, qps, fps, machine)
        rest = iter(slices)
        payloads = [b"".join(islice(rest, len(layout.qps))) for layout in own]
        coded = replace(fps, parameter_sets=sets)
        try:
            back = _decode_frames(b"".join(payloads), len(qps), own[0], coded, machine)
        except PayloadError as error:
            raise EnvironmentFault(
                f"ffmpeg does not decode what it encoded: {error.what}", hint=f"check {VARIABLE}"
            ) from None
        return payloads, list(_take_channels(back, own, fps)), sets

    with ThreadPoolExecutor(max(1, machine.workers)) as pool:
        results = list(pool.map(encode_run, runs))
    sets = results[0][2]
    if any(other != sets for _, _, other in results) or (fps.parameter_sets or sets) != sets:
        raise EnvironmentFault("x265 wrote different parameter sets for frames of one size")
    return (
        [payload for part, _, _ in results for payload in part],
        [one for _, part, _ in results for one in part],
        [i == run[0] or not fps.temporal_prediction_flag for run in runs for i in run],
        sets,
    )


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
    frames: Frames, qps: Sequence[int], fps: Any, machine: Machine
) -> tuple[list[bytes], bytes]:
    """The slice of each frame, with its start code, and the parameter sets that all share."""
    portion = len(frames) if fps.temporal_prediction_flag else _RUN_FRAMES
    slices: list[bytes] = []
    sets: list[bytes] = []
    for start in range(0, len(frames), portion):
        stop = start + portion
        stream = _run_x265(frames[start:stop], qps[start:stop], fps, machine)
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


def _run_x265(frames: Frames, qps: Sequence[int], fps: Any, machine: Machine) -> bytes:
    depth = hevc_depth(fps.bits)
    height, width = frames.shape[1:]
    return encode_hevc(
        frames.astype(np.uint8 if depth == 8 else "<u2").tobytes(),
        pixel_format=_PIXEL_FORMATS[depth],
        size=(width, height),
        preset=machine.preset,
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
    # four references reach the frame of the same QP in the feature before, for up to four QPs
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
