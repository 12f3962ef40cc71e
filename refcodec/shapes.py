"""Shapes of features: C x H x W, as coders see them, and those of the layers that they leave (clause 8.1).

    conv, pool                     C x H x W    C x H x W
    fc                             C x 1 x 1    D, which is C
    tokens                         C x T x 1    T x D, where D is C
    tokens with an axis of heads   C x T x 1    heads x T x D, where C is heads times D

The channels of tokens are what they are wide; T differs from feature to feature of one parameter set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.syntax.codes import FeatureType
from refcodec.syntax.structures import CodedFeature, CodedFeatureBatch, FeatureParameterSet

__all__ = ["layer_shape", "of_layer", "parameter_set_of", "volume_of"]

Array = npt.NDArray[Any]


# --- normative -------------------------------------------------------------------------------------


@clause("7.5.1")
def parameter_set_of(
    coded: CodedFeature | CodedFeatureBatch, fps: FeatureParameterSet
) -> FeatureParameterSet:
    """(7.5.1) The parameter set of a coded feature, with the height that this feature has."""
    if isinstance(coded, CodedFeatureBatch) or coded.height == fps.height:
        return fps
    return replace(fps, height=coded.height)


@clause("8.1")
def of_layer(elements: Array, fps: FeatureParameterSet) -> Array:
    """(8.1) Give the elements of a feature the shape that it has where it leaves its layer.

    elements : C x H x W; of features that are no tokens also of several, N x C x H x W.
    """
    if fps.feature_type == FeatureType.FC:
        return elements.reshape(*elements.shape[:-3], -1)
    if fps.feature_type == FeatureType.TOKENS:
        tokens = elements.shape[1]
        if not fps.head_count:
            return np.ascontiguousarray(elements.reshape(-1, tokens).T)
        heads = elements.reshape(fps.head_count, -1, tokens)
        return np.ascontiguousarray(heads.transpose(0, 2, 1))
    return elements


# --- informative -----------------------------------------------------------------------------------


def volume_of(feature: Array, *, tokens: bool = False) -> Array:
    """The elements of a feature as C x H x W: the inverse of `of_layer`.

    tokens : true for T x D, and heads x T x D.
    """
    if tokens:
        heads = feature.reshape(-1, *feature.shape[-2:])
        return heads.transpose(0, 2, 1).reshape(-1, feature.shape[-2], 1)
    return feature if feature.ndim == 3 else feature.reshape(-1, 1, 1)


def layer_shape(fps: FeatureParameterSet) -> tuple[int | str, ...]:
    """Shape of the features of a parameter set as their layer has it, with ``"T"`` tokens each."""
    if fps.feature_type == FeatureType.FC:
        return (fps.channels,)
    if fps.feature_type == FeatureType.TOKENS:
        heads = fps.head_count
        return (heads, "T", fps.channels // heads) if heads else ("T", fps.channels)
    return fps.channels, fps.height, fps.width
