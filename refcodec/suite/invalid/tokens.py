"""Defects of features of tokens."""

from __future__ import annotations

from refcodec.suite.assemble import Copy, Drop, Edit, Insert
from refcodec.suite.make.define import invalid
from refcodec.suite.make.edits import add, feature, parameter_set
from refcodec.suite.make.native import payloads
from refcodec.syntax.codes import FeatureType, UnitType
from refcodec.syntax.structures import FEATURE_PARAMETER_SET

_FPS = "feature_parameter_set."


def _as_tokens(stream: bytes, unit: int) -> list[Edit]:
    """Make the features of the parameter set in a unit tokens, without an axis of heads."""
    fps = payloads(stream)[0].fps
    elements = {**fps, "feature_type": FeatureType.TOKENS, "head_count": 0}
    payload = FEATURE_PARAMETER_SET.build_whole(elements)
    return [Insert(unit, UnitType.FEATURE_PARAMETER_SET, 0, payload.hex()), Drop(unit + 1)]


@invalid(770, "tokens-most", "unsupported", "A.3", (2, "coded_feature.token_count_minus1"))
def tokens_beyond_level() -> Edit:
    """65,536 tokens of two values, in a stream of level 1"""
    return parameter_set("channels_minus1", 1)


@invalid(771, "tokens-begin-again", "syntax", "7.5")
def token_count_beyond() -> Edit:
    """65,537 tokens"""
    return feature("token_count_minus1", 65536)


@invalid(772, "tokens-begin-again", "order", "9.1", (2, "coded_feature.payload"))
def tokens_continue_nothing() -> Edit:
    """the first feature of a parameter set continues another one"""
    return feature("continuation_flag", 1)


@invalid(773, "tokens-begin-again", "order", "9.1", (4, "coded_feature.payload"))
def tokens_continue_replaced() -> Edit:
    """a parameter set is repeated within a token sequence"""
    return Copy(1, 3)


@invalid(774, "tokens-native-heads", "constraint", "9.2", (1, _FPS + "head_count"))
def tokens_heads_unequal() -> Edit:
    """three heads of ten channels"""
    return parameter_set("head_count", 3)


@invalid(775, "tokens-begin-again", "syntax", "7.4")
def tokens_heads_beyond() -> Edit:
    """4,097 heads"""
    return parameter_set("head_count", 4097)


@invalid(776, "batch-of-one", "constraint", "9.2", (2, "coded_feature_batch.fps_id"))
def tokens_batch(stream: bytes) -> list[Edit]:
    """a batch of tokens"""
    return _as_tokens(stream, 1)


@invalid(777, "latents-alone", "constraint", "9.2", (2, _FPS + "coder_id"))
def tokens_learned(stream: bytes) -> list[Edit]:
    """tokens under the learned coder"""
    return _as_tokens(stream, 2)


@invalid(778, "tokens-one-head", "payload", "8.3.1", (2, "coded_feature.payload"))
def tokens_too_few(stream: bytes) -> Edit:
    """the payload holds a token less than the feature has"""
    return add(stream, 2, "coded_feature.token_count_minus1", 1)
