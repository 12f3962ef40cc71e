"""Defects of context models, and of features of them.

Unit 1 of the stream that is edited is the model, unit 2 the parameter set.
"""

from __future__ import annotations

from refcodec.suite.assemble import Drop, Edit, Insert, Set
from refcodec.suite.make.define import invalid
from refcodec.suite.valid.contexts import SAMPLES
from refcodec.suite.valid.transforms import PLAIN
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import CHANNEL_TRANSFORM_UNIT, CONTEXT_MODEL_UNIT

_UNIT = "context_model_unit"
_CHANGES = f"{_UNIT}.contexts.coded_changes"
_FPS = "feature_parameter_set"


def _unit(number: int) -> str:
    """The payload of a unit that holds a context model, in hexadecimal digits."""
    elements = {"model_id": number, "external_flag": 0, "contexts": SAMPLES.coded}
    return CONTEXT_MODEL_UNIT.build_whole(elements).hex()


@invalid(810, "contexts-vectors", "payload", "8.3.14.2", (1, _CHANGES))
def contexts_long() -> Edit:
    """five bytes follow the changes of a context model"""
    return Set(1, _CHANGES, (SAMPLES.coded.coded_changes + b"\1" * 5).hex())


@invalid(811, "contexts-vectors", "payload", "8.3.14.2", (1, _CHANGES))
def contexts_missing() -> Edit:
    """the changes of a context model have no bytes"""
    return Set(1, _CHANGES, "")


@invalid(812, "contexts-vectors", "payload", "8.3.14.2", (1, _CHANGES))
def contexts_wide() -> Edit:
    """a change has the magnitude 2048 at least"""
    return Set(1, _CHANGES, "ff" * 12)


@invalid(813, "contexts-vectors", "syntax", "7.17")
def contexts_id_beyond() -> Edit:
    """a context model has the number 256"""
    return Set(1, f"{_UNIT}.model_id", 256)


@invalid(814, "contexts-vectors", "syntax", "7.4")
def contexts_named_beyond() -> Edit:
    """a parameter set names the context model 256"""
    return Set(2, f"{_FPS}.context_model_id", 256)


@invalid(815, "contexts-vectors", "order", "7.4", (2, f"{_FPS}.context_model_id"))
def contexts_absent() -> Edit:
    """a parameter set names a context model that the stream does not have"""
    return Set(2, f"{_FPS}.context_model_id", 1)


@invalid(816, "contexts-vectors", "constraint", "9.12", (2, f"{_FPS}.context_model_id"))
def contexts_of_channels() -> list[Edit]:
    """the context model of a parameter set is a transform over channels"""
    elements = {"model_id": 0, "external_flag": 0, "transform": PLAIN.coded}
    unit = CHANNEL_TRANSFORM_UNIT.build_whole(elements).hex()
    return [Drop(1), Insert(1, UnitType.CHANNEL_TRANSFORM, 0, unit)]


@invalid(817, "transform-map", "constraint", "9.9", (2, f"{_FPS}.model_id"))
def transform_of_contexts() -> list[Edit]:
    """the transform of a parameter set is a context model"""
    return [Drop(1), Insert(1, UnitType.CONTEXT_MODEL, 0, _unit(0))]


@invalid(818, "contexts-vectors", "constraint", "9.7", (2, f"{_UNIT}.model_id"))
def contexts_twice() -> Edit:
    """two context models have the number 0"""
    return Insert(2, UnitType.CONTEXT_MODEL, 0, _unit(0))


@invalid(819, "latents-alone", "constraint", "A.2", (1, f"{_UNIT}.model_id"))
def contexts_in_learned() -> Edit:
    """a context model stands in a stream of the learned profile"""
    return Insert(1, UnitType.CONTEXT_MODEL, 0, _unit(7))
