"""Code points: the values of elements that are enumerations (clause 7, Annex C).

A member marked *kept* is reserved for a later version: a decoder of this version refuses it as unsupported,
not as malformed.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "CODED_UNITS",
    "MODEL_UNITS",
    "SKIPPABLE_UNITS",
    "Activation",
    "ChannelOrder",
    "Coder",
    "FeatureType",
    "HashTarget",
    "Profile",
    "Quantiser",
    "Restoration",
    "SourceType",
    "UnitType",
    "is_kept",
]


class UnitType(IntEnum):
    """unit_type: the low seven bits of a unit's first byte."""

    FEATURE_PARAMETER_SET = 1
    CODED_FEATURE = 2
    CODED_FEATURE_BATCH = 3
    ENTROPY_MODEL = 4
    NETWORK_MODEL = 5
    CHANNEL_TRANSFORM = 7
    CONTEXT_MODEL = 8
    METADATA = 16  # skippable
    HASH = 17  # skippable
    INDEX = 18  # skippable
    END = 127


CODED_UNITS = frozenset({UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH})
"""Units that hold coded features."""

MODEL_UNITS = frozenset(
    {
        UnitType.ENTROPY_MODEL,
        UnitType.NETWORK_MODEL,
        UnitType.CHANNEL_TRANSFORM,
        UnitType.CONTEXT_MODEL,
    }
)
"""Units that hold, or name, a model: of latents, of the channels of features, or of contexts."""

SKIPPABLE_UNITS = frozenset({UnitType.METADATA, UnitType.HASH, UnitType.INDEX})
"""Units that a decoder may pass over without changing what it reconstructs: skippable_flag is 1."""


class Profile(IntEnum):
    """profile_idc (Annex A): the tools that a decoder must have."""

    LOSSLESS = 1
    HEVC = 2
    NATIVE = 3
    LEARNED = 4
    REALTIME = 5
    VVC = 6
    AV1 = 7


class FeatureType(IntEnum):
    """feature_type: kind of the layer that produced the feature, which determines its rank."""

    CONV = 0
    POOL = 1
    FC = 2
    LATENT = 3  # kept
    TOKENS = 4


class SourceType(IntEnum):
    """source_type: number format of the original feature, and of the decoded one."""

    FLOAT32 = 0
    FLOAT16 = 1
    BFLOAT16 = 2
    INT16 = 3
    INT8 = 4
    UINT8 = 5
    FLOAT8_E4M3FN = 6
    FLOAT8_E5M2 = 7

    @property
    def is_integer(self) -> bool:
        """True if its values are integers, which only coders without a quantiser keep."""
        return SourceType.INT16 <= self <= SourceType.UINT8


class Quantiser(IntEnum):
    """quantiser: mapping of samples to feature values (clause 8.6)."""

    NONE = 0
    UNIFORM = 1
    LOGARITHMIC = 2
    DEAD_ZONE = 3  # kept
    LATTICE = 5
    TRANSFORM = 6


class Restoration(IntEnum):
    """restoration_mode: elements that each signalled moment is taken over (clause 8.5)."""

    OFF = 0
    TENSOR = 1
    CHANNEL = 2


class Coder(IntEnum):
    """coder_id: coding of the payload (clause 8.3)."""

    RAW = 0
    ZLIB = 1
    GZIP = 2
    BZIP2 = 3
    LZMA = 4
    HEVC = 5
    NATIVE = 6
    NATIVE_LOSSLESS = 7
    LEARNED = 8
    NATIVE_STATIC = 9
    VVC = 10
    AV1 = 11
    NATIVE_CONTEXTS = 13


class ChannelOrder(IntEnum):
    """channel_order: order in which channels fill the tiles (clause 8.4)."""

    IDENTITY = 0
    BY_QP = 1
    EXPLICIT = 2


class HashTarget(IntEnum):
    """hash_target: data that a hash unit is computed over (clause 8.8)."""

    SAMPLES = 0
    RECONSTRUCTION = 1


class Activation(IntEnum):
    """activation: function that ends a layer of a network (clause 8.11.2)."""

    LINEAR = 0
    RELU = 1
    LEAKY_RELU = 2


_KEPT: dict[type[IntEnum], frozenset[int]] = {
    FeatureType: frozenset({FeatureType.LATENT}),
    Quantiser: frozenset({Quantiser.DEAD_ZONE}),
}


def is_kept(code: IntEnum) -> bool:
    """True for a code point that is reserved for a later version."""
    return code in _KEPT.get(type(code), frozenset())
