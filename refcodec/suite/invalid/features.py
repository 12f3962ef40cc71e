"""Defects of coded features and batches, save for their payloads."""

from __future__ import annotations

from refcodec.suite.assemble import Drop, Edit, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, element, parameter, parameter_set


@invalid(50, "raw-7-bit", "constraint", "9.2")
def range_nan() -> Edit:
    """range_max is NaN"""
    return parameter("range_max", ["7fc00000"])


@invalid(51, "raw-7-bit", "constraint", "9.2")
def range_infinite() -> Edit:
    """range_max is infinite"""
    return parameter("range_max", ["7f800000"])


@invalid(52, "raw-7-bit", "constraint", "9.2")
def range_reversed() -> Edit:
    """range_max is -1, range_min is 0"""
    return parameter("range_max", ["bf800000"])


@invalid(53, "log-unsigned", "constraint", "9.2")
def log_step_zero() -> Edit:
    """log_step is 0"""
    return parameter("log_step", [0])


@invalid(54, "log-unsigned", "constraint", "9.2")
def log_step_large() -> Edit:
    """log_step takes the largest level beyond 2^130"""
    return parameter("log_step", [0xFFFFFFFF])


@invalid(55, "hevc-8-bit", "constraint", "9.2")
def qp_too_large() -> Edit:
    """qp is 52"""
    return parameter("qp", 52)


@invalid(56, "hevc-qp-channel", "constraint", "9.2")
def qp_negative() -> Edit:
    """qp is 3, less than a qp_delta"""
    return parameter("qp", 3)


@invalid(57, "hevc-order-explicit", "constraint", "9.2")
def order_no_permutation() -> Edit:
    """channel_at lists 1 twice and 0 never"""
    return parameter("channel_at", [*reversed(range(1, 16)), 1])


@invalid(212, "hevc-order-explicit", "constraint", "9.2")
def order_beyond_channels() -> list[Edit]:
    """channel_at lists 21 for 16 channels"""
    order = [*reversed(range(1, 16)), 21]
    return [
        parameter("channel_at", "0b" + "".join(f"{channel:05b}" for channel in order)),
        parameter("channel_at_bits", 5),
    ]


@invalid(157, "native-sequence-longest", "unsupported", "A.3", (34, "coded_feature.payload"))
def sequence_too_long() -> Edit:
    """33 features of a sequence, where level 1 allows 32"""
    return Set(34, "coded_feature.access_point_flag", 0)


@invalid(158, "native-sequence-largest", "unsupported", "A.3", (18, "coded_feature.payload"))
def sequence_too_large() -> Edit:
    """1,114,112 samples of a sequence, where level 1 allows 1,048,576"""
    return Set(18, "coded_feature.access_point_flag", 0)


@invalid(109, "hevc-restoration-tensor", "unsupported", "C.1")
def restoration_undefined() -> Edit:
    """restoration_mode is 3"""
    return parameter("restoration_mode", 3)


@invalid(110, "hevc-order-explicit", "syntax", "7.5.2", (2, "coded_feature.parameters.channel_at"))
def order_without_bits() -> Edit:
    """channel_at_bits is 0 for 16 channels"""
    return parameter("channel_at_bits", 0)


@invalid(58, "hevc-8-bit", "unsupported", "C.1")
def order_undefined() -> Edit:
    """channel_order is 3"""
    return parameter("channel_order", 3)


@invalid(59, "fc-batch", "constraint", "9.2")
def batch_sizes(stream: bytes) -> Edit:
    """the payload sizes of a batch add up to more than its payloads"""
    return add(stream, 2, "coded_feature_batch.payload_size_base", 1)


@invalid(60, "fc-batch", "constraint", "9.2", (2, "coded_feature_batch.fps_id"))
def batch_too_large(stream: bytes) -> list[Edit]:
    """a batch of more than 65,536 bytes"""
    size, count = 64, 1024
    payload = element(stream, 2, "coded_feature_batch.payloads").value[:size]
    return [
        Set(2, "coded_feature_batch.feature_count_minus1", count - 1),
        Set(2, "coded_feature_batch.payloads", payload.hex(), times=count),
    ]


@invalid(122, "fc-batch", "order", "9.1", (2, "coded_feature_batch.fps_id"))
def batch_parameter_set_undefined() -> Edit:
    """a batch refers to parameter set 1"""
    return Set(2, "coded_feature_batch.fps_id", 1)


@invalid(101, "fc-batch", "constraint", "9.2", (2, "coded_feature_batch.feature_count_minus1"))
def batch_too_many_elements() -> Edit:
    """a batch of 20 features of 16,384 values each"""
    return parameter_set("channels_minus1", 16383)


@invalid(61, "hevc-sequence-no-index", "order", "9.1", (2, "coded_feature.payload"))
def sequence_without_access_point() -> Edit:
    """the first feature of a sequence, its access point, is missing"""
    return Drop(2)
