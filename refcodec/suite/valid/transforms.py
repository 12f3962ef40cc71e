"""Features of a transform over channels, most of chosen levels."""

from __future__ import annotations

import io
from typing import Any

import ml_dtypes
import numpy as np

from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.native import Content, pattern, payloads
from refcodec.suite.make.transforms import mixing, transform
from refcodec.suite.valid.build import coded
from refcodec.suite.valid.content import every_other
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import CHANNEL_TRANSFORM_UNIT
from refcodec.transform.channel import ChannelTransform
from refcodec.writer import concat

__all__ = ["LARGEST", "PLAIN"]

PLAIN = transform(
    mixing(1, 5, 90, 400),
    scales=(0.004, 0.011, 0.0025, 0.03, 0.007),
    offsets=(0.5, -1.25, 3.0, 0.0, 10.0),
)
"""Of 5 channels."""

LARGEST = transform(
    np.array([[[32767, -1], [32767, 1]]], np.int32),
    shifts=(15, 15),
    scales=(2.0**-30, 1.0),
)
"""Of 2 channels, of which the first has sums just below the greatest that are allowed."""


def under(
    model: ChannelTransform,
    *contents: Content,
    coder: str = "native",
    dtype: Any = np.float32,
    **options: Any,
) -> bytes:
    """A stream of payloads of chosen content, coefficients of a transform."""
    predicted, tokens = options.get("gop", 0) > 0, options.get("feature_type") == "tokens"
    shapes = [one.levels.shape for one in contents]
    blanks = [np.zeros((one[1], one[0]) if tokens else one, dtype) for one in shapes]
    stream = coded(*blanks, coder=coder, model=model, workers=1, index=False, **options)
    if options.get("batch") is not False and not predicted:
        raise ValueError("contents are for features of their own")
    reference, at = None, 3
    for number, (one, found) in enumerate(zip(contents, payloads(stream), strict=True)):
        code = one.code_static if coder == "native-static" else one.code
        known = () if reference is None else (reference,)
        payload, samples = code(found.fps, found.parameters, *known)
        stream = Set(at + number, "coded_feature.payload", payload.hex())(stream)
        reference = samples if predicted else None
    return stream


_LEVELS = Content(pattern((5, 9, 13), 4, 6), block=8, split=every_other, points=(-2, -1, 0))


@vector(550)
def transform_map(_: Features) -> bytes:
    """a map of five channels, each made of all coefficients"""
    return under(PLAIN, _LEVELS, qp=20, batch=False)


@vector(551)
def transform_static(_: Features) -> bytes:
    """static tables: a map of which each channel is made of all coefficients"""
    return under(PLAIN, _LEVELS, coder="native-static", qp=20, batch=False)


@vector(552)
def transform_groups(_: Features) -> bytes:
    """three groups of two channels, each transformed by itself"""
    model = transform(mixing(3, 2, 60, 100), scales=(0.5, 0.25, 2.0), offsets=-7.0)
    return under(model, Content(pattern((6, 5, 6), 3, 4), block=4), qp=12, batch=False)


@vector(553)
def transform_vectors(_: Features) -> bytes:
    """vectors of eight values in a batch, each decodable alone"""
    model = transform(mixing(1, 8, 0, 64), scales=2.0**-6)
    features = [row.astype(np.float32) for row in pattern((6, 8), 1, 100)]
    return coded(*features, coder="native", model=model, workers=1, qp=16, speed="fast")


@vector(554)
def transform_shifts(_: Features) -> bytes:
    """weights of three bits, and coefficients shifted by 0 to 15"""
    model = transform(
        mixing(1, 16, 1, 3), shifts=range(16), scales=[2.0 ** -(n % 5) for n in range(16)], bits=3
    )
    return under(model, Content(pattern((16, 4, 3), 2, 9), block=4), qp=3, batch=False)


@vector(555)
def transform_far(_: Features) -> bytes:
    """corrections take coefficients beyond 2^17, where they are limited"""
    far = Content(
        pattern((5, 5, 5), 3, 30),
        block=8,
        mode=2,
        offsets=(0, 2000, -2000, 3, 900),
        gains=(0, 1, -24, 32, 5),
    )
    return under(PLAIN, far, qp=63, batch=False)


@vector(556)
def transform_largest(_: Features) -> bytes:
    """the magnitudes of the weights of a channel add up to 2^31 - 2^16: every bit of a sum counts"""
    levels = pattern((2, 6, 6), 2, 2000)
    return under(LARGEST, Content(levels, block=4), qp=0, batch=False)


@vector(557)
def transform_rounds(_: Features) -> bytes:
    """bfloat16: the product, the sum with the offset and the result are each rounded"""
    model = transform(
        mixing(1, 3, 900, 1000), scales=(0.1, 1 / 3, 1e-3), offsets=(1e5, -1 / 7, 1e-4)
    )
    content = Content(pattern((3, 8, 8), 2, 50), block=4)
    return under(model, content, dtype=ml_dtypes.bfloat16, qp=9, batch=False)


@vector(558)
def transform_saturates(_: Features) -> bytes:
    """float16: values beyond its range become its greatest number"""
    model = transform(mixing(1, 2, 50, 99), scales=(900.0, 1e36))
    content = Content(pattern((2, 5, 5), 2, 50), block=4)
    return under(model, content, dtype=np.float16, qp=21, batch=False)


@vector(559)
def transform_predicted(_: Features) -> bytes:
    """a sequence: coefficients are predicted, not values"""
    first = Content(pattern((5, 8, 8), 4, 8), block=8)
    later = Content(pattern((5, 8, 8), 9, 3), block=8, temporal=lambda *_: True)
    return under(PLAIN, first, later, qp=17, gop=2)


@vector(560)
def transform_per_channel_qp(_: Features) -> bytes:
    """a QP for each coefficient"""
    return under(PLAIN, _LEVELS, qp=(20, 23, 31, 9, 40), batch=False)


@vector(561)
def transforms_several(_: Features) -> bytes:
    """two transforms, and features of each and of none"""
    other = transform(mixing(1, 2, 9, 30), scales=0.125)
    own = under(PLAIN, _LEVELS, qp=24, batch=False)
    small = under(other, Content(pattern((2, 3, 4), 2, 5), block=4), qp=24, batch=False)
    plain = coded(pattern((4,), 1, 3).astype(np.float32), coder="zlib", index=False)
    target = io.BytesIO()
    concat(target, [own, small, plain, own], index=False)
    return target.getvalue()


@vector(562)
def transform_single(_: Features) -> bytes:
    """a transform of one channel: a scale and an offset"""
    model = transform(mixing(1, 1, 0, 1), scales=0.5, offsets=-3.0)
    return under(model, Content(pattern((1, 6, 6), 2, 5), block=8), qp=4, batch=False)


_TOKENS: dict[str, Any] = {"qp": 20, "batch": False, "feature_type": "tokens"}


@vector(630)
def token_gains(_: Features) -> bytes:
    """six tokens whose gains are whole octaves and parts of them, up and down, and one without gains"""
    gained = Content(
        pattern((5, 6, 1), 4, 6),
        block=8,
        mode=2,
        offsets=(3, -9),
        gains=(4,),
        token_gains=(0, 5, -3, 8, -10, 23),
    )
    return under(PLAIN, gained, Content(pattern((5, 1, 1), 4, 6), block=4), **_TOKENS)


@vector(631)
def token_gains_beyond(_: Features) -> bytes:
    """gains beyond the limits, and products beyond 2^24"""
    gained = Content(pattern((5, 4, 1), 4, 90), block=4, token_gains=(64, 65, -64, -3000))
    return under(PLAIN, gained, **_TOKENS)


@vector(632)
def token_gains_dependent(_: Features) -> bytes:
    """gains and dependent quantisation at once"""
    gained = Content(
        pattern((5, 6, 1), 4, 6), block=8, dependent=True, token_gains=(1, 0, -2, 6, 0, 11)
    )
    return under(PLAIN, gained, **_TOKENS)


@edited(564, "transform-map", "a transform in a file of its own comes first", "7.14")
def transform_external_unused() -> Edit:
    """a stream names a transform that no parameter set uses, by the greatest number"""
    unit = {"model_id": 255, "external_flag": 1, "sha256": bytes(range(32))}
    return Insert(1, UnitType.CHANNEL_TRANSFORM, 0, CHANNEL_TRANSFORM_UNIT.build_whole(unit).hex())


@edited(563, "transform-map", "the transform and the parameter set say 3")
def transform_number() -> list[Edit]:
    """a transform that is number 3 of its stream"""
    return [
        Set(1, "channel_transform_unit.model_id", 3),
        Set(2, "feature_parameter_set.model_id", 3),
    ]
