"""Defects of transforms over channels, and of features of them.

Unit 1 of the streams that are edited is the transform, unit 2 the parameter set, unit 3 the first coded unit.
"""

from __future__ import annotations

import numpy as np

from refcodec.suite.assemble import Drop, Edit, Insert, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import element
from refcodec.suite.make.native import Content, pattern, payloads
from refcodec.suite.make.transforms import coded, mixing
from refcodec.suite.valid.transforms import LARGEST, PLAIN
from refcodec.syntax.structures import CHANNEL_TRANSFORM_UNIT, CodedChannelTransform

_PAYLOAD = "coded_feature.payload"
_UNIT = "channel_transform_unit"
_TRANSFORM = f"{_UNIT}.transform"
_WEIGHTS = (1, f"{_TRANSFORM}.coded_weights")
_FPS = "feature_parameter_set"


def _unit(transform: CodedChannelTransform, number: int = 0) -> str:
    """The payload of a unit that holds a transform, in hexadecimal digits."""
    elements = {"model_id": number, "external_flag": 0, "transform": transform}
    return CHANNEL_TRANSFORM_UNIT.build_whole(elements).hex()


def _with(transform: CodedChannelTransform) -> list[Edit]:
    """Replace the transform by another one."""
    return [Drop(1), Insert(1, 7, 0, _unit(transform))]


def _with_weights(data: bytes) -> list[Edit]:
    """Replace the bytes of the weights."""
    return _with(
        CodedChannelTransform(**{**PLAIN.coded, "coded_size": len(data), "coded_weights": data})
    )


@invalid(700, "transform-map", "payload", "8.6.7", _WEIGHTS)
def transform_weight_wide() -> Edit:
    """a weight has more bits than weight_bits_minus1 says"""
    return Set(1, f"{_TRANSFORM}.weight_bits_minus1", 6)


@invalid(701, "transform-map", "payload", "8.6.7", _WEIGHTS)
def transform_weights_long() -> list[Edit]:
    """five bytes follow the weights of a transform"""
    return _with_weights(PLAIN.coded.coded_weights + b"\1" * 5)


@invalid(702, "transform-map", "payload", "8.6.7", _WEIGHTS)
def transform_weights_missing() -> list[Edit]:
    """the weights of a transform have no bytes"""
    return _with_weights(b"")


@invalid(703, "transform-map", "truncated", "7.14.2", _WEIGHTS)
def transform_size() -> Edit:
    """coded_size is greater than the bytes that follow"""
    return Set(1, f"{_TRANSFORM}.coded_size", 500)


@invalid(704, "transform-map", "syntax", "7.14.2")
def transform_size_beyond() -> Edit:
    """coded_size is 2^28"""
    return Set(1, f"{_TRANSFORM}.coded_size", 2**28)


@invalid(705, "transform-map", "syntax", "7.14.2")
def transform_groups_beyond() -> Edit:
    """a transform has 4,097 groups"""
    return Set(1, f"{_TRANSFORM}.group_count_minus1", 4096)


@invalid(706, "transform-map", "syntax", "7.14.2")
def transform_channels_beyond() -> Edit:
    """a group has 4,097 channels"""
    return Set(1, f"{_TRANSFORM}.group_channels_minus1", 4096)


@invalid(707, "transform-map", "syntax", "7.14")
def transform_id_beyond() -> Edit:
    """a transform has the number 256"""
    return Set(1, f"{_UNIT}.model_id", 256)


@invalid(708, "transform-largest", "constraint", "9.9", _WEIGHTS)
def transform_sum_beyond() -> list[Edit]:
    """the magnitudes of the weights of a channel add up to 2^35 + 2^15"""
    weights = np.zeros((1, 33, 33), np.int32)
    weights[0, np.arange(33), np.arange(33)] = 1
    weights[0, :32, 0] = 32767
    weights[0, 32, 0] = 33
    return _with(coded(weights, shifts=15))


@invalid(709, "transform-map", "constraint", "9.9", _WEIGHTS)
def transform_scale_infinite() -> list[Edit]:
    """the scale of a channel is infinite"""
    return _with(coded(mixing(1, 5, 9, 40), scales=(1, 1, 1, 1, np.inf)))


@invalid(710, "transform-map", "constraint", "9.9", _WEIGHTS)
def transform_offset_nan() -> list[Edit]:
    """the offset of a channel is a NaN"""
    return _with(coded(mixing(1, 5, 9, 40), offsets=(np.nan, 1, 1, 1, 1)))


@invalid(711, "transform-map", "constraint", "9.9", (2, f"{_FPS}.model_id"))
def transform_channels_other() -> list[Edit]:
    """the transform is of six channels, the features are of five"""
    return _with(coded(mixing(1, 6, 9, 40)))


@invalid(712, "transform-map", "constraint", "9.7", (2, f"{_UNIT}.model_id"))
def transform_twice() -> Edit:
    """two transforms have the number 0"""
    return Insert(2, 7, 0, _unit(LARGEST.coded))


@invalid(713, "transform-map", "order", "7.4", (2, f"{_FPS}.model_id"))
def transform_missing() -> Edit:
    """a parameter set names a transform that the stream does not have"""
    return Set(2, f"{_FPS}.model_id", 1)


@invalid(714, "latents-alone", "constraint", "A.2", (1, f"{_UNIT}.model_id"))
def transform_in_learned() -> Edit:
    """a transform stands in a stream of the learned profile"""
    return Insert(1, 7, 0, _unit(PLAIN.coded, 7))


@invalid(715, "transform-vectors", "constraint", "9.2", (3, "coded_feature_batch.range_codes_flag"))
def transform_range_codes(stream: bytes) -> list[Edit]:
    """a batch of coefficients has codes of ranges, of which there are none"""
    payloads = element(stream, 3, "coded_feature_batch.payloads").value.hex()
    return [
        Set(3, "coded_feature_batch.payloads", "0000" + payloads),  # code_shift and no codes
        Set(3, "coded_feature_batch.range_codes_flag", 1),
    ]


@invalid(716, "transform-map", "constraint", "9.2", (2, f"{_FPS}.quantiser"))
def transform_coder() -> list[Edit]:
    """coefficients of a transform are coded by the coder raw"""
    return [Set(2, f"{_FPS}.coder_id", 0), Set(2, f"{_FPS}.model_id", 0)]


@invalid(790, "token-gains", "payload", "8.3.7.1", (3, _PAYLOAD))
def token_gains_restoration(stream: bytes) -> Edit:
    """the restoration that follows the mark of gains is 3"""
    one = payloads(stream)[0]
    content = Content(pattern((5, 6, 1), 4, 6), block=8, mode=3, token_gains=[1] * 6)
    return Set(3, _PAYLOAD, content.code(one.fps, one.parameters)[0].hex())


@invalid(791, "token-gains", "payload", "8.3.7", (3, _PAYLOAD))
def token_gains_cut(stream: bytes) -> Edit:
    """a payload that ends within the gains of tokens"""
    return Set(3, _PAYLOAD, payloads(stream)[0].data[:4].hex())
