"""Constraints on AV1 payloads (clauses 8.3.13 and 9.11): OBUs, sequence header, frames."""

from __future__ import annotations

from itertools import islice

from refcodec.clauses import clause
from refcodec.coders.protocol import Payload, Violations
from refcodec.coders.video.frames import frame_depth
from refcodec.errors import ConstraintError, PayloadError, StreamError
from refcodec.pack import frame_size, layout_of
from refcodec.registry import record_of
from refcodec.syntax.av1 import (
    TYPE,
    SequenceHeader,
    parse_obu,
    parse_sequence_header,
    split_units,
)
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["check_frames", "check_sequence_header", "check_units"]

_MAIN, _PROFESSIONAL = 0, 2  # seq_profile


@clause("9.11.1")
def check_sequence_header(fps: FeatureParameterSet, offset: int = 0) -> Violations:
    """(9.11.1) One sequence header, of still pictures, that agrees with the feature parameter set.

    offset : position of parameter_sets in the stream, in bits.
    """
    try:
        header = parse_sequence_header(fps.parameter_sets or b"", offset)
    except StreamError as error:
        yield error
        return
    if fps.bits > record_of(Coder.AV1).largest_bits:
        return  # there are no frames, which is reported
    depth = frame_depth(fps.bits)
    frame_height, frame_width = frame_size(fps)
    for name, value, expected in (
        ("seq_profile", header.seq_profile, _MAIN if depth <= 10 else _PROFESSIONAL),
        ("still_picture", header.still_picture, 1),
        ("reduced_still_picture_header", header.reduced_still_picture_header, 1),
        ("the frame width", int(header.max_frame_width_minus_1[0]) + 1, frame_width),
        ("the frame height", int(header.max_frame_height_minus_1[0]) + 1, frame_height),
        ("enable_superres", header.enable_superres, 0),
        ("the bit depth", _depth_of(header), depth),
        ("mono_chrome", header.mono_chrome, 1),
        ("color_description_present_flag", header.color_description_present_flag, 0),
        ("film_grain_params_present", header.film_grain_params_present, 0),
    ):
        if value != expected:
            yield ConstraintError(
                f"{name} in the AV1 sequence header is {value}; {expected} is expected",
                bit_offset=offset,
                requirement="9.11.1-2",
            )


def _depth_of(header: SequenceHeader) -> int:
    return 12 if header.twelve_bit else 10 if header.high_bitdepth else 8


@clause("8.3.13")
def check_units(payload: Payload, frames: int, *, first: bool) -> Violations:
    """(8.3.13) One frame OBU for each frame, and nothing else.

    first : of no consequence, as every frame is a key frame.
    """
    most = islice(split_units(payload.data, payload.bit_offset), frames + 1)
    kinds = [one.kind for one in most]
    if kinds != [TYPE.FRAME] * frames:
        found = f"more than {frames}" if len(kinds) > frames else f"{len(kinds)}"
        yield PayloadError(
            f"an AV1 payload has {found} OBUs, of the types {sorted(set(kinds))}; {frames} frames (6) are "
            "expected",
            bit_offset=payload.bit_offset,
            requirement="8.3.13-2",
        )


@clause("9.11.2")
def check_frames(payload: Payload) -> Violations:
    """(9.11.2) Frames that are shown at the size at which they are coded."""
    frames = len(layout_of(payload.fps, payload.parameters).qps)
    try:
        obus = list(islice(split_units(payload.data, payload.bit_offset), frames))
    except StreamError:  # reported by the decoder
        return
    for one in obus:
        if one.kind != TYPE.FRAME:
            continue  # the decoder reports it
        try:
            header = parse_obu(one, payload.bit_offset)
        except StreamError as error:
            yield error
            continue
        if header.render_and_frame_size_different:
            yield ConstraintError(
                "render_and_frame_size_different of a frame is 1; 0 is expected",
                bit_offset=payload.bit_offset + 8 * one.at,
                requirement="9.11.2-1",
            )
