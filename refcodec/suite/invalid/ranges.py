"""Defects of the ranges of a batch."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import element

_SHIFT = "coded_feature_batch.code_shift"


@invalid(190, "batch-ranges", "constraint", "9.2")
def batch_range_empty() -> Edit:
    """ranges of a batch end before they begin: codes are shifted by 26"""
    return Set(2, _SHIFT, 26)


@invalid(192, "exact-fc-batch", "constraint", "9.2", (2, "coded_feature_batch.range_codes_flag"))
def batch_codes_without_quantiser(stream: bytes) -> list[Edit]:
    """range_codes_flag is 1 where there is no quantiser"""
    payloads = element(stream, 2, "coded_feature_batch.payloads").value.hex()
    return [
        Set(2, "coded_feature_batch.payloads", "0000" + payloads),  # code_shift and no codes
        Set(2, "coded_feature_batch.range_codes_flag", 1),
    ]


@invalid(193, "batch-ranges-log", "constraint", "9.2", (2, _SHIFT))
def batch_log_exponent() -> Edit:
    """log_exponent of a feature of a batch is 129 or more"""
    return Set(2, "coded_feature_batch.parameters.log_exponent", 128)


@invalid(194, "batch-ranges-log", "constraint", "9.2")
def batch_log_step_negative() -> Edit:
    """log_step of a feature of a batch is less than 1"""
    return Set(2, _SHIFT, 31)


@invalid(550, "batch-ranges-log", "constraint", "9.2", (2, _SHIFT))
def batch_log_exponent_129() -> Edit:
    """log_exponent of a feature of a batch is 129"""
    return Set(2, "coded_feature_batch.parameters.log_exponent", 122)


@invalid(551, "batch-ranges-log", "constraint", "9.2", (2, _SHIFT))
def batch_log_step_zero() -> Edit:
    """log_step of a feature of a batch is 0"""
    return Set(2, "coded_feature_batch.parameters.log_step", [4073 << 10])
