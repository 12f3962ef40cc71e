"""The decoding process: clauses 8.1 and 8.8."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .bits import Integers
from .bytecoders import decode_bytes
from .channels import ChannelTransform
from .codes import BYTE_CODERS, VIDEO_CODERS, Coder, FeatureType, HashTarget, Quantiser
from .contexts import ContextModel
from .hevc import SequenceDecoder
from .learned import decode_joint, decode_separate, decode_substreams
from .lossless import decode_lossless
from .modelfiles import find_model
from .native import decode_native
from .native_static import decode_native_static
from .quantiser import reconstruct
from .ranges import convert
from .refusal import require
from .stream import CodedFeature, CodedUnit, check_context_model, check_model, parse_stream
from .syntax import FeatureParameterSet, Parameters


class Feature(NamedTuple):
    """A decoded feature: type, samples, and the patterns of its elements, little-endian."""

    dtype: str
    shape: tuple[int, ...]
    samples: Integers
    patterns: npt.NDArray[np.unsignedinteger]

    def sample_bytes(self) -> bytes:
        """The samples as 32-bit integers, least significant byte first (8.8)."""
        return self.samples.astype(np.int64).astype("<i4", casting="unsafe").tobytes()

    def value_bytes(self) -> bytes:
        """The elements in the source type, least significant byte first (8.8)."""
        return self.patterns.tobytes()


def by_token(
    patterns: npt.NDArray[np.unsignedinteger], head_count: int
) -> npt.NDArray[np.unsignedinteger]:
    """The elements of tokens, C x T x 1, as T x C, or as head_count x T x D (8.1)."""
    tokens = patterns[:, :, 0].T  # entry (t, c)
    if head_count == 0:
        return tokens
    return np.stack(np.split(tokens, head_count, axis=1))


class Decoder:
    """Decodes features in their order; holds the references of predicted ones."""

    def __init__(self) -> None:
        self.video = SequenceDecoder()
        self.preceding: dict[FeatureParameterSet, tuple[Integers, Parameters]] = {}

    def samples(self, coded: CodedFeature, begun: ContextModel | None = None) -> Integers:
        """The samples of a feature, of any coder but the learned one, with its context model (8.3)."""
        fps = coded.fps
        if fps.coder in BYTE_CODERS:
            return decode_bytes(coded.payload, fps)
        if fps.coder in VIDEO_CODERS:
            return self.video.samples(coded)
        if fps.coder == Coder.NATIVE_LOSSLESS:
            return decode_lossless(coded.payload, fps)
        if fps.coder == Coder.NATIVE_STATIC:
            sizes = coded.substream_sizes
            return decode_native_static(coded.payload, sizes, fps, coded.parameters)
        reference = None
        if not coded.access_point:
            samples, parameters = self.preceding[fps]
            reference = convert(samples, parameters, coded.parameters, fps)
        samples = decode_native(coded.payload, fps, coded.parameters, reference, begun)
        self.preceding[fps] = samples, coded.parameters
        return samples

    def samples_of_unit(self, unit: CodedUnit) -> Iterable[Integers]:
        """The samples of each feature of a coded unit (8.3)."""
        first = unit.features[0]
        if unit.model is None or first.fps.coder != Coder.LEARNED:
            begun = contexts_of(unit)
            return (self.samples(coded, begun) for coded in unit.features)
        model = find_model(unit.model)
        check_model(first.fps, model)
        assert isinstance(model, list)
        if first.substream_sizes:
            return [decode_substreams(first.payload, first.substream_sizes, first.fps, model)]
        if unit.joint:
            return decode_joint(first.payload, len(unit.features), first.fps, model)
        return (decode_separate(each.payload, each.fps, model) for each in unit.features)

    def feature(
        self, coded: CodedFeature, samples: Integers, transform: ChannelTransform | None
    ) -> Feature:
        """The feature of samples; compares its sample hash (R8.8-1)."""
        fps = coded.fps
        patterns = reconstruct(samples, fps, coded.parameters, transform)
        shape: tuple[int, ...] = fps.shape
        if fps.feature_type == FeatureType.FC:
            shape = fps.shape[:1]
        elif fps.feature_type == FeatureType.TOKENS:
            patterns = by_token(patterns, fps.head_count)
            shape = patterns.shape
        feature = Feature(fps.source_type.name.lower(), shape, samples, patterns)
        found = hashlib.sha256(feature.sample_bytes()).digest()
        same = found.startswith(coded.sample_hash)
        require(same, "hash", "R8.8-1", "the sample hash differs")
        return feature

    def unit(self, unit: CodedUnit) -> list[Feature]:
        """Decode the features of a coded unit, and compare its hash units (R8.8-2)."""
        decoded = zip(unit.features, self.samples_of_unit(unit), strict=True)
        transform = transform_of(unit)
        features = [self.feature(coded, samples, transform) for coded, samples in decoded]
        for target, sha256 in unit.hashes.items():
            found = hashlib.sha256()
            for each in features:
                samples = target == HashTarget.SAMPLES
                found.update(each.sample_bytes() if samples else each.value_bytes())
            require(found.digest() == sha256, "hash", "R8.8-2", f"the hash of {target!r} differs")
        return features


def contexts_of(unit: CodedUnit) -> ContextModel | None:
    """The context model of the features of a unit, where there is one (9.12)."""
    if unit.contexts is None:
        return None
    model = find_model(unit.contexts)
    check_context_model(model)
    return model if isinstance(model, ContextModel) else None


def transform_of(unit: CodedUnit) -> ChannelTransform | None:
    """The transform over the channels of the features of a unit, where there is one (9.9)."""
    fps = unit.features[0].fps
    if unit.model is None or fps.quantiser != Quantiser.TRANSFORM:
        return None
    model = find_model(unit.model)
    check_model(fps, model)
    return model if isinstance(model, ChannelTransform) else None


def decode_stream(stream: bytes) -> list[Feature]:
    """Decode all features of a stream (8.1); raises Refusal or Missing."""
    decoder = Decoder()
    units = parse_stream(stream)
    return [feature for unit in units for feature in decoder.unit(unit)]
