"""Tail-aware encoding of latents beside that of native levels, for ``bench_codecs.py``.

A trained codec of each layer is suited to its tail at every strength, on training features. Streams hold test
features of a layer, evenly spread over those of the other curves, whole files; models are apart.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from coding import read, timed
from features import Source
from record import Record

import refcodec
from refcodec.allocate.descent import TailAware
from refcodec.allocate.methods import Allocation, write_features
from refcodec.allocate.suited import suit
from refcodec.config import EncoderConfig
from refcodec.metrics import signal_to_noise
from refcodec.models import Cut, trained
from refcodec.models import load as load_network
from refcodec.models.images import batches
from refcodec.networks.analysis import FloatAnalysis

__all__ = ["PLACES", "learned_config", "refined", "suited_folder"]


class Suiting(NamedTuple):
    """Where suited models come from.

    plan, trade : of the trained codec, its lambda.
    factor      : of the steps at a strength of 20, about what `refcodec.allocate.suited.suit` finds in more
                  time; at others as the root of the strength, as the best step is where steps are small.
    """

    plan: str
    trade: str
    factor: float


PLACES: Final = {
    "layer1": Suiting("resnet56-layer1-codec", "1e-05", 2.9),
    "layer2": Suiting("resnet56-layer2-linear", "2e-05", 1.4),
    "layer3": Suiting("resnet56-layer3-codec", "0.0002", 1.3),
}

STRENGTHS: Final = (6.0, 20.0, 60.0)
TESTED, SUITED_ON, ROUNDS = 40, 60, 4


def refined(layer: str, results: Path) -> Record:
    """Points of tail-aware encoding: of latents under suited models, and of native levels, by strength."""
    source, cut = Source(layer, "small", TESTED), _cut(layer)
    found: Record = {
        **PLACES[layer]._asdict(),
        "tested": TESTED,
        "suited_on": SUITED_ON,
        "rounds": ROUNDS,
        "learned": [],
        "native": [],
    }
    for strength in STRENGTHS:
        folder, seconds = timed(suited_folder, layer, strength, results)
        learned = learned_config(folder)
        native = EncoderConfig(coder="native", workers=1)
        for name, config in (("learned", learned), ("native", native)):
            data, spent = timed(code, source.maps, config, {"strength": strength}, cut)
            decoded = _decoded(data, config)
            point = {"strength": strength} | source.judge(decoded, len(data))
            point["feature_snr"] = round(signal_to_noise(decoded, source.maps), 3)
            point["encode_ms"] = round(1000 * spent / len(source.maps), 1)
            if name == "learned":
                point |= {"model_bytes": learned.model.size, "suit_s": round(seconds, 1)}
            found[name].append(point)
            print(layer, name, point, flush=True)
    return found


def learned_config(folder: Path) -> EncoderConfig:
    """The coder learned with model and analysis of a folder, features of a unit together."""
    return EncoderConfig(
        coder="learned",
        model=folder / "model.dfcm",
        model_apart=True,
        analysis=FloatAnalysis.load(folder / "analysis.safetensors"),
        joint=True,
        workers=1,
    )


def code(maps: np.ndarray, config: EncoderConfig, parameters: Record, cut: Cut) -> bytes:
    """A file of features, coded tail-aware."""
    target = io.BytesIO()
    write_features(target, maps, config, Allocation("tail-aware", parameters), cut)
    return target.getvalue()


def _decoded(data: bytes, config: EncoderConfig) -> Any:
    if config.model is None:
        return read(data)
    with refcodec.open(io.BytesIO(data), models=config.model) as reader:
        return np.stack(list(reader))


def _trained(layer: str, results: Path) -> Path:
    """Folder of the trained codec."""
    place = PLACES[layer]
    return next((results / f"{place.plan}-results").glob(f"lambda-{place.trade}-seed-*"))


def suited_folder(layer: str, strength: float, results: Path) -> Path:
    """Folder of a suited model, which is made if it is not there."""
    place, folder = PLACES[layer], results / f"resnet56-{layer}-suited-{strength:g}"
    if (folder / "analysis.safetensors").exists():
        return folder
    cut = _cut(layer)
    config, settings = learned_config(_trained(layer, results)), TailAware(strength)
    features = _training(cut, SUITED_ON)
    found = suit(
        features,
        [cut.tail],
        config,
        settings,
        rounds=ROUNDS,
        factor=place.factor * (strength / 20) ** 0.5,
    )
    folder.mkdir(parents=True, exist_ok=True)
    found.model.save(folder / "model.dfcm")
    found.analysis.save(folder / "analysis.safetensors")
    return folder


def _cut(layer: str) -> Cut:
    return load_network("resnet56", trained.weights("resnet56")).cut(layer)


def _training(cut: Cut, count: int) -> Any:
    """Features of training images, N x C x H x W."""
    found: Sequence[torch.Tensor] = []
    with torch.no_grad():
        found = [cut.head(one.inputs) for one in batches(trained.cifar("train", count), 100)]
    return torch.cat(list(found)).numpy()
