"""The syntax structures of a DFC stream (clause 6), in the order of the specification.

Field order, width, bound and condition live here and nowhere else. Elements whose coding is ``Computed`` are
derived variables: they occupy no bits. ``this._params.fps`` is the feature parameter set that a coded feature
refers to.
"""

from __future__ import annotations

from typing import Any

from construct import Array as Repeat
from construct import Computed, If, IfThenElse, Switch, this

from refcodec.syntax.codes import (
    Activation,
    ChannelOrder,
    Coder,
    FeatureType,
    HashTarget,
    Profile,
    Quantiser,
    Restoration,
    SourceType,
    UnitType,
)
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Floats,
    Integers,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.records import Record, Structure, element
from refcodec.tables import SUBSTREAMS
from refcodec.tables.families import FAMILIES

__all__ = [
    "CHANNEL_TRANSFORM",
    "CHANNEL_TRANSFORM_UNIT",
    "CODED_CONTEXT_MODEL",
    "CODED_FEATURE",
    "CODED_FEATURE_BATCH",
    "COEFFICIENT_BITS",
    "CONTEXT_MODEL_UNIT",
    "END",
    "ENTROPY_MODEL_UNIT",
    "ENTROPY_TABLES",
    "FEATURE_PARAMETERS",
    "FEATURE_PARAMETER_SET",
    "FPS_IDS",
    "HASH",
    "HYPERPRIOR",
    "INDEX",
    "LARGEST_HEAD_COUNT",
    "LARGEST_TOKEN_COUNT",
    "LARGEST_WIDTH",
    "METADATA",
    "METADATA_ENTRY",
    "MODEL_IDS",
    "NETWORK",
    "NETWORK_LAYER",
    "NETWORK_MODEL_UNIT",
    "SCALES",
    "SIGNATURE",
    "STREAM_HEADER",
    "STREAM_HEADER_SIZE",
    "UNIT_HEADER",
    "UNIT_STRUCTURES",
    "ChannelTransformUnit",
    "CodedChannelTransform",
    "CodedContextModel",
    "CodedFeature",
    "CodedFeatureBatch",
    "ContextModelUnit",
    "End",
    "EntropyModelUnit",
    "EntropyTables",
    "FeatureParameterSet",
    "FeatureParameters",
    "Hash",
    "Hyperprior",
    "Index",
    "Metadata",
    "MetadataEntry",
    "ModelUnit",
    "Network",
    "NetworkLayer",
    "NetworkModelUnit",
    "StreamHeader",
    "UnitHeader",
]

SIGNATURE = b"\x89DFC"
"""The first byte detects transfers that drop the eighth bit, as in PNG."""

STREAM_HEADER_SIZE = 9

FPS_IDS = 256
"""Number of values of fps_id, and thus of parameter sets in force at a time."""


MODEL_IDS = 256
"""Number of values of model_id, and thus of models in a stream."""

SCALES = 64
"""Scales of the family of tables (8.10.4)."""

LARGEST_HEAD_COUNT = 2**12
"""Heads of features of tokens at most."""

LARGEST_TOKEN_COUNT = 2**16
"""Tokens of a coded feature at most; longer sequences are several that continue one another."""

COEFFICIENT_BITS = 18
"""Bits of the coefficients of a transform over channels, with a sign."""

LARGEST_WIDTH = 4096
"""Channels of a layer of a network at most."""


class StreamHeader(Record):
    """The first nine bytes of a stream (6.2)."""

    signature: bytes = element(Bytes(4))
    version_major: int = element(U(4))
    version_minor: int = element(U(4))
    profile_idc: Profile = element(U(8, Profile))
    level_idc: int = element(U(4))
    reserved_ignored_2bits: int = element(U(2))
    reserved_zero_2bits: int = element(U(2))
    header_crc: int = element(U(16))


STREAM_HEADER = Structure(StreamHeader, "6.2")


class UnitHeader(Record):
    """Type and size of a unit (6.3)."""

    skippable_flag: int = element(U(1))
    unit_type: int = element(U(7))
    unit_size: int = element(Leb128())


UNIT_HEADER = Structure(UnitHeader, "6.3")


_IS_VIDEO = (
    (this.coder_id == Coder.HEVC) | (this.coder_id == Coder.VVC) | (this.coder_id == Coder.AV1)
)


class FeatureParameterSet(Record):
    """Parameters that features of one kind have in common (6.4)."""

    fps_id: int = element(UE(FPS_IDS - 1))
    feature_type: FeatureType = element(U(3, FeatureType))
    source_type: SourceType = element(U(3, SourceType))
    channels_minus1: int = element(UE(2**24 - 1))
    height_minus1: int | None = element(If(this.feature_type <= FeatureType.POOL, UE(2**16 - 1)))
    width_minus1: int | None = element(If(this.feature_type <= FeatureType.POOL, UE(2**16 - 1)))
    head_count: int | None = element(
        If(this.feature_type == FeatureType.TOKENS, UE(LARGEST_HEAD_COUNT))
    )
    channels: int = element(Computed(this.channels_minus1 + 1))
    height: int = element(
        IfThenElse(
            this.feature_type <= FeatureType.POOL, Computed(this.height_minus1 + 1), Computed(1)
        )
    )
    width: int = element(
        IfThenElse(
            this.feature_type <= FeatureType.POOL, Computed(this.width_minus1 + 1), Computed(1)
        )
    )
    quantiser: Quantiser = element(U(3, Quantiser))
    bits_minus1: int | None = element(
        If((this.quantiser != Quantiser.NONE) & (this.quantiser != Quantiser.TRANSFORM), U(4))
    )
    bits: int = element(
        IfThenElse(
            this.quantiser == Quantiser.TRANSFORM,
            Computed(COEFFICIENT_BITS),
            IfThenElse(
                this.quantiser != Quantiser.NONE,
                Computed(this.bits_minus1 + 1),
                IfThenElse(
                    this.source_type == SourceType.FLOAT32,
                    Computed(32),
                    IfThenElse(this.source_type <= SourceType.INT16, Computed(16), Computed(8)),
                ),
            ),
        )
    )
    range_per_channel_flag: int | None = element(
        If((this.quantiser != Quantiser.NONE) & (this.quantiser != Quantiser.TRANSFORM), U(1))
    )
    restoration_enabled_flag: int | None = element(If(this.quantiser == Quantiser.UNIFORM, U(1)))
    log_signed_flag: int | None = element(If(this.quantiser == Quantiser.LOGARITHMIC, U(1)))
    ranges: int = element(
        IfThenElse(this.range_per_channel_flag == 1, Computed(this.channels), Computed(1))
    )
    sample_hash_size_code: int = element(U(2))
    sample_hash_size: int = element(
        Switch(
            this.sample_hash_size_code,
            {code: Computed(4 << code) for code in (1, 2, 3)},
            Computed(0),
        )
    )
    coder_id: Coder = element(U(4, Coder))
    shuffle_flag: int | None = element(
        If((this.coder_id >= Coder.ZLIB) & (this.coder_id <= Coder.LZMA), U(1))
    )
    hevc_lossless_flag: int | None = element(If(this.coder_id == Coder.HEVC, U(1)))
    qp_present: int = element(
        IfThenElse(
            (this.coder_id == Coder.NATIVE)
            | (this.coder_id == Coder.NATIVE_STATIC)
            | (this.coder_id == Coder.VVC)
            | (this.coder_id == Coder.AV1)
            | (this.coder_id == Coder.NATIVE_CONTEXTS),
            Computed(1),
            Computed(this.hevc_lossless_flag == 0),
        )
    )
    temporal_prediction_flag: int | None = element(
        If(
            (this.feature_type != FeatureType.TOKENS)
            & (
                (this.coder_id == Coder.HEVC)
                | (this.coder_id == Coder.NATIVE)
                | (this.coder_id == Coder.NATIVE_CONTEXTS)
            ),
            U(1),
        )
    )
    tile_columns_minus1: int | None = element(If(_IS_VIDEO, UE(2**12 - 1)))
    tile_rows_minus1: int | None = element(If(_IS_VIDEO, UE(2**12 - 1)))
    parameter_sets_size: int | None = element(If(_IS_VIDEO, UE(2**12)))
    model_id: int | None = element(
        If(
            (this.coder_id == Coder.LEARNED) | (this.quantiser == Quantiser.TRANSFORM),
            UE(MODEL_IDS - 1),
        )
    )
    context_model_id: int | None = element(
        If(this.coder_id == Coder.NATIVE_CONTEXTS, UE(MODEL_IDS - 1))
    )
    substream_count_minus1: int | None = element(
        If(
            (this.coder_id == Coder.LEARNED) | (this.coder_id == Coder.NATIVE_STATIC),
            UE(SUBSTREAMS - 1),
        )
    )
    substream_count: int = element(
        IfThenElse(
            (this.coder_id == Coder.LEARNED) | (this.coder_id == Coder.NATIVE_STATIC),
            Computed(this.substream_count_minus1 + 1),
            Computed(1),
        )
    )
    lattice_step: Floats | None = element(If(this.quantiser == Quantiser.LATTICE, F32(this.ranges)))
    lattice_offset_flag: int | None = element(If(this.quantiser == Quantiser.LATTICE, U(1)))
    lattice_offset: Floats | None = element(If(this.lattice_offset_flag == 1, F32(this.ranges)))
    alignment: int = element(AlignmentBits())
    parameter_sets: bytes | None = element(If(_IS_VIDEO, Bytes(this.parameter_sets_size)))


FEATURE_PARAMETER_SET = Structure(FeatureParameterSet, "6.4")


class FeatureParameters(Record):
    """Ranges, moments, QPs and channel order of a feature, or of a batch (6.5.2)."""

    range_min_zero_flag: int | None = element(
        If(this._params.fps.quantiser == Quantiser.UNIFORM, U(1))
    )
    range_min: Floats | None = element(
        If(this.range_min_zero_flag == 0, F32(this._params.fps.ranges))
    )
    range_max: Floats | None = element(
        If(this._params.fps.quantiser == Quantiser.UNIFORM, F32(this._params.fps.ranges))
    )
    log_exponent: int | None = element(
        If(this._params.fps.quantiser == Quantiser.LOGARITHMIC, SE(-160, 128))
    )
    log_step: Integers | None = element(
        If(
            this._params.fps.quantiser == Quantiser.LOGARITHMIC,
            Array(this._params.fps.ranges, 32),
        )
    )
    restoration_mode: Restoration | None = element(
        If(this._params.fps.restoration_enabled_flag == 1, U(2, Restoration))
    )
    restored: int = element(
        Switch(
            this.restoration_mode,
            {
                Restoration.TENSOR: Computed(1),
                Restoration.CHANNEL: Computed(this._params.fps.channels),
            },
            Computed(0),
        )
    )
    restoration_mean: Integers | None = element(If(this.restored > 0, Array(this.restored, 16)))
    restoration_deviation: Integers | None = element(
        If(this.restored > 0, Array(this.restored, 16))
    )
    qp: int | None = element(If(this._params.fps.qp_present == 1, U(6)))
    qp_eighths: int | None = element(
        If(
            (this._params.fps.coder_id == Coder.NATIVE)
            | (this._params.fps.coder_id == Coder.NATIVE_STATIC)
            | (this._params.fps.coder_id == Coder.NATIVE_CONTEXTS),
            U(3),
        )
    )
    qp_delta_bits: int = element(IfThenElse(this._params.fps.qp_present == 1, U(3), Computed(0)))
    qp_delta: Integers | None = element(
        If(this.qp_delta_bits > 0, Array(this._params.fps.channels, this.qp_delta_bits))
    )
    channel_order: ChannelOrder | None = element(
        If(
            (this._params.fps.coder_id == Coder.HEVC)
            | (this._params.fps.coder_id == Coder.VVC)
            | (this._params.fps.coder_id == Coder.AV1),
            U(2, ChannelOrder),
        )
    )
    channel_at_bits: int | None = element(If(this.channel_order == ChannelOrder.EXPLICIT, U(5)))
    channel_at: Integers | None = element(
        If(
            this.channel_order == ChannelOrder.EXPLICIT,
            Array(this._params.fps.channels, this.channel_at_bits),
        )
    )
    alignment: int = element(AlignmentBits())


FEATURE_PARAMETERS = Structure(FeatureParameters, "6.5.2")


class CodedFeature(Record):
    """One feature (6.5)."""

    fps_id: int = element(UE(FPS_IDS - 1))
    token_count_minus1: int | None = element(
        If(this._params.fps.feature_type == FeatureType.TOKENS, UE(LARGEST_TOKEN_COUNT - 1))
    )
    continuation_flag: int | None = element(
        If(this._params.fps.feature_type == FeatureType.TOKENS, U(1))
    )
    height: int = element(
        IfThenElse(
            this._params.fps.feature_type == FeatureType.TOKENS,
            Computed(this.token_count_minus1 + 1),
            Computed(this._params.fps.height),
        )
    )
    access_point_flag: int | None = element(
        If(this._params.fps.temporal_prediction_flag == 1, U(1))
    )
    parameters: FeatureParameters = element(FEATURE_PARAMETERS)
    sample_hash: bytes | None = element(
        If(this._params.fps.sample_hash_size > 0, Bytes(this._params.fps.sample_hash_size))
    )
    substream_size: list[int] | None = element(
        If(
            this._params.fps.substream_count > 1,
            Repeat(this._params.fps.substream_count - 1, Leb128()),
        )
    )
    payload: bytes = element(Rest())


CODED_FEATURE = Structure(CodedFeature, "6.5")


class CodedFeatureBatch(Record):
    """Several features that share their parameters, ranges excepted (6.6)."""

    fps_id: int = element(UE(FPS_IDS - 1))
    feature_count_minus1: int = element(UE(2**16 - 1))
    feature_count: int = element(Computed(this.feature_count_minus1 + 1))
    joint_flag: int | None = element(If(this._params.fps.coder_id == Coder.LEARNED, U(1)))
    payloads_apart: int = element(IfThenElse(this.joint_flag == 1, Computed(0), Computed(1)))
    payload_size_base: int | None = element(If(this.payloads_apart == 1, UE(2**32 - 2)))
    range_codes_flag: int = element(U(1))
    payload_size_bits: int = element(IfThenElse(this.payloads_apart == 1, U(4), Computed(0)))
    payload_size_delta: Integers | None = element(
        If(this.payload_size_bits > 0, Array(this.feature_count, this.payload_size_bits))
    )
    parameters: FeatureParameters = element(FEATURE_PARAMETERS)
    ranges: int = element(Computed(this.feature_count * this._params.fps.ranges))
    low_codes: int = element(
        IfThenElse(
            this._params.fps.quantiser == Quantiser.LOGARITHMIC,
            Computed(this.feature_count),
            Computed(this.ranges),
        )
    )
    code_shift: int | None = element(If(this.range_codes_flag == 1, U(5)))
    low_code_bits: int = element(IfThenElse(this.range_codes_flag == 1, U(5), Computed(0)))
    high_code_bits: int = element(IfThenElse(this.range_codes_flag == 1, U(5), Computed(0)))
    low_code: Integers | None = element(
        If(this.low_code_bits > 0, Array(this.low_codes, this.low_code_bits))
    )
    high_code: Integers | None = element(
        If(this.high_code_bits > 0, Array(this.ranges, this.high_code_bits))
    )
    alignment: int = element(AlignmentBits())
    sample_hashes: bytes | None = element(
        If(
            this._params.fps.sample_hash_size > 0,
            Bytes(this.feature_count * this._params.fps.sample_hash_size),
        )
    )
    payloads: bytes = element(Rest())


CODED_FEATURE_BATCH = Structure(CodedFeatureBatch, "6.6")


class MetadataEntry(Record):
    """One text and its key (6.7.2)."""

    key_size: int = element(Leb128())
    key: bytes = element(Bytes(this.key_size))
    value_size: int = element(Leb128())
    value: bytes = element(Bytes(this.value_size))


METADATA_ENTRY = Structure(MetadataEntry, "6.7.2")


class Metadata(Record):
    """Texts about the stream (6.7)."""

    entry_count: int = element(Leb128(2**12))
    entries: list[MetadataEntry] = element(Repeat(this.entry_count, METADATA_ENTRY))


METADATA = Structure(Metadata, "6.7")


class Hash(Record):
    """Hash of the samples, or of the reconstruction, of the preceding coded unit (6.8)."""

    hash_target: HashTarget = element(U(8, HashTarget))
    sha256: bytes = element(Bytes(32))


HASH = Structure(Hash, "6.8")


class Index(Record):
    """Positions of coded units, for random access (6.9)."""

    entry_count: int = element(Leb128())
    parameter_set_count: int = element(Leb128())
    parameter_set_offset: list[int] = element(Repeat(this.parameter_set_count, Leb128()))
    distance_bits: int = element(U(6))
    features_bits: int = element(U(5))
    all_access_points_flag: int = element(U(1))
    reserved_ignored_4bits: int = element(U(4))
    unit_distance: Integers = element(Array(this.entry_count, this.distance_bits))
    features_minus1: Integers | None = element(
        If(this.features_bits > 0, Array(this.entry_count, this.features_bits))
    )
    access_point: Integers | None = element(
        If(this.all_access_points_flag == 0, Array(this.entry_count, 1))
    )
    alignment: int = element(AlignmentBits())


INDEX = Structure(Index, "6.9")


class End(Record):
    """The last unit (6.10)."""

    index_offset: int | None = element(If(this._params.unit_size > 0, U(64)))
    feature_count: int | None = element(If(this._params.unit_size > 0, U(64)))


END = Structure(End, "6.10")


class ModelUnit(Record):
    """The elements that units of models begin with: what follows is the model, if external_flag is 0."""

    model_id: int = element(UE(MODEL_IDS - 1))
    external_flag: int = element(U(1))
    alignment: int = element(AlignmentBits())
    sha256: bytes | None = element(If(this.external_flag == 1, Bytes(32)))


class EntropyTables(Record):
    """Tables of an entropy model, and their contexts (6.12.2)."""

    context_count_minus1: int = element(UE(2**16 - 1))
    context_count: int = element(Computed(this.context_count_minus1 + 1))
    table_count_minus1: int = element(UE(2**12 - 1))
    table_count: int = element(Computed(this.table_count_minus1 + 1))
    level_count: int = element(UE(2**18 - 1))
    level_step: int = element(U(3))
    alignment: int = element(AlignmentBits())
    coded_tables: bytes = element(Rest())


ENTROPY_TABLES = Structure(EntropyTables, "6.12.2")


class EntropyModelUnit(ModelUnit):
    """Distributions of latents, or the name of a file that has them (6.12)."""

    tables: EntropyTables | None = element(If(this.external_flag == 0, ENTROPY_TABLES))


ENTROPY_MODEL_UNIT = Structure(EntropyModelUnit, "6.12")


class NetworkLayer(Record):
    """Shape and widths of a layer of an integer network (6.13.4)."""

    channels_minus1: int = element(UE(LARGEST_WIDTH - 1))
    channels: int = element(Computed(this.channels_minus1 + 1))
    stride_minus1: int = element(U(2))
    kernel_minus1: int = element(U(3))
    padding: int = element(U(3))
    weight_bits_minus1: int = element(U(4))
    activation: Activation = element(U(2, Activation))
    output_bits_minus1: int = element(U(4))
    shift_minus1: int = element(U(5))


NETWORK_LAYER = Structure(NetworkLayer, "6.13.4")


class Network(Record):
    """An integer network: its layers, and their numbers (6.13.3)."""

    input_channels_minus1: int = element(UE(LARGEST_WIDTH - 1))
    input_channels: int = element(Computed(this.input_channels_minus1 + 1))
    input_bits_minus1: int = element(U(4))
    layer_count_minus1: int = element(U(5))
    layer_count: int = element(Computed(this.layer_count_minus1 + 1))
    layers: list[NetworkLayer] = element(Repeat(this.layer_count, NETWORK_LAYER))
    coded_size: int = element(UE(2**28 - 1))
    alignment: int = element(AlignmentBits())
    coded_weights: bytes = element(Bytes(this.coded_size))


NETWORK = Structure(Network, "6.13.3")


class Hyperprior(Record):
    """A model of latents whose distributions a network gives (6.13.2)."""

    mean_flag: int = element(U(1))
    mean_fraction: int | None = element(If(this.mean_flag == 1, U(3)))
    synthesis_flag: int = element(U(1))
    scale_threshold: Integers = element(Array(SCALES - 1, 16))
    alignment: int = element(AlignmentBits())
    hyper_synthesis: Network = element(NETWORK)
    synthesis: Network | None = element(If(this.synthesis_flag == 1, NETWORK))
    tables: EntropyTables = element(ENTROPY_TABLES)


HYPERPRIOR = Structure(Hyperprior, "6.13.2")


class NetworkModelUnit(ModelUnit):
    """A model of latents with networks, or the name of a file that has it (6.13)."""

    hyperprior: Hyperprior | None = element(If(this.external_flag == 0, HYPERPRIOR))


NETWORK_MODEL_UNIT = Structure(NetworkModelUnit, "6.13")


class CodedChannelTransform(Record):
    """A transform over the channels of features (6.14.2)."""

    group_count_minus1: int = element(UE(LARGEST_WIDTH - 1))
    group_count: int = element(Computed(this.group_count_minus1 + 1))
    group_channels_minus1: int = element(UE(LARGEST_WIDTH - 1))
    group_channels: int = element(Computed(this.group_channels_minus1 + 1))
    channels: int = element(Computed(this.group_count * this.group_channels))
    weight_bits_minus1: int = element(U(4))
    coefficient_shift: Integers = element(Array(this.channels, 4))
    channel_scale: Floats = element(F32(this.channels))
    channel_offset: Floats = element(F32(this.channels))
    coded_size: int = element(UE(2**28 - 1))
    alignment: int = element(AlignmentBits())
    coded_weights: bytes = element(Bytes(this.coded_size))


CHANNEL_TRANSFORM = Structure(CodedChannelTransform, "6.14.2")


class ChannelTransformUnit(ModelUnit):
    """A transform over channels, or the name of a file that has it (6.14)."""

    transform: CodedChannelTransform | None = element(
        If(this.external_flag == 0, CHANNEL_TRANSFORM)
    )


CHANNEL_TRANSFORM_UNIT = Structure(ChannelTransformUnit, "6.14")


class CodedContextModel(Record):
    """Initial states and weights of the native coder, as differences from those of the tables (6.17.2)."""

    weights_change_flag: Integers = element(Array(len(FAMILIES), 1))
    states_change_flag: Integers = element(Array(len(FAMILIES), 1))
    weight_shift: int = element(U(4))
    state_shift: int = element(U(4))
    state_count: int = element(U(7))
    alignment: int = element(AlignmentBits())
    coded_changes: bytes = element(Rest())


CODED_CONTEXT_MODEL = Structure(CodedContextModel, "6.17.2")


class ContextModelUnit(ModelUnit):
    """Initial states and weights of the native coder, or the name of a file that has them (6.17)."""

    contexts: CodedContextModel | None = element(If(this.external_flag == 0, CODED_CONTEXT_MODEL))


CONTEXT_MODEL_UNIT = Structure(ContextModelUnit, "6.17")

UNIT_STRUCTURES: dict[int, Structure[Any]] = {
    UnitType.FEATURE_PARAMETER_SET: FEATURE_PARAMETER_SET,
    UnitType.CODED_FEATURE: CODED_FEATURE,
    UnitType.CODED_FEATURE_BATCH: CODED_FEATURE_BATCH,
    UnitType.ENTROPY_MODEL: ENTROPY_MODEL_UNIT,
    UnitType.NETWORK_MODEL: NETWORK_MODEL_UNIT,
    UnitType.CHANNEL_TRANSFORM: CHANNEL_TRANSFORM_UNIT,
    UnitType.CONTEXT_MODEL: CONTEXT_MODEL_UNIT,
    UnitType.METADATA: METADATA,
    UnitType.HASH: HASH,
    UnitType.INDEX: INDEX,
    UnitType.END: END,
}
"""Structure in the payload of a unit, by unit_type."""
