"""Models in files of their own: clause 8.10.6."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .channels import ChannelTransform, parse_transform
from .codes import Level, Profile, UnitType
from .container import read_header, read_units
from .contexts import ContextModel, parse_contexts
from .models import EntropyModel, ModelFile, parse_model
from .refusal import Missing, Refusal, require

Held = EntropyModel | ChannelTransform | ContextModel
PARSERS: dict[Any, Callable[[bytes, Level], tuple[int, Held | ModelFile]]] = {
    (Profile.LEARNED, UnitType.ENTROPY_MODEL): parse_model,
    (Profile.NATIVE, UnitType.CHANNEL_TRANSFORM): parse_transform,
    (Profile.NATIVE, UnitType.CONTEXT_MODEL): parse_contexts,
}
MODELS = "DFC_MODELS"  # environment variable with the folder of such files, SHA256.dfcm


def find_model(model: Held | ModelFile) -> Held:
    """The model, read from its file where the stream does not hold it (R8.10.6-1)."""
    if not isinstance(model, ModelFile):
        return model
    path = Path(os.environ.get(MODELS, "."), f"{model.sha256.hex()}.dfcm")
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).digest() != model.sha256:
        raise Missing(f"the model {path.name} is not in the folder {path.parent}")
    try:
        return read_model(data)
    except Refusal as refusal:
        raise Missing(f"{path} holds no model: {refusal}") from refusal


def read_model(data: bytes) -> Held:
    """Read a stream that is a model: header, one unit, and an end unit without payload."""
    header = read_header(data)
    units = list(read_units(data, header.level))
    kinds = [(header.profile, unit.type) for unit in units[:1]]
    alone = kinds[0] in PARSERS and [unit.type for unit in units[1:]] == [UnitType.END]
    alone = alone and not units[1].payload
    require(alone, "constraint", "8.10.6", "the stream is not one of a model alone")
    model_id, model = PARSERS[kinds[0]](units[0].payload, header.level)
    if model_id or isinstance(model, ModelFile):
        raise Refusal("constraint", "8.10.6", "the unit is not one of a model in a file")
    return model
