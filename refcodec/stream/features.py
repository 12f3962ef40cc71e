"""Constraints on coded features and batches of them (9.2, A.3)."""

from __future__ import annotations

import numpy as np

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, UnsupportedError
from refcodec.pack import channel_qps
from refcodec.quantise import PLAIN
from refcodec.ranges import bounds_of
from refcodec.registry import record_of
from refcodec.shapes import parameter_set_of
from refcodec.stream.limits import decoded_size, element_count
from refcodec.syntax.bits import Elements, position_of
from refcodec.syntax.codes import FeatureType, Quantiser
from refcodec.syntax.structures import (
    CodedFeature,
    CodedFeatureBatch,
    FeatureParameters,
    FeatureParameterSet,
)
from refcodec.tables import Level

__all__ = [
    "LARGEST_BATCH",
    "check_batch",
    "check_parameters",
    "check_ranges",
    "check_substreams",
    "check_tokens",
    "largest_step",
]

LARGEST_BATCH = 65_536
"""Largest unit_size of a coded feature batch, and greatest number of elements of all its features: to read
one feature, a decoder verifies the whole batch."""


@clause("9.2")
def check_parameters(
    parameters: FeatureParameters, fps: FeatureParameterSet, limits: Level, trace: Elements
) -> Violations:
    """(9.2) The feature_parameters() of a coded feature or batch."""

    def wrong(name: str, what: str, requirement: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), requirement=requirement)

    if parameters.range_max is not None:
        low = parameters.range_min if parameters.range_min is not None else np.zeros(1, np.float32)
        if not (np.isfinite(low).all() and np.isfinite(parameters.range_max).all()):
            yield wrong("range_max", "a range contains a NaN or an infinity", "9.2-6")
        elif (low > parameters.range_max).any():
            yield wrong("range_max", "range_max is less than range_min", "9.2-7")
    step = parameters.log_step
    if step is not None and ((step < 1) | (step > largest_step(fps))).any():
        yield wrong("log_step", "log_step is 0, or its largest level exceeds 2^130", "9.2-8")
    largest_qp = record_of(fps.coder_id).largest_qp
    if parameters.qp is not None and largest_qp is not None:
        qps = channel_qps(fps, parameters)
        if parameters.qp > largest_qp or (qps < 0).any():
            yield wrong("qp", f"a QP lies outside 0..{largest_qp}", "9.2-9")
            return
    if parameters.channel_at is not None and not np.array_equal(
        np.sort(parameters.channel_at), np.arange(fps.channels)
    ):
        yield wrong("channel_at", "channel_at is no permutation of the channels", "9.2-10")
        return
    if record_of(fps.coder_id).video:
        samples = decoded_size(fps, parameters)
        if samples > limits.max_frame_samples:
            yield UnsupportedError(
                f"the frames of a feature have {samples} samples; level {limits.level_idc} allows "
                f"{limits.max_frame_samples}",
                bit_offset=position_of(trace, "qp"),
                requirement="A.3-1",
            )


def largest_step(fps: FeatureParameterSet) -> int:
    """The greatest log_step, whose largest level is at most 2^130."""
    levels = (1 << (fps.bits - int(fps.log_signed_flag or 0))) - 1
    return (130 << 24) // max(levels, 1)  # signed levels of one bit, which are refused, leave none


@clause("9.2")
def check_substreams(feature: CodedFeature, trace: Elements) -> Violations:
    """(9.2) The sizes of the substreams of a coded feature."""
    total = sum(feature.substream_size or ())
    if total > len(feature.payload):
        yield ConstraintError(
            f"the substreams but the last have {total} bytes; the payload has {len(feature.payload)}",
            bit_offset=position_of(trace, "substream_size"),
            requirement="9.2-30",
        )


@clause("A.3")
def check_tokens(
    feature: CodedFeature, fps: FeatureParameterSet, limits: Level, trace: Elements
) -> Violations:
    """(A.3) The number of tokens of a coded feature."""
    if feature.token_count_minus1 is None:
        return
    elements = element_count(parameter_set_of(feature, fps))
    if elements > limits.max_elements:
        yield UnsupportedError(
            f"{elements} elements; level {limits.level_idc} allows {limits.max_elements}",
            bit_offset=position_of(trace, "token_count_minus1"),
            requirement="A.3-1",
            hint="the stream understates its level, or is corrupt",
        )


@clause("9.2")
def check_ranges(batch: CodedFeatureBatch, fps: FeatureParameterSet, trace: Elements) -> Violations:
    """(9.2) The ranges of the features of a batch."""
    if not batch.range_codes_flag:
        return

    def wrong(name: str, what: str, requirement: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), requirement=requirement)

    if fps.quantiser in PLAIN:
        yield wrong("range_codes_flag", "features without a range have none to code", "9.2-22")
        return
    first, second = bounds_of(batch, fps)
    if fps.quantiser == Quantiser.UNIFORM:
        if (first > second).any():
            yield wrong(
                "code_shift", "a range of a feature of the batch ends before it begins", "9.2-23"
            )
    elif (first > 128).any():
        yield wrong("code_shift", "log_exponent of a feature of the batch exceeds 128", "9.2-21")
    elif (second < 1).any():
        yield wrong("code_shift", "log_step of a feature of the batch is less than 1", "9.2-21")


@clause("9.2")
def check_batch(
    batch: CodedFeatureBatch, fps: FeatureParameterSet, unit_size: int, trace: Elements
) -> Violations:
    """(9.2) A coded feature batch: its size, its coder, and the sum of its payload sizes."""

    def wrong(name: str, what: str, requirement: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), requirement=requirement)

    record = record_of(fps.coder_id)
    if not record.batchable:
        yield wrong("fps_id", f"features coded by {record.name} are not batched", "9.2-11")
    elif fps.feature_type == FeatureType.TOKENS:
        yield wrong(
            "fps_id", "tokens are not batched: each feature has a number of its own", "9.2-43"
        )
    elif fps.temporal_prediction_flag:
        yield wrong(
            "fps_id", "features that may be predicted from others are not batched", "9.2-18"
        )
    elif fps.substream_count > 1:
        yield wrong("fps_id", "features of several substreams are not batched", "9.2-29")
    if unit_size > LARGEST_BATCH:
        yield wrong(
            "fps_id", f"a batch of {unit_size} bytes; at most {LARGEST_BATCH} are allowed", "9.2-12"
        )
    elements = batch.feature_count * element_count(fps)
    if elements > LARGEST_BATCH:
        yield wrong(
            "feature_count_minus1",
            f"a batch of {elements} elements; at most {LARGEST_BATCH} are allowed",
            "9.2-14",
        )
    if batch.payload_size_base is None:
        return
    total = batch.feature_count * batch.payload_size_base
    if batch.payload_size_delta is not None:
        total += int(batch.payload_size_delta.sum())
    if total != len(batch.payloads):
        yield wrong(
            "payload_size_base",
            f"the payload sizes add up to {total} bytes; the unit has {len(batch.payloads)}",
            "9.2-13",
        )
