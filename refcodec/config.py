"""Configuration of an encoder. A decoder needs none: everything that it has to know is in the stream.

The options of each coder, and their defaults, are in its record (``registry``); an option that would have no
effect is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from refcodec.errors import CallerError
from refcodec.option_values import checked_value
from refcodec.registry import CODERS, QUANTISERS, CoderRecord, coder_named, suggest
from refcodec.syntax.codes import Quantiser, UnitType

__all__ = ["CHOICES", "EncoderConfig"]

_UNSET: Any = None
"""Value of an option that is not given: the coder's default takes its place."""

_NEUTRAL: dict[str, Any] = {
    "quantiser": "none",
    "bits": 16,
    "range": "tensor",
    "clip": None,
    "qp": 0,
    "restoration": "off",
    "gop": 0,
    "target_size": None,
    "target_snr": None,
    "speed": "default",
    "dependent": False,
    "packing": "",
    "order": None,
    "lossless": False,
    "preset": "",
    "shuffle": False,
    "step": 1.0,
    "offset": 0.0,
    "model": None,
    "model_apart": False,
    "contexts": None,
    "analysis": None,
    "joint": False,
    "substreams": 1,
    "token_gain": False,
    "batch": False,
    "workers": 1,
    "ffmpeg": None,
    "timeout": None,
}
"""Options that some coders lack, each with the value that means "without it", which every coder accepts."""

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "quantiser": tuple(name for name in QUANTISERS if name != "transform"),  # which a model implies
    "range": ("tensor", "channel"),
    "packing": ("tile", "frame"),
    "feature_type": ("conv", "pool", "fc", "tokens"),
    "hash_size": (0, 8, 16, 32),
}
"""Allowed values of options that take one of a few words or numbers, the same for every coder."""

_NEED_QUANTISER = ("bits", "range", "clip", "step", "offset")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Configuration of an encoder, checked on construction; None is the default of an option.

    coder        : payload coder, by name.

    Quantisation:
    quantiser    : uniform, log, lattice (latents), or none (bit for bit). A transform over channels, given as
                   model, takes its place.
    bits         : bits per sample, 1 to 16; at most 12 with hevc and av1, 10 with vvc.
    range        : one range for the whole tensor, or one per channel (per element, for vectors).
    clip         : range (low, high) to use instead of the feature's own; values beyond it saturate.
    step         : step of the lattice, one or one per channel (per element, for vectors).
    offset       : value of the latent 0, likewise.
    narrow       : accept float64, rounded to float32.
    fill         : value for missing elements, which are masked or NaN; None refuses masked ones.

    Lossy coding:
    qp           : quantisation parameter, one or one per channel; +6 doubles the step. One for all channels
                   may be given in eighths where the coder has them.
    restoration  : statistics that the decoder restores: auto decides for each feature; off, tensor, mean (of
                   each channel) or channel (mean and deviation of each).
    gop          : features from one access point to the next, predicted over time; 0 for all intra.
    target_size  : bytes of a feature's payload to aim at, by its QP.
    target_snr   : signal-to-noise ratio of a feature to aim at, in dB, by its QP.
    speed        : effort of the encoder: fast, default or best.
    dependent    : dependent quantisation of transformed maps: some 3 % fewer bytes at equal quality, and
                   encoding takes half as long again.
    token_gain   : give each token a step that follows its size, under a transform over channels: one a
                   thousand times the others then costs no more than they do.

    Video frames (hevc, vvc, av1):
    packing      : tile (channels side by side on near-square frames, one frame for each QP) or frame (one
                   channel per frame).
    order        : order of the channels on the frames, a permutation; None for channel number.
    lossless     : code the quantised samples losslessly.
    preset       : preset of x265; of vvenc, or effort of libaom: faster, fast, medium, slow or slower.

    Models:
    model        : a .dfcm file, or what it holds: a model of latents (learned; None counts the first
                   features), or a transform over channels, by which features are quantised (native,
                   native-static).
    contexts     : a context model of `refcodec.fit_contexts`, or its .dfcm file: short features of the native
                   coder then begin with what was learned from others of their kind.
    model_apart  : name models by their SHA-256 instead of storing them: decoders find them in a store.

    Latents:
    analysis     : what makes the latents of features for a hyperprior: a .safetensors file, or a function.
    joint        : code the features of a unit together: fewer bytes, but they are decoded together.
    substreams   : groups of channels, 1 to 64, decoded by several threads, or one without the others.

    Byte coders:
    shuffle      : group bytes of equal significance before compression.

    Stream:
    feature_type : conv, pool, fc or tokens (T x D, or heads x T x D); None tells conv from fc by the rank.
    batch        : several features per unit; None batches fc features, and small ones of the native coder.
    hash_size    : bytes of SHA-256 kept with each feature: 0, 8, 16 or 32; None for the fewest allowed.
    hashes       : add hash units: the full SHA-256 of the samples and of the reconstruction.
    low_latency  : write each feature at once, in a coded unit of its own.
    index        : write an index; None for where there is more than one coded unit.
    level        : level to declare, 1 to 4; None for the lowest that fits (on a pipe: 3).
    metadata     : text to store, by key.

    Machine:
    workers      : threads, or ffmpeg processes, at a time; None for one per processor.
    ffmpeg       : program to run; None for the bundled one.
    timeout      : seconds for one run of ffmpeg; None for a bound that grows with the work.

    Raises CallerError for an invalid value, options that contradict each other, or an option that has no
    effect with the coder.
    """

    coder: str = next(iter(CODERS))
    quantiser: str = _UNSET
    bits: int = _UNSET
    range: str = _UNSET
    clip: tuple[float, float] | None = None
    narrow: bool = False
    fill: float | None = None
    qp: float | tuple[int, ...] = _UNSET
    restoration: str = _UNSET
    gop: int = _UNSET
    target_size: int | None = None
    target_snr: float | None = None
    speed: str = _UNSET
    dependent: bool = _UNSET
    packing: str = _UNSET
    order: tuple[int, ...] | None = None
    lossless: bool = _UNSET
    preset: str = _UNSET
    step: float | tuple[float, ...] = _UNSET
    offset: float | tuple[float, ...] = _UNSET
    model: Any = None
    contexts: Any = None
    model_apart: bool = _UNSET
    analysis: Any = None
    joint: bool = _UNSET
    substreams: int = _UNSET
    token_gain: bool = _UNSET
    shuffle: bool = _UNSET
    feature_type: str | None = None
    batch: bool | None = None
    hash_size: int = _UNSET
    hashes: bool = False
    low_latency: bool = False
    index: bool | None = None
    level: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    ffmpeg: str | None = None
    timeout: float | None = None
    given: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    """Options that were chosen, with their values."""
    lossy_quantiser: str | None = field(init=False, repr=False, compare=False)
    """Quantiser, ``uniform`` or ``log``; None where features stay as they are."""
    aims: bool = field(init=False, repr=False, compare=False)
    """True if each feature's QP is derived from a target."""
    tokens: bool = field(init=False, repr=False, compare=False)
    """True if features are tokens."""
    parallel: int = field(init=False, repr=False, compare=False)
    """Number of ffmpeg processes, or threads, at a time."""

    def __post_init__(self) -> None:
        record = coder_named(checked_value("coder", self.coder))
        options = [one.name for one in fields(self) if one.init]
        given = {name: getattr(self, name) for name in options if getattr(self, name) is not None}
        for name in given:
            given[name] = checked_value(name, given[name])
            choices = record.choices.get(name) or CHOICES.get(name)
            if choices and given[name] not in choices:
                raise _not_among(name, given[name], choices)
        self._set("given", given)
        defaults = {**_NEUTRAL, "hash_size": 8 if record.needs_hash else 0, **record.options}
        if _is_transform(given.get("model")):
            defaults |= {"quantiser": "transform"}
        for name in options:
            self._set(name, given.get(name, defaults.get(name)))
        self._set("lossy_quantiser", None if self.quantiser == "none" else self.quantiser)
        self._set("aims", self.target_size is not None or self.target_snr is not None)
        self._set("tokens", self.feature_type == "tokens")
        self._set("parallel", self.workers or os.cpu_count() or 1)
        for error in (*self._without_effect(record), *self._contradictions(record)):
            raise error

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _without_effect(self, record: CoderRecord) -> Iterator[CallerError]:
        """Errors of options that were chosen and have no effect."""
        for name, value in self.given.items():
            if name in _NEUTRAL and name not in record.options and value != _NEUTRAL[name]:
                having = [other for other, one in CODERS.items() if name in one.options]
                yield CallerError(
                    f"{self.coder} has no option {name}", hint=f"{name} is for {', '.join(having)}"
                )
        if self.lossy_quantiser is None:
            for name in _NEED_QUANTISER:
                if name in self.given and name in record.options:
                    yield CallerError(
                        f"{name} has no effect: {self.coder} codes features as they are",
                        hint=f"choose a quantiser, {' or '.join(_quantisers(record))}",
                    )
        if self.lossless:
            for name in ("qp", "restoration"):
                if name in self.given and self.given[name] != _NEUTRAL[name]:
                    yield CallerError(f"{name} has no effect with lossless coding")

    def _contradictions(self, record: CoderRecord) -> Iterator[CallerError]:
        """Errors of options that contradict each other or the coder."""
        allowed = [q for q in QUANTISERS if QUANTISERS[q] in record.quantisers]
        if self.quantiser not in allowed:
            having = [
                name for name, one in CODERS.items() if QUANTISERS[self.quantiser] in one.quantisers
            ]
            yield CallerError(
                f"quantiser is {self.quantiser!r}; with {self.coder} it is {' or '.join(allowed)}",
                hint=f"{self.quantiser} is for {', '.join(having)}",
            )
        if not 1 <= self.bits <= record.largest_bits:
            yield CallerError(f"bits is {self.bits}; {self.coder} takes 1 to {record.largest_bits}")
        if record.largest_qp is not None:
            qps = self.qp if isinstance(self.qp, tuple) else (self.qp,)
            for qp in qps:
                if not 0 <= qp <= record.largest_qp:
                    yield CallerError(
                        f"a QP is {qp}; it lies in 0..{record.largest_qp}",
                        hint="+6 doubles the step",
                    )
            if isinstance(self.qp, float) and not record.eighths:
                yield CallerError(f"the QP is {self.qp}; {self.coder} takes integers")
        if record.needs_hash and self.hash_size == 0:
            yield CallerError(
                f"the sample hash is mandatory with {self.coder}", hint="give 8, 16 or 32"
            )
        if self.target_size is not None and self.target_snr is not None:
            yield CallerError("target_size and target_snr exclude each other")
        if self.aims and "qp" in self.given and not isinstance(self.qp, tuple):
            yield CallerError(
                "qp has no effect with a target, which finds the QP of each feature",
                hint="leave it out",
            )
        if self.dependent and (self.speed == "fast" or self.tokens or self.feature_type == "fc"):
            what = "the speed fast, which only rounds" if self.speed == "fast" else "vectors"
            yield CallerError(f"dependent has no effect with {what}", hint="leave it out")
        if self.aims and self.gop:
            yield CallerError("a target needs features that are not predicted: gop must be 0")
        if self.low_latency and self.gop:
            yield CallerError("gop has no effect with low_latency: a sequence is coded together")
        if self.low_latency and self.batch:
            yield CallerError(
                "batch has no effect with low_latency: each feature has its own coded unit"
            )
        if self.substreams > 1 and (self.batch or self.joint):
            yield CallerError(
                f"{'joint' if self.joint else 'batch'} has no effect with substreams: features that "
                "have them are not batched"
            )
        yield from self._about_model(record)
        under = getattr(self.model, "unit_type", None)
        if self.analysis is not None and under != UnitType.NETWORK_MODEL:
            yield CallerError(
                "analysis has no effect: the model codes features as they are",
                hint="give a hyperprior as model",
            )
        if self.joint and self.batch is False:
            yield CallerError("joint has no effect where features are not batched")
        if self.tokens and not record.tokens:
            having = [name for name, one in CODERS.items() if one.tokens]
            yield CallerError(f"{self.coder} codes no tokens", hint=f"{', '.join(having)} do")
        if self.tokens and (self.gop or self.batch):
            yield CallerError(
                f"{'gop' if self.gop else 'batch'} has no effect with tokens, whose number differs from "
                "feature to feature"
            )
        if self.token_gain and not (self.tokens and self.quantiser == "transform"):
            yield CallerError(
                "token_gain has no effect: gains are of tokens under a transform",
                hint='give a transform as model, and the feature_type "tokens"',
            )
        if self.batch and (self.aims or self.gop):
            yield CallerError("features with a target, or of a sequence, are not batched")

    def _about_model(self, record: CoderRecord) -> Iterator[CallerError]:
        """Errors of a model that does not suit the coder, or the quantiser."""
        if self.quantiser == "transform":
            for name in ("bits", "range", "clip"):
                if name in self.given and self.given[name] != _NEUTRAL[name]:
                    yield CallerError(
                        f"{name} has no effect: the transform says what its coefficients are"
                    )
        elif _is_transform(self.model):
            having = [n for n, one in CODERS.items() if Quantiser.TRANSFORM in one.quantisers]
            yield CallerError(
                f"{self.coder} with the quantiser {self.quantiser} takes no transform over channels",
                hint=f"it is for {' and '.join(having)}, in place of another quantiser",
            )
        elif self.model_apart and not (self.model or self.contexts or record.has_model):
            yield CallerError("model_apart has no effect without a model")
        elif self.model is not None and not record.has_model:
            yield CallerError(
                f"{self.coder} takes no model of latents", hint="it takes a transform over channels"
            )

    def but(self, **changes: Any) -> EncoderConfig:
        """A copy of this configuration with some options changed; None restores a default.

        Raises CallerError, also for an option that does not exist.
        """
        if not changes:
            return self
        known = [one.name for one in fields(self) if one.init]
        for name in changes:
            if name not in known:
                raise CallerError(f"there is no option {name!r}", hint=suggest(name, known))
        return EncoderConfig(**{**self.given, **changes})


def _is_transform(model: Any) -> bool:
    """True for a transform over channels."""
    return getattr(model, "unit_type", None) == UnitType.CHANNEL_TRANSFORM


def _quantisers(record: CoderRecord) -> list[str]:
    """The quantisers of a coder, by name."""
    return [name for name, one in QUANTISERS.items() if one in record.quantisers and name != "none"]


def _not_among(name: str, value: Any, choices: tuple[Any, ...]) -> CallerError:
    known = ", ".join(map(str, choices))
    return CallerError(
        f"{name} is {value!r}; it is one of {known}", hint=suggest(value, map(str, choices))
    )
