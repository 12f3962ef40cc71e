"""Defects of native features, and of parameter sets and profiles that do not allow a native coder."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from refcodec.errors import HashError, PayloadError, StreamError
from refcodec.reader import open_stream
from refcodec.suite.assemble import Drop, Edit
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import element, feature, header, parameter, parameter_set
from refcodec.suite.make.native import Content, pattern, payloads


@invalid(130, "native-conv", "payload", "8.3.7")
def native_cut(stream: bytes) -> Edit:
    """the payload ends early"""
    payload = _payload(stream)
    return _first(stream, PayloadError, (payload[:-size] for size in range(1, len(payload))))


@invalid(131, "native-conv", "payload", "8.3.7")
def native_long(stream: bytes) -> Edit:
    """more bytes follow the decisions than a decoder reads ahead"""
    payload = _payload(stream)
    return _first(stream, PayloadError, (payload + bytes(size) for size in range(1, 9)))


@invalid(133, "native-sample-hash", "hash", "8.8")
def native_hash(stream: bytes) -> Edit:
    """a bit of the payload is wrong; it can be decoded, and the sample hash differs"""
    payload = _payload(stream)
    size, bits = len(payload), int.from_bytes(payload, "big")
    return _first(
        stream, HashError, ((bits ^ 1 << n).to_bytes(size, "big") for n in range(8 * size))
    )


def _payload(stream: bytes) -> bytes:
    payload: bytes = element(stream, 2, "coded_feature.payload").value
    return payload


def _first(stream: bytes, kind: type[StreamError], payloads: Iterable[bytes]) -> Edit:
    """The first of some payloads that the decoder refuses with an error of this kind.

    The effect of a change in a payload of an arithmetic coder is known only by decoding it.
    """
    for payload in payloads:
        edit = feature("payload", payload.hex())
        try:
            list(open_stream(io.BytesIO(edit(stream))))
        except StreamError as error:
            if type(error) is kind:
                return edit
    raise LookupError(f"no payload fails by {kind.__name__}")


@invalid(134, "exact-float32", "constraint", "9.2", (1, "feature_parameter_set.quantiser"))
def native_quantiser_none() -> Edit:
    """native codes a feature without a quantiser"""
    return parameter_set("coder_id", 6)


@invalid(135, "native-conv", "constraint", "9.2")
def native_restoration_flag() -> Edit:
    """restoration_enabled_flag is 1 with native"""
    return parameter_set("restoration_enabled_flag", 1)


@invalid(136, "native-conv", "constraint", "A.2", (1, "feature_parameter_set.coder_id"))
def native_profile_hevc() -> Edit:
    """a native feature in a stream of the hevc profile"""
    return header("profile_idc", 2)


@invalid(137, "exact-float32", "constraint", "A.2", (1, "feature_parameter_set.coder_id"))
def exact_profile_lossless() -> Edit:
    """a native lossless feature in a stream of the lossless profile"""
    return header("profile_idc", 1)


@invalid(138, "hevc-8-bit", "constraint", "A.2", (1, "feature_parameter_set.coder_id"))
def hevc_profile_native() -> Edit:
    """an HEVC feature in a stream of the native profile"""
    return header("profile_idc", 3)


@invalid(139, "native-conv", "constraint", "9.2", (1, "feature_parameter_set.quantiser"))
def exact_quantiser_uniform() -> Edit:
    """native lossless codes quantised samples"""
    return parameter_set("coder_id", 7)


@invalid(140, "native-batch", "constraint", "9.2", (2, "coded_feature_batch.fps_id"))
def native_batch_predicted() -> Edit:
    """features of a batch may be predicted"""
    return parameter_set("temporal_prediction_flag", 1)


@invalid(141, "native-sequence-no-index", "order", "9.1", (2, "coded_feature.payload"))
def native_sequence_without_access_point() -> Edit:
    """the first feature of a sequence, its access point, is missing"""
    return Drop(2)


@invalid(143, "native-qp-channel", "constraint", "9.2")
def native_qp_negative() -> Edit:
    """qp is 19, less than a qp_delta"""
    return parameter("qp", 19)


@invalid(720, "native-restoration-bounds", "payload", "8.3.7.1")
def native_samples_restoration(stream: bytes) -> Edit:
    """samples without a transform, and restoration is 3"""
    return _content(stream, block=4, mode=3)


@invalid(721, "native-restoration-bounds", "payload", "8.3.7.1")
def native_dependent_restoration(stream: bytes) -> Edit:
    """quantisation is dependent, and restoration is 3 after that"""
    return _content(stream, block=8, mode=3, dependent=True)


def _content(stream: bytes, **chosen: Any) -> Edit:
    """A payload of chosen content in place of the first one."""
    one = payloads(stream)[0]
    shape = (one.fps.channels, one.fps.height, one.fps.width)
    payload, _ = Content(pattern(shape, 9, 0), **chosen).code(one.fps, one.parameters)
    return feature("payload", payload.hex())
