"""Models in files of their own: clause 8.10.6."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .channels import ChannelTransform, decode_transform, parse_transform
from .codes import Level, Profile, UnitType
from .container import read_header, read_units
from .contexts import ContextModel, decode_context_model, parse_contexts
from .models import EntropyModel, ModelFile, decode_model, parse_model
from .refusal import Missing, Refusal, require

Held = EntropyModel | ChannelTransform | ContextModel
READERS: dict[Any, tuple[Callable[[bytes], tuple[int, Any]], Callable[[Any, Level], Held]]] = {
    (Profile.LEARNED, UnitType.ENTROPY_MODEL): (parse_model, decode_model),
    (Profile.NATIVE, UnitType.CHANNEL_TRANSFORM): (parse_transform, decode_transform),
    (Profile.NATIVE, UnitType.CONTEXT_MODEL): (parse_contexts, decode_context_model),
}
"""How to parse the unit of a file, and how to decode the model in it."""
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
    alone = kinds[0] in READERS and [unit.type for unit in units[1:]] == [UnitType.END]
    alone = alone and not units[1].payload
    require(alone, "constraint", "8.10.6", "the stream is not one of a model alone")
    parse, decode = READERS[kinds[0]]
    model_id, coded = parse(units[0].payload)
    held = model_id == 0 and not isinstance(coded, ModelFile)
    require(held, "constraint", "8.10.6", "the unit is not one of a model in a file")
    return decode(coded, header.level)
