"""Whole streams: a random walk over the syntax from a profile, a level and a seed.

    drawn = draw_stream(Profile.LOSSLESS, 1, seed=7)
    drawn.stream, drawn.features

The same arguments give the same bytes on every machine; with the profiles ``hevc`` and ``av1``, those of
one version of x265 or libaom. The walk takes no decision of the encoder: elements are drawn from their
declarations, payloads are content that coders' encoding halves write down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from refcodec.coders.protocol import Coded, Payload, Reference, Samples
from refcodec.decoder import Feature, reconstruct
from refcodec.errors import CallerError
from refcodec.hashes import unit_hash
from refcodec.pack import frame_size
from refcodec.probability.model import EntropyModel
from refcodec.ranges import own_parameters
from refcodec.registry import CODERS, CoderRecord, coder_named, record_of
from refcodec.stream.features import LARGEST_BATCH
from refcodec.stream.index import CodedUnitTable
from refcodec.stream.limits import Demand, decoded_size, element_count
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.latents import draw_latents
from refcodec.suite.drawn.models import draw_model, level_of, reach_of
from refcodec.suite.drawn.parameter_sets import Budget, draw_parameter_set
from refcodec.suite.drawn.parameters import draw_parameters
from refcodec.suite.drawn.payloads import draw_payload, draw_video_payloads
from refcodec.suite.drawn.units import (
    batch_unit,
    end_unit,
    feature_unit,
    hash_unit,
    index_unit,
    metadata_unit,
    model_unit,
    parameter_set_unit,
    unknown_unit,
)
from refcodec.syntax.codes import HashTarget, Profile
from refcodec.syntax.structures import (
    FPS_IDS,
    MODEL_IDS,
    STREAM_HEADER_SIZE,
    FeatureParameters,
    FeatureParameterSet,
)
from refcodec.syntax.units import build_stream_header

__all__ = ["GENERATOR", "WALK", "Drawn", "coders_of", "draw_stream"]

GENERATOR = 2
"""Version of the walk: another one draws other streams from the same seeds.

Version 2 adds tokens to one stream in four; the others are those of version 1.
"""

WALK = 1
"""What choices are seeded with, beside profile, level and seed: the version that began them."""

_MOST_ELEMENTS = 2048
"""Elements of a feature, as a rule: a stream decodes within milliseconds."""


_MOST_FRAME_SAMPLES = 1 << 15
"""Samples of the frames of some features: each run of an encoder takes a tenth of a second as it is."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stream and its features, samples and reconstruction of each, as they were coded."""

    stream: bytes
    features: list[tuple[Samples, Feature]]


def coders_of(profile: Profile, names: Sequence[str] = ()) -> list[CoderRecord]:
    """The coders of a profile that have these names; all of them without names.

    Raises CallerError for a name of no coder, or of one that the profile does not have.
    """
    own = [record for record in CODERS.values() if profile in record.profiles]
    for name in names:
        if coder_named(name) not in own:
            raise CallerError(
                f"the profile {profile.name.lower()} has no coder {name}",
                hint=f"its coders are {', '.join(one.name for one in own)}",
            )
    return [one for one in own if not names or one.name in names]


def draw_stream(
    profile: Profile,
    level: int,
    seed: int,
    *,
    coders: Sequence[str] = (),
    ffmpeg: str | None = None,
) -> Drawn:
    """Draw a stream.

    level  : the highest; the stream may have a lower one.
    coders : names of the coders to draw; none for all of the profile.
    ffmpeg : program for HEVC and AV1; None for the bundled one.

    Raises EnvironmentFault where video is drawn and there is no program for it; CallerError where VVC is,
    and as `coders_of`.
    """
    chance = Chance("stream", WALK, profile.name, level, seed)
    walk = _Walk(chance, Budget(_MOST_ELEMENTS, level), ffmpeg)
    chosen = coders_of(profile, coders)
    if CODERS["vvc"] in chosen:
        raise CallerError(
            "payloads of vvc are not drawn: vvenc refuses frames that do not compress",
            hint="draw the other coders of the profile, or give features to code",
        )
    own = [record for record in chosen if len(record.profiles) == 1]
    walk.begin()
    for _ in range(chance.choose([1, 1, 1, 2, 2, 3]) if chance.below(40) else 0):
        walk.group(chance.choose(own if own and chance.below(3) else chosen))
    if chance.one_in(50) and CODERS["raw"] in chosen:
        walk.many()
    # choices of their own, so that streams without tokens stay as they were
    extra = Chance("tokens", WALK, profile.name, level, seed)
    coding = [record for record in chosen if record.tokens]
    if coding and extra.one_in(4):
        walk.tokens(extra, extra.choose(coding))
    walk.end()
    declared = chance.between(walk.level, level)
    return Drawn(build_stream_header(profile, declared) + b"".join(walk.units), walk.features)


class _Walk:
    """A stream under way: its units, and the state that later units depend on.

    _models : entropy models by model_id; None for one that the stream only names, and nobody has.
    level   : the least that the units so far need.
    """

    def __init__(self, chance: Chance, budget: Budget, ffmpeg: str | None) -> None:
        self._chance = chance
        self._budget = budget
        self._ffmpeg = ffmpeg
        self._table = CodedUnitTable()
        self._position = STREAM_HEADER_SIZE
        self._sets: dict[int, FeatureParameterSet] = {}
        self._last: dict[int, Reference] = {}
        self._models: dict[int, EntropyModel | None] = {}
        self.units: list[bytes] = []
        self.features: list[tuple[Samples, Feature]] = []
        self.level = 1

    def begin(self) -> None:
        """Metadata, which comes before all parameter sets."""
        used: set[str] = set()
        for _ in range(self._chance.choose([0, 0, 0, 1, 2])):
            self._skipped()
            self._add(metadata_unit(self._chance, used))

    def group(self, record: CoderRecord) -> None:
        """A new parameter set, or one in force, and coded units that refer to it."""
        chance = self._chance
        count = chance.choose([0, 1, 1, 2, 3, 5])
        reusable = [one for one in self._sets.values() if not record_of(one.coder_id).video]
        if reusable and chance.one_in(4):
            self._features(chance.choose(reusable), count)
            return
        fps_id = chance.choose([*self._sets, chance.number(0, FPS_IDS - 1)])
        if record.video:
            self._video(record, fps_id, max(count, 1))
            return
        fps = draw_parameter_set(chance, record, self._budget, fps_id)
        if record.has_model:
            fps = replace(fps, model_id=self._model(fps))
        self._set(fps)
        self._features(fps, count)

    def many(self) -> None:
        """More units, or parameter sets, than a byte counts."""
        raw, tiny = CODERS["raw"], Budget(1, 1)
        fps = draw_parameter_set(self._chance, raw, tiny, self._chance.below(FPS_IDS))
        for _ in range(self._chance.choose([1, 130])):
            self._set(fps)
        self._features(fps, self._chance.choose([1, 130]))

    def tokens(self, chance: Chance, record: CoderRecord) -> None:
        """A parameter set of tokens, and features some of which continue others.

        chance : for all of them.
        """
        outer, self._chance = self._chance, chance
        fps_id = chance.choose([*self._sets, chance.number(0, FPS_IDS - 1)])
        fps = draw_parameter_set(chance, record, self._budget, fps_id, tokens=True)
        self._set(fps)
        for number in range(chance.choose([0, 1, 2, 3, 6])):
            most = max(1, self._budget.elements // fps.channels)
            own = replace(fps, height=chance.number(1, chance.choose([1, max(1, most >> 2), most])))
            parameters = draw_parameters(chance, own)
            coded = draw_payload(chance, own, parameters)
            continues = number > 0 and chance.below(2) > 0
            self._single(fps, parameters, coded, continues=continues)
        self._chance = outer

    def end(self) -> None:
        """The index, if there is one, and the end unit."""
        self._skipped()
        index_offset = None
        if self._chance.below(2):
            index_offset = self._position
            self._add(index_unit(self._chance, self._table))
        self._add(end_unit(self._chance, index_offset, len(self.features)))

    def _video(self, record: CoderRecord, fps_id: int, count: int) -> None:
        """A parameter set of a video coder, and features that are coded together."""
        chance = self._chance
        while True:
            fps = draw_parameter_set(chance, record, self._budget, fps_id)
            parameters = [draw_parameters(chance, fps) for _ in range(count)]
            if sum(decoded_size(fps, own) for own in parameters) <= _MOST_FRAME_SAMPLES:
                break
        coded, fps = draw_video_payloads(chance, fps, parameters, self._ffmpeg)
        self._set(fps)
        for own, one in zip(parameters, coded, strict=True):
            self._single(fps, own, one)

    def _model(self, fps: FeatureParameterSet) -> int:
        """The model_id of an entropy model for features: one in force, or a new one."""
        chance = self._chance
        known = [
            number for number, one in self._models.items() if one is None or reach_of(one, fps)
        ]
        if known and chance.below(2):
            return chance.choose(known)
        free = [number for number in range(MODEL_IDS) if number not in self._models]
        number = free[chance.number(0, len(free) - 1)]
        model = None if chance.one_in(12) else draw_model(chance, fps, self._budget.level)
        if model is not None:
            self.level = max(self.level, level_of(model))
        self._models[number] = model
        self._list(model_unit(number, model or chance.bytes(32)))
        return number

    def _features(self, fps: FeatureParameterSet, count: int) -> None:
        """Coded features and batches, but those of video; none under a model that is not there."""
        model = None if fps.model_id is None else self._models[fps.model_id]
        if fps.model_id is not None and model is None:
            return
        batchable = not fps.temporal_prediction_flag and fps.substream_count == 1
        for _ in range(count):
            if batchable and self._chance.one_in(3) and self._batch(fps, model):
                continue
            parameters = draw_parameters(self._chance, fps)
            reference = self._last.get(fps.fps_id)
            if not fps.temporal_prediction_flag or self._chance.one_in(4):
                reference = None
            if model is not None:
                (coded,) = draw_latents(self._chance, fps, model, joint=True)
            else:
                coded = draw_payload(self._chance, fps, parameters, reference)
            self._single(fps, parameters, coded)

    def _single(
        self,
        fps: FeatureParameterSet,
        parameters: FeatureParameters,
        coded: Coded,
        *,
        continues: bool = False,
    ) -> None:
        self._last[fps.fps_id] = Reference(coded.samples, parameters)
        unit = feature_unit(self._chance, fps, parameters, coded, continues=continues)
        self._coded(fps, unit, [(coded, parameters)])

    def _batch(self, fps: FeatureParameterSet, model: EntropyModel | None) -> bool:
        """A batch, if it keeps to the limits of one; True if it was added."""
        most = LARGEST_BATCH // element_count(fps)
        count = min(
            self._chance.choose([1, 2, 3, 8, 20]),
            most,
            1 + 4 * _MOST_ELEMENTS // element_count(fps),
        )
        if count < 1:
            return False
        parameters = draw_parameters(self._chance, fps)
        joint = model is not None and self._chance.below(2) > 0
        if model is not None:
            coded = draw_latents(self._chance, fps, model, count, joint=joint)
        else:
            coded = [draw_payload(self._chance, fps, parameters) for _ in range(count)]
        if sum(len(one.data) for one in coded) > LARGEST_BATCH // 2:
            return False
        unit, batch = batch_unit(self._chance, fps, parameters, coded, joint=joint)
        if len(unit) > LARGEST_BATCH:
            return False
        self._coded(fps, unit, list(zip(coded, own_parameters(batch, fps), strict=True)))
        return True

    def _coded(
        self,
        fps: FeatureParameterSet,
        unit: bytes,
        contents: list[tuple[Coded, FeatureParameters]],
    ) -> None:
        """A coded unit, and hash units after it now and then."""
        self._table.add(self._position, len(contents), contents[0][0].access_point)
        self._add(unit)
        decoded = []
        for one, own in contents:
            payload = Payload(fps, own, b"", one.access_point, one.data)
            decoded.append((one.samples, reconstruct(payload, one.samples)))
        self.features += decoded
        chance = self._chance
        if chance.one_in(3):
            targets = [HashTarget.SAMPLES, HashTarget.RECONSTRUCTION]
            for number in chance.order(2).tolist()[: chance.between(1, 2)]:
                self._add(hash_unit(targets[number], unit_hash(targets[number], decoded)))
        self.level = max(self.level, Demand(unit_size=len(unit)).level())

    def _set(self, fps: FeatureParameterSet) -> None:
        self._list(parameter_set_unit(fps))
        self._sets[fps.fps_id] = fps
        self._last.pop(fps.fps_id, None)
        demand = Demand(
            channels=fps.channels,
            elements=element_count(fps),
            frame_side=max(frame_size(fps)) if record_of(fps.coder_id).video else 0,
        )
        self.level = max(self.level, demand.level())

    def _list(self, unit: bytes) -> None:
        """A parameter set or an entropy model, which an index lists."""
        self._skipped()
        self._table.parameter_set_offsets.append(self._position)
        self._add(unit)
        self._skipped()

    def _skipped(self) -> None:
        """A unit that decoders pass over, now and then."""
        if self._chance.one_in(12):
            self._add(unknown_unit(self._chance))

    def _add(self, unit: bytes) -> None:
        self.units.append(unit)
        self._position += len(unit)
