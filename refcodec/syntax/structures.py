"""The syntax structures of a DFC stream (clause 6), in the order of the specification.

Field order, width and condition live here and nowhere else. Names without a descriptor (``Computed``)
are derived variables: they occupy no bits. ``this._params.fps`` is the feature parameter set that a
coded feature refers to; ``this._`` is the structure around.
"""

from __future__ import annotations

from construct import Array as Repeat
from construct import Computed, If, IfThenElse, Switch, this

from refcodec.syntax.codes import (
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
    Leb128,
    Rest,
    Structure,
    U,
)

__all__ = [
    "CODED_FEATURE",
    "CODED_FEATURE_BATCH",
    "END",
    "FEATURE_PARAMETERS",
    "FEATURE_PARAMETER_SET",
    "HASH",
    "INDEX",
    "METADATA",
    "METADATA_ENTRY",
    "SIGNATURE",
    "STREAM_HEADER",
    "STREAM_HEADER_SIZE",
    "UNIT_HEADER",
    "UNIT_STRUCTURES",
]

SIGNATURE = b"\x89DFC"
"""Its first byte exposes transfers that drop the eighth bit, as in PNG."""

STREAM_HEADER_SIZE = 9

STREAM_HEADER = Structure(
    "stream_header",
    "6.2",
    "signature" / Bytes(4),
    "version_major" / U(4),
    "version_minor" / U(4),
    "profile_idc" / U(8, Profile),
    "level_idc" / U(4),
    "reserved_ignored_2bits" / U(2),
    "reserved_zero_2bits" / U(2),
    "header_crc" / U(16),
)

UNIT_HEADER = Structure(
    "unit_header",
    "6.3",
    "skippable_flag" / U(1),
    "unit_type" / U(7),
    "unit_size" / Leb128(),
)

FEATURE_PARAMETER_SET = Structure(
    "feature_parameter_set",
    "6.4",
    "fps_id" / UE(255),
    "feature_type" / U(3, FeatureType),
    "source_type" / U(3, SourceType),
    "channels_minus1" / UE(2**24 - 1),
    "height_minus1" / If(this.feature_type != FeatureType.FC, UE(2**16 - 1)),
    "width_minus1" / If(this.feature_type != FeatureType.FC, UE(2**16 - 1)),
    "channels" / Computed(this.channels_minus1 + 1),
    "height"
    / IfThenElse(
        this.feature_type == FeatureType.FC, Computed(1), Computed(this.height_minus1 + 1)
    ),
    "width"
    / IfThenElse(this.feature_type == FeatureType.FC, Computed(1), Computed(this.width_minus1 + 1)),
    "quantiser" / U(3, Quantiser),
    "bits_minus1" / If(this.quantiser != Quantiser.NONE, U(4)),
    "bits"
    / IfThenElse(
        this.quantiser != Quantiser.NONE,
        Computed(this.bits_minus1 + 1),
        IfThenElse(this.source_type == SourceType.FLOAT32, Computed(32), Computed(16)),
    ),
    "range_per_channel_flag" / If(this.quantiser != Quantiser.NONE, U(1)),
    "restoration_enabled_flag" / If(this.quantiser == Quantiser.UNIFORM, U(1)),
    "log_signed_flag" / If(this.quantiser == Quantiser.LOGARITHMIC, U(1)),
    "ranges" / IfThenElse(this.range_per_channel_flag == 1, Computed(this.channels), Computed(1)),
    "sample_hash_size_code" / U(2),
    "sample_hash_size"
    / Switch(
        this.sample_hash_size_code, {code: Computed(4 << code) for code in (1, 2, 3)}, Computed(0)
    ),
    "coder_id" / U(4, Coder),
    "shuffle_flag" / If((this.coder_id >= Coder.ZLIB) & (this.coder_id <= Coder.LZMA), U(1)),
    "hevc_lossless_flag" / If(this.coder_id == Coder.HEVC, U(1)),
    "qp_present"
    / IfThenElse(
        this.coder_id == Coder.NATIVE, Computed(1), Computed(this.hevc_lossless_flag == 0)
    ),
    "temporal_prediction_flag"
    / If((this.coder_id == Coder.HEVC) | (this.coder_id == Coder.NATIVE), U(1)),
    "tile_columns_minus1" / If(this.coder_id == Coder.HEVC, UE(2**12 - 1)),
    "tile_rows_minus1" / If(this.coder_id == Coder.HEVC, UE(2**12 - 1)),
    "parameter_sets_size" / If(this.coder_id == Coder.HEVC, UE(2**12)),
    "alignment" / AlignmentBits(),
    "parameter_sets" / If(this.coder_id == Coder.HEVC, Bytes(this.parameter_sets_size)),
)

FEATURE_PARAMETERS = Structure(
    "feature_parameters",
    "6.5.2",
    "range_min_zero_flag" / If(this._params.fps.quantiser == Quantiser.UNIFORM, U(1)),
    "range_min" / If(this.range_min_zero_flag == 0, F32(this._params.fps.ranges)),
    "range_max" / If(this._params.fps.quantiser == Quantiser.UNIFORM, F32(this._params.fps.ranges)),
    "log_exponent" / If(this._params.fps.quantiser == Quantiser.LOGARITHMIC, SE(-160, 128)),
    "log_step"
    / If(
        this._params.fps.quantiser == Quantiser.LOGARITHMIC,
        Array(this._params.fps.ranges, 32),
    ),
    "restoration_mode" / If(this._params.fps.restoration_enabled_flag == 1, U(2, Restoration)),
    "restored"
    / Switch(
        this.restoration_mode,
        {
            Restoration.TENSOR: Computed(1),
            Restoration.CHANNEL: Computed(this._params.fps.channels),
        },
        Computed(0),
    ),
    "restoration_mean" / If(this.restored > 0, Array(this.restored, 16)),
    "restoration_deviation" / If(this.restored > 0, Array(this.restored, 16)),
    "qp" / If(this._params.fps.qp_present == 1, U(6)),
    "qp_eighths" / If(this._params.fps.coder_id == Coder.NATIVE, U(3)),
    "qp_delta_bits" / IfThenElse(this._params.fps.qp_present == 1, U(3), Computed(0)),
    "qp_delta" / If(this.qp_delta_bits > 0, Array(this._params.fps.channels, this.qp_delta_bits)),
    "channel_order" / If(this._params.fps.coder_id == Coder.HEVC, U(2, ChannelOrder)),
    "channel_at_bits" / If(this.channel_order == ChannelOrder.EXPLICIT, U(5)),
    "channel_at"
    / If(
        this.channel_order == ChannelOrder.EXPLICIT,
        Array(this._params.fps.channels, this.channel_at_bits),
    ),
    "alignment" / AlignmentBits(),
)

CODED_FEATURE = Structure(
    "coded_feature",
    "6.5",
    "fps_id" / UE(255),
    "access_point_flag" / If(this._params.fps.temporal_prediction_flag == 1, U(1)),
    "parameters" / FEATURE_PARAMETERS,
    "sample_hash"
    / If(this._params.fps.sample_hash_size > 0, Bytes(this._params.fps.sample_hash_size)),
    "payload" / Rest(),
)

CODED_FEATURE_BATCH = Structure(
    "coded_feature_batch",
    "6.6",
    "fps_id" / UE(255),
    "feature_count_minus1" / UE(2**16 - 1),
    "feature_count" / Computed(this.feature_count_minus1 + 1),
    "payload_size_base" / UE(2**32 - 2),
    "payload_size_bits" / U(5),
    "payload_size_delta"
    / If(this.payload_size_bits > 0, Array(this.feature_count, this.payload_size_bits)),
    "parameters" / FEATURE_PARAMETERS,
    "sample_hashes"
    / If(
        this._params.fps.sample_hash_size > 0,
        Bytes(this.feature_count * this._params.fps.sample_hash_size),
    ),
    "payloads" / Rest(),
)

METADATA_ENTRY = Structure(
    "metadata_entry",
    "6.7.2",
    "key_size" / Leb128(),
    "key" / Bytes(this.key_size),
    "value_size" / Leb128(),
    "value" / Bytes(this.value_size),
)

METADATA = Structure(
    "metadata",
    "6.7",
    "entry_count" / Leb128(2**12),
    "entries" / Repeat(this.entry_count, METADATA_ENTRY),
)

HASH = Structure(
    "hash",
    "6.8",
    "hash_target" / U(8, HashTarget),
    "sha256" / Bytes(32),
)

INDEX = Structure(
    "index",
    "6.9",
    "entry_count" / Leb128(),
    "parameter_set_count" / Leb128(2**8),
    "parameter_set_offset" / Repeat(this.parameter_set_count, Leb128()),
    "distance_bits" / U(6),
    "features_bits" / U(5),
    "all_access_points_flag" / U(1),
    "reserved_ignored_4bits" / U(4),
    "unit_distance" / Array(this.entry_count, this.distance_bits),
    "features_minus1" / If(this.features_bits > 0, Array(this.entry_count, this.features_bits)),
    "access_point" / If(this.all_access_points_flag == 0, Array(this.entry_count, 1)),
    "alignment" / AlignmentBits(),
)

END = Structure(
    "end",
    "6.10",
    "index_offset" / If(this._params.unit_size > 0, U(64)),
    "feature_count" / If(this._params.unit_size > 0, U(64)),
)

UNIT_STRUCTURES = {
    UnitType.FEATURE_PARAMETER_SET: FEATURE_PARAMETER_SET,
    UnitType.CODED_FEATURE: CODED_FEATURE,
    UnitType.CODED_FEATURE_BATCH: CODED_FEATURE_BATCH,
    UnitType.METADATA: METADATA,
    UnitType.HASH: HASH,
    UnitType.INDEX: INDEX,
    UnitType.END: END,
}
"""What the payload of a unit holds, by unit_type; the kept types have no structure yet."""
