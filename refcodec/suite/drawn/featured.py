"""Streams of given features under random configurations of the encoder."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from refcodec.config import CHOICES, EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import QUANTISERS, CoderRecord
from refcodec.suite.drawn.chance import Chance
from refcodec.suite.drawn.stream import WALK, coders_of
from refcodec.syntax.codes import Profile, Quantiser
from refcodec.writer import create

__all__ = ["draw_featured_stream"]

_ATTEMPTS = 100

_MOST_FEATURES = 6

_STEPS = (0.001, 0.1, 1.0)
"""Steps of a lattice."""


def draw_featured_stream(
    features: Sequence[npt.NDArray[Any]],
    profile: Profile,
    level: int,
    seed: int,
    *,
    coders: Sequence[str] = (),
    ffmpeg: str | None = None,
) -> bytes:
    """A stream of some of the features, coded with random options.

    Configurations follow from the seed alone; the bytes of native and HEVC payloads also depend on the
    machine, since an encoder decides by sums of floating-point numbers, and on the version of x265.

    coders : names of the coders to choose from; none for all of the profile.

    Raises CallerError where no configuration of the profile and level takes the features, or as `coders_of`.
    """
    chance = Chance("features", WALK, profile.name, level, seed)
    records = coders_of(profile, coders)
    last: CallerError | None = None
    for _ in range(_ATTEMPTS):
        first = chance.below(len(features))
        chosen = features[first : first + chance.between(1, _MOST_FEATURES)]
        target = io.BytesIO()
        try:
            config = _draw_config(chance, chance.choose(records), level, ffmpeg)
            with create(target, config) as writer:
                for one in chosen:
                    writer.write(one)
            return target.getvalue()
        except CallerError as error:  # options that exclude each other, or these features
            last = error
    raise CallerError(f"no configuration of {profile.name.lower()} takes the features: {last}")


def _draw_config(
    chance: Chance, record: CoderRecord, level: int, ffmpeg: str | None
) -> EncoderConfig:
    """A configuration, of which the encoder may refuse the options. Raises CallerError."""
    drawn: dict[str, Any] = {"coder": record.name, "level": level, "narrow": True, "workers": 1}
    found = record.quantisers - {Quantiser.TRANSFORM}  # which needs a model
    quantisers = [name for name, one in QUANTISERS.items() if one in found]
    lossy = chance.choose(quantisers)
    drawn |= {
        "quantiser": lossy,
        "hash_size": chance.choose(CHOICES["hash_size"][int(record.needs_hash) :]),
        "hashes": bool(chance.below(2)),
        "index": chance.choose([None, True, False]),
        "batch": chance.choose([None, None, True, False]),
    }
    if lossy in ("uniform", "log"):
        drawn |= {
            "bits": chance.number(1, record.largest_bits),
            "range": chance.choose(CHOICES["range"]),
        }
    if lossy == "lattice":
        drawn["step"] = chance.choose(_STEPS)
        drawn["joint"] = drawn["batch"] is not False and bool(chance.below(2))
    if record.largest_qp is not None:
        drawn["qp"] = chance.number(0, record.largest_qp)
    for name, values in {**record.choices, "packing": CHOICES["packing"]}.items():
        if name in record.options:
            drawn[name] = chance.choose(values)
    if record.options.get("shuffle") is not None:
        drawn["shuffle"] = bool(chance.below(2))
    if "gop" in record.options and chance.below(2):
        drawn["gop"] = chance.between(2, 5)
    if "lossless" in record.options and chance.one_in(4):
        drawn = {name: value for name, value in drawn.items() if name not in ("qp", "restoration")}
        drawn["lossless"] = True
    if record.video:
        drawn["ffmpeg"] = ffmpeg
    if "workers" not in record.options:
        del drawn["workers"]
    return EncoderConfig(**drawn)
