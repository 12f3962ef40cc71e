"""The entropy model of a parameter set, as an encoder chooses and stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.probability.model import EntropyModel
from refcodec.syntax.structures import ENTROPY_MODEL_UNIT, EntropyModelUnit, FeatureParameterSet

__all__ = ["StreamModel", "stream_model"]


@dataclass(frozen=True, slots=True)
class StreamModel:
    """An entropy model, and how a stream has it.

    apart : true if the stream names its file by the SHA-256; false if it holds the tables.
    joint : true if the features of a batch are coded together.
    """

    model: EntropyModel
    apart: bool = False
    joint: bool = False

    def unit(self) -> EntropyModelUnit:
        """The entropy model unit, whose model_id is still 0."""
        stored = {"sha256": self.model.sha256} if self.apart else {"tables": self.model.coded}
        return ENTROPY_MODEL_UNIT.make({"model_id": 0, "external_flag": int(self.apart), **stored})


def stream_model(
    config: EncoderConfig, fps: FeatureParameterSet, samples: Sequence[npt.NDArray[np.int32]]
) -> StreamModel:
    """The model of a configuration; one that counts the samples, C x H x W each, where it has none.

    Raises CallerError for a model that has another number of contexts than the features have channels.
    """
    if config.model is None:
        from refcodec.coders.learned.payload import latents_of

        shape = (len(samples), fps.channels, fps.height, fps.width)
        model = EntropyModel.fit(latents_of(samples, fps).reshape(shape))
    else:
        model = config.model
    if model.contexts not in (1, fps.channels):
        raise CallerError(
            f"the model has {model.contexts} contexts, and the features {fps.channels} channels",
            hint="a model has one context for each, or one in all",
        )
    return StreamModel(model, config.model_apart, config.joint)
