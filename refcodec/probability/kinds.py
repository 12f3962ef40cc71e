"""The kinds of models, and files that may hold any of them."""

from __future__ import annotations

import os

from refcodec.contexts import ContextModel
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.model import EntropyModel
from refcodec.stored_model import StoredModel, model_unit, read_file
from refcodec.syntax.structures import ModelUnit
from refcodec.transform.channel import ChannelTransform

__all__ = ["LatentModel", "Model", "kind_of", "load_model", "read_model"]

LatentModel = EntropyModel | HyperpriorModel
"""A model of latents, of either kind."""

Model = LatentModel | ChannelTransform | ContextModel
"""A model of any kind."""

_KINDS: dict[int, type[StoredModel]] = {
    kind.unit_type: kind for kind in (EntropyModel, HyperpriorModel, ChannelTransform, ContextModel)
}


def kind_of(unit: ModelUnit) -> type[StoredModel]:
    """The class of the model of a unit."""
    return next(kind for kind in _KINDS.values() if kind.element in unit.keys())  # noqa: SIM118


def read_model(data: bytes) -> Model:
    """The model in the bytes of a ``.dfcm`` file, of whichever kind. Raises StreamError."""
    unit, _ = model_unit(data)
    found: Model = _KINDS.get(unit.unit_type, EntropyModel).from_bytes(data)  # type: ignore[assignment]
    return found


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a ``.dfcm`` file of whichever kind.

    Raises CallerError for the path, StreamError for what the file holds.
    """
    return read_model(read_file(path))
