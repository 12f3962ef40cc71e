"""Defects of features coded by the native coder with static tables."""

from __future__ import annotations

from refcodec.suite.assemble import Edit, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import feature, header, parameter, parameter_set
from refcodec.suite.make.native import Content, pattern, payloads

_FPS = "feature_parameter_set"


@invalid(650, "static-blocks-8", "payload", "8.10.2")
def static_cut(stream: bytes) -> Edit:
    """the payload ends a word early"""
    return feature("payload", payloads(stream)[0].data[:-2].hex())


@invalid(651, "static-blocks-8", "payload", "8.10.2")
def static_long(stream: bytes) -> Edit:
    """a word follows the last symbol"""
    return feature("payload", (payloads(stream)[0].data + b"\x01\x02").hex())


@invalid(652, "static-lanes", "payload", "8.10.2")
def static_lanes_odd(stream: bytes) -> Edit:
    """a payload of four lanes ends within a word"""
    return feature("payload", (payloads(stream)[0].data + b"\x01").hex())


@invalid(653, "static-lanes", "payload", "8.10.2")
def static_lanes_long(stream: bytes) -> Edit:
    """a word follows the last symbol of four lanes"""
    return feature("payload", (payloads(stream)[0].data + b"\x01\x02").hex())


@invalid(654, "static-gains", "payload", "8.3.11.5")
def static_restoration_undefined(stream: bytes) -> Edit:
    """restoration mode 3"""
    return _coded_anew(stream, Content(pattern((6, 5, 4), 5, 3), mode=3))


@invalid(655, "static-gains", "payload", "8.3.11.5")
def static_block_undefined(stream: bytes) -> Edit:
    """a largest block of 0, samples without a transform"""
    return _coded_anew(stream, Content(pattern((6, 5, 4), 5, 3), block=4))


def _coded_anew(stream: bytes, content: Content) -> Edit:
    (one,) = payloads(stream)
    return feature("payload", content.code_static(one.fps, one.parameters)[0].hex())


@invalid(656, "static-logarithmic", "hash", "8.8", (2, "coded_feature.payload"))
def static_hash(stream: bytes) -> Edit:
    """the sample hash is that of other samples"""
    return feature("sample_hash", bytes(one ^ 1 for one in payloads(stream)[0].sample_hash).hex())


@invalid(657, "zlib-shuffle", "constraint", "9.2", (1, f"{_FPS}.quantiser"))
def static_quantiser_none() -> list[Edit]:
    """a feature with static tables without a quantiser; shuffle_flag stands for one substream"""
    return [header("profile_idc", 5), parameter_set("coder_id", 9)]


@invalid(658, "static-blocks-8", "constraint", "9.2")
def static_restoration_flag() -> Edit:
    """restoration_enabled_flag is 1"""
    return parameter_set("restoration_enabled_flag", 1)


@invalid(659, "static-blocks-8", "constraint", "A.2", (1, f"{_FPS}.coder_id"))
def static_profile_native() -> Edit:
    """a feature with static tables in a stream of the native profile"""
    return header("profile_idc", 3)


@invalid(660, "native-conv", "constraint", "A.2", (1, f"{_FPS}.coder_id"))
def native_profile_realtime() -> Edit:
    """a native feature in a stream of the real-time profile"""
    return header("profile_idc", 5)


@invalid(661, "static-16-bit", "constraint", "9.2")
def static_qp_negative() -> Edit:
    """qp is 62, less than a qp_delta"""
    return parameter("qp", 62)


@invalid(662, "static-substreams", "constraint", "9.2", (1, f"{_FPS}.substream_count_minus1"))
def static_substreams_beyond_channels() -> Edit:
    """six substreams of five channels"""
    return parameter_set("substream_count_minus1", 5)


@invalid(663, "static-batch", "constraint", "9.2", (2, "coded_feature_batch.fps_id"))
def static_substreams_batched() -> Edit:
    """features of two substreams in a batch"""
    return parameter_set("substream_count_minus1", 1)


@invalid(664, "static-substreams", "payload", "8.10.2", (2, "coded_feature.payload"))
def static_substream_displaced(stream: bytes) -> Edit:
    """the second substream begins two bytes early"""
    first, _ = payloads(stream)[0].substreams
    return Set(2, "coded_feature.substream_size", first - 2)
