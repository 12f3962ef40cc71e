"""What the syntax alone does not say: ranges, limits and agreement between elements (clause 9, Annex A).

Every check is a generator of errors, not raised but yielded: the decoder raises the first, the validator
collects them all. Each error carries the position of the element that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from refcodec.clauses import clause
from refcodec.errors import ConstraintError, StreamError, UnsupportedError
from refcodec.pack import channel_qps, layout_of
from refcodec.syntax.bits import Trace, position_of
from refcodec.syntax.codes import (
    ChannelOrder,
    Coder,
    FeatureType,
    Profile,
    Quantiser,
)
from refcodec.tables import HIGHEST_LEVEL, Level, level

__all__ = [
    "HEVC_DEPTHS",
    "HIGHEST_QP",
    "LARGEST_BATCH",
    "PROFILE_CODERS",
    "check_batch",
    "check_parameter_set",
    "check_parameters",
    "check_stream_header",
    "element_count",
    "hevc_depth",
    "smallest_level",
]

HIGHEST_QP: dict[Coder, int] = {Coder.HEVC: 51, Coder.NATIVE: 63}
"""Largest qp, by coder: the scale is one, and goes on where channels are to keep little but their means."""

HEVC_DEPTHS = (8, 10, 12)
LARGEST_BATCH = 65_536
"""Largest unit_size of a coded feature batch, and most elements of its features together: reading one
feature means verifying its batch, and no batch shall unfold to more than it promises."""

_LOSSLESS = frozenset({Coder.RAW, Coder.ZLIB, Coder.GZIP, Coder.BZIP2, Coder.LZMA})

PROFILE_CODERS: dict[Profile, frozenset[Coder]] = {
    Profile.LOSSLESS: _LOSSLESS,
    Profile.HEVC: _LOSSLESS | {Coder.HEVC},
    Profile.NATIVE: _LOSSLESS | {Coder.NATIVE, Coder.NATIVE_LOSSLESS},
}
"""The payload coders that a decoder of a profile has (A.2)."""

Violations = Iterator[StreamError]


def hevc_depth(bits: int) -> int:
    """Bit depth of the frames that carry samples of ``bits`` bits: the least of 8, 10 and 12."""
    return next(depth for depth in HEVC_DEPTHS if depth >= bits)


def element_count(fps: Any) -> int:
    """Number of elements of one feature."""
    return int(fps.channels) * int(fps.height) * int(fps.width)


@clause("A.3")
def check_stream_header(header: Any, max_level: int = HIGHEST_LEVEL) -> Violations:
    """(A.3) The level must be one that is defined, and that this decoder serves."""
    if level(header.level_idc) is None:
        yield UnsupportedError(
            f"level_idc is {header.level_idc}; levels 1..{HIGHEST_LEVEL} are defined",
            bit_offset=48,
            clause="A.3",
        )
    elif header.level_idc > max_level:
        yield UnsupportedError(
            f"the stream has level {header.level_idc}, above the limit of {max_level} set for this decoder",
            bit_offset=48,
            clause="A.3",
            hint="raise max_level where the memory allows it",
        )


@clause("9.2")
def check_parameter_set(fps: Any, header: Any, trace: Trace) -> Violations:
    """(9.2) A feature parameter set must agree with itself, the profile and the level."""

    def wrong(name: str, what: str, number: str = "9.2") -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), clause=number)

    limits = level(header.level_idc)
    assert limits is not None
    yield from _check_size(fps, limits, trace)
    if fps.coder_id not in PROFILE_CODERS[header.profile_idc]:
        yield wrong(
            "coder_id",
            f"profile {header.profile_idc.name.lower()} has no coder {fps.coder_id.name.lower()}",
            "A.2",
        )
    if fps.feature_type == FeatureType.FC and fps.range_per_channel_flag:
        yield wrong(
            "range_per_channel_flag", "an fc feature has one range: its channels are single values"
        )
    if fps.log_signed_flag and fps.bits == 1:
        yield wrong("log_signed_flag", "signed logarithmic samples need at least 2 bits")
    if fps.coder_id == Coder.NATIVE:
        if fps.quantiser == Quantiser.NONE:
            yield wrong("quantiser", "native codes integer samples: quantiser must not be none")
        if fps.restoration_enabled_flag:
            yield wrong(
                "restoration_enabled_flag",
                "native payloads carry their own corrections of channels",
            )
    if fps.coder_id == Coder.NATIVE_LOSSLESS and fps.quantiser != Quantiser.NONE:
        yield wrong(
            "quantiser", "native lossless codes the source's own values, without a quantiser"
        )
    if fps.coder_id != Coder.HEVC:
        return
    if fps.quantiser == Quantiser.NONE:
        yield wrong("quantiser", "HEVC codes integer samples: quantiser must not be none")
    elif fps.bits > HEVC_DEPTHS[-1]:
        yield wrong("bits_minus1", f"{fps.bits} bits; HEVC frames have at most {HEVC_DEPTHS[-1]}")
    if fps.sample_hash_size == 0:
        yield wrong(
            "sample_hash_size_code", "the sample hash is mandatory for HEVC payloads", "9.3"
        )
    columns, rows = fps.tile_columns_minus1 + 1, fps.tile_rows_minus1 + 1
    if (rows - 1) * columns >= fps.channels or columns > fps.channels:
        yield wrong(
            "tile_columns_minus1",
            f"a grid of {columns} x {rows} tiles has empty rows or columns for {fps.channels} channels",
        )
    for name, side in (
        ("tile_columns_minus1", columns * fps.width),
        ("tile_rows_minus1", rows * fps.height),
    ):
        if side > limits.max_frame_side:
            yield UnsupportedError(
                f"frames have a side of {side}; level {limits.level_idc} allows {limits.max_frame_side}",
                bit_offset=position_of(trace, name),
                clause="A.3",
            )
    if fps.parameter_sets_size == 0:
        yield wrong(
            "parameter_sets_size", "an HEVC feature parameter set carries parameter sets", "9.3"
        )


def _check_size(fps: Any, limits: Level, trace: Trace) -> Violations:
    for name, what, count, most in (
        ("channels_minus1", "channels", fps.channels, limits.max_channels),
        ("channels_minus1", "elements", element_count(fps), limits.max_elements),
    ):
        if count > most:
            yield UnsupportedError(
                f"{count} {what}; level {limits.level_idc} allows {most}",
                bit_offset=position_of(trace, name),
                clause="A.3",
                hint="the stream understates its level, or is corrupt",
            )


@clause("9.2")
def check_parameters(parameters: Any, fps: Any, header: Any, trace: Trace) -> Violations:
    """(9.2) The feature_parameters() of a coded feature or batch."""

    def wrong(name: str, what: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), clause="9.2")

    if parameters.range_max is not None:
        low = parameters.range_min if parameters.range_min is not None else np.zeros(1, np.float32)
        if not (np.isfinite(low).all() and np.isfinite(parameters.range_max).all()):
            yield wrong("range_max", "a range has a NaN or an infinity")
        elif (low > parameters.range_max).any():
            yield wrong("range_max", "range_max is less than range_min")
    if parameters.log_step is not None:
        top = (1 << (fps.bits - int(fps.log_signed_flag))) - 1
        if (parameters.log_step < 1).any() or (parameters.log_step * top > 130 << 24).any():
            yield wrong("log_step", "log_step is 0, or its largest level exceeds 2^130")
    if parameters.qp is not None:
        qps = channel_qps(fps, parameters)
        if parameters.qp > HIGHEST_QP[fps.coder_id] or (qps < 0).any():
            yield wrong("qp", f"a QP lies outside 0..{HIGHEST_QP[fps.coder_id]}")
            return
    if parameters.channel_order == ChannelOrder.EXPLICIT and not np.array_equal(
        np.sort(parameters.channel_at), np.arange(fps.channels)
    ):
        yield wrong("channel_at", "channel_at is no permutation of the channels")
        return
    if fps.coder_id == Coder.HEVC:
        layout = layout_of(fps, parameters)
        samples = len(layout.qps) * layout.frame_height * layout.frame_width
        most = level(header.level_idc)
        assert most is not None
        if samples > most.max_frame_samples:
            yield UnsupportedError(
                f"the frames of a feature have {samples} samples; level {most.level_idc} allows "
                f"{most.max_frame_samples}",
                bit_offset=position_of(trace, "qp"),
                clause="A.3",
            )


@clause("9.2")
def check_batch(batch: Any, fps: Any, unit_size: int, trace: Trace) -> Violations:
    """(9.2) A coded feature batch: its size, its coder, and the sum of its payload sizes."""
    if fps.coder_id == Coder.HEVC:
        yield ConstraintError(
            "HEVC features are not batched", bit_offset=position_of(trace, "fps_id"), clause="9.2"
        )
    elif fps.temporal_prediction_flag:
        yield ConstraintError(
            "features that may be predicted from others are not batched",
            bit_offset=position_of(trace, "fps_id"),
            clause="9.2",
        )
    if unit_size > LARGEST_BATCH:
        yield ConstraintError(
            f"a batch of {unit_size} bytes; at most {LARGEST_BATCH} are allowed",
            bit_offset=position_of(trace, "fps_id"),
            clause="9.2",
        )
    elements = batch.feature_count * element_count(fps)
    if elements > LARGEST_BATCH:
        yield ConstraintError(
            f"a batch of {elements} elements; at most {LARGEST_BATCH} are allowed",
            bit_offset=position_of(trace, "feature_count_minus1"),
            clause="9.2",
        )
    total = batch.feature_count * batch.payload_size_base
    if batch.payload_size_delta is not None:
        total += int(batch.payload_size_delta.sum())
    if total != len(batch.payloads):
        yield ConstraintError(
            f"the payload sizes add up to {total} bytes and {len(batch.payloads)} are there",
            bit_offset=position_of(trace, "payload_size_base"),
            clause="9.2",
        )


def smallest_level(
    channels: int, elements: int, frame_side: int, frame_samples: int, unit: int
) -> int:
    """The least level_idc that admits a feature; 0 where none does."""
    for number in range(1, HIGHEST_LEVEL + 1):
        limits = level(number)
        assert limits is not None
        if (
            channels <= limits.max_channels
            and elements <= limits.max_elements
            and frame_side <= limits.max_frame_side
            and frame_samples <= limits.max_frame_samples
            and unit <= limits.max_unit_size
        ):
            return number
    return 0
