"""The structures of clauses 6.4 to 6.6: feature parameter sets, coded features and batches."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from .bits import BitReader, Integers
from .codes import (
    BYTE_CODERS,
    VIDEO_CODERS,
    ChannelOrder,
    Coder,
    FeatureType,
    Quantiser,
    RestorationMode,
    SourceType,
    code_point,
)

WIDTHS = {
    SourceType.FLOAT32: 32,
    SourceType.FLOAT16: 16,
    SourceType.BFLOAT16: 16,
    SourceType.INT16: 16,
    SourceType.INT8: 8,
    SourceType.UINT8: 8,
    SourceType.FLOAT8_E4M3FN: 8,
    SourceType.FLOAT8_E5M2: 8,
}
HASH_SIZES = (0, 8, 16, 32)


@dataclass(frozen=True, eq=False)
class FeatureParameterSet:
    """A feature parameter set (6.4); elements that are not present are 0."""

    fps_id: int
    feature_type: FeatureType
    source_type: SourceType
    channels: int
    height: int  # of tokens: the number of them, which each coded feature has (7.5.1)
    width: int
    head_count: int
    quantiser: Quantiser
    bits: int
    range_per_channel_flag: bool
    restoration_enabled_flag: bool
    log_signed_flag: bool
    sample_hash_size: int
    coder: Coder
    shuffle_flag: bool
    hevc_lossless_flag: bool
    temporal_prediction_flag: bool
    tile_columns: int
    tile_rows: int
    parameter_sets: bytes
    model_id: int
    context_model_id: int | None
    substream_count: int
    lattice_step: npt.NDArray[np.float32]
    lattice_offset: npt.NDArray[np.float32]  # as many entries as lattice_step, or one

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H and W."""
        return self.channels, self.height, self.width

    @property
    def elements(self) -> int:
        """C * H * W."""
        return self.channels * self.height * self.width

    @property
    def ranges(self) -> int:
        """Number of ranges, of logarithmic steps, or of steps of the lattice."""
        return self.channels if self.range_per_channel_flag else 1

    @property
    def has_model(self) -> bool:
        """True where a model is named: of latents, or of channels."""
        return self.coder == Coder.LEARNED or self.quantiser == Quantiser.TRANSFORM

    @property
    def qp_present(self) -> bool:
        """True where feature_parameters() has a QP (7.4)."""
        return self.coder in (Coder.NATIVE, Coder.NATIVE_STATIC, Coder.VVC, Coder.AV1) or (
            self.coder == Coder.HEVC and not self.hevc_lossless_flag
        )


@dataclass(frozen=True, eq=False)
class Parameters:
    """feature_parameters() (6.5.2), with inferred values of elements that are not present."""

    range_min: npt.NDArray[np.float32]
    range_max: npt.NDArray[np.float32]
    log_exponent: int
    log_step: Integers
    restoration_mode: RestorationMode
    restoration_mean: Integers
    restoration_deviation: Integers
    qps: Integers  # QP[c]
    qp: int
    qp_eighths: int
    channel_order: ChannelOrder
    channel_at: Integers


@dataclass(frozen=True, eq=False)
class Batch:
    """The elements of a coded feature batch (6.6) that its features do not share."""

    parameters: Parameters
    feature_count: int
    joint_flag: bool
    payload_sizes: list[int]  # none where the features have one payload
    range_codes_flag: bool
    code_shift: int
    low_code_bits: int
    high_code_bits: int
    low_code: Integers  # features x ranges, or features x 1; no entries where it is not present
    high_code: Integers
    sample_hashes: list[bytes]
    payloads: bytes

    @property
    def payload_of_each(self) -> list[bytes]:
        """The payload of each feature; where the features have one payload, this one for each."""
        if self.joint_flag:
            return [self.payloads] * self.feature_count
        ends = accumulate(self.payload_sizes)
        return [
            self.payloads[end - size : end]
            for size, end in zip(self.payload_sizes, ends, strict=True)
        ]


def parse_parameter_set(payload: bytes) -> FeatureParameterSet:
    """Parse feature_parameter_set() (6.4)."""
    read = BitReader(payload)
    fps_id = read.ue(255)
    feature_type = code_point(FeatureType, read.u(3))
    source_type = code_point(SourceType, read.u(3))
    channels = read.ue((1 << 24) - 1) + 1
    height = width = 1
    tokens = feature_type == FeatureType.TOKENS
    if feature_type in (FeatureType.CONV, FeatureType.POOL):
        height = read.ue((1 << 16) - 1) + 1
        width = read.ue((1 << 16) - 1) + 1
    head_count = read.ue(1 << 12) if tokens else 0
    quantiser = code_point(Quantiser, read.u(3))
    quantised = quantiser != Quantiser.NONE
    has_ranges = quantised and quantiser != Quantiser.TRANSFORM
    bits = read.u(4) + 1 if has_ranges else 18 if quantised else WIDTHS[source_type]
    range_per_channel_flag = has_ranges and read.flag()
    restoration_enabled_flag = quantiser == Quantiser.UNIFORM and read.flag()
    log_signed_flag = quantiser == Quantiser.LOGARITHMIC and read.flag()
    sample_hash_size = HASH_SIZES[read.u(2)]
    coder = code_point(Coder, read.u(4))
    has_contexts = coder == Coder.NATIVE_CONTEXTS
    coder = Coder.NATIVE if has_contexts else coder
    shuffle_flag = coder in BYTE_CODERS and coder != Coder.RAW and read.flag()
    video = coder in VIDEO_CODERS
    hevc_lossless_flag = coder == Coder.HEVC and read.flag()
    predictable = coder in (Coder.HEVC, Coder.NATIVE) and not tokens
    temporal_prediction_flag = predictable and read.flag()
    columns = read.ue(4095) + 1 if video else 1
    rows = read.ue(4095) + 1 if video else 1
    size = read.ue(4096) if video else 0
    has_model = coder == Coder.LEARNED or quantiser == Quantiser.TRANSFORM
    model_id = read.ue(255) if has_model else 0
    context_model_id = read.ue(255) if has_contexts else None
    has_substreams = coder in (Coder.LEARNED, Coder.NATIVE_STATIC)
    substream_count = read.ue(63) + 1 if has_substreams else 1
    ranges = channels if range_per_channel_flag else 1
    lattice_step = lattice_offset = np.zeros(1, np.float32)
    if quantiser == Quantiser.LATTICE:
        lattice_step = read.floats(ranges)
        lattice_offset_flag = read.flag()
        if lattice_offset_flag:
            lattice_offset = read.floats(ranges)
    read.align()
    parameter_sets = read.raw(size)
    read.finish()
    return FeatureParameterSet(
        fps_id, feature_type, source_type, channels, height, width, head_count, quantiser, bits,
        range_per_channel_flag, restoration_enabled_flag, log_signed_flag, sample_hash_size, coder,
        shuffle_flag, hevc_lossless_flag, temporal_prediction_flag, columns, rows, parameter_sets,
        model_id, context_model_id, substream_count, lattice_step, lattice_offset,
    )  # fmt: skip


def parse_parameters(read: BitReader, fps: FeatureParameterSet) -> Parameters:
    """Parse feature_parameters() (6.5.2)."""
    range_min = range_max = np.zeros(fps.ranges, np.float32)
    log_exponent, log_step = 0, np.zeros(fps.ranges, np.int64)
    if fps.quantiser == Quantiser.UNIFORM:
        range_min_zero_flag = read.flag()
        if not range_min_zero_flag:
            range_min = read.floats(fps.ranges)
        range_max = read.floats(fps.ranges)
    if fps.quantiser == Quantiser.LOGARITHMIC:
        log_exponent = read.se(-160, 128)
        log_step = read.array(fps.ranges, 32)
    mode = RestorationMode.OFF
    if fps.restoration_enabled_flag:
        mode = code_point(RestorationMode, read.u(2))
    restored = {RestorationMode.TENSOR: 1, RestorationMode.CHANNEL: fps.channels}.get(mode, 0)
    mean = read.array(restored, 16)
    deviation = read.array(restored, 16)
    qp = read.u(6) if fps.qp_present else 0
    qp_eighths = read.u(3) if fps.coder in (Coder.NATIVE, Coder.NATIVE_STATIC) else 0
    qp_delta_bits = read.u(3) if fps.qp_present else 0
    qps = np.full(fps.channels, qp, np.int64)
    if qp_delta_bits:
        qps -= read.array(fps.channels, qp_delta_bits)
    order = ChannelOrder.IDENTITY
    if fps.coder in VIDEO_CODERS:
        order = code_point(ChannelOrder, read.u(2))
    channel_at = np.arange(fps.channels, dtype=np.int64)
    if order == ChannelOrder.EXPLICIT:
        channel_at = read.array(fps.channels, read.u(5))
    read.align()
    return Parameters(
        range_min, range_max, log_exponent, log_step, mode, mean, deviation, qps, qp, qp_eighths,
        order, channel_at,
    )  # fmt: skip


def parse_batch(read: BitReader, fps: FeatureParameterSet) -> Batch:
    """Parse coded_feature_batch() (6.6) from the element that follows fps_id."""
    count = read.ue((1 << 16) - 1) + 1
    joint_flag = fps.coder == Coder.LEARNED and read.flag()
    payload_size_base = 0 if joint_flag else read.ue((1 << 32) - 2)
    range_codes_flag = read.flag()
    payload_size_bits = 0 if joint_flag else read.u(4)
    sizes = [] if joint_flag else [payload_size_base] * count
    if payload_size_bits:
        sizes = [payload_size_base + int(delta) for delta in read.array(count, payload_size_bits)]
    parameters = parse_parameters(read, fps)
    code_shift = read.u(5) if range_codes_flag else 0
    low_code_bits = read.u(5) if range_codes_flag else 0
    high_code_bits = read.u(5) if range_codes_flag else 0
    lows = 1 if fps.quantiser == Quantiser.LOGARITHMIC else fps.ranges
    low_code = read.array(count * lows if low_code_bits else 0, low_code_bits)
    high_code = read.array(count * fps.ranges if high_code_bits else 0, high_code_bits)
    read.align()
    hashes = [read.raw(fps.sample_hash_size) for _ in range(count)]
    return Batch(
        parameters, count, joint_flag, sizes,
        range_codes_flag, code_shift, low_code_bits, high_code_bits,
        low_code.reshape(-1, lows), high_code.reshape(-1, fps.ranges), hashes, read.rest(),
    )  # fmt: skip
