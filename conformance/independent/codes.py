"""Code points of clause 7 and the levels of Annex A."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeVar

from .refusal import Refusal


class Profile(IntEnum):
    """profile_idc (A.2)."""

    LOSSLESS = 1
    HEVC = 2
    NATIVE = 3
    LEARNED = 4
    REALTIME = 5
    VVC = 6
    AV1 = 7


class UnitType(IntEnum):
    """unit_type (7.3), without the types that are kept."""

    FEATURE_PARAMETER_SET = 1
    CODED_FEATURE = 2
    CODED_FEATURE_BATCH = 3
    ENTROPY_MODEL = 4
    CHANNEL_TRANSFORM = 7
    CONTEXT_MODEL = 8
    METADATA = 16
    HASH = 17
    INDEX = 18
    END = 127


NETWORK_MODEL = 5
"""unit_type of models with networks, which are not decoded here."""


class FeatureType(IntEnum):
    """feature_type (7.4)."""

    CONV = 0
    POOL = 1
    FC = 2
    TOKENS = 4


class SourceType(IntEnum):
    """source_type (7.4)."""

    FLOAT32 = 0
    FLOAT16 = 1
    BFLOAT16 = 2
    INT16 = 3
    INT8 = 4
    UINT8 = 5
    FLOAT8_E4M3FN = 6
    FLOAT8_E5M2 = 7


class Quantiser(IntEnum):
    """quantiser (7.4)."""

    NONE = 0
    UNIFORM = 1
    LOGARITHMIC = 2
    LATTICE = 5
    TRANSFORM = 6


class Coder(IntEnum):
    """coder_id (7.4)."""

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
    NATIVE_CONTEXTS = 13  # parsed as NATIVE, with a context model


class RestorationMode(IntEnum):
    """restoration_mode (7.5.2)."""

    OFF = 0
    TENSOR = 1
    CHANNEL = 2


class ChannelOrder(IntEnum):
    """channel_order (7.5.2)."""

    IDENTITY = 0
    BY_QP = 1
    EXPLICIT = 2


class HashTarget(IntEnum):
    """hash_target (7.8)."""

    SAMPLES = 0
    RECONSTRUCTION = 1


INTEGER_TYPES = (SourceType.INT16, SourceType.INT8, SourceType.UINT8)
VIDEO_CODERS = frozenset((Coder.HEVC, Coder.VVC, Coder.AV1))
BYTE_CODERS = frozenset((Coder.RAW, Coder.ZLIB, Coder.GZIP, Coder.BZIP2, Coder.LZMA))
CODERS = {
    Profile.LOSSLESS: BYTE_CODERS,
    Profile.HEVC: BYTE_CODERS | {Coder.HEVC},
    Profile.NATIVE: BYTE_CODERS | {Coder.NATIVE, Coder.NATIVE_LOSSLESS},
    Profile.LEARNED: BYTE_CODERS | {Coder.LEARNED},
    Profile.REALTIME: BYTE_CODERS | {Coder.NATIVE_STATIC},
    Profile.VVC: BYTE_CODERS | {Coder.VVC},
    Profile.AV1: BYTE_CODERS | {Coder.AV1},
}


class Level(NamedTuple):
    """The limits of a level (A.3)."""

    max_elements: int
    max_channels: int
    max_frame_side: int
    max_frame_samples: int
    max_unit_size: int
    max_sequence_length: int
    max_sequence_samples: int
    max_model_contexts: int
    max_model_tables: int
    max_model_size: int
    max_network_weights: int


_SIZES = {
    1: (1 << 16, 1 << 16, 1024, 1 << 18, 1 << 20, 32, 1 << 20, 1 << 12, 1 << 8, 1 << 16, 1 << 18),
    2: (1 << 20, 1 << 17, 2048, 1 << 22, 1 << 24, 64, 1 << 24, 1 << 14, 1 << 10, 1 << 18, 1 << 22),
    3: (1 << 24, 1 << 20, 8192, 1 << 26, 1 << 28, 64, 1 << 28, 1 << 16, 1 << 12, 1 << 20, 1 << 24),
    4: (
        *(1 << 28, 1 << 24, 8192, 1 << 30, (1 << 32) - 1, 64, 1 << 30),
        *(1 << 16, 1 << 12, 1 << 20, 1 << 24),
    ),
}
LEVELS = {number: Level(*sizes) for number, sizes in _SIZES.items()}

Code = TypeVar("Code", bound=IntEnum)


def code_point(codes: type[Code], value: int) -> Code:
    """The code point of a value; refuses others at once (R7.1-1, R7.1-2)."""
    if value not in codes.__members__.values():
        raise Refusal("unsupported", "7.1", f"{value} is no {codes.__doc__}")
    return codes(value)
