"""The state of a stream under way, and the groups of units that a walk adds to it."""

from __future__ import annotations

from dataclasses import replace

from refcodec.coders.protocol import Coded, Payload, Reference, Samples
from refcodec.decoder import Feature, reconstruct
from refcodec.hashes import unit_hash
from refcodec.pack import frame_size
from refcodec.probability.model import EntropyModel
from refcodec.ranges import own_parameters
from refcodec.registry import CODERS, CoderRecord, record_of
from refcodec.stream.features import LARGEST_BATCH
from refcodec.stream.index import CodedUnitTable
from refcodec.stream.limits import Demand, decoded_size, element_count
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.latents import draw_latents
from refcodec.suite.drawn.models import draw_model, level_of, reach_of
from refcodec.suite.drawn.parameter_sets import Budget, draw_parameter_set
from refcodec.suite.drawn.parameters import draw_parameters
from refcodec.suite.drawn.payloads import draw_payload, draw_video_payloads
from refcodec.suite.drawn.transforms import draw_transform
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
from refcodec.syntax.codes import Coder, HashTarget
from refcodec.syntax.structures import (
    FPS_IDS,
    MODEL_IDS,
    STREAM_HEADER_SIZE,
    FeatureParameters,
    FeatureParameterSet,
)
from refcodec.transform.channel import ChannelTransform

__all__ = ["Walk"]

_MOST_FRAME_SAMPLES = 1 << 15
"""Samples of the frames of some features: each run of an encoder takes a tenth of a second as it is."""


class Walk:
    """A stream under way: its units, and the state that later units depend on.

    _models : models by model_id; None for one that the stream only names, and nobody has.
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
        self._models: dict[int, EntropyModel | ChannelTransform | None] = {}
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
        self._sequences(fps)
        self._chance = outer

    def tools(self, chance: Chance, record: CoderRecord) -> None:
        """A parameter set, mostly of coefficients of a transform; some features are dependent, or have gains.

        chance : for all of them.
        """
        outer, self._chance = self._chance, chance
        tokens = record.tokens and chance.one_in(2)
        transform = record.coder_id != Coder.NATIVE or chance.below(4) > 0
        fps_id = chance.choose([*self._sets, chance.number(0, FPS_IDS - 1)])
        fps = draw_parameter_set(
            chance, record, self._budget, fps_id, tokens=tokens, transform=transform
        )
        if transform:
            fps = replace(fps, model_id=self._transform(fps))
        self._set(fps)
        if tokens:
            self._sequences(fps, tools=True)
        else:
            self._features(fps, chance.choose([0, 1, 2, 3, 5]), tools=True)
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
            number
            for number, one in self._models.items()
            if one is None or (isinstance(one, EntropyModel) and reach_of(one, fps))
        ]
        if known and chance.below(2):
            return chance.choose(known)
        number = self._free_number()
        model = None if chance.one_in(12) else draw_model(chance, fps, self._budget.level)
        if model is not None:
            self.level = max(self.level, level_of(model))
        self._models[number] = model
        self._list(model_unit(number, EntropyModel, model or chance.bytes(32)))
        return number

    def _transform(self, fps: FeatureParameterSet) -> int:
        """The model_id of a new transform over the channels of features."""
        chance, number = self._chance, self._free_number()
        model = None if chance.one_in(12) else draw_transform(chance, fps.channels)
        self._models[number] = model
        self._list(model_unit(number, ChannelTransform, model or chance.bytes(32)))
        return number

    def _free_number(self) -> int:
        """A model_id that no model has."""
        free = [number for number in range(MODEL_IDS) if number not in self._models]
        return free[self._chance.number(0, len(free) - 1)]

    def _sequences(self, fps: FeatureParameterSet, *, tools: bool = False) -> None:
        """Coded features of tokens, some of which continue others; none under a model that is not there."""
        if not self._decodable(fps):
            return
        chance = self._chance
        for number in range(chance.choose([0, 1, 2, 3, 6])):
            most = max(1, self._budget.elements // fps.channels)
            own = replace(fps, height=chance.number(1, chance.choose([1, max(1, most >> 2), most])))
            parameters = draw_parameters(chance, own)
            coded = draw_payload(chance, own, parameters, tools=tools)
            continues = number > 0 and chance.below(2) > 0
            self._single(fps, parameters, coded, continues=continues)

    def _features(self, fps: FeatureParameterSet, count: int, *, tools: bool = False) -> None:
        """Coded features and batches, but those of video; none under a model that is not there."""
        if not self._decodable(fps):
            return
        model = self._model_of(fps)
        batchable = not fps.temporal_prediction_flag and fps.substream_count == 1
        for _ in range(count):
            if batchable and self._chance.one_in(3) and self._batch(fps, tools=tools):
                continue
            parameters = draw_parameters(self._chance, fps)
            reference = self._last.get(fps.fps_id)
            if not fps.temporal_prediction_flag or self._chance.one_in(4):
                reference = None
            if isinstance(model, EntropyModel):
                (coded,) = draw_latents(self._chance, fps, model, joint=True)
            else:
                coded = draw_payload(self._chance, fps, parameters, reference, tools=tools)
            self._single(fps, parameters, coded)

    def _decodable(self, fps: FeatureParameterSet) -> bool:
        """True unless features are under a model that is not there."""
        return fps.model_id is None or self._models[fps.model_id] is not None

    def _model_of(self, fps: FeatureParameterSet) -> EntropyModel | ChannelTransform | None:
        """The model of the features of a parameter set, if they have one that is there."""
        return None if fps.model_id is None else self._models[fps.model_id]

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

    def _batch(self, fps: FeatureParameterSet, *, tools: bool) -> bool:
        """A batch, if it keeps to the limits of one; True if it was added."""
        most = LARGEST_BATCH // element_count(fps)
        count = min(
            self._chance.choose([1, 2, 3, 8, 20]),
            most,
            1 + 4 * self._budget.elements // element_count(fps),
        )
        if count < 1:
            return False
        parameters = draw_parameters(self._chance, fps)
        model = self._model_of(fps)
        joint = isinstance(model, EntropyModel) and self._chance.below(2) > 0
        if isinstance(model, EntropyModel):
            coded = draw_latents(self._chance, fps, model, count, joint=joint)
        else:
            coded = [draw_payload(self._chance, fps, parameters, tools=tools) for _ in range(count)]
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
        decoded, model = [], self._model_of(fps)
        transform = model if isinstance(model, ChannelTransform) else None
        for one, own in contents:
            payload = Payload(fps, own, b"", one.access_point, one.data)
            decoded.append((one.samples, reconstruct(payload, one.samples, transform)))
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
