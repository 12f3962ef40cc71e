"""A whole stream as coded units, with the order of units checked: clauses 6.5 to 6.10, 7 and 9.1."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .av1_constraints import check_sequence_header
from .bits import BitReader
from .channels import ChannelTransform, decode_transform, parse_transform
from .codes import (
    VIDEO_CODERS,
    Coder,
    FeatureType,
    HashTarget,
    Profile,
    Quantiser,
    UnitType,
    code_point,
)
from .constraints import (
    check_batch,
    check_channels,
    check_contexts,
    check_feature_limits,
    check_frame_limit,
    check_parameter_set,
    check_parameters,
    check_sequence_limits,
    check_substreams,
)
from .container import Header, Unit, read_header, read_units
from .contexts import ContextModel, decode_context_model, parse_contexts
from .frames import frame_size, layout
from .hevc_constraints import check_parameter_sets
from .models import EntropyModel, ModelFile, decode_model, parse_model
from .ranges import parameters_of_features
from .refusal import Refusal, require
from .syntax import (
    FeatureParameterSet,
    Parameters,
    parse_batch,
    parse_parameter_set,
    parse_parameters,
)
from .vvc_constraints import check_vvc_sets

END_SIZES = (0, 16)
Model = EntropyModel | ChannelTransform | ContextModel | ModelFile
HASHED = (UnitType.CODED_FEATURE, UnitType.CODED_FEATURE_BATCH, UnitType.HASH)


@dataclass(eq=False)
class CodedFeature:
    """One feature, its samples not yet decoded; ``sequence`` holds the features from its access point on."""

    fps: FeatureParameterSet
    parameters: Parameters
    sample_hash: bytes
    payload: bytes
    substream_sizes: list[int] = field(default_factory=list)  # of all substreams but the last
    sequence: list[CodedFeature] = field(default_factory=list)

    @property
    def access_point(self) -> bool:
        """True where decoding needs no preceding feature."""
        return self.sequence[0] is self

    @property
    def cost(self) -> int:
        """The samples that count towards those of its sequence (A.3)."""
        if self.fps.coder not in VIDEO_CODERS:
            return self.fps.elements
        width, height = frame_size(self.fps)
        return len(layout(self.fps, self.parameters).frame_qps) * width * height


@dataclass
class CodedUnit:
    """A coded feature or a batch, with the hash units that belong to it.

    ``joint`` is true where one payload holds all features; ``model`` is that of their latents, or
    the transform over their channels; ``contexts`` is the context model.
    """

    features: list[CodedFeature]
    joint: bool
    model: Model | None
    contexts: Model | None
    hashes: dict[HashTarget, bytes] = field(default_factory=dict)


def check_model(fps: FeatureParameterSet, model: Model) -> None:
    """Check that a model is one of such features; of one in a file of its own, later (9.7, 9.9)."""
    if isinstance(model, ModelFile):
        return
    require(not isinstance(model, ContextModel), "constraint", "R9.9-5", "a context model")
    transforms = isinstance(model, ChannelTransform)
    wanted = fps.quantiser == Quantiser.TRANSFORM
    require(transforms == wanted, "constraint", "R9.9-5", "a model of another kind")
    if isinstance(model, ChannelTransform):
        check_channels(fps, model.channels)
    elif isinstance(model, list):
        check_contexts(fps, len(model))


def check_context_model(model: Model) -> None:
    """Check that context_model_id names a context model; of one in a file of its own, later (9.12)."""
    own = isinstance(model, ContextModel | ModelFile)
    require(own, "constraint", "R9.11-2", "no context model")


class StreamParser:
    """Parses units in their order; holds the parameter sets in force and the sequences that go on."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.units: list[CodedUnit] = []
        self.parameter_sets: dict[int, FeatureParameterSet] = {}
        self.models: dict[int, Model] = {}
        self.sequences: dict[FeatureParameterSet, list[CodedFeature]] = {}
        self.begun: set[FeatureParameterSet] = set()  # of tokens, with a feature
        self.before: UnitType | None = None  # the type of the preceding unit

    def parse(self, unit: Unit) -> None:
        """Parse one unit, after its place among the others has been checked (9.1)."""
        index_was_last = self.before == UnitType.INDEX and unit.type != UnitType.END
        require(not index_was_last, "order", "R9.1-6", "a unit follows the index")
        if unit.type == UnitType.FEATURE_PARAMETER_SET:
            self.parameter_set(unit.payload)
        elif unit.type == UnitType.CODED_FEATURE:
            self.coded_feature(unit.payload)
        elif unit.type == UnitType.CODED_FEATURE_BATCH:
            self.batch(unit.payload)
        elif unit.type == UnitType.ENTROPY_MODEL:
            self.entropy_model(unit.payload)
        elif unit.type == UnitType.CHANNEL_TRANSFORM:
            self.channel_transform(unit.payload)
        elif unit.type == UnitType.CONTEXT_MODEL:
            self.context_model(unit.payload)
        elif unit.type == UnitType.METADATA:
            late = bool(self.parameter_sets)
            require(not late, "order", "R9.1-11", "metadata follows a parameter set")
        elif unit.type == UnitType.HASH:
            self.hash(unit.payload)
        elif unit.type == UnitType.END:
            self.end(unit.payload)
        self.before = unit.type

    def parameter_set(self, payload: bytes) -> None:
        """Parse a feature parameter set, which replaces one of the same number (6.4, R7.4-1, RA.3-1)."""
        fps = parse_parameter_set(payload)
        check_feature_limits(fps, self.header.level)
        check_parameter_set(fps, self.header.profile)
        if fps.coder == Coder.HEVC:
            check_parameter_sets(fps)
        if fps.coder == Coder.VVC:
            check_vvc_sets(fps)
        if fps.coder == Coder.AV1:
            check_sequence_header(fps)
        if fps.has_model:
            there = fps.model_id in self.models
            require(there, "order", "R7.4-2", f"there is no model {fps.model_id}")
            check_model(fps, self.models[fps.model_id])
        if fps.context_model_id is not None:
            there = fps.context_model_id in self.models
            require(there, "order", "R7.4-2", f"there is no model {fps.context_model_id}")
            check_context_model(self.models[fps.context_model_id])
        self.parameter_sets[fps.fps_id] = fps

    def entropy_model(self, payload: bytes) -> None:
        """Parse an entropy model (6.12), and keep it (R9.7-1)."""
        model_id, coded = parse_model(payload)
        learned = self.header.profile == Profile.LEARNED
        require(learned, "constraint", "R9.7-1", f"an entropy model in {self.header.profile!r}")
        self.check_number(model_id)
        if isinstance(coded, ModelFile):
            self.models[model_id] = coded
        else:
            self.models[model_id] = decode_model(coded, self.header.level)

    def channel_transform(self, payload: bytes) -> None:
        """Parse a transform over channels (6.14), and keep it (R9.9-1)."""
        model_id, coded = parse_transform(payload)
        transforming = self.header.profile in (Profile.NATIVE, Profile.REALTIME)
        require(transforming, "constraint", "R9.9-1", f"a transform in {self.header.profile!r}")
        self.check_number(model_id)
        if isinstance(coded, ModelFile):
            self.models[model_id] = coded
        else:
            self.models[model_id] = decode_transform(coded, self.header.level)

    def context_model(self, payload: bytes) -> None:
        """Parse a context model (6.17), and keep it (R9.11-1)."""
        model_id, coded = parse_contexts(payload)
        native = self.header.profile == Profile.NATIVE
        require(native, "constraint", "R9.11-1", f"a context model in {self.header.profile!r}")
        self.check_number(model_id)
        if isinstance(coded, ModelFile):
            self.models[model_id] = coded
        else:
            self.models[model_id] = decode_context_model(coded, self.header.level)

    def check_number(self, model_id: int) -> None:
        """Refuse a second model of the same number (R9.7-2)."""
        twice = model_id in self.models
        require(not twice, "constraint", "R9.7-2", f"a second model {model_id}")

    def coded_unit(self, features: list[CodedFeature], joint: bool) -> None:
        """Add a coded unit."""
        fps = features[0].fps
        model = self.models[fps.model_id] if fps.has_model else None
        named = fps.context_model_id
        contexts = None if named is None else self.models[named]
        self.units.append(CodedUnit(features, joint, model, contexts))

    def referred(self, read: BitReader) -> FeatureParameterSet:
        """Read the fps_id of a coded unit; give its parameter set."""
        fps_id = read.ue(255)
        if fps_id not in self.parameter_sets:
            raise Refusal("order", "R9.1-2", f"there is no parameter set {fps_id}")
        return self.parameter_sets[fps_id]

    def coded_feature(self, payload: bytes) -> None:
        """Parse a coded feature (6.5)."""
        read = BitReader(payload)
        fps = self.referred(read)
        tokens = fps.feature_type == FeatureType.TOKENS
        own = replace(fps, height=read.ue((1 << 16) - 1) + 1) if tokens else fps
        continuation_flag = tokens and read.flag()
        access_point = not fps.temporal_prediction_flag or read.flag()
        parameters = parse_parameters(read, fps)
        sample_hash = read.raw(fps.sample_hash_size)
        sizes = [read.leb128() for _ in range(fps.substream_count - 1)]
        feature = CodedFeature(own, parameters, sample_hash, read.rest(), sizes)
        if tokens:
            self.check_tokens(fps, own, continuation_flag)
        check_parameters(fps, parameters)
        check_substreams(sizes, feature.payload)
        if access_point:
            self.sequences[fps] = []
        elif fps not in self.sequences:
            raise Refusal("order", "R9.1-4", "the first feature is no access point")
        feature.sequence = self.sequences[fps]
        feature.sequence.append(feature)
        if fps.coder in VIDEO_CODERS:
            frames = len(layout(fps, parameters).frame_qps)
            check_frame_limit(fps, frames, self.header.level)
        if fps.temporal_prediction_flag:
            samples = sum(each.cost for each in feature.sequence)
            check_sequence_limits(len(feature.sequence), samples, self.header.level)
        self.coded_unit([feature], joint=True)

    def check_tokens(
        self, fps: FeatureParameterSet, own: FeatureParameterSet, continuation_flag: bool
    ) -> None:
        """Check the elements of tokens (7.5.1): their number, and that there are others to continue."""
        check_feature_limits(own, self.header.level)
        begins = fps not in self.begun
        require(not (begins and continuation_flag), "order", "R9.1-13", "tokens continue no others")
        self.begun.add(fps)

    def batch(self, payload: bytes) -> None:
        """Parse a coded feature batch, and cut it into its features (6.6)."""
        read = BitReader(payload)
        fps = self.referred(read)
        batch = parse_batch(read, fps)
        check_parameters(fps, batch.parameters)
        check_batch(fps, batch, len(payload))
        own = parameters_of_features(fps, batch)
        features = [
            CodedFeature(fps, *each)
            for each in zip(own, batch.sample_hashes, batch.payload_of_each, strict=True)
        ]
        for feature in features:
            feature.sequence.append(feature)
        self.coded_unit(features, batch.joint_flag)

    def hash(self, payload: bytes) -> None:
        """Parse a hash unit (6.8), which belongs to the coded unit before it (R9.1-5, R9.1-12)."""
        require(self.before in HASHED, "order", "R9.1-5", "a hash unit follows no coded unit")
        read = BitReader(payload)
        target = code_point(HashTarget, read.u(8))
        sha256 = read.raw(32)
        read.finish()
        hashes = self.units[-1].hashes
        require(target not in hashes, "order", "R9.1-12", f"a second hash of the {target!r}")
        hashes[target] = sha256

    def end(self, payload: bytes) -> None:
        """Parse the end unit (6.10, R9.1-7, R9.1-8); index_offset is not used."""
        size = len(payload)
        require(size in END_SIZES or size > 16, "truncated", "R9.1-8", "the end unit is cut")
        if payload:
            read = BitReader(payload)
            read.u(64)
            promised = read.u(64)
            read.finish()
            count = sum(len(unit.features) for unit in self.units)
            require(promised == count, "order", "R9.1-7", f"{count} features, not {promised}")


def parse_stream(stream: bytes) -> list[CodedUnit]:
    """The coded units of a stream, parsed and checked up to its end."""
    header = read_header(stream)
    parser = StreamParser(header)
    for unit in read_units(stream, header.level):
        parser.parse(unit)
    return parser.units
