"""The kinds of models of latents, and files that may hold any of them."""

from __future__ import annotations

import os

from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.model import EntropyModel
from refcodec.probability.stored import model_unit, read_file

__all__ = ["LatentModel", "load_model", "read_model"]

LatentModel = EntropyModel | HyperpriorModel
"""A model of latents, of either kind."""


def read_model(data: bytes) -> LatentModel:
    """The model in the bytes of a ``.dfcm`` file, of whichever kind. Raises StreamError."""
    unit, _ = model_unit(data)
    kind = HyperpriorModel if unit.unit_type == HyperpriorModel.unit_type else EntropyModel
    return kind.from_bytes(data)


def load_model(path: str | os.PathLike[str]) -> LatentModel:
    """Read a ``.dfcm`` file of whichever kind.

    Raises CallerError for the path, StreamError for what the file holds.
    """
    return read_model(read_file(path))
