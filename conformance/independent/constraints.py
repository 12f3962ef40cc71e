"""Constraints on parameter sets and coded units: clause 9.2, Annex A, and the limits of the level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from .bits import Integers
from .codes import (
    CODERS,
    INTEGER_TYPES,
    VIDEO_CODERS,
    ChannelOrder,
    Coder,
    FeatureType,
    Level,
    Profile,
    Quantiser,
)
from .frames import frame_size
from .refusal import Refusal, require
from .syntax import Batch, FeatureParameterSet, Parameters

LARGEST_BATCH = 65536  # bytes of a unit, and elements of all features


def constrain(holds: bool | np.bool_, clause: str, found: str) -> None:
    """Refuse the stream for a constraint that does not hold."""
    require(bool(holds), "constraint", clause, found)


def check_parameter_set(fps: FeatureParameterSet, profile: Profile) -> None:
    """Check the values of a feature parameter set (9.2, A.2, 9.3)."""
    constrain(fps.coder in CODERS[profile], "RA.2-1", f"{fps.coder!r} in a stream of {profile!r}")
    if fps.feature_type == FeatureType.TOKENS:
        equal = fps.head_count == 0 or fps.channels % fps.head_count == 0
        constrain(equal, "R9.2-41", f"{fps.head_count} heads of {fps.channels} channels")
        others = fps.coder not in (*VIDEO_CODERS, Coder.LEARNED)
        constrain(others, "R9.2-42", f"tokens with {fps.coder!r}")
    none = fps.quantiser == Quantiser.NONE
    constrain(not (fps.log_signed_flag and fps.bits == 1), "R9.2-2", "signed samples of one bit")
    if fps.source_type in INTEGER_TYPES:
        constrain(none, "R9.2-19", "integer features have a quantiser")
        constrain(fps.coder != Coder.NATIVE_LOSSLESS, "R9.2-20", "integers in a coder of floats")
    if fps.coder in VIDEO_CODERS:
        most = 10 if fps.coder == Coder.VVC else 12
        constrain(not none, "R9.2-3", "video without a quantiser")
        constrain(fps.bits <= most, "R9.2-4", f"video samples of {fps.bits} bits")
        full = fps.tile_columns <= fps.channels
        full = full and (fps.tile_rows - 1) * fps.tile_columns < fps.channels
        constrain(full, "R9.2-5", "the grid of tiles has an empty column or row")
        constrain(fps.sample_hash_size > 0, "R9.3-1", "video without a sample hash")
        constrain(len(fps.parameter_sets) > 0, "R9.3-2", "video without parameter sets")
    if fps.coder in (Coder.NATIVE, Coder.NATIVE_STATIC):
        clause = "R9.2-15" if fps.coder == Coder.NATIVE else "R9.2-31"
        constrain(not none, clause, "the native coder without a quantiser")
        constrain(not fps.restoration_enabled_flag, "R9.2-16", "restoration with the native coder")
    if fps.coder == Coder.NATIVE_LOSSLESS:
        constrain(none, "R9.2-17", "the native lossless coder with a quantiser")
    if fps.coder not in (Coder.NATIVE, Coder.NATIVE_STATIC):
        other = fps.quantiser != Quantiser.TRANSFORM
        constrain(other, "R9.2-32", f"coefficients of a transform with {fps.coder!r}")
    lattice = fps.quantiser == Quantiser.LATTICE
    if fps.coder == Coder.LEARNED:
        latents = lattice or (none and fps.source_type in INTEGER_TYPES)
        constrain(latents, "R9.2-24", "the learned coder without latents")
    else:
        constrain(not lattice, "R9.2-25", f"the quantiser of latents with {fps.coder!r}")
    if fps.coder in (Coder.LEARNED, Coder.NATIVE_STATIC):
        within = fps.substream_count <= fps.channels
        constrain(within, "R9.2-28", f"{fps.substream_count} substreams of {fps.channels} channels")
    if lattice:
        steps, offsets = fps.lattice_step, fps.lattice_offset
        positive = np.isfinite(steps).all() and (steps > 0).all()
        constrain(positive, "R9.2-26", "a step of the lattice is not finite, or not above 0")
        constrain(np.isfinite(offsets).all(), "R9.2-27", "an offset of the lattice is not finite")


def check_parameters(fps: FeatureParameterSet, parameters: Parameters) -> None:
    """Check the values of feature_parameters() (9.2)."""
    low, high = parameters.range_min, parameters.range_max
    finite = np.isfinite(low).all() and np.isfinite(high).all()
    constrain(finite, "R9.2-6", "a bound of a range is not finite")
    constrain((low <= high).all(), "R9.2-7", "a range ends before it begins")
    if fps.quantiser == Quantiser.LOGARITHMIC:
        largest = (1 << (fps.bits - fps.log_signed_flag)) - 1
        constrain((parameters.log_step >= 1).all(), "R9.2-8", "a log_step is 0")
        within = int(parameters.log_step.max()) * largest <= 130 << 24
        constrain(within, "R9.2-8", "a log_step is too large")
    most = 51 if fps.coder in (Coder.HEVC, Coder.AV1) else 63
    constrain(parameters.qp <= most, "R9.2-9", f"qp exceeds {most}")
    constrain(parameters.qps.min() >= 0, "R9.2-9", "a QP is negative")
    if parameters.channel_order == ChannelOrder.EXPLICIT:
        every = np.array_equal(np.sort(parameters.channel_at), np.arange(fps.channels))
        constrain(every, "R9.2-10", "channel_at is no permutation")


def check_batch(fps: FeatureParameterSet, batch: Batch, unit_size: int) -> None:
    """Check the values of a coded feature batch (9.2), but for the ranges of its features."""
    constrain(fps.coder not in VIDEO_CODERS, "R9.2-11", "a batch of video")
    constrain(fps.feature_type != FeatureType.TOKENS, "R9.2-43", "a batch of tokens")
    constrain(not fps.temporal_prediction_flag, "R9.2-18", "a batch of predicted features")
    constrain(fps.substream_count == 1, "R9.2-29", "a batch of features of several substreams")
    constrain(unit_size <= LARGEST_BATCH, "R9.2-12", f"a batch of {unit_size} bytes")
    elements = batch.feature_count * fps.elements
    constrain(elements <= LARGEST_BATCH, "R9.2-14", f"a batch of {elements} elements")
    without = (Quantiser.NONE, Quantiser.LATTICE, Quantiser.TRANSFORM)
    coded = batch.range_codes_flag and fps.quantiser in without
    constrain(not coded, "R9.2-22", "codes of ranges without ranges")
    sums = batch.joint_flag or sum(batch.payload_sizes) == len(batch.payloads)
    constrain(sums, "R9.2-13", "the sizes of payloads do not add up")


def check_substreams(sizes: Sequence[int], payload: bytes) -> None:
    """Check the sizes of the substreams of a coded feature but the last (9.2)."""
    within = sum(sizes) <= len(payload)
    constrain(within, "R9.2-30", f"substreams of {sum(sizes)} bytes in {len(payload)}")


def check_contexts(fps: FeatureParameterSet, contexts: int) -> None:
    """Check the number of the contexts of the entropy model of a parameter set (R9.7-3)."""
    fits = contexts in (1, fps.channels)
    constrain(fits, "R9.7-3", f"{contexts} contexts for {fps.channels} channels")


def check_channels(fps: FeatureParameterSet, channels: int) -> None:
    """Check the number of channels of the transform of a parameter set (R9.9-4)."""
    fits = channels == fps.channels
    constrain(fits, "R9.9-4", f"a transform of {channels} channels for {fps.channels}")


def check_own_ranges(low: Integers, high: Integers) -> None:
    """Check the ranks of the ranges of the features of a batch (R9.2-23)."""
    constrain((low <= high).all(), "R9.2-23", "a range of a batch ends before it begins")


def check_own_steps(exponents: Integers, steps: Integers) -> None:
    """Check the logarithmic steps of the features of a batch (R9.2-21)."""
    constrain((exponents <= 128).all(), "R9.2-21", "a log_exponent of a batch exceeds 128")
    constrain((steps >= 1).all(), "R9.2-21", "a log_step of a batch is less than 1")


def exceed(found: str) -> NoReturn:
    """Refuse a stream that exceeds a limit of its level."""
    raise Refusal("unsupported", "RA.3-1", found)


def check_feature_limits(fps: FeatureParameterSet, level: Level) -> None:
    """Check the sizes of a feature (RA.3-1), before memory is reserved for it (RA.3-2)."""
    if fps.elements > level.max_elements or fps.channels > level.max_channels:
        exceed(f"a feature has {fps.elements} elements in {fps.channels} channels")
    if fps.coder in VIDEO_CODERS and max(frame_size(fps)) > level.max_frame_side:
        exceed("frames are too wide or too high")


def check_frame_limit(fps: FeatureParameterSet, frames: int, level: Level) -> None:
    """Check the samples of the frames of a feature (RA.3-1)."""
    width, height = frame_size(fps)
    if frames * width * height > level.max_frame_samples:
        exceed(f"{frames} frames of {width} x {height} samples")


def check_sequence_limits(features: int, samples: int, level: Level) -> None:
    """Check the length of a sequence and the number of its samples (RA.3-4)."""
    if features > level.max_sequence_length or samples > level.max_sequence_samples:
        exceed(f"a sequence has {features} features of {samples} samples")
