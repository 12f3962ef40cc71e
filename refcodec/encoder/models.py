"""The model of a parameter set, as an encoder chooses and stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.probability.hyperprior import HyperpriorModel, check_features
from refcodec.probability.kinds import LatentModel, Model
from refcodec.probability.model import EntropyModel
from refcodec.syntax.codes import Quantiser, UnitType
from refcodec.syntax.structures import FeatureParameterSet, ModelUnit
from refcodec.tables import HIGHEST_LEVEL, levels
from refcodec.transform.channel import ChannelTransform

__all__ = ["StreamModel", "context_model", "stream_model", "transform_of_features"]


@dataclass(frozen=True, slots=True)
class StreamModel:
    """A model, and how a stream has it.

    apart : true if the stream names its file by the SHA-256; false if it holds the model.
    joint : true if the features of a batch are coded together.
    """

    model: Model
    apart: bool = False
    joint: bool = False

    @property
    def latent_model(self) -> LatentModel | None:
        """The model, where it is one of latents."""
        return self.model if isinstance(self.model, LatentModel) else None

    @property
    def transform(self) -> ChannelTransform | None:
        """The model, where it is a transform over channels."""
        return self.model if isinstance(self.model, ChannelTransform) else None

    def unit(self) -> tuple[UnitType, ModelUnit]:
        """Type and content of the unit, whose model_id is still 0."""
        return self.model.unit_type, self.model.unit(apart=self.apart)


def transform_of_features(
    config: EncoderConfig, fps: FeatureParameterSet
) -> ChannelTransform | None:
    """The transform of a configuration. Raises CallerError for one of other features."""
    if fps.quantiser != Quantiser.TRANSFORM:
        return None
    transform: ChannelTransform = config.model
    for error in transform.check_features(fps):
        raise CallerError(error.what)
    return transform


def context_model(config: EncoderConfig) -> StreamModel | None:
    """The context model of a configuration, as a stream has it; None where it has none."""
    if config.contexts is None:
        return None
    return StreamModel(config.contexts, config.model_apart)


def stream_model(
    config: EncoderConfig, fps: FeatureParameterSet, samples: Sequence[npt.NDArray[np.int32]]
) -> StreamModel:
    """The model of a configuration; one that counts the samples, C x H x W each, where it has none.

    Raises CallerError for a model of other features.
    """
    if config.model is None:
        from refcodec.coders.learned.payload import latents_of

        shape = (len(samples), fps.channels, fps.height, fps.width)
        model = EntropyModel.fit(latents_of(samples, fps).reshape(shape))
    else:
        model = config.model
    if isinstance(model, HyperpriorModel):
        for error in check_features(model.coded, fps, levels()[HIGHEST_LEVEL]):
            raise CallerError(error.what)
    elif model.contexts not in (1, fps.channels):
        raise CallerError(
            f"the model has {model.contexts} contexts, and the features {fps.channels} channels",
            hint="a model has one context for each, or one in all",
        )
    return StreamModel(model, config.model_apart, config.joint)
