"""Entropy models in files of their own: clause 8.10.6."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .codes import Profile, UnitType
from .container import read_header, read_units
from .models import EntropyModel, ModelFile, parse_model
from .refusal import Missing, Refusal, require

MODELS = "DFC_MODELS"  # environment variable with the folder of such files, SHA256.dfcm


def find_model(model: EntropyModel | ModelFile) -> EntropyModel:
    """The model, read from its file where the stream does not hold it (R8.10.6-1)."""
    if not isinstance(model, ModelFile):
        return model
    path = Path(os.environ.get(MODELS, "."), f"{model.sha256.hex()}.dfcm")
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).digest() != model.sha256:
        raise Missing(f"the entropy model {path.name} is not in the folder {path.parent}")
    try:
        return read_model(data)
    except Refusal as refusal:
        raise Missing(f"{path} holds no entropy model: {refusal}") from refusal


def read_model(data: bytes) -> EntropyModel:
    """Read a stream that is an entropy model: header, one unit, and an end unit without payload."""
    header = read_header(data)
    units = list(read_units(data, header.level))
    alone = [unit.type for unit in units] == [UnitType.ENTROPY_MODEL, UnitType.END]
    alone = alone and header.profile == Profile.LEARNED and not units[1].payload
    require(alone, "constraint", "8.10.6", "the stream is not one of a model alone")
    model_id, model = parse_model(units[0].payload, header.level)
    if model_id or isinstance(model, ModelFile):
        raise Refusal("constraint", "8.10.6", "the unit is not one of a model in a file")
    return model
